//! Reading plans as people send them: the full form, or the short one with minutes and SMS.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::document::{Allowance, Document, GrantCycle, Kind, Proration, Rate, UsagePrice};
use super::key::Key;
use super::validate::{Errors, FieldError, InvalidPlan};
use crate::calls::Direction;
use crate::metering::{BuiltInMeter, MeterCode};
use crate::money::{Currency, Price, Quantity};
use crate::pricing::{BandMode, Increment};

/// A plan with the name and code under which it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// For people; may be empty.
    pub name: String,
    /// For machines, such as `professional`.
    pub code: Option<Key>,
    /// What is charged and included.
    pub document: Document,
}

/// Any JSON object, field by field, without touching its numbers. A field that comes twice is refused: nobody could
/// tell which of them is meant.
struct Fields(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if fields.contains_key(&name) {
                        return Err(A::Error::custom(format!("duplicate field `{name}`")));
                    }
                    fields.insert(name, value);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Once)
    }
}

/// Fields that only the short form has.
const SHORT_FIELDS: [&str; 7] = [
    "baseMonthlyCost",
    "base_monthly_cost",
    "includedMinutes",
    "included_minutes",
    "includedSms",
    "included_sms",
    "overage",
];

impl Offer {
    /// Reads and checks a plan in either form; the error names every field that is wrong.
    pub fn read(json: &[u8]) -> Result<Self, InvalidPlan> {
        let Fields(mut fields) = parse(json)?;
        let name = match fields.remove("name") {
            Some(raw) => parse_field("name", &raw)?,
            None => String::new(),
        };
        let code = fields
            .remove("code")
            .map(|raw| parse_field::<Key>("code", &raw))
            .transpose()?;
        if let Some(code) = code.as_ref().filter(|code| code.as_str().contains(':')) {
            let message = format!("`{code}` must not contain a colon");
            return Err(invalid("code", message));
        }
        let is_short = SHORT_FIELDS.iter().any(|field| fields.contains_key(*field));
        let rest = serde_json::to_vec(&fields).map_err(|error| invalid("", error.to_string()))?;
        let document = if is_short {
            parse::<ShortForm>(&rest)?.into_document()?
        } else {
            parse(&rest)?
        };
        document.validate()?;
        Ok(Self {
            name,
            code,
            document,
        })
    }
}

impl Document {
    /// Reads and checks a document as it is stored.
    pub fn read(json: &[u8]) -> Result<Self, InvalidPlan> {
        let document: Self = parse(json)?;
        document.validate()?;
        Ok(document)
    }
}

fn invalid(field: &str, message: String) -> InvalidPlan {
    InvalidPlan(vec![FieldError {
        field: field.to_owned(),
        message,
    }])
}

/// Parses JSON; the error says at which path, not at which line, since documents come from programs.
fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, InvalidPlan> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        invalid(&path, without_position(&error.into_inner()))
    })?;
    reader
        .end()
        .map_err(|error| invalid("", without_position(&error)))?;
    Ok(value)
}

fn parse_field<T: DeserializeOwned>(field: &str, raw: &RawValue) -> Result<T, InvalidPlan> {
    serde_json::from_str(raw.get()).map_err(|error| invalid(field, without_position(&error)))
}

fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

/// Minutes and SMS with a monthly price, as small sellers state their plans.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShortForm {
    currency: Currency,
    #[serde(default, alias = "base_monthly_cost")]
    base_monthly_cost: Price,
    #[serde(default, alias = "included_minutes")]
    included_minutes: u32,
    #[serde(default, alias = "included_sms")]
    included_sms: u32,
    #[serde(default)]
    overage: ShortOverage,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShortOverage {
    #[serde(default, alias = "per_minute")]
    per_minute: Option<Price>,
    #[serde(default, alias = "per_sms")]
    per_sms: Option<Price>,
}

impl ShortForm {
    /// Minutes are started minutes of calls in both directions; SMS are those sent.
    fn into_document(self) -> Result<Document, InvalidPlan> {
        let mut errors = Errors::default();
        if self.included_minutes > 0 && self.overage.per_minute.is_none() {
            errors.add("overage.perMinute", "must be given with `includedMinutes`");
        }
        if self.included_sms > 0 && self.overage.per_sms.is_none() {
            errors.add("overage.perSms", "must be given with `includedSms`");
        }
        // Named as they are written here, not as the full form has them.
        errors.refuse_negative("baseMonthlyCost", Some(self.base_monthly_cost));
        errors.refuse_negative("overage.perMinute", self.overage.per_minute);
        errors.refuse_negative("overage.perSms", self.overage.per_sms);
        errors.finish()?;
        let key = |text: &str| {
            text.parse::<Key>()
                .map_err(|error| invalid("", error.to_string()))
        };
        let mut document = Document {
            kind: Kind::Subscription,
            currency: self.currency,
            base_fee: self.base_monthly_cost,
            interval_months: 1,
            proration: Proration::Days,
            prices: Vec::new(),
            allowances: Vec::new(),
            calendar: None,
            minimum_commitment: None,
            spend_cap: None,
            trial_days: 0,
            features: self.features,
        };
        if let Some(price) = self.overage.per_minute {
            let rate = Rate::PerUnit {
                price,
                per: Quantity::from_units(60),
            };
            document.prices.push(simple_price(
                key("minutes")?,
                BuiltInMeter::CallDurationSeconds.code(),
                rate,
                Increment::MINUTE,
            ));
        }
        if let Some(price) = self.overage.per_sms {
            let rate = Rate::PerUnit {
                price,
                per: Quantity::from_units(1),
            };
            document.prices.push(simple_price(
                key("sms")?,
                BuiltInMeter::SmsSent.code(),
                rate,
                Increment::SINGLE,
            ));
        }
        if let Some(seconds) = included_seconds(self.included_minutes)? {
            document.allowances.push(included(
                key("minutes")?,
                BuiltInMeter::CallDurationSeconds.code(),
                seconds,
            ));
        }
        if self.included_sms > 0 {
            let messages = Quantity::from_units(self.included_sms);
            document.allowances.push(included(
                key("sms")?,
                BuiltInMeter::SmsSent.code(),
                messages,
            ));
        }
        Ok(document)
    }
}

fn included_seconds(minutes: u32) -> Result<Option<Quantity>, InvalidPlan> {
    if minutes == 0 {
        return Ok(None);
    }
    let seconds = i64::from(minutes).saturating_mul(60);
    Quantity::try_from_units(seconds)
        .map(Some)
        .map_err(|error| invalid("includedMinutes", error.to_string()))
}

fn simple_price(key: Key, meter: MeterCode, rate: Rate, increment: Increment) -> UsagePrice {
    UsagePrice {
        key,
        meter,
        direction: None::<Direction>,
        rate,
        increment,
        free_seconds: 0,
        connection_fee: None,
        minimum_charge: None,
        maximum_charge: None,
        band_mode: BandMode::Split,
        bands: Vec::new(),
    }
}

fn included(key: Key, meter: MeterCode, quantity: Quantity) -> Allowance {
    Allowance {
        key,
        meters: vec![meter],
        quantity,
        every: GrantCycle::Period,
        rollover: None,
        shared: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(json: &str) -> Vec<(String, String)> {
        let InvalidPlan(errors) = Offer::read(json.as_bytes()).unwrap_err();
        errors
            .into_iter()
            .map(|error| (error.field, error.message))
            .collect()
    }

    #[test]
    fn the_short_form_becomes_the_full_one() {
        let json = r#"{"name":"Basic","code":"basic","currency":"USD","baseMonthlyCost":29.90,"includedMinutes":100,
            "includedSms":50,"overage":{"perMinute":0.05,"perSms":"0.02"},"features":["Email support"]}"#;
        let offer = Offer::read(json.as_bytes()).unwrap();
        assert_eq!(
            (offer.name.as_str(), offer.code.unwrap().as_str()),
            ("Basic", "basic")
        );
        let document = offer.document;
        assert_eq!(document.base_fee.to_string(), "29.9");
        let minutes = document.prices.first().unwrap();
        assert_eq!(minutes.increment, Increment::MINUTE);
        let quantities: Vec<_> = document
            .allowances
            .iter()
            .map(|allowance| allowance.quantity.to_string())
            .collect();
        assert_eq!(quantities, ["6000", "50"]);
        let stored = serde_json::to_vec(&document).unwrap();
        assert_eq!(Document::read(&stored).unwrap(), document);
    }

    #[test]
    fn both_spellings_of_a_field_are_read() {
        let json = r#"{"currency":"USD","base_monthly_cost":"10","overage":{"per_minute":"0.1"}}"#;
        assert_eq!(
            Offer::read(json.as_bytes())
                .unwrap()
                .document
                .base_fee
                .to_string(),
            "10"
        );
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let price = |rate: &str| {
            format!(
                r#"{{"currency":"USD","prices":[{{"key":"calls","meter":"CALLS","rate":{rate}}}]}}"#
            )
        };
        let first = |json: &str| errors(json).remove(0);
        assert_eq!(
            first(r#"{"currency":"ZZZ"}"#),
            (
                "currency".into(),
                "`ZZZ` is not a currency code such as USD".into()
            )
        );
        assert_eq!(first("{}").1, "missing field `currency`");
        assert_eq!(
            first(&price(r#"{"per_unit":{"price":"-1"}}"#)).0,
            "prices[0].rate.per_unit.price"
        );
        assert_eq!(
            first(&price(r#"{"per_unit":{"price":"1,5"}}"#)).1,
            "`1,5` is not a decimal number"
        );
        assert_eq!(
            first(&price(r#"{"per_unit":{"prise":"1"}}"#)).0,
            "prices[0].rate.per_unit.prise"
        );
        let tiers =
            r#"{"graduated":{"tiers":[{"upTo":5,"price":1},{"upTo":5,"price":1},{"price":1}]}}"#;
        assert_eq!(
            first(&price(tiers)),
            (
                "prices[0].rate.graduated.tiers[1].upTo".into(),
                "must be above 5, where the tier before ends".into()
            )
        );
        let short = r#"{"currency":"USD","includedMinutes":5}"#;
        assert_eq!(first(short).0, "overage.perMinute");
        assert_eq!(
            first(
                r#"{"currency":"USD","calendar":{"zone":"Mars/Base","rules":[],"otherwise":"x"}}"#
            )
            .0,
            "calendar.zone"
        );
    }

    #[test]
    fn senseless_plans_are_refused() {
        let json = r#"{"kind":"pay_per_call","currency":"USD","baseFee":5,"intervalMonths":0,
            "calendar":{"rules":[{"band":"day","days":["mon"],"from":"09:00","to":"17:00"},
                                 {"band":"late","days":["mon","tue"],"from":"16:00","to":"15:00"}],"otherwise":"night"},
            "prices":[{"key":"a","meter":"M","rate":{"flat":{"price":1}},"minimumCharge":3,"maximumCharge":2,
                       "bands":[{"band":"noon","rate":{"package":{"price":1,"size":0}}}]},
                      {"key":"a","meter":"M","rate":{"by_duration":{"steps":[{"fromSecond":1,"price":1}]}}}],
            "allowances":[{"key":"x","meters":["OTHER"],"quantity":0,"rollover":{"cycles":0}}]}"#;
        let fields: Vec<_> = errors(json).into_iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            [
                "intervalMonths",
                "baseFee",
                "allowances",
                "calendar.rules[1].to",
                "calendar.rules[1]",
                "prices[0].maximumCharge",
                "prices[0].bands[0].rate.package.size",
                "prices[0].bands[0].band",
                "prices[1].key",
                "prices[1].meter",
                "prices[1].rate.by_duration.steps",
                "allowances[0].quantity",
                "allowances[0].meters[0]",
                "allowances[0].rollover.cycles",
            ]
        );
    }

    #[test]
    fn units_and_keys_that_cannot_be_are_refused() {
        let json = r#"{"kind":"pay_per_call","currency":"JPY","minimumCommitment":"10.5","trialDays":7,
            "calendar":{"rules":[{"band":"a:b","days":["mon"],"from":"09:00","to":"17:00"}],"otherwise":"x"},
            "prices":[{"key":"a:x","meter":"SMS_SENT","increment":"60/60","freeSeconds":5,
                       "rate":{"by_duration":{"steps":[{"fromSecond":0,"price":1}]}}},
                      {"key":"c","meter":"CALL_DURATION_SECONDS","rate":{"deck":{"deck":"a:b"}}},
                      {"key":"d","meter":"MY_OWN","increment":"60/60","rate":{"flat":{"price":1}}}],
            "allowances":[{"key":"p","meters":["SMS_SENT","MY_OWN","CALL_DURATION_SECONDS","SMS_SENT"],"quantity":1}]}"#;
        let fields: Vec<_> = errors(json).into_iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            [
                "minimumCommitment",
                "allowances",
                "minimumCommitment",
                "trialDays",
                "calendar.rules[0].band",
                "prices[0].key",
                "prices[0].increment",
                "prices[0].freeSeconds",
                "prices[0].rate.by_duration",
                "prices[1].rate.deck.deck",
                "allowances[0].meters[2]",
                "allowances[0].meters[3]",
                "allowances[0].meters[3]",
            ]
        );
        let short = r#"{"currency":"USD","baseMonthlyCost":-1,"overage":{"perMinute":-0.5}}"#;
        let fields: Vec<_> = errors(short).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["baseMonthlyCost", "overage.perMinute"]);
    }

    #[test]
    fn broken_json_is_an_error() {
        for json in [
            "",
            "[]",
            "{",
            r#"{"currency":"USD"} x"#,
            r#"{"name":5,"currency":"USD"}"#,
            r#"{"currency":"USD","currency":"EUR"}"#,
            r#"{"currency":"USD","baseFee":1,"base_fee":2}"#,
        ] {
            assert!(Offer::read(json.as_bytes()).is_err(), "{json}");
        }
    }
}
