//! Invoices that another system issued and that are not paid in full. They keep their number and are payable like others;
//! their lines, their revenue and their tax are in the books of that system.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId};
use tollbook_core::money::Money;
use tollbook_core::time::Period;
use uuid::Uuid;

use crate::error::{Error, Result};

/// An invoice of another system.
#[derive(Debug, Clone)]
pub(crate) struct OpeningInvoice {
    pub(crate) id: InvoiceId,
    pub(crate) customer: CustomerId,
    /// As it is printed.
    pub(crate) number: String,
    /// The day of its date.
    pub(crate) day: Period,
    pub(crate) due_at: Timestamp,
    pub(crate) total: Money,
    /// The part of the total that is tax.
    pub(crate) tax: Money,
    /// Above zero, and at most the total.
    pub(crate) open: Money,
}

/// Writes them; their entries are posted by the caller. `zone` is that of their days.
pub(crate) async fn insert_opening(
    tx: &mut PgConnection,
    organization: OrganizationId,
    zone: &str,
    invoices: &[OpeningInvoice],
) -> Result<()> {
    if invoices.is_empty() {
        return Ok(());
    }
    let parts = |whole: Money, part: Money| {
        let rest = whole.checked_sub(part);
        rest.map(Money::minor)
            .map_err(|e| Error::Internal(format!("an opening invoice: {e}")))
    };
    let ids: Vec<Uuid> = invoices.iter().map(|it| it.id.uuid()).collect();
    let customers: Vec<Uuid> = invoices.iter().map(|it| it.customer.uuid()).collect();
    let currencies: Vec<&str> = invoices
        .iter()
        .map(|it| it.total.currency().code())
        .collect();
    let numbers: Vec<&str> = invoices.iter().map(|it| it.number.as_str()).collect();
    let starts: Vec<_> = invoices.iter().map(|it| it.day.start().to_sqlx()).collect();
    let ends: Vec<_> = invoices.iter().map(|it| it.day.end().to_sqlx()).collect();
    let due: Vec<_> = invoices.iter().map(|it| it.due_at.to_sqlx()).collect();
    let totals: Vec<i64> = invoices.iter().map(|it| it.total.minor()).collect();
    let taxes: Vec<i64> = invoices.iter().map(|it| it.tax.minor()).collect();
    let subtotals = invoices.iter().map(|it| parts(it.total, it.tax));
    let subtotals = subtotals.collect::<Result<Vec<_>>>()?;
    let paid = invoices.iter().map(|it| parts(it.total, it.open));
    let paid = paid.collect::<Result<Vec<_>>>()?;
    sqlx::query!(
        "insert into invoices (organization_id, payer, kind, state, zone, id, customer_id, currency, number, period_start, period_end,
             finalized_at, due_at, total_minor, tax_minor, subtotal_minor, paid_minor, opening_paid_minor)
         select $1, 'customer', 'opening', 'finalized', $2, k.id, k.customer_id, k.currency, k.number, k.starts_at, k.ends_at,
             k.starts_at, k.due_at, k.total, k.tax, k.subtotal, k.paid, k.paid
         from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[],
             $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
             as k (id, customer_id, currency, number, starts_at, ends_at, due_at, total, tax, subtotal, paid)
         order by k.id",
        organization.uuid(),
        zone,
        &ids,
        &customers,
        &currencies as &[&str],
        &numbers as &[&str],
        &starts,
        &ends,
        &due,
        &totals,
        &taxes,
        &subtotals,
        &paid,
    )
    .execute(tx)
    .await?;
    Ok(())
}
