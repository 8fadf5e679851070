//! What was recorded of a thing, for the difference to what it amounts to now.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use jiff::Timestamp;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, MappingId, OrganizationId, UsageEventId, UserId};
use tollbook_core::metering::{Due, MeterCode, Recorded, Target, due, recorded};
use tollbook_core::money::Quantity;
use uuid::Uuid;

use super::accept::digest;
use super::sql;
use crate::error::{Error, Result};

/// To whom and what a usage is attributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attribution {
    pub(crate) user: Option<UserId>,
    pub(crate) mapping: Option<MappingId>,
    pub(crate) customer: Option<CustomerId>,
}

/// What was recorded under one key, and where that went. Corrections have to go there too.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) chain: Recorded,
    pub(crate) attribution: Attribution,
}

/// An event as it is stored.
pub(crate) struct RecordedEvent {
    pub(crate) organization_id: Uuid,
    /// The call that it is recorded of.
    pub(crate) call_id: Option<Uuid>,
    /// The provider's id of what was used.
    pub(crate) resource_id: Option<String>,
    pub(crate) id: Uuid,
    pub(crate) idempotency_key: String,
    pub(crate) meter: String,
    pub(crate) occurred_at: jiff_sqlx::Timestamp,
    pub(crate) quantity: Decimal,
    pub(crate) corrects_id: Option<Uuid>,
    pub(crate) user_id: Option<Uuid>,
    pub(crate) mapping_id: Option<Uuid>,
    pub(crate) customer_id: Option<Uuid>,
}

impl RecordedEvent {
    fn attribution(&self) -> Attribution {
        Attribution {
            user: self.user_id.map(UserId::from),
            mapping: self.mapping_id.map(MappingId::from),
            customer: self.customer_id.map(CustomerId::from),
        }
    }
}

/// What a thing amounts to, and to whom that goes.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    pub(crate) target: Target,
    pub(crate) attribution: Attribution,
}

/// The key that a usage had before it was given to somebody else.
pub(crate) fn first_key(key: &str) -> &str {
    key.split('@').next().unwrap_or(key)
}

/// The key for usage that goes to somebody else than everything recorded so far.
fn next_key<'a>(first: &str, recorded: impl Iterator<Item = &'a Known>) -> String {
    let number = |known: &Known| match known.chain.key.split_once('@') {
        Some((_, number)) => number.parse::<u32>().unwrap_or(0),
        None => 0,
    };
    match recorded.map(number).max() {
        None => first.to_owned(),
        Some(last) => format!("{first}@{}", last.saturating_add(1)),
    }
}

/// What has to be recorded so that exactly the aims are, each where it belongs. `recorded` is everything of the same
/// source: what is no aim any more, or went to somebody else, is taken back where it went.
pub(crate) fn owed(aims: &[Aim], recorded: &[Known]) -> Result<Vec<(Due, Attribution)>> {
    let target = |aim: &Aim| {
        let first = aim.target.key.as_str();
        let of_it = || {
            recorded
                .iter()
                .filter(|it| first_key(&it.chain.key) == first)
        };
        let there = of_it().find(|known| known.attribution == aim.attribution);
        Target {
            key: there.map_or_else(|| next_key(first, of_it()), |it| it.chain.key.clone()),
            ..aim.target.clone()
        }
    };
    let targets: Vec<Target> = aims.iter().map(target).collect();
    let chains: Vec<Recorded> = recorded.iter().map(|known| known.chain.clone()).collect();
    let changes = due(&targets, &chains).map_err(|e| Error::Internal(e.to_string()))?;
    let attribution = |change: &Due| {
        let corrected = recorded
            .iter()
            .find(|known| Some(known.chain.first) == change.corrects);
        let new = || {
            let mut pairs = targets.iter().zip(aims);
            let aim = pairs.find(|(target, _)| target.key == change.key.as_str());
            aim.map(|(_, aim)| aim.attribution)
        };
        corrected.map(|known| known.attribution).or_else(new)
    };
    Ok(changes
        .into_iter()
        .map(|change| (attribution(&change).unwrap_or_default(), change))
        .map(|(attribution, change)| (change, attribution))
        .collect())
}

/// What has to be recorded so that everything recorded of some things goes to `to`, `at` the time that counts, or at
/// the time at which it was recorded.
pub(crate) fn given(
    recorded: &[Known],
    to: Attribution,
    at: Option<Timestamp>,
) -> Result<Vec<(Due, Attribution)>> {
    let mut aims: BTreeMap<&str, Aim> = BTreeMap::new();
    for known in recorded.iter().filter(|it| !it.chain.quantity.is_zero()) {
        let chain = &known.chain;
        let first = first_key(&chain.key);
        let aim = aims.entry(first).or_insert_with(|| Aim {
            target: Target {
                key: first.to_owned(),
                meter: chain.meter.clone(),
                quantity: Quantity::ZERO,
                occurred_at: at.unwrap_or(chain.occurred_at),
            },
            attribution: to,
        });
        let sum = aim.target.quantity.checked_add(chain.quantity);
        aim.target.quantity = sum.map_err(|e| Error::Internal(e.to_string()))?;
    }
    owed(&aims.into_values().collect::<Vec<_>>(), recorded)
}

/// Gathers stored events, in any order, into what they record of each thing.
pub(crate) fn known_of<K: Eq + Hash>(
    events: Vec<RecordedEvent>,
    thing: impl Fn(&RecordedEvent) -> Option<K>,
) -> Result<HashMap<K, Vec<Known>>> {
    let mut things: HashMap<K, Vec<RecordedEvent>> = HashMap::new();
    for event in events {
        if let Some(thing) = thing(&event) {
            things.entry(thing).or_default().push(event);
        }
    }
    things
        .into_iter()
        .map(|(thing, events)| Ok((thing, known(events)?)))
        .collect()
}

fn known(events: Vec<RecordedEvent>) -> Result<Vec<Known>> {
    let attributions: HashMap<UsageEventId, Attribution> = events
        .iter()
        .map(|event| (event.id.into(), event.attribution()))
        .collect();
    let events: Vec<_> = events.into_iter().map(read).collect::<Result<_>>()?;
    let chains = recorded(events).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(chains
        .into_iter()
        .map(|chain| Known {
            attribution: attributions.get(&chain.first).copied().unwrap_or_default(),
            chain,
        })
        .collect())
}

type Read = (
    UsageEventId,
    String,
    MeterCode,
    Timestamp,
    Quantity,
    Option<UsageEventId>,
);

fn read(event: RecordedEvent) -> Result<Read> {
    let meter = event.meter.parse();
    let meter = meter.map_err(|e| Error::Internal(format!("a stored meter: {e}")))?;
    let quantity = Quantity::try_from(event.quantity);
    let quantity = quantity.map_err(|e| Error::Internal(format!("a stored quantity: {e}")))?;
    Ok((
        event.id.into(),
        event.idempotency_key,
        meter,
        event.occurred_at.to_jiff(),
        quantity,
        event.corrects_id.map(UsageEventId::from),
    ))
}

/// What was recorded under these keys, corrections included.
pub(crate) async fn recorded_by_key(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, &str)],
) -> Result<HashMap<(OrganizationId, String), Known>> {
    let organizations: Vec<Uuid> = keys.iter().map(|(o, _)| o.uuid()).collect();
    let digests: Vec<[u8; 16]> = keys.iter().map(|(_, key)| digest(key.as_bytes())).collect();
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 16]>::as_slice).collect();
    let events = sql::recorded_by_key(tx, &organizations, &digests).await?;
    let by_organization = known_of(events, |event| Some(event.organization_id))?;
    let by_key = by_organization
        .into_iter()
        .flat_map(|(organization, known)| {
            let key = move |known: Known| ((organization.into(), known.chain.key.clone()), known);
            known.into_iter().map(key)
        });
    Ok(by_key.collect())
}

#[cfg(test)]
mod tests {
    use jiff_sqlx::ToSqlx as _;
    use tollbook_core::metering::BuiltInMeter;

    use super::*;

    fn to(customer: u128) -> Attribution {
        Attribution {
            customer: Some(Uuid::from_u128(customer).into()),
            ..Attribution::default()
        }
    }

    fn aim(quantity: u32, attribution: Attribution) -> Aim {
        Aim {
            target: Target {
                key: "k".to_owned(),
                meter: BuiltInMeter::CallDurationSeconds.code(),
                quantity: Quantity::from_units(quantity),
                occurred_at: Timestamp::UNIX_EPOCH,
            },
            attribution,
        }
    }

    /// Events as they are stored, in order.
    #[derive(Default)]
    struct Stored(Vec<(UsageEventId, Due, Attribution)>);

    impl Stored {
        fn known(&self) -> Vec<Known> {
            let event = |(id, due, attribution): &(UsageEventId, Due, Attribution)| RecordedEvent {
                organization_id: Uuid::nil(),
                call_id: None,
                resource_id: None,
                id: id.uuid(),
                idempotency_key: due.key.to_string(),
                meter: due.meter.to_string(),
                occurred_at: due.occurred_at.to_sqlx(),
                quantity: due.quantity.to_decimal(),
                corrects_id: due.corrects.map(Uuid::from),
                user_id: attribution.user.map(Uuid::from),
                mapping_id: attribution.mapping.map(Uuid::from),
                customer_id: attribution.customer.map(Uuid::from),
            };
            known(self.0.iter().map(event).collect()).unwrap()
        }

        fn add(&mut self, changes: Vec<(Due, Attribution)>) -> Vec<String> {
            let text = |(due, to): &(Due, Attribution)| {
                let customer = to.customer.map(|it| Uuid::from(it).as_u128());
                format!("{} {} to {customer:?}", due.key, due.quantity)
            };
            let texts = changes.iter().map(text).collect();
            for (due, attribution) in changes {
                let id = Uuid::from_u128(u128::try_from(self.0.len()).unwrap() + 1);
                self.0.push((id.into(), due, attribution));
            }
            texts
        }

        fn aim(&mut self, quantity: u32, attribution: Attribution) -> Vec<String> {
            let changes = owed(&[aim(quantity, attribution)], &self.known()).unwrap();
            self.add(changes)
        }
    }

    #[test]
    fn what_goes_to_somebody_else_is_taken_back_where_it_went() {
        let mut stored = Stored::default();
        assert_eq!(stored.aim(60, to(1)), ["k 60 to Some(1)"]);
        assert_eq!(stored.aim(60, to(1)), Vec::<String>::new());
        assert_eq!(
            stored.aim(50, to(2)),
            ["k@1 50 to Some(2)", "k:1 -60 to Some(1)"]
        );
        assert_eq!(
            stored.aim(70, to(3)),
            ["k@2 70 to Some(3)", "k@1:1 -50 to Some(2)"]
        );
        // Back to the first: its own chain goes on.
        assert_eq!(
            stored.aim(70, to(1)),
            ["k:2 70 to Some(1)", "k@2:1 -70 to Some(3)"]
        );
        assert_eq!(stored.aim(70, to(1)), Vec::<String>::new());
    }

    #[test]
    fn everything_is_given_as_it_was_recorded() {
        let mut stored = Stored::default();
        stored.aim(60, to(1));
        stored.aim(55, to(1));
        let later = Timestamp::from_second(60).unwrap();
        let changes = given(&stored.known(), to(2), Some(later)).unwrap();
        let times: Vec<Timestamp> = changes.iter().map(|(due, _)| due.occurred_at).collect();
        assert_eq!(times, [later, Timestamp::UNIX_EPOCH]);
        assert_eq!(
            stored.add(changes),
            ["k@1 55 to Some(2)", "k:2 -55 to Some(1)"]
        );
        assert_eq!(given(&stored.known(), to(2), Some(later)).unwrap(), []);
    }
}
