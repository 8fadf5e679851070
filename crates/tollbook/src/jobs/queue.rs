//! The jobs table: enqueue, claim, finish.

use jiff::SignedDuration;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{JobId, OrganizationId};
use uuid::Uuid;

use super::Job;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::ids::new_id;

/// A worker that does not finish within this is taken for dead, and its job is given to another.
const LOCK_MINUTES: i32 = 5;

/// A job to enqueue.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) job: Job,
    /// At most one waiting job of a kind has this key.
    pub(crate) unique_key: Option<String>,
    /// From now, by the system's clock.
    pub(crate) delay: SignedDuration,
}

impl NewJob {
    /// A platform job to run now, at most one waiting under this key.
    pub(crate) fn unique(job: Job, key: String) -> Self {
        Self {
            organization: None,
            job,
            unique_key: Some(key),
            delay: SignedDuration::ZERO,
        }
    }
}

/// Enqueues jobs in the transaction that causes them.
pub(crate) async fn enqueue(tx: &mut PgConnection, jobs: &[NewJob]) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = jobs.iter().map(|_| new_id()).collect();
    let organizations: Vec<Option<Uuid>> = jobs
        .iter()
        .map(|j| j.organization.map(Uuid::from))
        .collect();
    let kinds: Vec<&str> = jobs.iter().map(|j| j.job.kind()).collect();
    let payloads: Vec<serde_json::Value> = jobs
        .iter()
        .map(|j| serde_json::to_value(&j.job))
        .collect::<Result<_, _>>()
        .map_err(|e| Error::Internal(format!("a job cannot be written: {e}")))?;
    let keys: Vec<Option<&str>> = jobs.iter().map(|j| j.unique_key.as_deref()).collect();
    let delays: Vec<i64> = jobs
        .iter()
        .map(|j| i64::try_from(j.delay.as_millis()).unwrap_or(0))
        .collect();
    sqlx::query!(
        "insert into jobs (id, organization_id, kind, payload, unique_key, run_at)
         select id, organization_id, kind, payload, unique_key, clock_timestamp() + delay * interval '1 millisecond'
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::jsonb[], $5::text[], $6::bigint[])
             as j (id, organization_id, kind, payload, unique_key, delay)
         order by kind, unique_key
         on conflict (kind, unique_key) where unique_key is not null and state = 'waiting' do nothing",
        &ids,
        &organizations as &[Option<Uuid>],
        &kinds as &[&str],
        &payloads,
        &keys as &[Option<&str>],
        &delays,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A job that this worker now holds.
pub(super) struct Claimed {
    pub(super) id: JobId,
    pub(super) kind: String,
    pub(super) payload: serde_json::Value,
    pub(super) attempts: i32,
}

/// Claims up to `limit` jobs that are due, those of dead workers included.
pub(super) async fn claim(db: &Db, limit: i64) -> Result<Vec<Claimed>> {
    let mut tx = db.begin(&Actor::system()).await?;
    let claimed = sqlx::query_as!(
        Claimed,
        "with waiting as (
             select id from jobs where state = 'waiting' and run_at <= clock_timestamp()
             order by run_at, id limit $1 for update skip locked
         ), stuck as (
             select id from jobs where state = 'running' and locked_until < clock_timestamp()
             order by locked_until limit $1 for update skip locked
         )
         update jobs set state = 'running', attempts = attempts + 1,
             locked_until = clock_timestamp() + make_interval(mins => $2)
         where id in (select id from waiting union all select id from stuck limit $1)
         -- all organizations: claiming is the platform's
         returning id, kind, payload, attempts",
        limit,
        LOCK_MINUTES,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(claimed)
}

/// The job is done.
pub(super) async fn complete(db: &Db, id: JobId) -> Result<()> {
    let mut tx = db.begin(&Actor::system()).await?;
    sqlx::query!(
        "delete from jobs where id = $1 -- all organizations: by key",
        id.uuid()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// The job failed: it waits longer each time, and is dead after its last attempt. `after` is the provider's own wish.
pub(super) async fn fail(
    db: &Db,
    id: JobId,
    error: &str,
    after: Option<SignedDuration>,
) -> Result<()> {
    let after = after.and_then(|d| i64::try_from(d.as_millis()).ok());
    let mut tx = db.begin(&Actor::system()).await?;
    // Doubling from one second up to an hour, and up to half as much again so that a crowd does not come back together.
    sqlx::query!(
        "update jobs set last_error = $2, locked_until = null,
             state = case when attempts >= attempts_max then 'dead' else 'waiting' end,
             unique_key = case when attempts >= attempts_max or exists (
                 select from jobs o where o.kind = jobs.kind and o.unique_key = jobs.unique_key and o.state = 'waiting' and o.id <> jobs.id)
                 then null else unique_key end,
             run_at = clock_timestamp() + coalesce($3::bigint,
                 (least(1000 * power(2, least(attempts, 12) - 1), 3600000) * (1 + random() / 2))::bigint) * interval '1 millisecond'
         where id = $1 -- all organizations: by key",
        id.uuid(),
        error,
        after,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}
