//! Lists of customers, read by key.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{ContactId, CustomerId, OrganizationId};
use uuid::Uuid;

use super::sql;
use crate::error::{Error, Result};
use crate::search::{self, Found};

/// Which customers a list is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Which {
    /// All of them, those without a name last.
    #[default]
    All,
    /// With a subscription in force.
    Subscribers,
    /// Called once, and nobody's customer yet.
    Prospects,
}

/// A customer's place in a list: the name or the word that it is ordered by, and the id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) key: String,
    pub(crate) id: CustomerId,
}

/// A customer, with what people wrote of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Customer {
    #[schema(value_type = Uuid)]
    pub(crate) id: CustomerId,
    /// `customer` or `prospect`.
    pub(crate) kind: String,
    /// Empty as long as nobody has given them a name.
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    /// The numbers they call from now.
    pub(crate) phone_numbers: Vec<String>,
    pub(crate) zone: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) external_key: Option<String>,
    pub(crate) tax_exempt: bool,
    /// A decimal.
    pub(crate) tax_percent: Option<String>,
    pub(crate) tax_inclusive: bool,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) updated_at: Timestamp,
}

/// A person at a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contact {
    #[schema(value_type = Uuid)]
    pub(crate) id: ContactId,
    #[schema(value_type = Uuid)]
    pub(crate) customer_id: CustomerId,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) role: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
}

/// A number that a customer calls or called from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerNumber {
    pub(crate) id: Uuid,
    pub(crate) phone_number: String,
    pub(crate) label: String,
    #[schema(value_type = Option<Uuid>)]
    pub(crate) contact_id: Option<ContactId>,
    /// Absent when it was always theirs.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) starts_at: Option<Timestamp>,
    /// Absent as long as it is theirs.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) ends_at: Option<Timestamp>,
}

/// The places of the customers after `after`, at most `limit`. What is typed into `query` is looked for among all of
/// them, by beginnings of words of names, mail addresses and numbers.
pub(crate) async fn places(
    tx: &mut PgConnection,
    organization: OrganizationId,
    which: Which,
    query: &str,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Place>> {
    if !query.trim().is_empty() {
        let after = after.map(|it| Found {
            term: it.key.clone(),
            id: it.id.uuid(),
        });
        let words = search::query_words(query);
        let kind = search::Kind::Customer;
        let found = search::find(tx, organization, kind, &words, after.as_ref(), limit).await?;
        return Ok(found
            .into_iter()
            .map(|it| Place {
                key: it.term,
                id: it.id.into(),
            })
            .collect());
    }
    Ok(match which {
        Which::All => sql::list::all(tx, organization, after, limit).await?,
        Which::Subscribers => sql::list::subscribers(tx, organization, after, limit).await?,
        Which::Prospects => sql::list::prospects(tx, organization, after, limit).await?,
    })
}

/// The first customers that are found by what is typed.
pub(crate) async fn find(
    tx: &mut PgConnection,
    organization: OrganizationId,
    query: &str,
    limit: i64,
) -> Result<Vec<Customer>> {
    let places = places(tx, organization, Which::All, query, None, limit).await?;
    customers(tx, organization, &places).await
}

/// Customers in the order of their places.
pub(crate) async fn customers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    places: &[Place],
) -> Result<Vec<Customer>> {
    let ids: Vec<CustomerId> = places.iter().map(|it| it.id).collect();
    let found = sql::list::by_ids(tx, organization, &ids).await?;
    let mut found: HashMap<CustomerId, Customer> =
        found.into_iter().map(|it| (it.id, it)).collect();
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// One customer.
pub(crate) async fn customer(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CustomerId,
) -> Result<Customer> {
    let found = sql::list::by_ids(tx, organization, &[id]).await?;
    found.into_iter().next().ok_or(Error::NotFound("customer"))
}

/// All numbers of a customer, the present ones first.
pub(crate) async fn numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<Vec<CustomerNumber>> {
    Ok(sql::list::numbers(tx, organization, customer).await?)
}

/// The contacts of one customer or of all, after `after` by id, at most `limit`.
pub(crate) async fn contacts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: Option<CustomerId>,
    after: Option<ContactId>,
    limit: i64,
) -> Result<Vec<Contact>> {
    Ok(match customer {
        Some(customer) => sql::list::contacts_of(tx, organization, customer, after, limit).await?,
        None => sql::list::contacts(tx, organization, after, limit).await?,
    })
}

/// One contact.
pub(crate) async fn contact(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: ContactId,
) -> Result<Contact> {
    Ok(sql::list::contact(tx, organization, id).await?)
}
