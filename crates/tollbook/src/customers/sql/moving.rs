//! Statements that give what belongs to a customer to another.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::super::moving::HeldCustomer;

pub(in super::super) async fn hold(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
) -> sqlx::Result<Vec<HeldCustomer>> {
    let ids: Vec<Uuid> = customers.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        "select id, account_id, name, kind, merged_into_id from customers
         where organization_id = $1 and id = any ($2) order by id for no key update",
        organization.uuid(),
        &ids,
    )
    .fetch_all(tx)
    .await?;
    let held = rows.into_iter().map(|row| HeldCustomer {
        id: row.id.into(),
        account: row.account_id.into(),
        name: row.name,
        is_prospect: row.kind == "prospect",
        is_merged: row.merged_into_id.is_some(),
    });
    Ok(held.collect())
}

/// Whether a customer has a number from a time on without an end.
pub(in super::super) async fn has_since(
    tx: &mut PgConnection,
    organization: OrganizationId,
    number: &E164,
    customer: CustomerId,
    since: Timestamp,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from customer_numbers where organization_id = $1 and e164 = $2 and customer_id = $3
             and starts_at <= $4 and ends_at is null) as "has_it!""#,
        organization.uuid(),
        number.as_str(),
        customer.uuid(),
        since.to_sqlx(),
    )
    .fetch_one(tx)
    .await
}

/// The rows that say who has a number after a time, but for those of `kept`.
pub(in super::super) async fn rows_after(
    tx: &mut PgConnection,
    organization: OrganizationId,
    number: &E164,
    kept: Option<CustomerId>,
    since: Timestamp,
) -> sqlx::Result<Vec<(Uuid, CustomerId, Value)>> {
    let rows = sqlx::query!(
        r#"select n.id, n.customer_id, to_jsonb(n) as "row!" from customer_numbers n
         where n.organization_id = $1 and n.e164 = $2 and (n.ends_at is null or n.ends_at > $3)
             and n.customer_id is distinct from $4
         order by n.id for no key update"#,
        organization.uuid(),
        number.as_str(),
        since.to_sqlx(),
        kept.map(Uuid::from),
    )
    .fetch_all(tx)
    .await?;
    let rows = rows
        .into_iter()
        .map(|row| (row.id, CustomerId::from(row.customer_id), row.row));
    Ok(rows.collect())
}

/// Ends numbers at a time; what would begin later is taken away.
pub(in super::super) async fn cut_short(
    tx: &mut PgConnection,
    organization: OrganizationId,
    ids: &[Uuid],
    since: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from customer_numbers where organization_id = $1 and id = any ($2) and starts_at >= $3",
        organization.uuid(),
        ids,
        since.to_sqlx(),
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update customer_numbers set ends_at = $3 where organization_id = $1 and id = any ($2)",
        organization.uuid(),
        ids,
        since.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(in super::super) async fn insert_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: Uuid,
    customer: CustomerId,
    number: &E164,
    since: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into customer_numbers (organization_id, id, customer_id, e164, starts_at) values ($1, $2, $3, $4, $5)",
        organization.uuid(),
        id,
        customer.uuid(),
        number.as_str(),
        since.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(in super::super) async fn delete_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from customer_numbers where organization_id = $1 and id = $2",
        organization.uuid(),
        id,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Rows as they were.
pub(in super::super) async fn restore_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    rows: Vec<Value>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into customer_numbers (organization_id, id, customer_id, contact_id, e164, label, starts_at, ends_at)
         select $1, r.id, r.customer_id, r.contact_id, r.e164, r.label, r.starts_at, r.ends_at
         from jsonb_populate_recordset(null::customer_numbers, $2) r where r.organization_id = $1 order by r.id
         on conflict (organization_id, id) do update set ends_at = excluded.ends_at",
        organization.uuid(),
        Value::Array(rows),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes a customer, and whoever was a part of it, a part of another; returns all of these.
pub(in super::super) async fn merge(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CustomerId,
    into: CustomerId,
    now: Timestamp,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update customers set merged_into_id = $3, updated_at = $4
         where organization_id = $1 and (id = $2 or merged_into_id = $2) returning id",
        organization.uuid(),
        from.uuid(),
        into.uuid(),
        now.to_sqlx() as _,
    )
    .fetch_all(tx)
    .await
}

/// Takes that back; how many of them still were a part of that one.
pub(in super::super) async fn part(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CustomerId,
    into: CustomerId,
    customers: &[Uuid],
) -> sqlx::Result<u64> {
    let parted = sqlx::query!(
        "update customers set merged_into_id = nullif($2::uuid, id), updated_at = now()
         where organization_id = $1 and id = any ($4) and merged_into_id = $3",
        organization.uuid(),
        from.uuid(),
        into.uuid(),
        customers,
    )
    .execute(tx)
    .await?;
    Ok(parted.rows_affected())
}

/// Gives numbers over; one that the other has already stays, and leads to the other as well.
pub(in super::super) async fn give_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CustomerId,
    into: CustomerId,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update customer_numbers n set customer_id = $3 where n.organization_id = $1 and n.customer_id = $2
             and not exists (select from customer_numbers o
                 where o.organization_id = $1 and o.customer_id = $3 and o.e164 = n.e164 and o.ends_at is null)
         returning n.id",
        organization.uuid(),
        from.uuid(),
        into.uuid(),
    )
    .fetch_all(tx)
    .await
}

pub(in super::super) async fn give_numbers_back(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CustomerId,
    into: CustomerId,
    numbers: &[Uuid],
) -> sqlx::Result<()> {
    sqlx::query!(
        "update customer_numbers set customer_id = $2 where organization_id = $1 and customer_id = $3 and id = any ($4)",
        organization.uuid(),
        from.uuid(),
        into.uuid(),
        numbers,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Gives contacts over: all, or these; returns which.
pub(in super::super) async fn give_contacts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CustomerId,
    to: CustomerId,
    these: Option<&[Uuid]>,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update contacts set customer_id = $3
         where organization_id = $1 and customer_id = $2 and ($4::uuid[] is null or id = any ($4)) returning id",
        organization.uuid(),
        from.uuid(),
        to.uuid(),
        these,
    )
    .fetch_all(tx)
    .await
}

/// Gives notes over: all, or these; returns which.
pub(in super::super) async fn give_notes(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CustomerId,
    to: CustomerId,
    these: Option<&[Uuid]>,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update customer_notes set customer_id = $3
         where organization_id = $1 and customer_id = $2 and ($4::uuid[] is null or id = any ($4)) returning id",
        organization.uuid(),
        from.uuid(),
        to.uuid(),
        these,
    )
    .fetch_all(tx)
    .await
}

/// Names a prospect, or takes the name of a customer away.
pub(in super::super) async fn name(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    name: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update customers set name = coalesce($3, ''), kind = case when $3::text is null then 'prospect' else 'customer' end,
             updated_at = now()
         where organization_id = $1 and id = $2",
        organization.uuid(),
        customer.uuid(),
        name,
    )
    .execute(tx)
    .await?;
    Ok(())
}
