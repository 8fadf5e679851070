//! The rating and the naive one agree on random plans, accounts and usage, to the last digit.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tollbook_core::ids::{GrantId, UsageEventId};
use tollbook_core::money::{Price, Quantity};
use tollbook_core::plans::{Key, Offer};
use tollbook_core::pricing::Deck;
use tollbook_core::rating::{
    ChargePart, FixedFee, Grant, Item, NotChargedReason, PartKind, ProviderCost, Rated, State,
    Surroundings, Terms, TimeTrace, Usage, rate,
};
use uuid::Uuid;

use crate::examples::check_traces;
use crate::naive::{self, Account, NaiveGrant, NaiveUsage};
use crate::random::Random;
use crate::ratio::Ratio;

const PLANS: usize = 2_500;
const USAGES: usize = 40;

/// The terms of a plan and decks in JSON.
pub(crate) fn terms(plan: &Value, decks: &Value) -> Terms {
    let offer = Offer::read(&serde_json::to_vec(plan).unwrap())
        .unwrap_or_else(|error| panic!("{plan}: {error}"));
    let decks: BTreeMap<_, _> = decks
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, entries)| {
            let entries = serde_json::from_slice(&serde_json::to_vec(entries).unwrap()).unwrap();
            (key.parse().unwrap(), Arc::new(Deck::new(entries).unwrap()))
        })
        .collect();
    Terms::new(
        &offer.document,
        &Surroundings {
            decks,
            ..Surroundings::default()
        },
    )
    .unwrap()
}

/// The same grants for both.
pub(crate) fn state(grants: &[NaiveGrant]) -> State {
    let mut state = State::new("2026-01-01T00:00:00Z".parse().unwrap());
    state.grants = (0..)
        .zip(grants)
        .map(|(index, grant)| Grant {
            id: GrantId::new(Uuid::from_u128(index)),
            allowance_key: grant.allowance.parse().unwrap(),
            granted: quantity(&grant.left),
            used: Quantity::ZERO,
            forfeited: Quantity::ZERO,
            starts_at: grant.starts,
            expires_at: grant.expires,
        })
        .collect();
    state
}

fn quantity(ratio: &Ratio) -> Quantity {
    format!("{ratio:?}")
        .strip_suffix("/1")
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn usage(naive: &NaiveUsage, id: u128) -> Usage {
    let cost = naive
        .cost
        .as_ref()
        .map(|cost| cost.parse::<Price>().unwrap());
    Usage {
        id: UsageEventId::new(Uuid::from_u128(id)),
        meter: naive.meter.parse().unwrap(),
        quantity: naive.quantity.parse().unwrap(),
        occurred_at: naive.at,
        is_time: naive.is_time,
        direction: naive.direction.map(|direction| direction.parse().unwrap()),
        destination: Some(naive.to.parse().unwrap()),
        provider_cost: cost.map_or(ProviderCost::Pending, ProviderCost::Known),
    }
}

/// How often each thing that a plan can do was met.
type Seen = BTreeMap<String, usize>;

#[test]
fn both_ratings_agree_on_a_hundred_thousand_usages() {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    let (compared, seen) = std::thread::scope(|scope| {
        let worker = |first: usize| {
            move || {
                let mut seen = Seen::new();
                let plans = (first..PLANS).step_by(threads);
                let compared: usize = plans.map(|seed| agree_on_plan(seed, &mut seen)).sum();
                (compared, seen)
            }
        };
        let workers: Vec<_> = (0..threads)
            .map(|first| scope.spawn(worker(first)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .fold((0, Seen::new()), |(compared, mut seen), (more, others)| {
                for (label, count) in others {
                    *seen.entry(label).or_default() += count;
                }
                (compared + more, seen)
            })
    });
    assert_eq!(compared, 100_000);
    let missing: Vec<_> = expected()
        .into_iter()
        .map(|label| (seen.get(&label).copied().unwrap_or_default(), label))
        .filter(|(count, _)| *count < 25)
        .collect();
    assert!(
        missing.is_empty(),
        "hardly met: {missing:?}; of all: {seen:#?}"
    );
}

const MODELS: [&str; 8] = [
    "per_unit",
    "graduated",
    "volume",
    "package",
    "flat",
    "cost_plus",
    "deck",
    "by_duration",
];

/// Everything that has to be met for the agreement to mean something: each model with each modifier, and the rest.
fn expected() -> Vec<String> {
    let mut labels: Vec<String> = [
        "pending",
        "covered, while the provider's price is pending",
        "tier 1",
        "tier 2",
        "tier 3",
        "tier fee",
        "two grants in one usage",
        "allowance ends within the usage",
        "free seconds",
        "rounded up",
        "split into bands",
        "increment_start into bands",
        "day of 23 hours",
        "day of 25 hours",
        "deck's own increment",
        "deck's own fee",
        "dated deck, before",
        "dated deck, after",
        "not answered",
        "within free seconds",
        "price with a direction",
        "band without allowance",
        "counted by the piece",
    ]
    .map(str::to_owned)
    .into();
    for model in MODELS {
        for modifier in [
            "alone",
            "band",
            "overage",
            "connection",
            "minimum",
            "maximum",
        ] {
            labels.push(format!("{model}, {modifier}"));
        }
    }
    labels
}

/// Rates the usages of one seed both ways; returns how many were compared.
fn agree_on_plan(seed: usize, tally: &mut Seen) -> usize {
    let mut random = Random::new(u64::try_from(seed).unwrap());
    let (plan, decks) = (random.plan(), random.decks());
    let terms = terms(&plan, &decks);
    let grants = random.grants();
    let mut state = state(&grants);
    let mut account = Account {
        grants,
        counted: Vec::new(),
    };
    for id in 0..USAGES {
        let drawn = random.usage();
        let event = usage(&drawn, u128::try_from(id).unwrap());
        let rated =
            rate(&event, &terms, &state).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        state.apply(&rated).unwrap();
        let expected = naive::rate(&plan, &decks, &drawn, &mut account);
        let actual = rated.total().unwrap().map(Ratio::of);
        assert_eq!(
            actual, expected,
            "seed {seed}, usage {id}: {drawn:?}\n{plan}\n{decks}\n{rated:#?}"
        );
        for (grant, naive) in state.grants.iter().zip(&account.grants) {
            let left = Ratio::of(grant.left().unwrap().to_fraction());
            assert_eq!(
                left, naive.left,
                "seed {seed}, usage {id}: grant {:?}",
                grant.id
            );
        }
        note(&plan, &decks, &event, &rated, tally);
        // Reading traces back is most of the work, so every fourth is read.
        match event.provider_cost {
            _ if id % 4 != 0 => {}
            ProviderCost::Known(cost) => check_traces(&rated, Some(cost)),
            ProviderCost::Pending => check_traces(&rated, None),
        }
    }
    USAGES
}

const LIMITS: [(PartKind, &str); 3] = [
    (PartKind::Connection, "connection"),
    (PartKind::Minimum, "minimum"),
    (PartKind::Maximum, "maximum"),
];

/// Notes what a usage met.
fn note(plan: &Value, decks: &Value, event: &Usage, rated: &Rated, seen: &mut Seen) {
    let mut met = |label: &str| *seen.entry(label.to_owned()).or_default() += 1;
    let kinds: Vec<PartKind> = rated.parts.iter().map(|part| part.kind).collect();
    let has = |kind: PartKind| kinds.contains(&kind);
    let charged = has(PartKind::Usage) || has(PartKind::Overage);
    if rated.is_pending() {
        met("pending");
    }
    if rated.grant_draws.len() > 1 {
        met("two grants in one usage");
    }
    if has(PartKind::Allowance) && has(PartKind::Overage) {
        met("allowance ends within the usage");
    }
    if charged && !event.is_time {
        met("counted by the piece");
    }
    let mut bands: Vec<_> = rated
        .parts
        .iter()
        .filter_map(|part| part.band.clone())
        .collect();
    bands.dedup();
    for part in &rated.parts {
        note_reason(part, &mut met);
        let Some(key) = part.price_key.as_ref().map(Key::as_str) else {
            continue;
        };
        let (price, rate) = rate_of(plan, key);
        let model = rate.as_object().unwrap().keys().next().unwrap().as_str();
        if price.get("direction").is_some() {
            met("price with a direction");
        }
        match part.kind {
            PartKind::Allowance => {
                if model == "cost_plus" && event.provider_cost == ProviderCost::Pending {
                    met("covered, while the provider's price is pending");
                }
            }
            PartKind::Usage | PartKind::Overage => {
                met(&format!("{model}, alone"));
                if part.band.is_some() {
                    met(&format!("{model}, band"));
                }
                if part.kind == PartKind::Overage && has(PartKind::Allowance) {
                    met(&format!("{model}, overage"));
                }
                if part.kind == PartKind::Usage && part.band.is_some() && key.contains(':') {
                    met("band without allowance");
                }
                for (kind, modifier) in LIMITS {
                    if has(kind) {
                        met(&format!("{model}, {modifier}"));
                    }
                }
                if let Some(time) = part.trace.time {
                    note_time(time, part, price, &bands, event, &mut met);
                }
                note_items(part, &mut met);
                note_deck(part, decks, event, &kinds, &mut met);
            }
            PartKind::Connection
            | PartKind::Minimum
            | PartKind::Maximum
            | PartKind::Fee
            | PartKind::NotCharged => {}
        }
    }
}

fn note_reason(part: &ChargePart, met: &mut impl FnMut(&str)) {
    match part.trace.reason {
        Some(NotChargedReason::NothingUsed) => met("not answered"),
        Some(NotChargedReason::WithinFreeSeconds) => met("within free seconds"),
        Some(NotChargedReason::NoPrice) | None => {}
    }
}

fn note_time(
    time: TimeTrace,
    part: &ChargePart,
    price: &Value,
    bands: &[Key],
    event: &Usage,
    met: &mut impl FnMut(&str),
) {
    if time.free_seconds > 0 {
        met("free seconds");
    }
    if time.billed_seconds > time.used_seconds - time.free_seconds {
        met("rounded up");
    }
    if bands.len() > 1 {
        let mode = price["bandMode"].as_str().unwrap();
        met(&format!("{mode} into bands"));
    }
    let Some(band) = &part.trace.band else { return };
    let end = event.occurred_at + jiff::SignedDuration::from_secs(time.used_seconds.into());
    let offset = |at| band.zone.rules().to_offset(at).seconds();
    match offset(end) - offset(event.occurred_at) {
        0 => {}
        forward if forward > 0 => met("day of 23 hours"),
        _ => met("day of 25 hours"),
    }
}

fn note_items(part: &ChargePart, met: &mut impl FnMut(&str)) {
    for item in &part.trace.items {
        if let (
            Item::Units {
                tier: Some(tier), ..
            },
            true,
        ) = (item, part.trace.tier.is_some())
        {
            met(&format!("tier {tier}"));
        }
        if let Item::Fixed {
            fee: FixedFee::Tier,
            ..
        } = item
        {
            met("tier fee");
        }
    }
}

fn note_deck(
    part: &ChargePart,
    decks: &Value,
    event: &Usage,
    kinds: &[PartKind],
    met: &mut impl FnMut(&str),
) {
    let Some(destination) = &part.trace.destination else {
        return;
    };
    let prefix = destination.prefix.as_str();
    let change: jiff::Timestamp = "2026-06-15T13:05:00Z".parse().unwrap();
    match (prefix, event.occurred_at < change) {
        ("1213", true) => met("dated deck, before"),
        ("1213", false) => met("dated deck, after"),
        _ => {}
    }
    let entries = decks["world"].as_array().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry["prefix"] == prefix)
        .unwrap();
    if entry.get("increment").is_some() && part.trace.time.is_some() {
        met("deck's own increment");
    }
    if entry.get("connectionFee").is_some() && kinds.contains(&PartKind::Connection) {
        met("deck's own fee");
    }
}

/// The price and the rate of a stored key, which may name a band.
fn rate_of<'a>(plan: &'a Value, stored: &str) -> (&'a Value, &'a Value) {
    let (key, band) = stored
        .split_once(':')
        .map_or((stored, None), |(key, band)| (key, Some(band)));
    let price = plan["prices"]
        .as_array()
        .unwrap()
        .iter()
        .find(|price| price["key"] == key)
        .unwrap();
    let Some(band) = band else {
        return (price, &price["rate"]);
    };
    let of_band = |it: &&Value| it["band"] == band;
    let band = price["bands"]
        .as_array()
        .unwrap()
        .iter()
        .find(of_band)
        .unwrap();
    (price, &band["rate"])
}
