//! What subscriptions are granted: made with their periods, and put right when their terms or their life change.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::GrantId;
use tollbook_core::money::Quantity;
use tollbook_core::rating::DueGrant;
use uuid::Uuid;

use super::contract::Contract;
use super::periods::Due;
use crate::error::Result;
use crate::ids::new_id;

/// Makes the grants of periods that were just made. What a year was granted before is there already.
pub(super) async fn add_grants(tx: &mut PgConnection, due: &[Due<'_>]) -> Result<()> {
    let mut grants: Vec<(&Contract, DueGrant)> = Vec::new();
    for Due {
        contract, period, ..
    } in due
    {
        let (from, until) = (period.billed.start(), period.billed.end());
        let of_period = contract.grants(from, until)?.into_iter();
        grants.extend(of_period.map(|grant| (*contract, grant)));
    }
    insert(tx, &grants).await
}

async fn insert(tx: &mut PgConnection, grants: &[(&Contract, DueGrant)]) -> Result<()> {
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
    let starts: Vec<_> = grants.iter().map(|(_, g)| g.starts_at.to_sqlx()).collect();
    let ends: Vec<_> = grants.iter().map(|(_, g)| g.expires_at.to_sqlx()).collect();
    let payers: Vec<&str> = grants
        .iter()
        .map(|(c, _)| c.payer.kind().as_str())
        .collect();
    let carried: Vec<Option<Decimal>> = grants
        .iter()
        .map(|(_, g)| g.carried_max.map(Quantity::to_decimal))
        .collect();
    sqlx::query!(
        "insert into allowance_grants (organization_id, id, account_id, subscription_id, allowance_key, granted, starts_at, expires_at, payer, carried_max)
         select organization_id, id, account_id, subscription_id, key, granted, starts_at, expires_at, payer, carried_max
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::numeric[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::numeric[])
             as g (organization_id, id, account_id, subscription_id, key, granted, starts_at, expires_at, payer, carried_max)
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
        &carried as &[Option<Decimal>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A grant that is there.
struct Stored {
    id: Uuid,
    granted: Decimal,
    gone: Decimal,
    expires_at: Timestamp,
    carried_max: Option<Decimal>,
}

/// Makes what is granted what the subscription's history says. Its account is locked. Nothing is taken away of what was
/// used: that is given back when the usage is rated again.
pub(super) async fn correct_grants(tx: &mut PgConnection, contract: &Contract) -> Result<()> {
    let Some(last) = contract.last else {
        return Ok(());
    };
    let due = contract.grants(contract.life.starts_at, last.end())?;
    let mut stored = stored(tx, contract).await?;
    let (mut missing, mut changed) = (Vec::new(), Vec::new());
    for grant in due {
        let key = (grant.allowance_key.as_str().to_owned(), grant.starts_at);
        match stored.remove(&key) {
            None => missing.push((contract, grant)),
            Some(it) => {
                let granted = grant.granted.to_decimal().max(it.gone);
                let carried_max = grant.carried_max.map(Quantity::to_decimal);
                let is = (granted, grant.expires_at, carried_max);
                if (it.granted, it.expires_at, it.carried_max) != is {
                    changed.push((it.id, is));
                }
            }
        }
    }
    // Of a cycle that it turned out not to have: next month's, which is made a day ahead.
    let void = stored.into_values().filter(|it| it.granted != it.gone);
    changed.extend(void.map(|it| (it.id, (it.gone, it.expires_at, it.carried_max))));
    insert(tx, &missing).await?;
    if changed.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = changed.iter().map(|(id, _)| *id).collect();
    let granted: Vec<Decimal> = changed.iter().map(|(_, it)| it.0).collect();
    let ends: Vec<_> = changed.iter().map(|(_, it)| it.1.to_sqlx()).collect();
    let carried: Vec<Option<Decimal>> = changed.iter().map(|(_, it)| it.2).collect();
    sqlx::query!(
        "update allowance_grants g set granted = k.granted, expires_at = k.expires_at, carried_max = k.carried_max,
             carried_at = case when k.carried_max is not null then g.carried_at end
         from unnest($2::uuid[], $3::numeric[], $4::timestamptz[], $5::numeric[]) as k (id, granted, expires_at, carried_max)
         where g.organization_id = $1 and g.id = k.id",
        contract.organization.uuid(),
        &ids,
        &granted,
        &ends,
        &carried as &[Option<Decimal>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn stored(
    tx: &mut PgConnection,
    contract: &Contract,
) -> Result<HashMap<(String, Timestamp), Stored>> {
    let rows = sqlx::query!(
        r#"select id, allowance_key, granted, used + forfeited as "gone!", starts_at, expires_at, carried_max from allowance_grants
         where organization_id = $1 and account_id = $2 and subscription_id = $3"#,
        contract.organization.uuid(),
        contract.account.uuid(),
        contract.id.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let stored = Stored {
                id: row.id,
                granted: row.granted,
                gone: row.gone,
                expires_at: row.expires_at.to_jiff(),
                carried_max: row.carried_max,
            };
            ((row.allowance_key, row.starts_at.to_jiff()), stored)
        })
        .collect())
}
