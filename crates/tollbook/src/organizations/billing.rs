//! How an organization invoices its customers.

use serde::Serialize;
use sqlx::postgres::types::PgInterval;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;

use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};

/// Days in which an invoice is to be paid, at most.
const TERMS_DAYS_MAX: u16 = 365;

/// How an organization invoices.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct BillingSettings {
    /// How long after its period a draft waits for late usage; 0 finalizes at once.
    pub(crate) invoice_grace_seconds: u32,
    /// Days until an invoice is due, 0 to 365.
    pub(crate) payment_terms_days: u16,
    /// Pay-per-call usage is invoiced when the call ends; otherwise by calendar month.
    pub(crate) is_invoiced_per_call: bool,
}

/// Sets how an organization invoices from now on.
pub(crate) async fn set_billing(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    settings: &BillingSettings,
) -> Result<()> {
    if settings.payment_terms_days > TERMS_DAYS_MAX {
        let message = format!("must be at most {TERMS_DAYS_MAX}");
        return Err(Error::invalid("paymentTermsDays", message));
    }
    let grace = PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::from(settings.invoice_grace_seconds) * 1_000_000,
    };
    let invoicing = if settings.is_invoiced_per_call {
        "per_call"
    } else {
        "monthly"
    };
    let mut tx = app.db.begin(actor).await?;
    let changed = sqlx::query!(
        "update organizations set invoice_grace = $2, payment_terms_days = $3, pay_per_call_invoicing = $4, updated_at = now()
         where id = $1",
        organization.uuid(),
        grace,
        i32::from(settings.payment_terms_days),
        invoicing,
    )
    .execute(&mut *tx)
    .await?;
    if changed.rows_affected() == 0 {
        return Err(Error::NotFound("organization"));
    }
    let deed = Deed::new(
        organization,
        "organization.billing_set",
        "organization",
        organization,
    )
    .after(settings)?;
    audit::record(&mut tx, actor, deed).await?;
    tx.commit().await?;
    Ok(())
}
