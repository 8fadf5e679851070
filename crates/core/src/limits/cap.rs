//! A cap on what usage of one period may cost, beside the credit that pays for it.

use serde::{Deserialize, Serialize};

use crate::money::{Fraction, Money, Overflow, Price};

/// A cap as a plan or a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cap {
    /// What usage of one billing period may cost, in major units.
    pub amount: Price,
    /// Whether no call is let through beyond it. Otherwise people are only told.
    #[serde(default, alias = "is_hard")]
    pub is_hard: bool,
}

/// What ends a call: credit, or a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limiter {
    /// There is no more credit.
    Credit,
    /// The cap on spending.
    Cap,
}

/// What may still be promised under a cap, exact, in major units; below zero once usage was kept beyond it. `spent` is what
/// usage of the period was charged, and `held` what is set aside for calls of the period in progress.
pub fn left_under(
    cap: Money,
    spent: Fraction,
    held: impl IntoIterator<Item = Money>,
) -> Result<Fraction, Overflow> {
    let held = Fraction::sum(held.into_iter().map(Money::to_fraction))?;
    cap.to_fraction().checked_sub(spent)?.checked_sub(held)
}

/// The tighter of two limits, and which one it is; `None` if there is neither. Credit that is just as tight comes first:
/// more of it has to be brought, whatever becomes of the cap.
pub fn binding(
    credit: Option<Fraction>,
    under_cap: Option<Fraction>,
) -> Option<(Fraction, Limiter)> {
    match (credit, under_cap) {
        (Some(credit), Some(cap)) if cap < credit => Some((cap, Limiter::Cap)),
        (Some(credit), _) => Some((credit, Limiter::Credit)),
        (None, Some(cap)) => Some((cap, Limiter::Cap)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::ids::UsageEventId;
    use crate::metering::BuiltInMeter;
    use crate::money::{Currency, Quantity};
    use crate::plans::Offer;
    use crate::rating::{ProviderCost, State, Surroundings, Terms, Usage};
    use crate::wallets::{InProgress, promise};

    fn cents(minor: i64) -> Money {
        Money::from_minor(minor, Currency::USD)
    }

    #[test]
    fn what_is_spent_and_what_is_held_are_both_taken_from_the_cap() {
        let spent = Fraction::new(1, 3).unwrap();
        let left = left_under(cents(500), spent, [cents(100), cents(50)]).unwrap();
        assert_eq!(left, Fraction::new(19, 6).unwrap());
        let over = left_under(cents(10), spent, []).unwrap();
        assert!(over.is_negative());
    }

    #[test]
    fn the_tighter_limit_binds() {
        let [one, two] = [1, 2].map(Fraction::from_whole);
        assert_eq!(binding(None, None), None);
        assert_eq!(binding(Some(one), None), Some((one, Limiter::Credit)));
        assert_eq!(binding(None, Some(one)), Some((one, Limiter::Cap)));
        assert_eq!(binding(Some(two), Some(one)), Some((one, Limiter::Cap)));
        assert_eq!(binding(Some(one), Some(two)), Some((one, Limiter::Credit)));
        assert_eq!(binding(Some(one), Some(one)), Some((one, Limiter::Credit)));
    }

    const PRICES: [&str; 3] = [
        r#""increment":"60/60","rate":{"per_unit":{"price":"0.10","per":60}}"#,
        r#""increment":"30/6","rate":{"per_unit":{"price":"0.07","per":60}}"#,
        r#""connectionFee":"0.05","increment":"1/1","rate":{"per_unit":{"price":"0.03","per":60}}"#,
    ];

    fn terms(price: &str) -> Terms {
        let json = format!(
            r#"{{"currency":"USD","prices":[{{"key":"c","meter":"CALL_DURATION_SECONDS",{price}}}]}}"#
        );
        let offer = Offer::read(json.as_bytes()).unwrap();
        Terms::new(&offer.document, &Surroundings::default()).unwrap()
    }

    fn call(terms: &Terms, seconds: u32, aside: Money) -> InProgress<'_> {
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
            aside,
        }
    }

    proptest! {
        // However calls begin one after the other, what is spent and what is held for them never exceeds the cap; and
        // whatever each then costs is no more than what was held for it.
        #[test]
        fn calls_never_come_to_more_than_the_cap(
            price in 0..PRICES.len(),
            cap in 0_i64..2_000,
            spent in 0_i64..500,
            wanted in proptest::collection::vec(1_u32..4_000, 1..8),
        ) {
            let terms = terms(PRICES[price]);
            let state = State::new("2026-01-05T12:00:00Z".parse().unwrap());
            let cap = cents(cap);
            let spent_so_far = cents(spent).to_fraction();
            let mut open: Vec<InProgress<'_>> = Vec::new();
            for wanted in wanted {
                let held: Vec<Money> = open.iter().map(|one| one.aside).collect();
                let left = left_under(cap, spent_so_far, held.iter().copied()).unwrap();
                let (available, _) = binding(None, Some(left)).unwrap();
                let new = call(&terms, 0, Money::zero(Currency::USD));
                let it = promise(&new, wanted, &open, &state, Some(available)).unwrap();
                prop_assert!(it.seconds <= wanted);
                for (one, aside) in open.iter_mut().zip(&it.others) {
                    one.aside = *aside;
                }
                if it.seconds > 0 {
                    open.push(call(&terms, it.seconds, it.amount));
                }
                let held = open.iter().map(|one| one.aside);
                let left = left_under(cap, spent_so_far, held).unwrap();
                prop_assert!(!left.is_negative() || spent > cap.minor());
                prop_assert!(spent <= cap.minor() || open.is_empty());
            }
            let mut charged = spent_so_far;
            for one in &open {
                let rated = crate::rating::rate(&one.call, &terms, &state).unwrap();
                charged = charged.checked_add(rated.total().unwrap().unwrap()).unwrap();
            }
            prop_assert!(charged <= cap.to_fraction() || open.is_empty());
        }
    }
}
