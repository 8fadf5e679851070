//! How long a call may last on what is left.

use crate::money::{Fraction, Quantity};
use crate::rating::{Error, State, Terms, Usage, rate};

/// No call is let through for longer than a day.
pub const CALL_SECONDS_MAX: u32 = 86_400;

/// The longest call, in seconds, that costs no more than `available` at any moment of it; 0 if it may not begin.
///
/// The allowance is used first, so a call may last as long as it alone reaches even with an empty wallet. `call` says
/// what is called and when; its quantity is not looked at. The result is never beyond [`CALL_SECONDS_MAX`].
pub fn longest_call(
    call: &Usage,
    terms: &Terms,
    state: &State,
    available: Fraction,
) -> Result<u32, Error> {
    let affordable = |seconds: u32| {
        let usage = Usage {
            quantity: Quantity::from_units(seconds),
            is_time: true,
            ..call.clone()
        };
        // A price that is not known yet cannot be promised.
        Ok::<bool, Error>(
            rate(&usage, terms, state)?
                .total()?
                .is_some_and(|total| total <= available),
        )
    };
    if !terms.cost_never_falls() {
        let mut seconds = 0;
        while seconds < CALL_SECONDS_MAX && affordable(seconds.saturating_add(1))? {
            seconds = seconds.saturating_add(1);
        }
        return Ok(seconds);
    }
    let (mut longest, mut too_long) = (0_u32, CALL_SECONDS_MAX.saturating_add(1));
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ids::{GrantId, UsageEventId};
    use crate::metering::BuiltInMeter;
    use crate::plans::Offer;
    use crate::rating::{Grant, ProviderCost, Surroundings};

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
        let call = Usage {
            id: UsageEventId::new(Uuid::nil()),
            meter: BuiltInMeter::CallDurationSeconds.code(),
            quantity: Quantity::ZERO,
            occurred_at: at,
            is_time: true,
            direction: None,
            destination: None,
            provider_cost: ProviderCost::Pending,
        };
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
    fn an_unknown_provider_price_promises_nothing() {
        assert_eq!(
            longest(r#""rate":{"cost_plus":{"percent":20}}"#, 30, 1000),
            30
        );
    }
}
