//! Wallets as rows: locked with their lots, changed in core, and written back with a movement and a ledger entry for each
//! change.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId, WalletId, WalletMovementId};
use tollbook_core::ledger::{
    Entry, LedgerError, opening_wallet, wallet_draw, wallet_expiry, wallet_refund, wallet_top_up,
};
use tollbook_core::money::{Currency, Fraction, Money, Price};
use tollbook_core::payer::Payer;
use tollbook_core::wallets::{Change, Kept, KeptLot, Lot};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::ledger;

/// Why a wallet changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Credit was brought.
    TopUp,
    /// Usage was charged, or a document paid; above zero, a correction took it back.
    Draw,
    /// Credit was not used in time.
    Expire,
    /// Credit was paid out.
    Refund,
    /// Credit was brought along from another system.
    Opening,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Draw => "draw",
            Self::Expire => "expire",
            Self::Refund => "refund",
            Self::Opening => "opening",
        }
    }

    /// What it does to the ledger.
    fn entry(self, payer: Payer, amount: Money) -> Result<Entry, LedgerError> {
        let size = Money::from_minor(amount.minor().saturating_abs(), amount.currency());
        match self {
            Self::TopUp => wallet_top_up(payer, size),
            Self::Draw if amount.minor() > 0 => Ok(wallet_draw(payer, size)?.reversal()),
            Self::Draw => wallet_draw(payer, size),
            Self::Expire => wallet_expiry(payer, size),
            Self::Refund => wallet_refund(payer, size),
            Self::Opening => opening_wallet(payer, size),
        }
    }
}

/// A locked wallet.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) organization: OrganizationId,
    pub(super) id: WalletId,
    pub(super) account: AccountId,
    pub(super) payer: Payer,
    pub(super) kept: Kept,
}

/// The columns of a wallet.
pub(super) struct Row {
    pub(super) organization_id: Uuid,
    pub(super) id: Uuid,
    pub(super) account_id: Uuid,
    pub(super) customer_id: Option<Uuid>,
    pub(super) currency: String,
    pub(super) reserved: Decimal,
    pub(super) credit_limit: Decimal,
    pub(super) undrawn_numerator: Decimal,
    pub(super) undrawn_denominator: Decimal,
    pub(super) unapplied: Decimal,
}

fn stored(what: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a stored wallet: {what}"))
}

/// A stored amount, which is whole minor units.
pub(crate) fn money(amount: Decimal, currency: Currency) -> Result<Money> {
    let price = Price::try_from(amount).map_err(|e| stored(&e))?;
    Money::from_price(price, currency).map_err(|e| stored(&e))
}

/// An amount for a `numeric` column.
pub(crate) fn decimal(amount: Money) -> Decimal {
    Decimal::new(amount.minor(), amount.currency().exponent())
}

/// Rows that were locked, with their lots: those that have something left, and where something may be given back the
/// others too.
pub(super) async fn held(
    tx: &mut PgConnection,
    rows: Vec<Row>,
    gives_back: bool,
) -> Result<Vec<Held>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<(Uuid, Uuid)> = rows.iter().map(|r| (r.organization_id, r.id)).collect();
    let mut held = rows
        .into_iter()
        .map(|row| Ok(((row.organization_id, row.id), row.read()?)))
        .collect::<Result<HashMap<_, _>>>()?;
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
    let lots = sqlx::query!(
        "select l.organization_id, l.wallet_id, l.id, l.amount - l.used as \"left!\", l.used, l.received_at, l.expires_at
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join wallet_lots l on l.organization_id = k.organization_id and l.wallet_id = k.id
         where l.used < l.amount or $3",
        &organizations,
        &ids,
        gives_back,
    )
    .fetch_all(tx)
    .await?;
    for lot in lots {
        let Some(held) = held.get_mut(&(lot.organization_id, lot.wallet_id)) else {
            continue;
        };
        let currency = held.kept.currency;
        held.kept.lots.push(KeptLot {
            lot: Lot {
                id: lot.id.into(),
                left: money(lot.left, currency)?,
                received_at: lot.received_at.to_jiff(),
                expires_at: lot.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
            },
            used: money(lot.used, currency)?,
        });
    }
    Ok(keys.iter().filter_map(|key| held.remove(key)).collect())
}

impl Row {
    fn read(self) -> Result<Held> {
        let currency: Currency = self.currency.parse().map_err(|e| stored(&e))?;
        let not_drawn = Fraction::from_decimals(self.undrawn_numerator, self.undrawn_denominator);
        Ok(Held {
            organization: self.organization_id.into(),
            id: self.id.into(),
            account: self.account_id.into(),
            payer: match self.customer_id {
                Some(customer) => Payer::Customer(CustomerId::from(customer)),
                None => Payer::Organization,
            },
            kept: Kept {
                currency,
                lots: Vec::new(),
                not_drawn: not_drawn.map_err(|e| stored(&e))?,
                unapplied: money(self.unapplied, currency)?,
                reserved: money(self.reserved, currency)?,
                credit_limit: money(self.credit_limit, currency)?,
            },
        })
    }
}

/// A movement to write.
#[derive(Debug, Clone)]
pub(super) struct Movement {
    pub(super) id: WalletMovementId,
    pub(super) organization: OrganizationId,
    pub(super) wallet: WalletId,
    pub(super) payer: Payer,
    pub(super) kind: Kind,
    /// None where it brings a lot of its own.
    pub(super) lot: Option<WalletMovementId>,
    pub(super) amount: Money,
    pub(super) reference: String,
    pub(super) expires_at: Option<Timestamp>,
}

/// The movements of changes of one wallet.
pub(super) fn movements(
    held: &Held,
    kind: Kind,
    changes: &[Change],
    reference: &str,
) -> Vec<Movement> {
    let movement = |change: &Change| Movement {
        id: new_id(),
        organization: held.organization,
        wallet: held.id,
        payer: held.payer,
        kind,
        lot: Some(change.lot_id),
        amount: change.amount,
        reference: reference.to_owned(),
        expires_at: None,
    };
    changes.iter().map(movement).collect()
}

/// Writes movements, what they leave of their lots, and a ledger entry for each.
pub(super) async fn move_all(
    tx: &mut PgConnection,
    movements: &[Movement],
    now: Timestamp,
) -> Result<()> {
    if movements.is_empty() {
        return Ok(());
    }
    insert(tx, movements, now).await?;
    let taken: Vec<&Movement> = movements.iter().filter(|m| m.lot.is_some()).collect();
    if !taken.is_empty() {
        use_lots(tx, &taken).await?;
    }
    let mut entries: BTreeMap<OrganizationId, Vec<(ledger::Document, Entry)>> = BTreeMap::new();
    for movement in movements {
        let entry = movement.kind.entry(movement.payer, movement.amount);
        let entry =
            entry.map_err(|e| Error::Internal(format!("a movement cannot be posted: {e}")))?;
        let document = ledger::Document {
            kind: "wallet",
            id: movement.id.uuid(),
            payer: movement.payer.kind(),
            occurred_at: now,
        };
        let of = entries.entry(movement.organization).or_default();
        of.push((document, entry));
    }
    for (organization, entries) in entries {
        ledger::post(tx, organization, &entries).await?;
    }
    Ok(())
}

async fn insert(tx: &mut PgConnection, movements: &[Movement], now: Timestamp) -> Result<()> {
    let column = |value: fn(&Movement) -> Uuid| movements.iter().map(value).collect::<Vec<_>>();
    let kinds: Vec<&str> = movements.iter().map(|m| m.kind.as_str()).collect();
    let amounts: Vec<Decimal> = movements.iter().map(|m| decimal(m.amount)).collect();
    let lots: Vec<Option<Uuid>> = movements.iter().map(|m| m.lot.map(Uuid::from)).collect();
    let references: Vec<&str> = movements.iter().map(|m| m.reference.as_str()).collect();
    let expiries: Vec<Option<jiff_sqlx::Timestamp>> = movements
        .iter()
        .map(|m| m.expires_at.map(jiff_sqlx::ToSqlx::to_sqlx))
        .collect();
    sqlx::query!(
        "insert into wallet_movements (organization_id, id, wallet_id, kind, amount, lot_id, reference, expires_at, occurred_at)
         select k.*, $9 from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::numeric[], $6::uuid[], $7::text[], $8::timestamptz[])
             as k order by 1, 2",
        &column(|m| m.organization.uuid()),
        &column(|m| m.id.uuid()),
        &column(|m| m.wallet.uuid()),
        &kinds as &[&str],
        &amounts,
        &lots as &[Option<Uuid>],
        &references as &[&str],
        &expiries as &[Option<jiff_sqlx::Timestamp>],
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn use_lots(tx: &mut PgConnection, movements: &[&Movement]) -> Result<()> {
    let organizations: Vec<Uuid> = movements.iter().map(|m| m.organization.uuid()).collect();
    let lots: Vec<Option<Uuid>> = movements.iter().map(|m| m.lot.map(Uuid::from)).collect();
    let amounts: Vec<Decimal> = movements.iter().map(|m| decimal(m.amount)).collect();
    sqlx::query!(
        "update wallet_lots l set used = l.used - k.amount
         from (
             select organization_id, lot_id, sum(amount) as amount
             from unnest($1::uuid[], $2::uuid[], $3::numeric[]) as k (organization_id, lot_id, amount) group by 1, 2
         ) k
         where l.organization_id = k.organization_id and l.id = k.lot_id",
        &organizations,
        &lots as &[Option<Uuid>],
        &amounts,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Brings the lots of movements that are written.
pub(super) async fn insert_lots(
    tx: &mut PgConnection,
    movements: &[Movement],
    now: Timestamp,
) -> Result<()> {
    let column = |value: fn(&Movement) -> Uuid| movements.iter().map(value).collect::<Vec<_>>();
    let amounts: Vec<Decimal> = movements.iter().map(|m| decimal(m.amount)).collect();
    let expiries: Vec<Option<jiff_sqlx::Timestamp>> = movements
        .iter()
        .map(|m| m.expires_at.map(jiff_sqlx::ToSqlx::to_sqlx))
        .collect();
    sqlx::query!(
        "insert into wallet_lots (organization_id, id, wallet_id, amount, expires_at, received_at)
         select k.*, $6 from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::timestamptz[]) as k order by 1, 2",
        &column(|m| m.organization.uuid()),
        &column(|m| m.id.uuid()),
        &column(|m| m.wallet.uuid()),
        &amounts,
        &expiries as &[Option<jiff_sqlx::Timestamp>],
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes what wallets come to. Only who keeps usage may leave one overdrawn: the database refuses anybody else.
pub(super) async fn write(
    tx: &mut PgConnection,
    wallets: &[Held],
    keeps_usage: bool,
) -> Result<()> {
    if wallets.is_empty() {
        return Ok(());
    }
    let wrong =
        |e: &dyn std::fmt::Display| Error::Internal(format!("a wallet cannot be kept: {e}"));
    let organizations: Vec<Uuid> = wallets.iter().map(|w| w.organization.uuid()).collect();
    let ids: Vec<Uuid> = wallets.iter().map(|w| w.id.uuid()).collect();
    let (mut balances, mut reserved, mut unapplied) = (Vec::new(), Vec::new(), Vec::new());
    let (mut numerators, mut denominators, mut overdrawn) = (Vec::new(), Vec::new(), Vec::new());
    for wallet in wallets {
        let kept = &wallet.kept;
        balances.push(decimal(kept.balance().map_err(|e| wrong(&e))?));
        reserved.push(decimal(kept.reserved));
        unapplied.push(decimal(kept.unapplied));
        let (numerator, denominator) = kept.not_drawn.to_decimals().map_err(|e| wrong(&e))?;
        numerators.push(numerator);
        denominators.push(denominator);
        let is_short = kept.available().map_err(|e| wrong(&e))?.is_negative();
        overdrawn.push(keeps_usage && is_short);
    }
    sqlx::query!(
        "update wallets w set balance = k.balance, reserved = k.reserved, unapplied = k.unapplied, undrawn_numerator = k.numerator,
             undrawn_denominator = k.denominator, is_overdrawn = k.is_overdrawn
         from unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[], $8::boolean[])
             as k (organization_id, id, balance, reserved, unapplied, numerator, denominator, is_overdrawn)
         where w.organization_id = k.organization_id and w.id = k.id",
        &organizations,
        &ids,
        &balances,
        &reserved,
        &unapplied,
        &numerators,
        &denominators,
        &overdrawn,
    )
    .execute(tx)
    .await?;
    Ok(())
}
