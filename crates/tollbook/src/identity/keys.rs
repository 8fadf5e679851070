//! API keys: secrets that act for an organization within their scopes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{ApiKeyId, OrganizationId};

use super::credentials::KEY_PREFIX;
use super::sql;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::caller::{KeyHolder, Scope};
use crate::ids::new_id;
use crate::secrets::{digest, random};

/// When a key was last used is written this often.
const USE_WRITTEN_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// So much of a key is shown to tell it from others.
const SHOWN_CHARACTERS: usize = 9;

/// A key in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKey {
    pub(crate) id: ApiKeyId,
    pub(crate) name: String,
    /// Its first characters.
    pub(crate) prefix: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) used_at: Option<Timestamp>,
}

/// A key that was just made. The secret is shown this once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewApiKey {
    #[serde(flatten)]
    pub(crate) api_key: ApiKey,
    /// The secret.
    pub(crate) key: String,
}

/// The holder of a key, remembered for a moment.
pub(super) async fn holder(app: &App, digest: [u8; 32]) -> Result<Option<Arc<KeyHolder>>> {
    let now = app.clock.real();
    if let Some(holder) = app.recent.key(&digest, now) {
        return Ok(Some(holder));
    }
    let mut tx = app.db.begin(&Actor::system()).await?;
    let Some((holder, used_at)) = sql::key_holder(&mut tx, &digest).await? else {
        return Ok(None);
    };
    let is_written = used_at.is_some_and(|it| now.duration_since(it) < USE_WRITTEN_EVERY);
    if !is_written {
        sqlx::query!(
            "update api_keys set used_at = $3 where organization_id = $1 and id = $2",
            holder.organization.id.uuid(),
            holder.id.uuid(),
            now.to_sqlx() as _,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
    }
    let holder = Arc::new(holder);
    app.recent.remember_key(digest, &holder, now);
    Ok(Some(holder))
}

/// Makes a key for the actor's organization.
pub(crate) async fn create(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    name: String,
    scopes: &[Scope],
) -> Result<NewApiKey> {
    if scopes.is_empty() {
        return Err(Error::invalid("scopes", "must name at least one"));
    }
    let key = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?));
    let made = ApiKey {
        id: new_id(),
        name,
        prefix: key.chars().take(SHOWN_CHARACTERS).collect(),
        scopes: scopes.iter().map(|it| it.as_str().to_owned()).collect(),
        created_at: app.clock.real(),
        used_at: None,
    };
    let mut tx = app.db.begin(actor).await?;
    sqlx::query!(
        "insert into api_keys (organization_id, id, name, digest, prefix, scopes, created_at) values ($1, $2, $3, $4, $5, $6, $7)",
        organization.uuid(),
        made.id.uuid(),
        made.name,
        &digest(key.as_bytes()),
        made.prefix,
        &made.scopes,
        made.created_at.to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    let deed = Deed::new(organization, "api_key.created", "api_key", made.id);
    audit::record(&mut tx, actor, deed.after(&made)?).await?;
    tx.commit().await?;
    Ok(NewApiKey { api_key: made, key })
}

/// Ends a key.
pub(crate) async fn revoke(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    id: ApiKeyId,
) -> Result<()> {
    let mut tx = app.db.begin(actor).await?;
    let done = sqlx::query!(
        "update api_keys set revoked_at = $3 where organization_id = $1 and id = $2 and revoked_at is null",
        organization.uuid(),
        id.uuid(),
        app.clock.real().to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound("API key"));
    }
    let deed = Deed::new(organization, "api_key.revoked", "api_key", id);
    audit::record(&mut tx, actor, deed).await?;
    tx.commit().await?;
    app.recent.forget_keys();
    app.live.recheck();
    Ok(())
}

struct Row {
    id: ApiKeyId,
    name: String,
    prefix: String,
    scopes: Vec<String>,
    created_at: jiff_sqlx::Timestamp,
    used_at: Option<jiff_sqlx::Timestamp>,
}

/// The organization's keys that are not revoked, the newest first: `rows` of them, older than `after`.
pub(crate) async fn list(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    after: Option<ApiKeyId>,
    rows: i64,
) -> Result<Vec<ApiKey>> {
    let mut tx = app.db.begin(actor).await?;
    let rows = sqlx::query_as!(
        Row,
        "select id, name, prefix, scopes, created_at, used_at from api_keys
         where organization_id = $1 and revoked_at is null and ($2::uuid is null or id < $2)
         order by id desc limit $3",
        organization.uuid(),
        after.map(ApiKeyId::uuid),
        rows,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows.into_iter().map(Row::into_key).collect())
}

impl Row {
    fn into_key(self) -> ApiKey {
        ApiKey {
            id: self.id,
            name: self.name,
            prefix: self.prefix,
            scopes: self.scopes,
            created_at: self.created_at.to_jiff(),
            used_at: self.used_at.map(jiff_sqlx::Timestamp::to_jiff),
        }
    }
}
