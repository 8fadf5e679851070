//! Calls that are let through: what is set aside covers whatever becomes of them, and is never more than there is.

use std::cell::Cell;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use tollbook_core::calls::Direction;
use tollbook_core::ids::UsageEventId;
use tollbook_core::money::{Currency, Fraction, Quantity};
use tollbook_core::rating::{ProviderCost, State, Terms, Usage, rate};
use tollbook_core::wallets::{Hold, InProgress, costs, promise, share};
use uuid::Uuid;

use crate::agreement;
use crate::naive::NaiveGrant;
use crate::properties::{dollars, holds};
use crate::random::Random;
use crate::ratio::Ratio;

const WANTED: u32 = 1_800;

fn exact(cents: i64) -> Fraction {
    Fraction::new(cents.into(), 100).unwrap()
}

#[test]
fn every_length_up_to_the_promised_one_costs_no_more_than_what_is_set_aside() {
    let (shortened, falling, free) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let cases = (any::<u64>(), -100_i64..3_000, 0..50_i64);
    holds(1_000, cases, |(seed, cents, aside)| {
        let plan = Random::new(seed).plan();
        let mut random = Random::new(seed ^ 1);
        let terms = agreement::terms(&plan, &random.decks());
        let state = agreement::state(&random.grants());
        let call = InProgress {
            call: Usage {
                meter: "CALL_DURATION_SECONDS".parse().unwrap(),
                ..agreement::usage(&random.usage(), 1)
            },
            terms: &terms,
            period_start: state.period_start,
            aside: dollars(aside),
        };
        let Ok(promised) = promise(&call, WANTED, &[], &state, Some(exact(cents))) else {
            // A destination without a price.
            return Ok(());
        };
        let spare = cents.max(0) + aside;
        prop_assert!(promised.amount.minor() <= spare);
        prop_assert!(promised.seconds <= WANTED);
        let cost = |seconds: u32| {
            let usage = Usage {
                quantity: Quantity::from_units(seconds),
                is_time: true,
                ..call.call.clone()
            };
            rate(&usage, &terms, &state).ok()?.total().unwrap()
        };
        let minutes =
            (0..=30).flat_map(|minute| (minute * 60_u32).saturating_sub(1)..=minute * 60 + 1);
        let lengths = minutes
            .chain((0..WANTED).step_by(7))
            .filter(|seconds| *seconds <= promised.seconds)
            .chain([promised.seconds])
            .collect::<BTreeSet<u32>>();
        let mut before = Fraction::ZERO;
        for seconds in lengths {
            let cost = cost(seconds).unwrap();
            prop_assert!(cost <= promised.amount.to_fraction(), "{}", seconds);
            falling.set(falling.get() + usize::from(cost < before));
            before = cost;
        }
        if promised.seconds < WANTED {
            let more = cost(promised.seconds + 1);
            prop_assert!(more.is_none_or(|more| more > exact(spare)));
            shortened.set(shortened.get() + 1);
        }
        free.set(free.get() + usize::from(promised.amount.is_zero() && promised.seconds > 0));
        Ok(())
    });
    assert!(shortened.get() >= 300, "{} were shortened", shortened.get());
    assert!(falling.get() >= 20, "{} fell", falling.get());
    assert!(free.get() >= 100, "{} were free", free.get());
}

/// Plans on which calls share something: included time, a tier; at one price, or at several.
fn plan(kind: u8) -> Value {
    let price = |more: Value| {
        let mut price = json!({"key": "c", "meter": "CALL_DURATION_SECONDS", "increment": "30/6"});
        for (name, value) in more.as_object().unwrap() {
            price[name] = value.clone();
        }
        price
    };
    let cheap = json!({"rate": {"per_unit": {"price": "0.07", "per": 60}}});
    let mut prices = match kind {
        0 => vec![price(cheap)],
        1 => vec![price(
            json!({"connectionFee": "0.05", "rate": {"per_unit": {"price": "0.31", "per": 60}}}),
        )],
        2 => vec![price(
            json!({"rate": {"graduated": {"per": 60, "tiers": [{"upTo": 5, "price": "0.05"}, {"upTo": 9, "price": "0.40"}, {"price": "0.20"}]}}}),
        )],
        _ => vec![price(cheap), {
            let mut dear = price(json!({"rate": {"per_unit": {"price": "0.95", "per": 60}}}));
            dear["key"] = json!("d");
            dear["direction"] = json!("outgoing");
            dear
        }],
    };
    prices.rotate_left(usize::from(kind > 2));
    json!({"currency": "USD", "prices": prices,
        "allowances": [{"key": "x", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600}]})
}

/// An account with credit and included time, and the calls that are in progress on it.
struct Account<'a> {
    terms: &'a Terms,
    state: State,
    /// Neither spent nor set aside.
    available: Fraction,
    open: Vec<InProgress<'a>>,
    begun: u128,
}

impl<'a> Account<'a> {
    fn begin(&mut self, is_outgoing: bool, wanted: u32) -> Option<u32> {
        self.begun += 1;
        let direction = if is_outgoing {
            Direction::Outgoing
        } else {
            Direction::Incoming
        };
        let call = InProgress {
            call: Usage {
                id: UsageEventId::new(Uuid::from_u128(self.begun)),
                meter: "CALL_DURATION_SECONDS".parse().unwrap(),
                quantity: Quantity::ZERO,
                occurred_at: self.state.period_start,
                is_time: true,
                direction: Some(direction),
                destination: None,
                provider_cost: ProviderCost::Pending,
            },
            terms: self.terms,
            period_start: self.state.period_start,
            aside: dollars(0),
        };
        self.promise(call, wanted)
    }

    /// Lets a call through, or on, unless there is nothing for it; for how long.
    fn promise(&mut self, mut call: InProgress<'a>, wanted: u32) -> Option<u32> {
        let promised =
            promise(&call, wanted, &self.open, &self.state, Some(self.available)).unwrap();
        let before = call.call.quantity;
        let seconds = Quantity::from_units(promised.seconds);
        if seconds <= before {
            if before > Quantity::ZERO {
                self.open.push(call);
            }
            return None;
        }
        let amounts = promised.others.iter().chain([&promised.amount]);
        call.call.quantity = seconds;
        self.open.push(call);
        for (one, amount) in self.open.iter_mut().zip(amounts) {
            let grown = amount.checked_sub(one.aside).unwrap().to_fraction();
            self.available = self.available.checked_sub(grown).unwrap();
            one.aside = *amount;
        }
        Some(promised.seconds)
    }

    /// A call ends: it is charged, nothing is set aside for it any more, and the others are looked at again.
    fn end(&mut self, index: usize, percent: u32) {
        let mut ended = self.open.remove(index);
        let seconds = ended.call.quantity.to_whole_units().unwrap() * i64::from(percent) / 100;
        ended.call.quantity = Quantity::try_from_units(seconds).unwrap();
        let rated = rate(&ended.call, self.terms, &self.state).unwrap();
        self.state.apply(&rated).unwrap();
        let freed = ended.aside.to_fraction();
        self.available = self.available.checked_add(freed).unwrap();
        let cost = rated.total().unwrap().unwrap();
        self.available = self.available.checked_sub(cost).unwrap();
        let costs = costs(&self.open, &self.state).unwrap();
        let holds: Vec<Hold> = self
            .open
            .iter()
            .zip(costs)
            .map(|(one, cost)| Hold {
                aside: one.aside,
                cost,
            })
            .collect();
        let amounts = share(&holds, self.available, Currency::USD).unwrap();
        for (one, amount) in self.open.iter_mut().zip(amounts) {
            let grown = amount.checked_sub(one.aside).unwrap().to_fraction();
            self.available = self.available.checked_sub(grown).unwrap();
            one.aside = amount;
        }
    }
}

#[test]
fn whichever_call_ends_first_the_credit_is_never_overdrawn() {
    let step = (0..6_u8, any::<bool>(), 1..1_200_u32, 0..=100_u32);
    let cases = (
        0..4_u8,
        prop::collection::vec(step, 1..40),
        0..900_i64,
        0..1_200_u32,
    );
    let (refused, moved, extended) = (Cell::new(0), Cell::new(0), Cell::new(0));
    holds(2_000, cases, |(kind, steps, credit, allowance)| {
        let terms = agreement::terms(&plan(kind), &json!({}));
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let grant = NaiveGrant {
            allowance: "x".to_owned(),
            left: Ratio::whole(i64::from(allowance)),
            starts: now,
            expires: now + SignedDuration::from_hours(24),
        };
        let mut account = Account {
            terms: &terms,
            state: agreement::state(&[grant]),
            available: exact(credit),
            open: Vec::new(),
            begun: 0,
        };
        for (step, is_outgoing, seconds, percent) in steps {
            let count = account.open.len();
            let index = usize::try_from(seconds).unwrap() % count.max(1);
            match step {
                0 | 1 if count > 0 => {
                    let before: i64 = account.open.iter().map(|one| one.aside.minor()).sum();
                    let own = account.open[index].aside.minor();
                    account.end(index, percent);
                    let after: i64 = account.open.iter().map(|one| one.aside.minor()).sum();
                    moved.set(moved.get() + usize::from(after > before - own));
                }
                2 if count > 0 => {
                    let call = account.open.remove(index);
                    let is_longer = account.promise(call, seconds + 600).is_some();
                    extended.set(extended.get() + usize::from(is_longer));
                }
                _ => {
                    let lasts = account.begin(is_outgoing, seconds);
                    refused.set(refused.get() + usize::from(lasts.is_none()));
                }
            }
            prop_assert!(
                !account.available.is_negative(),
                "{:?} on plan {}",
                account.available,
                kind
            );
        }
        while !account.open.is_empty() {
            account.end(account.open.len() / 2, 100);
            prop_assert!(!account.available.is_negative(), "at the end of all");
        }
        Ok(())
    });
    assert!(refused.get() >= 1_000, "{} were refused", refused.get());
    assert!(
        moved.get() >= 100,
        "more was set aside {} times",
        moved.get()
    );
    assert!(extended.get() >= 500, "{} were extended", extended.get());
}
