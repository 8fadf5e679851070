//! Statements on usage events, counters and the rating queue.

use std::collections::HashSet;

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, UsageEventId};
use uuid::Uuid;

use super::accept::Keyed;
use super::recorded::RecordedEvent;

/// Inserts events that are not there yet, adds them to the counters and queues them for rating; returns the ids that
/// were added. One statement: every lock is taken in key order.
pub(super) async fn insert<'a>(
    tx: &mut PgConnection,
    events: &[&'a Keyed<'a>],
) -> sqlx::Result<HashSet<UsageEventId>> {
    let organizations = column(events, |e| e.usage.organization.uuid());
    let ids = column(events, |e| e.id.uuid());
    let meters = column(events, |e| e.usage.request.meter.as_str());
    let quantities = column(events, |e| e.usage.request.quantity.to_decimal());
    let occurred = column(events, |e| e.usage.occurred_at.to_sqlx());
    let keys = column(events, |e| e.key.as_str());
    let digests = column(events, |e| e.key_digest.as_slice());
    let hashes = column(events, |e| e.request_hash.as_slice());
    let users = column(events, |e| e.usage.request.user.map(Uuid::from));
    let mappings = column(events, |e| e.usage.request.mapping.map(Uuid::from));
    let customers = column(events, |e| e.usage.request.customer.map(Uuid::from));
    let calls = column(events, |e| e.usage.call.map(Uuid::from));
    let resource_types = column(events, |e| e.usage.request.resource_type.as_deref());
    let resource_ids = column(events, |e| e.usage.request.resource_id.as_deref());
    let metadata = column(events, |e| &e.usage.request.metadata);
    let corrects = column(events, |e| e.usage.corrects.map(Uuid::from));
    let added = sqlx::query_file_scalar!(
        "src/metering/insert.sql",
        &organizations,
        &ids,
        &meters as &[&str],
        &quantities,
        &occurred,
        &keys as &[&str],
        &digests as &[&[u8]],
        &hashes as &[&[u8]],
        &users as &[Option<Uuid>],
        &mappings as &[Option<Uuid>],
        &customers as &[Option<Uuid>],
        &calls as &[Option<Uuid>],
        &resource_types as &[Option<&str>],
        &resource_ids as &[Option<&str>],
        &metadata as &[&serde_json::Value],
        &corrects as &[Option<Uuid>],
    )
    .fetch_all(tx)
    .await?;
    Ok(added.into_iter().map(UsageEventId::from).collect())
}

/// One value of each event: a column of the statement's input.
fn column<'a, T>(events: &[&'a Keyed<'a>], value: impl Fn(&'a Keyed<'a>) -> T) -> Vec<T> {
    events.iter().map(|event| value(event)).collect()
}

/// An event that was stored before under a key.
pub(super) struct Original {
    pub(super) organization: OrganizationId,
    pub(super) id: UsageEventId,
    pub(super) key_digest: [u8; 16],
    pub(super) request_hash: [u8; 16],
}

/// Reads back what holds the keys of `events`. A statement of its own: it sees what committed while the insert waited.
pub(super) async fn originals(
    tx: &mut PgConnection,
    events: &[&Keyed<'_>],
) -> sqlx::Result<Vec<Original>> {
    let organizations: Vec<Uuid> = events.iter().map(|e| e.usage.organization.uuid()).collect();
    let digests: Vec<&[u8]> = events.iter().map(|e| e.key_digest.as_slice()).collect();
    let rows = sqlx::query!(
        "select e.organization_id, e.id, e.key_digest, e.request_hash
         from unnest($1::uuid[], $2::bytea[]) k (organization_id, key_digest)
         join usage_events e on e.organization_id = k.organization_id and e.key_digest = k.key_digest",
        &organizations,
        &digests as &[&[u8]],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Original {
            organization: row.organization_id.into(),
            id: row.id.into(),
            key_digest: row.key_digest.try_into().unwrap_or_default(),
            request_hash: row.request_hash.try_into().unwrap_or_default(),
        })
        .collect())
}

/// What was recorded under these keys, corrections included.
pub(super) async fn recorded_by_key(
    tx: &mut PgConnection,
    organizations: &[Uuid],
    digests: &[&[u8]],
) -> sqlx::Result<Vec<RecordedEvent>> {
    sqlx::query_as!(
        RecordedEvent,
        "select e.organization_id, e.call_id, e.resource_id, e.id, e.idempotency_key, e.meter, e.occurred_at, e.quantity, e.corrects_id,
             e.user_id, e.mapping_id, e.customer_id
         from unnest($1::uuid[], $2::bytea[]) as k (organization_id, key_digest)
         join usage_events f on f.organization_id = k.organization_id and f.key_digest = k.key_digest
         join usage_events e on e.organization_id = f.organization_id and (e.id = f.id or e.corrects_id = f.id)",
        organizations,
        digests as &[&[u8]],
    )
    .fetch_all(tx)
    .await
}
