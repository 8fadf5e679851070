//! Invoice numbers: `PREFIX-2026-000123`, sequential for each seller and year.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The seller's part of a number: 1 to 12 capital letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NumberPrefix(String);

/// A number as printed on an invoice or credit note.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InvoiceNumber {
    prefix: NumberPrefix,
    year: u16,
    sequence: u32,
}

/// The text is not a prefix or a number of this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInvoiceNumber {
    /// Not a prefix.
    #[error("`{0}` is not a number prefix of 1 to 12 capital letters and digits")]
    Prefix(String),
    /// Not a number.
    #[error("`{0}` is not a number such as INV-2026-000123")]
    Number(String),
}

impl InvoiceNumber {
    /// The year is 1970 to 9999, the sequence from 1.
    pub fn new(
        prefix: NumberPrefix,
        year: u16,
        sequence: u32,
    ) -> Result<Self, InvalidInvoiceNumber> {
        if !(1970..=9999).contains(&year) || sequence == 0 {
            return Err(InvalidInvoiceNumber::Number(format!(
                "{}-{year}-{sequence:06}",
                prefix.0
            )));
        }
        Ok(Self {
            prefix,
            year,
            sequence,
        })
    }

    /// The year in which the seller finalized it, in the seller's zone.
    pub fn year(&self) -> u16 {
        self.year
    }

    /// The place in that year, from 1 and without gaps.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }
}

impl fmt::Display for InvoiceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:06}", self.prefix.0, self.year, self.sequence)
    }
}

impl FromStr for InvoiceNumber {
    type Err = InvalidInvoiceNumber;

    fn from_str(text: &str) -> Result<Self, InvalidInvoiceNumber> {
        let invalid = || InvalidInvoiceNumber::Number(text.chars().take(40).collect());
        let mut parts = text.split('-');
        let (Some(prefix), Some(year), Some(sequence), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        let year = year.parse().map_err(|_| invalid())?;
        let sequence = sequence.parse().map_err(|_| invalid())?;
        let number = Self::new(prefix.parse()?, year, sequence)?;
        // One number has one spelling.
        if number.to_string() == text {
            Ok(number)
        } else {
            Err(invalid())
        }
    }
}

impl FromStr for NumberPrefix {
    type Err = InvalidInvoiceNumber;

    fn from_str(text: &str) -> Result<Self, InvalidInvoiceNumber> {
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if text.is_empty() || text.len() > 12 || !text.bytes().all(allowed) {
            return Err(InvalidInvoiceNumber::Prefix(
                text.chars().take(40).collect(),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for NumberPrefix {
    type Error = InvalidInvoiceNumber;

    fn try_from(text: String) -> Result<Self, InvalidInvoiceNumber> {
        text.parse()
    }
}

impl From<NumberPrefix> for String {
    fn from(prefix: NumberPrefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for NumberPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_they_are_written() {
        for text in ["INV-2026-000123", "A1-2026-1000000", "X-1970-000001"] {
            assert_eq!(text.parse::<InvoiceNumber>().unwrap().to_string(), text);
        }
        let number: InvoiceNumber = "INV-2026-000123".parse().unwrap();
        assert_eq!((number.year(), number.sequence()), (2026, 123));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "inv-2026-000123",
            "INV-2026-123",
            "INV-2026-0000123",
            "INV-2026-000000",
            "INV-26-000001",
            "-2026-000001",
            "INV",
            "A-B-2026-000001",
            "INV-2026-+00001",
        ] {
            assert!(text.parse::<InvoiceNumber>().is_err(), "{text}");
        }
    }
}
