//! Wallets and their movements as programs see them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, WalletId, WalletMovementId};
use tollbook_core::money::{Currency, Fraction};
use tollbook_core::wallets::whole_minor;
use uuid::Uuid;

use super::store::money;
use crate::error::{Error, Result};
use crate::http::seller::Listed;

/// A wallet.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WalletView {
    pub(super) id: Uuid,
    pub(super) org_id: Uuid,
    customer_id: Option<Uuid>,
    currency: String,
    /// What is in it.
    balance: String,
    /// Set aside for calls in progress.
    reserved: String,
    /// How far below nothing it may go.
    credit_limit: String,
    /// What a call may still cost, in whole minor units: balance and limit less what is reserved and what was charged but
    /// not drawn. Below zero if usage was kept that there is no credit for.
    available: String,
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Timestamp,
}

/// A change of a wallet.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MovementView {
    pub(super) id: Uuid,
    wallet_id: Uuid,
    /// `top_up`, `draw`, `expire`, `refund` or `opening`.
    kind: String,
    /// Below zero if it leaves the wallet.
    amount: String,
    currency: String,
    reference: String,
    /// The top-up that it takes from or gives back to; none if it is one.
    lot_id: Option<Uuid>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    user_id: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
}

/// The place of a wallet in the list: the newest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cursor {
    pub(super) created_at: Timestamp,
    pub(super) id: Uuid,
}

fn stored(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a stored wallet: {error}"))
}

/// Wallets of a sale, or one of them.
pub(super) async fn wallets(
    tx: &mut PgConnection,
    listed: Listed,
    only: Option<WalletId>,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<WalletView>> {
    let rows = sqlx::query!(
        "select organization_id, id, customer_id, currency, balance, reserved, credit_limit, undrawn_numerator, undrawn_denominator, created_at
         from wallets
         where ($1::uuid is null or organization_id = $1) -- all organizations: the platform may list its whole sale
             and payer = $2 and ($3::uuid is null or customer_id = $3) and ($4::uuid is null or id = $4)
             and ($5::timestamptz is null or (created_at, id) < ($5, $6))
         order by created_at desc, id desc limit $7",
        listed.organization().map(Uuid::from),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
        only.map(Uuid::from),
        after.map(|after| after.created_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|after| after.id),
        rows,
    )
    .fetch_all(tx)
    .await?;
    let view = rows.into_iter().map(|row| {
        let currency: Currency = row.currency.parse().map_err(|e| stored(&e))?;
        let amount = |value: Decimal| money(value, currency);
        let not_drawn = Fraction::from_decimals(row.undrawn_numerator, row.undrawn_denominator);
        let not_drawn = not_drawn.map_err(|e| stored(&e))?;
        let (balance, reserved) = (amount(row.balance)?, amount(row.reserved)?);
        let credit_limit = amount(row.credit_limit)?;
        let available = balance
            .checked_add(credit_limit)
            .and_then(|it| it.checked_sub(reserved))
            .and_then(|it| whole_minor(it.to_fraction().checked_sub(not_drawn)?, currency));
        Ok(WalletView {
            id: row.id,
            org_id: row.organization_id,
            customer_id: row.customer_id,
            balance: balance.amount(),
            reserved: reserved.amount(),
            credit_limit: credit_limit.amount(),
            available: available.map_err(|e| stored(&e))?.amount(),
            currency: row.currency,
            created_at: row.created_at.to_jiff(),
        })
    });
    view.collect()
}

/// Movements of a wallet, the newest first: `rows` of them after `after`, or those named in `only`.
pub(super) async fn movements(
    tx: &mut PgConnection,
    organization: OrganizationId,
    wallet: WalletId,
    only: Option<&[WalletMovementId]>,
    after: Option<Uuid>,
    rows: i64,
) -> Result<Vec<MovementView>> {
    let only: Option<Vec<Uuid>> = only.map(|ids| ids.iter().map(|id| id.uuid()).collect());
    let rows = sqlx::query!(
        "select m.id, m.wallet_id, m.kind, m.amount, w.currency, m.reference, m.lot_id, m.expires_at, m.created_by, m.occurred_at
         from wallet_movements m
         join wallets w on w.organization_id = m.organization_id and w.id = m.wallet_id
         where m.organization_id = $1 and m.wallet_id = $2 and ($3::uuid[] is null or m.id = any($3)) and ($4::uuid is null or m.id < $4)
         order by m.id desc limit $5",
        organization.uuid(),
        wallet.uuid(),
        only.as_deref(),
        after,
        rows,
    )
    .fetch_all(tx)
    .await?;
    let view = rows.into_iter().map(|row| {
        let currency: Currency = row.currency.parse().map_err(|e| stored(&e))?;
        Ok(MovementView {
            id: row.id,
            wallet_id: row.wallet_id,
            kind: row.kind,
            amount: money(row.amount, currency)?.amount(),
            currency: row.currency,
            reference: row.reference,
            lot_id: row.lot_id,
            expires_at: row.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
            user_id: row.created_by,
            occurred_at: row.occurred_at.to_jiff(),
        })
    });
    view.collect()
}
