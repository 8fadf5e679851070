//! The provider's interface, and the sandbox's own knobs.

use std::time::Duration;

use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Form, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::records::{Account, Number};
use super::state::{State, set_status};
use super::{Sandbox, json};
use crate::sandbox::{Fault, Knobs, spoil, tone};

type Pairs = Vec<(String, String)>;
type Answered = Result<Response, Refused>;
type In = (Shared<Sandbox>, Extension<Opened>);

/// The account that the path names and the credentials open.
#[derive(Debug, Clone, Copy)]
struct Opened(usize);

/// A refusal in the provider's words.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    code: u32,
    message: &'static str,
}

const NOT_FOUND: Refused = Refused {
    status: StatusCode::NOT_FOUND,
    code: 20_404,
    message: "The requested resource was not found",
};

const REFUSED: Refused = Refused {
    status: StatusCode::UNAUTHORIZED,
    code: 20_003,
    message: "Authenticate",
};

pub(super) fn router(sandbox: &Sandbox) -> Router {
    // One parameter takes a file name such as `CA….json`: the suffix is cut off where it is read.
    let account = Router::new()
        .route("/{account}", get(show_account))
        .route(
            "/{account}/AvailablePhoneNumbers/{country}/{kind}",
            get(available),
        )
        .route(
            "/{account}/IncomingPhoneNumbers.json",
            get(numbers).post(buy),
        )
        .route(
            "/{account}/IncomingPhoneNumbers/{sid}",
            get(number).post(update_number).delete(release),
        )
        .route("/{account}/Calls.json", get(calls).post(dial))
        .route("/{account}/Calls/{sid}", get(call).post(update_call))
        .route("/{account}/Calls/{sid}/Recordings.json", get(recordings))
        .route("/{account}/Recordings/{sid}", get(media))
        .route("/{account}/Messages.json", get(messages).post(send))
        .route("/{account}/Messages/{sid}", get(message))
        .layer(from_fn_with_state(sandbox.clone(), guarded));
    Router::new()
        .nest("/2010-04-01/Accounts", account)
        .route("/v1/PhoneNumbers/Countries/{country}", get(number_prices))
        .route("/_sandbox/twilio/knobs", get(show_knobs).put(put_knobs))
        .with_state(sandbox.clone())
}

async fn guarded(Shared(sandbox): Shared<Sandbox>, mut request: Request, next: Next) -> Response {
    let delay = sandbox.state().knobs.delay_ms;
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let (is_spared, fault) = sandbox.state().knobs.next_fault();
    let refused = match fault {
        Some(Fault::Fail(status)) => Some(Refused {
            status,
            code: 20_500,
            message: "the sandbox was told to fail",
        }),
        Some(Fault::RateLimit) => Some(Refused {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: 20_429,
            message: "Too many requests",
        }),
        None => None,
    };
    let opened = refused.map_or_else(|| open(&sandbox.state(), &request), Err);
    match opened {
        Ok(opened) => request.extensions_mut().insert(opened),
        Err(refused) => {
            let mut response = refused.into_response();
            let seconds = sandbox.state().knobs.retry_after_seconds;
            if response.status() == StatusCode::TOO_MANY_REQUESTS && seconds > 0 {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            return response;
        }
    };
    let response = next.run(request).await;
    if is_spared {
        return response;
    }
    let spoilt = sandbox.state().knobs.next_spoilt();
    spoil(response, spoilt).await
}

/// The account's own token opens it; its sid stands in the path.
fn open(state: &State, request: &Request) -> Result<Opened, Refused> {
    // Within the nested router the path begins with the account.
    let path = request.uri().path().trim_start_matches('/');
    let sid = path.split('/').next().unwrap_or_default();
    let sid = sid.trim_end_matches(".json");
    let place = state.accounts.iter().position(|account| account.sid == sid);
    let place = place.ok_or(REFUSED)?;
    let (user, password) = basic(request.headers()).ok_or(REFUSED)?;
    match state.accounts.get(place) {
        Some(account) if user == sid && account.auth_token.reveal() == password => {
            Ok(Opened(place))
        }
        _ => Err(REFUSED),
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let bytes = STANDARD.decode(text.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn read(
    sandbox: &Sandbox,
    opened: Opened,
    answer: impl FnOnce(&Account, &State) -> Result<Value, Refused>,
) -> Answered {
    let state = sandbox.state();
    let account = state.accounts.get(opened.0).ok_or(NOT_FOUND)?;
    Ok(Json(answer(account, &state)?).into_response())
}

async fn show_account((Shared(sandbox), Extension(opened)): In) -> Answered {
    read(&sandbox, opened, |account, _| Ok(json::account(account)))
}

async fn available(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, _, kind)): Path<(String, String, String)>,
    Query(query): Query<Pairs>,
) -> Answered {
    // Such numbers do not exist in the country of the pool.
    if kind == "Mobile.json" {
        return Err(NOT_FOUND);
    }
    let code = value(&query, "AreaCode").unwrap_or_default();
    let contains = value(&query, "Contains")
        .unwrap_or_default()
        .replace('*', "");
    read(&sandbox, opened, |_, state| {
        let is_found = |number: &&String| {
            number.get(2..).is_some_and(|rest| rest.starts_with(code)) && number.contains(&contains)
        };
        let found: Vec<Value> = state
            .pool
            .iter()
            .filter(is_found)
            .take(size(&query))
            .map(|number| json::available(number))
            .collect();
        Ok(json!({"available_phone_numbers": found, "uri": ""}))
    })
}

/// The price list of numbers, for whoever has an account.
async fn number_prices(
    Shared(sandbox): Shared<Sandbox>,
    Path(country): Path<String>,
    headers: HeaderMap,
) -> Answered {
    let (user, password) = basic(&headers).ok_or(REFUSED)?;
    let state = sandbox.state();
    let is_theirs =
        |account: &Account| account.sid == user && account.auth_token.reveal() == password;
    if !state.accounts.iter().any(is_theirs) {
        return Err(REFUSED);
    }
    if country != "US" {
        return Err(NOT_FOUND);
    }
    Ok(Json(json::number_prices()).into_response())
}

async fn numbers((Shared(sandbox), Extension(opened)): In, Query(query): Query<Pairs>) -> Answered {
    let wanted = value(&query, "PhoneNumber").unwrap_or_default();
    read(&sandbox, opened, |account, _| {
        let found = account
            .numbers
            .iter()
            .filter(|number| number.e164.contains(wanted));
        let found = found.map(|number| json::number(account, number)).collect();
        Ok(listed(
            "IncomingPhoneNumbers",
            "incoming_phone_numbers",
            account,
            found,
            &query,
        ))
    })
}

async fn number(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, sid)): Path<(String, String)>,
) -> Answered {
    read(&sandbox, opened, |account, _| {
        let mut numbers = account.numbers.iter();
        let number = numbers
            .find(|number| number.sid == bare(&sid))
            .ok_or(NOT_FOUND)?;
        Ok(json::number(account, number))
    })
}

async fn buy((Shared(sandbox), Extension(opened)): In, Form(form): Form<Pairs>) -> Answered {
    let mut state = sandbox.state();
    let wanted = value(&form, "PhoneNumber").unwrap_or_default();
    let place = state.pool.iter().position(|number| number == wanted);
    let e164 = state.pool.remove(place.ok_or(Refused {
        status: StatusCode::BAD_REQUEST,
        code: 21_422,
        message: "PhoneNumber is not available",
    })?);
    let mut number = Number {
        sid: state.id("PN"),
        name: e164.clone(),
        e164,
        voice_url: String::new(),
        status_url: String::new(),
        sms_url: String::new(),
        created_at: state.now,
    };
    set_hooks(&mut number, &form);
    let account = state.accounts.get_mut(opened.0).ok_or(NOT_FOUND)?;
    account.numbers.push(number.clone());
    let body = json::number(account, &number);
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn update_number(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, sid)): Path<(String, String)>,
    Form(form): Form<Pairs>,
) -> Answered {
    let mut state = sandbox.state();
    let account = state.accounts.get_mut(opened.0).ok_or(NOT_FOUND)?;
    let mut numbers = account.numbers.iter_mut();
    let number = numbers
        .find(|number| number.sid == bare(&sid))
        .ok_or(NOT_FOUND)?;
    set_hooks(number, &form);
    let number = number.clone();
    Ok(Json(json::number(account, &number)).into_response())
}

/// The number goes back to the pool.
async fn release(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, sid)): Path<(String, String)>,
) -> Answered {
    let mut state = sandbox.state();
    let numbers = &mut state.accounts.get_mut(opened.0).ok_or(NOT_FOUND)?.numbers;
    let place = numbers.iter().position(|number| number.sid == bare(&sid));
    let number = numbers.remove(place.ok_or(NOT_FOUND)?);
    state.pool.push(number.e164);
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn set_hooks(number: &mut Number, form: &Pairs) {
    let set = |target: &mut String, name: &str| {
        if let Some(value) = value(form, name) {
            value.clone_into(target);
        }
    };
    set(&mut number.voice_url, "VoiceUrl");
    set(&mut number.status_url, "StatusCallback");
    set(&mut number.sms_url, "SmsUrl");
    set(&mut number.name, "FriendlyName");
}

async fn calls((Shared(sandbox), Extension(opened)): In, Query(query): Query<Pairs>) -> Answered {
    let parent = value(&query, "ParentCallSid");
    let (from, to) = (value(&query, "From"), value(&query, "To"));
    let since = value(&query, "StartTime>").unwrap_or_default();
    read(&sandbox, opened, |account, _| {
        let found = account.calls.iter().rev().filter(|call| {
            parent.is_none_or(|parent| call.parent_sid.as_deref() == Some(parent))
                && from.is_none_or(|from| call.from == from)
                && to.is_none_or(|to| call.to == to)
                && call.created_at.strftime("%Y-%m-%d").to_string().as_str() >= since
        });
        let found = found.map(|call| json::call(account, call)).collect();
        Ok(listed("Calls", "calls", account, found, &query))
    })
}

async fn call(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, sid)): Path<(String, String)>,
) -> Answered {
    read(&sandbox, opened, |account, _| {
        Ok(json::call(
            account,
            account.call(bare(&sid)).ok_or(NOT_FOUND)?,
        ))
    })
}

async fn dial((Shared(sandbox), Extension(opened)): In, Form(form): Form<Pairs>) -> Answered {
    let mut state = sandbox.state();
    let from = value(&form, "From").unwrap_or_default();
    let to = value(&form, "To").unwrap_or_default();
    if state.holder(from) != Some(opened.0) {
        return Err(Refused {
            status: StatusCode::BAD_REQUEST,
            code: 21_210,
            message: "'From' phone number not verified",
        });
    }
    if !is_callable(to) {
        return Err(Refused {
            status: StatusCode::BAD_REQUEST,
            code: 21_211,
            message: "Invalid 'To' Phone Number",
        });
    }
    let url = value(&form, "StatusCallback").unwrap_or_default();
    let sid = state.dial(opened.0, from, to, url);
    let account = state.accounts.get(opened.0).ok_or(NOT_FOUND)?;
    let body = json::call(account, account.call(&sid).ok_or(NOT_FOUND)?);
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn update_call(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, sid)): Path<(String, String)>,
    Form(form): Form<Pairs>,
) -> Answered {
    let mut state = sandbox.state();
    let now = state.now;
    let account = state.accounts.get_mut(opened.0).ok_or(NOT_FOUND)?;
    let call = account.call_mut(bare(&sid)).ok_or(NOT_FOUND)?;
    if call.ended_at.is_some() {
        return Err(Refused {
            status: StatusCode::BAD_REQUEST,
            code: 21_220,
            message: "Call is not in-progress. Cannot redirect.",
        });
    }
    match value(&form, "Status") {
        Some("completed") => set_status(call, "completed", now),
        Some("canceled") => set_status(call, "canceled", now),
        _ => {}
    }
    let call = call.clone();
    let told = super::post::call_status(opened.0, account, &call.sid, now);
    let body = Json(json::call(account, &call)).into_response();
    state
        .outbox
        .extend(told.filter(|post| !post.url.is_empty()));
    Ok(body)
}

async fn recordings(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, sid)): Path<(String, String)>,
    Query(query): Query<Pairs>,
) -> Answered {
    read(&sandbox, opened, |account, _| {
        let found = account
            .recordings
            .iter()
            .filter(|recording| recording.call_sid == sid);
        let found = found
            .map(|recording| json::recording(account, recording))
            .collect();
        Ok(listed("Recordings", "recordings", account, found, &query))
    })
}

async fn media(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, sid)): Path<(String, String)>,
) -> Answered {
    let state = sandbox.state();
    let account = state.accounts.get(opened.0).ok_or(NOT_FOUND)?;
    let mut recordings = account.recordings.iter();
    let recording = recordings
        .find(|recording| recording.sid == bare(&sid))
        .ok_or(NOT_FOUND)?;
    if bare(&sid) != sid {
        return Ok(Json(json::recording(account, recording)).into_response());
    }
    Ok(([(CONTENT_TYPE, "audio/x-wav")], tone(recording.seconds)).into_response())
}

async fn messages(
    (Shared(sandbox), Extension(opened)): In,
    Query(query): Query<Pairs>,
) -> Answered {
    let (from, to) = (value(&query, "From"), value(&query, "To"));
    read(&sandbox, opened, |account, _| {
        let found = account.messages.iter().rev().filter(|message| {
            from.is_none_or(|from| message.from == from) && to.is_none_or(|to| message.to == to)
        });
        let found = found
            .map(|message| json::message(account, message))
            .collect();
        Ok(listed("Messages", "messages", account, found, &query))
    })
}

async fn message(
    (Shared(sandbox), Extension(opened)): In,
    Path((_, sid)): Path<(String, String)>,
) -> Answered {
    read(&sandbox, opened, |account, _| {
        let mut messages = account.messages.iter();
        let message = messages
            .find(|message| message.sid == bare(&sid))
            .ok_or(NOT_FOUND)?;
        Ok(json::message(account, message))
    })
}

async fn send((Shared(sandbox), Extension(opened)): In, Form(form): Form<Pairs>) -> Answered {
    let mut state = sandbox.state();
    let from = value(&form, "From").unwrap_or_default();
    let to = value(&form, "To").unwrap_or_default();
    let body = value(&form, "Body").unwrap_or_default();
    let refuse = |code, message| Refused {
        status: StatusCode::BAD_REQUEST,
        code,
        message,
    };
    if state.holder(from) != Some(opened.0) {
        return Err(refuse(21_606, "The 'From' phone number is not yours"));
    }
    if !is_callable(to) {
        return Err(refuse(21_211, "Invalid 'To' Phone Number"));
    }
    if body.trim().is_empty() || body.chars().count() > 1_600 {
        return Err(refuse(21_602, "Message body is required"));
    }
    let message = state.send(opened.0, from, to, body);
    let account = state.accounts.get(opened.0).ok_or(NOT_FOUND)?;
    let body = json::message(account, &message);
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn show_knobs(Shared(sandbox): Shared<Sandbox>) -> Json<Knobs> {
    Json(sandbox.knobs())
}

async fn put_knobs(Shared(sandbox): Shared<Sandbox>, Json(knobs): Json<Knobs>) -> Json<Knobs> {
    sandbox.set_knobs(knobs);
    Json(sandbox.knobs())
}

/// A page of a list in the provider's envelope.
fn listed(path: &str, name: &str, account: &Account, items: Vec<Value>, query: &Pairs) -> Value {
    let size = size(query);
    let page: usize = value(query, "Page")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let is_more = items.len() > (page + 1).saturating_mul(size);
    let items: Vec<Value> = items
        .into_iter()
        .skip(page.saturating_mul(size))
        .take(size)
        .collect();
    let next = is_more.then(|| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(query.iter().filter(|(name, _)| name != "Page"));
        form.append_pair("Page", &(page + 1).to_string());
        format!(
            "/2010-04-01/Accounts/{}/{path}.json?{}",
            account.sid,
            form.finish()
        )
    });
    json!({"page": page, "page_size": size, "next_page_uri": next, name: items})
}

fn size(query: &Pairs) -> usize {
    let size = value(query, "PageSize").and_then(|text| text.parse().ok());
    size.filter(|size| (1..=1_000).contains(size)).unwrap_or(50)
}

fn value<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}

fn bare(file: &str) -> &str {
    file.trim_end_matches(".json")
}

fn is_callable(to: &str) -> bool {
    to.parse::<tollbook_core::phone::E164>().is_ok()
        || to.starts_with("client:")
        || to.starts_with("sip:")
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.code, "message": self.message, "status": self.status.as_u16(),
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code)});
        (self.status, Json(body)).into_response()
    }
}
