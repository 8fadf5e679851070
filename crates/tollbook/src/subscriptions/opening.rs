//! Subscriptions that come from another system in the middle of a period: the base fee of that period was invoiced there,
//! and of its allowances something is used.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{
    AccountId, CustomerId, GrantId, OrganizationId, PlanVersionId, SegmentId, SubscriptionId,
};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use super::periods::add_periods;
use crate::error::Result;
use crate::ids::new_id;

/// A subscription to go on with. Its account is held, and has no other at the time.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) id: SubscriptionId,
    pub(crate) customer: CustomerId,
    pub(crate) account: AccountId,
    pub(crate) version: PlanVersionId,
    pub(crate) interval_months: i32,
    pub(crate) anchor_on: Date,
    /// When the contract began there.
    pub(crate) contracted_on: Date,
    /// The whole period of now.
    pub(crate) period: Period,
}

/// What was used of an allowance before.
#[derive(Debug, Clone)]
pub(crate) struct UsedBefore {
    pub(crate) subscription: SubscriptionId,
    pub(crate) allowance: String,
    /// In the base unit of its meters.
    pub(crate) quantity: Decimal,
}

/// Goes on with subscriptions: their terms, the period of now without a fee, its grants, and what comes after it if that is near.
pub(crate) async fn open_all(
    tx: &mut PgConnection,
    organization: OrganizationId,
    zone: &Zone,
    openings: &[Opening],
    now: Timestamp,
) -> Result<()> {
    if openings.is_empty() {
        return Ok(());
    }
    insert(tx, organization, zone, openings).await?;
    insert_segments(tx, organization, openings).await?;
    let keys: Vec<_> = openings.iter().map(|it| (organization, it.id)).collect();
    add_periods(tx, &keys, now).await
}

async fn insert(
    tx: &mut PgConnection,
    organization: OrganizationId,
    zone: &Zone,
    openings: &[Opening],
) -> Result<()> {
    let ids: Vec<Uuid> = openings.iter().map(|it| it.id.uuid()).collect();
    let customers: Vec<Uuid> = openings.iter().map(|it| it.customer.uuid()).collect();
    let accounts: Vec<Uuid> = openings.iter().map(|it| it.account.uuid()).collect();
    let anchors: Vec<_> = openings.iter().map(|it| it.anchor_on.to_sqlx()).collect();
    let intervals: Vec<i32> = openings.iter().map(|it| it.interval_months).collect();
    let contracted: Vec<_> = openings
        .iter()
        .map(|it| it.contracted_on.to_sqlx())
        .collect();
    let starts: Vec<_> = openings
        .iter()
        .map(|it| it.period.start().to_sqlx())
        .collect();
    let ends: Vec<_> = openings
        .iter()
        .map(|it| it.period.end().to_sqlx())
        .collect();
    sqlx::query!(
        "insert into subscriptions (organization_id, payer, state, zone, id, customer_id, account_id, anchor_on, interval_months, contracted_on,
             starts_at, invoiced_until)
         select $1, 'customer', 'active', $2, * from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::date[], $7::int[], $8::date[],
             $9::timestamptz[], $10::timestamptz[]) as s order by 5",
        organization.uuid(),
        zone.name(),
        &ids,
        &customers,
        &accounts,
        &anchors as &[jiff_sqlx::Date],
        &intervals,
        &contracted as &[jiff_sqlx::Date],
        &starts,
        &ends,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_segments(
    tx: &mut PgConnection,
    organization: OrganizationId,
    openings: &[Opening],
) -> Result<()> {
    let ids: Vec<Uuid> = openings
        .iter()
        .map(|_| SegmentId::new(new_id()).uuid())
        .collect();
    let subscriptions: Vec<Uuid> = openings.iter().map(|it| it.id.uuid()).collect();
    let versions: Vec<Uuid> = openings.iter().map(|it| it.version.uuid()).collect();
    let starts: Vec<_> = openings
        .iter()
        .map(|it| it.period.start().to_sqlx())
        .collect();
    sqlx::query!(
        "insert into subscription_segments (organization_id, seller_id, id, subscription_id, plan_version_id, starts_at)
         select $1, $1, * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[]) as s order by 4",
        organization.uuid(),
        &ids,
        &subscriptions,
        &versions,
        &starts,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Counts what was used before on the grants that are in force now. Returns the grant of each; `None` where no grant is that
/// large.
pub(crate) async fn use_before(
    tx: &mut PgConnection,
    organization: OrganizationId,
    used: &[UsedBefore],
    now: Timestamp,
) -> Result<Vec<Option<GrantId>>> {
    let subscriptions: Vec<Uuid> = used.iter().map(|it| it.subscription.uuid()).collect();
    let allowances: Vec<&str> = used.iter().map(|it| it.allowance.as_str()).collect();
    let quantities: Vec<Decimal> = used.iter().map(|it| it.quantity).collect();
    let rows = sqlx::query!(
        r#"update allowance_grants g set used = k.quantity, opening_used = k.quantity
         from unnest($2::uuid[], $3::text[], $4::numeric[]) with ordinality as k (subscription_id, key, quantity, position)
         where g.organization_id = $1 and g.subscription_id = k.subscription_id and g.allowance_key = k.key
             and g.starts_at <= $5 and $5 < g.expires_at and k.quantity <= g.granted
         returning g.id, k.position as "position!""#,
        organization.uuid(),
        &subscriptions,
        &allowances as &[&str],
        &quantities,
        now.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let mut grants = vec![None; used.len()];
    for row in rows {
        let index = usize::try_from(row.position)
            .ok()
            .and_then(|it| it.checked_sub(1));
        if let Some(grant) = index.and_then(|index| grants.get_mut(index)) {
            *grant = Some(GrantId::from(row.id));
        }
    }
    Ok(grants)
}
