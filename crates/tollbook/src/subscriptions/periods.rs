//! Makes the periods of a subscription, each once, with its base fee and its grants.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{
    AccountId, CustomerId, GrantId, OrganizationId, PeriodId, PlanVersionId, SubscriptionId,
};
use tollbook_core::payer::Payer;
use tollbook_core::plans::Document;
use tollbook_core::rating::due_grants;
use tollbook_core::subscriptions::{BillingPeriod, Schedule};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use super::extend::AHEAD;
use super::fee::add_fee;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::invoices::PLATFORM_GRACE_SECONDS;
use crate::rating;

/// Periods that begin before this are made.
pub(super) fn horizon(now: Timestamp) -> Timestamp {
    now.checked_add(AHEAD).unwrap_or(Timestamp::MAX)
}

/// What making periods needs to know of a subscription.
pub(super) struct Contract {
    pub(super) organization: OrganizationId,
    pub(super) id: SubscriptionId,
    pub(super) payer: Payer,
    pub(super) account: AccountId,
    pub(super) schedule: Schedule,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
    pub(super) seller: Uuid,
    pub(super) version: PlanVersionId,
    pub(super) document: Document,
    /// How many periods there are.
    known: i64,
    last: Option<Period>,
    pub(super) grace_seconds: i64,
}

/// Makes the periods that begin before a day from now and are not there yet. The subscription and its account are
/// locked, or new.
pub(super) async fn add_periods(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<()> {
    let contract = load(tx, organization, id).await?;
    let until = horizon(now.max(contract.starts_at));
    let periods = contract
        .schedule
        .periods(contract.starts_at, contract.ends_at, until)
        .map_err(|e| Error::Internal(e.to_string()))?;
    let mut previous = contract.last;
    let known = usize::try_from(contract.known).unwrap_or(usize::MAX);
    for period in periods.into_iter().skip(known) {
        let row = add_period(tx, &contract, &period, previous).await?;
        add_fee(tx, &contract, &period, row, previous, now).await?;
        add_grants(tx, &contract, &period).await?;
        previous = Some(period.billed);
    }
    rating::unpark(tx, organization, contract.account).await
}

async fn load(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: SubscriptionId,
) -> Result<Contract> {
    let row = sqlx::query!(
        r#"select s.customer_id, s.account_id, s.zone, s.anchor_on, s.interval_months, s.starts_at, s.ends_at,
             g.seller_id, g.plan_version_id, v.document::text as "document!", extract(epoch from o.invoice_grace)::bigint as "grace_seconds!",
             (select count(*) from billing_periods p where p.organization_id = s.organization_id and p.subscription_id = s.id) as "known!",
             l.starts_at as "last_start?", l.ends_at as "last_end?"
         from subscriptions s
         join organizations o on o.id = s.organization_id
         join subscription_segments g on g.organization_id = s.organization_id and g.subscription_id = s.id and g.ends_at = 'infinity'
         join plan_versions v on v.seller_id = g.seller_id and v.id = g.plan_version_id
         left join lateral (
             select p.starts_at, p.ends_at from billing_periods p
             where p.organization_id = s.organization_id and p.subscription_id = s.id order by p.starts_at desc limit 1
         ) l on true
         where s.organization_id = $1 and s.id = $2"#,
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("subscription"))?;
    let stored = |e: &dyn std::fmt::Display| {
        Error::Internal(format!("subscription {id} cannot be read: {e}"))
    };
    let zone: Zone = row.zone.parse().map_err(|e| stored(&e))?;
    let schedule = Schedule::new(row.anchor_on.to_jiff(), row.interval_months.into(), zone);
    let last = row
        .last_start
        .zip(row.last_end)
        .map(|(start, end)| Period::new(start.to_jiff(), end.to_jiff()));
    let payer = row.customer_id.map(CustomerId::from);
    Ok(Contract {
        organization,
        id,
        payer: payer.map_or(Payer::Organization, Payer::Customer),
        account: row.account_id.into(),
        schedule: schedule.map_err(|e| stored(&e))?,
        starts_at: row.starts_at.to_jiff(),
        ends_at: row.ends_at.map(jiff_sqlx::Timestamp::to_jiff),
        seller: row.seller_id,
        version: row.plan_version_id.into(),
        document: Document::read(row.document.as_bytes()).map_err(|e| stored(&e))?,
        known: row.known,
        last: last.transpose().map_err(|e| stored(&e))?,
        grace_seconds: match payer {
            Some(_) => row.grace_seconds,
            None => PLATFORM_GRACE_SECONDS,
        },
    })
}

async fn add_period(
    tx: &mut PgConnection,
    contract: &Contract,
    period: &BillingPeriod,
    previous: Option<Period>,
) -> Result<PeriodId> {
    let id: PeriodId = new_id();
    sqlx::query!(
        "insert into billing_periods (organization_id, id, subscription_id, prev_end, starts_at, ends_at) values ($1, $2, $3, $4, $5, $6)",
        contract.organization.uuid(),
        id.uuid(),
        contract.id.uuid(),
        previous.map(|it| it.end().to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        period.billed.start().to_sqlx(),
        period.billed.end().to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(id)
}

/// The grants of the cycles that begin with a period, or that the subscription starts in.
async fn add_grants(
    tx: &mut PgConnection,
    contract: &Contract,
    period: &BillingPeriod,
) -> Result<()> {
    let due = due_grants(
        &contract.document,
        &contract.schedule,
        period.billed.start(),
    )
    .map_err(|e| Error::Internal(format!("the grants of a period: {e}")))?;
    let ids: Vec<Uuid> = due.iter().map(|_| GrantId::new(new_id()).uuid()).collect();
    let keys: Vec<&str> = due.iter().map(|g| g.allowance_key.as_str()).collect();
    let granted: Vec<_> = due.iter().map(|g| g.granted.to_decimal()).collect();
    // A subscription may start within a cycle: its grant is good from its start on.
    let starts: Vec<_> = due
        .iter()
        .map(|g| g.starts_at.max(contract.starts_at).to_sqlx())
        .collect();
    let ends: Vec<_> = due.iter().map(|g| g.expires_at.to_sqlx()).collect();
    sqlx::query!(
        "insert into allowance_grants (organization_id, id, account_id, subscription_id, allowance_key, granted, starts_at, expires_at)
         select $1, id, $2, $3, key, granted, starts_at, expires_at
         from unnest($4::uuid[], $5::text[], $6::numeric[], $7::timestamptz[], $8::timestamptz[]) as g (id, key, granted, starts_at, expires_at)
         order by key, starts_at
         on conflict (organization_id, account_id, subscription_id, allowance_key, starts_at) do nothing",
        contract.organization.uuid(),
        contract.account.uuid(),
        contract.id.uuid(),
        &ids,
        &keys as &[&str],
        &granted,
        &starts,
        &ends,
    )
    .execute(tx)
    .await?;
    Ok(())
}
