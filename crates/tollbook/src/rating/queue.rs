//! The rating queue: lanes are claimed, rows leave it in the transaction that rates them, and what cannot be rated
//! waits aside, visible, and is tried again later and later.

use std::collections::HashMap;

use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, OrganizationId, ProviderCostId, UsageEventId};
use uuid::Uuid;

use super::items::UsageKey;
use crate::error::Result;

/// Lanes of one transaction, so that another worker finds free ones.
const LANES_MAX: i64 = 32;

/// A row of the rating queue: a usage, or a correction of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) key: UsageKey,
    /// The first event of its chain.
    pub(super) root: UsageEventId,
}

/// Takes up to so many free lanes until the end of the transaction, those that wait longest first. A lane is only tried
/// when it is about to be returned, so none is held in vain, and another worker finds the others. Each lane is looked at
/// by its first row alone, however deep the queue is. An account is in one lane, so its usage is rated in the order in
/// which it came.
pub(super) async fn claim_lanes(tx: &mut PgConnection) -> Result<Vec<i16>> {
    let lanes = sqlx::query_scalar!(
        r#"with recursive s (lane) as (
               -- all organizations: the queue is the platform's
               (select q.lane from rating_queue q where q.parked_at is null order by q.lane, q.seq limit 1)
               union all
               select n.lane from s cross join lateral (
                   select q.lane from rating_queue q where q.parked_at is null and q.lane > s.lane order by q.lane, q.seq limit 1
               ) n
           )
           select l.lane::smallint as "lane!" from (
               select s.lane, q.seq from s
               cross join lateral (
                   select q.seq from rating_queue q where q.lane = s.lane and q.parked_at is null order by q.seq limit 1
               ) q
               order by q.seq offset 0
           ) l
           where pg_try_advisory_xact_lock(8243003, l.lane)
           limit $1"#,
        LANES_MAX,
    )
    .fetch_all(tx)
    .await?;
    Ok(lanes)
}

/// Rows of claimed lanes, `limit` of them at most: from each its share, the oldest first, and what others leave of theirs
/// to the lanes that have more. A statement of its own: it sees what the lanes' last holder committed.
pub(super) async fn rows(
    tx: &mut PgConnection,
    lanes: &[i16],
    limit: usize,
) -> Result<Vec<Queued>> {
    let share = limit.div_ceil(lanes.len().max(1));
    let rows = sqlx::query!(
        r#"select q.organization_id, q.account_id, q.usage_event_id, coalesce(u.corrects_id, u.id) as "root!"
         from (
             select q.* from unnest($1::smallint[]) as l (lane)
             cross join lateral (
                 select q.*, row_number() over (order by q.seq) > $2 as is_more
                 from rating_queue q where q.lane = l.lane and q.parked_at is null order by q.seq limit $3
                 -- all organizations: the queue is the platform's
             ) q
             order by q.is_more, q.seq limit $3
         ) q
         cross join lateral (
             select e.id, e.corrects_id from usage_events e
             where e.organization_id = q.organization_id and e.id = q.usage_event_id offset 0
         ) u
         order by q.seq"#,
        lanes,
        i64::try_from(share).unwrap_or(i64::MAX),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Queued {
            key: UsageKey {
                organization: row.organization_id.into(),
                account: row.account_id.into(),
                usage: row.usage_event_id.into(),
            },
            root: row.root.into(),
        })
        .collect())
}

/// The rows of one account, which is locked, the oldest first: `limit` of them at most.
pub(super) async fn rows_of_account(
    tx: &mut PgConnection,
    organization: OrganizationId,
    account: AccountId,
    limit: usize,
) -> Result<Vec<Queued>> {
    let rows = sqlx::query!(
        r#"select q.usage_event_id, coalesce(u.corrects_id, u.id) as "root!"
         from rating_queue q
         join usage_events u on u.organization_id = q.organization_id and u.id = q.usage_event_id
         where q.organization_id = $1 and q.account_id = $2 and q.parked_at is null
         order by q.seq limit $3"#,
        organization.uuid(),
        account.uuid(),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Queued {
            key: UsageKey {
                organization,
                account,
                usage: row.usage_event_id.into(),
            },
            root: row.root.into(),
        })
        .collect())
}

/// Why a usage, with all of its corrections, was not rated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// For people.
    pub(super) why: String,
    /// The price of a provider that it waits for: it goes on when that is known, and its draft waits for it.
    pub(super) awaits: Option<ProviderCostId>,
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { why, awaits: None }
    }
}

/// Refusals by the first event of each usage.
pub(super) type Refusals = HashMap<UsageKey, Refusal>;

/// Rated rows leave the queue; refused ones are put aside with the reason.
pub(super) async fn settle(
    tx: &mut PgConnection,
    queued: &[Queued],
    refused: &Refusals,
) -> Result<()> {
    let (mut done, mut parked) = (Vec::with_capacity(queued.len()), Vec::new());
    for row in queued {
        let root = UsageKey {
            usage: row.root,
            ..row.key
        };
        match refused.get(&root) {
            Some(refusal) => parked.push((row.key, refusal)),
            None => done.push(row.key),
        }
    }
    let (organizations, accounts, usages) = columns(&done);
    sqlx::query!(
        "delete from rating_queue q using unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (organization_id, account_id, usage_event_id)
         where q.organization_id = k.organization_id and q.account_id = k.account_id and q.usage_event_id = k.usage_event_id",
        &organizations,
        &accounts,
        &usages,
    )
    .execute(&mut *tx)
    .await?;
    park(tx, &parked).await
}

fn columns(keys: &[UsageKey]) -> (Vec<Uuid>, Vec<Uuid>, Vec<Uuid>) {
    let columns = keys.iter().map(|key| {
        let UsageKey {
            organization,
            account,
            usage,
        } = key;
        (organization.uuid(), account.uuid(), usage.uuid())
    });
    columns.collect()
}

/// Puts rows aside.
pub(super) async fn park(tx: &mut PgConnection, rows: &[(UsageKey, &Refusal)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let keys: Vec<UsageKey> = rows.iter().map(|(key, _)| *key).collect();
    let errors: Vec<&str> = rows.iter().map(|(_, it)| it.why.as_str()).collect();
    let costs: Vec<Option<Uuid>> = rows
        .iter()
        .map(|(_, it)| it.awaits.map(Uuid::from))
        .collect();
    let (organizations, accounts, usages) = columns(&keys);
    sqlx::query!(
        "update rating_queue q set attempts = attempts + 1, last_error = k.error, parked_at = clock_timestamp(), cost_id = k.cost_id
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[])
             as k (organization_id, account_id, usage_event_id, error, cost_id)
         where q.organization_id = k.organization_id and q.account_id = k.account_id and q.usage_event_id = k.usage_event_id",
        &organizations,
        &accounts,
        &usages,
        &errors as &[&str],
        &costs as &[Option<Uuid>],
    )
    .execute(tx)
    .await?;
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    metrics::counter!("tollbook_usage_parked_total").increment(count);
    Ok(())
}

/// Gives parked rows another try: after a minute, then after twice as long each time, at most a day. Returns how many.
pub(super) async fn retry_parked(tx: &mut PgConnection) -> Result<u64> {
    let retried = sqlx::query!(
        "update rating_queue set parked_at = null where (organization_id, account_id, usage_event_id) in (
             select q.organization_id, q.account_id, q.usage_event_id from rating_queue q
             where q.parked_at < clock_timestamp() - interval '1 minute' and q.parked_at < clock_timestamp()
                 - least(interval '1 minute' * power(2, least(q.attempts, 12) - 1), interval '1 day')
             -- all organizations: the queue is the platform's
             order by q.parked_at limit 1000 for update skip locked)",
    )
    .execute(tx)
    .await?;
    Ok(retried.rows_affected())
}

/// Lets the parked usage of an account go on at once: what it waited for may be there now.
pub(crate) async fn unpark(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
) -> Result<()> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        accounts.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    sqlx::query!(
        "update rating_queue q set parked_at = null
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, account_id)
         where q.organization_id = k.organization_id and q.account_id = k.account_id and q.parked_at is not null",
        &organizations,
        &ids,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Queues usage of accounts from `since` on again, when its terms or prices changed for a time that is past.
pub(crate) async fn queue_since(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
    since: jiff::Timestamp,
) -> Result<()> {
    let since: jiff_sqlx::Timestamp = jiff_sqlx::ToSqlx::to_sqlx(since);
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        accounts.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    sqlx::query!(
        "insert into rating_queue (lane, organization_id, account_id, usage_event_id)
         select (hashtextextended(u.account_id::text, 0) & 63)::smallint, u.organization_id, u.account_id, u.id
         from (
             select u.organization_id, c.account_id, u.id
             from unnest($1::uuid[], $2::uuid[]) as k (organization_id, account_id)
             join customers c on c.organization_id = k.organization_id and c.account_id = k.account_id
             join usage_events u on u.organization_id = c.organization_id and u.customer_id = c.id
             where u.occurred_at >= $3 and u.corrects_id is null
             union all
             select u.organization_id, a.id, u.id
             from unnest($1::uuid[], $2::uuid[]) as k (organization_id, account_id)
             join accounts a on a.organization_id = k.organization_id and a.id = k.account_id and a.payer = 'organization'
             join usage_events u on u.organization_id = a.organization_id
             where u.occurred_at >= $3 and u.corrects_id is null
         ) u
         order by u.organization_id, u.id, u.account_id
         on conflict (organization_id, account_id, usage_event_id) do nothing",
        &organizations,
        &ids,
        since,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The same for all customers of an organization.
pub(crate) async fn queue_customers_since(
    tx: &mut PgConnection,
    organization: OrganizationId,
    since: jiff::Timestamp,
) -> Result<()> {
    let since: jiff_sqlx::Timestamp = jiff_sqlx::ToSqlx::to_sqlx(since);
    // Rows of the queue are changed by whoever has their account.
    sqlx::query!(
        "select a.id from accounts a where a.organization_id = $1 and a.id in (
             select c.account_id from customers c
             join usage_events u on u.organization_id = c.organization_id and u.customer_id = c.id
             where c.organization_id = $1 and u.occurred_at >= $2 and u.corrects_id is null)
         order by a.id for no key update",
        organization.uuid(),
        since,
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into rating_queue (lane, organization_id, account_id, usage_event_id)
         select (hashtextextended(c.account_id::text, 0) & 63)::smallint, u.organization_id, c.account_id, u.id
         from usage_events u
         join customers c on c.organization_id = u.organization_id and c.id = u.customer_id
         where u.organization_id = $1 and u.occurred_at >= $2 and u.corrects_id is null
         order by u.organization_id, u.id, c.account_id
         on conflict (organization_id, account_id, usage_event_id) do nothing",
        organization.uuid(),
        since,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The organization and account of each row.
pub(super) fn accounts(queued: &[Queued]) -> Vec<(OrganizationId, AccountId)> {
    let mut keys: Vec<_> = queued
        .iter()
        .map(|q| (q.key.organization, q.key.account))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Queues usages of customers again, named by their first events: what is charged for them has changed.
pub(crate) async fn queue_usages(
    tx: &mut PgConnection,
    organization: OrganizationId,
    usages: &[Uuid],
) -> Result<()> {
    sqlx::query!(
        "insert into rating_queue (lane, organization_id, account_id, usage_event_id)
         select (hashtextextended(c.account_id::text, 0) & 63)::smallint, u.organization_id, c.account_id, u.id
         from usage_events u
         join customers c on c.organization_id = u.organization_id and c.id = u.customer_id
         where u.organization_id = $1 and u.id = any ($2)
         order by u.organization_id, u.id, c.account_id
         on conflict (organization_id, usage_event_id, account_id) do update set parked_at = null",
        organization.uuid(),
        usages,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks accounts, in key order: what shares an allowance is rated by one transaction at a time.
pub(crate) async fn lock_accounts(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, AccountId)],
) -> Result<()> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    sqlx::query!(
        "select a.id from accounts a
         join (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)) k
             on a.organization_id = k.organization_id and a.id = k.id
         order by a.organization_id, a.id for no key update of a",
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}
