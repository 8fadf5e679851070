//! Statements on the inbox and its queue.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{InboxId, IntegrationId};
use uuid::Uuid;

use super::accept::Prepared;
use crate::db::types::Text;

/// Stores webhooks whose keys are new and queues them; returns the ids that were added.
pub(super) async fn insert(
    tx: &mut PgConnection,
    items: &[&Prepared<'_>],
) -> sqlx::Result<HashSet<InboxId>> {
    let ids: Vec<Uuid> = items.iter().map(|i| i.id.uuid()).collect();
    let integrations: Vec<Uuid> = items.iter().map(|i| i.webhook.integration.uuid()).collect();
    let organizations: Vec<Option<Uuid>> = items
        .iter()
        .map(|i| i.webhook.organization.map(Uuid::from))
        .collect();
    let providers: Vec<&str> = items.iter().map(|i| i.webhook.provider.as_str()).collect();
    let keys: Vec<&str> = items.iter().map(|i| i.webhook.event_key.as_str()).collect();
    let verdicts: Vec<&str> = items.iter().map(|i| i.webhook.verdict).collect();
    let headers: Vec<&serde_json::Value> = items.iter().map(|i| &i.webhook.headers).collect();
    let bodies: Vec<&[u8]> = items.iter().map(|i| i.webhook.body.as_slice()).collect();
    let hashes: Vec<&[u8]> = items.iter().map(|i| i.body_hash.as_slice()).collect();
    let lanes: Vec<i16> = items.iter().map(|i| i.lane).collect();
    let added = sqlx::query_scalar!(
        "with input as (
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::bytea[], $9::bytea[], $10::smallint[])
                 as i (id, integration_id, organization_id, provider, event_key, verdict, headers, body, body_hash, lane)
         ), keyed as (
             insert into inbox_keys (integration_id, event_key, inbox_id, body_hash)
             select integration_id, event_key, id, body_hash from input order by integration_id, event_key
             on conflict (integration_id, event_key) do nothing
             returning inbox_id, received_at
         ), stored as (
             insert into inbox (id, received_at, integration_id, organization_id, provider, event_key, verdict, headers, body)
             select i.id, k.received_at, i.integration_id, i.organization_id, i.provider, i.event_key, i.verdict, i.headers, i.body
             from input i join keyed k on k.inbox_id = i.id
         ), queued as (
             insert into inbox_queue (lane, inbox_id, received_at)
             select i.lane, i.id, k.received_at from input i join keyed k on k.inbox_id = i.id
         )
         -- all organizations: which one a webhook concerns is found out later
         select inbox_id from keyed",
        &ids,
        &integrations,
        &organizations as &[Option<Uuid>],
        &providers as &[&str],
        &keys as &[&str],
        &verdicts as &[&str],
        &headers as &[&serde_json::Value],
        &bodies as &[&[u8]],
        &hashes as &[&[u8]],
        &lanes,
    )
    .fetch_all(tx)
    .await?;
    Ok(added.into_iter().map(InboxId::from).collect())
}

/// The hashes of the bodies that came first under these keys.
pub(super) async fn body_hashes(
    tx: &mut PgConnection,
    items: &[&Prepared<'_>],
) -> sqlx::Result<HashMap<(IntegrationId, String), [u8; 32]>> {
    let integrations: Vec<Uuid> = items.iter().map(|i| i.webhook.integration.uuid()).collect();
    let keys: Vec<&str> = items.iter().map(|i| i.webhook.event_key.as_str()).collect();
    let rows = sqlx::query!(
        "select k.integration_id, k.event_key, k.body_hash
         from unnest($1::uuid[], $2::text[]) as i (integration_id, event_key)
         join inbox_keys k on k.integration_id = i.integration_id and k.event_key = i.event_key",
        &integrations,
        &keys as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                (row.integration_id.into(), row.event_key),
                row.body_hash.try_into().unwrap_or([0; 32]),
            )
        })
        .collect())
}

/// Counts a webhook that was refused for its signature; nothing else of it is kept.
pub(super) async fn count_rejection(
    tx: &mut PgConnection,
    integration: IntegrationId,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into webhook_rejections as r (integration_id, day, reason, count)
         values ($1, (now() at time zone 'UTC')::date, $2, 1)
         on conflict (integration_id, day, reason) do update set count = r.count + 1",
        integration.uuid(),
        reason,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A webhook to interpret.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) seq: i64,
    pub(super) id: InboxId,
    pub(super) received_at: Timestamp,
    pub(super) integration: IntegrationId,
    pub(super) provider: Provider,
    pub(super) body: Vec<u8>,
    pub(super) attempts: i32,
}

/// The lanes that have something to do, the one waiting longest first.
pub(super) async fn busy_lanes(tx: &mut PgConnection) -> sqlx::Result<Vec<i16>> {
    sqlx::query_scalar!(
        "select lane from inbox_queue where parked_at is null and run_at <= clock_timestamp()
         group by lane order by min(seq)"
    )
    .fetch_all(tx)
    .await
}

/// Takes a lane for this transaction; false if another worker has it.
pub(super) async fn lock_lane(tx: &mut PgConnection, lane: i16) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(8243002, $1) as "locked!""#,
        i32::from(lane)
    )
    .fetch_one(tx)
    .await
}

/// Waits for a lane: what is told about an account's calls from elsewhere must not cross with its webhooks.
pub(super) async fn wait_for_lane(tx: &mut PgConnection, lane: i16) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(8243002, $1)", i32::from(lane))
        .fetch_one(tx)
        .await?;
    Ok(())
}

/// The next webhooks of a lane, in the order in which they came.
pub(super) async fn next(
    tx: &mut PgConnection,
    lane: i16,
    limit: i64,
) -> sqlx::Result<Vec<Queued>> {
    let rows = sqlx::query!(
        r#"select q.seq, q.inbox_id, q.received_at, q.attempts, i.integration_id,
             i.provider as "provider: Text<Provider>", i.body
         from inbox_queue q
         join inbox i on i.received_at = q.received_at and i.id = q.inbox_id
         where q.lane = $1 and q.parked_at is null and q.run_at <= clock_timestamp()
         -- all organizations: the queue is the platform's
         order by q.seq
         limit $2"#,
        lane,
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Queued {
            seq: row.seq,
            id: row.inbox_id.into(),
            received_at: row.received_at.to_jiff(),
            integration: row.integration_id.into(),
            provider: row.provider.0,
            body: row.body,
            attempts: row.attempts,
        })
        .collect())
}

/// These are interpreted.
pub(super) async fn done(tx: &mut PgConnection, seqs: &[i64]) -> sqlx::Result<()> {
    sqlx::query!("delete from inbox_queue where seq = any($1)", seqs)
        .execute(tx)
        .await?;
    Ok(())
}

/// These have to wait: for something that has not come yet, with longer waits each time.
pub(super) async fn later(
    tx: &mut PgConnection,
    seqs: &[i64],
    errors: &[&str],
) -> sqlx::Result<()> {
    sqlx::query!(
        "update inbox_queue q set attempts = attempts + 1, last_error = e.error,
             run_at = clock_timestamp() + least(power(2, attempts) * interval '250 milliseconds', interval '10 minutes')
         from unnest($1::bigint[], $2::text[]) as e (seq, error)
         where q.seq = e.seq",
        seqs,
        errors as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// These wait for a person, or for what they name to become known.
pub(super) async fn park(tx: &mut PgConnection, seqs: &[i64], errors: &[&str]) -> sqlx::Result<()> {
    sqlx::query!(
        "update inbox_queue q set attempts = attempts + 1, last_error = e.error, parked_at = clock_timestamp()
         from unnest($1::bigint[], $2::text[]) as e (seq, error)
         where q.seq = e.seq",
        seqs,
        errors as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Parked webhooks of an account get another try.
pub(super) async fn unpark(tx: &mut PgConnection, integration: IntegrationId) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update inbox_queue q set parked_at = null, attempts = 0, run_at = clock_timestamp()
         from inbox i
         where q.parked_at is not null and i.received_at = q.received_at and i.id = q.inbox_id and i.integration_id = $1
         -- all organizations: one account may serve several",
        integration.uuid(),
    )
    .execute(tx)
    .await?;
    Ok(result.rows_affected())
}
