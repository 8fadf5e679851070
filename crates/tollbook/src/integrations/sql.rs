//! Statements on integrations: a platform-wide table, since the platform has accounts of its own.

use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, OrganizationId};
use uuid::Uuid;

use super::api::Integration;

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

/// The newest active account of an organization with this name.
pub(super) async fn named(
    tx: &mut PgConnection,
    organization: OrganizationId,
    name: &str,
) -> sqlx::Result<Option<IntegrationId>> {
    let id = sqlx::query_scalar!(
        "select id from integrations where organization_id = $1 and name = $2 and active order by id desc limit 1",
        organization.uuid(),
        name,
    )
    .fetch_optional(tx)
    .await?;
    Ok(id.map(IntegrationId::from))
}

/// Other credentials and another address for an account.
pub(super) async fn set_credentials(
    tx: &mut PgConnection,
    id: IntegrationId,
    base_url: Option<&str>,
    sealed: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "update integrations set credentials = $2, base_url = $3, updated_at = now() where id = $1
         -- all organizations: by key",
        id.uuid(),
        sealed,
        base_url,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The accounts of an organization.
pub(super) async fn list(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> sqlx::Result<Vec<Integration>> {
    let rows = sqlx::query!(
        "select id, provider, name, active, created_at from integrations where organization_id = $1 order by id limit 200",
        organization.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Integration {
            id: row.id.into(),
            webhook_path: format!("/webhooks/{}/{}", row.provider, row.id),
            provider: row.provider,
            name: row.name,
            active: row.active,
            created_at: row.created_at.to_jiff(),
        })
        .collect())
}

/// An account of an organization, ended ones included, held for a change.
pub(super) async fn lock(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: IntegrationId,
) -> sqlx::Result<Option<Stored>> {
    let row = sqlx::query!(
        "select id, organization_id, base_url, credentials from integrations where organization_id = $1 and id = $2 for no key update",
        organization.uuid(),
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

/// Whether an account is the organization's, ended ones included.
pub(super) async fn is_own(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: IntegrationId,
) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "select id from integrations where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(found.is_some())
}

/// Another name, or ended or taken up again; what is absent stays.
pub(super) async fn change(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: IntegrationId,
    name: Option<&str>,
    active: Option<bool>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update integrations set name = coalesce($3, name), active = coalesce($4, active), updated_at = now()
         where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
        name,
        active,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends an account; false if there is none.
pub(super) async fn deactivate(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: IntegrationId,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update integrations set active = false, updated_at = now() where organization_id = $1 and id = $2 and active",
        organization.uuid(),
        id.uuid(),
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Some sealed credentials, to see whether they open.
pub(super) async fn any_sealed(
    tx: &mut PgConnection,
) -> sqlx::Result<Option<(IntegrationId, Vec<u8>)>> {
    let row = sqlx::query!(
        r#"select id, credentials as "credentials!" from integrations where credentials is not null order by id limit 1
           -- all organizations: one is as good as another"#,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (row.id.into(), row.credentials)))
}
