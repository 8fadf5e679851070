//! Calls of whose end nothing was heard in time: nothing is held for them any more.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, OrganizationId};
use uuid::Uuid;

use super::store::{self, Key};
use crate::app::App;
use crate::error::Result;
use crate::rating;

/// Accounts of one transaction.
const BATCH_MAX: i64 = 100;

/// Gives back what is held for calls that have expired. Their usage is charged whenever it comes.
pub(crate) async fn expire_due(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let mut tx = app.db.begin(&Actor::system()).await?;
        let accounts = due(&mut tx, now).await?;
        if accounts.is_empty() {
            return Ok(());
        }
        rating::lock_accounts(&mut tx, &accounts).await?;
        let keys = expired(&mut tx, &accounts, now).await?;
        store::close(&mut tx, &keys, "expired", now).await?;
        tx.commit().await?;
    }
}

async fn due(tx: &mut PgConnection, now: Timestamp) -> Result<Vec<(OrganizationId, AccountId)>> {
    let rows = sqlx::query!(
        "select distinct r.organization_id, r.account_id from (
             select organization_id, account_id from call_reservations
             where state = 'open' and expires_at <= $1 order by expires_at limit $2
             -- all organizations: the schedule is the platform's
         ) r",
        now.to_sqlx(),
        BATCH_MAX,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id.into(), row.account_id.into()))
        .collect())
}

/// What of these accounts, which are locked, is still held and has expired.
async fn expired(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
    now: Timestamp,
) -> Result<Vec<Key>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        accounts.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    let rows = sqlx::query!(
        "select r.organization_id, r.authorization_id, r.account_id
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join call_reservations r on r.organization_id = k.organization_id and r.account_id = k.id
         where r.state = 'open' and r.expires_at <= $3",
        &organizations,
        &ids,
        now.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let key = |row: (Uuid, Uuid, Uuid)| (row.0.into(), row.1.into(), row.2.into());
    Ok(rows
        .into_iter()
        .map(|row| key((row.organization_id, row.authorization_id, row.account_id)))
        .collect())
}
