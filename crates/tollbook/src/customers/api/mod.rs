//! Customers over HTTP.

mod customer;
mod reach;

pub(crate) use customer::{get_customer, list_customers, patch_customer, post_customer};
pub(crate) use reach::{
    delete_number, list_contacts, list_notes, list_numbers, post_contact, post_note, post_number,
};

use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use tollbook_core::phone::E164;

use super::sql;
use crate::error::{Error, Result};

/// The organization's country, in whose form numbers are typed.
async fn country(tx: &mut PgConnection, organization: OrganizationId) -> Result<String> {
    Ok(sql::list::country(tx, organization).await?)
}

/// A number in any spelling.
fn number(field: &str, text: &str, country: &str) -> Result<E164> {
    E164::parse(text, country).map_err(|error| Error::invalid(field, error.to_string()))
}
