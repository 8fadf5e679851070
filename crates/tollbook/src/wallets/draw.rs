//! What is charged is drawn at once; what an invoice asks for is paid with what was drawn, and with what is left.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, InvoiceId, OrganizationId};
use tollbook_core::money::{Currency, Fraction, Money};
use tollbook_core::payer::Payer;
use tollbook_core::wallets::Hold;
use uuid::Uuid;

use super::store::{self, Held, Kind, Row};
use crate::error::{Error, Result};

/// What one charge on a draft comes to; below zero if it undoes another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) currency: Currency,
    /// Exact, in major units.
    pub(crate) amount: Fraction,
    pub(crate) occurred_at: Timestamp,
}

/// What a wallet holds for a call in progress of its payer, and what the call may come to now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved {
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) currency: Currency,
    pub(crate) hold: Hold,
}

impl Reserved {
    fn key(&self) -> Key {
        let code = self.currency.code();
        (self.organization, self.account, self.customer, code)
    }
}

type Key = (OrganizationId, AccountId, Option<CustomerId>, &'static str);

fn wrong(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a wallet cannot be drawn on: {error}"))
}

/// Draws what was charged in this transaction from the wallets of those who pay, if they have one. Their accounts and
/// drafts are locked.
pub(crate) async fn charged(tx: &mut PgConnection, spent: &[Spent], now: Timestamp) -> Result<()> {
    charged_beside(tx, spent, &[], now).await.map(|_| ())
}

/// The same beside calls in progress. What they may come to is set aside anew from what the charges leave; returns how
/// much that is for each, in order.
pub(crate) async fn charged_beside(
    tx: &mut PgConnection,
    spent: &[Spent],
    reserved: &[Reserved],
    now: Timestamp,
) -> Result<Vec<Money>> {
    let mut sums: BTreeMap<Key, (Fraction, Timestamp)> = BTreeMap::new();
    let mut takes_back = false;
    for one in spent.iter().filter(|one| !one.amount.is_zero()) {
        takes_back |= one.amount.is_negative();
        let key = (
            one.organization,
            one.account,
            one.customer,
            one.currency.code(),
        );
        let sum = sums.entry(key).or_insert((Fraction::ZERO, now));
        sum.0 = sum.0.checked_add(one.amount).map_err(|e| wrong(&e))?;
        // Credit that has expired since pays for what was used before.
        sum.1 = sum.1.min(one.occurred_at);
    }
    let mut keys: Vec<Key> = sums.keys().copied().collect();
    keys.extend(reserved.iter().map(Reserved::key));
    keys.sort_unstable();
    keys.dedup();
    let mut amounts: Vec<Money> = reserved.iter().map(|it| it.hold.aside).collect();
    if keys.is_empty() {
        return Ok(amounts);
    }
    let rows = lock(tx, &keys).await?;
    let mut wallets = store::held(tx, rows, takes_back).await?;
    let mut moved = Vec::new();
    for wallet in &mut wallets {
        let key = (
            wallet.organization,
            wallet.account,
            wallet.payer.customer(),
            wallet.kept.currency.code(),
        );
        if let Some((amount, used_at)) = sums.get(&key) {
            let changes = wallet.kept.charge(*amount, *used_at);
            let changes = changes.map_err(|e| wrong(&e))?;
            moved.extend(store::movements(wallet, Kind::Draw, &changes, ""));
        }
        let own = || (0..).zip(reserved).filter(|(_, it)| it.key() == key);
        let holds: Vec<Hold> = own().map(|(_, it)| it.hold).collect();
        let held = wallet.kept.hold(&holds).map_err(|e| wrong(&e))?;
        for ((index, _), amount) in own().zip(held) {
            if let Some(place) = amounts.get_mut::<usize>(index) {
                *place = amount;
            }
        }
    }
    store::move_all(tx, &moved, now).await?;
    store::write(tx, &wallets, true).await?;
    Ok(amounts)
}

/// Charges again what was on invoices of one payer that were voided in this transaction: when they were finalized, it was
/// asked for, and so no longer charged.
pub(crate) async fn charged_again(
    tx: &mut PgConnection,
    organization: OrganizationId,
    void: &[InvoiceId],
    now: Timestamp,
) -> Result<()> {
    let ids: Vec<Uuid> = void.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"select account_id, customer_id, currency, sum(amount_numerator) as "numerator!", amount_denominator as denominator,
             min(occurred_at) as "occurred_at!"
         from charges where organization_id = $1 and invoice_id = any($2)
         group by account_id, customer_id, currency, amount_denominator"#,
        organization.uuid(),
        &ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    let spent = rows.into_iter().map(|row| {
        let amount = Fraction::from_decimals(row.numerator, row.denominator);
        Ok(Spent {
            organization,
            account: row.account_id.into(),
            customer: row.customer_id.map(CustomerId::from),
            currency: row.currency.parse().map_err(|e| wrong(&e))?,
            amount: amount.map_err(|e| wrong(&e))?,
            occurred_at: row.occurred_at.to_jiff(),
        })
    });
    charged(tx, &spent.collect::<Result<Vec<_>>>()?, now).await
}

async fn lock(tx: &mut PgConnection, keys: &[Key]) -> Result<Vec<Row>> {
    let organizations: Vec<Uuid> = keys.iter().map(|k| k.0.uuid()).collect();
    let accounts: Vec<Uuid> = keys.iter().map(|k| k.1.uuid()).collect();
    let customers: Vec<Option<Uuid>> = keys.iter().map(|k| k.2.map(Uuid::from)).collect();
    let currencies: Vec<&str> = keys.iter().map(|k| k.3).collect();
    let rows = sqlx::query_as!(
        Row,
        "select w.organization_id, w.id, w.account_id, w.customer_id, w.currency, w.reserved, w.credit_limit, w.undrawn_numerator,
             w.undrawn_denominator, w.unapplied
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) as k (organization_id, account_id, customer_id, currency)
         join wallets w on w.organization_id = k.organization_id and w.account_id = k.account_id and w.currency = k.currency
             and w.customer_id is not distinct from k.customer_id
         order by w.organization_id, w.id for no key update of w",
        &organizations,
        &accounts,
        &customers as &[Option<Uuid>],
        &currencies as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows)
}

/// A document that is about to be finalized.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DueDocument {
    pub(crate) invoice: InvoiceId,
    pub(crate) payer: Payer,
    /// What its charges come to, exact.
    pub(crate) exact: Fraction,
    /// What it asks for.
    pub(crate) total: Money,
}

/// Pays documents of one organization from the wallets of their payers, and writes on each what was paid. Items written
/// by hand are not prepaid.
pub(crate) async fn pay(
    tx: &mut PgConnection,
    organization: OrganizationId,
    documents: &[DueDocument],
    now: Timestamp,
) -> Result<()> {
    let ids: Vec<Uuid> = documents.iter().map(|it| it.invoice.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select w.organization_id, w.id, w.account_id, w.customer_id, w.currency, w.reserved, w.credit_limit, w.undrawn_numerator,
             w.undrawn_denominator, w.unapplied
         from wallets w
         where w.organization_id = $1 and w.id in (
             select p.id from invoices i
             join wallets p on p.organization_id = i.organization_id and p.payer = i.payer and p.currency = i.currency
                 and p.customer_id is not distinct from i.customer_id
             where i.organization_id = $1 and i.id = any($2) and i.kind <> 'one_off')
         order by w.organization_id, w.id for no key update",
        organization.uuid(),
        &ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let by_hand = by_hand(tx, organization, &ids).await?;
    let mut wallets = store::held(tx, rows, true).await?;
    let (mut moved, mut paid) = (Vec::new(), HashMap::new());
    for document in documents {
        if by_hand.contains(&document.invoice.uuid()) {
            continue;
        }
        let own = |wallet: &&mut Held| {
            wallet.payer == document.payer && wallet.kept.currency == document.total.currency()
        };
        let Some(wallet) = wallets.iter_mut().find(own) else {
            continue;
        };
        let (amount, changes) = wallet
            .kept
            .pay(document.exact, document.total, now)
            .map_err(|e| wrong(&e))?;
        moved.extend(store::movements(wallet, Kind::Draw, &changes, ""));
        if amount.minor() > 0 {
            paid.insert(document.invoice.uuid(), amount.minor());
        }
    }
    store::move_all(tx, &moved, now).await?;
    store::write(tx, &wallets, true).await?;
    let (ids, amounts): (Vec<Uuid>, Vec<i64>) = paid.into_iter().unzip();
    sqlx::query!(
        "update invoices i set prepaid_minor = k.amount, paid_minor = i.paid_minor + k.amount, updated_at = now()
         from unnest($2::uuid[], $3::bigint[]) as k (id, amount)
         where i.organization_id = $1 and i.id = k.id and i.state = 'draft'",
        organization.uuid(),
        &ids,
        &amounts,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn by_hand(
    tx: &mut PgConnection,
    organization: OrganizationId,
    invoices: &[Uuid],
) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "select id from invoices where organization_id = $1 and id = any($2) and kind = 'one_off'",
        organization.uuid(),
        invoices,
    );
    Ok(ids.fetch_all(tx).await?)
}
