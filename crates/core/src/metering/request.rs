//! What a caller asks to record, and what makes two such requests the same.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::meter::MeterCode;
use crate::ids::{CustomerId, MappingId, UserId};
use crate::money::Quantity;

/// What makes an event unique within an organization, for all time: 1 to 255 characters, none of them a control.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

/// The text cannot be an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 characters, without control characters")]
pub struct InvalidKey;

impl IdempotencyKey {
    /// A key of our own making.
    pub(super) fn made(key: String) -> Self {
        Self(key)
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let is_key =
            (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if is_key {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKey)
        }
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A request to record usage, as its caller made it: what they left out is `None`, whatever it is taken to be later.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageRequest {
    /// The meter, with its everyday names resolved.
    pub meter: MeterCode,
    /// How much, in the meter's base unit.
    pub quantity: Quantity,
    /// When; if left out, the time of arrival.
    pub occurred_at: Option<Timestamp>,
    /// Who used it.
    pub user: Option<UserId>,
    /// On which phone number.
    pub mapping: Option<MappingId>,
    /// For which customer.
    pub customer: Option<CustomerId>,
    /// What kind of thing was used.
    pub resource_type: Option<String>,
    /// Which one.
    pub resource_id: Option<String>,
    /// Whatever else the caller wants to find again.
    pub metadata: Value,
}

impl UsageRequest {
    /// The bytes whose digest tells a repeated request from another one under the same key. Equal exactly for equal
    /// requests: the order of fields in the metadata, the spelling of a number (`1.50`) or of a time zone in a time
    /// makes no difference.
    pub fn canonical(&self) -> Vec<u8> {
        let optional = |text: Option<String>| text.map_or(Value::Null, Value::String);
        let fields = [
            Value::String(self.meter.to_string()),
            Value::String(self.quantity.to_string()),
            optional(self.occurred_at.map(|at| at.to_string())),
            optional(self.user.map(|id| id.to_string())),
            optional(self.mapping.map(|id| id.to_string())),
            optional(self.customer.map(|id| id.to_string())),
            optional(self.resource_type.clone()),
            optional(self.resource_id.clone()),
            self.metadata.clone(),
        ];
        let mut text = String::new();
        write_canonical(&Value::Array(fields.into()), &mut text);
        text.into_bytes()
    }
}

/// JSON without spaces, the fields of each object in order of their names.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (index, (name, item)) in fields.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_canonical(item, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metering::resolve;

    fn request(quantity: &str, occurred_at: Option<&str>, metadata: &str) -> UsageRequest {
        let (meter, quantity) = resolve("minutes", quantity.parse().unwrap()).unwrap();
        UsageRequest {
            meter,
            quantity,
            occurred_at: occurred_at.map(|text| text.parse().unwrap()),
            user: None,
            mapping: None,
            customer: None,
            resource_type: Some("call".into()),
            resource_id: None,
            metadata: serde_json::from_str(metadata).unwrap(),
        }
    }

    #[test]
    fn spelling_makes_no_difference_and_content_does() {
        let one = request(
            "1.50",
            Some("2026-01-06T16:00:00+01:00"),
            r#"{"a":1,"b":{"y":[1,2],"x":null}}"#,
        );
        let same = request(
            "1.5",
            Some("2026-01-06T15:00:00Z"),
            r#"{ "b": {"x":null,"y":[1, 2]}, "a": 1 }"#,
        );
        assert_eq!(one.canonical(), same.canonical());
        let text = String::from_utf8(one.canonical()).unwrap();
        let expected = concat!(
            r#"["CALL_DURATION_SECONDS","90","2026-01-06T15:00:00Z",null,null,null,"call",null,"#,
            r#"{"a":1,"b":{"x":null,"y":[1,2]}}]"#
        );
        assert_eq!(text, expected);
        for other in [
            request("1.5", None, r#"{"a":1,"b":{"y":[1,2],"x":null}}"#),
            request(
                "1.6",
                Some("2026-01-06T15:00:00Z"),
                r#"{"a":1,"b":{"y":[1,2],"x":null}}"#,
            ),
            request(
                "1.5",
                Some("2026-01-06T15:00:00Z"),
                r#"{"a":1,"b":{"y":[2,1],"x":null}}"#,
            ),
        ] {
            assert_ne!(one.canonical(), other.canonical());
        }
    }

    #[test]
    fn keys_are_checked() {
        assert_eq!(
            "order-1".parse::<IdempotencyKey>().unwrap().as_str(),
            "order-1"
        );
        for key in ["", "a\nb", "é".repeat(256).as_str()] {
            assert_eq!(key.parse::<IdempotencyKey>(), Err(InvalidKey));
        }
        assert!("é".repeat(255).parse::<IdempotencyKey>().is_ok());
    }
}
