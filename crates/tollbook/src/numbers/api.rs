//! Numbers, mappings and assignments over HTTP.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, MappingId, OrganizationId, PhoneNumberId, UserId};
use tollbook_core::phone::E164;

use super::assign::{NUMBERS_MAX, replace_assignments};
use super::map::{NewNumber, add_number, begin_platform, map_number};
use super::read::{self, Assignment, PhoneNumber};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::caller::{OrgAdmin, OrgMember, Platform, SignedIn};
use crate::http::etag;
use crate::http::input::{Input, Path};
use crate::http::list::{List, Paging};

/// `GET /api/numbers`: an admin sees the organization's numbers, a member those that they may use.
pub(crate) async fn list_numbers(
    State(app): State<App>,
    caller: OrgMember,
    paging: Paging,
    headers: HeaderMap,
) -> Result<Response> {
    let mut tx = app.db.begin(&caller.actor).await?;
    let after: Option<String> = paging.key()?;
    let mut rows = read::numbers(
        &mut tx,
        caller.organization,
        after.as_deref(),
        paging.rows(),
    )
    .await?;
    if caller.actor.administers(caller.organization) {
        read::add_mapped_at(&mut tx, caller.organization, &mut rows).await?;
    }
    let list = paging.page(rows, |row: &PhoneNumber| row.e164.clone())?;
    etag::json(&headers, &list)
}

/// A number to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AddNumber {
    #[serde(alias = "e164")]
    #[schema(value_type = String)]
    phone_number: E164,
    #[schema(value_type = String)]
    provider: Provider,
    provider_number_sid: Option<String>,
    #[schema(value_type = Option<Uuid>)]
    integration_id: Option<IntegrationId>,
    #[serde(default)]
    label: String,
    /// `voice`, `sms` or both, which is also what is meant when it is absent.
    capabilities: Option<BTreeSet<Capability>>,
    /// Who is to hold it from now on.
    #[schema(value_type = Option<Uuid>)]
    organization_id: Option<OrganizationId>,
}

/// What a number can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Capability {
    Voice,
    Sms,
}

impl Capability {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Sms => "sms",
        }
    }
}

/// `POST /api/admin/numbers`: a number becomes known to the platform.
pub(crate) async fn post_number(
    State(app): State<App>,
    caller: Platform,
    Input(input): Input<AddNumber>,
) -> Result<(StatusCode, Json<PhoneNumber>)> {
    let capabilities = input
        .capabilities
        .unwrap_or_else(|| [Capability::Voice, Capability::Sms].into());
    let new = NewNumber {
        e164: input.phone_number,
        provider: input.provider.as_str().to_owned(),
        provider_number_sid: input.provider_number_sid,
        integration: input.integration_id,
        label: input.label,
        capabilities: capabilities
            .iter()
            .map(|it| it.as_str().to_owned())
            .collect(),
    };
    let mut tx = app.db.begin(&caller.actor).await?;
    let id = add_number(&mut tx, &new).await?;
    if let Some(organization) = input.organization_id {
        let now = app.clock.now();
        map_number(
            &mut tx,
            &caller.actor,
            id,
            organization,
            NumberType::Both.as_str(),
            now,
        )
        .await?;
    }
    let number = read::number(&mut tx, id).await?;
    let deed = Deed::new(input.organization_id, "number.added", "phone_number", id);
    audit::record(&mut tx, &caller.actor, deed.after(&number)?).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(number)))
}

/// Whom a number is to be given to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MapNumber {
    /// The organization of the request if absent.
    #[serde(alias = "orgId")]
    #[schema(value_type = Option<Uuid>)]
    organization_id: Option<OrganizationId>,
    #[serde(default)]
    number_type: NumberType,
}

/// What a mapping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NumberType {
    Voice,
    Sms,
    #[default]
    Both,
}

impl NumberType {
    pub(crate) const ALL: [Self; 3] = [Self::Voice, Self::Sms, Self::Both];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Sms => "sms",
            Self::Both => "both",
        }
    }
}

/// A mapping that was made or brought up to date.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mapping {
    #[schema(value_type = Uuid)]
    id: MappingId,
    #[schema(value_type = Uuid)]
    organization_id: OrganizationId,
    number_type: NumberType,
    /// The organization held the number before.
    updated: bool,
    number: PhoneNumber,
}

/// `POST /api/numbers/{id}/mapping`: the number is the organization's from now on. A platform admin may take it from
/// another; anyone else gets 409.
pub(crate) async fn post_mapping(
    State(app): State<App>,
    platform: Result<Platform, Error>,
    admin: Result<OrgAdmin, Error>,
    Path(id): Path<PhoneNumberId>,
    Input(input): Input<MapNumber>,
) -> Result<(StatusCode, Json<Mapping>)> {
    let (actor, organization) = whose(platform, admin, input.organization_id)?;
    let mut tx = begin_platform(&app, &actor).await?;
    let number_type = input.number_type.as_str();
    let now = app.clock.now();
    let mapped = map_number(&mut tx, &actor, id, organization, number_type, now).await?;
    let number = read::number(&mut tx, id).await?;
    if !mapped.is_update {
        let deed = Deed::new(organization, "number.mapped", "phone_number", id).after(&number)?;
        audit::record(&mut tx, &actor, deed).await?;
    }
    // Who has it now is not for the organization that had it before to know.
    if let Some(before) = mapped.taken_from {
        let deed = Deed::new(before, "number.taken", "phone_number", id).before(&number.e164)?;
        audit::record(&mut tx, &actor, deed).await?;
    }
    tx.commit().await?;
    let status = if mapped.is_update {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let mapping = Mapping {
        id: mapped.mapping,
        organization_id: organization,
        number_type: input.number_type,
        updated: mapped.is_update,
        number,
    };
    Ok((status, Json(mapping)))
}

/// The platform maps to any organization; an admin to their own.
fn whose(
    platform: Result<Platform>,
    admin: Result<OrgAdmin>,
    named: Option<OrganizationId>,
) -> Result<(Actor, OrganizationId)> {
    match (platform, named) {
        (Ok(platform), Some(named)) => Ok((platform.actor, named)),
        (Ok(platform), None) => Ok((platform.actor, admin?.organization)),
        (Err(_), named) => {
            let admin = admin?;
            match named {
                Some(named) if named != admin.organization => Err(Error::NotFound("organization")),
                _ => Ok((admin.actor, admin.organization)),
            }
        }
    }
}

/// The numbers that a user is to have.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SetAssignments {
    #[schema(value_type = Vec<Uuid>)]
    phone_number_ids: BTreeSet<PhoneNumberId>,
}

/// `POST /api/orgs/{orgId}/users/{userId}/phone-assignments`: replaces the set.
pub(crate) async fn post_assignments(
    State(app): State<App>,
    caller: OrgAdmin,
    Path((_, user)): Path<(OrganizationId, UserId)>,
    Input(input): Input<SetAssignments>,
) -> Result<Json<List<Assignment>>> {
    let organization = caller.organization;
    let mut tx = app.db.begin(&caller.actor).await?;
    let numbers = &input.phone_number_ids;
    let done = replace_assignments(&mut tx, organization, user, numbers, app.clock.now()).await?;
    if done.before != done.after {
        let deed = Deed::new(organization, "assignments.replaced", "user", user);
        let deed = deed.before(&done.before)?.after(&done.after)?;
        audit::record(&mut tx, &caller.actor, deed).await?;
    }
    let all = i64::try_from(NUMBERS_MAX).unwrap_or(i64::MAX);
    let data = read::assignments(&mut tx, organization, user, None, all).await?;
    tx.commit().await?;
    Ok(Json(List {
        data,
        next_cursor: None,
    }))
}

/// `GET /api/orgs/{orgId}/users/{userId}/phone-assignments`: for an admin, or for that user.
pub(crate) async fn get_assignments(
    State(app): State<App>,
    caller: OrgMember,
    paging: Paging,
    Path((_, user)): Path<(OrganizationId, UserId)>,
) -> Result<Json<List<Assignment>>> {
    let is_own = caller.actor.user() == Some(user);
    if !is_own && !caller.actor.administers(caller.organization) {
        return Err(Error::forbidden(
            "only an admin may see the numbers of others",
        ));
    }
    let mut tx = app.db.begin(&caller.actor).await?;
    if !read::is_member(&mut tx, caller.organization, user).await? {
        return Err(Error::NotFound("user"));
    }
    page(&mut tx, caller.organization, user, &paging).await
}

/// `GET /api/user/phone-assignments?orgId=`: the caller's own.
pub(crate) async fn get_own_assignments(
    State(app): State<App>,
    user: SignedIn,
    caller: OrgMember,
    paging: Paging,
) -> Result<Json<List<Assignment>>> {
    let mut tx = app.db.begin(&caller.actor).await?;
    page(&mut tx, caller.organization, user.user.id, &paging).await
}

async fn page(
    tx: &mut crate::db::Tx,
    organization: OrganizationId,
    user: UserId,
    paging: &Paging,
) -> Result<Json<List<Assignment>>> {
    let after: Option<String> = paging.key()?;
    let rows = read::assignments(tx, organization, user, after.as_deref(), paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| row.e164.clone())?))
}
