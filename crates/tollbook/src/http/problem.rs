//! Errors as RFC 9457 problem documents for programs, and as pages for people.
//!
//! A handler's error becomes an answer without a body that carries a [`Problem`]; the outermost middleware, which
//! knows the request's id and what the client accepts, writes it out with [`Problem::document`] or as a page.

use std::error::Error as _;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::{Error, FieldError};

/// What went wrong, as a client may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The answer's status.
    pub(crate) status: StatusCode,
    /// What a program decides by; stable, in `snake_case`.
    pub(crate) code: &'static str,
    /// What a person reads: one sentence.
    pub(crate) detail: String,
    /// The fields that are invalid.
    pub(crate) errors: Vec<FieldError>,
    /// Seconds to wait before another try.
    pub(crate) retry_after: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    // The same sentence again: clients of the older systems read it here.
    error: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem that is all in its status and sentence.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code(status),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// The problem of an answer that the framework made from a status alone.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::NOT_FOUND => "there is nothing at this address",
            StatusCode::METHOD_NOT_ALLOWED => "this address does not take that method",
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body has a type that is not taken here",
            StatusCode::BAD_REQUEST => "the request is malformed",
            status if status.is_server_error() => "something went wrong on our side",
            _ => "the request cannot be answered",
        };
        Self::new(status, detail)
    }

    /// The problem document of the request `request_id`.
    pub(crate) fn document(&self, request_id: &str) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            error: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
        };
        let mut response = (self.status, Json(document)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }

    /// Headers that say the same to the client's machinery.
    pub(crate) fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let problem = |status| Self::new(status, error.to_string());
        match error {
            Error::Malformed(_) => problem(StatusCode::BAD_REQUEST),
            Error::Unauthorized(_) => problem(StatusCode::UNAUTHORIZED),
            Error::Forbidden(_) => problem(StatusCode::FORBIDDEN),
            Error::NotFound(_) => problem(StatusCode::NOT_FOUND),
            Error::Conflict { code, .. } => Self {
                code,
                ..problem(StatusCode::CONFLICT)
            },
            Error::Invalid(errors) => Self {
                errors: errors.clone(),
                ..problem(StatusCode::UNPROCESSABLE_ENTITY)
            },
            Error::RateLimited { retry_after } => Self {
                retry_after: Some(retry_after.as_secs().max(1)),
                ..problem(StatusCode::TOO_MANY_REQUESTS)
            },
            Error::Unavailable(_) => Self {
                retry_after: Some(5),
                ..problem(StatusCode::SERVICE_UNAVAILABLE)
            },
            Error::Database(_) if error.is_transient() => Self {
                retry_after: Some(1),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the database does not answer at the moment",
                )
            },
            Error::Provider(provider) => of_provider(provider),
            Error::Database(_) | Error::Internal(_) => {
                Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// The problem of a provider's answer, or of having none.
fn of_provider(error: &tollbook_providers::Error) -> Problem {
    use tollbook_providers::Error as Provider;
    let (status, code, retry_after) = match error {
        Provider::RateLimited { retry_after } => {
            let seconds = retry_after.map_or(30, |it| it.as_secs().max(1));
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "provider_busy",
                Some(seconds),
            )
        }
        Provider::Unavailable { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "provider_unavailable",
            Some(5),
        ),
        Provider::Unauthorized | Provider::Rejected { .. } | Provider::Malformed(_) => {
            (StatusCode::BAD_GATEWAY, "provider_refused", None)
        }
    };
    let detail = match error {
        Provider::Rejected { message, .. } => {
            format!("the provider refused the request: {message}")
        }
        other => other.to_string(),
    };
    Problem {
        code,
        retry_after,
        ..Problem::new(status, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = Problem::from(&self);
        if problem.status.is_server_error() {
            let request_id = super::context::current().map(|it| it.request_id.clone());
            // The chain of causes is for us alone; the client gets the problem.
            tracing::error!(error = %self, cause = self.source().map(tracing::field::display), request_id, "a request failed");
        }
        problem.into_response()
    }
}

fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "malformed",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::CONFLICT => "conflict",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
        StatusCode::UNPROCESSABLE_ENTITY => "invalid",
        StatusCode::TOO_MANY_REQUESTS => "rate_limited",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        _ => "internal",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_document_names_the_fields_and_repeats_its_sentence() {
        let problem = Problem::from(&Error::invalid("items[2].quantity", "must be positive"));
        let response = problem.document("req-1");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        insta::assert_snapshot!(String::from_utf8(body.to_vec()).unwrap(), @r#"{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"`items[2].quantity` must be positive","error":"`items[2].quantity` must be positive","code":"invalid","requestId":"req-1","errors":[{"field":"items[2].quantity","message":"must be positive"}]}"#);
    }

    #[test]
    fn what_the_database_said_stays_inside() {
        let problem = Problem::from(&Error::Database(sqlx::Error::ColumnNotFound(
            "secret_column".to_owned(),
        )));
        assert_eq!(problem.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.detail.contains("secret_column"));
        let problem = Problem::from(&Error::Internal("key 1234".to_owned()));
        assert!(!problem.detail.contains("1234"));
    }

    #[test]
    fn what_may_work_a_moment_later_says_when() {
        let transient = Problem::from(&Error::Database(sqlx::Error::PoolTimedOut));
        assert_eq!(
            (transient.status, transient.retry_after),
            (StatusCode::SERVICE_UNAVAILABLE, Some(1))
        );
        let limited = Problem::from(&Error::RateLimited {
            retry_after: Duration::from_millis(20),
        });
        assert_eq!(
            (limited.status, limited.retry_after),
            (StatusCode::TOO_MANY_REQUESTS, Some(1))
        );
        let mut response = StatusCode::OK.into_response();
        limited.add_headers(&mut response);
        assert_eq!(response.headers()["retry-after"], "1");
    }
}
