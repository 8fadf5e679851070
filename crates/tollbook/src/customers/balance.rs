//! What a customer owes.

use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::money::Money;

use super::sql;
use crate::error::{Error, Result};

/// An exact amount that is not rounded yet: a plain decimal, and its currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unbilled {
    pub(crate) plain: String,
    pub(crate) currency: tollbook_core::money::Currency,
}

/// What is open on the customer's invoices less what they have to their credit, one amount for each currency, in order.
/// Only who runs the organization sees payments; to others the credit that no invoice has used yet is missing.
pub(crate) async fn balance(
    tx: &mut PgConnection,
    actor: &Actor,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<Vec<Money>> {
    let mut totals = sql::balance::open(tx, organization, customer).await?;
    if actor.administers(organization) {
        for credit in sql::balance::credit(tx, organization, customer).await? {
            let owed = credit.checked_neg();
            let owed = owed.map_err(|error| Error::Internal(error.to_string()))?;
            sql::card::add(&mut totals, owed)?;
        }
    }
    Ok(totals)
}

/// What is charged on the customer's drafts. Only who runs the organization may ask.
pub(crate) async fn unbilled(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<Vec<Unbilled>> {
    Ok(sql::balance::unbilled(tx, organization, customer).await?)
}
