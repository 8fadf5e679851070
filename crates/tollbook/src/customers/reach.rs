//! How a customer is reached: the numbers they call from, their contacts, and notes about them.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{ContactId, CustomerId, OrganizationId};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::edit::{is_email, reindex};
use super::recognize::Caller;
use super::sql::{self, reach};
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;

/// Most characters of a note.
pub(crate) const NOTE_MAX: usize = 4_000;

/// Says that a customer calls from a number: for all time if nobody else had it, else from `now` on. Saying it again
/// changes nothing.
///
/// A prospect who had it is nobody but this customer: their calls and messages become the customer's. Another customer
/// keeps it; then the operator chooses at each call.
pub(crate) async fn give_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    number: &E164,
    label: &str,
    now: Timestamp,
) -> Result<Uuid> {
    let caller = Caller {
        organization,
        number: number.clone(),
        at: now,
        is_incoming: true,
    };
    // Nobody becomes a prospect by this number meanwhile.
    sql::recognize::lock(tx, &[caller]).await?;
    if !reach::lock_customer(tx, organization, customer).await? {
        return Err(Error::NotFound("customer"));
    }
    if let Some(id) = reach::live_number(tx, organization, customer, number).await? {
        return Ok(id);
    }
    for prospect in reach::prospects_with(tx, organization, customer, number).await? {
        reach::absorb(tx, organization, prospect, customer, now).await?;
        reindex(tx, organization, prospect).await?;
    }
    // The prospect may have brought it.
    if let Some(id) = reach::live_number(tx, organization, customer, number).await? {
        reindex(tx, organization, customer).await?;
        return Ok(id);
    }
    let id = new_id();
    reach::insert_number(tx, organization, id, customer, number, label, now).await?;
    reindex(tx, organization, customer).await?;
    Ok(id)
}

/// Fails with 404 unless there is such a customer. Holds them as they are.
pub(crate) async fn expect(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<()> {
    let is_there = reach::lock_customer(tx, organization, customer).await?;
    is_there.then_some(()).ok_or(Error::NotFound("customer"))
}

/// Ends a customer's number.
pub(crate) async fn end_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    id: Uuid,
    now: Timestamp,
) -> Result<()> {
    if !reach::end_number(tx, organization, customer, id, now).await? {
        return Err(Error::NotFound("number"));
    }
    reindex(tx, organization, customer).await
}

/// Adds a person at a customer.
pub(crate) async fn add_contact(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    name: &str,
    email: Option<&str>,
    role: &str,
) -> Result<ContactId> {
    if name.trim().is_empty() {
        return Err(Error::invalid("name", "must not be empty"));
    }
    if email.is_some_and(|it| !is_email(it)) {
        return Err(Error::invalid("email", "is not a mail address"));
    }
    let id = new_id();
    reach::insert_contact(tx, organization, id, customer, name, email, role)
        .await
        .on_constraint("contacts_organization_id_customer_id_fkey", || {
            Error::NotFound("customer")
        })?;
    reindex(tx, organization, customer).await?;
    Ok(id)
}

/// Writes a note, in the name of whoever acts.
pub(crate) async fn add_note(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    body: &str,
) -> Result<Uuid> {
    let body = body.trim();
    if body.is_empty() {
        return Err(Error::invalid("text", "must not be empty"));
    }
    if body.chars().count() > NOTE_MAX {
        let message = format!("must have at most {NOTE_MAX} characters");
        return Err(Error::invalid("text", message));
    }
    let id = new_id();
    reach::insert_note(tx, organization, id, customer, body)
        .await
        .on_constraint("customer_notes_organization_id_customer_id_fkey", || {
            Error::NotFound("customer")
        })?;
    Ok(id)
}
