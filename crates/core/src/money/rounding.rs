//! The one function that rounds money.

use serde::{Deserialize, Serialize};

use super::currency::Currency;
use super::fraction::{Fraction, Overflow};
use super::minor::Money;

/// What happens to exactly half a minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Away from zero, as shops and tax offices do.
    #[default]
    HalfUp,
    /// To the even neighbour, so that halves cancel out over many lines.
    HalfEven,
}

/// A rounded amount and what rounding took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded {
    /// The amount in minor units.
    pub money: Money,
    /// Exact amount minus rounded amount, in major units; at most half a minor unit either way.
    pub remainder: Fraction,
}

/// Rounds an exact amount in major units to the currency's minor unit.
///
/// Called once for each invoice line and once for each tax rate of a document, for what is left of a line of which charges
/// are taken back, for what providers have charged up to a day, and for sums that are only shown; nowhere else.
pub fn round_to_minor(
    amount: Fraction,
    currency: Currency,
    rounding: Rounding,
) -> Result<Rounded, Overflow> {
    let scaled = amount.checked_mul(Fraction::from_whole(currency.minor_per_major()))?;
    let below = scaled.floor();
    let fraction = scaled.checked_sub(Fraction::new(below, 1)?)?;
    let half = Fraction::new(1, 2)?;
    let up = match fraction.cmp(&half) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => match rounding {
            // `below` is the neighbour further from zero for a negative amount.
            Rounding::HalfUp => !scaled.is_negative(),
            Rounding::HalfEven => below.rem_euclid(2) == 1,
        },
    };
    let minor = if up {
        below.checked_add(1).ok_or(Overflow)?
    } else {
        below
    };
    let money = Money::from_minor(i64::try_from(minor).map_err(|_| Overflow)?, currency);
    Ok(Rounded {
        money,
        remainder: amount.checked_sub(money.to_fraction())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(numerator: i128, denominator: i128, currency: Currency, rounding: Rounding) -> i64 {
        round_to_minor(
            Fraction::new(numerator, denominator).unwrap(),
            currency,
            rounding,
        )
        .unwrap()
        .money
        .minor()
    }

    #[test]
    fn halves_go_away_from_zero_or_to_even() {
        // In cents: 0.5, 1.5, 2.5 and their negatives.
        for (numerator, up, even) in [
            (5, 1, 0),
            (15, 2, 2),
            (25, 3, 2),
            (-5, -1, 0),
            (-15, -2, -2),
            (-25, -3, -2),
        ] {
            assert_eq!(
                minor(numerator, 1000, Currency::USD, Rounding::HalfUp),
                up,
                "{numerator}"
            );
            assert_eq!(
                minor(numerator, 1000, Currency::USD, Rounding::HalfEven),
                even,
                "{numerator}"
            );
        }
    }

    #[test]
    fn everything_else_goes_to_the_nearest() {
        for rounding in [Rounding::HalfUp, Rounding::HalfEven] {
            assert_eq!(minor(1, 3, Currency::USD, rounding), 33);
            assert_eq!(minor(2, 3, Currency::USD, rounding), 67);
            assert_eq!(minor(-1, 3, Currency::USD, rounding), -33);
            assert_eq!(minor(-2, 3, Currency::JPY, rounding), -1);
            assert_eq!(minor(1, 3, "KWD".parse().unwrap(), rounding), 333);
        }
    }

    #[test]
    fn what_was_rounded_away_is_kept() {
        let rounded = round_to_minor(
            Fraction::new(1, 3).unwrap(),
            Currency::USD,
            Rounding::HalfUp,
        )
        .unwrap();
        assert_eq!(rounded.remainder, Fraction::new(1, 300).unwrap());
        let sum = rounded
            .money
            .to_fraction()
            .checked_add(rounded.remainder)
            .unwrap();
        assert_eq!(sum, Fraction::new(1, 3).unwrap());
    }

    #[test]
    fn too_large_for_a_document_is_an_error() {
        assert!(
            round_to_minor(
                Fraction::new(i128::MAX, 1).unwrap(),
                Currency::USD,
                Rounding::HalfUp
            )
            .is_err()
        );
        assert!(
            round_to_minor(
                Fraction::from_whole(i64::MAX),
                Currency::USD,
                Rounding::HalfUp
            )
            .is_err()
        );
    }
}
