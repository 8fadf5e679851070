//! Statements that make and change customers.

use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId};
use tollbook_core::money::Price;
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::super::edit::Profile;

/// What a customer is found by.
pub(in super::super) struct Searchable {
    pub(in super::super) organization: OrganizationId,
    pub(in super::super) id: Uuid,
    pub(in super::super) text: String,
    pub(in super::super) numbers: Vec<E164>,
}

pub(in super::super) async fn insert_account(
    tx: &mut PgConnection,
    organization: OrganizationId,
    account: AccountId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into accounts (organization_id, id, payer) values ($1, $2, 'customer')",
        organization.uuid(),
        account.uuid(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(in super::super) async fn insert(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    account: AccountId,
    profile: &Profile,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into customers (organization_id, id, account_id, name, email, zone, country, external_key, tax_exempt, tax_percent, tax_inclusive)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        organization.uuid(),
        customer.uuid(),
        account.uuid(),
        profile.name,
        profile.email,
        profile.zone,
        profile.country,
        profile.external_key,
        profile.tax_exempt,
        profile.tax_percent.map(Price::to_decimal),
        profile.tax_inclusive,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks a customer and reads what people wrote of them.
pub(in super::super) async fn lock_profile(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> sqlx::Result<Option<Profile>> {
    let row = sqlx::query!(
        "select name, email, zone, country, external_key, tax_exempt, tax_percent, tax_inclusive from customers
         where organization_id = $1 and id = $2 and merged_into_id is null for no key update",
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    row.map(|row| {
        Ok(Profile {
            name: row.name,
            email: row.email,
            zone: row.zone,
            country: row.country,
            external_key: row.external_key,
            tax_exempt: row.tax_exempt,
            tax_percent: row.tax_percent.map(price).transpose()?,
            tax_inclusive: row.tax_inclusive,
        })
    })
    .transpose()
}

fn price(decimal: Decimal) -> sqlx::Result<Price> {
    Price::try_from(decimal).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub(in super::super) async fn update(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    profile: &Profile,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update customers set name = $3, email = $4, zone = $5, country = $6, external_key = $7, tax_exempt = $8, tax_percent = $9,
             tax_inclusive = $10, kind = case $3 when '' then kind else 'customer' end, updated_at = now()
         where organization_id = $1 and id = $2",
        organization.uuid(),
        customer.uuid(),
        profile.name,
        profile.email,
        profile.zone,
        profile.country,
        profile.external_key,
        profile.tax_exempt,
        profile.tax_percent.map(Price::to_decimal),
        profile.tax_inclusive,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Everything that customers are found by; nothing if they were merged into others.
pub(in super::super) async fn searchable(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, CustomerId)],
) -> sqlx::Result<Vec<Searchable>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, id)| (o.uuid(), id.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select c.organization_id, c.id,
             concat_ws(' ', c.name, c.email, (select string_agg(concat_ws(' ', t.name, t.email), ' ' order by t.id) from contacts t
                 where t.organization_id = c.organization_id and t.customer_id = c.id)) as "text!",
             array(select n.e164 from customer_numbers n
                 where n.organization_id = c.organization_id and n.customer_id = c.id and n.ends_at is null order by n.e164) as "numbers!"
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join customers c on c.organization_id = k.organization_id and c.id = k.id
         where c.merged_into_id is null"#,
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    let found = rows.into_iter().map(|row| Searchable {
        organization: row.organization_id.into(),
        id: row.id,
        text: row.text,
        numbers: row
            .numbers
            .iter()
            .filter_map(|it| it.parse().ok())
            .collect(),
    });
    Ok(found.collect())
}
