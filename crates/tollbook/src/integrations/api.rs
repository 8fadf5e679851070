//! Connecting accounts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, OrganizationId};

use super::account::{Credentials, connect, credentials, replace_credentials};
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
    /// OpenPhone: the workspace's key.
    api_key: Option<ShortText>,
    /// Twilio: `AC…`
    account_sid: Option<ShortText>,
    /// Twilio: the account's token.
    auth_token: Option<ShortText>,
    /// What webhooks are signed with. OpenPhone: may be given later, as the provider makes them for the address that this
    /// answers with. Twilio: what else beside the token while that is changed.
    #[serde(default)]
    webhook_secrets: Vec<ShortText>,
}

/// What is to be other than it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    name: Option<ShortText>,
    /// OpenPhone: the workspace's new key.
    api_key: Option<ShortText>,
    /// Twilio: the account's new token.
    auth_token: Option<ShortText>,
    /// All of them: those being rotated out as well.
    webhook_secrets: Option<Vec<ShortText>>,
    active: Option<bool>,
}

impl Connect {
    /// The name, and the credentials that the provider needs; 422 for what is missing.
    fn credentials(self) -> Result<(String, Credentials)> {
        let given = |field: &str, value: Option<ShortText>| {
            value
                .map(ShortText::into_inner)
                .ok_or_else(|| Error::invalid(field, "must be given"))
        };
        let secrets = self.webhook_secrets.into_iter();
        let webhook_secrets: Vec<String> = secrets.map(ShortText::into_inner).collect();
        let credentials = match self.provider {
            Provider::Openphone => Credentials::Openphone {
                api_key: given("apiKey", self.api_key)?,
                webhook_secrets,
            },
            Provider::Twilio => {
                let account_sid = given("accountSid", self.account_sid)?;
                if !is_account_sid(&account_sid) {
                    let detail = "must be `AC` and 32 hexadecimal digits";
                    return Err(Error::invalid("accountSid", detail));
                }
                Credentials::Twilio {
                    account_sid,
                    auth_token: given("authToken", self.auth_token)?,
                    webhook_secrets,
                    app_sid: None,
                }
            }
            Provider::Mightycall => {
                return Err(Error::invalid(
                    "provider",
                    "must be `openphone` or `twilio`",
                ));
            }
        };
        Ok((self.name.into_inner(), credentials))
    }
}

fn is_account_sid(text: &str) -> bool {
    text.strip_prefix("AC")
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// `POST /api/integrations`
pub(crate) async fn create(
    State(app): State<App>,
    admin: OrgAdmin,
    Input(input): Input<Connect>,
) -> Result<(StatusCode, Json<Integration>)> {
    let (name, credentials) = input.credentials()?;
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

/// `PATCH /api/integrations/{id}`: what is not given stays. Secrets are taken and never shown.
pub(crate) async fn change(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<IntegrationId>,
    Input(change): Input<Change>,
) -> Result<Json<Integration>> {
    let mut tx = app.db.begin(&admin.actor).await?;
    let stored = sql::lock(&mut tx, admin.organization, id).await?;
    let stored = stored.ok_or(Error::NotFound("integration"))?;
    let before = own(&mut tx, admin.organization, id).await?;
    let has_new_key = change.api_key.is_some() || change.auth_token.is_some();
    let new_secrets = change.webhook_secrets.as_ref().map(Vec::len);
    if has_new_key || new_secrets.is_some() {
        let mut credentials = credentials(&app, &stored)?;
        let (key, webhook_secrets) = match &mut credentials {
            Credentials::Openphone {
                api_key,
                webhook_secrets,
            } => {
                refuse_of_other("authToken", change.auth_token.as_ref())?;
                (change.api_key.zip(Some(api_key)), webhook_secrets)
            }
            Credentials::Twilio {
                auth_token,
                webhook_secrets,
                ..
            } => {
                refuse_of_other("apiKey", change.api_key.as_ref())?;
                (change.auth_token.zip(Some(auth_token)), webhook_secrets)
            }
        };
        if let Some((new, key)) = key {
            *key = new.into_inner();
        }
        if let Some(new) = change.webhook_secrets {
            *webhook_secrets = new.into_iter().map(ShortText::into_inner).collect();
        }
        replace_credentials(&app, &mut tx, &stored, &credentials).await?;
    }
    let name = change.name.map(ShortText::into_inner);
    sql::change(
        &mut tx,
        admin.organization,
        id,
        name.as_deref(),
        change.active,
    )
    .await?;
    let after = own(&mut tx, admin.organization, id).await?;
    let deed = Deed::new(admin.organization, "integration.changed", "integration", id);
    let changed = json!({"integration": after, "apiKeyReplaced": has_new_key, "webhookSecretsReplaced": new_secrets});
    audit::record(
        &mut tx,
        &admin.actor,
        deed.before(&before)?.after(&changed)?,
    )
    .await?;
    if after.active {
        let mut job = NewJob::unique(Job::SyncNumbers { integration: id }, id.to_string());
        job.organization = Some(admin.organization);
        jobs::enqueue(&mut tx, &[job]).await?;
    }
    tx.commit().await?;
    app.accounts.forget(id);
    app.wake.jobs.notify_one();
    Ok(Json(after))
}

/// 422 for a secret that accounts at this provider do not have.
fn refuse_of_other(field: &str, given: Option<&ShortText>) -> Result<()> {
    match given {
        Some(_) => Err(Error::invalid(field, "is not of this provider")),
        None => Ok(()),
    }
}

async fn own(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: IntegrationId,
) -> Result<Integration> {
    let all = sql::list(tx, organization).await?;
    let own = all.into_iter().find(|it| it.id == id);
    own.ok_or(Error::NotFound("integration"))
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
