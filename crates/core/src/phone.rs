//! Phone numbers in international form, and the parties of a communication, which need not be numbers.

use std::fmt;
use std::str::FromStr;

use phonenumber::Mode;
use phonenumber::country::Id as CountryId;
use serde::{Deserialize, Serialize};

/// A phone number in E.164 form: `+`, a country code, at most 15 digits in all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(Box<str>);

/// The text is not a phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// Not the E.164 form.
    #[error("`{0}` is not a phone number in the form +12025550123")]
    Form(String),
    /// Not a number that exists in its country.
    #[error("`{0}` is not a valid phone number")]
    Number(String),
    /// Not an ISO 3166 code of two letters.
    #[error("unknown country `{0}`")]
    Country(String),
}

/// What kind of line a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// Of a place.
    Local,
    /// Of a mobile network.
    Mobile,
    /// The called side pays.
    TollFree,
    /// It costs extra to call.
    Premium,
}

impl E164 {
    /// Reads what a person typed. Without a leading `+` it is a number of `default_country` (two letters, such as `US`).
    ///
    /// The numbering plan of the country is checked, so a mistyped number is refused; use `FromStr` for numbers that a
    /// provider has already put through, which may be newer than any list.
    pub fn parse(text: &str, default_country: &str) -> Result<Self, InvalidNumber> {
        let country: CountryId = default_country
            .to_ascii_uppercase()
            .parse()
            .map_err(|_| InvalidNumber::Country(default_country.to_owned()))?;
        let invalid = || InvalidNumber::Number(text.to_owned());
        let number = phonenumber::parse(Some(country), text.trim()).map_err(|_| invalid())?;
        if !number.is_valid() || number.extension().is_some() {
            return Err(invalid());
        }
        number.format().mode(Mode::E164).to_string().parse()
    }

    /// The number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without the `+`, for longest-prefix matches.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// The country as two letters, where the number's plan is known.
    pub fn country(&self) -> Option<String> {
        let number = phonenumber::parse(None, &*self.0).ok()?;
        number.country().id().map(|id| id.as_ref().to_owned())
    }

    /// What kind of line it is, where the number's plan tells. In the United States and Canada mobile lines have numbers
    /// of places.
    pub fn line_kind(&self) -> Option<LineKind> {
        let number = phonenumber::parse(None, &*self.0).ok()?;
        match number.number_type(&phonenumber::metadata::DATABASE) {
            phonenumber::Type::FixedLine | phonenumber::Type::FixedLineOrMobile => {
                Some(LineKind::Local)
            }
            phonenumber::Type::Mobile => Some(LineKind::Mobile),
            phonenumber::Type::TollFree => Some(LineKind::TollFree),
            phonenumber::Type::PremiumRate => Some(LineKind::Premium),
            _ => None,
        }
    }

    /// For people: in national form within `country`, otherwise in international form with spaces.
    pub fn display_in(&self, country: &str) -> String {
        let Ok(number) = phonenumber::parse(None, &*self.0) else {
            return self.0.to_string();
        };
        let is_national = number
            .country()
            .id()
            .is_some_and(|id| id.as_ref().eq_ignore_ascii_case(country));
        let mode = if is_national {
            Mode::National
        } else {
            Mode::International
        };
        number.format().mode(mode).to_string()
    }
}

impl FromStr for E164 {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        let form = || InvalidNumber::Form(text.to_owned());
        let digits = text.strip_prefix('+').ok_or_else(form)?;
        let is_e164 = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if is_e164 {
            Ok(Self(text.into()))
        } else {
            Err(form())
        }
    }
}

impl TryFrom<String> for E164 {
    type Error = InvalidNumber;

    fn try_from(text: String) -> Result<Self, InvalidNumber> {
        text.parse()
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.0.into()
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digits that lead to a country from abroad, such as 1 for `US`; `None` if there is no such country.
pub fn calling_code(country: &str) -> Option<u16> {
    let country = country.to_ascii_uppercase();
    phonenumber::metadata::DATABASE
        .by_id(country.as_str())
        .map(phonenumber::Metadata::country_code)
}

/// One side of a communication. Nothing that a provider sends is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Party {
    /// A phone number.
    Number(E164),
    /// A caller who withholds their number.
    Anonymous,
    /// A short code, a SIP address, a browser client or a provider's user.
    Other(String),
}

/// What stands for a withheld number: words, and the digits that spell such words on a keypad
/// (ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN, UNAVAILABLE), which Twilio reports as if they were numbers.
const WITHHELD: [&str; 12] = [
    "",
    "anonymous",
    "blocked",
    "private",
    "restricted",
    "unavailable",
    "unknown",
    "+266696687",
    "+7378742833",
    "+2562533",
    "+8656696",
    "+86282452253",
];

impl Party {
    /// Reads a provider's text, whatever it is.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        if WITHHELD
            .iter()
            .any(|withheld| text.eq_ignore_ascii_case(withheld))
        {
            return Self::Anonymous;
        }
        text.parse()
            .map_or_else(|_| Self::Other(text.to_owned()), Self::Number)
    }

    /// The phone number, if it is one.
    pub fn number(&self) -> Option<&E164> {
        match self {
            Self::Number(number) => Some(number),
            Self::Anonymous | Self::Other(_) => None,
        }
    }

    /// As stored: the number, `anonymous`, or the provider's text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::Anonymous => "anonymous",
            Self::Other(text) => text,
        }
    }
}

impl From<String> for Party {
    fn from(text: String) -> Self {
        Self::read(&text)
    }
}

impl From<Party> for String {
    fn from(party: Party) -> Self {
        party.as_str().to_owned()
    }
}

impl From<E164> for Party {
    fn from(number: E164) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_type_numbers_in_many_ways() {
        let cases = [
            ("(202) 456-1111", "US", "+12024561111"),
            ("+1 202 456 1111", "DE", "+12024561111"),
            ("030 22732152", "DE", "+493022732152"),
            ("020 7219 3000", "gb", "+442072193000"),
            // Italian numbers keep their leading zero.
            ("06 6982", "IT", "+39066982"),
        ];
        for (text, country, expected) in cases {
            assert_eq!(
                E164::parse(text, country).unwrap().as_str(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_tells_its_kind_where_its_plan_does() {
        let kinds = [
            ("+12125550140", Some(LineKind::Local)),
            ("+18005550100", Some(LineKind::TollFree)),
            ("+447400123456", Some(LineKind::Mobile)),
            ("+493022732152", Some(LineKind::Local)),
            ("+19005550100", Some(LineKind::Premium)),
        ];
        for (number, kind) in kinds {
            let number: E164 = number.parse().unwrap();
            assert_eq!(number.line_kind(), kind, "{number}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused_with_its_name() {
        for text in ["12", "hello", "+1202456111", "", "(202) 456-1111 ext. 5"] {
            let error = E164::parse(text, "US").unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not a valid phone number")
            );
        }
        assert_eq!(
            E164::parse("1", "XX").unwrap_err(),
            InvalidNumber::Country("XX".into())
        );
        for text in [
            "12025550123",
            "+0202555012",
            "+1 202 555 0123",
            "+1234567890123456",
            "+12345",
            "+",
        ] {
            assert_eq!(
                text.parse::<E164>().unwrap_err(),
                InvalidNumber::Form(text.into())
            );
        }
    }

    #[test]
    fn a_number_is_national_at_home_and_international_abroad() {
        let number: E164 = "+12024561111".parse().unwrap();
        assert_eq!(number.display_in("US"), "(202) 456-1111");
        assert_eq!(number.display_in("DE"), "+1 202-456-1111");
        assert_eq!(number.country().as_deref(), Some("US"));
        assert_eq!(number.digits(), "12024561111");
        let unknown: E164 = "+9991234567".parse().unwrap();
        assert_eq!(unknown.display_in("US"), "+9991234567");
    }

    #[test]
    fn parties_are_never_refused() {
        assert!(matches!(Party::read("+12025550123"), Party::Number(_)));
        for text in ["anonymous", "Restricted", "+266696687", "", " unknown "] {
            assert_eq!(Party::read(text), Party::Anonymous, "{text}");
        }
        for text in ["40404", "sip:a@b.example", "client:agent", "US0001"] {
            assert_eq!(Party::read(text), Party::Other(text.to_owned()));
            assert_eq!(Party::read(Party::read(text).as_str()), Party::read(text));
        }
    }
}
