//! Rates usage again that a deck prices otherwise now, or prices at all.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, OrganizationId};
use tollbook_core::plans::Key;
use uuid::Uuid;

use crate::app::App;
use crate::error::Result;
use crate::rating;

/// Accounts of one transaction.
const ACCOUNTS_MAX: i64 = 50;

/// Queues the usage since a time of everybody who pays by a deck, and lets go on what waited for a price. It begins when the
/// deck's new version is there for all: whoever rated on the one before has the account, or is found here.
pub(crate) async fn rate_again(
    app: &App,
    organization: Option<OrganizationId>,
    deck: &Key,
    since: Timestamp,
) -> Result<()> {
    let mut after = (
        OrganizationId::new(Uuid::nil()),
        AccountId::new(Uuid::nil()),
    );
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    loop {
        let mut tx = app.db.begin_work(&Actor::system()).await?;
        let accounts = payers(&mut tx, seller, deck, since, after, ACCOUNTS_MAX).await?;
        let Some(last) = accounts.last() else {
            return Ok(());
        };
        after = *last;
        rating::lock_accounts(&mut tx, &accounts).await?;
        rating::queue_since(&mut tx, &accounts, since).await?;
        rating::unpark(&mut tx, &accounts).await?;
        tx.commit().await?;
        app.wake.rating.notify_one();
    }
}

/// The accounts after one that pay by a deck for usage since a time: as subscribers, or by the call.
pub(super) async fn payers(
    tx: &mut PgConnection,
    seller: Uuid,
    deck: &Key,
    since: Timestamp,
    (organization, account): (OrganizationId, AccountId),
    rows: i64,
) -> Result<Vec<(OrganizationId, AccountId)>> {
    let rows = sqlx::query_file!(
        "src/decks/payers.sql",
        seller,
        deck.as_str(),
        since.to_sqlx(),
        organization.uuid(),
        account.uuid(),
        rows,
    )
    .fetch_all(tx)
    .await?;
    let keys = rows
        .into_iter()
        .map(|row| (row.organization_id.into(), row.account_id.into()));
    Ok(keys.collect())
}
