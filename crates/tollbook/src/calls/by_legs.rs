//! What the legs of calls say of them, to be compared with the rows.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::{Leg, Outcome, Phase, group};
use tollbook_core::ids::{CallId, OrganizationId};

use super::row::ended_at;
use super::store;
use crate::error::Result;

/// How far a call is, how it ended, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ByLegs {
    pub(crate) phase: Phase,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) started_at: Timestamp,
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
}

/// The calls as their legs say; those without legs are left out.
pub(crate) async fn by_legs(
    tx: &mut PgConnection,
    calls: &[(OrganizationId, CallId)],
) -> Result<HashMap<CallId, ByLegs>> {
    let mut legs: HashMap<CallId, Vec<Leg>> = HashMap::new();
    for stored in store::legs_of_calls(tx, calls).await? {
        legs.entry(stored.call).or_default().push(stored.leg);
    }
    let calls = legs.into_iter().filter_map(|(id, legs)| {
        let call = group(legs).into_iter().next()?;
        let state = call.state();
        let by_legs = ByLegs {
            phase: state.phase,
            outcome: state.outcome,
            started_at: state.started_at,
            answered_at: state.answered_at,
            ended_at: ended_at(&call),
        };
        Some((id, by_legs))
    });
    Ok(calls.collect())
}
