//! Usage is never changed: when what should have been recorded changes, the difference is recorded.
//!
//! A source (a call, a message) says what its usage should be in all: its *targets*. What was recorded already is
//! compared with them, and the differences are due. So the totals depend only on the final state of the source, not
//! on how often or in which order it changed on the way.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::meter::MeterCode;
use super::request::IdempotencyKey;
use crate::ids::UsageEventId;
use crate::money::{Overflow, Quantity};

/// What a source should have recorded in all under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The key of the first event; corrections append their number to it.
    pub key: String,
    /// The meter.
    pub meter: MeterCode,
    /// The total, in the meter's base unit.
    pub quantity: Quantity,
    /// When it was used; for a call, its start, and for the time talked, the answer.
    pub occurred_at: Timestamp,
}

/// What was recorded under one key, corrections included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The first event, which the others correct.
    pub first: UsageEventId,
    /// Its key.
    pub key: String,
    /// Its meter.
    pub meter: MeterCode,
    /// Its time.
    pub occurred_at: Timestamp,
    /// The total of the first event and its corrections.
    pub quantity: Quantity,
    /// The number of events.
    pub events: u32,
}

/// An event to record now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its key.
    pub key: IdempotencyKey,
    /// Its meter.
    pub meter: MeterCode,
    /// Its quantity; negative when too much was recorded.
    pub quantity: Quantity,
    /// When it was used.
    pub occurred_at: Timestamp,
    /// The first event under the key, if this corrects it.
    pub corrects: Option<UsageEventId>,
    /// What was recorded under the key before, in all.
    pub before: Quantity,
}

/// What has to be recorded so that exactly `targets` are. `recorded` is everything of the same source: what is no
/// longer a target is taken back. Fails only if a quantity grows beyond all bounds.
pub fn due(targets: &[Target], recorded: &[Recorded]) -> Result<Vec<Due>, Overflow> {
    let mut due = Vec::new();
    for target in targets {
        let known = recorded.iter().find(|known| known.key == target.key);
        due.extend(difference(target, known)?);
    }
    for known in recorded
        .iter()
        .filter(|known| targets.iter().all(|target| target.key != known.key))
    {
        let nothing = Target {
            key: known.key.clone(),
            meter: known.meter.clone(),
            quantity: Quantity::ZERO,
            occurred_at: known.occurred_at,
        };
        due.extend(difference(&nothing, Some(known))?);
    }
    Ok(due)
}

fn difference(target: &Target, known: Option<&Recorded>) -> Result<Option<Due>, Overflow> {
    let before = known.map_or(Quantity::ZERO, |known| known.quantity);
    let quantity = target.quantity.checked_sub(before)?;
    if quantity.is_zero() {
        return Ok(None);
    }
    let key = match known {
        None => target.key.clone(),
        Some(known) => format!("{}:{}", target.key, known.events),
    };
    Ok(Some(Due {
        key: IdempotencyKey::made(key),
        meter: target.meter.clone(),
        quantity,
        // A correction belongs where the usage was counted first, even if its time is known better by now.
        occurred_at: known.map_or(target.occurred_at, |known| known.occurred_at),
        corrects: known.map(|known| known.first),
        before,
    }))
}

/// Gathers events of one source, in any order, into what they record: id, key, meter, time, quantity, and the event
/// that it corrects. Events that correct one which is not among them are left out.
pub fn recorded(
    events: impl IntoIterator<
        Item = (
            UsageEventId,
            String,
            MeterCode,
            Timestamp,
            Quantity,
            Option<UsageEventId>,
        ),
    >,
) -> Result<Vec<Recorded>, Overflow> {
    let mut chains: BTreeMap<UsageEventId, Recorded> = BTreeMap::new();
    let mut corrections = Vec::new();
    for (id, key, meter, occurred_at, quantity, corrects) in events {
        match corrects {
            Some(first) => corrections.push((first, quantity)),
            None => {
                chains.insert(
                    id,
                    Recorded {
                        first: id,
                        key,
                        meter,
                        occurred_at,
                        quantity,
                        events: 1,
                    },
                );
            }
        }
    }
    for (first, quantity) in corrections {
        if let Some(chain) = chains.get_mut(&first) {
            chain.quantity = chain.quantity.checked_add(quantity)?;
            chain.events = chain.events.saturating_add(1);
        }
    }
    Ok(chains.into_values().collect())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::metering::BuiltInMeter;

    fn target(key: &str, seconds: u32) -> Target {
        Target {
            key: key.to_owned(),
            meter: BuiltInMeter::CallDurationSeconds.code(),
            quantity: Quantity::from_units(seconds),
            occurred_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn event(
        n: u128,
        due: &Due,
    ) -> (
        UsageEventId,
        String,
        MeterCode,
        Timestamp,
        Quantity,
        Option<UsageEventId>,
    ) {
        let key = due.key.as_str().to_owned();
        (
            Uuid::from_u128(n).into(),
            key,
            due.meter.clone(),
            due.occurred_at,
            due.quantity,
            due.corrects,
        )
    }

    #[test]
    fn the_difference_is_recorded_and_nothing_twice() {
        let first = due(&[target("a", 60)], &[]).unwrap();
        assert_eq!(
            (first[0].key.as_str(), first[0].quantity.to_string()),
            ("a", "60".into())
        );
        let known = recorded([event(1, &first[0])]).unwrap();
        assert_eq!(due(&[target("a", 60)], &known).unwrap(), []);

        let second = due(&[target("a", 55)], &known).unwrap();
        assert_eq!(
            (second[0].key.as_str(), second[0].quantity.to_string()),
            ("a:1", "-5".into())
        );
        assert_eq!(
            (second[0].corrects, second[0].before),
            (Some(known[0].first), Quantity::from_units(60))
        );

        // Read back in another order.
        let known = recorded([event(2, &second[0]), event(1, &first[0])]).unwrap();
        assert_eq!(
            (known[0].quantity, known[0].events),
            (Quantity::from_units(55), 2)
        );
        assert_eq!(
            due(&[target("a", 70)], &known).unwrap()[0].key.as_str(),
            "a:2"
        );
    }

    #[test]
    fn what_is_no_longer_a_target_is_taken_back() {
        let first = due(&[target("b", 60)], &[]).unwrap();
        let known = recorded([event(1, &first[0])]).unwrap();
        let moved = due(&[target("a", 60)], &known).unwrap();
        let told: Vec<_> = moved
            .iter()
            .map(|due| (due.key.as_str(), due.quantity.to_string()))
            .collect();
        assert_eq!(told, [("a", "60".into()), ("b:1", "-60".into())]);
    }
}
