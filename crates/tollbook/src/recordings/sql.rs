//! Statements on recordings.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{CallId, IntegrationId, OrganizationId, RecordingId};
use uuid::Uuid;

use crate::db::types::Text;
use crate::error::Result;

/// A recording.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recording {
    #[schema(value_type = Uuid)]
    pub(crate) id: RecordingId,
    #[schema(value_type = Uuid)]
    pub(crate) call_id: CallId,
    #[schema(value_type = String)]
    pub(crate) provider: Provider,
    pub(crate) duration_seconds: Option<i64>,
    pub(crate) content_type: Option<String>,
    /// Whether the sound can be played; until then it is being fetched.
    pub(crate) is_ready: bool,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) occurred_at: Timestamp,
}

/// A place in the list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) at: Timestamp,
    pub(crate) id: Uuid,
}

/// At most `limit` recordings that the reader may hear, newest first, after `after`; those of one call, if it is named.
pub(super) async fn list(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: Option<CallId>,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Recording>> {
    let rows = sqlx::query!(
        r#"select id, call_id, provider as "provider: Text<Provider>", duration_seconds, content_type,
             object_key is not null as "is_ready!", occurred_at
         from recordings
         where organization_id = $1 and ($2::uuid is null or call_id = $2)
             and ($3::timestamptz is null or (occurred_at, id) < ($3, $4::uuid))
         order by occurred_at desc, id desc limit $5"#,
        organization.uuid(),
        call.map(Uuid::from),
        after.map(|place| place.at.to_sqlx()) as _,
        after.map(|place| place.id),
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Recording {
            id: row.id.into(),
            call_id: row.call_id.into(),
            provider: row.provider.0,
            duration_seconds: row.duration_seconds,
            content_type: row.content_type,
            is_ready: row.is_ready,
            occurred_at: row.occurred_at.to_jiff(),
        })
        .collect())
}

/// Where the sound of a recording is that the reader may hear, with its media type; `None` if there is no such recording.
pub(super) async fn media(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: RecordingId,
) -> Result<Option<(Option<String>, Option<String>)>> {
    let row = sqlx::query!(
        "select object_key, content_type from recordings where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (row.object_key, row.content_type)))
}

/// The recording that is still at the provider, with the provider's link and the account that opens it.
pub(super) async fn missing(
    tx: &mut PgConnection,
    organization: OrganizationId,
    provider: Provider,
    sid: &str,
) -> Result<Option<(RecordingId, String, IntegrationId)>> {
    let row = sqlx::query!(
        r#"select r.id, r.provider_url as "url!", c.integration_id
         from recordings r join calls c on c.organization_id = r.organization_id and c.id = r.call_id
         where r.organization_id = $1 and r.provider = $2 and r.sid = $3 and r.object_key is null and r.provider_url is not null"#,
        organization.uuid(),
        provider.as_str(),
        sid,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (row.id.into(), row.url, row.integration_id.into())))
}

/// Says where the copy is.
pub(super) async fn set_object(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: RecordingId,
    key: &str,
    content_type: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "update recordings set object_key = $3, content_type = coalesce($4, content_type) where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
        key,
        content_type,
    )
    .execute(tx)
    .await?;
    Ok(())
}
