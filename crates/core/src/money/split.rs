//! Splitting money into parts that add up to the whole.

use thiserror::Error;

use super::fraction::{Fraction, Overflow};
use super::minor::Money;

/// Why a split is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SplitError {
    /// The weights do not come to more than zero, yet there is something to split.
    #[error("there is nothing to split the amount over")]
    NoWeight,
    /// The exact shares do not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// Splits an amount in proportion to the weights; the parts sum to exactly the amount.
///
/// Each part is its exact share rounded down; the minor units that are left go to the parts with the largest
/// remainders, the later one first among equals, so the last absorbs an odd cent. A weight may be below zero, as a
/// discount is among the lines of an invoice, as long as all together are above it. No part is further from zero
/// than its weight in minor units if the amount is not larger than all weights together.
pub fn split_largest_remainder(
    amount: Money,
    weights: &[Fraction],
) -> Result<Vec<Money>, SplitError> {
    let total = Fraction::sum(weights.iter().copied())?;
    if total.is_zero() && amount.is_zero() {
        return Ok(vec![amount; weights.len()]);
    }
    if total <= Fraction::ZERO {
        return Err(SplitError::NoWeight);
    }
    // A negative amount is split as its opposite, so that both come out alike.
    let whole = i128::from(amount.minor()).abs();
    let sign = i128::from(amount.minor().signum());
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        let share = Fraction::new(whole, 1)?.checked_mul(weight.checked_div(total)?)?;
        let below = share.floor();
        parts.push(below);
        remainders.push((share.checked_sub(Fraction::new(below, 1)?)?, index));
    }
    let given = parts
        .iter()
        .try_fold(0_i128, |sum, part| sum.checked_add(*part))
        .ok_or(Overflow)?;
    let left = whole
        .checked_sub(given)
        .and_then(|left| usize::try_from(left).ok())
        .ok_or(Overflow)?;
    remainders.sort_unstable_by(|left, right| right.cmp(left));
    for (_, index) in remainders.iter().take(left) {
        if let Some(part) = parts.get_mut(*index) {
            *part = part.checked_add(1).ok_or(Overflow)?;
        }
    }
    let money = |part: i128| {
        let minor = part
            .checked_mul(sign)
            .and_then(|minor| i64::try_from(minor).ok())
            .ok_or(Overflow)?;
        Ok(Money::from_minor(minor, amount.currency()))
    };
    parts.into_iter().map(money).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn split(minor: i64, weights: &[i64]) -> Vec<i64> {
        let weights: Vec<_> = weights.iter().copied().map(Fraction::from_whole).collect();
        let parts =
            split_largest_remainder(Money::from_minor(minor, Currency::USD), &weights).unwrap();
        parts.into_iter().map(Money::minor).collect()
    }

    #[test]
    fn the_last_of_equals_absorbs_the_cent() {
        assert_eq!(split(100, &[1, 1, 1]), [33, 33, 34]);
        assert_eq!(split(-100, &[1, 1, 1]), [-33, -33, -34]);
        assert_eq!(split(101, &[1, 1, 1]), [33, 34, 34]);
    }

    #[test]
    fn larger_remainders_come_first() {
        // Exact shares 7.6, 1.9 and 0.5: the cents left go to 1.9 and 7.6.
        assert_eq!(split(10, &[76, 19, 5]), [8, 2, 0]);
        assert_eq!(split(0, &[0, 0]), [0, 0]);
        assert_eq!(split(5, &[0, 1]), [0, 5]);
    }

    #[test]
    fn a_discount_among_the_weights_gets_its_share() {
        assert_eq!(split(90, &[100, 20, -30]), [100, 20, -30]);
        assert_eq!(split(45, &[100, 20, -30]), [50, 10, -15]);
        // Exact shares 1.11, 0.22 and −0.33 cents: rounded down 1, 0, −1, and the cent goes to the −0.33.
        assert_eq!(split(1, &[100, 20, -30]), [1, 0, 0]);
    }

    #[test]
    fn impossible_splits_are_refused() {
        let amount = Money::from_minor(1, Currency::USD);
        assert_eq!(
            split_largest_remainder(amount, &[]),
            Err(SplitError::NoWeight)
        );
        assert_eq!(
            split_largest_remainder(amount, &[Fraction::ZERO]),
            Err(SplitError::NoWeight)
        );
        assert_eq!(
            split_largest_remainder(amount, &[Fraction::from_whole(-1)]),
            Err(SplitError::NoWeight)
        );
    }
}
