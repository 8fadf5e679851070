//! Statements behind lists of customers. Each order has an index of its own, which row-level security may use.

use sqlx::PgConnection;
use tollbook_core::ids::{ContactId, CustomerId, OrganizationId};
use uuid::Uuid;

use super::super::list::{Contact, Customer, CustomerNumber, Place};

/// The beginning of every order by id.
fn first() -> Uuid {
    Uuid::nil()
}

fn key(after: Option<&Place>) -> (&str, Uuid) {
    after.map_or(("", first()), |it| (it.key.as_str(), it.id.uuid()))
}

pub(in super::super) async fn all(
    tx: &mut PgConnection,
    organization: OrganizationId,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<Place>> {
    let (name, id) = key(after);
    sqlx::query_as!(
        Place,
        "select sort_name as key, id from customers
         where organization_id = $1 and (sort_name, id) > ($2, $3) and merged_into_id is null
         order by sort_name, id limit $4",
        organization.uuid(),
        name,
        id,
        limit,
    )
    .fetch_all(tx)
    .await
}

pub(in super::super) async fn prospects(
    tx: &mut PgConnection,
    organization: OrganizationId,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<Place>> {
    let (name, id) = key(after);
    sqlx::query_as!(
        Place,
        "select sort_name as key, id from customers
         where organization_id = $1 and kind = 'prospect' and (sort_name, id) > ($2, $3) and merged_into_id is null
         order by sort_name, id limit $4",
        organization.uuid(),
        name,
        id,
        limit,
    )
    .fetch_all(tx)
    .await
}

pub(in super::super) async fn subscribers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<Place>> {
    let (name, id) = key(after);
    sqlx::query_as!(
        Place,
        "select c.sort_name as key, c.id from customers c
         where c.organization_id = $1 and c.kind = 'customer' and (c.sort_name, c.id) > ($2, $3) and c.merged_into_id is null
             and exists (select from subscriptions s
                 where s.organization_id = $1 and s.customer_id = c.id and s.state in ('trial', 'active', 'canceled'))
         order by c.sort_name, c.id limit $4",
        organization.uuid(),
        name,
        id,
        limit,
    )
    .fetch_all(tx)
    .await
}

pub(in super::super) async fn by_ids(
    tx: &mut PgConnection,
    organization: OrganizationId,
    ids: &[CustomerId],
) -> sqlx::Result<Vec<Customer>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    sqlx::query_as!(
        Customer,
        r#"select c.id, c.kind, c.name, c.email, c.zone, c.country, c.external_key, c.tax_exempt,
             trim_scale(c.tax_percent)::text as tax_percent, c.tax_inclusive, c.created_at, c.updated_at,
             array(select n.e164 from customer_numbers n
                 where n.organization_id = $1 and n.customer_id = c.id and n.ends_at is null order by n.e164) as "phone_numbers!"
         from customers c where c.organization_id = $1 and c.id = any ($2)"#,
        organization.uuid(),
        &ids,
    )
    .fetch_all(tx)
    .await
}

pub(in super::super) async fn numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> sqlx::Result<Vec<CustomerNumber>> {
    let rows = sqlx::query!(
        "select id, e164, label, contact_id, nullif(starts_at, '-infinity') as starts_at, ends_at from customer_numbers
         where organization_id = $1 and customer_id = $2
         order by ends_at desc nulls first, e164, id",
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| CustomerNumber {
            id: row.id,
            phone_number: row.e164,
            label: row.label,
            contact_id: row.contact_id.map(ContactId::from),
            starts_at: row.starts_at.map(jiff_sqlx::Timestamp::to_jiff),
            ends_at: row.ends_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
        .collect())
}

pub(in super::super) async fn contacts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    after: Option<ContactId>,
    limit: i64,
) -> sqlx::Result<Vec<Contact>> {
    sqlx::query_as!(
        Contact,
        "select id, customer_id, name, email, role, created_at from contacts
         where organization_id = $1 and id > $2 order by id limit $3",
        organization.uuid(),
        after.map_or(first(), Uuid::from),
        limit,
    )
    .fetch_all(tx)
    .await
}

pub(in super::super) async fn contacts_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    after: Option<ContactId>,
    limit: i64,
) -> sqlx::Result<Vec<Contact>> {
    sqlx::query_as!(
        Contact,
        "select id, customer_id, name, email, role, created_at from contacts
         where organization_id = $1 and customer_id = $2 and id > $3 order by id limit $4",
        organization.uuid(),
        customer.uuid(),
        after.map_or(first(), Uuid::from),
        limit,
    )
    .fetch_all(tx)
    .await
}

/// One contact.
pub(in super::super) async fn contact(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: ContactId,
) -> sqlx::Result<Contact> {
    sqlx::query_as!(
        Contact,
        "select id, customer_id, name, email, role, created_at from contacts where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_one(tx)
    .await
}

/// The organization's country, in whose form numbers are typed.
pub(in super::super) async fn country(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> sqlx::Result<String> {
    sqlx::query_scalar!(
        "select country from organizations where id = $1",
        organization.uuid()
    )
    .fetch_one(tx)
    .await
}
