//! Connecting accounts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollbook_core::calls::Provider;
use tollbook_core::ids::IntegrationId;

use super::account::{Credentials, connect};
use super::sql;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::caller::OrgAdmin;
use crate::http::input::{Input, Path, ShortText};
use crate::http::list::List;
use crate::jobs::{self, Job, NewJob};

/// An account as its organization sees it: without its credentials.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Integration {
    pub(super) id: IntegrationId,
    pub(super) provider: String,
    pub(super) name: String,
    pub(super) active: bool,
    pub(super) created_at: Timestamp,
    /// Where the provider is to deliver webhooks, below this server's address.
    pub(super) webhook_path: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connect {
    provider: Provider,
    name: ShortText,
    api_key: ShortText,
    webhook_secrets: Vec<ShortText>,
}

/// `POST /api/integrations`
pub(crate) async fn create(
    State(app): State<App>,
    admin: OrgAdmin,
    Input(input): Input<Connect>,
) -> Result<(StatusCode, Json<Integration>)> {
    let Provider::Openphone = input.provider else {
        return Err(Error::invalid("provider", "must be `openphone`"));
    };
    if input.webhook_secrets.is_empty() {
        return Err(Error::invalid("webhookSecrets", "must name at least one"));
    }
    let name = input.name.into_inner();
    let credentials = Credentials::Openphone {
        api_key: input.api_key.into_inner(),
        webhook_secrets: input
            .webhook_secrets
            .into_iter()
            .map(ShortText::into_inner)
            .collect(),
    };
    let mut tx = app.db.begin(&admin.actor).await?;
    // The provider's own address: only the platform may name another one.
    let id = connect(
        &app,
        &mut tx,
        Some(admin.organization),
        &name,
        None,
        &credentials,
    )
    .await?;
    let made = sql::list(&mut tx, admin.organization)
        .await?
        .into_iter()
        .find(|made| made.id == id)
        .ok_or_else(|| Error::Internal("a new integration is missing".into()))?;
    let deed = Deed::new(
        admin.organization,
        "integration.connected",
        "integration",
        id,
    );
    audit::record(&mut tx, &admin.actor, deed.after(&made)?).await?;
    let mut job = NewJob::unique(Job::SyncNumbers { integration: id }, id.to_string());
    job.organization = Some(admin.organization);
    jobs::enqueue(&mut tx, &[job]).await?;
    tx.commit().await?;
    app.wake.jobs.notify_one();
    Ok((StatusCode::CREATED, Json(made)))
}

/// `GET /api/integrations`
pub(crate) async fn list(
    State(app): State<App>,
    admin: OrgAdmin,
) -> Result<Json<List<Integration>>> {
    let mut tx = app.db.begin(&admin.actor).await?;
    let data = sql::list(&mut tx, admin.organization).await?;
    Ok(Json(List {
        data,
        next_cursor: None,
    }))
}

/// `DELETE /api/integrations/{id}`: its webhooks are refused from now on; what it brought stays.
pub(crate) async fn remove(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<IntegrationId>,
) -> Result<StatusCode> {
    let mut tx = app.db.begin(&admin.actor).await?;
    if !sql::deactivate(&mut tx, admin.organization, id).await? {
        return Err(Error::NotFound("integration"));
    }
    let deed = Deed::new(
        admin.organization,
        "integration.disconnected",
        "integration",
        id,
    );
    audit::record(&mut tx, &admin.actor, deed).await?;
    tx.commit().await?;
    app.accounts.forget(id);
    Ok(StatusCode::NO_CONTENT)
}
