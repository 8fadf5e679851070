//! What calls in progress may come to: what is set aside for each of them, and how long one more may last.
//!
//! Calls end in any order, and any of them early. What is set aside for all is enough for whatever becomes of them, as
//! long as the terms promise that more usage never costs less.

use std::ptr;

use jiff::Timestamp;

use super::limit::longest_of;
use crate::money::{Currency, Fraction, Money, Overflow, Quantity};
use crate::rating::{Error, State, Terms, Usage, order_matters, priced_alike_until, rate};

/// A call that was let through.
#[derive(Debug, Clone)]
pub struct InProgress<'a> {
    /// What is called, and when; its quantity is how many seconds it may last.
    pub call: Usage,
    /// What it is charged on.
    pub terms: &'a Terms,
    /// Start of the period whose tier totals it counts in.
    pub period_start: Timestamp,
    /// Set aside for it so far.
    pub aside: Money,
}

/// What is set aside for a call, and what it may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Set aside so far.
    pub aside: Money,
    /// Exact, in major units; `None` while a price is not known, and then what is set aside stays.
    pub cost: Option<Fraction>,
}

/// One more call, or a longer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// How long it may last, in seconds: never more than was wanted; 0 if it may not begin.
    pub seconds: u32,
    /// What is to be set aside for it.
    pub amount: Money,
    /// What is then to be set aside for each of the others, in order.
    pub others: Vec<Money>,
}

impl InProgress<'_> {
    fn lasting(&self, seconds: u32) -> Self {
        let call = Usage {
            quantity: Quantity::from_units(seconds),
            is_time: true,
            ..self.call.clone()
        };
        Self {
            call,
            ..self.clone()
        }
    }

    /// The same account in this call's period.
    fn state(&self, state: &State) -> State {
        State {
            period_start: self.period_start,
            ..state.clone()
        }
    }

    /// What it costs as it is; `None` if that is not known, or has no price.
    fn cost(&self, state: &State) -> Result<Option<Fraction>, Error> {
        match rate(&self.call, self.terms, state) {
            Ok(rated) => Ok(rated.total()?),
            Err(Error::NoDestination(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What it costs at most, however early it ends.
    fn dearest(&self, state: &State) -> Result<Option<Fraction>, Error> {
        let state = &self.state(state);
        let seconds = u32::try_from(self.call.quantity.to_fraction().ceil());
        let seconds = seconds.map_err(|_| Overflow)?;
        if self
            .terms
            .cost_never_falls(&self.call.meter, self.call.direction)
        {
            return self.cost(state);
        }
        let (mut dearest, mut length) = (Fraction::ZERO, 0_u32);
        while length < seconds {
            length = length.saturating_add(1);
            match self.lasting(length).cost(state)? {
                Some(cost) => dearest = dearest.max(cost),
                None => return Ok(None),
            }
            length = priced_alike_until(&self.call, self.terms, length)?;
        }
        Ok(Some(dearest))
    }
}

/// What each of the calls of one account may come to beside the others, at most: exact, in major units, in order.
///
/// Where it does not matter in which order calls are charged, each is priced on what those before it leave. Where it
/// does, nobody counts on included time that is not enough for all: another call may end first and take it.
pub fn costs(open: &[InProgress<'_>], state: &State) -> Result<Vec<Option<Fraction>>, Error> {
    let (in_order, after) = in_order(open, state)?;
    if !is_ordered(open) || is_all_covered(&in_order) {
        return Ok(in_order);
    }
    let worst = [bare(state), bare(&after)];
    open.iter()
        .zip(in_order)
        .map(|(one, cost)| {
            worst.iter().try_fold(cost, |most, state| {
                let next = one.dearest(state)?;
                Ok(most.zip(next).map(|(most, next)| most.max(next)))
            })
        })
        .collect()
}

/// Shares out what is available beside what is set aside already: to each what it may come to, up to a whole minor unit.
/// Nobody loses what they need; what is not there is missing at the end.
pub fn share(
    holds: &[Hold],
    available: Fraction,
    currency: Currency,
) -> Result<Vec<Money>, Overflow> {
    let wanted = holds
        .iter()
        .map(|hold| match hold.cost {
            Some(cost) => minor_up(cost, currency),
            None => Ok(hold.aside.minor()),
        })
        .collect::<Result<Vec<i64>, Overflow>>()?;
    let mut left = minor_down(available, currency)?;
    for (hold, wanted) in holds.iter().zip(&wanted) {
        let given_back = hold.aside.minor().saturating_sub(*wanted).max(0);
        left = left.checked_add(given_back).ok_or(Overflow)?;
    }
    let amounts = holds.iter().zip(wanted).map(|(hold, wanted)| {
        let grows = wanted.saturating_sub(hold.aside.minor()).max(0);
        let grows_by = grows.min(left.max(0));
        left = left.saturating_sub(grows_by);
        let kept = hold.aside.minor().min(wanted);
        Money::from_minor(kept.saturating_add(grows_by), currency)
    });
    Ok(amounts.collect())
}

/// What a call needs, in whole minor units, where nothing limits what may be set aside for it.
pub fn in_full(hold: Hold) -> Result<Money, Overflow> {
    match hold.cost {
        Some(cost) => {
            let currency = hold.aside.currency();
            Ok(Money::from_minor(minor_up(cost, currency)?, currency))
        }
        None => Ok(hold.aside),
    }
}

/// Lets a call through for at most `wanted` seconds, or on for so many in all. `open` are the other calls of the
/// account, and `available` is what of its credit is neither spent nor set aside for any of them; without it nobody pays
/// in advance, and only what has no price is refused.
///
/// Every length up to the promised one costs no more than what is set aside for it.
pub fn promise(
    call: &InProgress<'_>,
    wanted: u32,
    open: &[InProgress<'_>],
    state: &State,
    available: Option<Fraction>,
) -> Result<Promise, Error> {
    rate(&call.lasting(1).call, call.terms, &call.state(state))?;
    let Some(available) = available else {
        return Ok(Promise {
            seconds: wanted,
            amount: call.aside,
            others: open.iter().map(|one| one.aside).collect(),
        });
    };
    let seconds = longest(call, wanted, open, state, available)?;
    let mut all = open.to_vec();
    all.push(call.lasting(seconds));
    let holds = holds(&all, costs(&all, state)?);
    let mut others = share(&holds, available, call.terms.currency())?;
    let amount = others.pop().unwrap_or(call.aside);
    Ok(Promise {
        seconds,
        amount,
        others,
    })
}

fn longest(
    call: &InProgress<'_>,
    wanted: u32,
    open: &[InProgress<'_>],
    state: &State,
    available: Fraction,
) -> Result<u32, Error> {
    let (before, after) = in_order(open, state)?;
    let within = |states: &[State], most: i64| {
        let affordable = |seconds: u32| {
            let call = call.lasting(seconds);
            for state in states {
                let cost = call.cost(state)?;
                let cost = cost.map(|cost| minor_up(cost, call.terms.currency()));
                // A price that is not known yet cannot be promised.
                if cost.transpose()?.is_none_or(|cost| cost > most) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        longest_of(&call.call, call.terms, wanted, affordable)
    };
    let mut all = open.to_vec();
    all.push(call.lasting(wanted));
    if !is_ordered(&all) {
        let left = left_beside(call, open, before, available)?;
        return within(&[call.state(&after)], left);
    }
    // Either there is included time for all of them, or nobody counts on it.
    let included = if is_all_covered(&before) {
        within(&[call.state(&after)], 0)?
    } else {
        0
    };
    let others = costs(&all, state)?.into_iter().take(open.len()).collect();
    let left = left_beside(call, open, others, available)?;
    let (_, after_all) = in_order(&all, state)?;
    let states = [&after, &bare(state), &bare(&after_all)].map(|state| call.state(state));
    Ok(within(&states, left)?.max(included))
}

/// What the call may come to, in minor units, once the others have what they may come to.
fn left_beside(
    call: &InProgress<'_>,
    open: &[InProgress<'_>],
    costs: Vec<Option<Fraction>>,
    available: Fraction,
) -> Result<i64, Error> {
    let currency = call.terms.currency();
    let mut left = minor_down(available, currency)?;
    let holds = holds(open, costs);
    for (hold, amount) in holds.iter().zip(share(&holds, available, currency)?) {
        let grown = amount.minor().saturating_sub(hold.aside.minor());
        left = left.saturating_sub(grown);
    }
    Ok(left.max(0).saturating_add(call.aside.minor()))
}

fn holds(open: &[InProgress<'_>], costs: Vec<Option<Fraction>>) -> Vec<Hold> {
    let hold = |(one, cost): (&InProgress<'_>, _)| Hold {
        aside: one.aside,
        cost,
    };
    open.iter().zip(costs).map(hold).collect()
}

/// What each costs at most on what those before it leave, and what all of them leave.
fn in_order(
    open: &[InProgress<'_>],
    state: &State,
) -> Result<(Vec<Option<Fraction>>, State), Error> {
    let mut after = state.clone();
    let mut costs = Vec::with_capacity(open.len());
    for one in open {
        costs.push(one.dearest(&after)?);
        after.period_start = one.period_start;
        match rate(&one.call, one.terms, &after) {
            Ok(rated) => after.apply(&rated)?,
            Err(Error::NoDestination(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((costs, after))
}

/// Whether it matters which of the calls is charged first.
fn is_ordered(open: &[InProgress<'_>]) -> bool {
    let Some((first, others)) = open.split_first() else {
        return false;
    };
    let differs = |one: &InProgress<'_>| !ptr::eq(one.terms, first.terms);
    !others.is_empty() && (others.iter().any(differs) || order_matters(first.terms))
}

fn is_all_covered(costs: &[Option<Fraction>]) -> bool {
    costs.iter().all(|cost| cost.is_some_and(Fraction::is_zero))
}

/// The account without anything included.
fn bare(state: &State) -> State {
    State {
        grants: Vec::new(),
        ..state.clone()
    }
}

/// In whole minor units, never less than it is.
fn minor_up(amount: Fraction, currency: Currency) -> Result<i64, Overflow> {
    let minor = amount.checked_mul(Fraction::from_whole(currency.minor_per_major()))?;
    i64::try_from(minor.ceil().max(0)).map_err(|_| Overflow)
}

/// In whole minor units, never more than it is.
fn minor_down(amount: Fraction, currency: Currency) -> Result<i64, Overflow> {
    let minor = amount.checked_mul(Fraction::from_whole(currency.minor_per_major()))?;
    i64::try_from(minor.floor()).map_err(|_| Overflow)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::ids::{GrantId, UsageEventId};
    use crate::metering::BuiltInMeter;
    use crate::plans::Offer;
    use crate::rating::{Grant, ProviderCost, Surroundings};

    const MINUTE: &str = r#""increment":"60/60","rate":{"per_unit":{"price":"0.10","per":60}}"#;

    fn terms(price: &str) -> Terms {
        let json = format!(
            r#"{{"currency":"USD","prices":[{{"key":"c","meter":"CALL_DURATION_SECONDS",{price}}}],
            "allowances":[{{"key":"x","meters":["CALL_DURATION_SECONDS"],"quantity":1}}]}}"#
        );
        let offer = Offer::read(json.as_bytes()).unwrap();
        let surroundings = Surroundings {
            decks: [("world".parse().unwrap(), Arc::default())].into(),
            ..Surroundings::default()
        };
        Terms::new(&offer.document, &surroundings).unwrap()
    }

    /// An account with so many seconds included.
    fn state(included: u32) -> State {
        let at = "2026-01-05T12:00:00Z".parse().unwrap();
        let mut state = State::new(at);
        state.grants.push(Grant {
            id: GrantId::new(Uuid::nil()),
            allowance_key: "x".parse().unwrap(),
            granted: Quantity::from_units(included),
            used: Quantity::ZERO,
            forfeited: Quantity::ZERO,
            starts_at: at,
            expires_at: "2026-02-01T00:00:00Z".parse().unwrap(),
        });
        state
    }

    fn call(terms: &Terms, seconds: u32, aside: i64) -> InProgress<'_> {
        let at = "2026-01-05T12:00:00Z".parse().unwrap();
        InProgress {
            call: Usage {
                id: UsageEventId::new(Uuid::nil()),
                meter: BuiltInMeter::CallDurationSeconds.code(),
                quantity: Quantity::from_units(seconds),
                occurred_at: at,
                is_time: true,
                direction: None,
                destination: None,
                provider_cost: ProviderCost::Pending,
            },
            terms,
            period_start: at,
            aside: Money::from_minor(aside, Currency::USD),
        }
    }

    fn cents(minor: i128) -> Fraction {
        Fraction::new(minor, 100).unwrap()
    }

    /// Seconds, what is set aside for it, and for the others.
    fn promised(
        call: &InProgress<'_>,
        open: &[InProgress<'_>],
        included: u32,
        available: i128,
    ) -> (u32, i64, Vec<i64>) {
        let it = promise(call, 600, open, &state(included), Some(cents(available))).unwrap();
        let others = it.others.iter().map(|amount| amount.minor()).collect();
        (it.seconds, it.amount.minor(), others)
    }

    #[test]
    fn a_call_begins_on_what_the_others_leave() {
        let terms = terms(MINUTE);
        let new = call(&terms, 0, 0);
        assert_eq!(promised(&new, &[], 120, 35), (300, 30, vec![]));
        let open = [call(&terms, 90, 0)];
        // A minute and a half is two started minutes: nothing that is included is left.
        assert_eq!(promised(&new, &open, 120, 35), (180, 30, vec![0]));
        assert_eq!(promised(&new, &open, 0, 15), (0, 0, vec![15]));
        assert_eq!(promised(&new, &[], 0, -5), (0, 0, vec![]));
        // On for longer, on what is set aside for it already.
        let longer = call(&terms, 60, 10);
        assert_eq!(promised(&longer, &[], 0, 20), (180, 30, vec![]));
    }

    #[test]
    fn nobody_counts_on_included_time_that_is_not_enough_for_all_where_each_call_has_a_fee() {
        let terms = terms(&format!(r#""connectionFee":"0.50",{MINUTE}"#));
        let new = call(&terms, 0, 0);
        let open = [call(&terms, 60, 0)];
        assert_eq!(promised(&new, &open, 660, 0), (600, 0, vec![0]));
        // Ten more minutes are not included. Either there is credit for the fee of both, or the call is shorter.
        assert_eq!(promised(&new, &open, 300, 1_000), (600, 150, vec![60]));
        assert_eq!(promised(&new, &open, 300, 100), (240, 0, vec![0]));
    }

    #[test]
    fn who_pays_by_invoice_is_limited_by_nothing() {
        let terms = terms(MINUTE);
        let it = promise(&call(&terms, 0, 0), 600, &[], &state(0), None).unwrap();
        assert_eq!((it.seconds, it.amount.minor()), (600, 0));
    }

    #[test]
    fn what_has_no_price_is_refused_and_what_has_none_yet_is_not_promised() {
        let nowhere = terms(r#""rate":{"deck":{"deck":"world"}}"#);
        for available in [None, Some(cents(100))] {
            let refused = promise(&call(&nowhere, 0, 0), 600, &[], &state(0), available);
            assert!(matches!(refused, Err(Error::NoDestination(_))));
        }
        let pending = terms(r#""rate":{"cost_plus":{"percent":20}}"#);
        let new = call(&pending, 0, 0);
        assert_eq!(promised(&new, &[], 90, 100), (90, 0, vec![]));
        let open = [call(&pending, 60, 7)];
        assert_eq!(costs(&open, &state(0)), Ok(vec![None]));
        let holds = holds(&open, vec![None]);
        let kept = share(&holds, cents(100), Currency::USD).unwrap();
        assert_eq!(kept, [Money::from_minor(7, Currency::USD)]);
    }
}
