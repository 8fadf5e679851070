//! What usage was charged, added up by account, currency and period.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, ChargeId, CustomerId, OrganizationId};
use tollbook_core::money::{Currency, Fraction, Price};
use uuid::Uuid;

use crate::error::{Error, Result};

/// A charge of usage that counts in a period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) organization: OrganizationId,
    pub(crate) charge: ChargeId,
    /// It is taken back: what it came to counts no more.
    pub(crate) is_undone: bool,
    pub(crate) period_start: Timestamp,
}

/// What usage of a period comes to, for a payer.
#[derive(Debug, Clone)]
pub(crate) struct Total {
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
    /// `None`: the organization pays.
    pub(crate) customer: Option<CustomerId>,
    pub(crate) currency: Currency,
    pub(crate) period_start: Timestamp,
    /// Exact, in major units.
    pub(crate) before: Fraction,
    /// Exact, in major units.
    pub(crate) after: Fraction,
    /// The payer's own.
    pub(crate) cap: Option<Fraction>,
}

pub(super) fn stored(what: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a stored limit: {what}"))
}

/// A stored amount, exact.
pub(super) fn exact(amount: Decimal) -> Result<Fraction> {
    let price = Price::try_from(amount).map_err(|e| stored(&e))?;
    Ok(price.to_fraction())
}

/// Counts charges that are written in this transaction. Their accounts are locked. Returns the totals that changed.
pub(crate) async fn count(tx: &mut PgConnection, counted: &[Counted]) -> Result<Vec<Total>> {
    if counted.is_empty() {
        return Ok(Vec::new());
    }
    let organizations: Vec<Uuid> = counted.iter().map(|it| it.organization.uuid()).collect();
    let charges: Vec<Uuid> = counted.iter().map(|it| it.charge.uuid()).collect();
    let signs: Vec<i32> = counted
        .iter()
        .map(|it| if it.is_undone { -1 } else { 1 })
        .collect();
    let periods: Vec<_> = counted.iter().map(|it| it.period_start.to_sqlx()).collect();
    let rows = sqlx::query_file!(
        "src/limits/count.sql",
        &organizations,
        &charges,
        &signs,
        &periods,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Total {
                organization: row.organization_id.into(),
                account: row.account_id.into(),
                customer: row.customer_id.map(CustomerId::from),
                currency: row.currency.parse().map_err(|e| stored(&e))?,
                period_start: row.period_start.to_jiff(),
                before: exact(row.before)?,
                after: exact(row.after)?,
                cap: row.cap.map(exact).transpose()?,
            })
        })
        .collect()
}
