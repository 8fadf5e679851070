//! Holding a payer's money still, and what the payer has as credit.

use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::{Currency, Money};
use tollbook_core::payer::Payer;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::subscriptions;

/// Locks the payer's account until the end of the transaction: payments, credit notes and voids of one payer follow
/// each other.
pub(crate) async fn hold_payer(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
) -> Result<()> {
    let account = subscriptions::account(tx, organization, payer).await?;
    sqlx::query!(
        "select id from accounts where organization_id = $1 and id = $2 for no key update",
        organization.uuid(),
        account.uuid(),
    )
    .fetch_one(tx)
    .await?;
    Ok(())
}

/// What the payer has paid or been credited beyond what they owe.
pub(crate) async fn credit(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
    currency: Currency,
) -> Result<Money> {
    let minor = sqlx::query_scalar!(
        "select credit_minor from ledger_accounts
         where organization_id = $1 and payer = $2 and kind = 'customer_credit' and customer_id is not distinct from $3 and currency = $4",
        organization.uuid(),
        payer.kind().as_str(),
        payer.customer().map(Uuid::from),
        currency.code(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(Money::from_minor(minor.unwrap_or(0), currency))
}

/// What `ledger_accounts_credit_check` refuses.
pub(crate) fn credit_is_spent() -> Error {
    Error::conflict(
        "credit_spent",
        "the payer's credit that came of this has been used; take back what it paid first",
    )
}
