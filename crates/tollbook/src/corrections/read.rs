//! Reading corrections.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{CallId, CorrectionId, CustomerId, OrganizationId};
use tollbook_core::money::{Currency, Money};
use uuid::Uuid;

use crate::error::{Error, Result};

/// A correction.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Correction {
    pub(crate) id: Uuid,
    /// `move_call`, `move_message`, `move_number`, `merge_customers`, `name_prospect`, `waive` or `goodwill`.
    pub(crate) kind: String,
    /// To whom something went, or who is meant; of `merge_customers` who stays.
    customer_id: Option<Uuid>,
    /// Who became a part of that one.
    from_customer_id: Option<Uuid>,
    call_id: Option<Uuid>,
    message_id: Option<Uuid>,
    usage_event_id: Option<Uuid>,
    phone_number: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// A decimal; below zero where goodwill was taken back.
    amount: Option<String>,
    currency: Option<String>,
    pub(crate) reason: String,
    /// The correction that this one undid.
    undoes_id: Option<Uuid>,
    /// The correction that undid this one.
    undone_by_id: Option<Uuid>,
    created_by: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// How many went to somebody else.
    calls: i64,
    messages: i64,
    /// What it gave back of final documents.
    pub(crate) credit_notes: Vec<Credited>,
}

/// What a correction gave back of a final document.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credited {
    credit_note_id: Uuid,
    invoice_id: Uuid,
    customer_id: Option<Uuid>,
    /// Of the invoice.
    pub(crate) invoice_number: String,
    /// A decimal, with tax.
    pub(crate) amount: String,
    pub(crate) currency: String,
    #[serde(skip)]
    correction: Uuid,
}

/// The place of a correction in a list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) id: Uuid,
}

/// Which corrections.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Which {
    pub(super) id: Option<CorrectionId>,
    pub(super) customer: Option<CustomerId>,
    pub(super) after: Option<Cursor>,
}

/// Corrections, the latest first.
pub(super) async fn corrections(
    tx: &mut PgConnection,
    organization: OrganizationId,
    which: Which,
    rows: i64,
) -> Result<Vec<Correction>> {
    let found = sqlx::query_file!(
        "src/corrections/read.sql",
        organization.uuid(),
        which.id.map(Uuid::from),
        which.customer.map(Uuid::from),
        which.after.map(|after| after.id),
        rows,
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<Uuid> = found.iter().map(|row| row.id).collect();
    let credited = credited(tx, organization, &ids).await?;
    found
        .into_iter()
        .map(|row| {
            let amount = row.amount_minor.zip(row.currency.as_deref());
            let amount = amount.map(|(minor, currency)| decimal(minor, currency));
            Ok(Correction {
                id: row.id,
                kind: row.kind,
                customer_id: row.customer_id,
                from_customer_id: row.from_customer_id,
                call_id: row.call_id,
                message_id: row.message_id,
                usage_event_id: row.usage_event_id,
                phone_number: row.phone_number,
                since: row.since.map(jiff_sqlx::Timestamp::to_jiff),
                amount: amount.transpose()?,
                currency: row.currency,
                reason: row.reason,
                undoes_id: row.undoes_id,
                undone_by_id: row.undone_by_id,
                created_by: row.created_by,
                created_at: row.created_at.to_jiff(),
                calls: row.calls,
                messages: row.messages,
                credit_notes: credited
                    .iter()
                    .filter(|it| it.correction == row.id)
                    .cloned()
                    .collect(),
            })
        })
        .collect()
}

fn decimal(minor: i64, currency: &str) -> Result<String> {
    let currency: Currency = currency
        .parse()
        .map_err(|e| Error::Internal(format!("a stored currency: {e}")))?;
    Ok(Money::from_minor(minor, currency).amount())
}

async fn credited(
    tx: &mut PgConnection,
    organization: OrganizationId,
    corrections: &[Uuid],
) -> Result<Vec<Credited>> {
    let rows = sqlx::query!(
        r#"select k.correction_id as "correction_id!", n.id as "id!", n.invoice_id as "invoice_id!", n.customer_id,
             i.number as "number!", n.total_minor as "total_minor!", n.currency as "currency!"
         from (
             select distinct k.correction_id, k.credit_note_id from correction_credits k
             where k.organization_id = $1 and k.correction_id = any ($2)
         ) k
         join credit_notes n on n.organization_id = $1 and n.id = k.credit_note_id
         join invoices i on i.organization_id = $1 and i.id = n.invoice_id
         order by i.number"#,
        organization.uuid(),
        corrections,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Credited {
                credit_note_id: row.id,
                invoice_id: row.invoice_id,
                customer_id: row.customer_id,
                invoice_number: row.number,
                amount: decimal(row.total_minor, &row.currency)?,
                currency: row.currency,
                correction: row.correction_id,
            })
        })
        .collect()
}

/// One correction.
pub(super) async fn one(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CorrectionId,
) -> Result<Correction> {
    let which = Which {
        id: Some(id),
        ..Which::default()
    };
    let found = corrections(tx, organization, which, 1).await?;
    found
        .into_iter()
        .next()
        .ok_or(Error::NotFound("correction"))
}

/// The correction by which a call is not billed; `None` if it is.
pub(super) async fn waiver_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Option<CorrectionId>> {
    let waiver = sqlx::query_scalar!(
        "select correction_id from usage_waivers where organization_id = $1 and call_id = $2",
        organization.uuid(),
        call.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(waiver.map(CorrectionId::from))
}

/// Why a call is not billed; `None` if it is.
pub(crate) async fn why_waived(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "select c.reason from usage_waivers w
         join corrections c on c.organization_id = $1 and c.id = w.correction_id
         where w.organization_id = $1 and w.call_id = $2",
        organization.uuid(),
        call.uuid(),
    )
    .fetch_optional(tx)
    .await?)
}
