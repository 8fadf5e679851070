//! Statements on customers' numbers, contacts and notes.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{ContactId, CustomerId, OrganizationId};
use tollbook_core::phone::E164;
use uuid::Uuid;

/// Locks a customer; whether there is one.
pub(in super::super) async fn lock_customer(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "select id from customers where organization_id = $1 and id = $2 and merged_into_id is null for no key update",
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(found.is_some())
}

/// The row that says that a customer has a number now.
pub(in super::super) async fn live_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    number: &E164,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        "select id from customer_numbers where organization_id = $1 and e164 = $2 and customer_id = $3 and ends_at is null",
        organization.uuid(),
        number.as_str(),
        customer.uuid(),
    )
    .fetch_optional(tx)
    .await
}

/// Locks a customer and the prospects who have one of these numbers now, in key order; whether there is the customer.
pub(in super::super) async fn lock_around(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    numbers: &[E164],
) -> sqlx::Result<bool> {
    let numbers: Vec<&str> = numbers.iter().map(E164::as_str).collect();
    let ids = sqlx::query_scalar!(
        "select c.id from customers c
         where c.organization_id = $1 and c.merged_into_id is null and (c.id = $2 or c.kind = 'prospect') and c.id in (
             select $2 union all select n.customer_id from customer_numbers n where n.organization_id = $1 and n.e164 = any ($3) and n.ends_at is null)
         order by c.id for no key update",
        organization.uuid(),
        customer.uuid(),
        &numbers as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(ids.contains(&customer.uuid()))
}

/// Prospects, other than `customer`, who have one of these numbers now.
pub(in super::super) async fn prospects_with(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    numbers: &[&E164],
) -> sqlx::Result<Vec<CustomerId>> {
    let numbers: Vec<&str> = numbers.iter().map(|number| number.as_str()).collect();
    let ids = sqlx::query_scalar!(
        "select c.id from customers c
         where c.organization_id = $1 and c.kind = 'prospect' and c.merged_into_id is null and c.id <> $2 and c.id in (
             select n.customer_id from customer_numbers n where n.organization_id = $1 and n.e164 = any ($3) and n.ends_at is null)
         order by c.id",
        organization.uuid(),
        customer.uuid(),
        &numbers as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(ids.into_iter().map(CustomerId::from).collect())
}

/// Locks the calls of customers, then their messages, each in key order.
pub(in super::super) async fn lock_communications(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
) -> sqlx::Result<()> {
    let customers: Vec<Uuid> = customers.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "select id from calls where organization_id = $1 and customer_id = any ($2) order by id for no key update",
        organization.uuid(),
        &customers,
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query!(
        "select id from messages where organization_id = $1 and customer_id = any ($2) order by integration_id, sid for no key update",
        organization.uuid(),
        &customers,
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// Makes a prospect a part of a customer: numbers, calls and messages go over. What was charged stays where it is. All of
/// them are locked.
pub(in super::super) async fn absorb(
    tx: &mut PgConnection,
    organization: OrganizationId,
    prospect: CustomerId,
    customer: CustomerId,
    now: Timestamp,
) -> sqlx::Result<()> {
    let (organization, prospect, customer) =
        (organization.uuid(), prospect.uuid(), customer.uuid());
    sqlx::query!(
        "update customers set merged_into_id = $3, updated_at = $4 where organization_id = $1 and (id = $2 or merged_into_id = $2)",
        organization,
        prospect,
        customer,
        now.to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    // A number that the customer has already stays with the merged prospect: it leads to the customer as well.
    sqlx::query!(
        "update customer_numbers n set customer_id = $3 where n.organization_id = $1 and n.customer_id = $2
             and not exists (select from customer_numbers o
                 where o.organization_id = $1 and o.customer_id = $3 and o.e164 = n.e164 and o.ends_at is null)",
        organization,
        prospect,
        customer,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update calls set customer_id = $3 where organization_id = $1 and customer_id = $2",
        organization,
        prospect,
        customer,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update messages set customer_id = $3 where organization_id = $1 and customer_id = $2",
        organization,
        prospect,
        customer,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update customer_notes set customer_id = $3 where organization_id = $1 and customer_id = $2",
        organization,
        prospect,
        customer,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Gives a number: for all time if nobody else ever had it.
pub(in super::super) async fn insert_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: Uuid,
    customer: CustomerId,
    number: &E164,
    label: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into customer_numbers (organization_id, id, customer_id, e164, label, starts_at)
         select $1, $2, $3, $4, $5, case
             when exists (select from customer_numbers n where n.organization_id = $1 and n.e164 = $4) then $6::timestamptz
             else '-infinity' end",
        organization.uuid(),
        id,
        customer.uuid(),
        number.as_str(),
        label,
        now.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends a number; whether the customer had it.
pub(in super::super) async fn end_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    id: Uuid,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update customer_numbers set ends_at = greatest($4, starts_at + interval '1 microsecond')
         where organization_id = $1 and customer_id = $2 and id = $3 and ends_at is null",
        organization.uuid(),
        customer.uuid(),
        id,
        now.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(in super::super) async fn insert_contact(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: ContactId,
    customer: CustomerId,
    name: &str,
    email: Option<&str>,
    role: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into contacts (organization_id, id, customer_id, name, email, role) values ($1, $2, $3, $4, $5, $6)",
        organization.uuid(),
        id.uuid(),
        customer.uuid(),
        name,
        email,
        role,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(in super::super) async fn insert_note(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: Uuid,
    customer: CustomerId,
    body: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into customer_notes (organization_id, id, customer_id, body) values ($1, $2, $3, $4)",
        organization.uuid(),
        id,
        customer.uuid(),
        body,
    )
    .execute(tx)
    .await?;
    Ok(())
}
