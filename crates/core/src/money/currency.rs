//! Currencies of ISO 4217 that money can be billed in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A currency by its ISO 4217 code, with a minor unit of 0, 2 or 3 decimal digits.
///
/// Codes without a minor unit (gold, testing) and units of account with four digits are refused:
/// no invoice can be paid in them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: iso_currency::Currency,
    exponent: u8,
}

/// The text is not the code of a currency that money can be billed in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a currency code such as USD")]
pub struct UnknownCurrency(String);

impl Currency {
    /// The United States dollar.
    pub const USD: Self = Self {
        code: iso_currency::Currency::USD,
        exponent: 2,
    };
    /// The euro.
    pub const EUR: Self = Self {
        code: iso_currency::Currency::EUR,
        exponent: 2,
    };
    /// The Japanese yen, which has no minor unit.
    pub const JPY: Self = Self {
        code: iso_currency::Currency::JPY,
        exponent: 0,
    };

    /// The three-letter code, such as `USD`.
    pub fn code(self) -> &'static str {
        self.code.code()
    }

    /// Decimal digits of the minor unit: 0, 2 or 3.
    pub fn exponent(self) -> u32 {
        u32::from(self.exponent)
    }

    /// Minor units in one major unit: 1, 100 or 1000.
    pub(crate) fn minor_per_major(self) -> i64 {
        10_i64.pow(self.exponent())
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownCurrency(text.chars().take(16).collect());
        let code = iso_currency::Currency::from_code(text).ok_or_else(unknown)?;
        let exponent = code
            .exponent()
            .and_then(|digits| u8::try_from(digits).ok())
            .ok_or_else(unknown)?;
        if !matches!(exponent, 0 | 2 | 3) {
            return Err(unknown());
        }
        Ok(Self { code, exponent })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_follow_iso_4217() {
        for (code, exponent) in [
            ("USD", 2),
            ("EUR", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("TND", 3),
            ("KRW", 0),
        ] {
            assert_eq!(
                code.parse::<Currency>().unwrap().exponent(),
                exponent,
                "{code}"
            );
        }
    }

    #[test]
    fn what_cannot_be_paid_is_refused() {
        for code in ["usd", "XAU", "XXX", "CLF", "", "DOLLAR"] {
            assert!(code.parse::<Currency>().is_err(), "{code}");
        }
    }

    #[test]
    fn a_code_is_its_json() {
        assert_eq!(serde_json::to_string(&Currency::EUR).unwrap(), r#""EUR""#);
        assert_eq!(
            serde_json::from_str::<Currency>(r#""JPY""#).unwrap(),
            Currency::JPY
        );
        assert!(serde_json::from_str::<Currency>(r#""ZZZ""#).is_err());
    }
}
