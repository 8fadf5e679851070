//! Statements on the inbox and its queue.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{InboxId, IntegrationId, OrganizationId};
use uuid::Uuid;

use super::accept::Prepared;
use super::list::{InboxEntry, Place, Progress};
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
    let rings: Vec<bool> = items.iter().map(|i| i.is_ring).collect();
    let added = sqlx::query_scalar!(
        "with input as (
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::bytea[], $9::bytea[], $10::smallint[], $11::boolean[])
                 as i (id, integration_id, organization_id, provider, event_key, verdict, headers, body, body_hash, lane, is_ring)
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
             insert into inbox_queue (lane, inbox_id, received_at, is_ring)
             select i.lane, i.id, k.received_at, i.is_ring from input i join keyed k on k.inbox_id = i.id
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
        &rings,
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
    /// Whose account it came from; `None` for the platform's own.
    pub(super) organization: Option<OrganizationId>,
    pub(super) body: Vec<u8>,
    pub(super) attempts: i32,
    /// When it came by the clock of the business, where that was kept.
    pub(super) told_at: Option<Timestamp>,
}

/// A webhook about a part of a call that is not known yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) seq: i64,
    pub(super) sid: String,
}

/// Takes up to so many free lanes for this transaction, those that wait longest first. A lane is only tried when it is
/// about to be returned, so none is held in vain, and another worker finds the others.
pub(super) async fn claim_lanes(tx: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<i16>> {
    sqlx::query_scalar!(
        r#"with recursive s (lane) as (
               -- all organizations: the queue is the platform's
               (select q.lane from inbox_queue q where q.parked_at is null order by q.lane, q.seq limit 1)
               union all
               select n.lane from s cross join lateral (
                   select q.lane from inbox_queue q where q.parked_at is null and q.lane > s.lane order by q.lane, q.seq limit 1
               ) n
           )
           select l.lane::smallint as "lane!" from (
               select s.lane, q.seq from s
               cross join lateral (
                   select q.seq from inbox_queue q
                   where q.lane = s.lane and q.parked_at is null and q.run_at <= clock_timestamp()
                   order by q.seq limit 1
               ) q
               order by q.seq offset 0
           ) l
           where pg_try_advisory_xact_lock(8243002, l.lane)
           limit $1"#,
        limit,
    )
    .fetch_all(tx)
    .await
}

/// The lanes of the oldest `limit` calls that ring: those taken for this transaction, and whether another worker has one
/// of them.
pub(super) async fn claim_ringing(
    tx: &mut PgConnection,
    limit: i64,
) -> sqlx::Result<(Vec<i16>, bool)> {
    let rows = sqlx::query!(
        r#"select l.lane, pg_try_advisory_xact_lock(8243002, l.lane) as "is_ours!" from (
               select r.lane from (
                   select q.lane, q.seq from inbox_queue q
                   where q.is_ring and q.parked_at is null and q.run_at <= clock_timestamp()
                   -- all organizations: the queue is the platform's
                   order by q.seq limit $1
               ) r
               group by r.lane order by min(r.seq) offset 0
           ) l"#,
        limit,
    )
    .fetch_all(tx)
    .await?;
    let ours: Vec<i16> = rows
        .iter()
        .filter(|row| row.is_ours)
        .map(|row| row.lane)
        .collect();
    let is_held = ours.len() < rows.len();
    Ok((ours, is_held))
}

/// Waits for lanes, in order: what is told of calls from elsewhere must not cross with their webhooks.
pub(super) async fn wait_for_lanes(tx: &mut PgConnection, lanes: &[i16]) -> sqlx::Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(8243002, k.lane) from (select distinct lane::integer as lane from unnest($1::smallint[]) as k (lane) order by 1) k",
        lanes
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// The oldest webhooks of claimed lanes, about `limit` of them, fairly from each, in the order in which they came. A
/// statement of its own: it sees what the lanes' last holder committed.
pub(super) async fn next(
    tx: &mut PgConnection,
    lanes: &[i16],
    limit: i64,
) -> sqlx::Result<Vec<Queued>> {
    let count = i64::try_from(lanes.len()).unwrap_or(i64::MAX).max(1);
    let share = limit.saturating_add(count - 1) / count;
    let rows = sqlx::query!(
        r#"select q.seq, q.inbox_id, q.received_at, q.attempts, i.integration_id,
             i.provider as "provider: Text<Provider>", i.organization_id, i.body, i.headers ->> 'date' as told_at
         from unnest($1::smallint[]) as l (lane)
         cross join lateral (
             select * from inbox_queue q
             where q.lane = l.lane and q.parked_at is null and q.run_at <= clock_timestamp()
             -- all organizations: the queue is the platform's
             order by q.seq limit $2
         ) q
         join inbox i on i.received_at = q.received_at and i.id = q.inbox_id
         order by q.seq limit $3"#,
        lanes,
        share,
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
            organization: row.organization_id.map(OrganizationId::from),
            body: row.body,
            attempts: row.attempts,
            told_at: row.told_at.and_then(|text| text.parse().ok()),
        })
        .collect())
}

/// These are interpreted.
pub(super) async fn done(tx: &mut PgConnection, seqs: &[i64]) -> sqlx::Result<()> {
    if seqs.is_empty() {
        return Ok(());
    }
    sqlx::query!("delete from inbox_queue where seq = any($1)", seqs)
        .execute(tx)
        .await?;
    Ok(())
}

/// These have to wait for a call that has not come yet, with longer waits each time.
pub(super) async fn later(tx: &mut PgConnection, waiting: &[Waiting]) -> sqlx::Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = waiting.iter().map(|it| it.seq).collect();
    let sids: Vec<&str> = waiting.iter().map(|it| it.sid.as_str()).collect();
    sqlx::query!(
        "update inbox_queue q set attempts = attempts + 1, last_error = 'unknown call `' || e.sid || '`', waits_for = e.sid,
             run_at = clock_timestamp() + least(power(2, attempts) * interval '250 milliseconds', interval '10 minutes')
         from unnest($1::bigint[], $2::text[]) as e (seq, sid)
         where q.seq = e.seq",
        &seqs,
        &sids as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What waits for these calls need not wait longer. Whether anything did.
pub(super) async fn hurry(tx: &mut PgConnection, sids: &[&str]) -> sqlx::Result<bool> {
    if sids.is_empty() {
        return Ok(false);
    }
    let hurried = sqlx::query!(
        "update inbox_queue set run_at = clock_timestamp(), waits_for = null where seq in (
             select seq from inbox_queue where waits_for = any($1) and parked_at is null
             -- all organizations: the queue is the platform's
             order by seq for update skip locked)",
        sids as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(hurried.rows_affected() > 0)
}

/// These wait for a person, or for what they name to become known.
pub(super) async fn park(tx: &mut PgConnection, parked: &[(i64, String)]) -> sqlx::Result<()> {
    if parked.is_empty() {
        return Ok(());
    }
    let (seqs, errors): (Vec<i64>, Vec<&str>) = parked
        .iter()
        .map(|(seq, error)| (*seq, error.as_str()))
        .unzip();
    sqlx::query!(
        "update inbox_queue q set attempts = attempts + 1, last_error = e.error, parked_at = clock_timestamp()
         from unnest($1::bigint[], $2::text[]) as e (seq, error)
         where q.seq = e.seq",
        &seqs,
        &errors as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Parked webhooks of an account get another try, but not their first: that one asks for the account's numbers again.
pub(super) async fn unpark(tx: &mut PgConnection, integration: IntegrationId) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update inbox_queue set parked_at = null, attempts = least(attempts, 1), run_at = clock_timestamp() where seq in (
             select q.seq from inbox_queue q join inbox i on i.received_at = q.received_at and i.id = q.inbox_id
             where q.parked_at is not null and i.integration_id = $1
             -- all organizations: one account may serve several
             order by q.seq for no key update of q)",
        integration.uuid(),
    )
    .execute(tx)
    .await?;
    Ok(result.rows_affected())
}

/// Webhooks of an account, newest first, after `after`.
pub(super) async fn received(
    tx: &mut PgConnection,
    integration: IntegrationId,
    state: Option<Progress>,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<InboxEntry>> {
    let rows = sqlx::query!(
        r#"select i.id, i.received_at, i.event_key, i.verdict, q.seq as "seq?", q.attempts as "attempts?", q.last_error, q.parked_at,
             q.run_at as "run_at?"
         from inbox i
         left join inbox_queue q on q.inbox_id = i.id
         where i.integration_id = $1 and ($3::timestamptz is null or (i.received_at, i.id) < ($3, $4::uuid))
             and ($2::text is null or $2 = case when q.seq is null then 'done' when q.parked_at is null then 'waiting' else 'parked' end)
         -- all organizations: one account may serve several
         order by i.received_at desc, i.id desc limit $5"#,
        integration.uuid(),
        state.map(Progress::as_str),
        after.map(|place| place.at.to_sqlx()) as _,
        after.map(|place| place.id.uuid()),
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let state = match (row.seq, row.parked_at) {
                (None, _) => Progress::Done,
                (Some(_), None) => Progress::Waiting,
                (Some(_), Some(_)) => Progress::Parked,
            };
            let next = row.run_at.filter(|_| state == Progress::Waiting);
            InboxEntry {
                id: row.id.into(),
                received_at: row.received_at.to_jiff(),
                event_key: row.event_key,
                verdict: row.verdict,
                state,
                attempts: row.attempts.unwrap_or(0),
                error: row.last_error,
                next_try_at: next.map(jiff_sqlx::Timestamp::to_jiff),
            }
        })
        .collect())
}

/// A webhook as it was stored.
pub(super) struct Stored {
    pub(super) received_at: Timestamp,
    pub(super) provider: Provider,
    pub(super) event_key: String,
    pub(super) verdict: String,
    pub(super) body: Vec<u8>,
}

/// A webhook of an account.
pub(super) async fn stored(
    tx: &mut PgConnection,
    integration: IntegrationId,
    id: InboxId,
) -> sqlx::Result<Option<Stored>> {
    let row = sqlx::query!(
        r#"select received_at, provider as "provider: Text<Provider>", event_key, verdict, body from inbox
         where id = $1 and integration_id = $2 -- all organizations: one account may serve several"#,
        id.uuid(),
        integration.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Stored {
        received_at: row.received_at.to_jiff(),
        provider: row.provider.0,
        event_key: row.event_key,
        verdict: row.verdict,
        body: row.body,
    }))
}

/// Queues a webhook to be interpreted, again or at once.
pub(super) async fn requeue(
    tx: &mut PgConnection,
    id: InboxId,
    received_at: Timestamp,
    lane: i16,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into inbox_queue (lane, inbox_id, received_at) values ($1, $2, $3)
         on conflict (inbox_id) do update
         set lane = excluded.lane, parked_at = null, attempts = 0, last_error = null, waits_for = null, run_at = clock_timestamp()",
        lane,
        id.uuid(),
        received_at.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}
