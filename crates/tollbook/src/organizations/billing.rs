//! How an organization invoices its customers.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
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

/// How the users of an organization are billed for what they use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BillingMode {
    /// By the platform, at the prices of the organization's plan with it: what providers charge with a mark-up, and a fee for
    /// each number, say.
    Platform,
    /// Not at all: the provider is paid directly, and what it charges is shown.
    PassThrough,
}

impl BillingMode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::PassThrough => "pass_through",
        }
    }
}

impl FromStr for BillingMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "platform" => Ok(Self::Platform),
            "pass_through" => Ok(Self::PassThrough),
            _ => Err(Error::Internal(format!("billing mode `{text}`"))),
        }
    }
}

/// Sets how the users of an organization are billed.
pub(super) async fn set_mode(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    mode: BillingMode,
) -> Result<()> {
    let mut tx = app.db.begin(actor).await?;
    let before = sqlx::query_scalar!(
        "select billing_mode from organizations where id = $1 for no key update",
        organization.uuid(),
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::NotFound("organization"))?;
    if before == mode.as_str() {
        return Ok(());
    }
    sqlx::query!(
        "update organizations set billing_mode = $2, updated_at = now() where id = $1",
        organization.uuid(),
        mode.as_str(),
    )
    .execute(&mut *tx)
    .await?;
    let action = "organization.billing_mode_set";
    let deed = Deed::new(organization, action, "organization", organization);
    let deed = deed.before(&before)?.after(&mode)?;
    audit::record(&mut tx, actor, deed).await?;
    tx.commit().await?;
    Ok(())
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
