//! Statements on callers.

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use uuid::Uuid;

use super::super::recognize::{Caller, Match, Prospect};
use crate::ids::new_id;

/// Who had each number at the time, with the caller's place. What was merged is what it was merged into.
pub(in super::super) async fn matches(
    tx: &mut PgConnection,
    callers: &[Caller],
) -> sqlx::Result<Vec<(usize, Match)>> {
    let (organizations, numbers) = keys(callers);
    let times: Vec<_> = callers.iter().map(|c| c.at.to_sqlx()).collect();
    let rows = sqlx::query!(
        r#"select distinct k.ordinal as "ordinal!", coalesce(t.id, c.id) as "id!", coalesce(t.kind, c.kind) = 'prospect' as "is_prospect!"
         from unnest($1::uuid[], $2::text[], $3::timestamptz[]) with ordinality as k(organization_id, e164, at, ordinal)
         join customer_numbers n on n.organization_id = k.organization_id and n.e164 = k.e164
             and n.starts_at <= k.at and (n.ends_at is null or n.ends_at > k.at)
         join customers c on c.organization_id = n.organization_id and c.id = n.customer_id
         left join customers t on t.organization_id = c.organization_id and t.id = c.merged_into_id
         order by 1, 2"#,
        &organizations,
        &numbers as &[&str],
        &times,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let index = usize::try_from(row.ordinal.saturating_sub(1)).unwrap_or(usize::MAX);
            let one = Match {
                customer: row.id.into(),
                is_prospect: row.is_prospect,
            };
            (index, one)
        })
        .collect())
}

fn keys(callers: &[Caller]) -> (Vec<Uuid>, Vec<&str>) {
    callers
        .iter()
        .map(|c| (c.organization.uuid(), c.number.as_str()))
        .unzip()
}

/// Waits for persons, in key order, and keeps others from them until the transaction ends. There may be no row to lock
/// yet, so the locks are on digests of the keys.
pub(in super::super) async fn hold(
    tx: &mut PgConnection,
    persons: &BTreeSet<(OrganizationId, &str)>,
) -> sqlx::Result<()> {
    let (organizations, numbers): (Vec<Uuid>, Vec<&str>) = persons
        .iter()
        .map(|(o, number)| (o.uuid(), *number))
        .unzip();
    sqlx::query!(
        "select pg_advisory_xact_lock(k.digest) from (
             select distinct hashtextextended(u.organization_id::text || u.e164, 0) as digest
             from unnest($1::uuid[], $2::text[]) as u(organization_id, e164) order by 1) k",
        &organizations,
        &numbers as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// The same without waiting: whether nobody else holds any of them.
pub(in super::super) async fn try_hold(
    tx: &mut PgConnection,
    callers: &[Caller],
) -> sqlx::Result<bool> {
    let (organizations, numbers) = keys(callers);
    sqlx::query_scalar!(
        r#"select coalesce(bool_and(pg_try_advisory_xact_lock(k.digest)), true) as "is_held!" from (
             select distinct hashtextextended(u.organization_id::text || u.e164, 0) as digest
             from unnest($1::uuid[], $2::text[]) as u(organization_id, e164)) k"#,
        &organizations,
        &numbers as &[&str],
    )
    .fetch_one(tx)
    .await
}

/// One account and one nameless customer each.
pub(in super::super) async fn insert_accounts_and_customers(
    tx: &mut PgConnection,
    prospects: &[Prospect],
) -> sqlx::Result<()> {
    let organizations: Vec<Uuid> = prospects.iter().map(|p| p.organization.uuid()).collect();
    let customers: Vec<Uuid> = prospects.iter().map(|p| p.customer.uuid()).collect();
    let accounts: Vec<Uuid> = prospects.iter().map(|_| new_id()).collect();
    sqlx::query!(
        "insert into accounts (organization_id, id, payer)
         select t.organization_id, t.id, 'customer' from unnest($1::uuid[], $2::uuid[]) as t(organization_id, id)
         order by t.organization_id, t.id",
        &organizations,
        &accounts,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into customers (organization_id, id, account_id, kind)
         select t.organization_id, t.id, t.account_id, 'prospect'
         from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as t(organization_id, id, account_id)
         order by t.organization_id, t.id",
        &organizations,
        &customers,
        &accounts,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Each prospect has the number from the end of whoever had it before until the next one has it.
pub(in super::super) async fn insert_numbers(
    tx: &mut PgConnection,
    prospects: &[Prospect],
) -> sqlx::Result<()> {
    let organizations: Vec<Uuid> = prospects.iter().map(|p| p.organization.uuid()).collect();
    let customers: Vec<Uuid> = prospects.iter().map(|p| p.customer.uuid()).collect();
    let ids: Vec<Uuid> = prospects.iter().map(|_| new_id()).collect();
    let numbers: Vec<&str> = prospects.iter().map(|p| p.number.as_str()).collect();
    let times: Vec<_> = prospects.iter().map(|p| p.at.to_sqlx()).collect();
    sqlx::query!(
        "insert into customer_numbers (organization_id, id, customer_id, e164, starts_at, ends_at)
         select t.organization_id, t.id, t.customer_id, t.e164, coalesce(
                 (select max(n.ends_at) from customer_numbers n
                  where n.organization_id = t.organization_id and n.e164 = t.e164 and n.ends_at <= t.at), '-infinity'),
             (select min(n.starts_at) from customer_numbers n
              where n.organization_id = t.organization_id and n.e164 = t.e164 and n.starts_at > t.at)
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[]) as t(organization_id, id, customer_id, e164, at)
         order by t.organization_id, t.e164",
        &organizations,
        &ids,
        &customers,
        &numbers as &[&str],
        &times,
    )
    .execute(tx)
    .await?;
    Ok(())
}
