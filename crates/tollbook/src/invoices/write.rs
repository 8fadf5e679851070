//! Writes documents: lines, taxes, numbers, and the drafts that become them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, OrganizationId};
use tollbook_core::invoices::{InvoiceNumber, TaxTreatment};
use uuid::Uuid;

use super::closing::Closing;
use super::lines::Document;
use crate::error::{Error, Result};
use crate::ids::new_id;

/// Writes the lines of drafts.
pub(super) async fn insert_lines(
    tx: &mut PgConnection,
    organization: OrganizationId,
    documents: &[Document<'_>],
) -> Result<()> {
    let lines: Vec<_> = documents.iter().flat_map(|d| &d.lines).collect();
    let rates: Vec<Option<(Decimal, bool)>> = documents
        .iter()
        .flat_map(|d| d.lines.iter().map(|_| rate(&d.draft.tax)))
        .collect();
    let exact = lines
        .iter()
        .map(|l| l.exact.to_decimals())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Error::Internal(format!("an invoice line: {e}")))?;
    let (numerators, denominators): (Vec<Decimal>, Vec<Decimal>) = exact.into_iter().unzip();
    let ids: Vec<Uuid> = lines.iter().map(|_| new_id()).collect();
    let invoices: Vec<Uuid> = lines.iter().map(|l| l.invoice.uuid()).collect();
    let positions: Vec<i32> = lines.iter().map(|l| l.position).collect();
    let groups: Vec<&str> = lines.iter().map(|l| l.group.as_str()).collect();
    let descriptions: Vec<&str> = lines.iter().map(|l| l.description.as_str()).collect();
    let quantities: Vec<Decimal> = lines.iter().map(|l| l.quantity.to_decimal()).collect();
    let units: Vec<&str> = lines.iter().map(|l| l.unit.as_str()).collect();
    let prices: Vec<Option<Decimal>> = lines.iter().map(|l| l.unit_price).collect();
    let divisors: Vec<Option<Decimal>> = lines.iter().map(|l| l.divisor).collect();
    let amounts: Vec<i64> = lines.iter().map(|l| l.amount.minor()).collect();
    let percents: Vec<Option<Decimal>> = rates.iter().map(|r| r.map(|(p, _)| p)).collect();
    let inclusive: Vec<bool> = rates
        .iter()
        .map(|r| r.is_some_and(|(_, inclusive)| inclusive))
        .collect();
    let starts: Vec<_> = lines.iter().map(|l| l.starts_at.to_sqlx()).collect();
    let ends: Vec<_> = lines.iter().map(|l| l.ends_at.to_sqlx()).collect();
    let charges: Vec<i64> = lines.iter().map(|l| l.charges).collect();
    let payers: Vec<&str> = documents
        .iter()
        .flat_map(|d| d.lines.iter().map(|_| d.payer().kind().as_str()))
        .collect();
    sqlx::query!(
        "insert into invoice_lines (organization_id, id, invoice_id, position, line_group, description, quantity, unit, unit_price, divisor,
             amount_numerator, amount_denominator, amount_minor, tax_percent, tax_inclusive, starts_at, ends_at, charges, payer)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::numeric[], $8::text[], $9::numeric[],
             $10::numeric[], $11::numeric[], $12::numeric[], $13::bigint[], $14::numeric[], $15::boolean[], $16::timestamptz[],
             $17::timestamptz[], $18::bigint[], $19::text[]) as l",
        organization.uuid(),
        &ids,
        &invoices,
        &positions,
        &groups as &[&str],
        &descriptions as &[&str],
        &quantities,
        &units as &[&str],
        &prices as &[Option<Decimal>],
        &divisors as &[Option<Decimal>],
        &numerators,
        &denominators,
        &amounts,
        &percents as &[Option<Decimal>],
        &inclusive,
        &starts,
        &ends,
        &charges,
        &payers as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn rate(tax: &TaxTreatment) -> Option<(Decimal, bool)> {
    match tax {
        TaxTreatment::Rates(rates) => rates.first().map(|r| (r.percent.to_decimal(), r.inclusive)),
        TaxTreatment::Exempt | TaxTreatment::ReverseCharge => None,
    }
}

/// Writes the tax of documents, by rate.
pub(super) async fn insert_taxes(
    tx: &mut PgConnection,
    organization: OrganizationId,
    documents: &[Document<'_>],
) -> Result<()> {
    let taxes: Vec<_> = documents
        .iter()
        .flat_map(|d| d.totals.taxes.iter().map(|tax| (d.draft.id, tax)))
        .collect();
    if taxes.is_empty() {
        return Ok(());
    }
    let invoices: Vec<Uuid> = taxes.iter().map(|(id, _)| id.uuid()).collect();
    let percents: Vec<Decimal> = taxes
        .iter()
        .map(|(_, t)| t.rate.percent.to_decimal())
        .collect();
    let inclusive: Vec<bool> = taxes.iter().map(|(_, t)| t.rate.inclusive).collect();
    let bases: Vec<i64> = taxes.iter().map(|(_, t)| t.base.minor()).collect();
    let amounts: Vec<i64> = taxes.iter().map(|(_, t)| t.tax.minor()).collect();
    sqlx::query!(
        "insert into invoice_taxes (organization_id, invoice_id, percent, inclusive, base_minor, tax_minor)
         select $1, * from unnest($2::uuid[], $3::numeric[], $4::boolean[], $5::bigint[], $6::bigint[]) as t",
        organization.uuid(),
        &invoices,
        &percents,
        &inclusive,
        &bases,
        &amounts,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Numbers of a seller: `first` and those after it, in `year`.
pub(super) struct Taken {
    pub(super) prefix: String,
    pub(super) year: i32,
    pub(super) first: i64,
}

/// Takes the next numbers of a seller. The sequence restarts each year; a clock that is behind never brings a year back.
pub(super) async fn take_numbers(
    tx: &mut PgConnection,
    seller: Uuid,
    year: i32,
    count: usize,
) -> Result<Taken> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query_as!(
        Taken,
        r#"update sellers set number_year = greatest(number_year, $2),
               next_number = case when number_year >= $2 then next_number else 1 end + $3
           where id = $1 returning invoice_prefix as prefix, number_year as year, next_number - $3 as "first!"
           -- all organizations: the platform is a seller too"#,
        seller,
        year,
        count,
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("seller"))
}

/// A document and the number that it gets.
pub(super) struct Numbered<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) number: InvoiceNumber,
    pub(super) due_at: Timestamp,
    /// Of a document of a period.
    pub(super) closing: Option<Closing>,
}

/// Makes drafts documents. What comes to nothing, or less, or was prepaid, is paid at once.
pub(super) async fn set_finalized(
    tx: &mut PgConnection,
    organization: OrganizationId,
    documents: &[Numbered<'_>],
    now: Timestamp,
) -> Result<()> {
    let totals = |d: &Numbered<'_>| d.document.totals.clone();
    let ids: Vec<Uuid> = documents
        .iter()
        .map(|d| d.document.draft.id.uuid())
        .collect();
    let numbers: Vec<String> = documents.iter().map(|d| d.number.to_string()).collect();
    let years: Vec<i32> = documents.iter().map(|d| d.number.year().into()).collect();
    let sequences: Vec<i64> = documents
        .iter()
        .map(|d| d.number.sequence().into())
        .collect();
    let subtotals: Vec<i64> = documents
        .iter()
        .map(|d| totals(d).subtotal.minor())
        .collect();
    let taxes: Vec<i64> = documents.iter().map(|d| totals(d).tax.minor()).collect();
    let sums: Vec<i64> = documents.iter().map(|d| totals(d).total.minor()).collect();
    let due: Vec<_> = documents.iter().map(|d| d.due_at.to_sqlx()).collect();
    let counted = |count: fn(&Closing) -> i64| -> Vec<Option<i64>> {
        documents
            .iter()
            .map(|d| d.closing.as_ref().map(count))
            .collect()
    };
    sqlx::query!(
        "update invoices i set state = 'finalized', number = k.number, number_year = k.year, number_seq = k.seq,
             subtotal_minor = k.subtotal, tax_minor = k.tax, total_minor = k.total, finalized_at = $9, due_at = k.due_at, updated_at = now(),
             webhooks = k.webhooks, webhooks_parked = k.webhooks_parked, usages = k.usages, usages_rated = k.usages_rated, usages_parked = k.usages_parked
         from unnest($2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $10::timestamptz[],
                 $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
             as k (id, number, year, seq, subtotal, tax, total, due_at, webhooks, webhooks_parked, usages, usages_rated, usages_parked)
         where i.organization_id = $1 and i.id = k.id",
        organization.uuid(),
        &ids,
        &numbers,
        &years,
        &sequences,
        &subtotals,
        &taxes,
        &sums,
        now.to_sqlx(),
        &due,
        &counted(|c| c.webhooks) as &[Option<i64>],
        &counted(|c| c.webhooks_parked) as &[Option<i64>],
        &counted(|c| c.usages) as &[Option<i64>],
        &counted(|c| c.usages_rated) as &[Option<i64>],
        &counted(|c| c.usages_parked) as &[Option<i64>],
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update invoices set state = 'paid' where organization_id = $1 and id = any($2) and total_minor <= paid_minor",
        organization.uuid(),
        &ids,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Sets when drafts are looked at again; `None`: when there is something to print.
pub(super) async fn set_finalize_at(
    tx: &mut PgConnection,
    organization: OrganizationId,
    drafts: &[InvoiceId],
    at: Option<Timestamp>,
) -> Result<()> {
    if drafts.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = drafts.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "update invoices set finalize_at = $3, updated_at = now() where organization_id = $1 and id = any($2) and state = 'draft'",
        organization.uuid(),
        &ids,
        at.map(jiff_sqlx::ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
    )
    .execute(tx)
    .await?;
    Ok(())
}
