//! Imports as people and programs see them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{ImportId, OrganizationId};
use uuid::Uuid;

use crate::error::{Error, Result};

/// A book that was brought in.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportView {
    pub(crate) id: Uuid,
    #[schema(value_type = String)]
    pub(crate) created_at: Timestamp,
    /// When it was taken back.
    #[schema(value_type = Option<String>)]
    pub(crate) undone_at: Option<Timestamp>,
    /// What is here of it; nothing once it is taken back.
    pub(crate) customers: i64,
    pub(crate) subscriptions: i64,
    pub(crate) invoices: i64,
    pub(crate) credits: i64,
    pub(crate) lots: i64,
}

/// The place of an import in the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) created_at: Timestamp,
    pub(super) id: Uuid,
}

/// The newest first: `rows` of them behind `after`.
pub(super) async fn imports(
    tx: &mut PgConnection,
    organization: OrganizationId,
    only: Option<ImportId>,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<ImportView>> {
    let rows = sqlx::query!(
        r#"select m.id, m.created_at, m.undone_at, c.customers as "customers!", c.subscriptions as "subscriptions!", c.invoices as "invoices!",
             c.credits as "credits!", c.lots as "lots!"
         from imports m
         cross join lateral (
             select count(*) filter (where r.kind = 'customer') as customers, count(*) filter (where r.kind = 'subscription') as subscriptions,
                 count(*) filter (where r.kind = 'invoice') as invoices, count(*) filter (where r.kind = 'credit') as credits,
                 count(*) filter (where r.kind = 'lot') as lots
             from import_rows r where r.organization_id = $1 and r.import_id = m.id
         ) c
         where m.organization_id = $1 and ($2::uuid is null or m.id = $2)
             and ($3::timestamptz is null or (m.created_at, m.id) < ($3, $4))
         order by m.created_at desc, m.id desc limit $5"#,
        organization.uuid(),
        only.map(Uuid::from),
        after.as_ref().map(|it| it.created_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.as_ref().map(|it| it.id),
        rows,
    )
    .fetch_all(tx)
    .await?;
    let views = rows.into_iter().map(|row| ImportView {
        id: row.id,
        created_at: row.created_at.to_jiff(),
        undone_at: row.undone_at.map(jiff_sqlx::Timestamp::to_jiff),
        customers: row.customers,
        subscriptions: row.subscriptions,
        invoices: row.invoices,
        credits: row.credits,
        lots: row.lots,
    });
    Ok(views.collect())
}

/// One of an organization.
pub(super) async fn one(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: ImportId,
) -> Result<ImportView> {
    let found = imports(tx, organization, Some(id), None, 1).await?;
    found.into_iter().next().ok_or(Error::NotFound("import"))
}
