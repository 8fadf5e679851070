//! Starting a subscription.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{
    AccountId, CustomerId, OrganizationId, PlanVersionId, SegmentId, SubscriptionId,
};
use tollbook_core::payer::Payer;
use tollbook_core::subscriptions::{Schedule, State, trial_end};
use tollbook_core::time::Zone;
use uuid::Uuid;

use super::periods::add_periods;
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;
use crate::{organizations, rating};

/// A subscription to start.
#[derive(Debug, Clone)]
pub(crate) struct NewSubscription {
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
    /// Of the organization's plans for a customer, of the platform's for the organization itself.
    pub(crate) plan_version: PlanVersionId,
    pub(crate) starts_at: Timestamp,
    /// The day of the month on which periods begin; the day it starts on if absent.
    pub(crate) billing_day: Option<i8>,
    /// Without renewal it ends with its first period.
    pub(crate) auto_renew: bool,
}

/// Starts a subscription: its account, its terms, its first periods with their fees and grants. Usage since a start that
/// is past is rated again.
pub(crate) async fn subscribe(
    tx: &mut PgConnection,
    new: &NewSubscription,
    now: Timestamp,
) -> Result<SubscriptionId> {
    let organization = new.organization.uuid();
    let seller = match new.payer {
        Payer::Organization => Uuid::nil(),
        Payer::Customer(_) => organization,
    };
    let offered = offered(tx, seller, new.plan_version).await?;
    let zone = organizations::business(tx, new.organization).await?.zone;
    let day = new
        .billing_day
        .unwrap_or_else(|| zone.date(new.starts_at).day());
    let schedule = Schedule::with_billing_day(day, offered.interval_months, new.starts_at, zone)
        .map_err(|e| Error::invalid("billingCycleDay", e.to_string()))?;
    let account = account(tx, new.organization, new.payer).await?;
    rating::lock_accounts(tx, &[(new.organization, account)]).await?;
    let trial_ends_at = offered.trial_end(new.starts_at, schedule.zone())?;
    let id = insert(tx, new, &schedule, account, trial_ends_at, now).await?;
    add_segment(tx, new, seller, id).await?;
    add_periods(tx, &[(new.organization, id)], now).await?;
    if new.starts_at <= now {
        rating::queue_since(tx, &[(new.organization, account)], new.starts_at).await?;
    }
    Ok(id)
}

async fn insert(
    tx: &mut PgConnection,
    new: &NewSubscription,
    schedule: &Schedule,
    account: AccountId,
    trial_ends_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<SubscriptionId> {
    let state = match trial_ends_at {
        Some(end) if now < end => State::Trial,
        Some(_) | None => State::Active,
    };
    let first = schedule
        .index_at(new.starts_at)
        .and_then(|index| schedule.period(index))
        .map_err(|e| Error::invalid("startDate", e.to_string()))?;
    let ends_at = (!new.auto_renew).then(|| first.end());
    let id: SubscriptionId = new_id();
    sqlx::query!(
        "insert into subscriptions (organization_id, id, payer, customer_id, account_id, state, zone, anchor_on, interval_months, starts_at, ends_at, auto_renew, trial_ends_at)
         values ($1, $2, $3, $4, $5, $12, $6, $7, $8, $9, $10, $11, $13)",
        new.organization.uuid(),
        id.uuid(),
        new.payer.kind().as_str(),
        new.payer.customer().map(Uuid::from),
        account.uuid(),
        schedule.zone().name(),
        schedule.anchor_on().to_sqlx(),
        i32::try_from(schedule.interval_months()).unwrap_or(1),
        new.starts_at.to_sqlx(),
        ends_at.map(jiff_sqlx::ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
        new.auto_renew,
        state.as_str(),
        trial_ends_at.map(jiff_sqlx::ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
    )
    .execute(tx)
    .await
    .on_constraint("subscriptions_account_id_excl", || {
        Error::conflict("already_subscribed", "there is a subscription at that time already")
    })?;
    Ok(id)
}

async fn add_segment(
    tx: &mut PgConnection,
    new: &NewSubscription,
    seller: Uuid,
    id: SubscriptionId,
) -> Result<()> {
    let segment: SegmentId = new_id();
    sqlx::query!(
        "insert into subscription_segments (organization_id, id, subscription_id, seller_id, plan_version_id, starts_at)
         values ($1, $2, $3, $4, $5, $6)",
        new.organization.uuid(),
        segment.uuid(),
        id.uuid(),
        seller,
        new.plan_version.uuid(),
        new.starts_at.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What a plan version says of its periods.
pub(super) struct Offered {
    pub(super) interval_months: i64,
    trial_days: i64,
    /// ISO 4217 code.
    pub(super) currency: String,
}

impl Offered {
    fn trial_end(&self, starts_at: Timestamp, zone: &Zone) -> Result<Option<Timestamp>> {
        let days = u16::try_from(self.trial_days).unwrap_or(u16::MAX);
        if days == 0 {
            return Ok(None);
        }
        trial_end(starts_at, days, zone)
            .map(Some)
            .map_err(|e| Error::invalid("startDate", e.to_string()))
    }
}

/// A published version of a plan for subscriptions.
pub(super) async fn offered(
    tx: &mut PgConnection,
    seller: Uuid,
    version: PlanVersionId,
) -> Result<Offered> {
    let offered = sqlx::query_as!(
        Offered,
        r#"select coalesce((v.document ->> 'intervalMonths')::bigint, 1) as "interval_months!",
             coalesce((v.document ->> 'trialDays')::bigint, 0) as "trial_days!", v.currency
           from plan_versions v join plans p on p.seller_id = v.seller_id and p.id = v.plan_id
           where v.seller_id = $1 and v.id = $2 and v.state = 'published' and p.kind = 'subscription'"#,
        seller,
        version.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    offered
        .ok_or_else(|| Error::invalid("planVersionId", "is not a published plan for subscriptions"))
}

/// The account of a payer; an organization gets one when the platform first sells to it.
pub(crate) async fn account(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
) -> Result<AccountId> {
    match payer {
        Payer::Customer(customer) => customer_account(tx, organization, customer).await,
        Payer::Organization => {
            if let Some(account) = own_account(tx, organization).await? {
                return Ok(account);
            }
            sqlx::query!("select hold_usage()")
                .execute(&mut *tx)
                .await?;
            let id: AccountId = new_id();
            sqlx::query!(
                "insert into accounts (organization_id, id, payer) values ($1, $2, 'organization')
                 on conflict (organization_id) where payer = 'organization' do nothing",
                organization.uuid(),
                id.uuid(),
            )
            .execute(&mut *tx)
            .await?;
            let made = own_account(tx, organization).await?;
            made.ok_or(Error::NotFound("organization"))
        }
    }
}

/// The account on which the platform sells to an organization.
async fn own_account(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> Result<Option<AccountId>> {
    let id = sqlx::query_scalar!(
        "select id from accounts where organization_id = $1 and payer = 'organization'",
        organization.uuid()
    );
    Ok(id.fetch_optional(tx).await?.map(AccountId::from))
}

async fn customer_account(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<AccountId> {
    let id = sqlx::query_scalar!(
        "update customers set kind = 'customer', updated_at = now() where organization_id = $1 and id = $2 returning account_id",
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    id.map(AccountId::from).ok_or(Error::NotFound("customer"))
}
