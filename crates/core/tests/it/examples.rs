//! Worked examples as data: each file of `tests/examples` holds a plan, usage, and what a person worked out for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollbook_core::calls::Direction;
use tollbook_core::ids::{GrantId, UsageEventId};
use tollbook_core::metering::MeterCode;
use tollbook_core::money::{Price, Quantity, Rounding, round_to_minor};
use tollbook_core::plans::{Key, Offer};
use tollbook_core::pricing::{Deck, DeckEntry};
use tollbook_core::rating::{
    ChargePart, Grant, ProviderCost, Rated, State, Surroundings, Terms, Usage, rate,
};
use tollbook_core::subscriptions::{Segment, share, within};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use crate::ratio::Ratio;
use crate::reader::{check_time, recompute};

/// Several examples with the same source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: String,
    #[serde(default)]
    examples: Vec<Example>,
    #[serde(default)]
    prorations: Vec<SharedPeriod>,
}

/// A period on several plans, one after another.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SharedPeriod {
    title: String,
    currency: String,
    zone: Zone,
    proration: tollbook_core::plans::Proration,
    period: Period,
    segments: Vec<FeeLine>,
    /// Sum of everything, rounded once.
    total: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FeeLine {
    fee: Price,
    start: Timestamp,
    end: Timestamp,
    /// Exact.
    amount: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Example {
    title: String,
    plan: Box<RawValue>,
    #[serde(default)]
    zone: Option<Zone>,
    #[serde(default)]
    decks: BTreeMap<Key, Vec<DeckEntry>>,
    #[serde(default)]
    grants: Vec<GrantLine>,
    usage: Vec<UsageLine>,
    /// Sum of everything, rounded once.
    total: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrantLine {
    key: Key,
    granted: Quantity,
    starts_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UsageLine {
    meter: MeterCode,
    quantity: Quantity,
    at: Timestamp,
    #[serde(default)]
    direction: Option<Direction>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    cost: Option<Price>,
    /// `kind quantity = amount`, with `@band` after the kind where there is one.
    parts: Vec<String>,
}

fn describe(part: &ChargePart) -> String {
    let band = part
        .band
        .as_ref()
        .map_or(String::new(), |band| format!("@{band}"));
    let amount = part
        .amount
        .map_or("pending".to_owned(), |amount| amount.to_string());
    format!("{}{band} {} = {amount}", part.kind, part.quantity)
}

fn usage(line: &UsageLine, index: u128) -> Usage {
    Usage {
        id: UsageEventId::new(Uuid::from_u128(index)),
        meter: line.meter.clone(),
        quantity: line.quantity,
        occurred_at: line.at,
        is_time: line.meter.as_str() == "CALL_DURATION_SECONDS",
        direction: line.direction,
        destination: line.to.as_ref().map(|number| number.parse().unwrap()),
        provider_cost: line.cost.map_or(ProviderCost::Pending, ProviderCost::Known),
    }
}

/// What every rated usage must satisfy, whatever the plan.
pub(crate) fn check_traces(rated: &Rated, cost: Option<Price>) {
    let cost = cost.map(|cost| cost.to_string());
    let timed = rated.parts.iter().filter(|part| part.trace.time.is_some());
    let timed = timed.map(|part| {
        let trace = serde_json::to_value(&part.trace).unwrap();
        (trace, Ratio::of(part.quantity.to_fraction()))
    });
    check_time(&timed.collect::<Vec<_>>());
    for part in &rated.parts {
        let Some(amount) = part.amount else { continue };
        let trace = serde_json::to_value(&part.trace).unwrap();
        assert_eq!(
            recompute(&trace, cost.as_deref()),
            Ratio::of(amount),
            "{trace}"
        );
        let stored = serde_json::to_vec(&part.trace).unwrap();
        assert_eq!(
            serde_json::from_slice::<tollbook_core::rating::Trace>(&stored).unwrap(),
            part.trace
        );
    }
}

fn check(example: Example) {
    let title = &example.title;
    let offer = Offer::read(example.plan.get().as_bytes())
        .unwrap_or_else(|error| panic!("{title}: {error}"));
    let decks = example
        .decks
        .into_iter()
        .map(|(key, entries)| (key, Arc::new(Deck::new(entries).unwrap())))
        .collect();
    let surroundings = Surroundings {
        zone: example.zone,
        calendar: None,
        decks,
    };
    let terms = Terms::new(&offer.document, &surroundings)
        .unwrap_or_else(|error| panic!("{title}: {error}"));
    let mut state = State::new("2026-01-01T00:00:00Z".parse().unwrap());
    state.grants = (1..)
        .zip(&example.grants)
        .map(|(index, grant)| Grant {
            id: GrantId::new(Uuid::from_u128(index)),
            allowance_key: grant.key.clone(),
            granted: grant.granted,
            used: Quantity::ZERO,
            forfeited: Quantity::ZERO,
            starts_at: grant.starts_at,
            expires_at: grant.expires_at,
        })
        .collect();
    let mut total = tollbook_core::money::Fraction::ZERO;
    for (index, line) in (1..).zip(&example.usage) {
        let rated = rate(&usage(line, index), &terms, &state)
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        let parts: Vec<_> = rated.parts.iter().map(describe).collect();
        assert_eq!(parts, line.parts, "{title}: usage {index}");
        check_traces(&rated, line.cost);
        state.apply(&rated).unwrap();
        total = total
            .checked_add(
                rated
                    .total()
                    .unwrap()
                    .unwrap_or(tollbook_core::money::Fraction::ZERO),
            )
            .unwrap();
    }
    let rounded = round_to_minor(total, terms.currency(), Rounding::HalfUp).unwrap();
    assert_eq!(rounded.money.to_string(), example.total, "{title}");
}

fn check_proration(example: &SharedPeriod) {
    let title = &example.title;
    let segments: Vec<Segment<&FeeLine>> = example
        .segments
        .iter()
        .map(|line| Segment {
            terms: line,
            starts_at: line.start,
            ends_at: Some(line.end),
        })
        .collect();
    let mut total = tollbook_core::money::Fraction::ZERO;
    let parts = within(&example.period, &segments);
    assert_eq!(parts.len(), example.segments.len(), "{title}");
    for (line, part) in parts {
        let plan = format!(
            r#"{{"currency":"{}","baseFee":"{}"}}"#,
            example.currency, line.fee
        );
        let offer = Offer::read(plan.as_bytes()).unwrap();
        let terms = Terms::new(&offer.document, &Surroundings::default()).unwrap();
        let share = share(&example.period, &part, example.proration, &example.zone).unwrap();
        let fee = terms.base_fee(share).unwrap().unwrap();
        let amount = fee.amount.unwrap();
        assert_eq!(amount.to_string(), line.amount, "{title}");
        let trace = serde_json::to_value(&fee.trace).unwrap();
        assert_eq!(recompute(&trace, None), Ratio::of(amount), "{title}");
        total = total.checked_add(amount).unwrap();
    }
    let currency = example.currency.parse().unwrap();
    let rounded = round_to_minor(total, currency, Rounding::HalfUp).unwrap();
    assert_eq!(rounded.money.to_string(), example.total, "{title}");
}

#[test]
fn every_worked_example_comes_out_as_worked_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file: File = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!file.source.is_empty(), "{}", path.display());
        for example in file.examples {
            check(example);
            count += 1;
        }
        for example in &file.prorations {
            check_proration(example);
            count += 1;
        }
    }
    assert!(count >= 38, "only {count} examples were found");
}

#[test]
fn every_example_plan_is_a_sensible_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut codes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let offer = Offer::read(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Terms::new(&offer.document, &Surroundings::default()).unwrap();
        // What is stored is read back as the same plan.
        let stored = serde_json::to_vec(&offer.document).unwrap();
        assert_eq!(
            tollbook_core::plans::Document::read(&stored).unwrap(),
            offer.document
        );
        codes.push(offer.code.unwrap().to_string());
    }
    codes.sort_unstable();
    let expected = [
        "call-centre",
        "enterprise",
        "enterprise-yearly",
        "free",
        "pay-per-call",
        "platform-billing",
        "professional",
        "professional-yearly",
        "starter",
        "starter-yearly",
        "support-10",
    ];
    assert_eq!(codes, expected);
}
