//! Statements on recordings.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::calls::{MediaUrl, Provider};
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

/// The sound of a recording.
pub(super) struct Sound {
    /// Where it is, once it has been copied.
    pub(super) object_key: Option<String>,
    pub(super) content_type: Option<String>,
    /// Whether it is still to be copied.
    pub(super) is_expected: bool,
}

/// The sound of a recording that the reader may hear; `None` if there is no such recording.
pub(super) async fn media(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: RecordingId,
) -> Result<Option<Sound>> {
    let row = sqlx::query!(
        r#"select object_key, content_type, given_up_at is null as "is_expected!"
         from recordings where organization_id = $1 and id = $2"#,
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Sound {
        object_key: row.object_key,
        content_type: row.content_type,
        is_expected: row.is_expected,
    }))
}

/// A recording that is still at the provider.
pub(super) struct Missing {
    pub(super) id: RecordingId,
    /// The provider's link, which may have expired.
    pub(super) url: MediaUrl,
    /// The account that has it.
    pub(super) integration: IntegrationId,
    /// The provider's id of the call record that it belongs to.
    pub(super) call_sid: String,
}

/// The recording, unless it has been copied or given up.
pub(super) async fn missing(
    tx: &mut PgConnection,
    organization: OrganizationId,
    provider: Provider,
    sid: &str,
) -> Result<Option<Missing>> {
    let row = sqlx::query!(
        r#"select r.id, r.provider_url as "url!", l.integration_id, l.sid
         from recordings r join call_legs l on l.organization_id = r.organization_id and l.id = r.leg_id
         where r.organization_id = $1 and r.provider = $2 and r.sid = $3 and r.object_key is null and r.provider_url is not null
             and r.given_up_at is null"#,
        organization.uuid(),
        provider.as_str(),
        sid,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Missing {
        id: row.id.into(),
        url: MediaUrl::new(row.url),
        integration: row.integration_id.into(),
        call_sid: row.sid,
    }))
}

/// Notes that the provider has the recording no more: it will not be asked for again.
pub(super) async fn give_up(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: RecordingId,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "update recordings set given_up_at = $3 where organization_id = $1 and id = $2 and object_key is null",
        organization.uuid(),
        id.uuid(),
        now.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
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
