//! Credit that was not used in time is lost, once everything that was used before is paid with it.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, OrganizationId};
use uuid::Uuid;

use super::store::{self, Kind, Row};
use crate::app::App;
use crate::error::{Error, Result};
use crate::rating;

/// Wallets of one transaction.
const BATCH_MAX: i64 = 100;

/// Takes expired credit out of all wallets. Left for the next time is what a call in progress holds, and the wallets of
/// accounts whose usage waits to be rated.
pub(crate) async fn expire_due(app: &App) -> Result<()> {
    let mut after = (Uuid::nil(), Uuid::nil());
    loop {
        let now = app.clock.now();
        let due = due(app, now, after).await?;
        let Some(last) = due.last() else {
            return Ok(());
        };
        after = (last.organization, last.wallet);
        expire(app, &due, now).await?;
    }
}

struct Due {
    organization: Uuid,
    wallet: Uuid,
    account: Uuid,
}

async fn due(app: &App, now: Timestamp, after: (Uuid, Uuid)) -> Result<Vec<Due>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let rows = sqlx::query_as!(
        Due,
        r#"select w.organization_id as organization, w.id as wallet, w.account_id as account
         from (select distinct l.organization_id, l.wallet_id from wallet_lots l
             where l.used < l.amount and l.expires_at <= $1 and (l.organization_id, l.wallet_id) > ($2, $3)
             -- all organizations: the schedule is the platform's
             ) l
         join wallets w on w.organization_id = l.organization_id and w.id = l.wallet_id
         where not exists (select from rating_queue q where q.organization_id = w.organization_id and q.account_id = w.account_id
             and (q.parked_at is null or q.cost_id is not null))
         order by w.organization_id, w.id limit $4"#,
        now.to_sqlx(),
        after.0,
        after.1,
        BATCH_MAX,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows)
}

async fn expire(app: &App, due: &[Due], now: Timestamp) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let accounts: Vec<(OrganizationId, AccountId)> = due
        .iter()
        .map(|it| (it.organization.into(), it.account.into()))
        .collect();
    rating::lock_accounts(&mut tx, &accounts).await?;
    let organizations: Vec<Uuid> = due.iter().map(|it| it.organization).collect();
    let ids: Vec<Uuid> = due.iter().map(|it| it.wallet).collect();
    let rows = sqlx::query_as!(
        Row,
        "select w.organization_id, w.id, w.account_id, w.customer_id, w.currency, w.reserved, w.credit_limit, w.undrawn_numerator,
             w.undrawn_denominator, w.unapplied
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join wallets w on w.organization_id = k.organization_id and w.id = k.id
         order by w.organization_id, w.id for no key update of w",
        &organizations,
        &ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut wallets = store::held(&mut tx, rows, false).await?;
    let mut moved = Vec::new();
    for wallet in &mut wallets {
        let changes = wallet.kept.expire(now);
        let changes = changes.map_err(|e| Error::Internal(format!("credit cannot expire: {e}")))?;
        moved.extend(store::movements(wallet, Kind::Expire, &changes, ""));
    }
    store::move_all(&mut tx, &moved, now).await?;
    // Usage that was kept before stays kept: nothing here may make it more.
    store::write(&mut tx, &wallets, true).await?;
    tx.commit().await?;
    Ok(())
}
