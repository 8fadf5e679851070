//! Short names that people give to prices, allowances, bands and decks.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A stable name within a plan or organization: 1 to 64 letters, digits, `_`, `-` or `.`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// The text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key of 1 to 64 letters, digits, `_`, `-` or `.`")]
pub struct InvalidKey(String);

impl Key {
    /// Longest key in bytes.
    const LEN_MAX: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of a price in one band. A colon cannot be part of a written key, so this is never ambiguous.
    #[must_use]
    pub fn in_band(&self, band: &Self) -> Self {
        Self(format!("{}:{}", self.0, band.0).into())
    }

    /// A key as stored, which may name a band.
    pub fn from_stored(text: &str) -> Result<Self, InvalidKey> {
        let (key, band) = text
            .split_once(':')
            .map_or((text, None), |(key, band)| (key, Some(band)));
        key.parse::<Self>()?;
        if let Some(band) = band {
            band.parse::<Self>()?;
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if text.is_empty() || text.len() > Self::LEN_MAX || !text.bytes().all(allowed) {
            return Err(InvalidKey(text.chars().take(80).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_stored(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_plain() {
        for text in ["calls", "CALL_DURATION_SECONDS", "us-out.2026"] {
            assert_eq!(text.parse::<Key>().unwrap().as_str(), text);
        }
        for text in ["", "a b", "a:b", "ä", &"x".repeat(65)] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_stored_key_may_name_a_band() {
        let calls: Key = "calls".parse().unwrap();
        let night = calls.in_band(&"night".parse().unwrap());
        assert_eq!(night.as_str(), "calls:night");
        assert_eq!(Key::from_stored("calls:night").unwrap(), night);
        assert!(Key::from_stored("calls:").is_err());
        assert!(Key::from_stored("calls:a:b").is_err());
    }
}
