//! Properties of money, rating and documents, each over at least a thousand random cases.

use std::cell::Cell;

use jiff::Timestamp;
use jiff::civil::date;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tollbook_core::ids::{GrantId, UsageEventId};
use tollbook_core::invoices::{Creditable, TaxRate, TaxTreatment, TaxedLine, credit, totals};
use tollbook_core::money::{
    Currency, Fraction, Money, Quantity, Rounding, round_to_minor, split_largest_remainder,
};
use tollbook_core::plans::Offer;
use tollbook_core::rating::{
    DueGrant, Grant, ProviderCost, State, Surroundings, Terms, Usage, due_grants, forfeits, rate,
    rate_in_order,
};
use tollbook_core::subscriptions::Schedule;
use tollbook_core::wallets::{CALL_SECONDS_MAX, longest_call};
use uuid::Uuid;

use crate::agreement;
use crate::naive::NaiveUsage;
use crate::random::Random;
use crate::ratio::Ratio;

/// Runs a property over a thousand cases or more, and makes sure that it did.
pub(crate) fn holds<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    assert!(cases >= 1_000);
    let ran = Cell::new(0);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::default(),
        ),
    )
    .run(&strategy, |value| {
        ran.set(ran.get() + 1);
        property(value)
    })
    .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        ran.get() >= cases,
        "only {} of {cases} cases ran",
        ran.get()
    );
}

pub(crate) fn dollars(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD)
}

fn sum(parts: &[Money]) -> i64 {
    parts.iter().map(|part| part.minor()).sum()
}

#[test]
fn fractions_calculate_as_unlimited_ones_do() {
    let part = -1_000_000_000_000_i128..1_000_000_000_000;
    let bottom = 1_i128..10_000_000;
    holds(
        5_000,
        (part.clone(), bottom.clone(), part, bottom),
        |(top, bottom, other_top, other_bottom)| {
            let (left, right) = (
                Fraction::new(top, bottom).unwrap(),
                Fraction::new(other_top, other_bottom).unwrap(),
            );
            let (big_left, big_right) = (Ratio::of(left), Ratio::of(right));
            prop_assert_eq!(
                Ratio::of(left.checked_add(right).unwrap()),
                big_left.plus(&big_right)
            );
            prop_assert_eq!(
                Ratio::of(left.checked_sub(right).unwrap()),
                big_left.minus(&big_right)
            );
            prop_assert_eq!(
                Ratio::of(left.checked_mul(right).unwrap()),
                big_left.times(&big_right)
            );
            prop_assert_eq!(Some(left.cmp(&right)), big_left.partial_cmp(&big_right));
            if other_top != 0 {
                prop_assert_eq!(
                    Ratio::of(left.checked_div(right).unwrap()),
                    big_left.over(&big_right)
                );
            }
            Ok(())
        },
    );
}

#[test]
fn rounding_is_to_the_nearest_and_keeps_the_rest() {
    let currencies = prop::sample::select(vec!["USD", "JPY", "KWD"]);
    let roundings = prop::sample::select(vec![Rounding::HalfUp, Rounding::HalfEven]);
    let amounts = (-1_000_000_i128..1_000_000, 1_i128..4_000);
    holds(
        5_000,
        (amounts, currencies, roundings),
        |((top, bottom), currency, rounding)| {
            let exact = Fraction::new(top, bottom).unwrap();
            let currency: Currency = currency.parse().unwrap();
            let rounded = round_to_minor(exact, currency, rounding).unwrap();
            prop_assert_eq!(
                rounded
                    .money
                    .to_fraction()
                    .checked_add(rounded.remainder)
                    .unwrap(),
                exact
            );
            let half = Money::from_minor(1, currency)
                .to_fraction()
                .checked_div(Fraction::from_whole(2))
                .unwrap();
            prop_assert!(rounded.remainder <= half && rounded.remainder >= half.negated());
            // Rounding commutes with the sign.
            let opposite = round_to_minor(exact.negated(), currency, rounding).unwrap();
            prop_assert_eq!(opposite.money.minor(), -rounded.money.minor());
            Ok(())
        },
    );
}

#[test]
fn parts_of_a_split_sum_to_the_whole() {
    let weights = prop::collection::vec(0_i64..1_000, 1..12);
    holds(
        2_000,
        (weights, -100_000_i64..100_000),
        |(weights, minor)| {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let total: i64 = weights.iter().sum();
            let exact: Vec<_> = weights.iter().copied().map(Fraction::from_whole).collect();
            let parts = split_largest_remainder(dollars(minor), &exact).unwrap();
            prop_assert_eq!(sum(&parts), minor);
            for (part, weight) in parts.iter().zip(weights) {
                // Within one minor unit of the exact share.
                prop_assert!((part.minor() * total - minor * weight).abs() < total);
            }
            Ok(())
        },
    );
}

#[test]
fn credit_notes_never_exceed_their_invoice() {
    let lines = prop::collection::vec(-500_i64..5_000, 1..8);
    let amounts = prop::collection::vec(1_i64..4_000, 1..12);
    holds(2_000, (lines, amounts), |(lines, amounts)| {
        let invoiced: i64 = lines.iter().sum();
        let mut items: Vec<_> = lines
            .iter()
            .map(|minor| Creditable {
                invoiced: dollars(*minor),
                credited: dollars(0),
            })
            .collect();
        let mut given = 0;
        for amount in amounts {
            let left = invoiced - given;
            match credit(&items, dollars(amount)) {
                Err(_) => prop_assert!(amount > left),
                Ok(parts) => {
                    prop_assert!(amount <= left);
                    prop_assert_eq!(sum(&parts), amount);
                    given += amount;
                    for (item, part) in items.iter_mut().zip(parts) {
                        item.credited = item.credited.checked_add(part).unwrap();
                        let (credited, whole) = (item.credited.minor(), item.invoiced.minor());
                        prop_assert!(credited.abs() <= whole.abs() && credited * whole >= 0);
                    }
                }
            }
        }
        if invoiced > given {
            let rest = credit(&items, dollars(invoiced - given)).unwrap();
            for (item, part) in items.iter().zip(rest) {
                prop_assert_eq!(item.credited.checked_add(part).unwrap(), item.invoiced);
            }
        }
        Ok(())
    });
}

#[test]
fn a_document_adds_up_from_its_printed_parts() {
    let rate = (0_u32..30, any::<bool>(), 0_u8..3);
    let line = (
        -1_000_i64..100_000,
        prop::collection::vec(rate, 0..3),
        0_u8..6,
    );
    let roundings = prop::sample::select(vec![Rounding::HalfUp, Rounding::HalfEven]);
    holds(
        2_000,
        (prop::collection::vec(line, 0..8), roundings),
        |(lines, rounding)| {
            let treatment = |rates: &[(u32, bool, u8)], kind: u8| match kind {
                0 => TaxTreatment::Exempt,
                1 => TaxTreatment::ReverseCharge,
                _ => TaxTreatment::Rates(
                    rates
                        .iter()
                        .map(|(percent, inclusive, name)| TaxRate {
                            name: format!("tax {name}"),
                            percent: percent.to_string().parse().unwrap(),
                            inclusive: *inclusive,
                        })
                        .collect(),
                ),
            };
            let lines: Vec<_> = lines
                .iter()
                .map(|(minor, rates, kind)| TaxedLine {
                    amount: dollars(*minor),
                    tax: treatment(rates, *kind),
                })
                .collect();
            let document = totals(&lines, Currency::USD, rounding).unwrap();
            let printed: i64 = lines.iter().map(|line| line.amount.minor()).sum();
            let added: i64 = document
                .taxes
                .iter()
                .filter(|tax| !tax.rate.inclusive)
                .map(|tax| tax.tax.minor())
                .sum();
            prop_assert_eq!(document.total.minor(), printed + added);
            prop_assert_eq!(
                document.subtotal.minor() + document.tax.minor(),
                document.total.minor()
            );
            prop_assert_eq!(
                document.tax.minor(),
                document
                    .taxes
                    .iter()
                    .map(|tax| tax.tax.minor())
                    .sum::<i64>()
            );
            Ok(())
        },
    );
}

/// A plan whose prices are proportional or count over the period, with nothing due once per usage.
pub(crate) fn additive_plan(seed: u64) -> serde_json::Value {
    let mut plan = Random::new(seed).plan();
    for price in plan["prices"].as_array_mut().unwrap() {
        let price = price.as_object_mut().unwrap();
        for field in [
            "connectionFee",
            "minimumCharge",
            "maximumCharge",
            "freeSeconds",
            "bandMode",
            "increment",
        ] {
            price.remove(field);
        }
        let is_additive = |rate: &serde_json::Value| {
            ["per_unit", "graduated", "volume", "package", "deck"]
                .iter()
                .any(|model| rate.get(model).is_some())
        };
        if !is_additive(&price["rate"]) {
            price.insert(
                "rate".into(),
                json!({"per_unit": {"price": "0.07", "per": "60"}}),
            );
        }
        if let Some(bands) = price.get_mut("bands") {
            bands
                .as_array_mut()
                .unwrap()
                .retain(|band| is_additive(&band["rate"]));
        }
    }
    plan
}

/// Decks whose entries have neither fees nor increments.
pub(crate) fn plain_decks(seed: u64) -> serde_json::Value {
    let mut decks = Random::new(seed).decks();
    let entries = decks["world"].as_array_mut().unwrap();
    // A piece of a call that begins after a change of price has the new one.
    entries.retain(|entry| entry.get("startsAt").is_none());
    for entry in entries {
        entry
            .as_object_mut()
            .unwrap()
            .retain(|field, _| field == "prefix" || field == "price");
    }
    decks
}

fn used(state: &State) -> Vec<Quantity> {
    state.grants.iter().map(|grant| grant.used).collect()
}

/// Rates usages one after another; their sum and the state that they leave.
fn total(usages: &[Usage], terms: &Terms, mut state: State) -> (Option<Fraction>, State) {
    let rated = rate_in_order(usages, terms, &mut state).unwrap();
    let mut sum = Fraction::ZERO;
    for rated in rated {
        let Some(amount) = rated.total().unwrap() else {
            return (None, state);
        };
        sum = sum.checked_add(amount).unwrap();
    }
    (Some(sum), state)
}

#[test]
fn cutting_a_call_into_pieces_changes_no_total() {
    let cuts = prop::collection::vec(1_u32..400, 0..6);
    holds(
        1_500,
        (any::<u64>(), cuts, 1_u32..2_000),
        |(seed, cuts, seconds)| {
            let terms = agreement::terms(&additive_plan(seed), &plain_decks(seed));
            let mut random = Random::new(seed ^ 1);
            let state = agreement::state(&random.grants());
            let mut whole = agreement::usage(
                &NaiveUsage {
                    is_time: true,
                    ..random.usage()
                },
                1,
            );
            whole.meter = "CALL_DURATION_SECONDS".parse().unwrap();
            whole.quantity = Quantity::from_units(seconds);
            whole.is_time = true;
            // A grant that ends or begins during the call is for what begins before or after.
            let ends = whole.occurred_at + jiff::SignedDuration::from_secs(i64::from(seconds));
            prop_assume!(state.grants.iter().all(|grant| {
                [grant.starts_at, grant.expires_at]
                    .iter()
                    .all(|edge| *edge <= whole.occurred_at || *edge > ends)
            }));
            let mut pieces = Vec::new();
            let mut from = 0;
            for length in cuts.into_iter().chain([seconds]) {
                let to = (from + length).min(seconds);
                if from < to {
                    let occurred_at =
                        whole.occurred_at + jiff::SignedDuration::from_secs(i64::from(from));
                    let id = UsageEventId::new(Uuid::from_u128(u128::from(from)));
                    pieces.push(Usage {
                        id,
                        quantity: Quantity::from_units(to - from),
                        occurred_at,
                        ..whole.clone()
                    });
                }
                from = to;
            }
            let (one, one_state) = total(&[whole], &terms, state.clone());
            let (many, many_state) = total(&pieces, &terms, state);
            prop_assert_eq!(one, many);
            prop_assert_eq!(used(&one_state), used(&many_state));
            Ok(())
        },
    );
}

#[test]
fn taking_a_rating_back_restores_the_state() {
    holds(1_000, any::<u64>(), |seed| {
        let mut random = Random::new(seed);
        let (plan, decks) = (random.plan(), random.decks());
        let terms = agreement::terms(&plan, &decks);
        let mut state = agreement::state(&random.grants());
        let warm_up = agreement::usage(&random.usage(), 1);
        state
            .apply(&rate(&warm_up, &terms, &state).unwrap())
            .unwrap();
        let rated = rate(&agreement::usage(&random.usage(), 2), &terms, &state).unwrap();
        let mut changed = state.clone();
        changed.apply(&rated).unwrap();
        changed.revert(&rated).unwrap();
        changed.tiers.retain(|tier| !tier.quantity.is_zero());
        state.tiers.retain(|tier| !tier.quantity.is_zero());
        prop_assert_eq!(changed, state);
        prop_assert!(rated.charges_the_same(&rated).unwrap());
        Ok(())
    });
}

fn call(id: u128, seconds: u32, occurred_at: Timestamp) -> Usage {
    Usage {
        id: UsageEventId::new(Uuid::from_u128(id)),
        meter: "CALL_DURATION_SECONDS".parse().unwrap(),
        quantity: Quantity::from_units(seconds),
        occurred_at,
        is_time: true,
        direction: None,
        destination: None,
        provider_cost: ProviderCost::Pending,
    }
}

fn granted(due: DueGrant, month: i64) -> Grant {
    Grant {
        id: GrantId::new(Uuid::from_u128(u128::try_from(month).unwrap())),
        allowance_key: due.allowance_key,
        granted: due.granted,
        used: Quantity::ZERO,
        forfeited: Quantity::ZERO,
        starts_at: due.starts_at,
        expires_at: due.expires_at,
    }
}

/// What is left of the grants that go on beyond `at`.
fn carried(state: &State, at: Timestamp) -> Fraction {
    let grants = state.grants.iter().filter(|grant| grant.expires_at > at);
    Fraction::sum(grants.map(|grant| grant.left().unwrap().to_fraction())).unwrap()
}

#[test]
fn granted_is_used_and_left_and_forfeited_through_a_year_of_cycles() {
    let usage = prop::collection::vec(prop::collection::vec(0_u32..9_000, 0..5), 14);
    let rollover = prop::option::of((1_u16..4, prop::option::of(0_u32..12_000)));
    holds(
        1_000,
        (usage, rollover, 1_u32..9_000),
        |(months, rollover, quantity)| {
            let rollover = rollover.map(|(cycles, cap)| json!({"cycles": cycles, "cap": cap}));
            let plan = json!({"currency": "USD",
            "prices": [{"key": "c", "meter": "CALL_DURATION_SECONDS", "rate": {"per_unit": {"price": "1"}}}],
            "allowances": [{"key": "x", "meters": ["CALL_DURATION_SECONDS"], "quantity": quantity, "rollover": rollover}]});
            let offer = Offer::read(&serde_json::to_vec(&plan).unwrap()).unwrap();
            let allowance = &offer.document.allowances[0];
            let terms = Terms::new(&offer.document, &Surroundings::default()).unwrap();
            let schedule =
                Schedule::new(date(2026, 1, 31), 1, "Europe/Berlin".parse().unwrap()).unwrap();
            let mut state = State::new(schedule.period(0).unwrap().start());
            let (mut covered, mut overage, mut talked) =
                (Fraction::ZERO, Fraction::ZERO, Fraction::ZERO);
            for (month, calls) in (0_i64..).zip(months) {
                let period = schedule.period(month).unwrap();
                state.period_start = period.start();
                let carried_before = carried(&state, period.start());
                for forfeit in forfeits(allowance, &state.grants, period.start()).unwrap() {
                    let grant = state
                        .grants
                        .iter_mut()
                        .find(|grant| grant.id == forfeit.grant_id)
                        .unwrap();
                    grant.forfeited = grant.forfeited.checked_add(forfeit.quantity).unwrap();
                }
                let cap = allowance
                    .rollover
                    .and_then(|rollover| rollover.cap)
                    .map(Quantity::to_fraction);
                let kept = cap.map_or(carried_before, |cap| cap.min(carried_before));
                prop_assert_eq!(carried(&state, period.start()), kept);
                for due in due_grants(&offer.document, &schedule, period.start()).unwrap() {
                    state.grants.push(granted(due, month));
                }
                for (index, seconds) in (0..).zip(calls) {
                    let call = call(index, seconds, period.start());
                    let rated = rate(&call, &terms, &state).unwrap();
                    state.apply(&rated).unwrap();
                    overage = overage
                        .checked_add(rated.total().unwrap().unwrap())
                        .unwrap();
                    talked = talked
                        .checked_add(Fraction::from_whole(i64::from(seconds)))
                        .unwrap();
                }
            }
            for grant in &state.grants {
                let parts =
                    [grant.used, grant.left().unwrap(), grant.forfeited].map(Quantity::to_fraction);
                prop_assert!(parts.iter().all(|part| !part.is_negative()));
                prop_assert_eq!(Fraction::sum(parts).unwrap(), grant.granted.to_fraction());
                covered = covered.checked_add(grant.used.to_fraction()).unwrap();
            }
            // At 1.00 a second, what is not covered is what is charged.
            prop_assert_eq!(covered.checked_add(overage).unwrap(), talked);
            Ok(())
        },
    );
}

#[test]
fn the_longest_call_is_affordable_all_along_and_one_second_more_is_not() {
    let (ended, falling) = (Cell::new(0), Cell::new(0));
    holds(1_000, (any::<u64>(), 0_i64..3_000), |(seed, cents)| {
        let mut plan = Random::new(seed).plan();
        // A price that falls is tried length by length, which is too slow for all of this many cases.
        if !seed.is_multiple_of(16) {
            for price in plan["prices"].as_array_mut().unwrap() {
                if price["rate"].get("volume").is_some() {
                    price["rate"] = json!({"per_unit": {"price": "0.01"}});
                }
                if let Some(bands) = price.get_mut("bands") {
                    bands
                        .as_array_mut()
                        .unwrap()
                        .retain(|band| band["rate"].get("volume").is_none());
                }
            }
        }
        let mut random = Random::new(seed ^ 1);
        let terms = agreement::terms(&plan, &random.decks());
        let state = agreement::state(&random.grants());
        let call = Usage {
            meter: "CALL_DURATION_SECONDS".parse().unwrap(),
            ..agreement::usage(&random.usage(), 1)
        };
        let available = Fraction::new(i128::from(cents), 100).unwrap();
        let longest = longest_call(&call, &terms, &state, available).unwrap();
        let cost = |seconds: u32| {
            let usage = Usage {
                quantity: Quantity::from_units(seconds),
                is_time: true,
                ..call.clone()
            };
            rate(&usage, &terms, &state).unwrap().total().unwrap()
        };
        let affordable = |seconds: u32| cost(seconds).is_some_and(|cost| cost <= available);
        // Every second where bands begin and end, then some.
        let every = (0..=longest.min(2_400))
            .chain((2_400..longest).step_by(997))
            .chain([longest]);
        let mut before = None;
        for seconds in every {
            prop_assert!(affordable(seconds), "{} of {}", seconds, longest);
            let now = cost(seconds);
            falling.set(falling.get() + usize::from(now < before));
            before = now;
        }
        if longest < CALL_SECONDS_MAX {
            prop_assert!(!affordable(longest + 1));
            ended.set(ended.get() + 1);
        }
        Ok(())
    });
    assert!(ended.get() >= 300, "only {} calls had to end", ended.get());
    assert!(
        falling.get() >= 20,
        "a longer call cost less only {} times",
        falling.get()
    );
}
