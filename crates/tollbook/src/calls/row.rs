//! The row that a call is.

use std::collections::HashMap;

use jiff::Timestamp;
use tollbook_core::calls::{Call, Check, Direction, Outcome, Phase, next_check};
use tollbook_core::ids::{CustomerId, OrganizationId, UserId};

use tollbook_core::phone::{E164, Party};

use super::desk::Plan;
use super::store::{CallRow, StoredCall};
use crate::customers::Caller;
use crate::ids::new_id;
use crate::metering::Attribution;
use crate::numbers::{Line, LineKey};

/// A call with everything that was looked up for it.
pub(super) struct Found<'a> {
    pub(super) plan: &'a Plan,
    pub(super) known: Option<&'a StoredCall>,
    pub(super) line: Option<&'a Line>,
    pub(super) customer: Option<CustomerId>,
    pub(super) users: &'a HashMap<(OrganizationId, String), UserId>,
}

/// How the provider names the line that the call is on.
pub(super) fn line_key(plan: &Plan) -> LineKey {
    let state = plan.call.state();
    LineKey {
        provider: plan.source.provider,
        sid: state.number_sid,
        e164: state.our_number,
        at: state.started_at,
    }
}

/// Who is to be recognized: the person on the other side. Whoever calls in becomes a prospect if nobody knows them.
pub(super) fn caller(plan: &Plan) -> Option<Caller> {
    let state = plan.call.state();
    let Some(Party::Number(number)) = state.external else {
        return None;
    };
    Some(Caller {
        organization: plan.organization,
        number,
        at: state.started_at,
        is_incoming: state.direction != Some(Direction::Outgoing),
    })
}

/// The row of a call.
pub(super) fn row(found: &Found<'_>) -> CallRow {
    let Found {
        plan,
        known,
        line,
        customer,
        users,
    } = *found;
    let state = plan.call.state();
    let talked: Vec<UserId> = state
        .user_sids
        .iter()
        .filter_map(|sid| users.get(&(plan.organization, sid.clone())).copied())
        .collect();
    let direction = state.direction.unwrap_or(Direction::Incoming);
    let ours = state
        .our_number
        .as_ref()
        .or(line.map(|l| &l.e164))
        .map(E164::to_string)
        .unwrap_or_default();
    let external = party(state.external.as_ref());
    let (from_party, to_party) = match direction {
        Direction::Incoming => (external.clone(), ours),
        Direction::Outgoing => (ours, external.clone()),
    };
    // What was asked for before the call went on, or before another record joined it, says nothing about how long to
    // wait now.
    let leg_count = plan.call.legs().len();
    let fetches = known
        .filter(|k| k.phase == state.phase && k.leg_count == leg_count)
        .map_or(0, |k| k.fetches);
    CallRow {
        organization_id: plan.organization,
        id: known.map(|k| k.id).or(plan.known).unwrap_or_else(new_id),
        provider: plan.source.provider,
        conversation_sid: state.root_sid.clone(),
        integration_id: plan.source.integration,
        phone_number_id: line.map(|l| l.number),
        mapping_id: line
            .filter(|l| l.organization == plan.organization)
            .map(|l| l.mapping),
        direction,
        state: state.phase,
        outcome: state.outcome,
        external_party: external,
        from_party,
        to_party,
        customer_id: customer,
        answered_by: talked.first().copied(),
        started_at: state.started_at,
        answered_at: state.answered_at,
        ended_at: ended_at(&plan.call),
        billable_seconds: state.billable.map_or(0, |s| i64::from(s.get())),
        leg_count,
        check_at: next_check(&plan.call, fetches).map(|check| match check {
            Check::Fetch { at, .. } | Check::Sweep { at, .. } => at,
        }),
        swept_at: state.swept_at,
        fetches,
        viewer_ids: viewers(state.phase, state.outcome, direction, talked, line),
    }
}

/// A call that was given up has no end of its own: it ends where it was last heard of.
pub(super) fn ended_at(call: &Call) -> Option<Timestamp> {
    let state = call.state();
    (state.phase == Phase::Ended).then(|| {
        let end = state
            .ended_at
            .or(state.answered_at)
            .unwrap_or(state.started_at);
        state.answered_at.map_or(end, |answered| end.max(answered))
    })
}

/// Members see the calls that they made or answered, and those on their numbers that nobody has answered. While a call
/// is on, everybody on its number sees who has it.
fn viewers(
    phase: Phase,
    outcome: Option<Outcome>,
    direction: Direction,
    talked: Vec<UserId>,
    line: Option<&Line>,
) -> Vec<UserId> {
    let is_settled = phase == Phase::Ended && outcome == Some(Outcome::Answered);
    let mut viewers = talked;
    if !is_settled && direction == Direction::Incoming {
        viewers.extend(line.iter().flat_map(|l| l.users.iter().copied()));
    }
    viewers.sort_unstable();
    viewers.dedup();
    viewers
}

/// The other side as text.
pub(super) fn party(party: Option<&Party>) -> String {
    party.map(|p| p.as_str().to_owned()).unwrap_or_default()
}

/// To whom a call is attributed.
pub(super) fn attribution(row: &CallRow) -> Attribution {
    Attribution {
        user: row.answered_by,
        mapping: row.mapping_id,
        customer: row.customer_id,
    }
}
