//! Customers made and changed by people.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::money::Price;
use tollbook_core::phone::E164;

use super::reach::give_numbers;
use super::recognize::hold;
use super::sql::edit as sql;
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;
use crate::search::{self, Indexed};

/// Most characters of a mail address (RFC 5321).
const EMAIL_MAX: usize = 254;
/// Digits after the point of a tax rate.
const TAX_DIGITS_MAX: u32 = 6;

/// Everything about a customer that people write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Empty as long as nobody has given them a name.
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    /// An IANA zone; `None` means the organization's.
    pub(crate) zone: Option<String>,
    /// Two letters; `None` means the organization's.
    pub(crate) country: Option<String>,
    /// The customer's key in another system.
    pub(crate) external_key: Option<String>,
    pub(crate) tax_exempt: bool,
    /// Percent, at most six decimals.
    pub(crate) tax_percent: Option<Price>,
    pub(crate) tax_inclusive: bool,
}

impl Profile {
    /// Fails with every field that cannot be taken.
    pub(crate) fn check(&self) -> Result<()> {
        let mut errors = Vec::new();
        let mut refuse = |field: &str, message: &str| {
            errors.push(crate::error::FieldError {
                field: field.to_owned(),
                message: message.to_owned(),
            });
        };
        if self.email.as_deref().is_some_and(|it| !is_email(it)) {
            refuse("email", "is not a mail address");
        }
        let is_zone = |it: &str| it.parse::<tollbook_core::time::Zone>().is_ok();
        if self.zone.as_deref().is_some_and(|it| !is_zone(it)) {
            refuse("zone", "is not a known time zone");
        }
        let is_country = |it: &str| it.len() == 2 && it.bytes().all(|b| b.is_ascii_uppercase());
        if self.country.as_deref().is_some_and(|it| !is_country(it)) {
            refuse("country", "must be two capital letters");
        }
        if self.external_key.as_deref() == Some("") {
            refuse("externalKey", "must not be empty");
        }
        if self.tax_percent.is_some_and(|it| !is_percent(it)) {
            refuse(
                "taxPercent",
                "must be from 0 to 100 with at most six decimals",
            );
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(errors))
        }
    }
}

pub(crate) fn is_email(text: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    text.chars().count() <= EMAIL_MAX
        && text
            .split_once('@')
            .is_some_and(|(name, host)| is_plain(name) && is_plain(host) && !host.contains('@'))
}

fn is_percent(percent: Price) -> bool {
    let percent = percent.to_decimal();
    percent >= 0.into() && percent <= 100.into() && percent.scale() <= TAX_DIGITS_MAX
}

/// Makes a customer who has these numbers.
pub(crate) async fn create_customer(
    tx: &mut PgConnection,
    organization: OrganizationId,
    profile: &Profile,
    numbers: &[E164],
    now: Timestamp,
) -> Result<CustomerId> {
    profile.check()?;
    let (account, customer) = (new_id(), new_id());
    // Before anything is written.
    let persons = numbers.iter().map(|it| (organization, it.as_str()));
    hold(tx, &persons.collect()).await?;
    sql::insert_account(tx, organization, account).await?;
    let inserted = sql::insert(tx, organization, customer, account, profile).await;
    on_external_key(inserted)?;
    give_numbers(tx, organization, customer, numbers, "", now).await?;
    reindex(tx, organization, customer).await?;
    Ok(customer)
}

/// Changes a customer: `change` gets what is stored. A prospect who is given a name becomes a customer.
pub(crate) async fn change_customer(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    change: impl FnOnce(&mut Profile),
) -> Result<()> {
    let stored = sql::lock_profile(tx, organization, customer).await?;
    let mut profile = stored.ok_or(Error::NotFound("customer"))?;
    change(&mut profile);
    profile.check()?;
    let updated = sql::update(tx, organization, customer, &profile).await;
    on_external_key(updated)?;
    reindex(tx, organization, customer).await
}

fn on_external_key(done: sqlx::Result<()>) -> Result<()> {
    done.on_constraint("customers_external_key_key", || {
        let detail = "another customer has this external key";
        Error::conflict("external_key_taken", detail)
    })
}

/// Makes a customer findable by what is known of them now. The customer is locked, or new.
pub(super) async fn reindex(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<()> {
    let own = [(organization, customer.uuid())];
    let terms = terms(tx, &[(organization, customer)]).await?;
    Ok(search::replace(tx, search::Kind::Customer, &own, &terms).await?)
}

/// The words by which customers are found; those who were merged into others are left out.
pub(crate) async fn terms(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, CustomerId)],
) -> Result<Vec<Indexed>> {
    let known = sql::searchable(tx, keys).await?.into_iter().map(|known| {
        let mut terms = search::words(&known.text);
        for number in &known.numbers {
            terms.extend(search::number_terms(number));
        }
        Indexed {
            organization: known.organization,
            id: known.id,
            terms,
        }
    });
    Ok(known.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(profile: &Profile) -> Vec<String> {
        match profile.check() {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|it| it.field).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let bad = Profile {
            email: Some("a b@c".into()),
            zone: Some("Mars/Base".into()),
            country: Some("us".into()),
            external_key: Some(String::new()),
            tax_percent: Some("8.8750001".parse().unwrap()),
            ..Profile::default()
        };
        assert_eq!(
            refused(&bad),
            ["email", "zone", "country", "externalKey", "taxPercent"]
        );
        let good = Profile {
            email: Some("ann@example.com".into()),
            zone: Some("Europe/Berlin".into()),
            country: Some("DE".into()),
            tax_percent: Some("8.875".parse().unwrap()),
            ..Profile::default()
        };
        assert!(refused(&good).is_empty());
        for percent in ["-1", "100.01"] {
            let tax_percent = Some(percent.parse().unwrap());
            assert_eq!(
                refused(&Profile {
                    tax_percent,
                    ..Profile::default()
                }),
                ["taxPercent"]
            );
        }
    }
}
