//! The page on which a number is given to a tenant (S3.5).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use serde_json::json;
use tollbook_core::actor::Actor;
use tollbook_core::ids::MappingId;

use super::api::NumberType;
use super::tenant::{Fields, TenantNumber, evidence, map_to_tenant};
use super::tenant_sql as sql;
use super::view::{Evidence, Field, OnboardPage};
use crate::app::App;
use crate::error::{Error, FieldError, Result};
use crate::http::caller::AdminScope;
use crate::http::frame::Frame;
use crate::http::input::{Form, Params};
use crate::http::tenants::{TenantCaller, Tenants};
use crate::pages::address::address;
use crate::pages::text::Message;
use crate::pages::{Choice, Page, Section, reply};

const PATH: &str = "/ops/numbers/onboard";

/// What the form did, for the page that shows it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Done {
    mapping: Option<MappingId>,
    #[serde(default)]
    updated: bool,
}

/// `GET /ops/numbers/onboard`
pub(crate) async fn onboard_page(
    State(app): State<App>,
    frame: Frame,
    tenants: Tenants<AdminScope>,
    Params(done): Params<Done>,
) -> Result<Response> {
    let shown = match done.mapping {
        Some(mapping) => mapped(&app, &tenants.caller, mapping).await?,
        None => None,
    };
    let fields = match &shown {
        Some((number, _)) => typed(number),
        None => Fields::default(),
    };
    let mut view = form(&frame, &tenants.caller, &fields, &[]);
    if let Some((number, counted)) = shown {
        view.page.toast = Some(view.page.say("onboard-toast").to_string());
        view.evidence = Some(prove(&view.page, &number, counted, done.updated));
    }
    Ok(reply::page(StatusCode::OK, &view))
}

/// A mapping that the caller may see, and what is counted of it this month.
async fn mapped(
    app: &App,
    caller: &TenantCaller,
    mapping: MappingId,
) -> Result<Option<(TenantNumber, Option<sql::Counted>)>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let Some(number) = sql::tenant_number(&mut tx, mapping).await? else {
        return Ok(None);
    };
    if caller.actor_for(number.organization_id).is_none() {
        return Ok(None);
    }
    let now = app.clock.now();
    let counted = sql::counted(&mut tx, number.organization_id, mapping, now).await?;
    Ok(Some((number, counted)))
}

/// What the form held that led to a mapping.
fn typed(number: &TenantNumber) -> Fields {
    Fields {
        tenant_id: number.tenant_id.clone(),
        twilio_number_sid: number.twilio_number_sid.clone().unwrap_or_default(),
        phone_number: number.phone_number.clone(),
        number_type: number.number_type.clone(),
    }
}

/// `POST /ops/numbers/onboard`
pub(crate) async fn post_onboard(
    State(app): State<App>,
    frame: Frame,
    tenants: Tenants<AdminScope>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let caller = &tenants.caller;
    let given = json!({"page": PATH});
    let (status, errors, problem) = match map_to_tenant(&app, caller, &fields, &given).await {
        Ok(done) => {
            let mapping = done.mapping.id.to_string();
            let updated = if done.is_update { "true" } else { "" };
            let to = address(PATH, &[("mapping", &mapping), ("updated", updated)]);
            return Ok(Redirect::to(&to).into_response());
        }
        Err(Error::Invalid(errors)) => (StatusCode::UNPROCESSABLE_ENTITY, errors, None),
        Err(error @ Error::Conflict { .. }) => {
            (StatusCode::CONFLICT, Vec::new(), Some(error.to_string()))
        }
        Err(error @ Error::Forbidden(_)) => {
            (StatusCode::FORBIDDEN, Vec::new(), Some(error.to_string()))
        }
        Err(error) => return Err(error),
    };
    let mut view = form(&frame, caller, &fields, &errors);
    view.problem = problem;
    Ok(reply::page(status, &view))
}

fn form(
    frame: &Frame,
    caller: &TenantCaller,
    fields: &Fields,
    errors: &[FieldError],
) -> OnboardPage {
    let page = frame.page(Section::Onboard);
    let problem = |name: &str| {
        let error = errors.iter().find(|it| it.field == name)?;
        Some(error.message.clone())
    };
    let field = |name: &str, value: &str| Field {
        value: value.to_owned(),
        problem: problem(name),
    };
    let chosen = NumberType::ALL
        .into_iter()
        .find(|it| it.as_str() == fields.number_type);
    let choice = |it: NumberType| Choice {
        value: it.as_str().to_owned(),
        label: type_label(&page, it.as_str()),
        is_current: chosen.unwrap_or_default() == it,
    };
    OnboardPage {
        tenant_id: field("tenant_id", &fields.tenant_id),
        twilio_number_sid: field("twilio_number_sid", &fields.twilio_number_sid),
        phone_number: field("phone_number", &fields.phone_number),
        number_types: NumberType::ALL.map(choice).into(),
        number_type_problem: problem("number_type"),
        problem: None,
        may_make_tenants: caller.platform().is_some(),
        evidence: None,
        page,
    }
}

/// The sentence, what was mapped, and the counters that were begun.
fn prove(
    page: &Page,
    number: &TenantNumber,
    counted: Option<sql::Counted>,
    is_update: bool,
) -> Evidence {
    let fact = |name: Message, value: &str| (name.to_string(), value.to_owned());
    let mut facts = vec![
        fact(page.say("onboard-tenant"), &number.tenant_id),
        fact(page.say("onboard-number"), &number.phone_number),
        fact(
            page.say("onboard-type"),
            &type_label(page, &number.number_type),
        ),
        fact(page.say("onboard-mapping"), &number.id.to_string()),
    ];
    if let Some(it) = counted {
        facts.extend([
            fact(page.say("onboard-minutes"), &it.voice_minutes.to_string()),
            fact(page.say("onboard-calls"), &it.voice_calls.to_string()),
            fact(page.say("onboard-sent"), &it.sms_sent.to_string()),
            fact(page.say("onboard-received"), &it.sms_received.to_string()),
        ]);
    }
    Evidence {
        sentence: evidence(&number.phone_number, is_update),
        since: page.viewer.stamp(number.provisioned_at),
        facts,
    }
}

fn type_label(page: &Page, number_type: &str) -> String {
    match number_type {
        "voice" => page.say("onboard-type-voice"),
        "sms" => page.say("onboard-type-sms"),
        _ => page.say("onboard-type-both"),
    }
    .to_string()
}
