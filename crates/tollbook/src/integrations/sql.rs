//! Statements on integrations: a platform-wide table, since the platform has accounts of its own.

use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, OrganizationId};
use uuid::Uuid;

/// An account as it is stored.
pub(super) struct Stored {
    pub(super) id: IntegrationId,
    pub(super) organization: Option<OrganizationId>,
    pub(super) base_url: Option<String>,
    pub(super) credentials: Option<Vec<u8>>,
}

/// An active account.
pub(super) async fn integration(
    tx: &mut PgConnection,
    id: IntegrationId,
) -> sqlx::Result<Option<Stored>> {
    let row = sqlx::query!(
        "select id, organization_id, base_url, credentials from integrations where id = $1 and active
         -- all organizations: a webhook names the account, not the organization",
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Stored {
        id: row.id.into(),
        organization: row.organization_id.map(OrganizationId::from),
        base_url: row.base_url,
        credentials: row.credentials,
    }))
}

/// The platform's own active account at a provider: the newest.
pub(super) async fn platform_integration(
    tx: &mut PgConnection,
    provider: Provider,
) -> sqlx::Result<Option<IntegrationId>> {
    let id = sqlx::query_scalar!(
        "select id from integrations where organization_id is null and provider = $1 and active order by id desc limit 1",
        provider.as_str(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(id.map(IntegrationId::from))
}

/// A new account.
pub(super) async fn insert(
    tx: &mut PgConnection,
    id: IntegrationId,
    organization: Option<OrganizationId>,
    provider: Provider,
    name: &str,
    base_url: Option<&str>,
    credentials: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into integrations (id, organization_id, provider, name, base_url, credentials) values ($1, $2, $3, $4, $5, $6)",
        id.uuid(),
        organization.map(Uuid::from),
        provider.as_str(),
        name,
        base_url,
        credentials,
    )
    .execute(tx)
    .await?;
    Ok(())
}
