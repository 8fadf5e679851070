//! Making and finding organizations.

use serde::Serialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::Currency;
use tollbook_core::time::Zone;

use crate::app::App;
use crate::audit::{self, Deed};
use crate::db::Tx;
use crate::error::{Error, FieldError, OnConstraint as _, Result};
use crate::ids::new_id;

/// An organization to be made.
#[derive(Debug)]
pub(crate) struct NewOrganization {
    pub(crate) name: String,
    /// How other systems call it; its id if there is none.
    pub(crate) external_key: Option<String>,
    /// Two letters, as in ISO 3166.
    pub(crate) country: String,
    /// The zone of its business, such as `Europe/Berlin`.
    pub(crate) zone: String,
    /// Three letters, as in ISO 4217.
    pub(crate) currency: String,
    /// What its invoice numbers begin with: up to 12 capital letters and digits.
    pub(crate) invoice_prefix: String,
}

/// An organization as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrganizationView {
    pub(crate) id: OrganizationId,
    pub(crate) name: String,
    pub(crate) external_key: String,
    pub(crate) country: String,
    pub(crate) zone: String,
    pub(crate) currency: String,
}

impl NewOrganization {
    /// All that is wrong with it, field by field.
    fn check(&self) -> Result<()> {
        let mut errors = Vec::new();
        let mut refuse = |field: &str, message: &str| {
            errors.push(FieldError {
                field: field.to_owned(),
                message: message.to_owned(),
            });
        };
        if self.name.trim().is_empty() {
            refuse("name", "must not be empty");
        }
        if self
            .external_key
            .as_ref()
            .is_some_and(|it| it.trim().is_empty())
        {
            refuse("externalKey", "must not be empty");
        }
        let is_country =
            self.country.len() == 2 && self.country.bytes().all(|it| it.is_ascii_uppercase());
        if !is_country {
            refuse("country", "must be two capital letters, such as `US`");
        }
        if self.zone.parse::<Zone>().is_err() {
            refuse("zone", "is no time zone, such as `America/New_York`");
        }
        if self.currency.parse::<Currency>().is_err() {
            refuse("currency", "is no currency, such as `USD`");
        }
        let is_prefix = (1..=12).contains(&self.invoice_prefix.len())
            && self
                .invoice_prefix
                .bytes()
                .all(|it| it.is_ascii_uppercase() || it.is_ascii_digit());
        if !is_prefix {
            refuse(
                "invoicePrefix",
                "must have 1 to 12 capital letters and digits",
            );
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(errors))
        }
    }
}

/// Makes an organization, which can sell from then on. Only the platform does.
pub(crate) async fn create(
    app: &App,
    actor: &Actor,
    new: NewOrganization,
) -> Result<OrganizationView> {
    let mut tx = app.db.begin(actor).await?;
    let made = create_in(&mut tx, actor, new).await?;
    tx.commit().await?;
    Ok(made)
}

/// The same within a transaction of the platform.
pub(crate) async fn create_in(
    tx: &mut Tx,
    actor: &Actor,
    new: NewOrganization,
) -> Result<OrganizationView> {
    new.check()?;
    let id: OrganizationId = new_id();
    let made = OrganizationView {
        id,
        name: new.name.trim().to_owned(),
        external_key: new.external_key.unwrap_or_else(|| id.to_string()),
        country: new.country,
        zone: new.zone,
        currency: new.currency,
    };
    sqlx::query!(
        "insert into organizations (id, name, external_key, country, zone, currency) values ($1, $2, $3, $4, $5, $6)",
        id.uuid(),
        made.name,
        made.external_key,
        made.country,
        made.zone,
        made.currency,
    )
    .execute(&mut **tx)
    .await
    .on_constraint("organizations_external_key_key", || {
        Error::conflict(
            "organization_exists",
            format!("there is an organization `{}` already", made.external_key),
        )
    })?;
    sqlx::query!(
        "insert into sellers (id, organization_id, invoice_prefix) values ($1, $1, $2)",
        id.uuid(),
        new.invoice_prefix,
    )
    .execute(&mut **tx)
    .await?;
    let deed = Deed::new(id, "organization.created", "organization", id).after(&made)?;
    audit::record(tx, actor, deed).await?;
    Ok(made)
}

/// The organization with this id or external key.
pub(crate) async fn find(app: &App, named: &str) -> Result<OrganizationId> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let found = find_in(&mut tx, named).await?;
    found.ok_or(Error::NotFound("organization"))
}

/// The same within a transaction of the platform.
pub(crate) async fn find_in(tx: &mut Tx, named: &str) -> Result<Option<OrganizationId>> {
    let id = sqlx::query_scalar!(
        "select id from organizations where external_key = $1 or id::text = $1 order by external_key = $1 desc limit 1",
        named,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(id.map(OrganizationId::from))
}

/// The name of an organization that has none of these external keys, if there is one.
pub(crate) async fn any_but(app: &App, keys: &[&str]) -> Result<Option<String>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let name = sqlx::query_scalar!(
        "select name from organizations where external_key <> all ($1) order by id limit 1",
        keys as &[&str],
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(name)
}

/// All organizations by id: `rows` of them after `after`.
pub(super) async fn list_all(
    app: &App,
    actor: &Actor,
    after: Option<OrganizationId>,
    rows: i64,
) -> Result<Vec<OrganizationView>> {
    let mut tx = app.db.begin(actor).await?;
    let rows = sqlx::query_as!(
        OrganizationView,
        "select id, name, external_key, country, zone, currency from organizations
         where $1::uuid is null or id > $1 order by id limit $2",
        after.map(OrganizationId::uuid),
        rows,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows)
}

/// Those of these ids, by id.
pub(super) async fn list_some(
    app: &App,
    ids: &[OrganizationId],
    after: Option<OrganizationId>,
    rows: i64,
) -> Result<Vec<OrganizationView>> {
    let ids: Vec<_> = ids.iter().map(|it| it.uuid()).collect();
    let mut tx = app.db.begin(&Actor::system()).await?;
    let rows = sqlx::query_as!(
        OrganizationView,
        "select id, name, external_key, country, zone, currency from organizations
         where id = any ($1) and ($2::uuid is null or id > $2) order by id limit $3",
        &ids,
        after.map(OrganizationId::uuid),
        rows,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let new = NewOrganization {
            name: " ".to_owned(),
            external_key: Some(String::new()),
            country: "usa".to_owned(),
            zone: "Mars/Base".to_owned(),
            currency: "XQQ".to_owned(),
            invoice_prefix: "inv-".to_owned(),
        };
        let Err(Error::Invalid(errors)) = new.check() else {
            panic!("it is refused")
        };
        let fields: Vec<_> = errors.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "externalKey",
                "country",
                "zone",
                "currency",
                "invoicePrefix"
            ]
        );
    }
}
