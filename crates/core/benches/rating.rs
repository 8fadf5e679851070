//! How many calls a second one core rates: 10,000 distinct calls of a seed, a deck of 50,000 prefixes.
//!
//! Prints a figure for each kind of plan, and a digest of the totals that is the same on every machine.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::collections::{BTreeMap, HashSet};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tollbook_core::ids::{GrantId, UsageEventId};
use tollbook_core::metering::BuiltInMeter;
use tollbook_core::money::{Fraction, Quantity};
use tollbook_core::plans::Document;
use tollbook_core::pricing::{Deck, DeckEntry};
use tollbook_core::rating::{Grant, ProviderCost, State, Surroundings, Terms, Usage, rate};
use uuid::Uuid;

const CALLS: u32 = 10_000;
const PREFIXES: usize = 50_000;
const RUNS: u32 = 30;

const SIMPLE: &str = r#"{"currency":"USD","prices":[{"key":"calls","meter":"CALL_DURATION_SECONDS","increment":"60/60",
    "rate":{"per_unit":{"price":"0.0129","per":60}}}]}"#;
const SIMPLE_DECK: &str = r#"{"currency":"USD","prices":[{"key":"calls","meter":"CALL_DURATION_SECONDS","increment":"60/60",
    "rate":{"deck":{"deck":"world","per":60}}}]}"#;
const DECK: &str = r#"{"currency":"USD","prices":[{"key":"calls","meter":"CALL_DURATION_SECONDS","increment":"30/6",
    "connectionFee":"0.01","rate":{"deck":{"deck":"world","per":60}}}]}"#;
const FULL: &str = r#"{"currency":"USD",
    "calendar":{"zone":"America/New_York","otherwise":"night","holidays":["2026-12-25"],"rules":[
        {"band":"day","days":["mon","tue","wed","thu","fri"],"from":"09:00","to":"17:00"},
        {"band":"evening","days":["mon","tue","wed","thu","fri","sat"],"from":"17:00","to":"21:00"}]},
    "prices":[{"key":"calls","meter":"CALL_DURATION_SECONDS","increment":"30/6","connectionFee":"0.01","maximumCharge":"50",
        "rate":{"graduated":{"per":60,"tiers":[{"upTo":60000,"price":"0.03"},{"upTo":600000,"price":"0.02"},{"price":"0.013"}]}},
        "bands":[{"band":"night","rate":{"deck":{"deck":"world","per":60}},"drawsOnAllowance":false},
                 {"band":"evening","rate":{"per_unit":{"price":"0.015","per":60}}}]}],
    "allowances":[{"key":"hours","meters":["CALL_DURATION_SECONDS"],"quantity":90000}]}"#;

/// Prefixes of one to seven digits, all different; the one-digit ones cover every number.
fn deck(random: &mut ChaCha8Rng) -> Vec<DeckEntry> {
    let mut seen: HashSet<String> = (1..=9).map(|digit| digit.to_string()).collect();
    while seen.len() < PREFIXES {
        let length = random.random_range(3..=7);
        let first = random.random_range(1..=9_u32);
        let rest: u32 = random.random_range(0..10_u32.pow(length - 1));
        seen.insert(format!(
            "{first}{rest:0width$}",
            width = usize::try_from(length - 1).unwrap_or(0)
        ));
    }
    let mut prefixes: Vec<String> = seen.into_iter().collect();
    prefixes.sort_unstable();
    prefixes
        .into_iter()
        .map(|prefix| DeckEntry {
            prefix,
            price: format!("0.{:04}", random.random_range(1..2_000))
                .parse()
                .unwrap_or_default(),
            connection_fee: None,
            increment: None,
            starts_at: None,
            ends_at: None,
        })
        .collect()
}

/// Calls of one month, in order of time, of a second to an hour.
fn calls(random: &mut ChaCha8Rng) -> Vec<Usage> {
    let month = "2026-12-01T05:00:00Z".parse::<jiff::Timestamp>().unwrap();
    let mut starts: Vec<i64> = (0..CALLS)
        .map(|_| random.random_range(0..31 * 86_400))
        .collect();
    starts.sort_unstable();
    (1..)
        .zip(starts)
        .map(|(id, start)| call(random, id, month + SignedDuration::from_secs(start)))
        .collect()
}

fn call(random: &mut ChaCha8Rng, id: u128, occurred_at: jiff::Timestamp) -> Usage {
    let longest = 2_u32.pow(random.random_range(3..=11));
    let number = random.random_range(10_000_000_000_u64..99_999_999_999);
    Usage {
        id: UsageEventId::new(Uuid::from_u128(id)),
        meter: BuiltInMeter::CallDurationSeconds.code(),
        quantity: Quantity::from_units(random.random_range(1..=longest)),
        occurred_at,
        is_time: true,
        direction: None,
        destination: Some(format!("+{number}").parse().unwrap()),
        provider_cost: ProviderCost::Pending,
    }
}

fn state() -> State {
    let start = "2026-12-01T05:00:00Z".parse().unwrap();
    let mut state = State::new(start);
    state.grants.push(Grant {
        id: GrantId::new(Uuid::from_u128(1)),
        allowance_key: "hours".parse().unwrap(),
        granted: Quantity::from_units(900_000),
        used: Quantity::ZERO,
        forfeited: Quantity::ZERO,
        starts_at: start,
        expires_at: "2027-01-01T05:00:00Z".parse().unwrap(),
    });
    state
}

/// FNV-1a over the amounts as text.
fn digest(amounts: &[Fraction]) -> u64 {
    let bytes = amounts
        .iter()
        .flat_map(|amount| format!("{amount:?};").into_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn measure(name: &str, plan: &str, deck: &Arc<Deck>, calls: &[Usage]) {
    let document = Document::read(plan.as_bytes()).unwrap();
    let decks = BTreeMap::from([("world".parse().unwrap(), Arc::clone(deck))]);
    let terms = Terms::new(
        &document,
        &Surroundings {
            decks,
            ..Surroundings::default()
        },
    )
    .unwrap();
    let mut best = Duration::MAX;
    let mut totals = Vec::new();
    for _ in 0..RUNS {
        let mut state = state();
        totals.clear();
        let start = Instant::now();
        for call in calls {
            let rated = black_box(rate(call, &terms, &state).unwrap());
            state.apply(&rated).unwrap();
            totals.push(rated.total().unwrap().unwrap());
        }
        best = best.min(start.elapsed());
    }
    let per_second = u128::from(CALLS) * 1_000_000_000 / best.as_nanos();
    let total = Fraction::sum(totals.iter().copied()).unwrap();
    println!(
        "{name:34} {per_second:>10} calls/s   total {total} USD   digest {:016x}",
        digest(&totals)
    );
}

fn main() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let deck = Arc::new(Deck::new(deck(&mut random)).unwrap());
    let calls = calls(&mut random);
    println!(
        "{CALLS} calls, {} prefixes, best of {RUNS} runs on one core",
        deck.entries().len()
    );
    measure("per minute", SIMPLE, &deck, &calls);
    measure("per minute, by destination", SIMPLE_DECK, &deck, &calls);
    measure("by destination, connection fee", DECK, &deck, &calls);
    measure("bands, tiers, allowance, trace", FULL, &deck, &calls);
}
