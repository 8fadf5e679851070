//! What both interfaces share: the key, the version, the limit, the faults, refusals, and the sandbox's own paths.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Sandbox, rest_2026, rest_v1};
use crate::openphone::Surface;
use crate::openphone::client::{API_VERSION, API_VERSION_HEADER};
use crate::sandbox::{ErrorShape, Fault, Knobs, spoil, tone};

/// The longest body that a client may send.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request that is let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    /// The workspace whose key it carries.
    pub(super) place: usize,
    /// Whether faults pass it by.
    is_spared: bool,
}

/// The parameters of a request, in order; a name may stand several times.
pub(super) type Parameters = Query<Vec<(String, String)>>;

/// A refusal in the provider's words.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    message: String,
}

pub(super) type Answered = Result<Response, Refused>;

pub(super) fn router(sandbox: &Sandbox) -> Router {
    let guard = |surface| from_fn_with_state((sandbox.clone(), surface), guarded);
    let v1 = rest_v1::router().layer(guard(Surface::V1));
    let v2026 = rest_2026::router().layer(guard(Surface::V2026));
    Router::new()
        .nest("/v1", v1)
        .merge(v2026)
        .route("/_media/{sid}/{seconds}", get(show_media))
        .route("/_sandbox/knobs", get(show_knobs).put(put_knobs))
        .with_state(sandbox.clone())
}

/// The order of the provider's checks: the version before the key, the key before the limit.
async fn guarded(
    Shared((sandbox, surface)): Shared<(Sandbox, Surface)>,
    request: Request,
    next: Next,
) -> Response {
    let (delay, shape) = {
        let knobs = &sandbox.state().knobs;
        (knobs.delay_ms, knobs.error_shape)
    };
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut request = match buffered(request).await {
        Ok(request) => request,
        Err(refused) => return refused.respond(surface, shape),
    };
    let opened = match admit(&sandbox, surface, request.headers()) {
        Ok(opened) => opened,
        Err(refused) => return with_retry_after(refused.respond(surface, shape), &sandbox),
    };
    request.extensions_mut().insert(opened);
    let response = next.run(request).await;
    let response = match response.extensions().get::<RefusedMark>() {
        Some(mark) => mark.0.respond(surface, shape),
        None => response,
    };
    if opened.is_spared {
        return response;
    }
    let spoilt = sandbox.state().knobs.next_spoilt();
    spoil(response, spoilt).await
}

/// The body is read whole before anything is decided, as the provider does.
async fn buffered(request: Request) -> Result<Request, Refused> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_| Refused::bad_request("the body is too large"))?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn admit(sandbox: &Sandbox, surface: Surface, headers: &HeaderMap) -> Result<Opened, Refused> {
    let mut state = sandbox.state();
    let (is_spared, fault) = state.knobs.next_fault();
    match fault {
        Some(Fault::Fail(status)) => {
            return Err(Refused {
                status,
                code: "0001500",
                title: "Unexpected Error",
                message: "the sandbox was told to fail".to_owned(),
            });
        }
        Some(Fault::RateLimit) => return Err(Refused::too_many()),
        None => {}
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if surface == Surface::V2026 && text(API_VERSION_HEADER) != Some(API_VERSION) {
        return Err(Refused::bad_request(
            "Quo-Api-Version is missing or unknown",
        ));
    }
    let key = text(AUTHORIZATION.as_str()).unwrap_or_default();
    let mut workspaces = state.workspaces.iter();
    let place = workspaces.position(|workspace| workspace.api_key.reveal() == key);
    let place = place.ok_or_else(|| Refused {
        status: StatusCode::UNAUTHORIZED,
        code: "0000401",
        title: "Unauthorized",
        message: "the API key is missing or wrong".to_owned(),
    })?;
    match state.workspaces.get(place) {
        Some(workspace) if workspace.budget.take() => Ok(Opened { place, is_spared }),
        _ => Err(Refused::too_many()),
    }
}

fn with_retry_after(mut response: Response, sandbox: &Sandbox) -> Response {
    let seconds = sandbox.state().knobs.retry_after_seconds;
    if response.status() == StatusCode::TOO_MANY_REQUESTS && seconds > 0 {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

#[derive(Deserialize)]
struct Link {
    expires: i64,
    signature: String,
}

async fn show_media(
    Shared(sandbox): Shared<Sandbox>,
    Path((sid, seconds)): Path<(String, u32)>,
    Query(link): Query<Link>,
) -> Response {
    let is_open = sandbox
        .state()
        .is_media_open(&sid, seconds, link.expires, &link.signature);
    if !is_open {
        return StatusCode::FORBIDDEN.into_response();
    }
    ([(CONTENT_TYPE, "audio/wav")], tone(seconds)).into_response()
}

async fn show_knobs(Shared(sandbox): Shared<Sandbox>) -> Json<Knobs> {
    Json(sandbox.knobs())
}

async fn put_knobs(Shared(sandbox): Shared<Sandbox>, Json(knobs): Json<Knobs>) -> Json<Knobs> {
    sandbox.set_knobs(knobs);
    Json(sandbox.knobs())
}

/// Carries a refusal to the guard, which knows the interface and the shape.
#[derive(Clone)]
struct RefusedMark(std::sync::Arc<Refused>);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let mark = RefusedMark(std::sync::Arc::new(self));
        response.extensions_mut().insert(mark);
        response
    }
}

impl Refused {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "0200400",
            title: "Bad Request",
            message: message.into(),
        }
    }

    pub(super) fn not_found(code: &'static str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code,
            title: "Not Found",
            message: "there is no such thing".to_owned(),
        }
    }

    pub(super) fn forbidden(code: &'static str, message: &str) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code,
            title: "Forbidden",
            message: message.to_owned(),
        }
    }

    pub(super) fn too_many_participants() -> Self {
        Self {
            code: "0101400",
            title: "Too Many Participants",
            ..Self::bad_request("calls have one other party")
        }
    }

    fn too_many() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "0001429",
            title: "Too Many Requests",
            message: "more than the requests a second that are allowed".to_owned(),
        }
    }

    fn respond(&self, surface: Surface, shape: ErrorShape) -> Response {
        let body = match (surface, shape) {
            (Surface::V1, ErrorShape::Documented) => json!({
                "message": self.message, "code": self.code, "status": self.status.as_u16(),
                "docs": "https://docs.example.test", "title": self.title}),
            (Surface::V1, ErrorShape::Nested) => {
                json!({"error": {"message": self.message, "key": self.code, "trace": "0"}})
            }
            (Surface::V2026, _) => json!({
                "title": self.title, "message": self.message, "docs": "https://docs.example.test"}),
        };
        (self.status, Json(body)).into_response()
    }
}

/// The first value of a parameter.
pub(super) fn parameter<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    let found = parameters.0.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}

/// All values of a parameter that may stand several times.
pub(super) fn repeated<'a>(parameters: &'a Parameters, name: &str) -> Vec<&'a str> {
    let found = parameters.0.iter().filter(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str()).collect()
}

/// An instant in a parameter.
pub(super) fn instant(
    parameters: &Parameters,
    name: &str,
) -> Result<Option<jiff::Timestamp>, Refused> {
    let problem = |_| Refused::bad_request(format!("{name} is not a time"));
    parameter(parameters, name)
        .map(|text| text.parse().map_err(problem))
        .transpose()
}

/// A page of items that are in the order of the list: those after the one with id `after`, at most `size`, and the id
/// to go on with.
pub(super) fn page(
    items: impl Iterator<Item = (String, Value)>,
    size: usize,
    after: Option<&str>,
) -> (Vec<Value>, Option<String>) {
    let mut items = items.peekable();
    if let Some(after) = after {
        while items.next_if(|(sid, _)| sid != after).is_some() {}
        items.next();
    }
    let (mut values, mut last) = (Vec::new(), None);
    while values.len() < size {
        let Some((sid, value)) = items.next() else {
            return (values, None);
        };
        values.push(value);
        last = Some(sid);
    }
    let next = items.peek().is_some().then_some(last).flatten();
    (values, next)
}
