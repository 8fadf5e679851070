//! Organizations and their members.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{OrganizationId, UserId};

use super::billing::{self, BillingMode};
use super::members::{self, MemberChange, MemberRole, MemberView, NewMember};
use super::ops::{self, NewOrganization, OrganizationView};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::{OrgAdmin, Platform, SignedIn};
use crate::http::input::{Input, Path, ShortText};
use crate::http::list::{List, Paging};
use crate::identity;

/// `GET /api/orgs`: the caller's own; all of them for a platform admin.
pub(crate) async fn list(
    State(app): State<App>,
    SignedIn { user }: SignedIn,
    paging: Paging,
) -> Result<Json<List<OrganizationView>>> {
    let after: Option<OrganizationId> = paging.key()?;
    let rows = if user.is_platform_admin {
        let actor = Actor::Platform {
            user: Some(user.id),
        };
        ops::list_all(&app, &actor, after, paging.rows()).await?
    } else {
        let own: Vec<_> = user
            .memberships
            .iter()
            .map(|it| it.organization.id)
            .collect();
        ops::list_some(&app, &own, after, paging.rows()).await?
    };
    Ok(Json(paging.page(rows, |it| it.id)?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    name: ShortText,
    external_key: Option<ShortText>,
    #[serde(default = "country")]
    country: String,
    #[serde(default = "zone")]
    zone: String,
    #[serde(default = "currency")]
    currency: String,
    #[serde(default = "invoice_prefix")]
    invoice_prefix: String,
}

fn country() -> String {
    "US".to_owned()
}

fn zone() -> String {
    "UTC".to_owned()
}

fn currency() -> String {
    "USD".to_owned()
}

fn invoice_prefix() -> String {
    "INV".to_owned()
}

/// `POST /api/orgs`
pub(crate) async fn create(
    State(app): State<App>,
    Platform { actor }: Platform,
    Input(input): Input<Create>,
) -> Result<(StatusCode, Json<OrganizationView>)> {
    let new = NewOrganization {
        name: input.name.into_inner(),
        external_key: input.external_key.map(ShortText::into_inner),
        country: input.country,
        zone: input.zone,
        currency: input.currency,
        invoice_prefix: input.invoice_prefix,
    };
    let made = ops::create(&app, &actor, new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// How the users of an organization are billed.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Mode {
    mode: BillingMode,
}

/// `PUT /api/orgs/{orgId}/billing-mode`: whether users are billed by the platform, or see what the provider charges.
pub(crate) async fn set_billing_mode(
    State(app): State<App>,
    admin: OrgAdmin,
    Input(input): Input<Mode>,
) -> Result<Json<Mode>> {
    billing::set_mode(&app, &admin.actor, admin.organization, input.mode).await?;
    Ok(Json(input))
}

/// `GET /api/orgs/{orgId}/users`
pub(crate) async fn list_members(
    State(app): State<App>,
    admin: OrgAdmin,
    paging: Paging,
) -> Result<Json<List<MemberView>>> {
    let (after, rows) = (paging.key()?, paging.rows());
    let rows = members::list(&app, &admin.actor, admin.organization, after, rows).await?;
    Ok(Json(paging.page(rows, |it| it.user_id)?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddMember {
    email: String,
    role: MemberRole,
    #[serde(default)]
    may_buy_numbers: bool,
}

/// `POST /api/orgs/{orgId}/users`
pub(crate) async fn add_member(
    State(app): State<App>,
    admin: OrgAdmin,
    Input(input): Input<AddMember>,
) -> Result<(StatusCode, Json<MemberView>)> {
    let user = identity::find_user(&app, &input.email)
        .await
        .map_err(|error| match error {
            Error::NotFound(_) => Error::invalid("email", "is not the address of a user"),
            other => other,
        })?;
    let new = NewMember {
        user,
        role: input.role,
        may_buy_numbers: input.may_buy_numbers,
    };
    let added = members::add(&app, &admin.actor, admin.organization, &new).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeMember {
    role: Option<MemberRole>,
    may_buy_numbers: Option<bool>,
}

/// `PATCH /api/orgs/{orgId}/users/{userId}`
pub(crate) async fn change_member(
    State(app): State<App>,
    admin: OrgAdmin,
    Path((_, user)): Path<(OrganizationId, UserId)>,
    Input(input): Input<ChangeMember>,
) -> Result<Json<MemberView>> {
    let change = MemberChange {
        role: input.role,
        may_buy_numbers: input.may_buy_numbers,
    };
    let changed = members::change(&app, &admin.actor, admin.organization, user, &change).await?;
    app.live.recheck();
    Ok(Json(changed))
}
