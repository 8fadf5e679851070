//! Where a call goes, as far as fraud is concerned: a country, or one number that costs extra.

use std::fmt;
use std::str::FromStr;

use crate::phone::{E164, LineKind, calling_code};

/// Where a call goes. Written `CU` for a country, `+1` to `+999` where only the calling code is known, `+19005550123` for a
/// number at a premium rate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// A country, as two letters.
    Country(String),
    /// A number that costs extra: usual only for who has called this very number.
    Premium(E164),
    /// A number whose country is not known, such as a satellite's: by its first three digits.
    Code(String),
}

/// The text is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a country's two letters, nor a calling code, nor a number")]
pub struct UnknownDestination(String);

impl Destination {
    /// Where a number is.
    pub fn of(number: &E164) -> Self {
        if matches!(number.line_kind(), Some(LineKind::Premium)) {
            return Self::Premium(number.clone());
        }
        match number.country() {
            Some(country) => Self::Country(country),
            None => Self::Code(number.digits().chars().take(3).collect()),
        }
    }

    /// With what the numbers of the destination begin that `number` shares with them: who has called one of these has
    /// called the destination. Islands that share the code of the United States are told apart by the area code; other
    /// countries that share a code count as one.
    pub fn prefix(&self, number: &E164) -> String {
        match self {
            Self::Premium(number) => number.as_str().to_owned(),
            Self::Code(digits) => format!("+{digits}"),
            Self::Country(country) => match calling_code(country) {
                Some(1) if country != "US" && country != "CA" => {
                    number.as_str().chars().take(5).collect()
                }
                Some(code) => format!("+{code}"),
                None => number.as_str().chars().take(4).collect(),
            },
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(country) => f.pad(country),
            Self::Premium(number) => f.pad(number.as_str()),
            Self::Code(digits) => write!(f, "+{digits}"),
        }
    }
}

impl FromStr for Destination {
    type Err = UnknownDestination;

    fn from_str(text: &str) -> Result<Self, UnknownDestination> {
        let unknown = || UnknownDestination(text.to_owned());
        let Some(digits) = text.strip_prefix('+') else {
            let country = text.to_ascii_uppercase();
            let is_country = calling_code(&country).is_some();
            return is_country
                .then_some(Self::Country(country))
                .ok_or_else(unknown);
        };
        if let Ok(number) = text.parse::<E164>() {
            return Ok(Self::Premium(number));
        }
        let is_code =
            (1..=3).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
        is_code
            .then(|| Self::Code(digits.to_owned()))
            .ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: &str) -> (String, String) {
        let number: E164 = number.parse().unwrap();
        let destination = Destination::of(&number);
        (destination.to_string(), destination.prefix(&number))
    }

    fn pair(destination: &str, prefix: &str) -> (String, String) {
        (destination.to_owned(), prefix.to_owned())
    }

    #[test]
    fn countries_that_share_a_code_are_told_apart() {
        assert_eq!(of("+5352345678"), pair("CU", "+53"));
        assert_eq!(of("+442079460123"), pair("GB", "+44"));
        // Jamaica shares the code of the United States.
        assert_eq!(of("+18765550123"), pair("JM", "+1876"));
        assert_eq!(of("+12125550142"), pair("US", "+1"));
    }

    #[test]
    fn a_number_at_a_premium_rate_is_a_destination_of_its_own() {
        assert_eq!(of("+19002345678"), pair("+19002345678", "+19002345678"));
        assert_eq!(of("+449012345678").0, "+449012345678");
    }

    #[test]
    fn what_is_in_no_country_goes_by_its_code() {
        assert_eq!(of("+881612345678").1, "+881");
    }

    #[test]
    fn destinations_are_read_as_they_are_written() {
        for text in ["CU", "+19002345678", "+881"] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
        assert_eq!("cu".parse::<Destination>().unwrap().to_string(), "CU");
        for text in ["", "XX", "Cuba", "+", "+12x", "+1234"] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
