//! Makes the periods of subscriptions, each once, with its base fee and its grants.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, OrganizationId, PeriodId, SubscriptionId};
use tollbook_core::subscriptions::BillingPeriod;
use tollbook_core::time::Period;
use uuid::Uuid;

use super::contract::{self, Contract};
use super::extend::AHEAD;
use super::fee::{add_fees, place};
use super::grants::add_grants;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::{invoices, rating};

/// Periods that begin before this are made.
pub(super) fn horizon(now: Timestamp) -> Timestamp {
    now.checked_add(AHEAD).unwrap_or(Timestamp::MAX)
}

/// A period to make.
pub(super) struct Due<'a> {
    pub(super) contract: &'a Contract,
    pub(super) id: PeriodId,
    pub(super) period: BillingPeriod,
    /// The one before.
    pub(super) previous: Option<Period>,
}

/// Makes the periods that begin before a day from now and are not there yet. The subscriptions and their accounts are
/// locked, or new.
pub(super) async fn add_periods(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, SubscriptionId)],
    now: Timestamp,
) -> Result<()> {
    let contracts = contract::load(tx, keys).await?;
    let mut due = Vec::new();
    for contract in &contracts {
        due.extend(of_contract(contract, now)?);
    }
    insert_periods(tx, &due).await?;
    add_fees(tx, &due, now).await?;
    let periods = due.iter().map(|it| (it.contract, it.period.billed));
    open_committed(tx, periods, now).await?;
    add_grants(tx, &due).await?;
    let accounts: Vec<(OrganizationId, AccountId)> = contracts
        .iter()
        .map(|it| (it.organization, it.account))
        .collect();
    rating::unpark(tx, &accounts).await
}

fn of_contract(contract: &Contract, now: Timestamp) -> Result<Vec<Due<'_>>> {
    let until = horizon(now.max(contract.life.starts_at));
    let until = contract.life.ends_at.map_or(until, |end| until.min(end));
    // A period is whole, whenever the subscription ends: its end may be taken back.
    let periods = contract
        .schedule
        .periods(contract.life.starts_at, None, until)
        .map_err(|e| Error::Internal(e.to_string()))?;
    let mut previous = contract.last;
    let due = periods.into_iter().skip(contract.known).map(|period| Due {
        contract,
        id: new_id(),
        previous: previous.replace(period.billed),
        period,
    });
    Ok(due.collect())
}

/// A period with a minimum commitment has its document even if nothing is used in it.
pub(super) async fn open_committed<'a>(
    tx: &mut PgConnection,
    periods: impl Iterator<Item = (&'a Contract, Period)>,
    now: Timestamp,
) -> Result<()> {
    let places: BTreeSet<_> = periods
        .filter_map(|(contract, period)| {
            let (plan, _) = contract.commitment(&period)?;
            Some(place(contract, period, plan.document.currency))
        })
        .collect();
    if !places.is_empty() {
        invoices::open_drafts(tx, &places, now).await?;
    }
    Ok(())
}

async fn insert_periods(tx: &mut PgConnection, due: &[Due<'_>]) -> Result<()> {
    let organizations: Vec<Uuid> = due.iter().map(|d| d.contract.organization.uuid()).collect();
    let ids: Vec<Uuid> = due.iter().map(|d| d.id.uuid()).collect();
    let subscriptions: Vec<Uuid> = due.iter().map(|d| d.contract.id.uuid()).collect();
    let previous: Vec<Option<jiff_sqlx::Timestamp>> = due
        .iter()
        .map(|d| d.previous.map(|it| it.end().to_sqlx()))
        .collect();
    let starts: Vec<_> = due
        .iter()
        .map(|d| d.period.billed.start().to_sqlx())
        .collect();
    let ends: Vec<_> = due
        .iter()
        .map(|d| d.period.billed.end().to_sqlx())
        .collect();
    let payers: Vec<&str> = due
        .iter()
        .map(|d| d.contract.payer.kind().as_str())
        .collect();
    sqlx::query!(
        "insert into billing_periods (organization_id, id, subscription_id, prev_end, starts_at, ends_at, payer)
         select organization_id, id, subscription_id, prev_end, starts_at, ends_at, payer
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[])
             as p (organization_id, id, subscription_id, prev_end, starts_at, ends_at, payer)
         order by organization_id, subscription_id, starts_at",
        &organizations,
        &ids,
        &subscriptions,
        &previous as &[Option<jiff_sqlx::Timestamp>],
        &starts,
        &ends,
        &payers as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}
