//! Exact decimals with at most twelve fractional digits: prices and quantities.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;

use super::fraction::{Fraction, Overflow};

/// Digits after the decimal point that a price or a quantity can have.
pub const FRACTIONAL_DIGITS_MAX: u32 = 12;

/// One whole in units of the last fractional digit.
const ONE: i128 = 1_000_000_000_000;

/// The same in 64 bits.
const ONE_SMALL: i64 = 1_000_000_000_000;

/// Whole parts stay below this, so that a value also fits a database `numeric` of 28 digits.
const WHOLE_MAX: i128 = 1_000_000_000_000_000;

/// Why a text or number is not an exact decimal of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Not a decimal number at all.
    #[error("`{0}` is not a decimal number")]
    Malformed(String),
    /// More fractional digits than are kept.
    #[error("`{0}` has more than {FRACTIONAL_DIGITS_MAX} digits after the decimal point")]
    TooPrecise(String),
    /// The whole part has more than fifteen digits.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// An exact decimal in units of 10⁻¹².
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
struct Fixed(i128);

/// An amount of money per unit, in the currency of its plan, exact to twelve fractional digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Price(Fixed);

/// How much was used, in the meter's base unit (seconds, messages, megabytes), exact to twelve fractional digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Quantity(Fixed);

/// A part of a hundred, exact to twelve fractional digits: tax rates, mark-ups, discounts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Percent(Fixed);

impl Percent {
    /// Nothing.
    pub const ZERO: Self = Self(Fixed(0));

    /// Whether this is below zero.
    pub fn is_negative(self) -> bool {
        self.0.0 < 0
    }

    /// The value as a fraction of one: 20 percent is one fifth.
    pub fn to_fraction(self) -> Result<Fraction, Overflow> {
        self.0.to_fraction().checked_mul(Fraction::new(1, 100)?)
    }

    /// The value for a database `numeric` column.
    pub fn to_decimal(self) -> Decimal {
        self.0.to_decimal()
    }
}

impl Price {
    /// Nothing to pay.
    pub const ZERO: Self = Self(Fixed(0));

    /// Whether this is less than nothing.
    pub fn is_negative(self) -> bool {
        self.0.0 < 0
    }

    /// The sum.
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, which may be negative.
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The value as a fraction.
    pub fn to_fraction(self) -> Fraction {
        self.0.to_fraction()
    }

    /// The value for a database `numeric` column.
    pub fn to_decimal(self) -> Decimal {
        self.0.to_decimal()
    }
}

impl Quantity {
    /// Nothing used.
    pub const ZERO: Self = Self(Fixed(0));

    /// A whole number of base units.
    pub fn from_units(units: u32) -> Self {
        Self(Fixed(i128::from(units).saturating_mul(ONE)))
    }

    /// A whole number of base units, or an error above 10¹⁵.
    pub fn try_from_units(units: i64) -> Result<Self, DecimalError> {
        Fixed::from_whole(i128::from(units)).map(Self)
    }

    /// The number of base units if it is whole.
    pub fn to_whole_units(self) -> Option<i64> {
        let whole = self.0.0.checked_div(ONE)?;
        (self.0.0.checked_rem(ONE)? == 0)
            .then_some(whole)
            .and_then(|whole| i64::try_from(whole).ok())
    }

    /// The whole base units in it; `None` beyond 64 bits.
    pub(crate) fn floor_units(self) -> Option<i64> {
        i64::try_from(self.0.0.div_euclid(ONE)).ok()
    }

    /// Whether this is less than nothing, as corrections are.
    pub fn is_negative(self) -> bool {
        self.0.0 < 0
    }

    /// Whether nothing was used.
    pub fn is_zero(self) -> bool {
        self.0.0 == 0
    }

    /// The sum.
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, which may be negative.
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// So many times as much, as when minutes become seconds.
    pub fn checked_mul_units(self, units: u32) -> Result<Self, Overflow> {
        self.0
            .0
            .checked_mul(i128::from(units))
            .filter(within)
            .map(|product| Self(Fixed(product)))
            .ok_or(Overflow)
    }

    /// The value as a fraction.
    pub fn to_fraction(self) -> Fraction {
        self.0.to_fraction()
    }

    /// The value for a database `numeric` column.
    pub fn to_decimal(self) -> Decimal {
        self.0.to_decimal()
    }
}

fn within(units: &i128) -> bool {
    units.unsigned_abs() <= WHOLE_MAX.saturating_mul(ONE).unsigned_abs()
}

impl Fixed {
    fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        let sum = self.0.checked_add(other.0).filter(within);
        sum.map(Self).ok_or(Overflow)
    }

    fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        let difference = self.0.checked_sub(other.0).filter(within);
        difference.map(Self).ok_or(Overflow)
    }

    fn from_whole(whole: i128) -> Result<Self, DecimalError> {
        whole
            .checked_mul(ONE)
            .filter(within)
            .map(Self)
            .ok_or_else(|| DecimalError::TooLarge(whole.to_string()))
    }

    fn to_fraction(self) -> Fraction {
        // Whole numbers are the usual quantities, and dividing 64 bits is far cheaper than reducing 128.
        if let Ok(units) = i64::try_from(self.0)
            && units % ONE_SMALL == 0
        {
            return Fraction::from_whole(units / ONE_SMALL);
        }
        Fraction::reduced(self.0, ONE)
    }

    fn to_decimal(self) -> Decimal {
        // Within bounds by construction: 10²⁷ units need 90 of the 96 bits.
        Decimal::try_from_i128_with_scale(self.0, FRACTIONAL_DIGITS_MAX)
            .unwrap_or_default()
            .normalize()
    }

    /// Reads `digits[.digits][e±digits]` exactly; zeros beyond the twelfth digit lose nothing and are accepted.
    fn parse(text: &str) -> Result<Self, DecimalError> {
        let shown = || text.chars().take(40).collect::<String>();
        let malformed = || DecimalError::Malformed(shown());
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().map_err(|_| malformed())?)
            }
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        if whole.is_empty() || fraction.is_empty() || text.len() > 60 || exponent.abs() > 60 {
            return Err(malformed());
        }
        let mut point = i32::try_from(fraction.len())
            .map_err(|_| malformed())?
            .saturating_sub(exponent);
        let mut units: i128 = 0;
        for digit in whole.chars().chain(fraction.chars()) {
            let digit = digit.to_digit(10).ok_or_else(malformed)?;
            units = units
                .checked_mul(10)
                .and_then(|units| units.checked_add(i128::from(digit)))
                .ok_or_else(|| DecimalError::TooLarge(shown()))?;
        }
        while point > 12 && units.checked_rem(10) == Some(0) && units != 0 {
            units = units.checked_div(10).unwrap_or(units);
            point = point.saturating_sub(1);
        }
        if units == 0 {
            return Ok(Self(0));
        }
        let missing = u32::try_from(12_i32.saturating_sub(point))
            .map_err(|_| DecimalError::TooPrecise(shown()))?;
        let units = 10_i128
            .checked_pow(missing)
            .and_then(|scale| units.checked_mul(scale))
            .filter(within)
            .ok_or_else(|| DecimalError::TooLarge(shown()))?;
        Ok(Self(if negative {
            units.saturating_neg()
        } else {
            units
        }))
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.unsigned_abs();
        let one = ONE.unsigned_abs();
        let whole = units.checked_div(one).unwrap_or_default();
        let fraction = format!("{:012}", units.checked_rem(one).unwrap_or_default());
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.0 < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        f.pad(&format!("{sign}{whole}{point}{fraction}"))
    }
}

/// Reads a JSON number or string without ever making a float of it. It is read from JSON text in memory only: a value
/// that was parsed before, such as a `serde_json::Value`, may have been a float in between and is refused.
impl<'de> Deserialize<'de> for Fixed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let parsed = if text.starts_with('"') {
            Self::parse(&serde_json::from_str::<String>(text).map_err(serde::de::Error::custom)?)
        } else {
            Self::parse(text)
        };
        parsed.map_err(serde::de::Error::custom)
    }
}

impl Serialize for Fixed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `Percent`, `Price` and `Quantity` read and write alike; only arithmetic tells them apart.
macro_rules! exact_decimal {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = DecimalError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Fixed::parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Fixed::deserialize(deserializer).map(Self)
            }
        }

        /// Reads a database `numeric`; the error says when it has too many digits.
        impl TryFrom<Decimal> for $name {
            type Error = DecimalError;

            fn try_from(value: Decimal) -> Result<Self, Self::Error> {
                Fixed::parse(&value.to_string()).map(Self)
            }
        }
    };
}

exact_decimal!(Percent);
exact_decimal!(Price);
exact_decimal!(Quantity);

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Result<Price, DecimalError> {
        text.parse()
    }

    #[test]
    fn reads_exactly_and_writes_shortest() {
        for (text, written) in [
            ("0.1", "0.1"),
            ("-0.10", "-0.1"),
            ("49", "49"),
            ("0.000000000001", "0.000000000001"),
            ("1e-7", "0.0000001"),
            ("1.25E3", "1250"),
            ("0.1000000000000000", "0.1"),
            ("000.5", "0.5"),
            ("-0", "0"),
            (
                "999999999999999.999999999999",
                "999999999999999.999999999999",
            ),
        ] {
            assert_eq!(price(text).unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_keep() {
        assert_eq!(
            price("0.0000000000001"),
            Err(DecimalError::TooPrecise("0.0000000000001".into()))
        );
        assert_eq!(
            price("10000000000000000"),
            Err(DecimalError::TooLarge("10000000000000000".into()))
        );
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "1,5",
            "0x1",
            "NaN",
            "inf",
            "+1",
            " 1",
            "1 ",
            "1e",
            "1e999999999999",
            "--1",
            "1e-",
            "٣",
        ] {
            assert!(
                matches!(price(text), Err(DecimalError::Malformed(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn json_numbers_never_pass_through_a_float() {
        // The nearest double to 0.1 and to this 15-digit number would print differently.
        let prices: Vec<Price> =
            serde_json::from_str(r#"[0.1, "0.1", 123456789012345.123456789012, 1E-12]"#).unwrap();
        assert_eq!(
            serde_json::to_string(&prices).unwrap(),
            r#"["0.1","0.1","123456789012345.123456789012","0.000000000001"]"#
        );
        for json in ["true", "null", "[]", "{}", r#""abc""#, "0.1234567890123"] {
            assert!(serde_json::from_str::<Price>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn numeric_columns_round_trip() {
        for text in ["0.01", "-999999999999999.999999999999", "0", "12.5"] {
            let value = price(text).unwrap();
            assert_eq!(Price::try_from(value.to_decimal()).unwrap(), value);
        }
        let too_precise = Decimal::from_str_exact("0.0000000000001").unwrap();
        assert!(Price::try_from(too_precise).is_err());
    }

    #[test]
    fn quantities_add_within_bounds() {
        let hour = Quantity::from_units(3600);
        assert_eq!(
            hour.checked_add("0.5".parse().unwrap())
                .unwrap()
                .to_string(),
            "3600.5"
        );
        assert_eq!(
            Quantity::ZERO.checked_sub(hour).unwrap().to_string(),
            "-3600"
        );
        let most = Quantity::try_from_units(1_000_000_000_000_000).unwrap();
        assert_eq!(most.checked_add(hour), Err(Overflow));
        assert!(Quantity::try_from_units(i64::MAX).is_err());
        let minutes: Quantity = "2.5".parse().unwrap();
        assert_eq!(minutes.checked_mul_units(60), Ok(Quantity::from_units(150)));
        assert_eq!(most.checked_mul_units(2), Err(Overflow));
    }
}
