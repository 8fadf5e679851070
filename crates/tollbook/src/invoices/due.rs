//! Drafts that are to be finalized, with what their payer and seller say about them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId};
use tollbook_core::invoices::{TaxRate, TaxTreatment};
use tollbook_core::money::{Currency, Fraction, Percent, Quantity, Rounding};
use tollbook_core::payer::PayerKind;
use uuid::Uuid;

use super::lines::Gathered;
use crate::db::types::Text;
use crate::error::{Error, Result};

/// How many days a payer of the platform has; an organization chooses for its sale.
const PLATFORM_TERMS_DAYS: i32 = 14;

/// One of the two sales of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sale {
    pub(super) organization: OrganizationId,
    pub(super) payer: PayerKind,
}

/// A locked draft.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) id: InvoiceId,
    pub(super) seller: Uuid,
    /// The zone whose calendar gives the year of the number.
    pub(super) seller_zone: String,
    pub(super) customer: Option<CustomerId>,
    pub(super) currency: Currency,
    pub(super) rounding: Rounding,
    pub(super) tax: TaxTreatment,
    pub(super) zone: String,
    pub(super) period_start: Timestamp,
    pub(super) period_end: Timestamp,
    pub(super) payment_terms_days: i32,
}

/// A sale that has drafts whose time has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct DueSale {
    pub(super) sale: Sale,
    /// How many.
    pub(super) drafts: i64,
}

/// The sales that have drafts whose time has come at `until`, those that wait longest first; of all organizations or one.
pub(super) async fn sales(
    tx: &mut PgConnection,
    until: Timestamp,
    only: Option<OrganizationId>,
) -> Result<Vec<DueSale>> {
    let rows = sqlx::query!(
        r#"select i.organization_id, i.payer as "payer: Text<PayerKind>", count(*) as "drafts!" from invoices i
         where i.state = 'draft' and i.finalize_at <= $1 and ($2::uuid is null or i.organization_id = $2)
         -- all organizations: the schedule is the platform's
         group by i.organization_id, i.payer order by min(i.finalize_at)"#,
        until.to_sqlx(),
        only.map(Uuid::from),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DueSale {
            sale: Sale {
                organization: row.organization_id.into(),
                payer: row.payer.0,
            },
            drafts: row.drafts,
        })
        .collect())
}

/// A draft that is due, and when it became so: its place among those of its sale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) id: InvoiceId,
    finalize_at: Timestamp,
}

/// Drafts of a sale that are due by `until`, behind `after`, in the order in which they get their numbers.
pub(super) async fn due(
    tx: &mut PgConnection,
    sale: Sale,
    until: Timestamp,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Place>> {
    let rows = sqlx::query!(
        r#"select i.id, i.finalize_at as "finalize_at!" from invoices i
         where i.organization_id = $1 and i.payer = $2 and i.state = 'draft' and i.finalize_at <= $3
             and (i.finalize_at, i.id) > (coalesce($4, '-infinity'::timestamptz), coalesce($5, '00000000-0000-0000-0000-000000000000'::uuid))
         order by i.finalize_at, i.id limit $6"#,
        sale.organization.uuid(),
        sale.payer.as_str(),
        until.to_sqlx(),
        after.map(|it| it.finalize_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|it| it.id.uuid()),
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Place {
            id: row.id.into(),
            finalize_at: row.finalize_at.to_jiff(),
        })
        .collect())
}

/// Locks drafts of one sale, in the order in which they get their numbers. Left out are drafts that another node has, and
/// those that wait for usage or webhooks, or, unless a person asks for them, for their payer's next period.
pub(super) async fn lock(
    tx: &mut PgConnection,
    sale: Sale,
    ids: &[InvoiceId],
    is_by_hand: bool,
) -> Result<Vec<Draft>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_file_as!(
        Row,
        "src/invoices/due.sql",
        sale.organization.uuid(),
        sale.payer.as_str(),
        &ids,
        is_by_hand,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(|row| row.read(sale.payer)).collect()
}

/// Drafts as they are, without locking them: for a preview.
pub(super) async fn read(
    tx: &mut PgConnection,
    sale: Sale,
    ids: &[InvoiceId],
) -> Result<Vec<Draft>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select i.id, i.seller_id, o.zone as seller_zone, i.customer_id, i.currency, o.rounding,
             coalesce(c.tax_exempt, false) as "tax_exempt!", c.tax_percent as "tax_percent?", coalesce(c.tax_inclusive, false) as "tax_inclusive!",
             i.zone, i.period_start, i.period_end, o.payment_terms_days
         from invoices i
         join organizations o on o.id = i.organization_id
         left join customers c on c.organization_id = i.organization_id and c.id = i.customer_id
         where i.organization_id = $1 and i.payer = $2 and i.id = any($3)"#,
        sale.organization.uuid(),
        sale.payer.as_str(),
        &ids,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(|row| row.read(sale.payer)).collect()
}

struct Row {
    id: Uuid,
    seller_id: Option<Uuid>,
    seller_zone: String,
    customer_id: Option<Uuid>,
    currency: String,
    rounding: String,
    tax_exempt: bool,
    tax_percent: Option<Decimal>,
    tax_inclusive: bool,
    zone: String,
    period_start: jiff_sqlx::Timestamp,
    period_end: jiff_sqlx::Timestamp,
    payment_terms_days: i32,
}

impl Row {
    fn read(self, payer: PayerKind) -> Result<Draft> {
        let stored = |e: &dyn std::fmt::Display| {
            Error::Internal(format!("invoice {} cannot be read: {e}", self.id))
        };
        let percent = self.tax_percent.map(Percent::try_from).transpose();
        let percent = percent.map_err(|e| stored(&e))?;
        let is_platform = payer == PayerKind::Organization;
        Ok(Draft {
            id: self.id.into(),
            seller: self.seller_id.unwrap_or(Uuid::nil()),
            seller_zone: if is_platform {
                "UTC".to_owned()
            } else {
                self.seller_zone
            },
            customer: self.customer_id.map(CustomerId::from),
            currency: self.currency.parse().map_err(|e| stored(&e))?,
            rounding: match self.rounding.as_str() {
                "half_even" if !is_platform => Rounding::HalfEven,
                _ => Rounding::HalfUp,
            },
            tax: match (self.tax_exempt, percent) {
                (true, _) => TaxTreatment::Exempt,
                (false, None) => TaxTreatment::Rates(Vec::new()),
                (false, Some(percent)) => TaxTreatment::Rates(vec![TaxRate {
                    name: "Tax".into(),
                    percent,
                    inclusive: self.tax_inclusive,
                }]),
            },
            zone: self.zone,
            period_start: self.period_start.to_jiff(),
            period_end: self.period_end.to_jiff(),
            payment_terms_days: if is_platform {
                PLATFORM_TERMS_DAYS
            } else {
                self.payment_terms_days
            },
        })
    }
}

/// Gathers the charges of drafts. Sums of equal denominators are exact; the rest is added up as fractions.
pub(super) async fn gather(
    tx: &mut PgConnection,
    organization: OrganizationId,
    invoices: &[InvoiceId],
) -> Result<Vec<Gathered>> {
    let ids: Vec<Uuid> = invoices.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_file!("src/invoices/gather.sql", organization.uuid(), &ids)
        .fetch_all(tx)
        .await?;
    let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored charge: {e}"));
    rows.into_iter()
        .map(|row| {
            let fee_period = row.fee_start.zip(row.fee_end);
            Ok(Gathered {
                invoice: row.invoice_id.into(),
                line_group: row.line_group,
                kind: row.kind,
                band: row.band,
                meter: row.meter,
                meter_name: row.meter_name,
                plan_name: row.plan_name,
                description: row.description,
                unit: row.unit,
                unit_price: row.unit_price,
                divisor: row.divisor,
                quantity: Quantity::try_from(row.quantity).map_err(|e| stored(&e))?,
                amount: Fraction::from_decimals(row.numerator, row.denominator)
                    .map_err(|e| stored(&e))?,
                charges: row.charges,
                first_at: row.first_at.to_jiff(),
                last_at: row.last_at.to_jiff(),
                is_again: row.is_again,
                fee_period: fee_period.map(|(start, end)| (start.to_jiff(), end.to_jiff())),
            })
        })
        .collect()
}
