//! Numbers and their dated mappings to organizations.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{IntegrationId, MappingId, OrganizationId, PhoneNumberId};
use tollbook_core::phone::E164;
use tollbook_core::time::Zone;

use super::{not_yours, sql};
use crate::app::App;
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;

/// A number to add to the platform.
#[derive(Debug, Clone)]
pub(crate) struct NewNumber {
    pub(crate) e164: E164,
    pub(crate) provider: String,
    pub(crate) provider_number_sid: Option<String>,
    pub(crate) integration: Option<IntegrationId>,
    pub(crate) label: String,
    pub(crate) capabilities: Vec<String>,
}

/// Adds a number that nobody holds yet.
pub(crate) async fn add_number(tx: &mut PgConnection, new: &NewNumber) -> Result<PhoneNumberId> {
    let id = new_id();
    sql::insert_number(tx, id, new)
        .await
        .on_constraint("phone_numbers_e164_key", || {
            let detail = format!("number `{}` is already known", new.e164);
            Error::conflict("number_known", detail)
        })
        .on_constraint("phone_numbers_provider_number_sid_key", || {
            Error::conflict(
                "number_known",
                "the provider's id belongs to another number",
            )
        })
        .on_constraint("phone_numbers_integration_id_fkey", || {
            Error::invalid("integrationId", "is not a known integration")
        })?;
    Ok(id)
}

/// What mapping a number led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) mapping: MappingId,
    /// The organization held the number before: only its type was set.
    pub(crate) is_update: bool,
    /// The organization that held it until now.
    pub(crate) taken_from: Option<OrganizationId>,
}

/// Gives a number to an organization from `at` on. A number that another organization holds can be taken only by the
/// platform; its assignments end with the old mapping. `tx` is the platform's, since mappings are; `actor` is who asks.
pub(crate) async fn map_number(
    tx: &mut PgConnection,
    actor: &Actor,
    number: PhoneNumberId,
    organization: OrganizationId,
    number_type: &str,
    at: Timestamp,
) -> Result<Mapped> {
    if !actor.administers(organization) {
        return Err(Error::forbidden("only an admin may map a number"));
    }
    let Some(e164) = sql::lock_number(tx, number).await? else {
        return Err(not_yours());
    };
    let live = sql::live_mapping(tx, number).await?;
    match live {
        Some((mapping, holder)) if holder == organization => {
            sql::set_number_type(tx, organization, mapping, number_type).await?;
            return Ok(Mapped {
                mapping,
                is_update: true,
                taken_from: None,
            });
        }
        Some(_) if actor.organization().is_some() => {
            let detail = format!("number `{e164}` is already mapped to another organization");
            return Err(Error::conflict("number_mapped", detail));
        }
        _ => {}
    }
    let starts_at = sql::mapping_start(tx, number, at).await?;
    if let Some((mapping, holder)) = live {
        sql::end_assignments(tx, holder, number, starts_at).await?;
        sql::end_mapping(tx, holder, mapping, starts_at).await?;
    }
    let mapping = new_id();
    sql::insert_mapping(tx, mapping, number, organization, number_type, starts_at)
        .await
        .on_constraint("number_mappings_organization_id_fkey", || {
            Error::NotFound("organization")
        })?;
    start_counters(tx, organization, &[mapping], starts_at).await?;
    Ok(Mapped {
        mapping,
        is_update: false,
        taken_from: live.map(|(_, holder)| holder),
    })
}

/// Counters of a number stand at zero from its mapping on (S3.2).
pub(super) async fn start_counters(
    tx: &mut PgConnection,
    organization: OrganizationId,
    mappings: &[MappingId],
    at: Timestamp,
) -> Result<()> {
    if mappings.is_empty() {
        return Ok(());
    }
    let zone: Zone = sql::zone(tx, organization)
        .await?
        .parse()
        .map_err(|error| Error::Internal(format!("organization {organization}: {error}")))?;
    let month = zone
        .month(at)
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(sql::insert_counters(tx, organization, mappings, month).await?)
}

/// Adds or maps on behalf of `actor`: numbers belong to the platform, so the transaction is its own, in the person's name.
pub(super) async fn begin_platform(app: &App, actor: &Actor) -> Result<crate::db::Tx> {
    Ok(app
        .db
        .begin(&Actor::Platform { user: actor.user() })
        .await?)
}
