//! The provider's JSON, as read. Numbers come as texts in one place and as numbers in another; dates are those of
//! mail (RFC 2822).

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A part of a list. Each list has its own name for its items; only one is there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    pub(super) next_page_uri: Option<String>,
    pub(super) calls: Vec<Call>,
    pub(super) messages: Vec<Message>,
    pub(super) recordings: Vec<Recording>,
    pub(super) incoming_phone_numbers: Vec<Number>,
    pub(super) available_phone_numbers: Vec<Available>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: Option<u32>,
    pub(super) message: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) sid: String,
    pub(super) friendly_name: Option<String>,
    pub(super) status: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Number {
    pub(super) sid: String,
    #[serde(rename = "phone_number")]
    pub(super) e164: String,
    pub(super) friendly_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Available {
    pub(super) phone_number: String,
    pub(super) locality: Option<String>,
    pub(super) region: Option<String>,
    #[serde(default)]
    pub(super) capabilities: Capabilities,
}

/// The price list of a country's numbers.
#[derive(Debug, Deserialize)]
pub(super) struct NumberPrices {
    #[serde(default)]
    pub(super) phone_number_prices: Vec<NumberPrice>,
    pub(super) price_unit: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NumberPrice {
    /// `local`, `mobile`, `national` or `toll free`.
    #[serde(default)]
    pub(super) number_type: String,
    /// By the month, with the account's discounts.
    #[serde(default, deserialize_with = "text")]
    pub(super) current_price: Option<String>,
}

/// Written in small letters in the documents and in capitals by the service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Capabilities {
    pub(super) voice: bool,
    #[serde(alias = "SMS")]
    pub(super) sms: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Call {
    pub(super) sid: String,
    pub(super) parent_call_sid: Option<String>,
    pub(super) phone_number_sid: Option<String>,
    #[serde(default)]
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) direction: Option<String>,
    #[serde(default, deserialize_with = "date")]
    pub(super) date_created: Option<Timestamp>,
    #[serde(default, deserialize_with = "date")]
    pub(super) date_updated: Option<Timestamp>,
    #[serde(default, deserialize_with = "date")]
    pub(super) start_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "date")]
    pub(super) end_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "text")]
    pub(super) duration: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) price: Option<String>,
    pub(super) price_unit: Option<String>,
    pub(super) forwarded_from: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Recording {
    pub(super) sid: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default, deserialize_with = "date")]
    pub(super) start_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "date")]
    pub(super) date_updated: Option<Timestamp>,
    #[serde(default, deserialize_with = "text")]
    pub(super) duration: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) price: Option<String>,
    pub(super) price_unit: Option<String>,
    pub(super) uri: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) sid: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) direction: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) num_segments: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) error_code: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) price: Option<String>,
    pub(super) price_unit: Option<String>,
    #[serde(default, deserialize_with = "date")]
    pub(super) date_created: Option<Timestamp>,
    #[serde(default, deserialize_with = "date")]
    pub(super) date_updated: Option<Timestamp>,
}

/// A text, or a number as the text that it is written as, so that no price passes through a binary fraction.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let raw: Option<Box<RawValue>> = Option::deserialize(deserializer)?;
    let text = raw.map(|raw| raw.get().trim_matches('"').to_owned());
    Ok(text.filter(|text| !text.is_empty() && text != "null"))
}

/// A date of mail; what is not one is not known.
fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| Some(rfc2822::parse(&text).ok()?.timestamp())))
}
