//! Whatever the order, repetition and loss of events, a call ends in the same rows and the same usage.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tollbook_core::calls::{
    Call, CallState, Check, Fact, Leg, Phase, ProviderEvent, group, missing, next_check,
};
use tollbook_core::ids::UsageEventId;
use tollbook_core::metering::{Due, MeterCode, call_usage, due, recorded, voicemail_usage};
use tollbook_core::money::Quantity;
use uuid::Uuid;

use crate::histories::{History, history};

const CALLS: usize = 1000;
const ORDERS: usize = 50;

/// An interpreter in miniature: legs, and the usage events recorded after each provider event.
#[derive(Default)]
struct World {
    legs: BTreeMap<String, Leg>,
    voicemails: BTreeMap<String, Timestamp>,
    usage: Vec<(UsageEventId, Due)>,
    phases: BTreeMap<Vec<String>, Phase>,
}

impl World {
    fn observe(&mut self, history: &History, event: &ProviderEvent) {
        if let Some(seen) = Leg::seen(event) {
            self.join(seen);
        }
        if let Fact::Voicemail(voicemail) = &event.fact {
            self.voicemails
                .insert(voicemail.sid.clone(), voicemail.left_at.unwrap());
        }
        self.record(history);
        self.check_forward();
    }

    fn join(&mut self, seen: Leg) {
        match self.legs.get_mut(seen.sid()) {
            Some(leg) => leg.join(seen),
            None => {
                self.legs.insert(seen.sid().to_owned(), seen);
            }
        }
    }

    fn calls(&self) -> Vec<Call> {
        group(self.legs.values().cloned())
    }

    fn states(&self) -> Vec<CallState> {
        self.calls().iter().map(Call::state).collect()
    }

    fn record(&mut self, history: &History) {
        let provider = history.provider;
        let mut targets: Vec<_> = self
            .states()
            .iter()
            .flat_map(|call| call_usage(provider, call))
            .collect();
        targets.extend(
            self.voicemails
                .iter()
                .map(|(sid, at)| voicemail_usage(provider, sid, *at)),
        );
        let events = self.usage.iter().map(|(id, due)| {
            (
                *id,
                due.key.as_str().to_owned(),
                due.meter.clone(),
                due.occurred_at,
                due.quantity,
                due.corrects,
            )
        });
        for due in due(&targets, &recorded(events).unwrap()).unwrap() {
            let is_new = self.usage.iter().all(|(_, known)| known.key != due.key);
            assert!(is_new, "{}: key {} is used twice", history.kind, due.key);
            let id = Uuid::from_u128(u128::try_from(self.usage.len()).unwrap()).into();
            self.usage.push((id, due));
        }
    }

    /// A call whose legs are the same never goes back.
    fn check_forward(&mut self) {
        for call in self.calls() {
            let legs: Vec<String> = call.legs().iter().map(|leg| leg.sid().to_owned()).collect();
            let before = self.phases.insert(legs, call.phase());
            assert!(
                before <= Some(call.phase()),
                "{before:?} then {:?}",
                call.phase()
            );
        }
    }

    fn totals(&self) -> BTreeMap<(MeterCode, String), Quantity> {
        let mut totals = BTreeMap::new();
        for (_, due) in &self.usage {
            let key = due.key.as_str();
            let base = if due.corrects.is_some() {
                key.rsplit_once(':').unwrap().0
            } else {
                key
            };
            let total: &mut Quantity = totals
                .entry((due.meter.clone(), base.to_owned()))
                .or_default();
            *total = total.checked_add(due.quantity).unwrap();
        }
        // A key under which everything was taken back says nothing.
        totals.retain(|_, total| !total.is_zero());
        totals
    }

    /// Asks the provider for what is missing, as often as the rules say, until nothing is.
    fn fetch_missing(&mut self, history: &History) {
        for fetches in 0..40 {
            let checks: Vec<Check> = self
                .calls()
                .iter()
                .filter_map(|call| next_check(call, fetches))
                .collect();
            if checks.is_empty() {
                return;
            }
            for check in checks {
                let Check::Fetch { sids, .. } = check else {
                    panic!("{} was given up", history.kind)
                };
                for record in history
                    .records
                    .iter()
                    .filter(|record| sids.contains(&record.sid))
                {
                    let occurred_at = record.updated_at.unwrap();
                    let key = format!("fetched:{}", record.sid);
                    self.observe(
                        history,
                        &ProviderEvent {
                            key,
                            occurred_at,
                            fact: Fact::Call(record.clone()),
                        },
                    );
                }
            }
        }
        panic!(
            "{}: something is missing that the provider does not have",
            history.kind
        );
    }
}

fn play<'a>(history: &History, events: impl IntoIterator<Item = &'a ProviderEvent>) -> World {
    let mut world = World::default();
    for event in events {
        world.observe(history, event);
    }
    world
}

fn histories() -> impl Iterator<Item = (History, ChaCha8Rng)> {
    (0..CALLS).map(|number| {
        let mut rng = ChaCha8Rng::seed_from_u64(u64::try_from(number).unwrap());
        (history(number, &mut rng), rng)
    })
}

fn sum(world: &World, meter: &str) -> String {
    let of_meter = world
        .totals()
        .into_iter()
        .filter(|((code, _), _)| code.as_str() == meter);
    of_meter
        .fold(Quantity::ZERO, |sum, (_, quantity)| {
            sum.checked_add(quantity).unwrap()
        })
        .to_string()
}

#[test]
fn in_order_each_history_ends_as_it_happened() {
    for (history, _) in histories() {
        let mut world = play(&history, &history.events);
        world.fetch_missing(&history);
        let (kind, truth) = (history.kind, &history.truth);
        let [call] = world
            .calls()
            .try_into()
            .unwrap_or_else(|calls| panic!("{kind}: not one call but {calls:?}"));
        assert_eq!(missing(&call), [], "{kind}");
        let state = call.state();
        assert_eq!(state.outcome, Some(truth.outcome), "{kind}");
        assert_eq!(
            (state.direction, call.legs().len()),
            (Some(truth.direction), truth.legs),
            "{kind}"
        );
        assert_eq!(
            state.billable.map(tollbook_core::time::Seconds::get),
            Some(truth.seconds),
            "{kind}"
        );
        assert_eq!(
            state.ended_at,
            history
                .records
                .iter()
                .filter_map(|record| record.ended_at)
                .max(),
            "{kind}"
        );
        assert_eq!(
            sum(&world, "CALL_DURATION_SECONDS"),
            truth.seconds.to_string(),
            "{kind}"
        );
        assert_eq!(
            sum(&world, "voicemail"),
            truth.voicemails.to_string(),
            "{kind}"
        );
        let calls = [sum(&world, "CALL_RECEIVED"), sum(&world, "CALL_MADE")];
        let expected = if truth.direction == tollbook_core::calls::Direction::Incoming {
            ["1", "0"]
        } else {
            ["0", "1"]
        };
        assert_eq!(calls, expected, "{kind}");
    }
}

#[test]
fn order_and_repetition_change_nothing() {
    let (mut played, mut corrected) = (0, 0);
    for (history, mut rng) in histories() {
        let in_order = play(&history, &history.events);
        let (calls, totals) = (in_order.calls(), in_order.totals());
        for _ in 0..ORDERS {
            let mut events: Vec<&ProviderEvent> = history.events.iter().collect();
            for event in &history.events {
                events.extend(std::iter::repeat_n(event, rng.random_range(0..2)));
            }
            events.shuffle(&mut rng);
            let world = play(&history, events);
            assert_eq!(world.calls(), calls, "{}", history.kind);
            assert_eq!(world.totals(), totals, "{}", history.kind);
            played += 1;
            corrected += usize::from(world.usage.iter().any(|(_, due)| due.corrects.is_some()));
        }
    }
    assert_eq!(played, CALLS * ORDERS);
    assert!(
        corrected > 1_000,
        "only {corrected} orders needed a correction"
    );
}

#[test]
fn a_lost_event_is_made_good_by_the_providers_record() {
    let mut lost = 0;
    for (history, mut rng) in histories() {
        let mut whole = play(&history, &history.events);
        whole.fetch_missing(&history);
        for _ in 0..10 {
            let mut events: Vec<&ProviderEvent> = history
                .events
                .iter()
                .filter(|_| rng.random_bool(0.6))
                .collect();
            // Voicemails are events of their own, and a leg of which nothing was ever heard cannot be asked for.
            for event in &history.events {
                let is_heard = events
                    .iter()
                    .any(|kept| kept.call_sid() == event.call_sid());
                if !is_heard || matches!(event.fact, Fact::Voicemail(_)) {
                    events.retain(|kept| kept.key != event.key);
                    events.push(event);
                }
            }
            lost += history.events.len() - events.len();
            events.shuffle(&mut rng);
            let mut world = play(&history, events);
            world.fetch_missing(&history);
            assert_eq!(world.states(), whole.states(), "{}", history.kind);
            assert_eq!(world.totals(), whole.totals(), "{}", history.kind);
        }
    }
    assert!(lost > 5_000, "only {lost} events were lost");
}

#[test]
fn what_is_kept_of_a_leg_survives_storage() {
    for (history, _) in histories().take(50) {
        let world = play(&history, &history.events);
        let stored = serde_json::to_string(&world.legs).unwrap();
        assert_eq!(
            serde_json::from_str::<BTreeMap<String, Leg>>(&stored).unwrap(),
            world.legs
        );
    }
}
