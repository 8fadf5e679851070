//! How a customer is reached: the numbers they call from, their contacts, and notes about them.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{ContactId, CustomerId, OrganizationId};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::edit::{is_email, reindex};
use super::recognize;
use super::sql::reach;
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
    let given = std::slice::from_ref(number);
    let ids = give_numbers(tx, organization, customer, given, label, now).await?;
    let id = ids.into_iter().next();
    id.ok_or_else(|| Error::Internal("a number was not given".into()))
}

/// The same with several; returns what each has become.
pub(crate) async fn give_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    numbers: &[E164],
    label: &str,
    now: Timestamp,
) -> Result<Vec<Uuid>> {
    // Nobody becomes a prospect by these numbers meanwhile.
    let persons = numbers.iter().map(|it| (organization, it.as_str()));
    recognize::hold(tx, &persons.collect()).await?;
    if !reach::lock_around(tx, organization, customer, numbers).await? {
        return Err(Error::NotFound("customer"));
    }
    let mut new = Vec::new();
    for number in numbers {
        let live = reach::live_number(tx, organization, customer, number).await?;
        new.extend(live.is_none().then_some(number));
    }
    let prospects = reach::prospects_with(tx, organization, customer, &new).await?;
    if !prospects.is_empty() {
        reach::lock_communications(tx, organization, &prospects).await?;
    }
    for prospect in prospects {
        reach::absorb(tx, organization, prospect, customer, now).await?;
        reindex(tx, organization, prospect).await?;
    }
    let mut ids = Vec::with_capacity(numbers.len());
    for number in numbers {
        // A prospect may have brought it.
        let live = reach::live_number(tx, organization, customer, number).await?;
        let id = live.unwrap_or_else(new_id);
        if live.is_none() {
            reach::insert_number(tx, organization, id, customer, number, label, now).await?;
        }
        ids.push(id);
    }
    if !new.is_empty() {
        reindex(tx, organization, customer).await?;
    }
    Ok(ids)
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
    expect(tx, organization, customer).await?;
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
    expect(tx, organization, customer).await?;
    let id = new_id();
    reach::insert_contact(tx, organization, id, customer, name, email, role).await?;
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
