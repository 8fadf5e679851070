//! What a printed line is less once charges on it are taken back.

use crate::money::{Currency, Fraction, Money, MoneyError, Overflow, Rounding, round_to_minor};

/// Why it cannot be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TakenBackError {
    /// Currencies or size.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Size.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// The share of a line that goes with charges that are taken back of it: what the line came to before, less what the
/// charges that are left come to, rounded as a line is.
///
/// `printed` is the line's amount, `before` the sum of the shares of what was taken back earlier, `left` the exact sum of
/// what is still charged. So the shares of a line always sum to what the line is less by all of them, in whichever order
/// and in however many steps they were taken back; all charges together make exactly the line.
pub fn taken_back(
    printed: Money,
    before: Money,
    left: Fraction,
    rounding: Rounding,
) -> Result<Money, TakenBackError> {
    let currency: Currency = printed.currency();
    let rest = round_to_minor(left, currency, rounding)?.money;
    Ok(printed.checked_sub(before)?.checked_sub(rest)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::USD)
    }

    fn third(of: i128) -> Fraction {
        Fraction::new(of, 300).unwrap()
    }

    #[test]
    fn three_thirds_of_a_cent_are_one_cent_wherever_one_begins() {
        // Three calls of a third of a cent each: the line says one cent.
        let share = |before, left| {
            let share = taken_back(usd(1), usd(before), third(left), Rounding::HalfUp);
            share.unwrap().minor()
        };
        assert_eq!([share(0, 2), share(0, 1), share(1, 0)], [0, 1, 0]);
        assert_eq!(share(0, 0), 1);
    }

    #[test]
    fn a_call_of_a_minute_is_given_back_to_the_cent() {
        // Two calls of 0.45 and 1.00 under one line.
        let left = Fraction::new(1, 1).unwrap();
        let share = taken_back(usd(145), usd(0), left, Rounding::HalfUp);
        assert_eq!(share, Ok(usd(45)));
        let other = taken_back(usd(145), usd(45), Fraction::ZERO, Rounding::HalfUp);
        assert_eq!(other, Ok(usd(100)));
    }

    proptest! {
        #[test]
        fn shares_are_never_negative_and_sum_to_the_line(
            parts in prop::collection::vec((0_i128..5_000, 1_i128..700), 1..12),
            is_even in any::<bool>(),
        ) {
            let rounding = if is_even { Rounding::HalfEven } else { Rounding::HalfUp };
            let parts: Vec<Fraction> = parts
                .into_iter()
                .map(|(amount, of)| Fraction::new(amount, of * 100).unwrap())
                .collect();
            let sum = |parts: &[Fraction]| Fraction::sum(parts.iter().copied());
            // Sums of many denominators may be too large to be exact.
            prop_assume!(sum(&parts).is_ok());
            let whole = sum(&parts).unwrap();
            let line = round_to_minor(whole, Currency::USD, rounding).unwrap().money;
            let mut before = usd(0);
            for taken in 1..=parts.len() {
                let Ok(left) = sum(&parts[taken..]) else { return Ok(()) };
                let share = taken_back(line, before, left, rounding).unwrap();
                prop_assert!(share.minor() >= 0);
                before = before.checked_add(share).unwrap();
            }
            prop_assert_eq!(before, line);
        }
    }
}
