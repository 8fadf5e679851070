//! What rating needs to know, read for a whole batch: a constant number of queries, whatever the batch holds.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::calls::Direction;
use tollbook_core::ids::{
    AccountId, CallId, ChargeId, CustomerId, GrantId, OrganizationId, PeriodId, PlanVersionId,
    SubscriptionId, UsageEventId,
};
use tollbook_core::metering::{BuiltInMeter, MeterCode};
use tollbook_core::money::{Fraction, Quantity};
use tollbook_core::payer::PayerKind;
use tollbook_core::phone::{E164, Party};
use tollbook_core::plans::Key;
use tollbook_core::rating::{Grant, TierTotal};
use uuid::Uuid;

use super::terms::TermsKey;
use crate::db::types::Text;
use crate::error::{Error, Result};

/// A row of the rating queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) seq: i64,
    pub(super) organization: OrganizationId,
    pub(super) account: AccountId,
    pub(super) usage: UsageEventId,
}

/// A usage to rate: the first event of a chain, with what all of its corrections make of it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) organization: OrganizationId,
    pub(super) account: AccountId,
    pub(super) payer: PayerKind,
    pub(super) usage: UsageEventId,
    pub(super) meter: MeterCode,
    pub(super) quantity: Quantity,
    /// When it counts: for a call, its start.
    pub(super) occurred_at: Timestamp,
    /// When the first charged second began.
    pub(super) began_at: Timestamp,
    pub(super) customer: Option<CustomerId>,
    pub(super) call: Option<CallId>,
    pub(super) call_ended_at: Option<Timestamp>,
    pub(super) direction: Option<Direction>,
    pub(super) destination: Option<E164>,
    pub(super) terms: Option<TermsKey>,
    pub(super) contract: Option<Contract>,
    pub(super) zone: String,
    pub(super) is_invoiced_per_call: bool,
    pub(super) grace_seconds: i64,
}

/// The subscription that a usage falls under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contract {
    pub(super) subscription: SubscriptionId,
    pub(super) period: PeriodId,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Timestamp,
}

/// The next rows of a lane, in the order in which they came.
pub(super) async fn queue(tx: &mut PgConnection, lane: i16, limit: i64) -> Result<Vec<Queued>> {
    let rows = sqlx::query!(
        "select seq, organization_id, account_id, usage_event_id from rating_queue
         where lane = $1 and parked_at is null
         -- all organizations: the queue is the platform's
         order by seq limit $2",
        lane,
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Queued {
            seq: row.seq,
            organization: row.organization_id.into(),
            account: row.account_id.into(),
            usage: row.usage_event_id.into(),
        })
        .collect())
}

/// Locks accounts, in key order: what shares an allowance is rated by one transaction at a time.
pub(super) async fn lock_accounts(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, AccountId)],
) -> Result<()> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    sqlx::query!(
        "select a.id from accounts a
         join (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)) k
             on a.organization_id = k.organization_id and a.id = k.id
         order by a.organization_id, a.id for update of a",
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// The usages behind queue rows, in canonical order: by start, then by id.
pub(super) async fn items(tx: &mut PgConnection, queued: &[Queued]) -> Result<Vec<Item>> {
    let organizations: Vec<Uuid> = queued.iter().map(|q| q.organization.uuid()).collect();
    let accounts: Vec<Uuid> = queued.iter().map(|q| q.account.uuid()).collect();
    let usages: Vec<Uuid> = queued.iter().map(|q| q.usage.uuid()).collect();
    let rows = sqlx::query_file!("src/rating/items.sql", &organizations, &accounts, &usages)
        .fetch_all(tx)
        .await?;
    rows.into_iter()
        .map(|row| {
            let stored = |what: &str, e: &dyn std::fmt::Display| {
                Error::Internal(format!("a stored {what}: {e}"))
            };
            let meter: MeterCode = row.meter.parse().map_err(|e| stored("meter", &e))?;
            let is_time = meter.built_in() == Some(BuiltInMeter::CallDurationSeconds);
            let occurred_at = row.occurred_at.to_jiff();
            let direction: Option<Direction> = row
                .direction
                .map(|d| d.parse())
                .transpose()
                .map_err(|e| stored("direction", &e))?;
            let destination = match (direction, row.external_party.as_deref().map(Party::read)) {
                (Some(Direction::Outgoing), Some(Party::Number(number))) => Some(number),
                _ => None,
            };
            let contract = match (
                row.subscription_id,
                row.period_id,
                row.period_starts_at,
                row.period_ends_at,
            ) {
                (Some(subscription), Some(period), Some(start), Some(end)) => Some(Contract {
                    subscription: subscription.into(),
                    period: period.into(),
                    starts_at: start.to_jiff(),
                    ends_at: end.to_jiff(),
                }),
                _ => None,
            };
            let version = row.seller_id.zip(row.plan_version_id);
            Ok(Item {
                organization: row.organization_id.into(),
                account: row.account_id.into(),
                payer: row.payer.parse().map_err(|e| stored("payer", &e))?,
                usage: row.id.into(),
                quantity: Quantity::try_from(row.quantity).map_err(|e| stored("quantity", &e))?,
                began_at: row
                    .answered_at
                    .map(|at| at.to_jiff())
                    .filter(|_| is_time)
                    .unwrap_or(occurred_at),
                meter,
                occurred_at,
                customer: row.customer_id.map(CustomerId::from),
                call: row.call_id.map(CallId::from),
                call_ended_at: row.ended_at.map(|at| at.to_jiff()),
                direction,
                destination,
                terms: version.map(|(seller, version)| TermsKey {
                    seller,
                    version: PlanVersionId::from(version),
                    zone: row.zone.clone(),
                }),
                contract,
                zone: row.zone,
                is_invoiced_per_call: row.pay_per_call_invoicing == "per_call",
                grace_seconds: row.grace_seconds,
            })
        })
        .collect()
}

/// The grants of accounts that usage between these times may draw on, by account.
pub(super) async fn grants(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, AccountId)],
    since: Timestamp,
) -> Result<HashMap<AccountId, Vec<Grant>>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select g.id, g.account_id, g.allowance_key as "allowance_key: Text<Key>", g.granted, g.used, g.forfeited, g.starts_at, g.expires_at
         from (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)) k
         join allowance_grants g on g.organization_id = k.organization_id and g.account_id = k.id
         where g.expires_at > $3"#,
        &organizations,
        &ids,
        since.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let quantity = |value| {
        Quantity::try_from(value).map_err(|e| Error::Internal(format!("a stored quantity: {e}")))
    };
    let mut grants: HashMap<AccountId, Vec<Grant>> = HashMap::new();
    for row in rows {
        grants
            .entry(row.account_id.into())
            .or_default()
            .push(Grant {
                id: GrantId::from(row.id),
                allowance_key: row.allowance_key.0,
                granted: quantity(row.granted)?,
                used: quantity(row.used)?,
                forfeited: quantity(row.forfeited)?,
                starts_at: row.starts_at.to_jiff(),
                expires_at: row.expires_at.to_jiff(),
            });
    }
    Ok(grants)
}

/// The tier totals of accounts in periods that began at `since` or later, by account.
pub(super) async fn tiers(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, AccountId)],
    since: Timestamp,
) -> Result<HashMap<AccountId, Vec<TierTotal>>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    let rows = sqlx::query!(
        "select t.account_id, t.price_key, t.period_start, t.quantity
         from (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)) k
         join tier_totals t on t.organization_id = k.organization_id and t.account_id = k.id
         where t.period_start >= $3",
        &organizations,
        &ids,
        since.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let mut tiers: HashMap<AccountId, Vec<TierTotal>> = HashMap::new();
    for row in rows {
        let stored =
            |e: &dyn std::fmt::Display| Error::Internal(format!("a stored tier total: {e}"));
        tiers
            .entry(row.account_id.into())
            .or_default()
            .push(TierTotal {
                price_key: Key::from_stored(&row.price_key).map_err(|e| stored(&e))?,
                period_start: row.period_start.to_jiff(),
                quantity: Quantity::try_from(row.quantity).map_err(|e| stored(&e))?,
            });
    }
    Ok(tiers)
}

/// A charge in force, as far as a new rating is compared with it.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) id: ChargeId,
    pub(super) revision: i32,
    pub(super) part: i32,
    pub(super) kind: String,
    pub(super) price_key: Option<String>,
    pub(super) grant: Option<GrantId>,
    pub(super) quantity: Quantity,
    pub(super) amount: Fraction,
    pub(super) period_start: Timestamp,
}

/// The charges in force of these usages for these payers.
pub(super) async fn in_force(
    tx: &mut PgConnection,
    items: &[Item],
) -> Result<HashMap<(UsageEventId, AccountId), Vec<InForce>>> {
    let organizations: Vec<Uuid> = items.iter().map(|i| i.organization.uuid()).collect();
    let usages: Vec<Uuid> = items.iter().map(|i| i.usage.uuid()).collect();
    let payers: Vec<&str> = items.iter().map(|i| i.payer.as_str()).collect();
    let rows = sqlx::query!(
        "select c.usage_event_id, c.account_id, c.id, c.revision, c.part, c.kind, c.price_key, c.grant_id, c.quantity,
             c.amount_numerator, c.amount_denominator, i.period_start
         from (select distinct * from unnest($1::uuid[], $2::uuid[], $3::text[]) as k (organization_id, usage_event_id, payer)) k
         join charges c on c.organization_id = k.organization_id and c.usage_event_id = k.usage_event_id and c.payer = k.payer
         join invoices i on i.organization_id = c.organization_id and i.id = c.invoice_id
         where c.reverses_id is null
             and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)
         order by c.revision, c.part",
        &organizations,
        &usages,
        &payers as &[&str],
    )
    .fetch_all(tx)
    .await?;
    let mut found: HashMap<(UsageEventId, AccountId), Vec<InForce>> = HashMap::new();
    for row in rows {
        let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored charge: {e}"));
        let Some(usage) = row.usage_event_id else {
            continue;
        };
        found
            .entry((usage.into(), row.account_id.into()))
            .or_default()
            .push(InForce {
                id: ChargeId::from(row.id),
                revision: row.revision,
                part: row.part,
                kind: row.kind,
                price_key: row.price_key,
                grant: row.grant_id.map(GrantId::from),
                quantity: Quantity::try_from(row.quantity).map_err(|e| stored(&e))?,
                amount: Fraction::from_decimals(row.amount_numerator, row.amount_denominator)
                    .map_err(|e| stored(&e))?,
                period_start: row.period_start.to_jiff(),
            });
    }
    Ok(found)
}

/// The first event of the chain that each queued event belongs to.
pub(super) async fn roots(
    tx: &mut PgConnection,
    queued: &[Queued],
) -> Result<HashMap<(OrganizationId, UsageEventId), UsageEventId>> {
    let (organizations, usages): (Vec<Uuid>, Vec<Uuid>) = queued
        .iter()
        .map(|q| (q.organization.uuid(), q.usage.uuid()))
        .unzip();
    let rows = sqlx::query!(
        r#"select u.organization_id, u.id, coalesce(u.corrects_id, u.id) as "root!"
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join usage_events u on u.organization_id = k.organization_id and u.id = k.id"#,
        &organizations,
        &usages,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.organization_id.into(), row.id.into()), row.root.into()))
        .collect())
}

/// The grants of one account that usage at or after `since` may draw on.
pub(crate) async fn grants_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    account: AccountId,
    since: Timestamp,
) -> Result<Vec<Grant>> {
    Ok(grants(tx, &[(organization, account)], since)
        .await?
        .remove(&account)
        .unwrap_or_default())
}
