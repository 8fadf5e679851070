//! The form in which an address tells of a problem: what Supabase's clients call speaks as Supabase does, everything
//! else in problem documents.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::problem::Problem;

/// How a client reads errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// RFC 9457.
    Problem,
    /// As PostgREST does, under `/rest`.
    Rest,
    /// As edge functions do, under `/functions`.
    Function,
}

/// An error of PostgREST. All four keys are always there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RestError {
    /// `PGRST…`, or PostgreSQL's own code.
    pub(crate) code: String,
    pub(crate) details: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) message: String,
}

impl RestError {
    /// The answer with this error.
    pub(crate) fn with_status(self, status: StatusCode) -> Response {
        (status, Json(self)).into_response()
    }
}

#[derive(Serialize)]
struct FunctionError<'a> {
    success: bool,
    error: &'a str,
}

impl Dialect {
    /// Of an address.
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/rest/") {
            Self::Rest
        } else if path.starts_with("/functions/") {
            Self::Function
        } else {
            Self::Problem
        }
    }

    /// The answer to the request `request_id` for `path`.
    pub(crate) fn write(self, problem: &Problem, path: &str, request_id: &str) -> Response {
        match self {
            Self::Problem => problem.document(request_id),
            Self::Rest => rest(problem, path).with_status(problem.status),
            Self::Function => {
                let error = FunctionError {
                    success: false,
                    error: &problem.detail,
                };
                (function_status(problem.status), Json(error)).into_response()
            }
        }
    }
}

/// What is wrong with a request is 400; who may not, what is not there and what fails keep their status.
fn function_status(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::CONFLICT
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
        other => other,
    }
}

fn rest(problem: &Problem, path: &str) -> RestError {
    let unknown = path.strip_prefix("/rest/v1/rpc/").map_or_else(
        || {
            let table = path.trim_start_matches("/rest/v1/");
            let message = format!("Could not find the table 'public.{table}' in the schema cache");
            ("PGRST205", message)
        },
        |function| {
            let message =
                format!("Could not find the function public.{function} in the schema cache");
            ("PGRST202", message)
        },
    );
    let (code, message) = match problem.status {
        _ if problem.code.starts_with("PGRST") => (problem.code, problem.detail.clone()),
        StatusCode::NOT_FOUND => unknown,
        status => (code(status), problem.detail.clone()),
    };
    RestError {
        code: code.to_owned(),
        details: None,
        hint: None,
        message,
    }
}

/// The code that PostgREST has for a status, where the status is all that is known.
fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "PGRST302",
        StatusCode::FORBIDDEN => "42501",
        StatusCode::METHOD_NOT_ALLOWED => "PGRST101",
        StatusCode::NOT_ACCEPTABLE => "PGRST107",
        StatusCode::CONFLICT => "23505",
        StatusCode::UNPROCESSABLE_ENTITY => "22023",
        StatusCode::SERVICE_UNAVAILABLE => "PGRST001",
        status if status.is_server_error() => "XX000",
        _ => "PGRST102",
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn said(path: &str, status: StatusCode) -> (u16, String) {
        let answer = Dialect::of(path).write(&Problem::new(status, "no"), path, "r");
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn each_client_is_told_in_its_own_way() {
        let (status, body) = said("/rest/v1/rpc/nothing", StatusCode::NOT_FOUND).await;
        assert_eq!(status, 404);
        assert_eq!(
            body,
            r#"{"code":"PGRST202","details":null,"hint":null,"message":"Could not find the function public.nothing in the schema cache"}"#
        );
        let (_, body) = said("/rest/v1/nothing", StatusCode::NOT_FOUND).await;
        assert!(
            body.contains("PGRST205") && body.contains("'public.nothing'"),
            "{body}"
        );
        let (status, body) = said("/functions/v1/x", StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(
            (status, body.as_str()),
            (400, r#"{"success":false,"error":"no"}"#)
        );
        let (status, body) = said("/api/x", StatusCode::UNPROCESSABLE_ENTITY).await;
        assert!(
            status == 422 && body.contains(r#""requestId":"r""#),
            "{body}"
        );
    }
}
