//! Payments as programs read them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId, PaymentId};
use tollbook_core::money::{Currency, Money};
use tollbook_core::payer::Payer;
use uuid::Uuid;

use super::hold::credit;
use crate::error::{Error, Result};
use crate::http::seller::Listed;

/// A payment. Amounts are decimals in its currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    #[schema(value_type = Uuid)]
    pub(super) id: PaymentId,
    #[schema(value_type = Uuid)]
    pub(super) org_id: OrganizationId,
    #[schema(value_type = Option<Uuid>)]
    pub(super) customer_id: Option<CustomerId>,
    /// `check`, `transfer`, `cash`, `other`, `stripe`, `quickbooks`, or `credit` where the payer's credit pays.
    pub(super) channel: String,
    pub(super) reference: String,
    /// `pending`, `succeeded`, `failed` or `refunded`.
    pub(super) status: String,
    pub(super) currency: String,
    /// Below zero for a row that takes a payment back.
    pub(super) amount: String,
    /// How much of it pays invoices.
    pub(super) allocated: String,
    #[schema(value_type = String, format = DateTime)]
    pub(super) received_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Timestamp,
    /// The payment that this row takes back.
    pub(super) reverses_id: Option<Uuid>,
    /// The row that takes this payment back.
    pub(super) reversed_by_id: Option<Uuid>,
    /// Why it was taken back.
    pub(super) reason: String,
}

/// A payment, with what it pays.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Whole {
    #[serde(flatten)]
    payment: Payment,
    allocations: Vec<Allocation>,
    /// What its payer has as credit in this currency now.
    credit: String,
}

/// What a payment pays of an invoice.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Allocation {
    invoice_id: Uuid,
    invoice_number: Option<String>,
    amount: String,
}

/// Whose payment it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) organization: OrganizationId,
    pub(super) payer: Payer,
    pub(super) id: PaymentId,
}

/// The place of a payment in a list: the latest recorded first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) id: PaymentId,
}

/// Payments of a sale: `rows` of them after `after`, or one of them.
pub(super) async fn payments(
    tx: &mut PgConnection,
    listed: Listed,
    only: Option<PaymentId>,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<Payment>> {
    let rows = sqlx::query!(
        r#"select p.organization_id, p.id, p.customer_id, p.channel, p.reference, p.state, p.currency, p.amount_minor, p.allocated_minor,
             p.received_at, p.created_at, p.reverses_id, r.id as "reversed_by_id?", p.reason
         from payments p
         left join payments r on r.organization_id = p.organization_id and r.reverses_id = p.id
         where ($1::uuid is null or p.organization_id = $1) -- all organizations: the platform may list its whole sale
             and p.payer = $2 and ($3::uuid is null or p.customer_id = $3) and ($4::uuid is null or p.id = $4)
             and ($5::uuid is null or p.id < $5)
         order by p.id desc limit $6"#,
        listed.organization().map(Uuid::from),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
        only.map(Uuid::from),
        after.map(|after| after.id.uuid()),
        rows,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency = currency(&row.currency)?;
            let amount = |minor| Money::from_minor(minor, currency).amount();
            Ok(Payment {
                id: row.id.into(),
                org_id: row.organization_id.into(),
                customer_id: row.customer_id.map(CustomerId::from),
                amount: amount(row.amount_minor),
                allocated: amount(row.allocated_minor),
                received_at: row.received_at.to_jiff(),
                created_at: row.created_at.to_jiff(),
                channel: row.channel,
                reference: row.reference,
                status: row.state,
                currency: row.currency,
                reverses_id: row.reverses_id,
                reversed_by_id: row.reversed_by_id,
                reason: row.reason,
            })
        })
        .collect()
}

fn currency(code: &str) -> Result<Currency> {
    code.parse()
        .map_err(|e| Error::Internal(format!("a stored currency: {e}")))
}

/// One payment of a sale.
pub(super) async fn one(tx: &mut PgConnection, listed: Listed, id: PaymentId) -> Result<Payment> {
    let found = payments(tx, listed, Some(id), None, 1).await?;
    found.into_iter().next().ok_or(Error::NotFound("payment"))
}

/// A payment with what it pays.
pub(super) async fn whole(tx: &mut PgConnection, payment: Payment) -> Result<Whole> {
    let currency = currency(&payment.currency)?;
    let rows = sqlx::query!(
        r#"select a.invoice_id, i.number, sum(a.amount_minor)::bigint as "minor!"
         from payment_allocations a join invoices i on i.organization_id = a.organization_id and i.id = a.invoice_id
         where a.organization_id = $1 and a.payment_id = $2
         group by a.invoice_id, i.number, i.due_at having sum(a.amount_minor) <> 0 order by i.due_at, i.number"#,
        payment.org_id.uuid(),
        payment.id.uuid(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let found = payment.found();
    let credit = credit(tx, found.organization, found.payer, currency).await?;
    let allocations = rows.into_iter().map(|row| Allocation {
        invoice_id: row.invoice_id,
        invoice_number: row.number,
        amount: Money::from_minor(row.minor, currency).amount(),
    });
    Ok(Whole {
        allocations: allocations.collect(),
        credit: credit.amount(),
        payment,
    })
}

impl Payment {
    /// Whose it is.
    pub(super) fn found(&self) -> Found {
        Found {
            organization: self.org_id,
            payer: self
                .customer_id
                .map_or(Payer::Organization, Payer::Customer),
            id: self.id,
        }
    }
}
