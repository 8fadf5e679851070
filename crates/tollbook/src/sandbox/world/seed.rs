//! The organizations as they are written down: see the JSON files beside this one.

use serde::Deserialize;
use serde_json::value::RawValue;
use tollbook_core::money::Price;
use tollbook_core::phone::E164;
use tollbook_core::time::Zone;

use crate::error::{Error, Result};

const FILES: [(&str, &str); 2] = [
    ("harbor.json", include_str!("harbor.json")),
    ("nordlicht.json", include_str!("nordlicht.json")),
];

/// An organization.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Firm {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) country: String,
    pub(super) zone: String,
    pub(super) currency: String,
    pub(super) invoice_prefix: String,
    pub(super) billing: Billing,
    pub(super) people: Vec<Person>,
    pub(super) accounts: Vec<Account>,
    /// How busy each local hour is, relative to the others.
    pub(super) hours: [u32; 24],
    /// The local hour at which business ends.
    pub(super) closes_hour: i8,
    /// Plan documents, read from their own bytes: prices are never floats.
    pub(super) plans: Vec<Box<RawValue>>,
    /// The code of the plan for customers without a subscription.
    pub(super) pay_per_call: String,
    pub(super) customers: Vec<Customer>,
    pub(super) crowd: Crowd,
}

/// How it invoices.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Billing {
    pub(super) invoice_grace_seconds: u32,
    pub(super) payment_terms_days: u16,
    pub(super) pay_per_call_invoicing: PayPerCall,
}

/// When pay-per-call usage is invoiced.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PayPerCall {
    Monthly,
    PerCall,
}

/// Somebody who works there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    pub(super) mail: String,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) role: Role,
}

/// What somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    OrgAdmin,
    OrgMember,
}

/// An account at the phone provider.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Account {
    /// Part of the key that opens it.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) surface: Surface,
    /// On the days that are watched.
    pub(super) calls_per_day: u32,
    /// On the days before.
    pub(super) calls_per_past_day: u32,
    pub(super) lines: Vec<OurLine>,
    pub(super) forwards_to: E164,
}

/// At which provider it is, and through which of its interfaces webhooks come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Surface {
    /// OpenPhone, version 2026-03-30, signed by Standard Webhooks.
    Current,
    /// OpenPhone, version 1, with the provider's own signature.
    First,
    /// Twilio.
    Twilio,
}

/// A number, and who answers it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OurLine {
    pub(super) number: E164,
    pub(super) name: String,
    pub(super) people: Vec<String>,
}

/// A customer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Customer {
    pub(super) name: String,
    pub(super) mail: Option<String>,
    pub(super) numbers: Vec<E164>,
    /// The code of their plan; none pays per call.
    pub(super) plan: Option<String>,
    /// Their subscription began so many days ago.
    pub(super) since: u16,
    /// Whether it goes on after its first period; absent: it does.
    pub(super) renews: Option<bool>,
    pub(super) contact: Option<String>,
    pub(super) note: Option<String>,
    pub(super) tax_percent: Option<Price>,
    pub(super) tax_exempt: bool,
}

/// Customers who have a name and a number and no story.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Crowd {
    pub(super) count: usize,
    /// Numbers but for their last two digits.
    numbers: Vec<String>,
    first: Vec<String>,
    last: Vec<String>,
    #[serde(default)]
    plan: Option<String>,
    /// Every how many of them has that plan.
    #[serde(default)]
    plan_every: usize,
    #[serde(default)]
    tax_percent: Option<Price>,
}

/// The organizations.
pub(super) fn firms() -> Result<Vec<Firm>> {
    FILES
        .iter()
        .map(|(name, text)| {
            serde_json::from_str(text)
                .map_err(|error| Error::Internal(format!("`{name}` cannot be read: {error}")))
        })
        .collect()
}

impl Firm {
    /// Where its clocks hang.
    pub(super) fn zone(&self) -> Result<Zone> {
        self.zone
            .parse()
            .map_err(|error| Error::Internal(format!("a made-up zone: {error}")))
    }

    /// All customers, those with a story first.
    pub(super) fn everybody(&self) -> Result<Vec<Customer>> {
        let crowd = (0..self.crowd.count).map(|place| self.crowd.one(place));
        self.customers
            .iter()
            .cloned()
            .map(Ok)
            .chain(crowd)
            .collect()
    }
}

impl Person {
    /// How they are called.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }
}

impl Crowd {
    fn one(&self, place: usize) -> Result<Customer> {
        let short = || Error::Internal("a made-up crowd has no names or numbers".into());
        let pick = |list: &[String], place: usize| {
            place
                .checked_rem(list.len())
                .and_then(|place| list.get(place).cloned())
                .ok_or_else(short)
        };
        let prefix = pick(&self.numbers, place)?;
        let rest = place / self.numbers.len().max(1);
        let number: E164 = format!("{prefix}{rest:02}")
            .parse()
            .map_err(|error| Error::Internal(format!("a made-up number: {error}")))?;
        // The lengths of the lists have no common divisor, so no two of a crowd share both names.
        let name = format!("{} {}", pick(&self.first, place)?, pick(&self.last, place)?);
        let has_plan = place.checked_rem(self.plan_every) == Some(0);
        Ok(Customer {
            name,
            numbers: vec![number],
            plan: self.plan.clone().filter(|_| has_plan),
            since: u16::try_from(place % 30).unwrap_or(0),
            tax_percent: self.tax_percent,
            ..Customer::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tollbook_core::plans::Offer;

    use super::*;

    #[test]
    fn the_files_hold_together() {
        for firm in firms().unwrap() {
            let plans: Vec<Offer> = firm
                .plans
                .iter()
                .map(|plan| Offer::read(plan.get().as_bytes()).unwrap())
                .collect();
            let codes: BTreeSet<String> = plans
                .iter()
                .map(|plan| plan.code.as_ref().unwrap().to_string())
                .collect();
            assert!(codes.contains(&firm.pay_per_call));
            let customers = firm.everybody().unwrap();
            assert!(customers.len() > 60);
            for customer in &customers {
                assert!(!customer.numbers.is_empty(), "{}", customer.name);
                assert!(customer.plan.iter().all(|plan| codes.contains(plan)));
            }
            let names: BTreeSet<&str> = customers.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(names.len(), customers.len());
            let mails: BTreeSet<&str> = firm.people.iter().map(|it| it.mail.as_str()).collect();
            for line in firm.accounts.iter().flat_map(|account| &account.lines) {
                assert!(line.people.iter().all(|mail| mails.contains(mail.as_str())));
            }
        }
    }
}
