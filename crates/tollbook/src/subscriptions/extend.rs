//! Generates the periods of a subscription ahead of time, each with its base fee and its grants.

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{
    AccountId, CustomerId, GrantId, InvoiceId, OrganizationId, PeriodId, PlanVersionId,
    SubscriptionId,
};
use tollbook_core::payer::Payer;
use tollbook_core::plans::Document;
use tollbook_core::rating::{ChargePart, Surroundings, Terms, due_grants, forfeits};
use tollbook_core::subscriptions::{BillingPeriod, Schedule, share};
use tollbook_core::time::Zone;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::rating::{self, Fee};

/// A period is made this long before it begins, so that nothing waits for it at midnight.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// Subscriptions extended in one transaction.
const BATCH_MAX: i64 = 50;

/// Extends every subscription whose periods run out.
pub(crate) async fn extend_due(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let mut tx = app.db.begin(&Actor::system()).await?;
        let due = sqlx::query!(
            "select s.organization_id, s.id from subscriptions s
             where s.state in ('trial', 'active') and s.auto_renew
                 and not exists (select from billing_periods p where p.organization_id = s.organization_id and p.subscription_id = s.id and p.ends_at > $1)
                 and (s.ends_at is null or s.ends_at > $1)
             -- all organizations: the schedule is the platform's
             order by s.organization_id, s.id limit $2 for update of s skip locked",
            later(now).to_sqlx(),
            BATCH_MAX,
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in &due {
            extend(&mut tx, row.organization_id.into(), row.id.into(), now).await?;
        }
        tx.commit().await?;
        if due.is_empty() {
            return Ok(());
        }
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.checked_add(AHEAD).unwrap_or(Timestamp::MAX)
}

/// What generating periods needs to know of a subscription.
struct Contract {
    organization: OrganizationId,
    id: SubscriptionId,
    payer: Payer,
    account: AccountId,
    schedule: Schedule,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
    seller: Uuid,
    version: PlanVersionId,
    document: Document,
    known: i64,
    last: Option<(Timestamp, Timestamp)>,
    grace_seconds: i64,
}

/// Makes the periods that begin before a day from now and are not there yet.
pub(super) async fn extend(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<()> {
    let contract = load(tx, organization, id).await?;
    let until = later(now.max(contract.starts_at));
    let periods = contract
        .schedule
        .periods(contract.starts_at, contract.ends_at, until)
        .map_err(|e| Error::Internal(e.to_string()))?;
    let mut previous = contract.last;
    for period in periods
        .into_iter()
        .skip(usize::try_from(contract.known).unwrap_or(0))
    {
        add_period(tx, &contract, &period, previous, now).await?;
        previous = Some((period.billed.start(), period.billed.end()));
    }
    Ok(())
}

async fn load(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: SubscriptionId,
) -> Result<Contract> {
    let row = sqlx::query!(
        r#"select s.payer, s.customer_id, s.account_id, s.zone, s.anchor_on, s.interval_months, s.starts_at, s.ends_at,
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
    Ok(Contract {
        organization,
        id,
        payer: row.customer_id.map_or(Payer::Organization, |c| {
            Payer::Customer(CustomerId::from(c))
        }),
        account: row.account_id.into(),
        schedule: Schedule::new(row.anchor_on.to_jiff(), row.interval_months.into(), zone)
            .map_err(|e| stored(&e))?,
        starts_at: row.starts_at.to_jiff(),
        ends_at: row.ends_at.map(|at| at.to_jiff()),
        seller: row.seller_id,
        version: row.plan_version_id.into(),
        document: Document::read(row.document.as_bytes()).map_err(|e| stored(&e))?,
        known: row.known,
        last: row
            .last_start
            .zip(row.last_end)
            .map(|(s, e)| (s.to_jiff(), e.to_jiff())),
        grace_seconds: row.grace_seconds,
    })
}

async fn add_period(
    tx: &mut PgConnection,
    contract: &Contract,
    period: &BillingPeriod,
    previous: Option<(Timestamp, Timestamp)>,
    now: Timestamp,
) -> Result<()> {
    let id: PeriodId = new_id();
    sqlx::query!(
        "insert into billing_periods (organization_id, id, subscription_id, prev_end, starts_at, ends_at) values ($1, $2, $3, $4, $5, $6)",
        contract.organization.uuid(),
        id.uuid(),
        contract.id.uuid(),
        previous.map(|(_, end)| end.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        period.billed.start().to_sqlx(),
        period.billed.end().to_sqlx(),
    )
    .execute(&mut *tx)
    .await?;
    add_fee(tx, contract, period, id, previous, now).await?;
    add_grants(tx, contract, period).await
}

/// The base fee is charged in advance: the first one on a document of its own, each later one beside the usage of the
/// period before.
async fn add_fee(
    tx: &mut PgConnection,
    contract: &Contract,
    period: &BillingPeriod,
    id: PeriodId,
    previous: Option<(Timestamp, Timestamp)>,
    now: Timestamp,
) -> Result<()> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("the fee of a period: {e}"));
    let zone = contract.schedule.zone().clone();
    let surroundings = Surroundings {
        zone: Some(zone.clone()),
        ..Surroundings::default()
    };
    let terms = Terms::new(&contract.document, &surroundings).map_err(|e| wrong(&e))?;
    let share = share(
        &period.full,
        &period.billed,
        contract.document.proration,
        &zone,
    )
    .map_err(|e| wrong(&e))?;
    let part: Option<ChargePart> = terms.base_fee(share).map_err(|e| wrong(&e))?;
    let Some(part) = part else { return Ok(()) };
    let invoice: InvoiceId = rating::fee_draft(
        tx,
        &rating::FeePlace {
            organization: contract.organization,
            payer: contract.payer,
            currency: part.currency.code(),
            zone: zone.name(),
            grace_seconds: contract.grace_seconds,
            period: (period.billed.start(), period.billed.end()),
            previous,
        },
        now,
    )
    .await?;
    let fee = Fee {
        organization: contract.organization,
        payer: contract.payer,
        account: contract.account,
        subscription: contract.id,
        period: id,
        seller: contract.seller,
        version: contract.version,
        occurred_at: period.billed.start(),
        invoice,
        part,
    };
    rating::charge_fee(tx, &fee).await
}

async fn add_grants(
    tx: &mut PgConnection,
    contract: &Contract,
    period: &BillingPeriod,
) -> Result<()> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("the grants of a period: {e}"));
    let due = due_grants(
        &contract.document,
        &contract.schedule,
        period.billed.start(),
    )
    .map_err(|e| wrong(&e))?;
    let grants = rating::grants_of(
        tx,
        contract.organization,
        contract.account,
        period.billed.start(),
    )
    .await?;
    for allowance in &contract.document.allowances {
        let lost = forfeits(allowance, &grants, period.billed.start()).map_err(|e| wrong(&e))?;
        for forfeit in lost {
            sqlx::query!(
                "update allowance_grants set forfeited = forfeited + $3 where organization_id = $1 and id = $2",
                contract.organization.uuid(),
                forfeit.grant_id.uuid(),
                forfeit.quantity.to_decimal(),
            )
            .execute(&mut *tx)
            .await?;
        }
    }
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
