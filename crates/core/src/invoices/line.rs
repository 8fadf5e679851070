//! The amount of an invoice line: exact, and rounded once.

use crate::money::{Currency, Fraction, Money, Overflow, Rounding, round_to_minor};

/// An invoice line's amount before tax is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineAmount {
    /// The sum of its charges, in major units.
    pub exact: Fraction,
    /// The same as printed.
    pub amount: Money,
    /// Exact minus printed.
    pub remainder: Fraction,
}

impl LineAmount {
    /// Adds up the exact amounts of the charges of a line and rounds the sum; the only rounding they ever see.
    pub fn sum(
        amounts: impl IntoIterator<Item = Fraction>,
        currency: Currency,
        rounding: Rounding,
    ) -> Result<Self, Overflow> {
        let exact = Fraction::sum(amounts)?;
        let rounded = round_to_minor(exact, currency, rounding)?;
        Ok(Self {
            exact,
            amount: rounded.money,
            remainder: rounded.remainder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_thirds_of_a_cent_are_a_cent() {
        let third = Fraction::new(1, 300).unwrap();
        let line = LineAmount::sum([third; 3], Currency::USD, Rounding::HalfUp).unwrap();
        assert_eq!((line.amount.minor(), line.remainder), (1, Fraction::ZERO));
        let line = LineAmount::sum([third; 2], Currency::USD, Rounding::HalfUp).unwrap();
        assert_eq!(
            (line.amount.minor(), line.remainder),
            (1, Fraction::new(-1, 300).unwrap())
        );
        assert_eq!(
            LineAmount::sum([], Currency::USD, Rounding::HalfUp)
                .unwrap()
                .amount
                .minor(),
            0
        );
    }
}
