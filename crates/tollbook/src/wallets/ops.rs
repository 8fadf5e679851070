//! Wallets are opened, topped up and paid out by people.

use jiff::Timestamp;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, WalletId, WalletMovementId};
use tollbook_core::money::{Currency, Fraction, Money, Price};
use tollbook_core::payer::Payer;
use tollbook_core::wallets::{Kept, KeptLot, Lot, WalletError};
use uuid::Uuid;

use super::store::{self, Held, Kind, Movement, Row, decimal};
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;
use crate::{rating, subscriptions};

/// A wallet to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewWallet {
    pub(super) organization: OrganizationId,
    pub(super) payer: Payer,
    pub(super) currency: Currency,
    pub(super) credit_limit: Money,
}

/// Opens a wallet. What is charged on the payer's drafts already is charged to it.
pub(super) async fn open(tx: &mut PgConnection, new: &NewWallet) -> Result<WalletId> {
    let account = subscriptions::account(tx, new.organization, new.payer).await?;
    rating::lock_accounts(tx, &[(new.organization, account)]).await?;
    let not_drawn = on_drafts(tx, new).await?;
    let kept = Kept {
        not_drawn,
        ..Kept::new(new.currency, new.credit_limit)
    };
    let wrong =
        |e: &dyn std::fmt::Display| Error::Internal(format!("a wallet cannot be opened: {e}"));
    let (numerator, denominator) = not_drawn.to_decimals().map_err(|e| wrong(&e))?;
    let is_overdrawn = kept.available().map_err(|e| wrong(&e))?.is_negative();
    let id: WalletId = new_id();
    sqlx::query!(
        "insert into wallets (organization_id, id, account_id, customer_id, currency, minor_digits, credit_limit, undrawn_numerator, undrawn_denominator, is_overdrawn)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.organization.uuid(),
        id.uuid(),
        account.uuid(),
        new.payer.customer().map(Uuid::from),
        new.currency.code(),
        i16::try_from(new.currency.exponent()).map_err(|e| wrong(&e))?,
        decimal(new.credit_limit),
        numerator,
        denominator,
        is_overdrawn,
    )
    .execute(tx)
    .await
    .on_constraint("wallets_account_currency_key", || {
        Error::conflict("wallet_exists", "the payer has a wallet in this currency already")
    })?;
    Ok(id)
}

/// What the charges on the payer's drafts come to. A draft that is being finalized is waited for: it pays without the
/// wallet.
async fn on_drafts(tx: &mut PgConnection, new: &NewWallet) -> Result<Fraction> {
    let drafts = sqlx::query_scalar!(
        "select id from invoices where organization_id = $1 and payer = $2 and customer_id is not distinct from $3 and currency = $4
             and state = 'draft' and kind <> 'one_off' order by id for no key update",
        new.organization.uuid(),
        new.payer.kind().as_str(),
        new.payer.customer().map(Uuid::from),
        new.currency.code(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let sums = sqlx::query!(
        r#"select sum(c.amount_numerator) as "numerator!", c.amount_denominator as denominator from charges c
         where c.organization_id = $1 and c.invoice_id in (
             select unnest($2::uuid[])
             -- What was on void invoices is gathered again.
             union all select r.void_invoice_id from recharges r where r.organization_id = $1 and r.document_id = any($2))
         group by c.amount_denominator"#,
        new.organization.uuid(),
        &drafts,
    )
    .fetch_all(tx)
    .await?;
    let read = |numerator: Decimal, denominator: Decimal| {
        Fraction::from_decimals(numerator, denominator)
            .map_err(|e| Error::Internal(format!("a stored charge: {e}")))
    };
    sums.into_iter().try_fold(Fraction::ZERO, |sum, row| {
        let part = read(row.numerator, row.denominator)?;
        sum.checked_add(part)
            .map_err(|e| Error::Internal(format!("charges cannot be added up: {e}")))
    })
}

/// Locks a wallet, after its account.
async fn hold(tx: &mut PgConnection, organization: OrganizationId, id: WalletId) -> Result<Held> {
    let account = sqlx::query_scalar!(
        "select account_id from wallets where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::NotFound("wallet"))?;
    rating::lock_accounts(tx, &[(organization, account.into())]).await?;
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, account_id, customer_id, currency, reserved, credit_limit, undrawn_numerator, undrawn_denominator,
             unapplied
         from wallets where organization_id = $1 and id = $2 for no key update",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let held = store::held(tx, rows, true).await?;
    held.into_iter().next().ok_or(Error::NotFound("wallet"))
}

/// Credit to bring or to pay out.
#[derive(Debug, Clone)]
pub(super) struct ByHand {
    pub(super) organization: OrganizationId,
    pub(super) wallet: WalletId,
    pub(super) amount: Price,
    /// The number of the transfer, or a reason.
    pub(super) reference: String,
    /// First instant at which what is left of it is lost.
    pub(super) expires_at: Option<Timestamp>,
}

impl ByHand {
    fn money(&self, currency: Currency) -> Result<Money> {
        let amount = Money::from_price(self.amount, currency)
            .map_err(|e| Error::invalid("amount", e.to_string()))?;
        if amount.minor() <= 0 {
            return Err(Error::invalid("amount", "must be above zero"));
        }
        Ok(amount)
    }
}

/// Brings credit. It pays at once for usage that was kept.
pub(super) async fn top_up(
    tx: &mut PgConnection,
    by_hand: &ByHand,
    now: Timestamp,
) -> Result<Vec<WalletMovementId>> {
    let mut held = hold(tx, by_hand.organization, by_hand.wallet).await?;
    let amount = by_hand.money(held.kept.currency)?;
    if by_hand.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::invalid("expiresAt", "must be in the future"));
    }
    let brought = Movement {
        id: new_id(),
        organization: held.organization,
        wallet: held.id,
        payer: held.payer,
        kind: Kind::TopUp,
        lot: None,
        amount,
        reference: by_hand.reference.clone(),
        expires_at: by_hand.expires_at,
    };
    store::move_all(tx, std::slice::from_ref(&brought), now).await?;
    store::insert_lots(tx, std::slice::from_ref(&brought), now).await?;
    held.kept.lots.push(KeptLot {
        lot: Lot {
            id: brought.id,
            left: amount,
            received_at: now,
            expires_at: by_hand.expires_at,
        },
        used: Money::zero(held.kept.currency),
    });
    let too_much = |e: &dyn std::fmt::Display| Error::invalid("amount", e.to_string());
    held.kept.available().map_err(|e| too_much(&e))?;
    let drawn = held.kept.charge(Fraction::ZERO, now);
    let drawn = drawn.map_err(|e| too_much(&e))?;
    let drawn = store::movements(&held, Kind::Draw, &drawn, "");
    store::move_all(tx, &drawn, now).await?;
    store::write(tx, &[held], true).await?;
    let brought = std::iter::once(&brought).chain(&drawn);
    Ok(brought.map(|movement| movement.id).collect())
}

/// Pays credit out: no more than is there and not held by a call in progress.
pub(super) async fn refund(
    tx: &mut PgConnection,
    by_hand: &ByHand,
    now: Timestamp,
) -> Result<Vec<WalletMovementId>> {
    let mut held = hold(tx, by_hand.organization, by_hand.wallet).await?;
    if by_hand.expires_at.is_some() {
        return Err(Error::invalid("expiresAt", "is for a top-up"));
    }
    let amount = by_hand.money(held.kept.currency)?;
    let changes = held
        .kept
        .withdraw(amount, now)
        .map_err(|error| match error {
            WalletError::Insufficient { .. } => {
                Error::conflict("insufficient_credit", error.to_string())
            }
            WalletError::Money(_)
            | WalletError::NotPositive
            | WalletError::Twice
            | WalletError::LotTooSmall(_) => Error::invalid("amount", error.to_string()),
        })?;
    let moved = store::movements(&held, Kind::Refund, &changes, &by_hand.reference);
    store::move_all(tx, &moved, now).await?;
    store::write(tx, &[held], false).await?;
    Ok(moved.iter().map(|movement| movement.id).collect())
}

/// Sets how far below nothing a wallet may go. What calls in progress hold already stays promised.
pub(super) async fn limit(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: WalletId,
    credit_limit: Price,
) -> Result<()> {
    let mut held = hold(tx, organization, id).await?;
    held.kept.credit_limit = credit_limit_of(credit_limit, held.kept.currency)?;
    let available = held.kept.available();
    let available = available.map_err(|e| Error::invalid("creditLimit", e.to_string()))?;
    sqlx::query!(
        "update wallets set credit_limit = $3, is_overdrawn = $4 where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
        decimal(held.kept.credit_limit),
        available.is_negative(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A limit in a currency.
pub(super) fn credit_limit_of(limit: Price, currency: Currency) -> Result<Money> {
    let limit = Money::from_price(limit, currency)
        .map_err(|e| Error::invalid("creditLimit", e.to_string()))?;
    if limit.minor() < 0 {
        return Err(Error::invalid("creditLimit", "must not be less than zero"));
    }
    Ok(limit)
}
