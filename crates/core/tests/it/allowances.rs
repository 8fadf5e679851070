//! What becomes of allowances through a year: granted, drawn, carried, capped, expired.

use jiff::Timestamp;
use jiff::civil::date;
use proptest::prelude::*;
use serde_json::json;
use tollbook_core::ids::{GrantId, UsageEventId};
use tollbook_core::money::{Fraction, Quantity};
use tollbook_core::plans::{Document, Offer};
use tollbook_core::rating::{
    DueGrant, Grant, ProviderCost, State, Surroundings, Terms, Usage, due_grants, forfeits, rate,
};
use tollbook_core::subscriptions::Schedule;
use uuid::Uuid;

use crate::properties::holds;

const METERS: [&str; 2] = ["CALL_DURATION_SECONDS", "MORE_TIME"];

fn call(id: u128, meter: &str, seconds: u32, occurred_at: Timestamp) -> Usage {
    Usage {
        id: UsageEventId::new(Uuid::from_u128(id)),
        meter: meter.parse().unwrap(),
        quantity: Quantity::from_units(seconds),
        occurred_at,
        is_time: true,
        direction: None,
        destination: None,
        provider_cost: ProviderCost::Pending,
    }
}

fn granted(due: DueGrant, number: usize) -> Grant {
    Grant {
        id: GrantId::new(Uuid::from_u128(u128::try_from(number).unwrap())),
        allowance_key: due.allowance_key,
        granted: due.granted,
        used: Quantity::ZERO,
        forfeited: Quantity::ZERO,
        starts_at: due.starts_at,
        expires_at: due.expires_at,
    }
}

/// What is left of the grants that end within a time.
fn left(state: &State, ends: impl Fn(Timestamp) -> bool) -> Fraction {
    let grants = state.grants.iter().filter(|grant| ends(grant.expires_at));
    Fraction::sum(grants.map(|grant| grant.left().unwrap().to_fraction())).unwrap()
}

fn add(sum: &mut Fraction, quantity: Quantity) {
    *sum = sum.checked_add(quantity.to_fraction()).unwrap();
}

/// What happened to all grants, written down as it happened.
#[derive(Default)]
struct Book {
    granted: Fraction,
    drawn: Fraction,
    forfeited: Fraction,
    expired: Fraction,
    charged: Fraction,
    talked: Fraction,
}

impl Book {
    /// Begins a period at `now`: what has ended is lost, what is due is granted, less what is carried beyond the cap.
    fn begin(
        &mut self,
        document: &Document,
        schedule: &Schedule,
        state: &mut State,
        now: Timestamp,
    ) {
        let before = state.period_start;
        let gone = left(state, |end| before < end && end <= now);
        self.expired = self.expired.checked_add(gone).unwrap();
        state.period_start = now;
        let allowance = &document.allowances[0];
        for due in due_grants(document, schedule, now).unwrap() {
            if state
                .grants
                .iter()
                .any(|grant| grant.starts_at == due.starts_at)
            {
                continue;
            }
            let carried = left(state, |end| end > now);
            for forfeit in forfeits(allowance, &state.grants, now).unwrap() {
                add(&mut self.forfeited, forfeit.quantity);
                let of_grant = |grant: &&mut Grant| grant.id == forfeit.grant_id;
                let grant = state.grants.iter_mut().find(of_grant).unwrap();
                grant.forfeited = grant.forfeited.checked_add(forfeit.quantity).unwrap();
            }
            let cap = allowance
                .rollover
                .and_then(|it| it.cap)
                .map(Quantity::to_fraction);
            assert_eq!(
                left(state, |end| end > now),
                cap.map_or(carried, |cap| cap.min(carried))
            );
            assert!(forfeits(allowance, &state.grants, now).unwrap().is_empty());
            add(&mut self.granted, due.granted);
            state.grants.push(granted(due, state.grants.len()));
        }
    }

    fn talk(&mut self, call: &Usage, terms: &Terms, state: &mut State) {
        let rated = rate(call, terms, state).unwrap();
        state.apply(&rated).unwrap();
        for draw in &rated.grant_draws {
            add(&mut self.drawn, draw.quantity);
        }
        self.charged = self
            .charged
            .checked_add(rated.total().unwrap().unwrap())
            .unwrap();
        add(&mut self.talked, call.quantity);
    }
}

#[test]
fn granted_is_used_and_left_and_expired_and_forfeited_through_a_year() {
    let calls = prop::collection::vec((0..2_usize, 0_u32..9_000), 0..5);
    let rollover = prop::option::of((1_u16..4, prop::option::of(0_u32..12_000)));
    let every = prop::sample::select(vec!["period", "year"]);
    holds(
        1_000,
        (
            prop::collection::vec(calls, 27),
            rollover,
            1_u32..9_000,
            every,
        ),
        |(months, rollover, quantity, every)| {
            let rollover = rollover.map(|(cycles, cap)| json!({"cycles": cycles, "cap": cap}));
            let price = |meter: &str| json!({"key": meter, "meter": meter, "rate": {"per_unit": {"price": "1"}}});
            let plan = json!({"currency": "USD", "prices": METERS.map(price),
                "allowances": [{"key": "x", "meters": METERS, "quantity": quantity, "every": every, "rollover": rollover}]});
            let document = Offer::read(&serde_json::to_vec(&plan).unwrap())
                .unwrap()
                .document;
            let terms = Terms::new(&document, &Surroundings::default()).unwrap();
            let schedule =
                Schedule::new(date(2026, 1, 31), 1, "Europe/Berlin".parse().unwrap()).unwrap();
            let mut state = State::new(schedule.period(0).unwrap().start());
            let mut book = Book::default();
            for (month, calls) in (0_i64..).zip(months) {
                let now = schedule.period(month).unwrap().start();
                book.begin(&document, &schedule, &mut state, now);
                for (index, (meter, seconds)) in (0..).zip(calls) {
                    book.talk(
                        &call(index, METERS[meter], seconds, now),
                        &terms,
                        &mut state,
                    );
                }
                let still = left(&state, |end| end > now);
                let parts = [book.drawn, book.forfeited, book.expired, still];
                prop_assert!(parts.iter().all(|part| !part.is_negative()));
                prop_assert_eq!(Fraction::sum(parts).unwrap(), book.granted);
                // At 1.00 a second, what is not covered is what is charged.
                prop_assert_eq!(book.drawn.checked_add(book.charged).unwrap(), book.talked);
            }
            Ok(())
        },
    );
}
