//! Where an organization does business, as its contracts and documents need to know.

use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::Currency;
use tollbook_core::time::Zone;

use crate::error::{Error, Result};

/// The clock and the currency of an organization.
#[derive(Debug, Clone)]
pub(crate) struct Business {
    /// In which its days begin.
    pub(crate) zone: Zone,
    /// Of what it writes by hand.
    pub(crate) currency: Currency,
}

/// Reads them; an organization that is not there is not found.
pub(crate) async fn business(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> Result<Business> {
    let row = sqlx::query!(
        "select zone, currency from organizations where id = $1",
        organization.uuid(),
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("organization"))?;
    let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored organization: {e}"));
    Ok(Business {
        zone: row.zone.parse().map_err(|e| stored(&e))?,
        currency: row.currency.parse().map_err(|e| stored(&e))?,
    })
}
