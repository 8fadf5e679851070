//! Prepaid credit that is brought along from another system.

use jiff::Timestamp;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId, WalletId, WalletMovementId};
use tollbook_core::money::{Currency, Money};
use tollbook_core::payer::Payer;
use uuid::Uuid;

use super::store::{self, Kind, Movement, decimal};
use crate::error::{Error, Result};

/// A wallet to be, of a customer who is new and so has nothing on drafts.
#[derive(Debug, Clone)]
pub(crate) struct OpeningWallet {
    pub(crate) id: WalletId,
    pub(crate) account: AccountId,
    pub(crate) customer: CustomerId,
    pub(crate) currency: Currency,
    pub(crate) lots: Vec<OpeningLot>,
}

/// What is in it.
#[derive(Debug, Clone)]
pub(crate) struct OpeningLot {
    pub(crate) id: WalletMovementId,
    pub(crate) amount: Money,
    /// First instant at which what is left of it is lost; not before now.
    pub(crate) expires_at: Option<Timestamp>,
}

/// Opens wallets with what is in them.
pub(crate) async fn open_with(
    tx: &mut PgConnection,
    organization: OrganizationId,
    wallets: &[OpeningWallet],
    now: Timestamp,
) -> Result<()> {
    if wallets.is_empty() {
        return Ok(());
    }
    insert(tx, organization, wallets).await?;
    let movements: Vec<Movement> = wallets
        .iter()
        .flat_map(|wallet| wallet.lots.iter().map(move |lot| (wallet, lot)))
        .map(|(wallet, lot)| Movement {
            id: lot.id,
            organization,
            wallet: wallet.id,
            payer: Payer::Customer(wallet.customer),
            kind: Kind::Opening,
            lot: None,
            amount: lot.amount,
            reference: String::new(),
            expires_at: lot.expires_at,
        })
        .collect();
    store::move_all(tx, &movements, now).await?;
    store::insert_lots(tx, &movements, now).await
}

async fn insert(
    tx: &mut PgConnection,
    organization: OrganizationId,
    wallets: &[OpeningWallet],
) -> Result<()> {
    let wrong =
        |e: &dyn std::fmt::Display| Error::Internal(format!("a wallet cannot be opened: {e}"));
    let ids: Vec<Uuid> = wallets.iter().map(|it| it.id.uuid()).collect();
    let accounts: Vec<Uuid> = wallets.iter().map(|it| it.account.uuid()).collect();
    let customers: Vec<Uuid> = wallets.iter().map(|it| it.customer.uuid()).collect();
    let currencies: Vec<&str> = wallets.iter().map(|it| it.currency.code()).collect();
    let digits = wallets
        .iter()
        .map(|it| i16::try_from(it.currency.exponent()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| wrong(&e))?;
    let balances = wallets
        .iter()
        .map(|wallet| {
            let mut amounts = wallet.lots.iter().map(|lot| lot.amount);
            let sum = amounts.try_fold(Money::zero(wallet.currency), Money::checked_add);
            sum.map(decimal)
        })
        .collect::<Result<Vec<Decimal>, _>>()
        .map_err(|e| wrong(&e))?;
    sqlx::query!(
        "insert into wallets (organization_id, id, account_id, customer_id, currency, minor_digits, balance)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::smallint[], $7::numeric[]) as w order by 3, 5",
        organization.uuid(),
        &ids,
        &accounts,
        &customers,
        &currencies as &[&str],
        &digits,
        &balances,
    )
    .execute(tx)
    .await?;
    Ok(())
}
