//! Which record continues which, when a caller is sent on from one of the organization's numbers to another.
//!
//! OpenPhone keeps one record per number then, and says on each to or from where the call went, but not to which
//! record. So the record is found: same person, matching numbers, the nearest that began before.

use std::collections::BTreeMap;

use super::leg::Leg;
use super::state::start_order;
use crate::phone::Party;
use crate::time::whole_seconds_between;

/// How long after the start of a call it may still be sent on. What began earlier is another call.
pub const FORWARD_WINDOW_SECONDS: i64 = 4 * 3600;

/// For each record that belongs to another: the other one.
pub(super) fn parents(legs: &BTreeMap<String, Leg>) -> BTreeMap<String, String> {
    let mut forwarded: BTreeMap<&Party, Vec<&Leg>> = BTreeMap::new();
    for leg in legs.values() {
        // Callers who withhold their numbers cannot be told apart.
        if let Some(party @ Party::Number(_)) = leg.external() {
            forwarded.entry(party).or_default().push(leg);
        }
    }
    let parent = |leg: &Leg| -> Option<String> {
        if let Some(parent) = leg.parent_sid() {
            return (parent != leg.sid()).then(|| parent.to_owned());
        }
        let same_person = forwarded.get(leg.external()?)?;
        let nearest = same_person
            .iter()
            .filter(|from| continues(leg, from))
            .max_by_key(|from| start_order(from))?;
        Some(nearest.sid().to_owned())
    };
    legs.iter()
        .filter_map(|(sid, leg)| Some((sid.clone(), parent(leg)?)))
        .collect()
}

/// Whether `leg` may be where the caller of `from` was sent on to.
fn continues(leg: &Leg, from: &Leg) -> bool {
    let (Some(ours), Some(theirs)) = (leg.our_number(), from.our_number()) else {
        return false;
    };
    let (Some(started), Some(from_started)) = (leg.started_at(), from.started_at()) else {
        return false;
    };
    let is_named = from.forwarded_to().and_then(Party::number) == Some(ours)
        || leg.forwarded_from().and_then(Party::number) == Some(theirs);
    let seconds = whole_seconds_between(from_started, started);
    let is_after = start_order(from) < start_order(leg) && seconds <= FORWARD_WINDOW_SECONDS;
    is_named && is_after && ours != theirs && from.parent_sid().is_none()
}
