//! Numbers and assignments as the interface shows them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::ids::{AssignmentId, OrganizationId, PhoneNumberId, UserId};
use uuid::Uuid;

use crate::error::Result;

/// A number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhoneNumber {
    #[schema(value_type = Uuid)]
    pub(crate) id: PhoneNumberId,
    pub(crate) e164: String,
    pub(crate) label: String,
    pub(crate) provider: String,
    pub(crate) provider_number_sid: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) active: bool,
    /// Who holds it.
    #[schema(value_type = Option<Uuid>)]
    pub(crate) organization_id: Option<OrganizationId>,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) mapped_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) synced_at: Option<Timestamp>,
}

/// A user's right to use a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Assignment {
    #[schema(value_type = Uuid)]
    pub(crate) id: AssignmentId,
    #[schema(value_type = Uuid)]
    pub(crate) user_id: UserId,
    #[schema(value_type = Uuid)]
    pub(crate) phone_number_id: PhoneNumberId,
    pub(crate) e164: String,
    pub(crate) label: String,
    /// `owner` or `user`.
    pub(crate) kind: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) starts_at: Timestamp,
}

/// The organization's numbers that the actor of `tx` may see, after `after`, in order, at most `limit`.
pub(crate) async fn numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<PhoneNumber>> {
    let rows = sqlx::query!(
        r#"select n.id, n.e164, n.label, n.provider, n.provider_number_sid, n.country, n.capabilities, n.active, n.organization_id, n.synced_at
         from phone_numbers n
         where n.organization_id = $1 and n.e164 > $2 order by n.e164 limit $3"#,
        organization.uuid(),
        after.unwrap_or_default(),
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| PhoneNumber {
            id: row.id.into(),
            e164: row.e164,
            label: row.label,
            provider: row.provider,
            provider_number_sid: row.provider_number_sid,
            country: row.country,
            capabilities: row.capabilities,
            active: row.active,
            organization_id: row.organization_id.map(OrganizationId::from),
            mapped_at: None,
            synced_at: row.synced_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
        .collect())
}

/// Adds since when the organization holds each number; members do not see mappings.
pub(crate) async fn add_mapped_at(
    tx: &mut PgConnection,
    organization: OrganizationId,
    numbers: &mut [PhoneNumber],
) -> Result<()> {
    let ids: Vec<Uuid> = numbers.iter().map(|it| it.id.uuid()).collect();
    let rows = sqlx::query!(
        "select phone_number_id, starts_at from number_mappings
         where organization_id = $1 and phone_number_id = any ($2) and ends_at is null",
        organization.uuid(),
        &ids,
    )
    .fetch_all(tx)
    .await?;
    let since: HashMap<Uuid, Timestamp> = rows
        .into_iter()
        .map(|row| (row.phone_number_id, row.starts_at.to_jiff()))
        .collect();
    for number in numbers {
        number.mapped_at = since.get(&number.id.uuid()).copied();
    }
    Ok(())
}

/// A number, whoever holds it.
pub(crate) async fn number(tx: &mut PgConnection, id: PhoneNumberId) -> Result<PhoneNumber> {
    let row = sqlx::query!(
        r#"select n.id, n.e164, n.label, n.provider, n.provider_number_sid, n.country, n.capabilities, n.active, n.organization_id,
             m.starts_at as "mapped_at?", n.synced_at
         from phone_numbers n left join number_mappings m on m.phone_number_id = n.id and m.ends_at is null
         where n.id = $1 -- all organizations: by key"#,
        id.uuid(),
    )
    .fetch_one(tx)
    .await?;
    Ok(PhoneNumber {
        id: row.id.into(),
        e164: row.e164,
        label: row.label,
        provider: row.provider,
        provider_number_sid: row.provider_number_sid,
        country: row.country,
        capabilities: row.capabilities,
        active: row.active,
        organization_id: row.organization_id.map(OrganizationId::from),
        mapped_at: row.mapped_at.map(jiff_sqlx::Timestamp::to_jiff),
        synced_at: row.synced_at.map(jiff_sqlx::Timestamp::to_jiff),
    })
}

/// A user's assignments in an organization after `after` by number, in order, at most `limit`.
pub(crate) async fn assignments(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Assignment>> {
    Ok(sqlx::query_as!(
        Assignment,
        "select a.id, a.user_id, a.phone_number_id, n.e164, n.label, a.kind, a.starts_at
         from assignments a join phone_numbers n on n.organization_id = a.organization_id and n.id = a.phone_number_id
         where a.organization_id = $1 and a.user_id = $2 and a.ends_at is null and n.e164 > $3
         order by n.e164 limit $4",
        organization.uuid(),
        user.uuid(),
        after.unwrap_or_default(),
        limit,
    )
    .fetch_all(tx)
    .await?)
}

/// Whether a user belongs to an organization, as far as the actor of `tx` may know.
pub(crate) async fn is_member(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
) -> Result<bool> {
    let found = sqlx::query_scalar!(
        "select user_id from memberships where organization_id = $1 and user_id = $2",
        organization.uuid(),
        user.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(found.is_some())
}
