//! How long a call may last on what is left.

use crate::money::{Fraction, Quantity};
use crate::rating::{Error, State, Terms, Usage, priced_alike_until, rate};

/// No call is let through for longer than a day.
pub const CALL_SECONDS_MAX: u32 = 86_400;

/// The longest call, in seconds, that costs no more than `available` at any moment of it; 0 if it may not begin.
///
/// The allowance is used first, so a call may last as long as it alone reaches even with an empty wallet. A call may not
/// reach a band that has no price for its destination. `call` says what is called and when; its quantity is not looked
/// at. The result is never beyond [`CALL_SECONDS_MAX`].
pub fn longest_call(
    call: &Usage,
    terms: &Terms,
    state: &State,
    available: Fraction,
) -> Result<u32, Error> {
    let call = &Usage {
        is_time: true,
        ..call.clone()
    };
    let affordable = |seconds: u32| {
        let usage = Usage {
            quantity: Quantity::from_units(seconds),
            ..call.clone()
        };
        match rate(&usage, terms, state) {
            // A price that is not known yet cannot be promised.
            Ok(rated) => Ok(rated.total()?.is_some_and(|total| total <= available)),
            Err(Error::NoDestination(_)) if seconds > 1 => Ok(false),
            Err(error) => Err(error),
        }
    };
    longest_of(call, terms, CALL_SECONDS_MAX, affordable)
}

/// The longest call of at most `seconds_max` seconds that is affordable at every length up to its own.
pub(super) fn longest_of(
    call: &Usage,
    terms: &Terms,
    seconds_max: u32,
    affordable: impl Fn(u32) -> Result<bool, Error>,
) -> Result<u32, Error> {
    if !terms.cost_never_falls(&call.meter, call.direction) {
        return each_cost(call, terms, seconds_max, affordable);
    }
    if seconds_max == 0 || !affordable(1)? {
        return Ok(0);
    }
    let (mut longest, mut too_long) = (1_u32, seconds_max.saturating_add(1));
    while longest.saturating_add(1) < too_long {
        let middle = u32::midpoint(longest, too_long);
        if affordable(middle)? {
            longest = middle;
        } else {
            too_long = middle;
        }
    }
    Ok(longest)
}

/// Goes from one length to the next at which the cost may differ, where a longer call can cost less than a shorter one.
fn each_cost(
    call: &Usage,
    terms: &Terms,
    seconds_max: u32,
    affordable: impl Fn(u32) -> Result<bool, Error>,
) -> Result<u32, Error> {
    let mut longest = 0_u32;
    while longest < seconds_max && affordable(longest.saturating_add(1))? {
        longest = priced_alike_until(call, terms, longest.saturating_add(1))?.min(seconds_max);
    }
    Ok(longest)
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

    /// A call at noon on a Monday.
    fn call() -> Usage {
        Usage {
            id: UsageEventId::new(Uuid::nil()),
            meter: BuiltInMeter::CallDurationSeconds.code(),
            quantity: Quantity::ZERO,
            occurred_at: "2026-01-05T12:00:00Z".parse().unwrap(),
            is_time: true,
            direction: None,
            destination: None,
            provider_cost: ProviderCost::Pending,
        }
    }

    fn longest(price: &str, allowance: u32, cents: i128) -> u32 {
        let json = format!(
            r#"{{"currency":"USD","prices":[{{"key":"c","meter":"CALL_DURATION_SECONDS",{price}}}],
            "allowances":[{{"key":"x","meters":["CALL_DURATION_SECONDS"],"quantity":1}}]}}"#
        );
        let offer = Offer::read(json.as_bytes()).unwrap();
        let terms = Terms::new(&offer.document, &Surroundings::default()).unwrap();
        let at = "2026-01-05T12:00:00Z".parse().unwrap();
        let mut state = State::new(at);
        state.grants.push(Grant {
            id: GrantId::new(Uuid::nil()),
            allowance_key: "x".parse().unwrap(),
            granted: Quantity::from_units(allowance),
            used: Quantity::ZERO,
            forfeited: Quantity::ZERO,
            starts_at: at,
            expires_at: "2026-02-01T00:00:00Z".parse().unwrap(),
        });
        let call = call();
        longest_call(&call, &terms, &state, Fraction::new(cents, 100).unwrap()).unwrap()
    }

    #[test]
    fn a_call_lasts_to_the_end_of_the_last_increment_that_is_covered() {
        let price = r#""increment":"60/60","rate":{"per_unit":{"price":"0.10","per":60}}"#;
        assert_eq!(longest(price, 0, 35), 180);
        assert_eq!(longest(price, 0, 9), 0);
        assert_eq!(longest(price, 90, 0), 60);
        assert_eq!(longest(price, 90, 35), 300);
        assert_eq!(longest(price, 0, -5), 0);
    }

    #[test]
    fn the_connection_fee_comes_first_and_the_cap_ends_the_cost() {
        let price =
            r#""connectionFee":"0.30","maximumCharge":"0.50","rate":{"per_unit":{"price":"0.01"}}"#;
        assert_eq!(longest(price, 0, 35), 5);
        assert_eq!(longest(price, 0, 50), CALL_SECONDS_MAX);
        assert_eq!(longest(price, 0, 30), 0);
    }

    #[test]
    fn a_price_that_falls_is_looked_at_second_by_second() {
        // 10 seconds at 1.00, then all at 0.01: the eleventh second would be affordable, the tenth is not.
        let price = r#""rate":{"volume":{"tiers":[{"upTo":10,"price":1},{"price":"0.01"}]}}"#;
        assert_eq!(longest(price, 0, 550), 5);
    }

    #[test]
    fn rounding_up_in_a_dear_band_counts_before_a_cheap_one_begins() {
        // From 12:00 to 12:01:30 at 2.00 a minute, then free. A call of 61 seconds is billed as two dear minutes; one
        // of 91 costs less, but nobody gets there without passing 61.
        let json = r#"{"currency":"USD",
            "calendar":{"otherwise":"free","rules":[{"band":"dear","days":["mon"],"from":"12:00","to":"12:01:30"}]},
            "prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","increment":"60/60","rate":{"per_unit":{"price":0}},
                "bands":[{"band":"dear","rate":{"per_unit":{"price":2,"per":60}}}]}]}"#;
        let offer = Offer::read(json.as_bytes()).unwrap();
        let terms = Terms::new(&offer.document, &Surroundings::default()).unwrap();
        let call = call();
        let state = State::new(call.occurred_at);
        let longest = |cents| {
            let available = Fraction::new(cents, 100).unwrap();
            longest_call(&call, &terms, &state, available).unwrap()
        };
        assert_eq!(longest(199), 0);
        assert_eq!(longest(350), 60);
        assert_eq!(longest(400), CALL_SECONDS_MAX);
    }

    #[test]
    fn a_call_ends_where_a_band_has_no_price_for_the_destination() {
        let json = r#"{"currency":"USD",
            "calendar":{"otherwise":"night","rules":[{"band":"day","days":["mon"],"from":"08:00","to":"12:05"}]},
            "prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","freeSeconds":10,"rate":{"per_unit":{"price":"0.01"}},
                "bands":[{"band":"night","rate":{"deck":{"deck":"nights"}}}]}]}"#;
        let offer = Offer::read(json.as_bytes()).unwrap();
        let decks = [("nights".parse().unwrap(), Arc::default())].into();
        let surroundings = Surroundings {
            decks,
            ..Surroundings::default()
        };
        let terms = Terms::new(&offer.document, &surroundings).unwrap();
        let longest = |at: &str| {
            let call = Usage {
                occurred_at: at.parse().unwrap(),
                ..call()
            };
            let state = State::new(call.occurred_at);
            longest_call(&call, &terms, &state, Fraction::from_whole(100))
        };
        assert_eq!(longest("2026-01-05T12:00:00Z"), Ok(300));
        // The night begins after 20 seconds, and 10 of them are free.
        assert_eq!(longest("2026-01-05T12:04:40Z"), Ok(20));
        // At night only what is free.
        assert_eq!(longest("2026-01-05T12:05:00Z"), Ok(10));
    }

    #[test]
    fn an_unknown_provider_price_promises_nothing() {
        assert_eq!(
            longest(r#""rate":{"cost_plus":{"percent":20}}"#, 30, 1000),
            30
        );
    }
}
