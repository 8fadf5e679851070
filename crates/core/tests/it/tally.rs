//! What random usage has met of all that a plan can do, so that an agreement on it means something.

use std::collections::BTreeMap;

use serde_json::Value;
use tollbook_core::plans::Key;
use tollbook_core::rating::{
    BandTrace, ChargePart, FixedFee, Item, NotChargedReason, PartKind, ProviderCost, Rated,
    TimeTrace, Usage,
};

/// How often each thing that a plan can do was met.
pub(crate) type Seen = BTreeMap<String, usize>;

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
pub(crate) fn expected() -> Vec<String> {
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
        "band's deck's own increment",
        "band's deck's own fee",
        "flat behind another rate",
        "holiday in a band of its own",
        "dated deck, before",
        "dated deck, after",
        "not answered",
        "within free seconds",
        "price with a direction",
        "band without allowance",
        "counted by the piece",
        "tiers begin anew",
        "rollover is capped",
        "drawn from an earlier grant",
        "wallet pays",
        "wallet falls short",
        "credit expires",
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

const LIMITS: [(PartKind, &str); 3] = [
    (PartKind::Connection, "connection"),
    (PartKind::Minimum, "minimum"),
    (PartKind::Maximum, "maximum"),
];

/// Notes what a usage met.
pub(crate) fn note(plan: &Value, decks: &Value, event: &Usage, rated: &Rated, seen: &mut Seen) {
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
    let mut priced = rated.parts.iter().filter(|it| !it.trace.items.is_empty());
    if priced.clone().any(is_flat) && !priced.next().is_some_and(is_flat) {
        met("flat behind another rate");
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
                note_model(plan, part, model, &kinds, &mut met);
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

fn is_flat(part: &ChargePart) -> bool {
    let fee = |item: &Item| {
        matches!(
            item,
            Item::Fixed {
                fee: FixedFee::Usage,
                ..
            }
        )
    };
    part.trace.items.iter().any(fee)
}

fn note_model(
    plan: &Value,
    part: &ChargePart,
    model: &str,
    kinds: &[PartKind],
    met: &mut impl FnMut(&str),
) {
    met(&format!("{model}, alone"));
    if let Some(band) = &part.trace.band {
        met(&format!("{model}, band"));
        if is_holiday(plan, band) {
            met("holiday in a band of its own");
        }
        let has_own_rate = part.price_key.as_ref().unwrap().as_str().contains(':');
        if part.kind == PartKind::Usage && has_own_rate {
            met("band without allowance");
        }
    }
    if part.kind == PartKind::Overage && kinds.contains(&PartKind::Allowance) {
        met(&format!("{model}, overage"));
    }
    for (kind, modifier) in LIMITS {
        if kinds.contains(&kind) {
            met(&format!("{model}, {modifier}"));
        }
    }
}

/// Whether a band is that of a holiday.
fn is_holiday(plan: &Value, band: &BandTrace) -> bool {
    let calendar = &plan["calendar"];
    let day = band.zone.date(band.starts_at).to_string();
    let holidays = calendar["holidays"].as_array().unwrap();
    calendar
        .get("holidayBand")
        .is_some_and(|name| *name == band.band.as_str())
        && holidays.iter().any(|holiday| *holiday == day.as_str())
}

fn note_reason(part: &ChargePart, met: &mut impl FnMut(&str)) {
    match part.trace.reason {
        Some(NotChargedReason::NothingUsed) => met("not answered"),
        Some(NotChargedReason::WithinFreeSeconds) => met("within free seconds"),
        Some(NotChargedReason::NoPrice | NotChargedReason::Waived) | None => {}
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
    let begins = part.trace.time.is_some_and(|time| time.from_second == 0);
    let of_band = part.price_key.as_ref().unwrap().as_str().contains(':');
    let whose = if of_band { "band's deck's" } else { "deck's" };
    if entry.get("increment").is_some() && begins {
        met(&format!("{whose} own increment"));
    }
    if entry.get("connectionFee").is_some() && begins && kinds.contains(&PartKind::Connection) {
        met(&format!("{whose} own fee"));
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
