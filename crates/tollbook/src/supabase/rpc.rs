//! Remote procedures: `POST /rest/v1/rpc/<function>`, as PostgREST answers them. The arguments go to the database as
//! they came, and what it refuses comes back in its own words.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::postgres::PgDatabaseError;
use tollbook_core::actor::Actor;

use crate::alerts::AlertKind;
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::UsageScope;
use crate::http::dialect::RestError;
use crate::http::tenants::{TenantCaller, Tenants};
use crate::organizations;

/// The longest body in bytes.
const BODY_MAX: usize = 64 * 1024;

/// A function that may be called.
#[derive(Debug, Clone, Copy)]
enum Function {
    LogVoiceUsage,
    LogSmsUsage,
    GetOrCreateUsageCounter,
}

impl Function {
    const fn name(self) -> &'static str {
        match self {
            Self::LogVoiceUsage => "log_voice_usage",
            Self::LogSmsUsage => "log_sms_usage",
            Self::GetOrCreateUsageCounter => "get_or_create_usage_counter",
        }
    }

    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::LogVoiceUsage => &["p_tenant_id", "p_phone_mapping_id", "p_duration_seconds"],
            Self::LogSmsUsage => &["p_tenant_id", "p_phone_mapping_id", "p_direction"],
            Self::GetOrCreateUsageCounter => &["p_tenant_id", "p_phone_mapping_id"],
        }
    }

    const fn optional(self) -> Option<&'static str> {
        match self {
            Self::LogVoiceUsage => Some("p_call_metadata"),
            Self::LogSmsUsage => Some("p_sms_metadata"),
            Self::GetOrCreateUsageCounter => None,
        }
    }
}

/// `POST /rest/v1/rpc/log_voice_usage`
pub(crate) async fn log_voice_usage(
    State(app): State<App>,
    tenants: Tenants<UsageScope>,
    request: Request,
) -> Result<Response, Response> {
    answer(&app, &tenants.caller, Function::LogVoiceUsage, request).await
}

/// `POST /rest/v1/rpc/log_sms_usage`
pub(crate) async fn log_sms_usage(
    State(app): State<App>,
    tenants: Tenants<UsageScope>,
    request: Request,
) -> Result<Response, Response> {
    answer(&app, &tenants.caller, Function::LogSmsUsage, request).await
}

/// `POST /rest/v1/rpc/get_or_create_usage_counter`
pub(crate) async fn get_or_create_usage_counter(
    State(app): State<App>,
    tenants: Tenants<UsageScope>,
    request: Request,
) -> Result<Response, Response> {
    let function = Function::GetOrCreateUsageCounter;
    answer(&app, &tenants.caller, function, request).await
}

async fn answer(
    app: &App,
    caller: &TenantCaller,
    function: Function,
    request: Request,
) -> Result<Response, Response> {
    check_head(&request).map_err(Refusal::into_response)?;
    let body = axum::body::to_bytes(request.into_body(), BODY_MAX).await;
    let body = body.map_err(|_| {
        let message = format!("The body has more than {BODY_MAX} bytes");
        refusal(StatusCode::PAYLOAD_TOO_LARGE, "PGRST102", message).into_response()
    })?;
    let tenant = check_arguments(function, &body).map_err(Refusal::into_response)?;
    // What was checked is JSON, and so UTF-8.
    let text = String::from_utf8_lossy(&body);
    let value = call(app, caller, function, &tenant, &text).await;
    if let Err(error) = &value {
        note_refusal(app, caller, function, &tenant, error).await;
    }
    value.map(|value| Json(value).into_response()).map_err(told)
}

/// What PostgREST would read from address and headers, of which nothing is offered here but the plain call.
fn check_head(request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    if let Some(query) = request.uri().query().filter(|it| !it.is_empty()) {
        let message = format!("Filters are not taken here: \"{query}\"");
        return Err(refusal(StatusCode::BAD_REQUEST, "PGRST100", message));
    }
    if let Some(schema) = text(headers, "content-profile").filter(|it| *it != "public") {
        let message = format!("Invalid schema: {schema}");
        return Err(refusal(StatusCode::NOT_ACCEPTABLE, "PGRST106", message));
    }
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or("application/json");
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let message = format!("Content-Type not acceptable: {kind}");
        return Err(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "PGRST102",
            message,
        ));
    }
    Ok(())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the arguments are those of the function, by name; returns the tenant, as far as it is text.
fn check_arguments(function: Function, body: &[u8]) -> Result<String, Refusal> {
    let given: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(|_| {
        let message = "Empty or invalid json".to_owned();
        refusal(StatusCode::BAD_REQUEST, "PGRST102", message)
    })?;
    let is_known =
        |name: &str| function.required().contains(&name) || function.optional() == Some(name);
    let is_whole = function.required().iter().all(|it| given.contains_key(*it));
    if !is_whole || !given.keys().all(|it| is_known(it)) {
        return Err(no_such_function(function, &given));
    }
    let tenant = given.get("p_tenant_id").map(|it| it.get());
    let tenant = tenant.and_then(|it| serde_json::from_str(it).ok());
    Ok(tenant.unwrap_or_default())
}

fn no_such_function(function: Function, given: &BTreeMap<String, &RawValue>) -> Refusal {
    let name = function.name();
    let names: Vec<&str> = given.keys().map(String::as_str).collect();
    let (names, searched) = if names.is_empty() {
        (
            "without parameters".to_owned(),
            "without parameters".to_owned(),
        )
    } else {
        let list = names.join(", ");
        (format!("({list})"), format!("with parameters {list}"))
    };
    let space = if names.starts_with('(') { "" } else { " " };
    let all: Vec<&str> = function
        .required()
        .iter()
        .copied()
        .chain(function.optional())
        .collect();
    let error = RestError {
        code: "PGRST202".to_owned(),
        details: Some(format!(
            "Searched for the function public.{name} {searched}, but no matches were found in the schema cache."
        )),
        hint: Some(format!(
            "Perhaps you meant to call the function public.{name}({})",
            all.join(", ")
        )),
        message: format!(
            "Could not find the function public.{name}{space}{names} in the schema cache"
        ),
    };
    Refusal(StatusCode::NOT_FOUND, error)
}

/// Calls the function as the caller, at the time of the business's clock.
async fn call(
    app: &App,
    caller: &TenantCaller,
    function: Function,
    tenant: &str,
    arguments: &str,
) -> Result<Value> {
    let actor = actor(app, caller, tenant).await?;
    let mut tx = app.db.begin(&actor).await?;
    set_time(&mut tx, app.clock.now()).await?;
    let value = run(&mut tx, function, arguments).await?;
    tx.commit().await?;
    app.wake.rating.notify_one();
    Ok(value.unwrap_or_default())
}

/// As whom to call: the platform, or the admin of the tenant. Whoever names a tenant that is not theirs calls as an
/// admin of their own, and is refused by the function.
async fn actor(app: &App, caller: &TenantCaller, tenant: &str) -> Result<Actor> {
    let own = match (caller.platform(), caller.own()) {
        (Some(platform), _) => return Ok(platform),
        (None, [only]) => return Ok(*only),
        (None, own) => own,
    };
    let named = match organizations::find(app, tenant).await {
        Ok(organization) => caller.actor_for(organization),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    named
        .or_else(|| own.first().copied())
        .ok_or_else(|| Error::Internal("a caller without any right".to_owned()))
}

/// Whoever runs the tenant hears of usage that is refused, as far as it is theirs. What was refused is rolled back, so it
/// is counted beside the database.
async fn note_refusal(
    app: &App,
    caller: &TenantCaller,
    function: Function,
    tenant: &str,
    error: &Error,
) {
    let database = match error {
        Error::Database(sqlx::Error::Database(database)) if !error.is_transient() => database,
        _ => return,
    };
    let named = organizations::find(app, tenant).await.ok();
    let of = named.filter(|it| caller.actor_for(*it).is_some());
    // Whoever names a tenant that is not theirs fails in their own.
    let only = match caller.own() {
        [only] => only.organization(),
        _ => None,
    };
    if let Some(organization) = of.or(only) {
        let (kind, now) = (AlertKind::UsageRefused, app.clock.now());
        app.tally.note(
            organization,
            kind,
            None,
            function.name(),
            database.message(),
            now,
        );
    }
}

async fn set_time(tx: &mut PgConnection, now: Timestamp) -> Result<()> {
    sqlx::query!(
        "select set_config('tollbook.now', $1, true)",
        now.to_string()
    )
    .fetch_one(tx)
    .await?;
    Ok(())
}

async fn run(
    tx: &mut PgConnection,
    function: Function,
    arguments: &str,
) -> sqlx::Result<Option<Value>> {
    match function {
        Function::LogVoiceUsage => {
            sqlx::query_scalar!(
                "select to_jsonb(log_voice_usage(a.p_tenant_id, a.p_phone_mapping_id, a.p_duration_seconds, a.p_call_metadata))
                 from json_to_record($1::text::json) as a(p_tenant_id text, p_phone_mapping_id uuid, p_duration_seconds integer, p_call_metadata jsonb)",
                arguments,
            )
            .fetch_one(tx)
            .await
        }
        Function::LogSmsUsage => {
            sqlx::query_scalar!(
                "select to_jsonb(log_sms_usage(a.p_tenant_id, a.p_phone_mapping_id, a.p_direction, a.p_sms_metadata))
                 from json_to_record($1::text::json) as a(p_tenant_id text, p_phone_mapping_id uuid, p_direction text, p_sms_metadata jsonb)",
                arguments,
            )
            .fetch_one(tx)
            .await
        }
        Function::GetOrCreateUsageCounter => {
            sqlx::query_scalar!(
                "select to_jsonb(get_or_create_usage_counter(a.p_tenant_id, a.p_phone_mapping_id))
                 from json_to_record($1::text::json) as a(p_tenant_id text, p_phone_mapping_id uuid)",
                arguments,
            )
            .fetch_one(tx)
            .await
        }
    }
}

/// What the database says of the arguments is for the client; what it says of itself is not.
fn told(error: Error) -> Response {
    let Error::Database(sqlx::Error::Database(database)) = &error else {
        return error.into_response();
    };
    let code = database.code().unwrap_or_default().into_owned();
    let status = match code.as_str() {
        "42501" => StatusCode::FORBIDDEN,
        "23503" | "23505" => StatusCode::CONFLICT,
        "23502" | "23514" | "P0001" => StatusCode::BAD_REQUEST,
        other if other.starts_with("22") => StatusCode::BAD_REQUEST,
        _ => return error.into_response(),
    };
    let said = database.try_downcast_ref::<PgDatabaseError>();
    RestError {
        details: said.and_then(PgDatabaseError::detail).map(str::to_owned),
        hint: said.and_then(PgDatabaseError::hint).map(str::to_owned),
        message: database.message().to_owned(),
        code,
    }
    .with_status(status)
}

/// Why a call is not made, with its status.
struct Refusal(StatusCode, RestError);

impl Refusal {
    fn into_response(self) -> Response {
        self.1.with_status(self.0)
    }
}

fn refusal(status: StatusCode, code: &str, message: String) -> Refusal {
    let error = RestError {
        code: code.to_owned(),
        details: None,
        hint: None,
        message,
    };
    Refusal(status, error)
}
