//! An invoice as a credit note sees it: lines and taxes, and what was given back of them before.

use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId};
use tollbook_core::invoices::{Creditable, LineLeft, Standing, TaxLeft};
use tollbook_core::ledger::FEE;
use tollbook_core::money::{Currency, Money};
use tollbook_core::payer::{Payer, PayerKind};
use uuid::Uuid;

use crate::error::{Error, Result};

/// An invoice that may be credited.
#[derive(Debug)]
pub(super) struct Invoice {
    pub(super) organization: OrganizationId,
    pub(super) id: InvoiceId,
    pub(super) payer: Payer,
    pub(super) seller: Uuid,
    /// The zone whose calendar gives the year of the number.
    pub(super) seller_zone: String,
    pub(super) currency: Currency,
    pub(super) state: String,
    /// Whether another system issued it.
    pub(super) is_opening: bool,
    pub(super) standing: Standing,
}

/// A line of it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: Uuid,
    /// On the invoice, from 1.
    pub(super) position: i32,
    /// The meter whose revenue it is.
    pub(super) meter: String,
    pub(super) left: LineLeft,
}

/// The tax of one rate.
#[derive(Debug)]
pub(super) struct Tax {
    pub(super) percent: Decimal,
    pub(super) left: TaxLeft,
}

/// Locks an invoice. The payer's account is held.
pub(super) async fn lock(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: PayerKind,
    id: InvoiceId,
) -> Result<Invoice> {
    let row = sqlx::query!(
        r#"select i.customer_id, i.seller_id as "seller!", case i.payer when 'organization' then 'UTC' else o.zone end as "zone!",
             i.currency, i.state, i.kind = 'opening' as "is_opening!", i.total_minor, i.paid_minor, i.credited_minor
         from invoices i join organizations o on o.id = i.organization_id
         where i.organization_id = $1 and i.id = $2 and i.payer = $3 for no key update of i"#,
        organization.uuid(),
        id.uuid(),
        payer.as_str(),
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("invoice"))?;
    let currency: Currency = row
        .currency
        .parse()
        .map_err(|e| Error::Internal(format!("invoice {id} cannot be read: {e}")))?;
    let money = |minor| Money::from_minor(minor, currency);
    Ok(Invoice {
        organization,
        id,
        payer: row.customer_id.map_or(Payer::Organization, |id| {
            Payer::Customer(CustomerId::from(id))
        }),
        seller: row.seller,
        seller_zone: row.zone,
        currency,
        state: row.state,
        is_opening: row.is_opening,
        standing: Standing {
            total: money(row.total_minor),
            paid: money(row.paid_minor),
            credited: money(row.credited_minor),
        },
    })
}

/// The taxes of an invoice, by rate.
pub(super) async fn taxes(tx: &mut PgConnection, invoice: &Invoice) -> Result<Vec<Tax>> {
    let rows = sqlx::query!(
        r#"select x.percent, x.inclusive, x.tax_minor, coalesce(c.minor, 0)::bigint as "credited!"
         from invoice_taxes x
         left join (
             select t.percent, t.inclusive, sum(t.tax_minor) as minor
             from credit_notes n
             join credit_note_taxes t on t.organization_id = $1 and t.credit_note_id = n.id
             where n.organization_id = $1 and n.invoice_id = $2
             group by t.percent, t.inclusive
         ) c on c.percent = x.percent and c.inclusive = x.inclusive
         where x.organization_id = $1 and x.invoice_id = $2 order by x.percent, x.inclusive"#,
        invoice.organization.uuid(),
        invoice.id.uuid(),
    )
    .fetch_all(tx)
    .await?;
    let taxes = rows.into_iter().map(|row| Tax {
        percent: row.percent,
        left: TaxLeft {
            amount: invoice.creditable(row.tax_minor, row.credited),
            inclusive: row.inclusive,
        },
    });
    Ok(taxes.collect())
}

/// The lines of an invoice, in their order. All charges of a line are of one meter.
pub(super) async fn lines(
    tx: &mut PgConnection,
    invoice: &Invoice,
    taxes: &[Tax],
) -> Result<Vec<Line>> {
    let rows = sqlx::query!(
        r#"select l.id, l.position, l.amount_minor, l.tax_percent, l.tax_inclusive, coalesce(c.minor, 0)::bigint as "credited!",
             (select g.meter from charges g where g.organization_id = $1 and g.invoice_id = $2 and g.line_group = l.line_group
             union all
             select g.meter from recharges r join invoices v on v.organization_id = $1 and v.id = r.void_invoice_id
             join charges g on g.organization_id = $1 and g.invoice_id = r.void_invoice_id
                 and g.line_group = left(l.line_group, greatest(length(l.line_group) - length(v.number) - 1, 0))
             where r.organization_id = $1 and r.document_id = $2 and l.line_group like '%@' || v.number
             limit 1) as meter
         from invoice_lines l
         left join (
             select g.invoice_line_id, sum(g.amount_minor) as minor
             from credit_notes n
             join credit_note_lines g on g.organization_id = $1 and g.credit_note_id = n.id
             where n.organization_id = $1 and n.invoice_id = $2
             group by g.invoice_line_id
         ) c on c.invoice_line_id = l.id
         where l.organization_id = $1 and l.invoice_id = $2 order by l.position"#,
        invoice.organization.uuid(),
        invoice.id.uuid(),
    )
    .fetch_all(tx)
    .await?;
    let lines = rows.into_iter().map(|row| Line {
        id: row.id,
        position: row.position,
        meter: row.meter.unwrap_or_else(|| FEE.to_owned()),
        left: LineLeft {
            amount: invoice.creditable(row.amount_minor, row.credited),
            tax: taxes.iter().position(|tax| {
                Some(tax.percent) == row.tax_percent && tax.left.inclusive == row.tax_inclusive
            }),
        },
    });
    Ok(lines.collect())
}

impl Invoice {
    fn creditable(&self, invoiced: i64, credited: i64) -> Creditable {
        Creditable {
            invoiced: Money::from_minor(invoiced, self.currency),
            credited: Money::from_minor(credited, self.currency),
        }
    }
}
