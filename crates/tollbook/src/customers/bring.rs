//! Many customers made at once, as they are brought along from another system.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, ContactId, CustomerId, OrganizationId};
use tollbook_core::money::Price;
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::edit::{Profile, terms};
use crate::error::Result;
use crate::ids::new_id;
use crate::search;

/// A customer to be; the profile is checked.
#[derive(Debug, Clone)]
pub(crate) struct NewCustomer {
    pub(crate) id: CustomerId,
    pub(crate) account: AccountId,
    pub(crate) profile: Profile,
    pub(crate) numbers: Vec<E164>,
    pub(crate) contacts: Vec<NewContact>,
}

/// A person at a customer.
#[derive(Debug, Clone)]
pub(crate) struct NewContact {
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) role: String,
}

/// Makes customers who have an account each. Their numbers are not held for so many: whoever calls meanwhile becomes a
/// prospect with the same number, as if they had called before, and the operator chooses.
pub(crate) async fn create_all(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[NewCustomer],
    now: Timestamp,
) -> Result<()> {
    if customers.is_empty() {
        return Ok(());
    }
    let accounts: Vec<Uuid> = customers.iter().map(|it| it.account.uuid()).collect();
    sqlx::query!(
        "insert into accounts (organization_id, id, payer) select $1, id, 'customer' from unnest($2::uuid[]) as a (id) order by id",
        organization.uuid(),
        &accounts,
    )
    .execute(&mut *tx)
    .await?;
    insert(tx, organization, customers).await?;
    insert_contacts(tx, organization, customers).await?;
    insert_numbers(tx, organization, customers, now).await?;
    let keys: Vec<_> = customers.iter().map(|it| (organization, it.id)).collect();
    let terms = terms(tx, &keys).await?;
    Ok(search::add(tx, search::Kind::Customer, &terms).await?)
}

async fn insert(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[NewCustomer],
) -> Result<()> {
    let ids: Vec<Uuid> = customers.iter().map(|it| it.id.uuid()).collect();
    let accounts: Vec<Uuid> = customers.iter().map(|it| it.account.uuid()).collect();
    let names: Vec<&str> = customers
        .iter()
        .map(|it| it.profile.name.as_str())
        .collect();
    let text = |value: fn(&Profile) -> &Option<String>| -> Vec<Option<&str>> {
        customers
            .iter()
            .map(|it| value(&it.profile).as_deref())
            .collect()
    };
    let percents: Vec<Option<Decimal>> = customers
        .iter()
        .map(|it| it.profile.tax_percent.map(Price::to_decimal))
        .collect();
    let exempt: Vec<bool> = customers.iter().map(|it| it.profile.tax_exempt).collect();
    let inclusive: Vec<bool> = customers
        .iter()
        .map(|it| it.profile.tax_inclusive)
        .collect();
    sqlx::query!(
        "insert into customers (organization_id, id, account_id, name, email, zone, country, external_key, tax_exempt, tax_percent, tax_inclusive)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[], $10::numeric[],
             $11::boolean[]) as c order by 2",
        organization.uuid(),
        &ids,
        &accounts,
        &names as &[&str],
        &text(|it| &it.email) as &[Option<&str>],
        &text(|it| &it.zone) as &[Option<&str>],
        &text(|it| &it.country) as &[Option<&str>],
        &text(|it| &it.external_key) as &[Option<&str>],
        &exempt,
        &percents as &[Option<Decimal>],
        &inclusive,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_contacts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[NewCustomer],
) -> Result<()> {
    let contacts: Vec<(CustomerId, &NewContact)> = customers
        .iter()
        .flat_map(|it| it.contacts.iter().map(|contact| (it.id, contact)))
        .collect();
    let ids: Vec<Uuid> = contacts
        .iter()
        .map(|_| ContactId::new(new_id()).uuid())
        .collect();
    let of: Vec<Uuid> = contacts.iter().map(|(id, _)| id.uuid()).collect();
    let names: Vec<&str> = contacts.iter().map(|(_, it)| it.name.as_str()).collect();
    let emails: Vec<Option<&str>> = contacts.iter().map(|(_, it)| it.email.as_deref()).collect();
    let roles: Vec<&str> = contacts.iter().map(|(_, it)| it.role.as_str()).collect();
    sqlx::query!(
        "insert into contacts (organization_id, id, customer_id, name, email, role)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[]) as c",
        organization.uuid(),
        &ids,
        &of,
        &names as &[&str],
        &emails as &[Option<&str>],
        &roles as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// For all time where nobody else ever had the number.
async fn insert_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[NewCustomer],
    now: Timestamp,
) -> Result<()> {
    let numbers: Vec<(CustomerId, &E164)> = customers
        .iter()
        .flat_map(|it| it.numbers.iter().map(|number| (it.id, number)))
        .collect();
    let ids: Vec<Uuid> = numbers.iter().map(|_| new_id()).collect();
    let of: Vec<Uuid> = numbers.iter().map(|(id, _)| id.uuid()).collect();
    let e164s: Vec<&str> = numbers.iter().map(|(_, it)| it.as_str()).collect();
    sqlx::query!(
        "insert into customer_numbers (organization_id, id, customer_id, e164, starts_at)
         select $1, k.id, k.customer_id, k.e164, case
             when exists (select from customer_numbers n where n.organization_id = $1 and n.e164 = k.e164) then $5::timestamptz
             else '-infinity' end
         from unnest($2::uuid[], $3::uuid[], $4::text[]) as k (id, customer_id, e164) order by k.e164, k.id",
        organization.uuid(),
        &ids,
        &of,
        &e164s as &[&str],
        now.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}
