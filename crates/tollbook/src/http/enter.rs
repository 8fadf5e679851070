//! What happens to every request: an id, one log line, figures, and errors written out.
//!
//! A request that may write is answered in a task of its own: a client that goes away does not stop it in the middle.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::FutureExt as _;

use super::caller::is_read;
use super::context::Context;
use super::dialect::Dialect;
use super::frame::Frame;
use super::problem::Problem;
use super::view::ErrorPage;
use crate::app::App;
use crate::pages::Section;
use crate::pages::address::address;
use crate::pages::reply::{self, FRAGMENT};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Addresses that programs call: they get problem documents whatever they accept.
const PROGRAMS: [&str; 5] = ["/api/", "/functions/", "/rest/", "/webhooks/", "/metrics"];

/// The outermost middleware.
pub(crate) async fn enter(State(app): State<App>, request: Request, next: Next) -> Response {
    let context = Arc::new(Context::of(&request, &app.settings));
    let reads = is_read(request.method());
    let answer = Arc::clone(&context).scope(answer(app.clone(), context, request, next));
    if reads {
        return answer.await;
    }
    app.tasks
        .spawn(answer)
        .await
        .unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn answer(app: App, context: Arc<Context>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let head = Head::of(&app, &request);
    let is_https = app.settings.is_https();
    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        // The panic's own message went to the log and stays there.
        Err(_) => Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
    };
    let problem = response
        .extensions_mut()
        .remove::<Problem>()
        .or_else(|| bare_status(&response));
    if let Some(problem) = problem {
        response = head.write_out(&problem, &context, &response);
    }
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    secure(response.headers_mut(), is_https);
    head.record(&context, response.status(), started);
    response
}

/// What a browser needs to be told of every answer.
fn secure(headers: &mut HeaderMap, is_https: bool) {
    const FIXED: [(HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in FIXED {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if is_https {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// The problem of an answer that the framework made: a status and perhaps plain text, which is not for our clients.
fn bare_status(response: &Response) -> Option<Problem> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_bare = content_type.is_none_or(|it| it.as_bytes().starts_with(b"text/plain"));
    (is_error && is_bare).then(|| Problem::of_status(status))
}

/// What is needed of a request after it was handed on.
struct Head {
    method: Method,
    /// The route's pattern: the path itself may hold a phone number or a secret.
    route: String,
    /// Whether a script asks for a part of a page.
    is_fragment: bool,
    address: String,
    path: String,
    /// The frame of a page that tells of a problem, if a person looks at the answer.
    frame: Option<Frame>,
}

impl Head {
    fn of(app: &App, request: &Request) -> Self {
        let uri = request.uri();
        let accepts_html = request
            .headers()
            .get(header::ACCEPT)
            .and_then(|it| it.to_str().ok())
            .is_some_and(|it| it.contains("text/html"));
        let is_page = accepts_html && !PROGRAMS.iter().any(|it| uri.path().starts_with(it));
        Self {
            method: request.method().clone(),
            route: request
                .extensions()
                .get::<MatchedPath>()
                .map_or_else(|| "none".to_owned(), |it| it.as_str().to_owned()),
            is_fragment: request.headers().contains_key(FRAGMENT),
            address: uri.to_string(),
            path: uri.path().to_owned(),
            frame: is_page.then(|| Frame::without_account(app, request.headers(), uri)),
        }
    }

    /// The answer that tells of a problem: a page for people, who are asked to sign in where that helps, and a
    /// document for programs. Headers that the answer has already stay.
    fn write_out(&self, problem: &Problem, context: &Context, answer: &Response) -> Response {
        let asks_to_sign_in = problem.status == StatusCode::UNAUTHORIZED
            && self.method == Method::GET
            && !self.is_fragment;
        let mut response = match &self.frame {
            Some(_) if asks_to_sign_in => {
                Redirect::to(&address("/login", &[("next", &self.address)])).into_response()
            }
            Some(frame) => {
                let view = ErrorPage {
                    page: frame.page(Section::None),
                    status: problem.status.as_u16(),
                    detail: problem.detail.clone(),
                    request_id: context.request_id.clone(),
                };
                reply::page(problem.status, &view)
            }
            None => Dialect::of(&self.path).write(problem, &self.path, &context.request_id),
        };
        problem.add_headers(&mut response);
        for (name, value) in answer.headers() {
            let is_about_the_body = [header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name);
            if !is_about_the_body && !response.headers().contains_key(name) {
                response.headers_mut().append(name, value.clone());
            }
        }
        response
    }

    fn record(&self, context: &Context, status: StatusCode, started: Instant) {
        let elapsed = started.elapsed();
        let labels = [
            ("method", self.method.to_string()),
            ("route", self.route.clone()),
            ("status", status.as_str().to_owned()),
        ];
        metrics::counter!("tollbook_http_requests_total", &labels).increment(1);
        metrics::histogram!("tollbook_http_request_seconds", "route" => self.route.clone())
            .record(elapsed.as_secs_f64());
        tracing::info!(
            method = %self.method,
            route = self.route,
            status = status.as_u16(),
            ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            request_id = context.request_id,
            trace_id = context.trace_id,
            principal = context.principal.get(),
            "request"
        );
    }
}
