//! Whether a payer is there.

use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use tollbook_core::payer::Payer;

use crate::error::{Error, Result};

/// Whether the customer is one of the organization's; the organization itself is looked at by whoever names it.
pub(crate) async fn check_payer(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
) -> Result<()> {
    let Payer::Customer(customer) = payer else {
        return Ok(());
    };
    let found = sqlx::query_scalar!(
        "select id from customers where organization_id = $1 and id = $2",
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    found.map(|_| ()).ok_or(Error::NotFound("customer"))
}
