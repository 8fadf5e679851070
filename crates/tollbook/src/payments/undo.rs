//! Takes payments back, whole or off one invoice. What was recorded stays: each undoing is a row and an entry of its own.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, PaymentId};
use tollbook_core::invoices::Standing;
use tollbook_core::ledger as postings;
use tollbook_core::money::{Currency, Money, Price};

use super::hold::{credit_is_spent, hold_payer};
use super::read::Found;
use super::record::allocations;
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;
use crate::ledger;

/// What a payment pays of one invoice.
struct Pays {
    invoice: InvoiceId,
    amount: Money,
    standing: Standing,
}

/// A payment that turns out not to have been one: its invoices are open again, and what was left of it is taken from the
/// payer's credit. Returns the row that says so.
pub(super) async fn reverse(
    tx: &mut PgConnection,
    found: &Found,
    reason: &str,
    now: Timestamp,
) -> Result<PaymentId> {
    hold_payer(tx, found.organization, found.payer).await?;
    let row = locked(tx, found).await?;
    if row.is_reversed {
        return Err(Error::conflict(
            "already_reversed",
            "this payment has been taken back already",
        ));
    }
    let money = |minor| Money::from_minor(minor, row.currency);
    let pays = pays(tx, found, row.currency).await?;
    let mut reopened = money(0);
    let mut back = Vec::with_capacity(pays.len());
    for it in &pays {
        let more = it.standing.reopened(it.amount).map_err(|e| wrong(&e))?;
        reopened = reopened.checked_add(more).map_err(|e| wrong(&e))?;
        back.push((it.invoice, it.amount.checked_neg().map_err(|e| wrong(&e))?));
    }
    allocations(tx, found.organization, found.id, &mut back).await?;
    let id: PaymentId = new_id();
    sqlx::query!(
        "insert into payments (organization_id, id, payer, customer_id, channel, reference, state, currency, amount_minor, received_at,
             reverses_id, reason)
         select organization_id, $3, payer, customer_id, channel, reference, 'succeeded', currency, -amount_minor, $4, id, $5
         from payments where organization_id = $1 and id = $2",
        found.organization.uuid(),
        found.id.uuid(),
        id.uuid(),
        now.to_sqlx(),
        reason,
    )
    .execute(&mut *tx)
    .await?;
    let entry = if row.channel == "credit" {
        postings::release(found.payer, reopened)
    } else {
        postings::payment_reversal(found.payer, money(row.amount_minor), reopened)
    };
    let document = ledger::Document {
        kind: "payment",
        id: id.uuid(),
        payer: found.payer.kind(),
        occurred_at: now,
    };
    let entry = entry.map_err(|e| wrong(&e))?;
    ledger::post(tx, found.organization, &[(document, entry)])
        .await
        .on_constraint("ledger_accounts_credit_check", credit_is_spent)?;
    Ok(id)
}

/// Takes a payment off an invoice, all of it or an amount; the money stays, as the payer's credit.
pub(super) async fn unallocate(
    tx: &mut PgConnection,
    found: &Found,
    invoice: InvoiceId,
    amount: Option<Price>,
    now: Timestamp,
) -> Result<()> {
    hold_payer(tx, found.organization, found.payer).await?;
    let row = locked(tx, found).await?;
    if row.channel == "credit" {
        return Err(Error::conflict(
            "credit",
            "credit that pays invoices is taken back whole: reverse it",
        ));
    }
    let pays = pays(tx, found, row.currency).await?;
    let it = pays
        .into_iter()
        .find(|it| it.invoice == invoice)
        .ok_or_else(|| Error::invalid("invoiceId", "is not paid by this payment"))?;
    let amount = match amount {
        None => it.amount,
        Some(amount) => Money::from_price(amount, row.currency)
            .map_err(|e| Error::invalid("amount", e.to_string()))?,
    };
    if amount.minor() <= 0 || amount.minor() > it.amount.minor() {
        let message = format!("must be above zero and at most {}", it.amount);
        return Err(Error::invalid("amount", message));
    }
    let reopened = it.standing.reopened(amount).map_err(|e| wrong(&e))?;
    let mut back = [(invoice, amount.checked_neg().map_err(|e| wrong(&e))?)];
    let ids = allocations(tx, found.organization, found.id, &mut back).await?;
    let entry = postings::release(found.payer, reopened).map_err(|e| wrong(&e))?;
    let documents = ids.into_iter().map(|id| {
        let document = ledger::Document {
            kind: "allocation",
            id,
            payer: found.payer.kind(),
            occurred_at: now,
        };
        (document, entry.clone())
    });
    ledger::post(tx, found.organization, &documents.collect::<Vec<_>>()).await
}

fn wrong(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a payment cannot be taken back: {error}"))
}

struct Locked {
    channel: String,
    currency: Currency,
    amount_minor: i64,
    is_reversed: bool,
}

/// The payment, if it is one that has been received.
async fn locked(tx: &mut PgConnection, found: &Found) -> Result<Locked> {
    let row = sqlx::query!(
        r#"select p.channel, p.currency, p.amount_minor, p.state, p.reverses_id,
             exists (select from payments r where r.organization_id = $1 and r.reverses_id = p.id) as "is_reversed!"
         from payments p where p.organization_id = $1 and p.id = $2 for no key update of p"#,
        found.organization.uuid(),
        found.id.uuid(),
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("payment"))?;
    if row.state != "succeeded" || row.reverses_id.is_some() {
        let detail = "only a payment that was received can be taken back";
        return Err(Error::conflict("not_received", detail));
    }
    Ok(Locked {
        channel: row.channel,
        currency: row.currency.parse().map_err(|e| wrong(&e))?,
        amount_minor: row.amount_minor,
        is_reversed: row.is_reversed,
    })
}

/// What the payment pays now. There are no more than one payment may pay.
async fn pays(tx: &mut PgConnection, found: &Found, currency: Currency) -> Result<Vec<Pays>> {
    let rows = sqlx::query!(
        r#"select i.id, i.total_minor, i.paid_minor, i.credited_minor, a.amount_minor as "amount_minor!"
         from (
             select invoice_id, sum(amount_minor)::bigint as amount_minor from payment_allocations
             where organization_id = $1 and payment_id = $2 group by invoice_id having sum(amount_minor) <> 0
         ) a
         join invoices i on i.organization_id = $1 and i.id = a.invoice_id
         order by i.id"#,
        found.organization.uuid(),
        found.id.uuid(),
    )
    .fetch_all(tx)
    .await?;
    let money = |minor| Money::from_minor(minor, currency);
    let pays = rows.into_iter().map(|row| Pays {
        invoice: row.id.into(),
        amount: money(row.amount_minor),
        standing: Standing {
            total: money(row.total_minor),
            paid: money(row.paid_minor),
            credited: money(row.credited_minor),
        },
    });
    Ok(pays.collect())
}
