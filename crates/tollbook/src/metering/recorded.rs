//! What was recorded of a thing, for the difference to what it amounts to now.

use std::collections::HashMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, MappingId, OrganizationId, UsageEventId, UserId};
use tollbook_core::metering::{MeterCode, Recorded, recorded};
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
    pub(crate) id: UsageEventId,
    pub(crate) key: String,
    pub(crate) meter: String,
    pub(crate) occurred_at: Timestamp,
    pub(crate) quantity: Decimal,
    pub(crate) corrects: Option<UsageEventId>,
    pub(crate) attribution: Attribution,
}

/// The key of a usage after what it is of was given to somebody else so many times. What was recorded under the keys
/// before is taken back.
pub(crate) fn generation(key: &str, moves: i32) -> String {
    match moves {
        0 => key.to_owned(),
        _ => format!("{key}@{moves}"),
    }
}

/// Gathers stored events, in any order, into what they record.
pub(crate) fn known(events: Vec<RecordedEvent>) -> Result<Vec<Known>> {
    let attributions: HashMap<UsageEventId, Attribution> = events
        .iter()
        .map(|event| (event.id, event.attribution))
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
        event.id,
        event.key,
        meter,
        event.occurred_at,
        quantity,
        event.corrects,
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
    let mut found = HashMap::new();
    for (organization, events) in sql::recorded_by_key(tx, &organizations, &digests).await? {
        for known in known(events)? {
            found.insert((organization, known.chain.key.clone()), known);
        }
    }
    Ok(found)
}
