//! Pages filled with a lively afternoon, for tests and for looking at them.

mod alerts;
mod calls;
mod live;
mod numbers;
mod records;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tollbook_core::money::{Currency, Money};
use tollbook_core::phone::E164;

pub(crate) use alerts::alerts;
pub(crate) use calls::{call, communications, correct, rows};
pub(crate) use live::{candidates, live, notice, talking, unknown_caller};
pub(crate) use numbers::onboard;
pub(crate) use records::{customer, customers, error, invoice, invoices, login, search};

use super::chart::meter::Meter;
use super::number::Amount;
use super::phone::Phone;
use super::text::Text;
use super::time::{Stamp, Viewer};
use super::{Account, OrganizationChoice, Page, Party, Role, Scheme, Section, Tab, role};
use crate::calls::view::card::HoursLeft;

/// A Saturday afternoon in New York.
pub(crate) const NOW: &str = "2026-11-21T20:01:07Z";

pub(crate) fn text() -> Text {
    Text::default()
}

pub(crate) fn viewer() -> Viewer {
    let zone = TimeZone::get("America/New_York").unwrap();
    Viewer {
        text: text(),
        zone,
        now: NOW.parse().unwrap(),
    }
}

pub(crate) fn page(section: Section) -> Page {
    let organization = |id: &str, name: &str, is_current| OrganizationChoice {
        id: id.into(),
        name: name.into(),
        is_current,
    };
    Page {
        viewer: viewer(),
        section,
        account: Some(Account {
            name: "Maya Lindqvist".into(),
            email: "maya@brightline.example".into(),
            role: role(text(), Role::OrganizationAdmin),
            is_admin: true,
            organization: "Brightline Support".into(),
            organizations: vec![
                organization("1", "Brightline Support", true),
                organization("2", "Harbor & Sons Legal", false),
            ],
            stream: "/live/events".into(),
        }),
        csrf: "token".into(),
        address: "/".into(),
        scheme: Scheme::System,
        toast: None,
        pace: 1,
        alerts: 0,
    }
}

/// Seconds before [`NOW`].
pub(crate) fn ago(seconds: i64) -> Timestamp {
    let now: Timestamp = NOW.parse().unwrap();
    Timestamp::from_second(now.as_second() - seconds).unwrap()
}

pub(crate) fn stamp(seconds_ago: i64) -> Stamp {
    viewer().stamp(ago(seconds_ago))
}

pub(crate) fn usd(minor: i64) -> Amount {
    Amount::of(text(), Money::from_minor(minor, Currency::USD))
}

pub(crate) fn phone(e164: &str) -> Phone {
    Phone::number(&e164.parse::<E164>().unwrap(), "US")
}

pub(crate) fn party(name: &str, company: &str, e164: &str) -> Party {
    Party {
        name: (!name.is_empty()).then(|| name.into()),
        company: (!company.is_empty()).then(|| company.into()),
        href: (!name.is_empty()).then(|| "/customers/0197".into()),
        phone: (!e164.is_empty()).then(|| phone(e164)),
    }
}

pub(crate) fn hours(left_seconds: u64, included_hours: u64) -> HoursLeft {
    let included = included_hours * 3600;
    let left = super::duration::hours(text(), left_seconds);
    let total = super::duration::hours(text(), included);
    let label = text()
        .say("hours-left-of")
        .with("left", &left)
        .with("included", &total);
    HoursLeft {
        meter: Meter::new(label.to_string(), included - left_seconds, included),
        left,
        included: total,
        renews_on: Some("Dec 1".into()),
    }
}

pub(crate) fn tabs(labels: &[&str]) -> Vec<Tab> {
    let tab = |(index, label): (usize, &&str)| Tab {
        label: (*label).into(),
        href: format!("?tab={index}"),
        is_current: index == 0,
    };
    labels.iter().enumerate().map(tab).collect()
}
