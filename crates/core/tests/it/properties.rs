//! Properties of money, rating and documents, each over at least a thousand random cases.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tollbook_core::ids::UsageEventId;
use tollbook_core::invoices::{Creditable, TaxRate, TaxTreatment, TaxedLine, credit, totals};
use tollbook_core::money::{
    Currency, Fraction, Money, Overflow, Quantity, Rounding, round_to_minor,
    split_largest_remainder,
};
use tollbook_core::rating::{Error, State, Terms, Usage, rate, rate_in_order};
use uuid::Uuid;

use crate::agreement;
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
fn what_does_not_fit_is_an_error_and_never_another_number() {
    // Numbers of all sizes up to the largest.
    let number = || (any::<i128>(), 0..127_u32).prop_map(|(value, shift)| value >> shift);
    let (exact, refused) = (Cell::new(0), Cell::new(0));
    let numbers = (number(), number(), number(), number());
    holds(5_000, numbers, |(top, bottom, other_top, other_bottom)| {
        let both = (
            Fraction::new(top, bottom),
            Fraction::new(other_top, other_bottom),
        );
        let (Ok(left), Ok(right)) = both else {
            return Ok(());
        };
        let (big_left, big_right) = (Ratio::of(left), Ratio::of(right));
        let mut results = vec![
            (left.checked_add(right), big_left.plus(&big_right)),
            (left.checked_sub(right), big_left.minus(&big_right)),
            (left.checked_mul(right), big_left.times(&big_right)),
        ];
        if !right.is_zero() {
            results.push((left.checked_div(right), big_left.over(&big_right)));
        }
        for (result, expected) in results {
            match result {
                Ok(value) => {
                    prop_assert_eq!(Ratio::of(value), expected);
                    exact.set(exact.get() + 1);
                }
                Err(Overflow) => refused.set(refused.get() + 1),
            }
        }
        prop_assert_eq!(Some(left.cmp(&right)), big_left.partial_cmp(&big_right));
        Ok(())
    });
    assert!(exact.get() >= 5_000 && refused.get() >= 1_000);
}

#[test]
fn a_charge_is_exact_or_refused_however_large() {
    // Up to fifteen digits before the point and twelve behind it.
    let decimal = |digits: u32| {
        let whole = (any::<u64>(), 0..digits).prop_map(|(value, size)| value % 10_u64.pow(size));
        (whole, 0_u64..1_000_000_000_000).prop_map(|(whole, part)| format!("{whole}.{part:012}"))
    };
    let (exact, refused) = (Cell::new(0), Cell::new(0));
    let cases = (decimal(15), decimal(15), decimal(9), any::<u64>());
    holds(2_000, cases, |(price, per, quantity, seed)| {
        prop_assume!(per != "0.000000000000" && quantity != "0.000000000000");
        let plan = json!({"currency": "USD",
            "prices": [{"key": "p", "meter": "OWN_UNITS", "rate": {"per_unit": {"price": price, "per": per}}}]});
        let terms = agreement::terms(&plan, &json!({}));
        let mut usage = agreement::usage(&Random::new(seed).usage(), 1);
        usage.meter = "OWN_UNITS".parse().unwrap();
        (usage.is_time, usage.quantity) = (false, quantity.parse().unwrap());
        match rate(&usage, &terms, &State::new(usage.occurred_at)) {
            Ok(rated) => {
                let expected = Ratio::decimal(&quantity).times(&Ratio::decimal(&price));
                let total = rated.total().unwrap().unwrap();
                prop_assert_eq!(Ratio::of(total), expected.over(&Ratio::decimal(&per)));
                exact.set(exact.get() + 1);
            }
            Err(Error::Overflow(_)) => refused.set(refused.get() + 1),
            Err(error) => prop_assert!(false, "{}", error),
        }
        Ok(())
    });
    assert!(
        exact.get() >= 1_000,
        "{} exact, {} refused",
        exact.get(),
        refused.get()
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
fn cutting_a_usage_into_pieces_changes_no_total() {
    let cuts = prop::collection::vec(1_u32..400, 0..6);
    holds(
        1_500,
        (any::<u64>(), cuts, 1_u32..2_000),
        |(seed, cuts, seconds)| {
            let terms = agreement::terms(&additive_plan(seed), &plain_decks(seed));
            let mut random = Random::new(seed ^ 1);
            let state = agreement::state(&random.grants());
            let mut whole = agreement::usage(&random.usage(), 1);
            // A call, or as many of something that is counted by the thousandth.
            whole.is_time = seed % 3 != 0;
            let meters = ["OWN_UNITS", "CALL_DURATION_SECONDS"];
            whole.meter = meters[usize::from(whole.is_time)].parse().unwrap();
            let is_time = whole.is_time;
            let quantity = |units: u32| {
                let thousandths = format!("{}.{:03}", units / 1_000, units % 1_000);
                let counted = thousandths.parse().unwrap();
                if is_time {
                    Quantity::from_units(units)
                } else {
                    counted
                }
            };
            whole.quantity = quantity(seconds);
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
                    let later = if whole.is_time { from } else { 0 };
                    let occurred_at =
                        whole.occurred_at + jiff::SignedDuration::from_secs(later.into());
                    let id = UsageEventId::new(Uuid::from_u128(u128::from(from)));
                    pieces.push(Usage {
                        id,
                        quantity: quantity(to - from),
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
