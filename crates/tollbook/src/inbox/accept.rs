//! The first stage: a webhook's body, durable before it is answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tollbook_core::calls::{Fact, Phase, Provider, ProviderEvent};
use tollbook_core::ids::{InboxId, IntegrationId, OrganizationId};

use super::{lane, sql};
use crate::app::Wake;
use crate::db::Db;
use crate::db::batch::{BatchSize, Commit, GroupCommit};
use crate::error::{Error, Result};
use crate::ids::new_id;

/// Webhooks of one transaction. A phone may ring: they are not waited for long.
const BATCH: BatchSize = BatchSize {
    items: 500,
    wait: Duration::from_millis(20),
};

/// A webhook whose signature was checked.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) integration: IntegrationId,
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) provider: Provider,
    /// The provider's key of the event; where it has none, a hash of the body.
    pub(crate) event_key: String,
    /// How the signature was checked.
    pub(crate) verdict: &'static str,
    pub(crate) headers: serde_json::Value,
    pub(crate) body: Vec<u8>,
}

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Stored now.
    New,
    /// Stored before.
    Duplicate,
    /// The key came before with another body; nothing was stored.
    Conflict,
}

/// A webhook with what is derived from it before it is stored.
pub(super) struct Prepared<'a> {
    pub(super) id: InboxId,
    pub(super) lane: i16,
    /// It tells of a call that rings.
    pub(super) is_ring: bool,
    pub(super) body_hash: [u8; 32],
    pub(super) webhook: &'a Webhook,
}

/// Takes in webhooks of many clients in shared transactions.
pub(crate) type InboxWriter = GroupCommit<Webhook, Stored>;

/// Starts the shared writer.
pub(crate) fn writer(db: Db, wake: Arc<Wake>) -> InboxWriter {
    GroupCommit::start(Store { db, wake }, BATCH, 1)
}

struct Store {
    db: Db,
    wake: Arc<Wake>,
}

impl Commit<Webhook> for Store {
    type Answer = Stored;

    async fn commit(&self, items: &[Webhook]) -> Result<Vec<Stored>> {
        let prepared: Vec<Prepared<'_>> = items.iter().map(prepare).collect();
        let mut first: HashMap<(IntegrationId, &str), (InboxId, [u8; 32])> =
            HashMap::with_capacity(prepared.len());
        let mut fresh = Vec::with_capacity(prepared.len());
        for item in &prepared {
            first
                .entry((item.webhook.integration, item.webhook.event_key.as_str()))
                .or_insert_with(|| {
                    fresh.push(item);
                    (item.id, item.body_hash)
                });
        }
        let mut tx = self.db.begin_inbox().await?;
        let added = sql::insert(&mut tx, &fresh).await?;
        if added.len() < fresh.len() {
            let known: Vec<&Prepared<'_>> = fresh
                .iter()
                .copied()
                .filter(|i| !added.contains(&i.id))
                .collect();
            let hashes = sql::body_hashes(&mut tx, &known).await?;
            for item in known {
                let place = (item.webhook.integration, item.webhook.event_key.as_str());
                let hash = hashes
                    .get(&(item.webhook.integration, item.webhook.event_key.clone()))
                    .ok_or_else(|| Error::Internal("a stored webhook is missing".into()))?;
                first.insert(place, (new_id(), *hash));
            }
        }
        tx.commit().await?;
        if prepared.iter().any(|item| item.is_ring) {
            self.wake.rings.notify_one();
        }
        if prepared.iter().any(|item| !item.is_ring) {
            self.wake.inbox.notify_one();
        }
        Ok(prepared
            .iter()
            .map(|item| {
                let (id, hash) = first
                    .get(&(item.webhook.integration, item.webhook.event_key.as_str()))
                    .copied()
                    .unwrap_or((item.id, item.body_hash));
                match (id == item.id, hash == item.body_hash) {
                    (true, _) => Stored::New,
                    (false, true) => Stored::Duplicate,
                    (false, false) => Stored::Conflict,
                }
            })
            .collect())
    }
}

fn prepare(webhook: &Webhook) -> Prepared<'_> {
    // What cannot be read waits in a lane like any other, to be looked at there. When it came makes no difference here.
    let came_at = Timestamp::UNIX_EPOCH;
    let events = super::parse(webhook.provider, &webhook.body, came_at).unwrap_or_default();
    let subject = lane::subject(&events).unwrap_or(&webhook.event_key);
    Prepared {
        id: new_id(),
        lane: lane::of(webhook.integration, subject),
        is_ring: events.iter().any(is_ring),
        body_hash: Sha256::digest(&webhook.body).into(),
        webhook,
    }
}

fn is_ring(event: &ProviderEvent) -> bool {
    match &event.fact {
        Fact::Call(fact) => matches!(fact.phase, None | Some(Phase::Queued | Phase::Ringing)),
        _ => false,
    }
}
