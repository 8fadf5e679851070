//! Discounts and minimum commitments, before tax.

use serde::{Deserialize, Serialize};

use crate::money::{
    Money, MoneyError, Overflow, Percent, Price, Rounding, SplitError, round_to_minor,
    split_largest_remainder,
};

/// What is taken off the lines of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discount {
    /// A part of the sum, 0 to 100.
    Percent(Percent),
    /// An amount, at most the sum.
    Amount(Price),
}

/// Why a discount cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscountError {
    /// Below nothing or above everything.
    #[error("a discount is 0 to 100 percent, or an amount that is not negative")]
    OutOfRange,
    /// Currencies or size.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The lines come to less than nothing.
    #[error(transparent)]
    Split(#[from] SplitError),
}

impl From<Overflow> for DiscountError {
    fn from(overflow: Overflow) -> Self {
        Self::Money(overflow.into())
    }
}

/// What the discount takes off each line, so that the tax of each line falls with it; the parts sum to the discount,
/// which is rounded once and never more than all lines together.
pub fn apply_discount(
    lines: &[Money],
    discount: Discount,
    rounding: Rounding,
) -> Result<Vec<Money>, DiscountError> {
    let Some(currency) = lines.first().map(|line| line.currency()) else {
        return Ok(Vec::new());
    };
    let sum = lines
        .iter()
        .try_fold(Money::zero(currency), |sum, line| sum.checked_add(*line))?;
    let off = match discount {
        Discount::Percent(percent) => {
            let share = percent.to_fraction()?;
            if share.is_negative() || share > crate::money::Fraction::ONE {
                return Err(DiscountError::OutOfRange);
            }
            let off = sum.to_fraction().checked_mul(share)?;
            let off = round_to_minor(off, currency, rounding)?.money;
            Money::from_minor(off.minor().max(0), currency)
        }
        Discount::Amount(amount) if amount.is_negative() => return Err(DiscountError::OutOfRange),
        Discount::Amount(amount) => {
            let amount = Money::from_price(amount, currency)?;
            Money::from_minor(amount.minor().min(sum.minor()).max(0), currency)
        }
    };
    let weights: Vec<_> = lines.iter().map(|line| line.to_fraction()).collect();
    if off.is_zero() {
        return Ok(vec![off; lines.len()]);
    }
    Ok(split_largest_remainder(off, &weights)?)
}

/// What is missing to a minimum commitment, if anything: the printed usage lines are filled up to it.
pub fn commitment_gap(minimum: Money, usage: Money) -> Result<Option<Money>, MoneyError> {
    let gap = minimum.checked_sub(usage)?;
    Ok((gap.minor() > 0).then_some(gap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn off(lines: &[i64], discount: Discount) -> Result<Vec<i64>, DiscountError> {
        let lines: Vec<_> = lines
            .iter()
            .map(|minor| Money::from_minor(*minor, Currency::USD))
            .collect();
        let parts = apply_discount(&lines, discount, Rounding::HalfUp)?;
        Ok(parts.into_iter().map(Money::minor).collect())
    }

    fn percent(text: &str) -> Discount {
        Discount::Percent(text.parse().unwrap())
    }

    #[test]
    fn a_percentage_is_rounded_once() {
        // 10 % of 9.99 is 1.00, not 3 × 0.33.
        assert_eq!(off(&[333, 333, 333], percent("10")).unwrap(), [33, 33, 34]);
        assert_eq!(off(&[1000, -200], percent("50")).unwrap(), [500, -100]);
        assert_eq!(off(&[333, 667], percent("100")).unwrap(), [333, 667]);
        assert_eq!(off(&[], percent("10")).unwrap(), Vec::<i64>::new());
        // Nothing is taken off lines that come to less than nothing.
        assert_eq!(off(&[100, -300], percent("10")).unwrap(), [0, 0]);
    }

    #[test]
    fn an_amount_never_goes_below_nothing() {
        assert_eq!(
            off(&[300, 100], Discount::Amount("1".parse().unwrap())).unwrap(),
            [75, 25]
        );
        assert_eq!(
            off(&[300, 100], Discount::Amount("100".parse().unwrap())).unwrap(),
            [300, 100]
        );
        assert_eq!(
            off(&[0, 0], Discount::Amount("1".parse().unwrap())).unwrap(),
            [0, 0]
        );
    }

    #[test]
    fn senseless_discounts_are_refused() {
        assert_eq!(off(&[1], percent("100.1")), Err(DiscountError::OutOfRange));
        assert_eq!(off(&[1], percent("-1")), Err(DiscountError::OutOfRange));
        assert_eq!(
            off(&[1], Discount::Amount("-1".parse().unwrap())),
            Err(DiscountError::OutOfRange)
        );
    }

    #[test]
    fn a_commitment_fills_up() {
        let dollars = |minor| Money::from_minor(minor, Currency::USD);
        assert_eq!(
            commitment_gap(dollars(5000), dollars(1234)).unwrap(),
            Some(dollars(3766))
        );
        assert_eq!(commitment_gap(dollars(5000), dollars(5000)).unwrap(), None);
        assert_eq!(commitment_gap(dollars(5000), dollars(6000)).unwrap(), None);
    }
}
