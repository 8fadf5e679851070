//! The rating and the naive one agree on random plans, accounts and usage, to the last digit.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tollbook_core::ids::{GrantId, UsageEventId};
use tollbook_core::money::{Price, Quantity};
use tollbook_core::plans::Offer;
use tollbook_core::pricing::Deck;
use tollbook_core::rating::{Grant, ProviderCost, State, Surroundings, Terms, Usage, rate};
use uuid::Uuid;

use crate::examples::check_traces;
use crate::naive::{self, Account, NaiveGrant, NaiveUsage};
use crate::periods::agree_through_periods;
use crate::random::Random;
use crate::ratio::Ratio;
use crate::tally::{Seen, expected, note};

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

/// Rates the usages of one seed both ways; returns how many were compared.
fn agree_on_plan(seed: usize, tally: &mut Seen) -> usize {
    // One account goes from period to period; the other has any grants at all, and usage in any order.
    if !seed.is_multiple_of(2) {
        return agree_through_periods(seed, USAGES, tally);
    }
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
