//! The ways in which a sandbox fails, on request.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};

/// Fault knobs. A count is for so many times and counts down; everything off is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Requests let through before the faults of requests begin.
    pub spare_next: u32,
    /// Requests answered with `fail_status` and not acted on.
    pub fail_next: u32,
    /// The status for `fail_next`; 500 where it is 0 or not a status.
    pub fail_status: u16,
    /// Requests answered 429.
    pub rate_limit_next: u32,
    /// Seconds stated in `Retry-After` with each 429; none at 0.
    pub retry_after_seconds: u32,
    /// Requests that are acted on and whose answer is lost.
    pub lose_answer_next: u32,
    /// Wait before each answer, in milliseconds.
    pub delay_ms: u64,
    /// Answers cut in half.
    pub malformed_answer_next: u32,
    /// The shape of refusals, where a provider has several.
    pub error_shape: ErrorShape,
    /// Webhooks never delivered.
    pub lose_webhook_next: u32,
    /// Kinds of event never delivered, such as `call.answered`.
    pub lose_kinds: Vec<String>,
    /// Webhooks delivered twice.
    pub duplicate_webhook_next: u32,
    /// Webhooks are delivered in another order than they arose in.
    pub reorder_webhooks: bool,
    /// Webhooks due so many seconds after what they tell of.
    pub delay_webhooks_seconds: u32,
    /// Attempts signed with a key that is not the hook's.
    pub wrong_signature_next: u32,
    /// Attempts with a body that is cut in half, and signed as such.
    pub malformed_webhook_next: u32,
    /// Attempts signed an hour ago.
    pub stale_signature_next: u32,
}

/// The three shapes in which the provider refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// As documented for the interface that is asked.
    #[default]
    Documented,
    /// Nested under `error`, as version 1 was seen to answer.
    Nested,
}

/// What happens to a request in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Fail(StatusCode),
    RateLimit,
}

/// What happens to an answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoilt {
    No,
    Lost,
    Cut,
}

impl Knobs {
    /// Whether faults pass the next request by, and which one else meets it.
    pub(crate) fn next_fault(&mut self) -> (bool, Option<Fault>) {
        if take(&mut self.spare_next) {
            return (true, None);
        }
        if take(&mut self.fail_next) {
            let status = StatusCode::from_u16(self.fail_status);
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return (false, Some(Fault::Fail(status)));
        }
        let is_limited = take(&mut self.rate_limit_next);
        (false, is_limited.then_some(Fault::RateLimit))
    }

    /// What happens to the next answer.
    pub(crate) fn next_spoilt(&mut self) -> Spoilt {
        if take(&mut self.lose_answer_next) {
            Spoilt::Lost
        } else if take(&mut self.malformed_answer_next) {
            Spoilt::Cut
        } else {
            Spoilt::No
        }
    }
}

/// Loses an answer, or cuts it in half.
pub(crate) async fn spoil(response: Response, spoilt: Spoilt) -> Response {
    match spoilt {
        Spoilt::No => response,
        Spoilt::Lost => {
            // A body that fails makes the server drop the connection.
            let broken = stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost")) });
            Response::new(Body::from_stream(broken))
        }
        Spoilt::Cut => {
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            let body = body.unwrap_or_default();
            (status, body.slice(..body.len() / 2)).into_response()
        }
    }
}

/// Takes one of a count.
pub(crate) fn take(count: &mut u32) -> bool {
    let is_left = *count > 0;
    *count = count.saturating_sub(1);
    is_left
}
