//! Statements on invoices and their lines.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId};
use tollbook_core::invoices::{InvoiceNumber, TaxTreatment, Totals};
use tollbook_core::money::{Currency, Fraction, Percent, Quantity, Rounding};
use uuid::Uuid;

use super::finalize::{currency, customer, rounding, tax_treatment};
use crate::error::{Error, Result};
use crate::ids::new_id;

/// A locked draft, with what its payer and seller say about it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) id: InvoiceId,
    pub(super) seller: Uuid,
    pub(super) seller_zone: String,
    pub(super) customer: Option<CustomerId>,
    pub(super) currency: Currency,
    pub(super) rounding: Rounding,
    pub(super) tax: TaxTreatment,
    pub(super) period_start: Timestamp,
    pub(super) period_end: Timestamp,
    pub(super) payment_terms_days: i32,
}

/// The organization and the sale of the draft that waits longest, all of its usage being rated.
pub(super) async fn seller_with_due_drafts(
    tx: &mut PgConnection,
    now: Timestamp,
) -> Result<Option<(OrganizationId, String)>> {
    let row = sqlx::query!(
        "select i.organization_id, i.payer from invoices i
         where i.state = 'draft' and i.finalize_at <= $1
             and not exists (select from rating_queue q where q.organization_id = i.organization_id and q.account_id in (
                 select c.account_id from customers c where c.organization_id = i.organization_id and c.id = i.customer_id
                 union all
                 select a.id from accounts a where i.customer_id is null and a.organization_id = i.organization_id and a.payer = 'organization'))
         -- all organizations: the schedule is the platform's
         order by i.finalize_at limit 1",
        now.to_sqlx(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (row.organization_id.into(), row.payer)))
}

/// Locks the due drafts of one sale, in the order in which they get their numbers.
pub(super) async fn lock_due_drafts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: &str,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Draft>> {
    let rows = sqlx::query!(
        r#"select i.id, i.seller_id as "seller_id!", o.zone as seller_zone, i.customer_id, i.currency, o.rounding,
             coalesce(c.tax_exempt, false) as "tax_exempt!", c.tax_percent as "tax_percent?", coalesce(c.tax_inclusive, false) as "tax_inclusive!",
             i.period_start, i.period_end, o.payment_terms_days
         from invoices i
         join organizations o on o.id = i.organization_id
         left join customers c on c.organization_id = i.organization_id and c.id = i.customer_id
         where i.organization_id = $1 and i.payer = $2 and i.state = 'draft' and i.finalize_at <= $3
             and not exists (select from rating_queue q where q.organization_id = i.organization_id and q.account_id = coalesce(c.account_id,
                 (select a.id from accounts a where a.organization_id = i.organization_id and a.payer = 'organization')))
         order by i.finalize_at, i.id limit $4
         for update of i skip locked"#,
        organization.uuid(),
        payer,
        now.to_sqlx(),
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let percent = row
                .tax_percent
                .map(Percent::try_from)
                .transpose()
                .map_err(|e| Error::Internal(format!("a stored tax: {e}")))?;
            Ok(Draft {
                id: row.id.into(),
                seller: row.seller_id,
                seller_zone: row.seller_zone,
                customer: customer(row.customer_id),
                currency: currency(&row.currency)?,
                rounding: rounding(&row.rounding),
                tax: tax_treatment(row.tax_exempt, percent, row.tax_inclusive),
                period_start: row.period_start.to_jiff(),
                period_end: row.period_end.to_jiff(),
                payment_terms_days: row.payment_terms_days,
            })
        })
        .collect()
}

/// The charges of a line group that share a denominator and a price.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    pub(super) invoice: InvoiceId,
    pub(super) line_group: String,
    pub(super) kind: String,
    pub(super) band: Option<String>,
    pub(super) meter: Option<String>,
    pub(super) meter_name: Option<String>,
    pub(super) plan_name: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) unit_price: Option<Decimal>,
    pub(super) quantity: Quantity,
    pub(super) numerator: Decimal,
    pub(super) denominator: Decimal,
    pub(super) charges: i64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
}

/// Gathers the charges of drafts. Sums of equal denominators are exact; the rest is added up as fractions.
pub(super) async fn gather(
    tx: &mut PgConnection,
    organization: OrganizationId,
    invoices: &[InvoiceId],
) -> Result<Vec<Gathered>> {
    let ids: Vec<Uuid> = invoices.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"select c.invoice_id, c.line_group, min(c.kind) as "kind!", min(c.band) as band, min(c.meter) as meter, min(m.name) as meter_name,
             min(p.name) as plan_name, min(m.base_unit) as unit, c.unit_price, sum(c.quantity) as "quantity!",
             sum(c.amount_numerator) as "numerator!", c.amount_denominator, count(*) as "charges!",
             min(c.occurred_at) as "first_at!", max(c.occurred_at) as "last_at!"
         from charges c
         left join meters m on m.code = c.meter and (m.organization_id is null or m.organization_id = c.organization_id)
         left join plan_versions v on v.seller_id = c.seller_id and v.id = c.plan_version_id
         left join plans p on p.seller_id = v.seller_id and p.id = v.plan_id
         where c.organization_id = $1 and c.invoice_id = any($2)
         group by c.invoice_id, c.line_group, c.unit_price, c.amount_denominator
         order by c.invoice_id, c.line_group, c.unit_price, c.amount_denominator"#,
        organization.uuid(),
        &ids,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Gathered {
                invoice: row.invoice_id.into(),
                line_group: row.line_group,
                kind: row.kind,
                band: row.band,
                meter: row.meter,
                meter_name: row.meter_name,
                plan_name: row.plan_name,
                unit: row.unit,
                unit_price: row.unit_price,
                quantity: Quantity::try_from(row.quantity)
                    .map_err(|e| Error::Internal(format!("a stored quantity: {e}")))?,
                numerator: row.numerator,
                denominator: row.amount_denominator,
                charges: row.charges,
                first_at: row.first_at.to_jiff(),
                last_at: row.last_at.to_jiff(),
            })
        })
        .collect()
}

/// A printed line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) invoice: InvoiceId,
    pub(super) position: i32,
    pub(super) line_group: String,
    pub(super) description: String,
    pub(super) quantity: Quantity,
    pub(super) unit: String,
    pub(super) unit_price: Option<Decimal>,
    pub(super) exact: Fraction,
    pub(super) amount_minor: i64,
    pub(super) meter: String,
    pub(super) tax: TaxTreatment,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) charges: i64,
}

/// Writes the lines of drafts.
pub(super) async fn insert_lines(
    tx: &mut PgConnection,
    organization: OrganizationId,
    lines: &[&Line],
) -> Result<()> {
    let exact = lines
        .iter()
        .map(|l| l.exact.to_decimals())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Error::Internal(format!("an invoice line: {e}")))?;
    let (numerators, denominators): (Vec<Decimal>, Vec<Decimal>) = exact.into_iter().unzip();
    let ids: Vec<Uuid> = lines.iter().map(|_| new_id()).collect();
    let invoices: Vec<Uuid> = lines.iter().map(|l| l.invoice.uuid()).collect();
    let positions: Vec<i32> = lines.iter().map(|l| l.position).collect();
    let groups: Vec<&str> = lines.iter().map(|l| l.line_group.as_str()).collect();
    let descriptions: Vec<&str> = lines.iter().map(|l| l.description.as_str()).collect();
    let quantities: Vec<Decimal> = lines.iter().map(|l| l.quantity.to_decimal()).collect();
    let units: Vec<&str> = lines.iter().map(|l| l.unit.as_str()).collect();
    let prices: Vec<Option<Decimal>> = lines.iter().map(|l| l.unit_price).collect();
    let amounts: Vec<i64> = lines.iter().map(|l| l.amount_minor).collect();
    let rates: Vec<Option<Decimal>> = lines
        .iter()
        .map(|l| rate(&l.tax).map(|(percent, _)| percent))
        .collect();
    let inclusive: Vec<bool> = lines
        .iter()
        .map(|l| rate(&l.tax).is_some_and(|(_, inclusive)| inclusive))
        .collect();
    let starts: Vec<_> = lines.iter().map(|l| l.starts_at.to_sqlx()).collect();
    let ends: Vec<_> = lines.iter().map(|l| l.ends_at.to_sqlx()).collect();
    let charges: Vec<i64> = lines.iter().map(|l| l.charges).collect();
    sqlx::query!(
        "insert into invoice_lines (organization_id, id, invoice_id, position, line_group, description, quantity, unit, unit_price,
             amount_numerator, amount_denominator, amount_minor, tax_percent, tax_inclusive, starts_at, ends_at, charges)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::numeric[], $8::text[], $9::numeric[],
             $10::numeric[], $11::numeric[], $12::bigint[], $13::numeric[], $14::boolean[], $15::timestamptz[], $16::timestamptz[], $17::bigint[]) as l",
        organization.uuid(),
        &ids,
        &invoices,
        &positions,
        &groups as &[&str],
        &descriptions as &[&str],
        &quantities,
        &units as &[&str],
        &prices as &[Option<Decimal>],
        &numerators,
        &denominators,
        &amounts,
        &rates as &[Option<Decimal>],
        &inclusive,
        &starts,
        &ends,
        &charges,
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

/// Writes the tax of a document, by rate.
pub(super) async fn insert_taxes(
    tx: &mut PgConnection,
    organization: OrganizationId,
    invoice: InvoiceId,
    totals: &Totals,
) -> Result<()> {
    let percents: Vec<Decimal> = totals
        .taxes
        .iter()
        .map(|t| t.rate.percent.to_decimal())
        .collect();
    let inclusive: Vec<bool> = totals.taxes.iter().map(|t| t.rate.inclusive).collect();
    let bases: Vec<i64> = totals.taxes.iter().map(|t| t.base.minor()).collect();
    let taxes: Vec<i64> = totals.taxes.iter().map(|t| t.tax.minor()).collect();
    if percents.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into invoice_taxes (organization_id, invoice_id, percent, inclusive, base_minor, tax_minor)
         select $1, $2, * from unnest($3::numeric[], $4::boolean[], $5::bigint[], $6::bigint[]) as t",
        organization.uuid(),
        invoice.uuid(),
        &percents,
        &inclusive,
        &bases,
        &taxes,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes the next numbers of a seller in a year: its prefix, and the first of them. The sequence restarts each year.
pub(super) async fn take_numbers(
    tx: &mut PgConnection,
    seller: Uuid,
    year: i32,
    count: i64,
) -> Result<(String, i64)> {
    let row = sqlx::query!(
        r#"update sellers set number_year = $2, next_number = case when number_year = $2 then next_number else 1 end + $3
           where id = $1 returning invoice_prefix, next_number - $3 as "first!"
           -- all organizations: the platform is a seller too"#,
        seller,
        year,
        count,
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("seller"))?;
    Ok((row.invoice_prefix, row.first))
}

/// Makes a draft a document. One that comes to nothing is paid at once.
#[expect(clippy::too_many_arguments, reason = "the columns of one row")]
pub(super) async fn set_finalized(
    tx: &mut PgConnection,
    organization: OrganizationId,
    invoice: InvoiceId,
    number: &InvoiceNumber,
    sequence: i64,
    totals: &Totals,
    now: Timestamp,
    due: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "update invoices set state = 'finalized', number = $3, number_year = $4, number_seq = $5,
             subtotal_minor = $6, tax_minor = $7, total_minor = $8, finalized_at = $9, due_at = $10, updated_at = now()
         where organization_id = $1 and id = $2",
        organization.uuid(),
        invoice.uuid(),
        number.to_string(),
        i32::from(number.year()),
        sequence,
        totals.subtotal.minor(),
        totals.tax.minor(),
        totals.total.minor(),
        now.to_sqlx(),
        due.to_sqlx(),
    )
    .execute(&mut *tx)
    .await?;
    if totals.total.is_zero() {
        sqlx::query!(
            "update invoices set state = 'paid', updated_at = now() where organization_id = $1 and id = $2",
            organization.uuid(),
            invoice.uuid(),
        )
        .execute(tx)
        .await?;
    }
    Ok(())
}
