//! Takes usage from the rating queue and rates it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, OrganizationId};
use tollbook_core::metering::BuiltInMeter;
use tollbook_core::rating::State;

use super::batch::{Outcome, rate_all};
use super::books::{self, Books};
use super::credits::Credits;
use super::destinations::{add_decks, dialed};
use super::in_force::{Known, in_force};
use super::items::{Item, UsageKey, add_costs, items};
use super::passed::Passed;
use super::queue::{self, Queued, Refusal, Refusals};
use super::terms::{Ready, TermsKey};
use super::{store, tail};
use crate::app::App;
use crate::authorizations::{self, Ended, EndedCall, Open};
use crate::error::{Error, Result};
use crate::live::{self, LiveKind};

/// Rows of one transaction.
const BATCH_MAX: usize = 500;
/// Workers of one node: while one waits for its commit, the other computes.
const WORKERS: usize = 2;
/// After a batch that was not full: what comes meanwhile is rated together, which costs little more than one usage alone.
const GATHER: Duration = Duration::from_millis(50);
/// A notification may be lost; nothing waits longer than this.
const POLL: Duration = Duration::from_millis(500);
/// How often usage that could not be rated is looked at again.
const RETRY: Duration = Duration::from_secs(30);

/// Starts this node's rating workers. They end after `stop`, when what runs has ended.
pub(crate) fn start(app: &App, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    for _ in 0..WORKERS {
        tasks.spawn(work(app.clone(), stop.clone()));
    }
}

async fn work(app: App, stop: CancellationToken) {
    let mut retried = Instant::now();
    while !stop.is_cancelled() {
        if retried.elapsed() >= RETRY {
            retried = Instant::now();
            if let Err(error) = retry(&app).await {
                tracing::warn!(%error, "parked usage cannot be tried again");
            }
        }
        match rate_some(&app).await {
            Ok(count) => {
                if count < BATCH_MAX {
                    tokio::time::sleep(GATHER).await;
                }
                if count > 0 {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "usage cannot be rated"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.wake.rating.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Rates until nothing is left that this node may take; returns how many rows left the queue or were put aside.
pub(crate) async fn drain(app: &App) -> Result<usize> {
    let mut count = 0;
    loop {
        match rate_some(app).await? {
            0 => return Ok(count),
            some => count += some,
        }
    }
}

/// Gives usage that was put aside another try, when its time has come.
pub(crate) async fn retry(app: &App) -> Result<u64> {
    let mut tx = app.db.begin_background(&Actor::system()).await?;
    let count = queue::retry_parked(&mut tx).await?;
    tx.commit().await?;
    Ok(count)
}

/// Rates one batch; returns how many rows were dealt with. A batch that the database refuses is halved until the bad
/// usage stands alone, and that is put aside: it must not hold up the others.
async fn rate_some(app: &App) -> Result<usize> {
    let mut limit = BATCH_MAX;
    loop {
        let mut tx = app.db.begin_background(&Actor::system()).await?;
        let lanes = queue::claim_lanes(&mut tx).await?;
        let queued = queue::rows(&mut tx, &lanes, limit).await?;
        let Some(first) = queued.first() else {
            return Ok(0);
        };
        match rate_batch(app, &mut tx, &queued, None).await {
            Ok(()) => {
                tx.commit().await?;
                app.wake.live.notify_one();
                return Ok(queued.len());
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) if queued.len() == 1 => {
                tx.rollback().await?;
                tracing::error!(usage = %first.key.usage, %error, "a usage cannot be rated");
                let mut tx = app.db.begin_background(&Actor::system()).await?;
                let refusal = Refusal::from(why(&error));
                queue::park(&mut tx, &[(first.key, &refusal)]).await?;
                tx.commit().await?;
                return Ok(1);
            }
            Err(_) => limit = (queued.len() / 2).max(1),
        }
    }
}

/// Rates in this transaction what waits of an account, which is locked: `max` usages or somewhat more. Returns whether
/// some are left. For acts that show what they come to; workers do it for all others. `credits` names the charges that a
/// credit note gives back.
pub(crate) async fn rate_account(
    app: &App,
    tx: &mut PgConnection,
    organization: OrganizationId,
    account: AccountId,
    max: usize,
    mut credits: Option<&mut Credits>,
) -> Result<bool> {
    let mut done = 0;
    loop {
        let queued = queue::rows_of_account(tx, organization, account, BATCH_MAX).await?;
        if queued.is_empty() || done >= max {
            return Ok(!queued.is_empty());
        }
        done += queued.len();
        rate_batch(app, tx, &queued, credits.as_deref_mut()).await?;
    }
}

/// An error in full: the message of a database error is in its source.
fn why(error: &Error) -> String {
    match error {
        Error::Database(source) => format!("{error}: {source}"),
        other => other.to_string(),
    }
}

async fn rate_batch(
    app: &App,
    tx: &mut PgConnection,
    queued: &[Queued],
    credits: Option<&mut Credits>,
) -> Result<()> {
    let accounts = queue::accounts(queued);
    queue::lock_accounts(tx, &accounts).await?;
    let keys: Vec<UsageKey> = queued.iter().map(|q| q.key).collect();
    let mut batch = items(tx, &keys).await?;
    let mut known = in_force(tx, &batch).await?;
    let mut terms = app.terms.get(tx, &terms_keys(&batch)).await?;
    let open = authorizations::open(tx, &accounts).await?;
    let (mut since, mut counted_since) = reach(&batch, &known, &open);
    let mut books = books::load(tx, &accounts, since, counted_since).await?;
    loop {
        let others = tail::extend(tx, &batch, &terms, &known, &books, since).await?;
        if others.keys.is_empty() {
            break;
        }
        tail::load(tx, &others.keys, &mut batch, &mut known).await?;
        terms = app.terms.get(tx, &terms_keys(&batch)).await?;
        (since, counted_since) = reach(&batch, &known, &open);
        books = books::load(tx, &accounts, since, counted_since).await?;
        if !others.is_mixed {
            break;
        }
    }
    add_decks(tx, &mut terms, dialed(&batch)).await?;
    add_costs(tx, &mut batch, &terms).await?;
    let before = books.clone();
    let Outcome {
        changes,
        refused,
        unpriced,
    } = rate(&batch, &terms, &known, &mut books, app.clock.now())?;
    let state = |account| state_of(&books, account);
    let ended = ended(&batch, &refused);
    let asides = authorizations::look_again(tx, &app.terms, open, &ended, state).await?;
    let now = app.clock.now();
    let totals = store::write(tx, &changes, &asides, credits, now).await?;
    let organizations: HashMap<AccountId, _> = accounts.iter().map(|(o, a)| (*a, *o)).collect();
    books::write(tx, &organizations, &books, &before).await?;
    queue::settle(tx, queued, &refused).await?;
    let passed = Passed {
        batch: &batch,
        terms: &terms,
        before: &before,
        after: &books,
    };
    passed.tell(tx, &totals, now).await?;
    metrics::counter!("tollbook_usage_unpriced_total").increment(unpriced);
    let mut told: Vec<_> = changes
        .iter()
        .filter_map(|c| Some((c.item.key.organization, c.item.call?.id)))
        .collect();
    told.sort_unstable();
    told.dedup();
    let told: Vec<_> = told
        .into_iter()
        .map(|(organization, call)| (organization, LiveKind::CallUpdated, call.uuid()))
        .collect();
    live::publish(tx, &told).await
}

fn rate<'a>(
    batch: &'a [Item],
    terms: &Ready,
    known: &'a Known,
    books: &mut Books,
    now: Timestamp,
) -> Result<Outcome<'a>> {
    rate_all(batch, terms, known, books, now)
        .map_err(|e| Error::Internal(format!("what was charged cannot be taken back: {e}")))
}

/// The calls whose time is charged with this batch.
fn ended<'a>(batch: &'a [Item], refused: &Refusals) -> Vec<Ended<'a>> {
    let is_charged = |item: &&Item| {
        let is_time = item.meter.built_in() == Some(BuiltInMeter::CallDurationSeconds);
        is_time && !refused.contains_key(&item.key)
    };
    let ended = batch.iter().filter(is_charged).map(|item| Ended {
        organization: item.key.organization,
        account: item.key.account,
        authorization: item.authorization,
        call: ended_call(item),
    });
    ended
        .filter(|it| it.authorization.is_some() || it.call.is_some())
        .collect()
}

fn ended_call(item: &Item) -> Option<EndedCall<'_>> {
    let call = item.call?;
    Some(EndedCall {
        number: item.number?,
        direction: item.direction?,
        external: item.external.as_ref()?,
        starts_at: call.starts_at,
        ends_at: call.ends_at?,
    })
}

fn state_of(books: &Books, account: AccountId) -> State {
    let book = books.get(&account).cloned().unwrap_or_default();
    State {
        period_start: Timestamp::MIN,
        grants: book.grants,
        tiers: book.tiers,
    }
}

fn terms_keys(batch: &[Item]) -> Vec<TermsKey> {
    batch.iter().filter_map(|item| item.terms.clone()).collect()
}

/// How far back the books of a batch have to be read: grants that end later, and tier totals from when on.
fn reach(batch: &[Item], known: &Known, open: &[Open]) -> (Timestamp, Timestamp) {
    let used = batch.iter().map(|item| item.occurred_at);
    let now = batch.iter().filter_map(|item| Some(item.period?.start()));
    let before = known.values().flatten().map(|charge| charge.period.start());
    let running = open.iter().flat_map(|open| {
        let (began, period) = open.times();
        [began, period]
    });
    let since = used.chain(now).chain(before).chain(running).min();
    let since = since.unwrap_or(Timestamp::MAX);
    // Within a second, since a stored time has microseconds.
    let counted = since.checked_sub(SignedDuration::from_secs(1));
    (since, counted.unwrap_or(Timestamp::MIN))
}
