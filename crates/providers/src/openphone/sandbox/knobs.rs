//! The ways in which the sandbox fails, on request.

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
    /// The shape of refusals.
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

/// Takes one of a count.
pub(super) fn take(count: &mut u32) -> bool {
    let is_left = *count > 0;
    *count = count.saturating_sub(1);
    is_left
}
