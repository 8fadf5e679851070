//! A request that writes and comes with the session's cookie must prove that one of our pages made it.

use std::ops::ControlFlow;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::caller::Caller;
use super::problem::Problem;

/// Carries the token when a script sends the request.
const TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
/// Carries the token in a form.
pub(crate) const FIELD: &str = "csrf";

/// Lets a request through that only reads, that comes without the cookie, or that repeats the session's token in the
/// header or in the form field.
pub(crate) async fn check(request: Request) -> ControlFlow<Response, Request> {
    let caller = request.extensions().get::<Caller>();
    let session = caller.filter(|it| !it.is_read).and_then(Caller::session);
    let Some(expected) = session.map(|it| it.csrf_token.clone()) else {
        return ControlFlow::Continue(request);
    };
    if let Some(token) = request.headers().get(TOKEN) {
        return if is_equal(token.as_bytes(), expected.as_bytes()) {
            ControlFlow::Continue(request)
        } else {
            refusal()
        };
    }
    if !is_form(&request) {
        return refusal();
    }
    let (parts, body) = request.into_parts();
    let limited = Request::from_parts(parts.clone(), body);
    match Bytes::from_request(limited, &()).await {
        Ok(body) if field(&body).is_some_and(|it| is_equal(it.as_bytes(), expected.as_bytes())) => {
            ControlFlow::Continue(Request::from_parts(parts, Body::from(body)))
        }
        Ok(_) => refusal(),
        Err(rejection) => {
            ControlFlow::Break(Problem::of_status(rejection.status()).into_response())
        }
    }
}

/// The token in a form's body.
fn field(body: &[u8]) -> Option<String> {
    form_urlencoded::parse(body)
        .find(|(name, _)| name == FIELD)
        .map(|(_, value)| value.into_owned())
}

/// Compares without telling by time where they differ.
pub(crate) fn is_equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

fn is_form(request: &Request) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|it| {
            it.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        })
}

fn refusal() -> ControlFlow<Response, Request> {
    let problem = Problem {
        code: "csrf",
        ..Problem::new(
            StatusCode::FORBIDDEN,
            "the form is too old or was not made by this site; reload the page and try again",
        )
    };
    ControlFlow::Break(problem.into_response())
}
