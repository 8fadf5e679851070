//! Calls on prepaid credit: how long each may last, and what is set aside for it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use tollbook_core::ids::{CallId, WalletMovementId};
use tollbook_core::money::{Currency, Fraction, Quantity};
use tollbook_core::rating::{Usage, rate};
use tollbook_core::wallets::{
    CALL_SECONDS_MAX, Lot, Reservation, Wallet, WalletError, longest_call,
};
use uuid::Uuid;

use crate::agreement;
use crate::naive::NaiveGrant;
use crate::properties::{dollars, holds};
use crate::random::Random;
use crate::ratio::Ratio;

#[test]
fn the_longest_call_is_affordable_all_along_and_one_second_more_is_not() {
    let (ended, falling) = (Cell::new(0), Cell::new(0));
    holds(1_000, (any::<u64>(), 0_i64..3_000), |(seed, cents)| {
        let mut plan = Random::new(seed).plan();
        // A price that falls is tried length by length, which is too slow for all of this many cases.
        if !seed.is_multiple_of(16) {
            for price in plan["prices"].as_array_mut().unwrap() {
                if !seed.is_multiple_of(4) {
                    price["bandMode"] = json!("increment_start");
                }
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
        // Around each minute in the half hour in which bands begin and end, then some.
        let minutes =
            (0..=30).flat_map(|minute| (minute * 60_u32).saturating_sub(1)..=minute * 60 + 1);
        let every = minutes
            .chain((0..2_400).step_by(11))
            .chain((2_400..longest).step_by(4_999))
            .filter(|seconds| *seconds <= longest)
            .chain([longest])
            .collect::<BTreeSet<u32>>();
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

/// Credit set aside so far, by call: how much, and until when.
type Aside = BTreeMap<u128, (i64, Timestamp)>;

#[test]
fn no_credit_is_set_aside_twice() {
    let step = (0..4_u8, 0..12_u128, 1..4_000_i64, 1..200_i64);
    let (refused, lapsed) = (Cell::new(0), Cell::new(0));
    let cases = (prop::collection::vec(step, 1..40), 0..2_000_i64);
    holds(1_000, cases, |(steps, credit_limit)| {
        let mut wallet = Wallet::new(Currency::USD);
        wallet.credit_limit = dollars(credit_limit);
        let mut aside = Aside::new();
        let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for ((kind, call, amount, minutes), number) in steps.into_iter().zip(1_u128..) {
            now += SignedDuration::from_mins(minutes / 4);
            let call_id = CallId::new(Uuid::from_u128(call));
            match kind {
                0 => wallet
                    .top_up(Lot {
                        id: WalletMovementId::new(Uuid::from_u128(number)),
                        left: dollars(amount),
                        received_at: now,
                        expires_at: None,
                    })
                    .unwrap(),
                1 => {
                    let held = aside.remove(&call).map(|(amount, _)| dollars(amount));
                    prop_assert_eq!(wallet.release(call_id), held);
                }
                _ => {
                    let expires_at = now + SignedDuration::from_mins(minutes);
                    let reservation = Reservation {
                        call_id,
                        amount: dollars(amount),
                        expires_at,
                    };
                    // A tenth of a cent was charged and not drawn yet.
                    let not_drawn = Fraction::new(1, 1_000).unwrap();
                    let held = aside.values().filter(|(_, end)| now < *end);
                    let held: i64 = held.map(|(amount, _)| amount).sum();
                    lapsed.set(
                        lapsed.get() + usize::from(aside.values().any(|(_, end)| *end <= now)),
                    );
                    let balance: i64 = wallet.lots.iter().map(|lot| lot.left.minor()).sum();
                    let fits = amount < balance + credit_limit - held;
                    match wallet.reserve(reservation, not_drawn, now) {
                        Ok(()) => {
                            prop_assert!(fits && !aside.contains_key(&call));
                            aside.insert(call, (amount, expires_at));
                        }
                        Err(WalletError::Twice) => prop_assert!(aside.contains_key(&call)),
                        Err(WalletError::Insufficient { .. }) => {
                            prop_assert!(!fits);
                            refused.set(refused.get() + 1);
                        }
                        Err(error) => prop_assert!(false, "{}", error),
                    }
                }
            }
        }
        Ok(())
    });
    assert!(refused.get() >= 1_000 && lapsed.get() >= 1_000);
}

/// Calls that begin one after another while those before still go on: each may last as long as what the others may cost
/// and use leaves for it. None lasts longer, so the wallet is never overdrawn.
#[test]
fn calls_at_the_same_time_never_overdraw_the_wallet() {
    let calls = prop::collection::vec((1..=100_u32, any::<bool>()), 1..8);
    let shortened = Cell::new(0);
    holds(
        1_000,
        (calls, 0..500_i64, 0..600_u32),
        |(calls, credit, allowance)| {
            let plan = json!({"currency": "USD",
            "prices": [{"key": "c", "meter": "CALL_DURATION_SECONDS", "increment": "30/6", "connectionFee": "0.05",
                "rate": {"per_unit": {"price": "0.31", "per": 60}}}],
            "allowances": [{"key": "x", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600}]});
            let terms = agreement::terms(&plan, &json!({}));
            let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let grant = NaiveGrant {
                allowance: "x".to_owned(),
                left: Ratio::whole(i64::from(allowance)),
                starts: now,
                expires: now + SignedDuration::from_hours(24),
            };
            let mut state = agreement::state(&[grant]);
            // What calls in progress may use is taken from the allowance until they end.
            let mut reserved = state.clone();
            let mut available = Fraction::new(credit.into(), 100).unwrap();
            let mut ended = Vec::new();
            for ((percent, is_late), id) in calls.into_iter().zip(0_u128..) {
                let mut call = agreement::usage(&Random::new(1).usage(), id);
                call.meter = "CALL_DURATION_SECONDS".parse().unwrap();
                (call.occurred_at, call.is_time) = (now, true);
                let longest = longest_call(&call, &terms, &reserved, available).unwrap();
                call.quantity = Quantity::from_units(longest);
                let most = rate(&call, &terms, &reserved).unwrap();
                reserved.apply(&most).unwrap();
                available = available
                    .checked_sub(most.total().unwrap().unwrap())
                    .unwrap();
                prop_assert!(!available.is_negative());
                call.quantity = Quantity::from_units(longest * percent / 100);
                shortened.set(shortened.get() + usize::from(percent < 100));
                // Calls end in another order than they begin.
                if is_late {
                    ended.push(call);
                } else {
                    ended.insert(0, call);
                }
            }
            let mut charged = Fraction::ZERO;
            for call in ended {
                let rated = rate(&call, &terms, &state).unwrap();
                state.apply(&rated).unwrap();
                charged = charged
                    .checked_add(rated.total().unwrap().unwrap())
                    .unwrap();
            }
            prop_assert!(charged <= Fraction::new(credit.into(), 100).unwrap());
            Ok(())
        },
    );
    assert!(shortened.get() >= 1_000);
}
