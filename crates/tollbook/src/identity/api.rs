//! Tokens and API keys.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollbook_core::ids::{ApiKeyId, OrganizationId, UserId};

use super::keys::{self, ApiKey, NewApiKey};
use super::ops;
use super::refresh::{self, Tokens};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::{OrgAdmin, Scope, SignedIn};
use crate::http::input::{Input, Path, ShortText};
use crate::http::list::{List, Paging};

#[derive(Debug, Deserialize)]
pub(crate) struct SignIn {
    email: String,
    password: String,
}

/// `POST /api/auth/token`
pub(crate) async fn token(
    State(app): State<App>,
    Input(input): Input<SignIn>,
) -> Result<Json<Tokens>> {
    let user = ops::sign_in(&app, &input.email, input.password).await?;
    Ok(Json(refresh::start(&app, user).await?))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refresh {
    refresh_token: String,
}

/// `POST /api/auth/refresh`
pub(crate) async fn refresh(
    State(app): State<App>,
    Input(input): Input<Refresh>,
) -> Result<Json<Tokens>> {
    Ok(Json(refresh::rotate(&app, &input.refresh_token).await?))
}

/// `POST /api/auth/logout`
pub(crate) async fn logout(
    State(app): State<App>,
    Input(input): Input<Refresh>,
) -> Result<StatusCode> {
    refresh::end(&app, &input.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    id: UserId,
    email: String,
    name: String,
    platform_admin: bool,
    organizations: Vec<MyOrganization>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MyOrganization {
    id: OrganizationId,
    name: String,
    role: &'static str,
}

/// `GET /api/me`
pub(crate) async fn me(SignedIn { user }: SignedIn) -> Json<Me> {
    let memberships = user.memberships.iter().map(|it| MyOrganization {
        id: it.organization.id,
        name: it.organization.name.clone(),
        role: it.role(),
    });
    Json(Me {
        id: user.id,
        email: user.email.clone(),
        name: user.name.clone(),
        platform_admin: user.is_platform_admin,
        organizations: memberships.collect(),
    })
}

/// `GET /api/api-keys`
pub(crate) async fn list_keys(
    State(app): State<App>,
    admin: OrgAdmin,
    paging: Paging,
) -> Result<Json<List<ApiKey>>> {
    let rows = keys::list(
        &app,
        &admin.actor,
        admin.organization,
        paging.key()?,
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(rows, |it| it.id)?))
}

#[derive(Debug, Deserialize)]
pub(crate) struct CreateKey {
    name: ShortText,
    scopes: Vec<String>,
}

/// `POST /api/api-keys`
pub(crate) async fn create_key(
    State(app): State<App>,
    admin: OrgAdmin,
    Input(input): Input<CreateKey>,
) -> Result<(StatusCode, Json<NewApiKey>)> {
    let scopes = input
        .scopes
        .iter()
        .enumerate()
        .map(|(n, text)| {
            Scope::parse(text).ok_or_else(|| {
                let known = Scope::ALL.map(Scope::as_str).join("`, `");
                Error::invalid(format!("scopes[{n}]"), format!("must be one of `{known}`"))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let name = input.name.into_inner();
    let made = keys::create(&app, &admin.actor, admin.organization, name, &scopes).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `DELETE /api/api-keys/{id}`
pub(crate) async fn revoke_key(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<ApiKeyId>,
) -> Result<StatusCode> {
    keys::revoke(&app, &admin.actor, admin.organization, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
