//! Takes usage from the rating queue, lane by lane.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, InvoiceId, OrganizationId};

use super::batch::{Book, Outcome, rate_all};
use super::load::{self, Item, Queued};
use super::place::{self, Place};
use super::{store, terms::TermsKey};
use crate::app::App;
use crate::error::Result;
use crate::live::{self, LiveKind};

/// Rows of one transaction.
const BATCH_MAX: i64 = 500;
/// A notification may be lost; nothing waits longer than this.
const POLL: Duration = Duration::from_millis(500);

/// Starts this node's rating workers. They end after `stop`, when what runs has ended.
pub(crate) fn start(app: &App, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    tasks.spawn(work(app.clone(), stop.clone()));
}

async fn work(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match drain(&app).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "usage cannot be rated"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.wake.rating.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Rates a batch of each busy lane; returns how many rows were looked at.
pub(crate) async fn drain(app: &App) -> Result<usize> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let lanes = sqlx::query_scalar!(
        "select lane from rating_queue where parked_at is null group by lane order by min(seq)
         -- all organizations: the queue is the platform's"
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    let mut count = 0;
    for lane in lanes {
        count += drain_lane(app, lane).await?;
    }
    Ok(count)
}

async fn drain_lane(app: &App, lane: i16) -> Result<usize> {
    let mut limit = BATCH_MAX;
    loop {
        let mut tx = app.db.begin(&Actor::system()).await?;
        let is_free = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock(8243003, $1) as "locked!""#,
            i32::from(lane)
        )
        .fetch_one(&mut *tx)
        .await?;
        if !is_free {
            return Ok(0);
        }
        let queued = load::queue(&mut tx, lane, limit).await?;
        let Some(first) = queued.first() else {
            return Ok(0);
        };
        match rate_batch(app, &mut tx, &queued).await {
            Ok(()) => {
                tx.commit().await?;
                app.wake.live.notify_one();
                return Ok(queued.len());
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) if queued.len() == 1 => {
                tracing::error!(usage = %first.usage, %error, "a usage cannot be rated");
                drop(tx);
                let mut tx = app.db.begin(&Actor::system()).await?;
                park(&mut tx, &[(first.seq, error.to_string())]).await?;
                tx.commit().await?;
                return Ok(1);
            }
            Err(_) => limit = (i64::try_from(queued.len()).unwrap_or(2) / 2).max(1),
        }
    }
}

async fn rate_batch(app: &App, tx: &mut PgConnection, queued: &[Queued]) -> Result<()> {
    let keys: Vec<(OrganizationId, AccountId)> =
        queued.iter().map(|q| (q.organization, q.account)).collect();
    load::lock_accounts(tx, &keys).await?;
    let items = load::items(tx, queued).await?;
    let terms_keys: Vec<TermsKey> = items.iter().filter_map(|i| i.terms.clone()).collect();
    let terms = app.terms.get(tx, &terms_keys).await?;
    let mut books = books(tx, &keys, &items).await?;
    let before = store::copy(&books);
    let in_force = load::in_force(tx, &items).await?;
    let Outcome { changes, refused } = rate_all(&items, &terms, &in_force, &mut books);
    let places: Vec<Place> = changes
        .iter()
        .map(|c| place::place(c.item, &c.currency, c.costs()))
        .collect::<Result<_>>()?;
    let drafts = place::drafts(
        tx,
        &places.iter().cloned().collect::<BTreeSet<_>>(),
        app.clock.now(),
    )
    .await?;
    let invoices: Vec<InvoiceId> = places
        .iter()
        .filter_map(|p| drafts.get(p).copied())
        .collect();
    store::write(tx, &changes, &invoices).await?;
    store::write_books(tx, &store::organizations(&items), &books, &before).await?;
    settle(tx, queued, &items, &refused).await?;
    let mut told: Vec<_> = changes
        .iter()
        .filter_map(|c| {
            Some((
                c.item.organization,
                LiveKind::CallUpdated,
                c.item.call?.uuid(),
            ))
        })
        .collect();
    told.dedup();
    live::publish(tx, &told).await
}

async fn books(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, AccountId)],
    items: &[Item],
) -> Result<HashMap<AccountId, Book>> {
    let since = items
        .iter()
        .map(|i| i.occurred_at)
        .min()
        .unwrap_or(Timestamp::MIN);
    let period = items
        .iter()
        .filter_map(|i| i.contract.map(|c| c.starts_at))
        .min()
        .unwrap_or(since);
    // A month may have begun in another zone up to a month and a day before the usage.
    let tiers_since = since
        .min(period)
        .checked_sub(jiff::SignedDuration::from_hours(24 * 32))
        .unwrap_or(Timestamp::MIN);
    let grants = load::grants(tx, keys, since).await?;
    let tiers = load::tiers(tx, keys, tiers_since).await?;
    let mut books: HashMap<AccountId, Book> = HashMap::new();
    for (account, grants) in grants {
        books.entry(account).or_default().grants = grants;
    }
    for (account, tiers) in tiers {
        books.entry(account).or_default().tiers = tiers;
    }
    Ok(books)
}

/// Rated rows leave the queue; refused ones stay, with the reason.
async fn settle(
    tx: &mut PgConnection,
    queued: &[Queued],
    items: &[Item],
    refused: &[super::batch::Refused],
) -> Result<()> {
    let refused_root: HashMap<_, &str> = refused
        .iter()
        .map(|r| ((r.usage, r.account), r.why.as_str()))
        .collect();
    if refused_root.is_empty() {
        let seqs: Vec<i64> = queued.iter().map(|q| q.seq).collect();
        sqlx::query!(
            "delete from rating_queue where seq = any($1) -- all organizations: by key",
            &seqs
        )
        .execute(tx)
        .await?;
        return Ok(());
    }
    // A correction is refused with the event that it corrects.
    let roots: HashMap<_, _> = super::load::roots(tx, queued).await?;
    debug_assert!(!items.is_empty(), "something was refused");
    let (mut done, mut parked) = (Vec::new(), Vec::new());
    for row in queued {
        let root = roots
            .get(&(row.organization, row.usage))
            .copied()
            .unwrap_or(row.usage);
        match refused_root.get(&(root, row.account)) {
            Some(why) => parked.push((row.seq, (*why).to_owned())),
            None => done.push(row.seq),
        }
    }
    sqlx::query!(
        "delete from rating_queue where seq = any($1) -- all organizations: by key",
        &done
    )
    .execute(&mut *tx)
    .await?;
    park(tx, &parked).await
}

async fn park(tx: &mut PgConnection, rows: &[(i64, String)]) -> Result<()> {
    let (seqs, errors): (Vec<i64>, Vec<&str>) =
        rows.iter().map(|(seq, why)| (*seq, why.as_str())).unzip();
    sqlx::query!(
        "update rating_queue q set attempts = attempts + 1, last_error = k.error, parked_at = clock_timestamp()
         from unnest($1::bigint[], $2::text[]) as k (seq, error)
         where q.seq = k.seq -- all organizations: by key",
        &seqs,
        &errors as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}
