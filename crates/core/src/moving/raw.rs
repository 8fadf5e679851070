//! A book as it is written: names are known, values are not yet looked at, so that every wrong one can be told.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A value: text, or a number with all of its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        let text = match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map_err(serde::de::Error::custom)?,
            Some(b'-' | b'0'..=b'9') => raw.to_owned(),
            _ => return Err(serde::de::Error::custom("must be text or a number")),
        };
        Ok(Self(text))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Book {
    pub(super) format: Option<Text>,
    pub(super) next_invoice_number: Option<Text>,
    #[serde(default)]
    pub(super) customers: Vec<Customer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Customer {
    pub(super) key: Option<Text>,
    pub(super) name: Option<Text>,
    pub(super) email: Option<Text>,
    pub(super) zone: Option<Text>,
    pub(super) country: Option<Text>,
    pub(super) tax: Option<Tax>,
    #[serde(default)]
    pub(super) numbers: Vec<Text>,
    #[serde(default)]
    pub(super) contacts: Vec<Contact>,
    pub(super) subscription: Option<Subscription>,
    #[serde(default)]
    pub(super) invoices: Vec<Invoice>,
    #[serde(default)]
    pub(super) credit: Vec<Credit>,
    #[serde(default)]
    pub(super) wallet: Vec<Lot>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Tax {
    #[serde(default)]
    pub(super) exempt: bool,
    pub(super) percent: Option<Text>,
    #[serde(default)]
    pub(super) inclusive: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Contact {
    pub(super) name: Option<Text>,
    pub(super) email: Option<Text>,
    pub(super) role: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Subscription {
    pub(super) plan: Option<Text>,
    pub(super) started_on: Option<Text>,
    pub(super) anchor_on: Option<Text>,
    pub(super) period_starts_on: Option<Text>,
    pub(super) period_ends_on: Option<Text>,
    #[serde(default)]
    pub(super) used: Vec<Used>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Used {
    pub(super) allowance: Option<Text>,
    pub(super) quantity: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Invoice {
    pub(super) number: Option<Text>,
    pub(super) issued_on: Option<Text>,
    pub(super) due_on: Option<Text>,
    pub(super) currency: Option<Text>,
    pub(super) total: Option<Text>,
    pub(super) tax: Option<Text>,
    pub(super) open: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Credit {
    pub(super) currency: Option<Text>,
    pub(super) amount: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Lot {
    pub(super) currency: Option<Text>,
    pub(super) amount: Option<Text>,
    pub(super) expires_on: Option<Text>,
}
