//! A call as a document, the same in the API and on event streams.

use jiff::Timestamp;
use serde::Serialize;
use tollbook_core::calls::{Direction, Outcome, Phase, Provider};
use tollbook_core::ids::{CallId, PhoneNumberId};
use uuid::Uuid;

use super::read::CallFacts;

/// A call.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallDocument {
    #[schema(value_type = Uuid)]
    id: CallId,
    #[schema(value_type = String)]
    provider: Provider,
    #[schema(value_type = String)]
    direction: Direction,
    /// `queued`, `ringing`, `in_progress` or `ended`.
    #[schema(value_type = String)]
    state: Phase,
    /// How it ended; null until it has.
    #[schema(value_type = Option<String>)]
    outcome: Option<Outcome>,
    /// The other side: E.164, `anonymous`, or what the provider gave.
    with: String,
    from: String,
    to: String,
    #[schema(value_type = Option<Uuid>)]
    phone_number_id: Option<PhoneNumberId>,
    customer: Option<Named>,
    /// Who talked first.
    answered_by: Option<Named>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    answered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// What is billed for, in seconds; 0 until the call has ended.
    billable_seconds: i64,
}

/// A thing and what it is called.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Named {
    id: Uuid,
    name: String,
}

impl<Id: Into<Uuid>> From<(Id, String)> for Named {
    fn from((id, name): (Id, String)) -> Self {
        Self {
            id: id.into(),
            name,
        }
    }
}

impl From<CallFacts> for CallDocument {
    fn from(call: CallFacts) -> Self {
        Self {
            id: call.id,
            provider: call.provider,
            direction: call.direction,
            state: call.phase,
            outcome: call.outcome,
            with: call.external.to_string(),
            from: call.from,
            to: call.to,
            phone_number_id: call.phone_number,
            customer: call.customer.map(Named::from),
            answered_by: call.answered_by.map(Named::from),
            started_at: call.started_at,
            answered_at: call.answered_at,
            ended_at: call.ended_at,
            billable_seconds: call.billable_seconds,
        }
    }
}
