//! The first stage: a usage event, its counters and its place in the rating queue, in one transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use tollbook_core::ids::{CallId, OrganizationId, UsageEventId};
use tollbook_core::metering::{Due, IdempotencyKey, UsageRequest};

use super::recorded::Attribution;
use super::sql;
use crate::app::Wake;
use crate::db::Db;
use crate::db::batch::{BatchSize, Commit, GroupCommit};
use crate::error::{Error, Result};
use crate::ids::new_id;

/// Events of one transaction. Nobody waits at a phone for them.
const BATCH: BatchSize = BatchSize {
    items: 2_000,
    wait: Duration::from_millis(50),
};
/// While one transaction waits for the disk, the next one is made.
const FLUSHERS: usize = 2;

/// A usage event to take in, for an organization that the caller may write for.
#[derive(Debug, Clone)]
pub(crate) struct NewUsage {
    pub(crate) organization: OrganizationId,
    pub(crate) request: UsageRequest,
    /// The time that counts: the request's own, or when it came.
    pub(crate) occurred_at: Timestamp,
    /// Without a key nothing is deduplicated.
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) call: Option<CallId>,
    /// The event that this one corrects by a difference.
    pub(crate) corrects: Option<UsageEventId>,
}

impl NewUsage {
    /// Records a difference in what a provider's record amounts to; `resource` is its kind and its id.
    pub(crate) fn change(
        organization: OrganizationId,
        resource: (&str, &str),
        call: Option<CallId>,
        (change, attribution): (Due, Attribution),
    ) -> Self {
        Self {
            organization,
            occurred_at: change.occurred_at,
            request: UsageRequest {
                meter: change.meter,
                quantity: change.quantity,
                occurred_at: Some(change.occurred_at),
                user: attribution.user,
                mapping: attribution.mapping,
                customer: attribution.customer,
                resource_type: Some(resource.0.to_owned()),
                resource_id: Some(resource.1.to_owned()),
                metadata: serde_json::Value::Object(serde_json::Map::new()),
            },
            key: Some(change.key),
            call,
            corrects: change.corrects,
        }
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Stored now.
    Stored(UsageEventId),
    /// Stored before under the same key, with the same content.
    Duplicate(UsageEventId),
    /// The key was used before for something else; nothing was stored.
    Conflict(UsageEventId),
}

/// An event with what is derived from it before it is stored.
pub(super) struct Keyed<'a> {
    pub(super) id: UsageEventId,
    pub(super) key: String,
    pub(super) key_digest: [u8; 16],
    pub(super) request_hash: [u8; 16],
    pub(super) usage: &'a NewUsage,
}

impl<'a> Keyed<'a> {
    fn new(usage: &'a NewUsage) -> Self {
        let id: UsageEventId = new_id();
        let key = usage
            .key
            .as_ref()
            .map_or_else(|| format!("id:{id}"), ToString::to_string);
        Self {
            id,
            key_digest: digest(key.as_bytes()),
            request_hash: digest(&usage.request.canonical()),
            key,
            usage,
        }
    }
}

/// The first 16 bytes of SHA-256: enough to tell keys apart, half as long in the index.
pub(super) fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(
        Sha256::digest(bytes)
            .first_chunk::<16>()
            .map_or(&[0; 16], |c| c),
    );
    short
}

/// Stores events, counts them and queues them for rating; answers each, in order. The same key twice in one call is a
/// duplicate like any other.
pub(crate) async fn store(tx: &mut PgConnection, usages: &[NewUsage]) -> Result<Vec<Accepted>> {
    let keyed: Vec<Keyed<'_>> = usages.iter().map(Keyed::new).collect();
    let mut first: HashMap<(OrganizationId, [u8; 16]), (UsageEventId, [u8; 16])> =
        HashMap::with_capacity(keyed.len());
    let mut fresh = Vec::with_capacity(keyed.len());
    for event in &keyed {
        let place = (event.usage.organization, event.key_digest);
        first.entry(place).or_insert_with(|| {
            fresh.push(event);
            (event.id, event.request_hash)
        });
    }
    let added = sql::insert(tx, &fresh).await?;
    if added.len() < fresh.len() {
        let missing: Vec<&Keyed<'_>> = fresh
            .iter()
            .copied()
            .filter(|e| !added.contains(&e.id))
            .collect();
        for original in sql::originals(tx, &missing).await? {
            first.insert(
                (original.organization, original.key_digest),
                (original.id, original.request_hash),
            );
        }
    }
    keyed
        .iter()
        .map(|event| {
            let (id, hash) = first
                .get(&(event.usage.organization, event.key_digest))
                .ok_or_else(|| Error::Internal("a stored usage event is missing".into()))?;
            Ok(match (*id == event.id, *hash == event.request_hash) {
                (true, _) if added.contains(&event.id) => Accepted::Stored(*id),
                (_, true) => Accepted::Duplicate(*id),
                (_, false) => Accepted::Conflict(*id),
            })
        })
        .collect()
}

/// Stores usage that this system made itself: a key that stands for something else is a fault. Returns the events, in order.
pub(crate) async fn record(
    tx: &mut PgConnection,
    usages: &[NewUsage],
) -> Result<Vec<UsageEventId>> {
    let accepted = store(tx, usages).await?;
    let stored = usages.iter().zip(accepted);
    stored
        .map(|(usage, accepted)| match accepted {
            Accepted::Stored(id) | Accepted::Duplicate(id) => Ok(id),
            Accepted::Conflict(id) => {
                let key = usage.key.as_ref().map(ToString::to_string);
                Err(Error::Internal(format!(
                    "usage `{}` conflicts with event `{id}`",
                    key.unwrap_or_default()
                )))
            }
        })
        .collect()
}

/// Stores one usage without a key; returns the event.
pub(crate) async fn record_one(tx: &mut PgConnection, usage: &NewUsage) -> Result<UsageEventId> {
    let accepted = store(tx, std::slice::from_ref(usage)).await?;
    match accepted.first() {
        Some(Accepted::Stored(id)) => Ok(*id),
        _ => Err(Error::Internal("a usage event was not stored".into())),
    }
}

/// Takes in usage of many clients in shared transactions.
pub(crate) type UsageWriter = GroupCommit<NewUsage, Accepted>;

struct Store {
    db: Db,
    wake: Arc<Wake>,
}

impl Commit<NewUsage> for Store {
    type Answer = Accepted;

    async fn commit(&self, items: &[NewUsage]) -> Result<Vec<Accepted>> {
        let mut tx = self.db.begin_usage().await?;
        let answers = store(&mut tx, items).await?;
        tx.commit().await?;
        self.wake.rating.notify_one();
        Ok(answers)
    }
}

/// Starts the shared writer.
pub(crate) fn writer(db: Db, wake: Arc<Wake>) -> UsageWriter {
    GroupCommit::start(Store { db, wake }, BATCH, FLUSHERS)
}
