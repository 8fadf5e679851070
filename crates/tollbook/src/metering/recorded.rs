//! What was recorded of a thing, for the difference to what it amounts to now.

use std::collections::HashMap;

use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, UsageEventId};
use tollbook_core::metering::{MeterCode, Recorded, recorded};
use tollbook_core::money::Quantity;
use uuid::Uuid;

use super::accept::digest;
use super::sql;
use crate::error::{Error, Result};

/// What was recorded under these keys, corrections included.
pub(crate) async fn recorded_by_key(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, &str)],
) -> Result<HashMap<(OrganizationId, String), Recorded>> {
    let organizations: Vec<Uuid> = keys.iter().map(|(o, _)| o.uuid()).collect();
    let digests: Vec<[u8; 16]> = keys.iter().map(|(_, key)| digest(key.as_bytes())).collect();
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 16]>::as_slice).collect();
    let mut events: HashMap<OrganizationId, Vec<_>> = HashMap::new();
    for row in sql::recorded_by_key(tx, &organizations, &digests).await? {
        let meter: MeterCode = row
            .meter
            .parse()
            .map_err(|e| Error::Internal(format!("a stored meter: {e}")))?;
        let quantity = Quantity::try_from(row.quantity)
            .map_err(|e| Error::Internal(format!("a stored quantity: {e}")))?;
        events.entry(row.organization_id.into()).or_default().push((
            UsageEventId::from(row.id),
            row.idempotency_key,
            meter,
            row.occurred_at.to_jiff(),
            quantity,
            row.corrects_id.map(UsageEventId::from),
        ));
    }
    let mut found = HashMap::new();
    for (organization, events) in events {
        for chain in recorded(events).map_err(|e| Error::Internal(e.to_string()))? {
            found.insert((organization, chain.key.clone()), chain);
        }
    }
    Ok(found)
}
