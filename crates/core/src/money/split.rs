//! Splitting money into parts that add up to the whole.

use thiserror::Error;

use super::fraction::{Fraction, Overflow};
use super::minor::Money;

/// Why a split is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SplitError {
    /// A weight is below zero.
    #[error("a share cannot be negative")]
    NegativeWeight,
    /// All weights are zero, yet there is something to split.
    #[error("there is nothing to split the amount over")]
    NoWeight,
    /// The exact shares do not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// Splits an amount in proportion to the weights; the parts sum to exactly the amount.
///
/// Each part is its exact share rounded towards zero; the minor units that are left go to the parts
/// with the largest remainders, the later one first among equals, so the last absorbs an odd cent.
pub fn split_largest_remainder(
    amount: Money,
    weights: &[Fraction],
) -> Result<Vec<Money>, SplitError> {
    if weights.iter().any(|weight| weight.is_negative()) {
        return Err(SplitError::NegativeWeight);
    }
    let total = Fraction::sum(weights.iter().copied())?;
    if total.is_zero() {
        if amount.is_zero() {
            return Ok(vec![amount; weights.len()]);
        }
        return Err(SplitError::NoWeight);
    }
    let whole = i128::from(amount.minor());
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        let share = Fraction::new(whole.abs(), 1)?.checked_mul(weight.checked_div(total)?)?;
        let below = share.floor();
        parts.push(below);
        remainders.push((share.checked_sub(Fraction::new(below, 1)?)?, index));
    }
    let given: i128 = parts.iter().sum();
    let left = usize::try_from(whole.abs().saturating_sub(given)).map_err(|_| Overflow)?;
    remainders.sort_unstable_by(|left, right| right.cmp(left));
    for (_, index) in remainders.iter().take(left) {
        if let Some(part) = parts.get_mut(*index) {
            *part = part.saturating_add(1);
        }
    }
    let sign = whole.signum();
    parts
        .into_iter()
        .map(|part| {
            let minor = i64::try_from(part.saturating_mul(sign)).map_err(|_| Overflow)?;
            Ok(Money::from_minor(minor, amount.currency()))
        })
        .collect()
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
            Err(SplitError::NegativeWeight)
        );
    }
}
