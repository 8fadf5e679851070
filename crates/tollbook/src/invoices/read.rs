//! Reads invoices for pages and lists.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{CallId, CustomerId, InvoiceId, OrganizationId};
use tollbook_core::money::{Currency, Money, Quantity};
use tollbook_core::time::Zone;
use uuid::Uuid;

use crate::db::types::Text;
use crate::error::{Error, Result};

/// Calls that are shown behind a line.
const CALLS_MAX: i64 = 50;

/// An invoice, without its lines.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: InvoiceId,
    pub(super) number: Option<String>,
    pub(super) state: String,
    pub(super) customer: Option<CustomerId>,
    pub(super) customer_name: String,
    pub(super) customer_email: Option<String>,
    pub(super) seller_name: String,
    pub(super) zone: Zone,
    pub(super) currency: Currency,
    pub(super) period_start: Timestamp,
    pub(super) period_end: Timestamp,
    pub(super) finalize_at: Option<Timestamp>,
    pub(super) finalized_at: Option<Timestamp>,
    pub(super) due_at: Option<Timestamp>,
    pub(super) subtotal: Money,
    pub(super) total: Money,
    pub(super) paid: Money,
    pub(super) credited: Money,
    pub(super) open: Money,
    pub(super) notes: String,
    /// Why it was withdrawn.
    pub(super) void_reason: Option<String>,
    /// What there was of its period when it was closed.
    pub(super) closed: Option<Closed>,
}

/// What a page says of a period that was closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    pub(super) usages: i64,
    pub(super) usages_rated: i64,
    pub(super) webhooks_parked: i64,
}

/// The place of an invoice in the list: newest period first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) period_start: Timestamp,
    pub(super) id: InvoiceId,
}

/// Which invoices a list is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Which {
    /// A state; `overdue` and `open` are finalized ones before and after their day.
    pub(super) tab: String,
    /// The beginning of a number, or one of these customers; all if neither is given.
    pub(super) number: Option<String>,
    pub(super) customers: Option<Vec<CustomerId>>,
}

/// The invoices of an organization's customers, or one of them.
pub(super) async fn heads(
    tx: &mut PgConnection,
    organization: OrganizationId,
    which: &Which,
    only: Option<InvoiceId>,
    after: Option<&Place>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Head>> {
    let customers: Option<Vec<Uuid>> = which
        .customers
        .as_ref()
        .map(|ids| ids.iter().map(|id| id.uuid()).collect());
    let rows = sqlx::query_file!(
        "src/invoices/heads.sql",
        organization.uuid(),
        which.tab,
        which.number,
        customers.as_deref() as Option<&[Uuid]>,
        after.map(|p| p.period_start.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|p| p.id.uuid()),
        now.to_sqlx(),
        limit,
        only.map(Uuid::from),
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let stored = |e: &dyn std::fmt::Display| {
                Error::Internal(format!("invoice {} cannot be read: {e}", row.id))
            };
            let currency: Currency = row.currency.parse().map_err(|e| stored(&e))?;
            Ok(Head {
                id: row.id.into(),
                number: row.number,
                zone: row.zone.parse().map_err(|e| stored(&e))?,
                state: row.state,
                customer: row.customer_id.map(CustomerId::from),
                customer_name: row.customer_name,
                customer_email: row.customer_email,
                seller_name: row.seller_name,
                currency,
                period_start: row.period_start.to_jiff(),
                period_end: row.period_end.to_jiff(),
                finalize_at: row.finalize_at.map(jiff_sqlx::Timestamp::to_jiff),
                finalized_at: row.finalized_at.map(jiff_sqlx::Timestamp::to_jiff),
                due_at: row.due_at.map(jiff_sqlx::Timestamp::to_jiff),
                subtotal: Money::from_minor(row.subtotal_minor, currency),
                total: Money::from_minor(row.total_minor, currency),
                paid: Money::from_minor(row.paid_minor, currency),
                credited: Money::from_minor(row.credited_minor, currency),
                open: Money::from_minor(row.open_minor, currency),
                notes: row.notes,
                void_reason: row.void_reason,
                closed: row.usages.map(|usages| Closed {
                    usages,
                    usages_rated: row.usages_rated.unwrap_or_default(),
                    webhooks_parked: row.webhooks_parked.unwrap_or_default(),
                }),
            })
        })
        .collect()
}

/// A line as it is printed.
#[derive(Debug, Clone)]
pub(super) struct Printed {
    pub(super) line_group: String,
    pub(super) description: String,
    pub(super) quantity: Quantity,
    pub(super) unit: String,
    pub(super) unit_price: Option<String>,
    pub(super) divisor: Option<Quantity>,
    pub(super) amount: Money,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Timestamp,
}

/// The lines of a finalized document.
pub(super) async fn lines(
    tx: &mut PgConnection,
    organization: OrganizationId,
    head: &Head,
) -> Result<Vec<Printed>> {
    let rows = sqlx::query!(
        r#"select line_group, description, quantity, unit, trim_scale(unit_price)::text as unit_price, divisor, amount_minor, starts_at, ends_at
         from invoice_lines where organization_id = $1 and invoice_id = $2 order by position"#,
        organization.uuid(),
        head.id.uuid(),
    )
    .fetch_all(tx)
    .await?;
    let quantity = |value| {
        Quantity::try_from(value).map_err(|e| Error::Internal(format!("a stored quantity: {e}")))
    };
    rows.into_iter()
        .map(|row| {
            Ok(Printed {
                line_group: row.line_group,
                description: row.description,
                quantity: quantity(row.quantity)?,
                unit: row.unit,
                unit_price: row.unit_price,
                divisor: row.divisor.map(quantity).transpose()?,
                amount: Money::from_minor(row.amount_minor, head.currency),
                starts_at: row.starts_at.to_jiff(),
                ends_at: row.ends_at.to_jiff(),
            })
        })
        .collect()
}

/// The tax of a document by rate: percent as text, and amount.
pub(super) async fn taxes(
    tx: &mut PgConnection,
    organization: OrganizationId,
    head: &Head,
) -> Result<Vec<(String, Money)>> {
    let rows = sqlx::query!(
        r#"select trim_scale(percent)::text as "percent!", tax_minor from invoice_taxes where organization_id = $1 and invoice_id = $2 order by percent"#,
        organization.uuid(),
        head.id.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.percent, Money::from_minor(row.tax_minor, head.currency)))
        .collect())
}

/// A call behind a line.
#[derive(Debug, Clone)]
pub(super) struct Behind {
    pub(super) line_group: String,
    pub(super) call: CallId,
    pub(super) at: Timestamp,
    pub(super) external_party: String,
    pub(super) used_seconds: i64,
    pub(super) quantity: Quantity,
    pub(super) unit_price: Option<String>,
    pub(super) divisor: Option<Quantity>,
    /// An exact decimal, as far as twelve digits go.
    pub(super) amount: String,
    /// How many calls are behind the line in all.
    pub(super) of: i64,
}

/// The first calls behind each line, by time.
pub(super) async fn calls_behind(
    tx: &mut PgConnection,
    organization: OrganizationId,
    invoice: InvoiceId,
) -> Result<Vec<Behind>> {
    let rows = sqlx::query!(
        r#"select line_group as "line_group!", call_id as "call_id!", started_at as "started_at!", external_party as "external_party!", billable_seconds as "billable_seconds!",
             quantity as "quantity!", trim_scale(unit_price)::text as unit_price, divisor, trim_scale(amount)::text as "amount!", of as "of!"
         from (
             select c.printed_group as line_group, c.call_id, k.started_at, k.external_party, k.billable_seconds, sum(c.quantity) as quantity,
                 min(c.unit_price) as unit_price, min(c.divisor) as divisor, sum(c.amount) as amount,
                 row_number() over (partition by c.printed_group order by k.started_at, c.call_id) as place,
                 count(*) over (partition by c.printed_group) as of
             from (
                 select o.line_group as printed_group, o.* from charges o where o.organization_id = $1 and o.invoice_id = $2
                 union all
                 select o.line_group || '@' || v.number, o.*
                 from recharges r
                 join invoices v on v.organization_id = $1 and v.id = r.void_invoice_id
                 join charges o on o.organization_id = $1 and o.invoice_id = r.void_invoice_id
                 where r.organization_id = $1 and r.document_id = $2
             ) c
             join calls k on k.organization_id = c.organization_id and k.id = c.call_id
             group by c.printed_group, c.call_id, k.started_at, k.external_party, k.billable_seconds
         ) b where place <= $3 order by line_group, place"#,
        organization.uuid(),
        invoice.uuid(),
        CALLS_MAX,
    )
    .fetch_all(tx)
    .await?;
    let quantity = |value| {
        Quantity::try_from(value).map_err(|e| Error::Internal(format!("a stored quantity: {e}")))
    };
    rows.into_iter()
        .map(|row| {
            Ok(Behind {
                line_group: row.line_group,
                call: row.call_id.into(),
                at: row.started_at.to_jiff(),
                external_party: row.external_party,
                used_seconds: row.billable_seconds,
                quantity: quantity(row.quantity)?,
                unit_price: row.unit_price,
                divisor: row.divisor.map(quantity).transpose()?,
                amount: row.amount,
                of: row.of,
            })
        })
        .collect()
}

/// The country in whose form numbers are shown.
pub(super) async fn country(tx: &mut PgConnection, organization: OrganizationId) -> Result<String> {
    let Text(country): Text<String> = sqlx::query_scalar!(
        r#"select country as "country: Text<String>" from organizations where id = $1"#,
        organization.uuid()
    )
    .fetch_one(tx)
    .await?;
    Ok(country)
}
