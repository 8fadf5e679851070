//! Rating again what a correction or a late arrival changes for others.

use jiff::Timestamp;

use super::charge::Rated;
use super::order::{counts_over_period, sort_canonically};
use super::rate::{Error, rate};
use super::state::State;
use super::terms::Terms;
use super::usage::Usage;
use crate::ids::UsageEventId;

/// Where a usage stands in canonical order: when it began, then its id.
pub type Place = (Timestamp, UsageEventId);

/// A usage that is to be rated now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Where it stands.
    pub place: Place,
    /// Where it stood when it was rated before, if it was: what it drew then falls to others now.
    pub before: Option<Place>,
}

/// Whether a usage leaves anything that the price of another depends on: an allowance drawn on, a tier or package
/// counted. Without that a correction concerns nothing but itself.
pub fn leaves_traces(terms: &Terms) -> bool {
    let counts = |rate: &super::terms::RateTerms| counts_over_period(&rate.rate);
    !terms.allowances.is_empty()
        || terms
            .prices
            .iter()
            .any(|price| price.rates.iter().any(counts))
}

/// From which place on an account has to be rated again in canonical order; `None` if each usage is rated by itself.
///
/// `in_force` are the places of what is rated already, in the order in which it was rated. Where order matters, that is
/// canonical order, and a usage that comes before something rated makes the rest be rated again.
///
/// A correction takes back what the usage drew and counted, whatever the order. What stays must then be what was rated
/// first: a later usage was rated on the tiers and allowance that an earlier one left, so it cannot stay when that one
/// is taken back. Hence everything that is rated again is the end of both orders, that of time and that of rating.
pub fn rerate_from(
    change: Change,
    in_force: &[Place],
    order_matters: bool,
    leaves_traces: bool,
) -> Option<Place> {
    let Some(before) = change.before else {
        let is_late = in_force.iter().any(|place| *place > change.place);
        return (order_matters && is_late).then_some(change.place);
    };
    if !leaves_traces {
        return None;
    }
    let mut from = before.min(change.place);
    loop {
        let taken_back = in_force.iter().skip_while(|place| **place < from);
        match taken_back.min() {
            Some(lowest) if *lowest < from => from = *lowest,
            Some(_) | None => return Some(from),
        }
    }
}

/// A usage with its rating in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The usage as it is now.
    pub usage: Usage,
    /// How it was rated; `None` if it was not yet.
    pub rated: Option<Rated>,
}

/// Rates a tail again in canonical order, in which `tail` ends: first everything that is in force of it is taken back
/// from `state`, then each is rated on what those before it leave. `state` is left as the last one leaves it.
///
/// Gives the new rating of each usage that is charged differently; `None` where what is in force stays.
pub fn rerate(
    tail: &mut [InForce],
    terms: &Terms,
    state: &mut State,
) -> Result<Vec<Option<Rated>>, Error> {
    for rated in tail.iter().filter_map(|entry| entry.rated.as_ref()) {
        state.revert(rated)?;
    }
    sort_canonically(tail, |entry| &entry.usage);
    let mut changes = Vec::with_capacity(tail.len());
    for entry in tail {
        let rated = rate(&entry.usage, terms, state)?;
        state.apply(&rated)?;
        let stays = match &entry.rated {
            Some(before) => before.charges_the_same(&rated)?,
            None => false,
        };
        changes.push((!stays).then_some(rated));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn place(second: i64) -> Place {
        (
            Timestamp::from_second(second).unwrap(),
            UsageEventId::new(Uuid::nil()),
        )
    }

    fn from(now: i64, before: Option<i64>, in_force: &[i64], order_matters: bool) -> Option<i64> {
        let in_force: Vec<Place> = in_force.iter().copied().map(place).collect();
        let change = Change {
            place: place(now),
            before: before.map(place),
        };
        rerate_from(change, &in_force, order_matters, true).map(|(at, _)| at.as_second())
    }

    #[test]
    fn what_comes_late_matters_only_where_order_does() {
        assert_eq!(from(5, None, &[1, 3, 9], true), Some(5));
        assert_eq!(from(10, None, &[1, 3, 9], true), None);
        assert_eq!(from(5, None, &[9, 1, 3], false), None);
    }

    #[test]
    fn a_correction_concerns_all_that_was_rated_after_it() {
        assert_eq!(from(5, Some(5), &[1, 5, 9], true), Some(5));
        // It moved to another time.
        assert_eq!(from(2, Some(5), &[1, 5, 9], true), Some(2));
        assert_eq!(from(7, Some(5), &[1, 5, 9], true), Some(5));
        // 3 was rated after it, on what it had left.
        assert_eq!(from(5, Some(5), &[1, 5, 3, 7], false), Some(3));
        // So was all that was rated after 9, which is taken back too.
        assert_eq!(from(5, Some(5), &[2, 9, 3, 5, 7], false), Some(3));
        assert_eq!(from(5, Some(5), &[4, 9, 5, 1], false), Some(1));
        let change = Change {
            place: place(5),
            before: Some(place(5)),
        };
        assert_eq!(rerate_from(change, &[place(5)], false, false), None);
    }
}
