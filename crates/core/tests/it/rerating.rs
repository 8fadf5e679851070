//! Order: where it does not matter, no arrival changes a total; where it does, rating the tail again makes it right.

use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use tollbook_core::money::{Fraction, Quantity};
use tollbook_core::rating::{
    Change, InForce, Place, Rated, State, Terms, Usage, leaves_traces, order_matters,
    rate_in_order, rerate, rerate_from, sort_canonically,
};

use crate::agreement;
use crate::naive::NaiveGrant;
use crate::properties::{additive_plan, holds, plain_decks};
use crate::random::Random;
use crate::ratio::Ratio;

/// Terms of a random plan, and one grant for each of its allowances, as one cycle has them.
fn account(seed: u64) -> (Terms, State, Random) {
    let mut random = Random::new(seed);
    let (plan, decks) = if seed.is_multiple_of(2) {
        (additive_plan(seed), plain_decks(seed))
    } else {
        (random.plan(), random.decks())
    };
    let at = |text: &str| text.parse().unwrap();
    let grant = |allowance: &serde_json::Value, left: u32| NaiveGrant {
        allowance: allowance["key"].as_str().unwrap().to_owned(),
        left: Ratio::whole(i64::from(left)),
        starts: at("2026-01-01T00:00:00Z"),
        expires: at("2027-01-01T00:00:00Z"),
    };
    let allowances = plan["allowances"].as_array().unwrap();
    let grants: Vec<_> = allowances
        .iter()
        .map(|it| grant(it, random.below(400)))
        .collect();
    let state = agreement::state(&grants);
    (agreement::terms(&plan, &decks), state, random)
}

/// What usages come to together; those that wait for a provider's price aside.
fn sum<'a>(rated: impl IntoIterator<Item = &'a Rated>) -> Fraction {
    let known = |rated: &Rated| rated.total().unwrap();
    Fraction::sum(rated.into_iter().filter_map(known)).unwrap()
}

fn fresh(usages: &[Usage], terms: &Terms, state: &State) -> (Fraction, State) {
    let mut state = state.clone();
    let rated = rate_in_order(usages, terms, &mut state).unwrap();
    (sum(&rated), state)
}

/// What stands on each line; charges that wait for a provider's price aside.
pub(crate) fn lines<'a>(rated: impl IntoIterator<Item = &'a Rated>) -> BTreeMap<String, Fraction> {
    let mut lines = BTreeMap::new();
    for part in rated.into_iter().flat_map(|rated| &rated.parts) {
        let line = lines.entry(part.line_group()).or_insert(Fraction::ZERO);
        *line = line
            .checked_add(part.amount.unwrap_or(Fraction::ZERO))
            .unwrap();
    }
    lines.retain(|_, amount| *amount != Fraction::ZERO);
    lines
}

fn used(state: &State) -> Vec<Quantity> {
    state.grants.iter().map(|grant| grant.used).collect()
}

/// All orders of four things.
fn orders() -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for code in 0..256_usize {
        let order = [code / 64, code / 16 % 4, code / 4 % 4, code % 4];
        if (0..4).all(|wanted| order.contains(&wanted)) {
            orders.push(order);
        }
    }
    assert_eq!(orders.len(), 24);
    orders
}

#[test]
fn all_arrivals_come_to_the_same_where_order_does_not_matter() {
    let (same, differs, cautious) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let orders = orders();
    holds(4_000, any::<u64>(), |seed| {
        let (terms, state, mut random) = account(seed);
        let usages: Vec<Usage> = (0..4)
            .map(|id| agreement::usage(&random.usage(), id))
            .collect();
        let arrivals = orders.iter().map(|order| {
            let arrived: Vec<Usage> = order.iter().map(|index| usages[*index].clone()).collect();
            let mut state = state.clone();
            let rated = rate_in_order(&arrived, &terms, &mut state).unwrap();
            (lines(&rated), used(&state))
        });
        let outcomes: Vec<_> = arrivals.collect();
        let is_same = outcomes.iter().all(|outcome| outcome.0 == outcomes[0].0);
        match (order_matters(&terms), is_same) {
            (false, true) => {
                prop_assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
                same.set(same.get() + 1);
            }
            (false, false) => prop_assert!(false, "order changes a line: {outcomes:?}"),
            (true, false) => differs.set(differs.get() + 1),
            (true, true) => cautious.set(cautious.get() + 1),
        }
        Ok(())
    });
    let (same, differs, cautious) = (same.get(), differs.get(), cautious.get());
    assert!(same >= 1_000, "{same} plans are independent of order");
    assert!(
        differs >= 100,
        "{differs} plans depend on order and show it, {cautious} do not"
    );
}

/// An account with what is in force, in the order in which it was rated.
struct Account {
    terms: Terms,
    state: State,
    in_force: Vec<InForce>,
    rerated: usize,
}

fn place(usage: &Usage) -> Place {
    (usage.occurred_at, usage.id)
}

impl Account {
    /// A usage arrives, or is corrected: rated before under the same id.
    fn observe(&mut self, usage: Usage) {
        let known = self.in_force.iter().position(|it| it.usage.id == usage.id);
        let places: Vec<Place> = self.in_force.iter().map(|it| place(&it.usage)).collect();
        let change = Change {
            place: place(&usage),
            before: known.map(|index| places[index]),
        };
        let matters = order_matters(&self.terms);
        let from = rerate_from(change, &places, matters, leaves_traces(&self.terms));
        let rated = known.and_then(|index| self.in_force.remove(index).rated);
        let mut tail = vec![InForce { usage, rated }];
        let (behind, kept) = std::mem::take(&mut self.in_force)
            .into_iter()
            .partition(|it| from.is_some_and(|from| place(&it.usage) >= from));
        self.in_force = kept;
        self.rerated += behind.len();
        tail.extend::<Vec<InForce>>(behind);
        let changes = rerate(&mut tail, &self.terms, &mut self.state).unwrap();
        for (mut entry, change) in tail.into_iter().zip(changes) {
            entry.rated = change.or(entry.rated);
            self.in_force.push(entry);
        }
    }
}

#[test]
fn late_and_corrected_usage_ends_as_a_fresh_rating() {
    let (ordered, unordered, rerated) = (Cell::new(0), Cell::new(0), Cell::new(0));
    holds(1_500, any::<u64>(), |seed| {
        let (terms, state, mut random) = account(seed);
        let matters = order_matters(&terms);
        let mut account = Account {
            terms,
            state: state.clone(),
            in_force: Vec::new(),
            rerated: 0,
        };
        for id in 0..10 {
            account.observe(agreement::usage(&random.usage(), id));
            if random.below(3) == 0 {
                // One that is there gets another length, price, or time.
                let corrected = u128::from(random.below(u32::try_from(id + 1).unwrap()));
                let old = account
                    .in_force
                    .iter()
                    .find(|it| it.usage.id.uuid().as_u128() == corrected)
                    .unwrap()
                    .usage
                    .clone();
                let mut usage = agreement::usage(&random.usage(), corrected);
                (usage.meter, usage.is_time) = (old.meter, old.is_time);
                if random.below(2) == 0 {
                    usage.occurred_at = old.occurred_at + SignedDuration::from_secs(1);
                }
                account.observe(usage);
            }
        }
        let mut usages: Vec<Usage> = account.in_force.iter().map(|it| it.usage.clone()).collect();
        prop_assert_eq!(usages.len(), 10);
        sort_canonically(&mut usages, |usage| usage);
        let (total, fresh_state) = fresh(&usages, &account.terms, &state);
        let in_force = account.in_force.iter().filter_map(|it| it.rated.as_ref());
        prop_assert_eq!(sum(in_force), total);
        prop_assert_eq!(used(&account.state), used(&fresh_state));
        let count = if matters { &ordered } else { &unordered };
        count.set(count.get() + 1);
        rerated.set(rerated.get() + account.rerated);
        Ok(())
    });
    assert!(ordered.get() >= 300 && unordered.get() >= 300);
    assert!(
        rerated.get() >= 3_000,
        "only {} were rated again",
        rerated.get()
    );
}
