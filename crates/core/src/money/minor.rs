//! Money in minor units: what stands on documents and is paid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::currency::Currency;
use super::decimal::{DecimalError, Price};
use super::fraction::{Fraction, Overflow};

/// Why two amounts cannot be combined or a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// Amounts of two currencies were combined.
    #[error("cannot combine {0} with {1}")]
    Currencies(Currency, Currency),
    /// The result does not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// Not a decimal number.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// More digits than the currency's minor unit has.
    #[error("`{0}` has more digits than the minor unit of {1}")]
    TooPrecise(Price, Currency),
}

/// An amount in a currency's minor unit (cents, yen, fils).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount in minor units.
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self::from_minor(0, currency)
    }

    /// Reads `12.34`; digits beyond the minor unit are an error, never cut off.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        Self::from_price(Price::from_str(text)?, currency)
    }

    /// A price that is a whole number of minor units.
    pub fn from_price(price: Price, currency: Currency) -> Result<Self, MoneyError> {
        let minor = price
            .to_fraction()
            .checked_mul(Fraction::from_whole(currency.minor_per_major()))?;
        if minor.denominator() != 1 {
            return Err(MoneyError::TooPrecise(price, currency));
        }
        let minor = i64::try_from(minor.numerator()).map_err(|_| Overflow)?;
        Ok(Self { minor, currency })
    }

    /// Minor units.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Whether this is nothing.
    pub fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum; currencies must be the same.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Currencies(self.currency, other.currency));
        }
        let minor = self.minor.checked_add(other.minor).ok_or(Overflow)?;
        Ok(Self {
            minor,
            currency: self.currency,
        })
    }

    /// The difference; currencies must be the same.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.checked_add(other.checked_neg()?)
    }

    /// The same with the sign changed.
    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        Ok(Self {
            minor: self.minor.checked_neg().ok_or(Overflow)?,
            currency: self.currency,
        })
    }

    /// The amount in major units, exactly.
    pub fn to_fraction(self) -> Fraction {
        // The scale is 1, 100 or 1000, never zero.
        Fraction::reduced(
            i128::from(self.minor),
            i128::from(self.currency.minor_per_major()),
        )
    }

    /// The amount alone, with all digits of the minor unit: `5.10`, `-0.07`, `1200`.
    pub fn amount(self) -> String {
        let scale = self.currency.minor_per_major().unsigned_abs();
        let digits = usize::try_from(self.currency.exponent()).unwrap_or_default();
        let sign = if self.minor < 0 { "-" } else { "" };
        let whole = self
            .minor
            .unsigned_abs()
            .checked_div(scale)
            .unwrap_or_default();
        if digits == 0 {
            return format!("{sign}{whole}");
        }
        let part = self
            .minor
            .unsigned_abs()
            .checked_rem(scale)
            .unwrap_or_default();
        format!("{sign}{whole}.{part:0digits$}")
    }
}

/// Amount and code: `5.10 USD`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_all_digits_of_the_minor_unit() {
        assert_eq!(
            Money::from_minor(510, Currency::USD).to_string(),
            "5.10 USD"
        );
        assert_eq!(
            Money::from_minor(-7, Currency::EUR).to_string(),
            "-0.07 EUR"
        );
        assert_eq!(
            Money::from_minor(1200, Currency::JPY).to_string(),
            "1200 JPY"
        );
        assert_eq!(
            Money::from_minor(1234, "KWD".parse().unwrap()).to_string(),
            "1.234 KWD"
        );
    }

    #[test]
    fn reads_only_what_the_currency_can_pay() {
        assert_eq!(
            Money::parse("5.1", Currency::USD).unwrap(),
            Money::from_minor(510, Currency::USD)
        );
        assert_eq!(
            Money::parse("-1200.00", Currency::JPY).unwrap().minor(),
            -1200
        );
        assert!(matches!(
            Money::parse("0.001", Currency::USD),
            Err(MoneyError::TooPrecise(..))
        ));
        assert!(matches!(
            Money::parse("1.5", Currency::JPY),
            Err(MoneyError::TooPrecise(..))
        ));
        assert!(Money::parse("999999999999999", "KWD".parse().unwrap()).is_ok());
    }

    #[test]
    fn currencies_do_not_mix_and_sums_do_not_wrap() {
        let dollars = Money::from_minor(1, Currency::USD);
        assert!(matches!(
            dollars.checked_add(Money::zero(Currency::EUR)),
            Err(MoneyError::Currencies(..))
        ));
        assert!(matches!(
            Money::from_minor(i64::MAX, Currency::USD).checked_add(dollars),
            Err(MoneyError::Overflow(_))
        ));
        assert!(
            Money::from_minor(i64::MIN, Currency::USD)
                .checked_neg()
                .is_err()
        );
        assert_eq!(
            dollars.checked_sub(dollars).unwrap(),
            Money::zero(Currency::USD)
        );
    }
}
