//! Credit notes as programs read them.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{CreditNoteId, CustomerId, InvoiceId, OrganizationId};
use tollbook_core::money::{Currency, Money};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::http::seller::Listed;

/// A credit note without its lines. Amounts are decimals in its currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    #[schema(value_type = Uuid)]
    pub(super) id: CreditNoteId,
    #[schema(value_type = Uuid)]
    org_id: OrganizationId,
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    number: String,
    invoice_id: Uuid,
    invoice_number: Option<String>,
    reason: String,
    currency: String,
    subtotal: String,
    tax: String,
    total: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A credit note, whole.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Whole {
    #[serde(flatten)]
    note: Note,
    lines: Vec<Line>,
    taxes: Vec<Tax>,
}

/// What is given back of a line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// On the invoice, from 1.
    position: i32,
    description: String,
    amount: String,
}

/// What is given back of the tax of one rate.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tax {
    percent: String,
    /// Whether the lines include it.
    inclusive: bool,
    base: String,
    #[serde(rename = "tax")]
    amount: String,
}

/// The place of a credit note in a list: the latest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) id: CreditNoteId,
}

/// Credit notes of a sale, perhaps of one invoice: `rows` of them after `after`, or one of them.
pub(super) async fn notes(
    tx: &mut PgConnection,
    listed: Listed,
    invoice: Option<InvoiceId>,
    only: Option<CreditNoteId>,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<Note>> {
    let rows = sqlx::query!(
        "select n.organization_id, n.id, n.customer_id, n.number, n.invoice_id, i.number as invoice_number, n.reason, n.currency,
             n.subtotal_minor, n.tax_minor, n.total_minor, n.created_at
         from credit_notes n join invoices i on i.organization_id = n.organization_id and i.id = n.invoice_id
         where ($1::uuid is null or n.organization_id = $1) -- all organizations: the platform may list its whole sale
             and n.payer = $2 and ($3::uuid is null or n.customer_id = $3) and ($4::uuid is null or n.invoice_id = $4)
             and ($5::uuid is null or n.id = $5) and ($6::uuid is null or n.id < $6)
         order by n.id desc limit $7",
        listed.organization().map(Uuid::from),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
        invoice.map(Uuid::from),
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
            Ok(Note {
                id: row.id.into(),
                org_id: row.organization_id.into(),
                customer_id: row.customer_id.map(CustomerId::from),
                subtotal: amount(row.subtotal_minor),
                tax: amount(row.tax_minor),
                total: amount(row.total_minor),
                created_at: row.created_at.to_jiff(),
                number: row.number,
                invoice_id: row.invoice_id,
                invoice_number: row.invoice_number,
                reason: row.reason,
                currency: row.currency,
            })
        })
        .collect()
}

fn currency(code: &str) -> Result<Currency> {
    code.parse()
        .map_err(|e| Error::Internal(format!("a stored currency: {e}")))
}

/// One credit note of a sale, whole.
pub(super) async fn one(tx: &mut PgConnection, listed: Listed, id: CreditNoteId) -> Result<Whole> {
    let found = notes(tx, listed, None, Some(id), None, 1).await?;
    let note = found.into_iter().next();
    let note = note.ok_or(Error::NotFound("credit note"))?;
    let currency = currency(&note.currency)?;
    let amount = |minor| Money::from_minor(minor, currency).amount();
    let lines = sqlx::query!(
        "select l.position, l.description, g.amount_minor
         from credit_note_lines g join invoice_lines l on l.organization_id = $1 and l.id = g.invoice_line_id
         where g.organization_id = $1 and g.credit_note_id = $2 order by l.position",
        note.org_id.uuid(),
        id.uuid(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let taxes = sqlx::query!(
        "select percent, inclusive, base_minor, tax_minor from credit_note_taxes
         where organization_id = $1 and credit_note_id = $2 order by percent, inclusive",
        note.org_id.uuid(),
        id.uuid(),
    )
    .fetch_all(tx)
    .await?;
    let plain = |percent: Decimal| percent.normalize().to_string();
    Ok(Whole {
        note,
        lines: lines
            .into_iter()
            .map(|row| Line {
                position: row.position,
                description: row.description,
                amount: amount(row.amount_minor),
            })
            .collect(),
        taxes: taxes
            .into_iter()
            .map(|row| Tax {
                percent: plain(row.percent),
                inclusive: row.inclusive,
                base: amount(row.base_minor),
                amount: amount(row.tax_minor),
            })
            .collect(),
    })
}
