//! Makes the periods of subscriptions, each once, with its base fee and its grants.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, GrantId, OrganizationId, PeriodId, SubscriptionId};
use tollbook_core::rating::{DueGrant, due_grants};
use tollbook_core::subscriptions::BillingPeriod;
use tollbook_core::time::Period;
use uuid::Uuid;

use super::contract::{self, Contract};
use super::extend::AHEAD;
use super::fee::add_fees;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::rating;

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
    add_grants(tx, &due).await?;
    let accounts: Vec<(OrganizationId, AccountId)> = contracts
        .iter()
        .map(|it| (it.organization, it.account))
        .collect();
    rating::unpark(tx, &accounts).await
}

fn of_contract(contract: &Contract, now: Timestamp) -> Result<Vec<Due<'_>>> {
    let until = horizon(now.max(contract.starts_at));
    let periods = contract
        .schedule
        .periods(contract.starts_at, contract.ends_at, until)
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

/// The grants of the cycles that begin with periods, or that subscriptions start in.
async fn add_grants(tx: &mut PgConnection, due: &[Due<'_>]) -> Result<()> {
    let mut grants: Vec<(&Contract, DueGrant)> = Vec::new();
    for Due {
        contract, period, ..
    } in due
    {
        let document = &contract.plan.document;
        let of_period = due_grants(document, &contract.schedule, period.billed.start())
            .map_err(|e| Error::Internal(format!("the grants of a period: {e}")))?;
        grants.extend(of_period.into_iter().map(|grant| (*contract, grant)));
    }
    if grants.is_empty() {
        return Ok(());
    }
    let organizations: Vec<Uuid> = grants.iter().map(|(c, _)| c.organization.uuid()).collect();
    let ids: Vec<Uuid> = grants
        .iter()
        .map(|_| GrantId::new(new_id()).uuid())
        .collect();
    let accounts: Vec<Uuid> = grants.iter().map(|(c, _)| c.account.uuid()).collect();
    let subscriptions: Vec<Uuid> = grants.iter().map(|(c, _)| c.id.uuid()).collect();
    let keys: Vec<&str> = grants
        .iter()
        .map(|(_, g)| g.allowance_key.as_str())
        .collect();
    let granted: Vec<_> = grants.iter().map(|(_, g)| g.granted.to_decimal()).collect();
    // A subscription may start within a cycle: its grant is good from its start on.
    let starts: Vec<_> = grants
        .iter()
        .map(|(c, g)| g.starts_at.max(c.starts_at).to_sqlx())
        .collect();
    let ends: Vec<_> = grants.iter().map(|(_, g)| g.expires_at.to_sqlx()).collect();
    let payers: Vec<&str> = grants
        .iter()
        .map(|(c, _)| c.payer.kind().as_str())
        .collect();
    sqlx::query!(
        "insert into allowance_grants (organization_id, id, account_id, subscription_id, allowance_key, granted, starts_at, expires_at, payer)
         select organization_id, id, account_id, subscription_id, key, granted, starts_at, expires_at, payer
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::numeric[], $7::timestamptz[], $8::timestamptz[], $9::text[])
             as g (organization_id, id, account_id, subscription_id, key, granted, starts_at, expires_at, payer)
         order by organization_id, account_id, subscription_id, key, starts_at
         on conflict (organization_id, account_id, subscription_id, allowance_key, starts_at) do nothing",
        &organizations,
        &ids,
        &accounts,
        &subscriptions,
        &keys as &[&str],
        &granted,
        &starts,
        &ends,
        &payers as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}
