//! Documents as programs read them: of both sales, with their lines.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId};
use tollbook_core::money::{Currency, Money};
use tollbook_core::payer::{Payer, PayerKind};
use tollbook_core::time::Zone;
use uuid::Uuid;

use super::closing::Closing;
use super::due::{self, Sale};
use super::finalize::documents;
use super::lines::Document;
use crate::error::{Error, Result};
use crate::http::seller::Listed;

/// Drafts that run at the same time: one for each currency that a payer uses.
const RUNNING_MAX: i64 = 50;

/// An invoice without its lines. Amounts are decimals in its currency; those of a draft are not known until it is read
/// by itself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head {
    #[schema(value_type = Uuid)]
    pub(super) id: InvoiceId,
    #[schema(value_type = Uuid)]
    pub(super) org_id: OrganizationId,
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    number: Option<String>,
    /// `draft`, `finalized`, `paid`, `void` or `uncollectible`.
    status: String,
    /// `period`, `call`, `one_off`, or `opening` if another system issued it.
    kind: String,
    currency: String,
    subtotal: String,
    tax: String,
    total: String,
    paid: String,
    credited: String,
    /// The first and the last day that it is for.
    #[schema(value_type = String, format = Date)]
    billing_period_start: Date,
    #[schema(value_type = String, format = Date)]
    billing_period_end: Date,
    #[schema(value_type = Option<String>, format = DateTime)]
    finalized_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Timestamp,
    notes: String,
    /// Why it was withdrawn.
    void_reason: Option<String>,
    /// What there was of its period when it was closed; of documents of a period.
    closing: Option<Closing>,
}

/// An invoice, whole.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Whole {
    #[serde(flatten)]
    head: Head,
    items: Vec<Line>,
    taxes: Vec<TaxOfRate>,
}

/// A line.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    description: String,
    /// A decimal.
    quantity: String,
    unit: String,
    /// Of `per` units, where all of the line has one price.
    unit_price: Option<String>,
    per: Option<String>,
    amount: String,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
}

/// The tax of one rate.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaxOfRate {
    percent: String,
    /// Whether prices include it.
    inclusive: bool,
    base: String,
    tax: String,
}

/// The place of an invoice in a list: the latest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) created_at: Timestamp,
    pub(super) id: InvoiceId,
}

struct Row {
    organization_id: Uuid,
    id: Uuid,
    customer_id: Option<Uuid>,
    number: Option<String>,
    state: String,
    kind: String,
    currency: String,
    zone: String,
    subtotal_minor: i64,
    tax_minor: i64,
    total_minor: i64,
    paid_minor: i64,
    credited_minor: i64,
    period_start: jiff_sqlx::Timestamp,
    period_end: jiff_sqlx::Timestamp,
    finalized_at: Option<jiff_sqlx::Timestamp>,
    due_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
    notes: String,
    void_reason: Option<String>,
    webhooks: Option<i64>,
    webhooks_parked: Option<i64>,
    usages: Option<i64>,
    usages_rated: Option<i64>,
    usages_parked: Option<i64>,
}

/// Invoices of a sale, in any state or in one: `rows` of them after `after`, or one of them.
pub(super) async fn heads(
    tx: &mut PgConnection,
    listed: Listed,
    status: Option<&str>,
    only: Option<&[InvoiceId]>,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<Head>> {
    let only: Option<Vec<Uuid>> = only.map(|ids| ids.iter().map(|id| id.uuid()).collect());
    let rows = sqlx::query_as!(
        Row,
        "select organization_id, id, customer_id, number, state, kind, currency, zone, subtotal_minor, tax_minor, total_minor, paid_minor,
             credited_minor, period_start, period_end, finalized_at, due_at, created_at, notes, void_reason,
             webhooks, webhooks_parked, usages, usages_rated, usages_parked
         from invoices
         where ($1::uuid is null or organization_id = $1) -- all organizations: the platform may list its whole sale
             and payer = $2 and ($3::uuid is null or customer_id = $3) and ($4::text is null or state = $4)
             and ($5::uuid[] is null or id = any($5)) and ($6::timestamptz is null or (created_at, id) < ($6, $7))
         order by created_at desc, id desc limit $8",
        listed.organization().map(Uuid::from),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
        status,
        only.as_deref() as Option<&[Uuid]>,
        after.map(|after| after.created_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|after| after.id.uuid()),
        rows,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Whose an invoice of a sale is.
pub(crate) async fn whose(
    tx: &mut PgConnection,
    listed: Listed,
    id: InvoiceId,
) -> Result<(OrganizationId, Payer)> {
    let found = heads(tx, listed, None, Some(&[id]), None, 1).await?;
    let head = found.into_iter().next().ok_or(Error::NotFound("invoice"))?;
    let payer = head
        .customer_id
        .map_or(Payer::Organization, Payer::Customer);
    Ok((head.org_id, payer))
}

impl Row {
    fn read(self) -> Result<Head> {
        let stored = |e: &dyn std::fmt::Display| {
            Error::Internal(format!("invoice {} cannot be read: {e}", self.id))
        };
        let currency: Currency = self.currency.parse().map_err(|e| stored(&e))?;
        let zone: Zone = self.zone.parse().map_err(|e| stored(&e))?;
        let amount = |minor| Money::from_minor(minor, currency).amount();
        let last = self.period_end.to_jiff();
        let last = last.checked_sub(jiff::SignedDuration::from_nanos(1));
        Ok(Head {
            id: self.id.into(),
            org_id: self.organization_id.into(),
            customer_id: self.customer_id.map(CustomerId::from),
            subtotal: amount(self.subtotal_minor),
            tax: amount(self.tax_minor),
            total: amount(self.total_minor),
            paid: amount(self.paid_minor),
            credited: amount(self.credited_minor),
            billing_period_start: zone.date(self.period_start.to_jiff()),
            billing_period_end: zone.date(last.map_err(|e| stored(&e))?),
            finalized_at: self.finalized_at.map(jiff_sqlx::Timestamp::to_jiff),
            due_at: self.due_at.map(jiff_sqlx::Timestamp::to_jiff),
            created_at: self.created_at.to_jiff(),
            number: self.number,
            status: self.state,
            kind: self.kind,
            currency: self.currency,
            notes: self.notes,
            void_reason: self.void_reason,
            closing: self.webhooks.map(|webhooks| Closing {
                webhooks,
                webhooks_parked: self.webhooks_parked.unwrap_or_default(),
                usages: self.usages.unwrap_or_default(),
                usages_rated: self.usages_rated.unwrap_or_default(),
                usages_parked: self.usages_parked.unwrap_or_default(),
            }),
        })
    }
}

/// One invoice with its lines; a draft as it would be finalized now.
pub(super) async fn whole(tx: &mut PgConnection, payer: PayerKind, head: Head) -> Result<Whole> {
    if head.status == "draft" {
        let made = previews(tx, head.org_id, payer, vec![head]).await?;
        return made.into_iter().next().ok_or(Error::NotFound("invoice"));
    }
    let currency: Currency = head
        .currency
        .parse()
        .map_err(|e| Error::Internal(format!("a stored currency: {e}")))?;
    let amount = |minor| Money::from_minor(minor, currency).amount();
    let (organization, id) = (head.org_id.uuid(), head.id.uuid());
    let lines = sqlx::query!(
        "select description, quantity, unit, unit_price, divisor, amount_minor, starts_at, ends_at
         from invoice_lines where organization_id = $1 and invoice_id = $2 order by position",
        organization,
        id,
    )
    .fetch_all(&mut *tx)
    .await?;
    let taxes = sqlx::query!(
        "select percent, inclusive, base_minor, tax_minor from invoice_taxes
         where organization_id = $1 and invoice_id = $2 order by percent, inclusive",
        organization,
        id,
    )
    .fetch_all(tx)
    .await?;
    Ok(Whole {
        head,
        items: lines
            .into_iter()
            .map(|row| Line {
                description: row.description,
                quantity: plain(row.quantity),
                unit: row.unit,
                unit_price: row.unit_price.map(plain),
                per: row.divisor.map(plain),
                amount: amount(row.amount_minor),
                starts_at: row.starts_at.to_jiff(),
                ends_at: row.ends_at.to_jiff(),
            })
            .collect(),
        taxes: taxes
            .into_iter()
            .map(|row| TaxOfRate {
                percent: plain(row.percent),
                inclusive: row.inclusive,
                base: amount(row.base_minor),
                tax: amount(row.tax_minor),
            })
            .collect(),
    })
}

fn plain(decimal: Decimal) -> String {
    decimal.normalize().to_string()
}

/// The documents of a payer's running periods as they would be finalized now: one for each currency.
pub(super) async fn running(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
    now: Timestamp,
) -> Result<Vec<Whole>> {
    let listed = match payer {
        Payer::Organization => Listed::Organizations(Some(organization)),
        Payer::Customer(customer) => Listed::Customers(organization, Some(customer)),
    };
    let ids = sqlx::query_scalar!(
        "select id from invoices
         where organization_id = $1 and payer = $2 and customer_id is not distinct from $3 and state = 'draft' and kind = 'period'
             and period_start <= $4 and period_end > $4
         order by currency limit $5",
        organization.uuid(),
        payer.kind().as_str(),
        payer.customer().map(Uuid::from),
        now.to_sqlx(),
        RUNNING_MAX,
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<InvoiceId> = ids.into_iter().map(InvoiceId::from).collect();
    let heads = heads(tx, listed, Some("draft"), Some(&ids), None, RUNNING_MAX).await?;
    previews(tx, organization, payer.kind(), heads).await
}

/// Drafts of one sale as they would be finalized now.
async fn previews(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: PayerKind,
    heads: Vec<Head>,
) -> Result<Vec<Whole>> {
    let sale = Sale {
        organization,
        payer,
    };
    let ids: Vec<InvoiceId> = heads.iter().map(|head| head.id).collect();
    let drafts = due::read(tx, sale, &ids).await?;
    let documents = documents(tx, organization, &drafts).await?;
    heads
        .into_iter()
        .map(|head| {
            let document = documents.iter().find(|it| it.draft.id == head.id);
            let document = document.ok_or(Error::NotFound("invoice"))?;
            Ok(printed_now(head, document))
        })
        .collect()
}

/// A draft as it would be printed.
fn printed_now(mut head: Head, document: &Document<'_>) -> Whole {
    let totals = &document.totals;
    (head.subtotal, head.tax, head.total) = (
        totals.subtotal.amount(),
        totals.tax.amount(),
        totals.total.amount(),
    );
    let items = document.lines.iter().map(|line| Line {
        description: line.description.clone(),
        quantity: line.quantity.to_string(),
        unit: line.unit.clone(),
        unit_price: line.unit_price.map(plain),
        per: line.divisor.map(plain),
        amount: line.amount.amount(),
        starts_at: line.starts_at,
        ends_at: line.ends_at,
    });
    let taxes = totals.taxes.iter().map(|tax| TaxOfRate {
        percent: tax.rate.percent.to_string(),
        inclusive: tax.rate.inclusive,
        base: tax.base.amount(),
        tax: tax.tax.amount(),
    });
    Whole {
        head,
        items: items.collect(),
        taxes: taxes.collect(),
    }
}
