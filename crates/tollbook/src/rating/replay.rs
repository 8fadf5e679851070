//! Rates usage that was on other terms, in memory and by the same code as when it counts. Nothing is written, and nobody
//! waits: usage is read in chunks, each in a short transaction, and what an account has used goes from one to the next.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, OrganizationId, PlanVersionId, UsageEventId};
use tollbook_core::money::{Fraction, Overflow};
use tollbook_core::plans::{Document, Key};
use tollbook_core::pricing::Deck;
use tollbook_core::rating::{ChargePart, DueGrant, Grant};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use super::batch::rate_all;
use super::books::{Book, Books};
use super::carry::Cap;
use super::destinations::{add_decks, dialed};
use super::in_force::{InForce, Known, in_force};
use super::items::{Item, UsageKey, add_costs, items};
use super::terms::{Prepared, Ready, TermsKey};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::new_id;

/// Usages of one chunk.
const CHUNK: i64 = 1_000;

/// Other terms for usage.
#[derive(Debug, Clone)]
pub(crate) enum On<'a> {
    /// A plan of a seller, for what subscriptions cover.
    Plan {
        seller: Uuid,
        document: &'a Document,
    },
    /// Its own terms, with another deck under a name of a seller's, for what is sold at all.
    Deck {
        seller: Uuid,
        key: &'a Key,
        deck: Arc<Deck>,
    },
}

/// What is rated.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
    /// All usage of this time is rated, since it may share allowances and tiers.
    pub(crate) time: Period,
    /// What came before is not told.
    pub(crate) from: Timestamp,
    /// What is granted.
    pub(crate) grants: Vec<DueGrant>,
    pub(crate) on: On<'a>,
    /// So many usages at most.
    pub(crate) usages_max: usize,
}

/// A usage as it is charged, and as it would be.
#[derive(Debug)]
pub(crate) struct Replayed<'a> {
    /// What is charged for it; `None` while it waits to be rated.
    pub(crate) before: Option<Fraction>,
    /// What it would be charged, or why it could not be rated.
    pub(crate) after: std::result::Result<&'a [ChargePart], &'a str>,
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// To the end, with so many usages.
    End(usize),
    /// There are more usages than it may rate.
    Limit,
}

/// Rates, and tells `each` of every usage from `from` on. What was priced by hand has no other price.
pub(crate) async fn replay(
    app: &App,
    replay: &Replay<'_>,
    mut each: impl FnMut(Replayed<'_>) -> Result<()>,
) -> Result<Reached> {
    let mut book = book(&replay.grants);
    let mut prepared = BTreeMap::new();
    let mut after = (replay.time.start(), UsageEventId::new(Uuid::nil()));
    let mut count = 0_usize;
    loop {
        // What is rated was found by who asks; costs are held while they are read, which a seller may not by themselves.
        let mut tx = app.db.begin(&Actor::system()).await?;
        let keys = keys(&mut tx, replay, after).await?;
        let Some(last) = keys.last() else {
            return Ok(Reached::End(count));
        };
        count = count.saturating_add(keys.len());
        if count > replay.usages_max {
            return Ok(Reached::Limit);
        }
        after = *last;
        let keys: Vec<UsageKey> = keys.iter().map(|(_, id)| replay.key(*id)).collect();
        let mut batch = items(&mut tx, &keys).await?;
        let known = in_force(&mut tx, &batch).await?;
        batch.retain(|item| replay.covers(item) && !is_manual(&known, item));
        let terms = replay
            .terms(app, &mut tx, &mut batch, &mut prepared)
            .await?;
        add_costs(&mut tx, &mut batch, &terms).await?;
        drop(tx);
        book = replay.rate(&batch, &terms, &known, book, &mut each)?;
    }
}

fn is_manual(known: &Known, item: &Item) -> bool {
    let charges = known.get(&item.key);
    charges.is_some_and(|it| it.iter().any(InForce::is_manual))
}

impl Replay<'_> {
    fn key(&self, usage: UsageEventId) -> UsageKey {
        UsageKey {
            organization: self.organization,
            account: self.account,
            usage,
        }
    }

    fn covers(&self, item: &Item) -> bool {
        match self.on {
            On::Plan { .. } => item.subscription.is_some(),
            On::Deck { .. } => item.terms.is_some(),
        }
    }

    /// The terms of a batch, which is put on them.
    async fn terms(
        &self,
        app: &App,
        tx: &mut PgConnection,
        batch: &mut [Item],
        prepared: &mut BTreeMap<String, Arc<Prepared>>,
    ) -> Result<Ready> {
        match &self.on {
            On::Plan { seller, document } => {
                let mut terms = Ready::new();
                for item in &mut *batch {
                    let key = TermsKey {
                        seller: *seller,
                        version: PlanVersionId::new(Uuid::nil()),
                        zone: item.zone.clone(),
                    };
                    if !terms.contains_key(&key) {
                        let ready = in_zone(document, &item.zone, prepared)?;
                        terms.insert(key.clone(), Ok(ready));
                    }
                    item.terms = Some(key);
                }
                add_decks(tx, &mut terms, dialed(batch)).await?;
                Ok(terms)
            }
            On::Deck { seller, key, deck } => {
                let keys: Vec<TermsKey> = batch.iter().filter_map(|it| it.terms.clone()).collect();
                let mut terms = app.terms.get(tx, &keys).await?;
                add_decks(tx, &mut terms, dialed(batch)).await?;
                let decks = BTreeMap::from([(Key::clone(key), Arc::clone(deck))]);
                for (of, ready) in &mut terms {
                    if let Ok(prepared) = ready
                        && of.seller == *seller
                    {
                        let with = Prepared {
                            terms: prepared.terms.with_decks(&decks),
                            ..Prepared::clone(prepared)
                        };
                        *prepared = Arc::new(with);
                    }
                }
                Ok(terms)
            }
        }
    }

    /// Rates a batch on what was left before it; gives back what it leaves.
    fn rate(
        &self,
        batch: &[Item],
        terms: &Ready,
        known: &Known,
        book: Book,
        each: &mut impl FnMut(Replayed<'_>) -> Result<()>,
    ) -> Result<Book> {
        let Some(last) = batch.last() else {
            return Ok(book);
        };
        let mut books = Books::from([(self.account, book)]);
        let nothing = Known::new();
        let outcome =
            rate_all(batch, terms, &nothing, &mut books, last.occurred_at).map_err(too_large)?;
        let charged: HashMap<UsageKey, &[ChargePart]> = outcome
            .changes
            .iter()
            .map(|change| (change.item.key, change.charge.as_slice()))
            .collect();
        for item in batch.iter().filter(|item| self.from <= item.occurred_at) {
            let before = known.get(&item.key).map(|charges| {
                let amounts = charges.iter().map(|charge| charge.amount);
                Fraction::sum(amounts).map_err(too_large)
            });
            let refused = outcome.refused.get(&item.key);
            let why = refused.map_or("nobody sells it", |refusal| refusal.why.as_str());
            each(Replayed {
                before: before.transpose()?,
                after: charged.get(&item.key).copied().ok_or(why),
            })?;
        }
        drop(outcome);
        Ok(books.remove(&self.account).unwrap_or_default())
    }
}

/// What is granted, unused.
fn book(due: &[DueGrant]) -> Book {
    let mut book = Book {
        grants: grants(due),
        ..Book::default()
    };
    for grant in due {
        book.caps.extend(grant.carried_max.map(|max| Cap {
            key: grant.allowance_key.clone(),
            at: grant.starts_at,
            max,
        }));
    }
    book.caps.sort_by_key(|cap| cap.at);
    book
}

/// Grants that are not stored, each under an id of its own.
pub(crate) fn grants(due: &[DueGrant]) -> Vec<Grant> {
    let grants = due.iter().map(|due| Grant {
        id: new_id(),
        allowance_key: due.allowance_key.clone(),
        granted: due.granted,
        used: tollbook_core::money::Quantity::ZERO,
        forfeited: tollbook_core::money::Quantity::ZERO,
        starts_at: due.starts_at,
        expires_at: due.expires_at,
    });
    grants.collect()
}

fn in_zone(
    document: &Document,
    name: &str,
    prepared: &mut BTreeMap<String, Arc<Prepared>>,
) -> Result<Arc<Prepared>> {
    if let Some(ready) = prepared.get(name) {
        return Ok(Arc::clone(ready));
    }
    let zone: Zone = name
        .parse()
        .map_err(|e| Error::Internal(format!("a stored zone: {e}")))?;
    let ready = Prepared::new(document, zone).map_err(|e| Error::Internal(e.to_string()))?;
    let ready = Arc::new(ready);
    prepared.insert(name.to_owned(), Arc::clone(&ready));
    Ok(ready)
}

pub(crate) fn too_large(error: Overflow) -> Error {
    Error::conflict(
        "too_large",
        format!("the amounts cannot be added up: {error}"),
    )
}

async fn keys(
    tx: &mut PgConnection,
    replay: &Replay<'_>,
    (at, id): (Timestamp, UsageEventId),
) -> Result<Vec<(Timestamp, UsageEventId)>> {
    let rows = sqlx::query_file!(
        "src/rating/replay.sql",
        replay.organization.uuid(),
        replay.account.uuid(),
        at.to_sqlx(),
        id.uuid(),
        replay.time.end().to_sqlx(),
        CHUNK,
    )
    .fetch_all(tx)
    .await?;
    let keys = rows
        .into_iter()
        .map(|row| (row.occurred_at.to_jiff(), row.id.into()));
    Ok(keys.collect())
}
