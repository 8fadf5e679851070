//! Versions of a plan: one is drafted at a time, changed, published or dropped.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use tollbook_core::ids::{PlanId, PlanVersionId};
use tollbook_core::plans::{Document, Offer};
use uuid::Uuid;

use super::check::check;
use super::ops::{self, kind, written};
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;

/// A version of a plan as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionView {
    #[schema(value_type = Uuid)]
    pub(crate) id: PlanVersionId,
    #[schema(value_type = Uuid)]
    plan_id: PlanId,
    pub(crate) version: i32,
    /// `draft` or `published`.
    status: String,
    currency: String,
    /// A decimal.
    base_fee: String,
    /// The whole plan.
    #[schema(value_type = Object)]
    document: Box<RawValue>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
}

struct Row {
    id: Uuid,
    version: i32,
    state: String,
    currency: String,
    document: String,
    created_at: jiff_sqlx::Timestamp,
    published_at: Option<jiff_sqlx::Timestamp>,
}

impl Row {
    fn read(self, plan: PlanId) -> Result<VersionView> {
        let stored = |e: &dyn std::fmt::Display| {
            Error::Internal(format!("plan version {} cannot be read: {e}", self.id))
        };
        let document = Document::read(self.document.as_bytes()).map_err(|e| stored(&e))?;
        Ok(VersionView {
            id: self.id.into(),
            plan_id: plan,
            version: self.version,
            base_fee: document.base_fee.to_string(),
            document: RawValue::from_string(self.document.clone()).map_err(|e| stored(&e))?,
            status: self.state,
            currency: self.currency,
            created_at: self.created_at.to_jiff(),
            published_at: self.published_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

/// The versions of a seller's plan below `before`, the newest first; or one of them.
pub(super) async fn list(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
    only: Option<i32>,
    before: Option<i32>,
    rows: i64,
) -> Result<Vec<VersionView>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select v.id, v.version, v.state, v.currency, v.document::text as "document!", v.created_at, v.published_at
         from plan_versions v
         where v.seller_id = $1 and v.plan_id = $2 and ($3::integer is null or v.version = $3) and ($4::integer is null or v.version < $4)
         order by v.version desc limit $5"#,
        seller,
        plan.uuid(),
        only,
        before,
        rows,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(|row| row.read(plan)).collect()
}

/// One version of a seller's plan.
pub(super) async fn one(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
    version: i32,
) -> Result<VersionView> {
    let found = list(tx, seller, plan, Some(version), None, 1).await?;
    let found = found.into_iter().next();
    found.ok_or(Error::NotFound("version of the plan"))
}

/// A plan as its versions need it.
struct Plan {
    code: String,
    name: String,
    kind: String,
    is_archived: bool,
}

/// The plan, held: its versions are written by one at a time.
async fn hold(tx: &mut PgConnection, seller: Uuid, plan: PlanId) -> Result<Plan> {
    let found = sqlx::query_as!(
        Plan,
        r#"select code, name, kind, archived_at is not null as "is_archived!"
         from plans where seller_id = $1 and id = $2 for no key update"#,
        seller,
        plan.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    found.ok_or(Error::NotFound("plan"))
}

impl Plan {
    /// Refuses what cannot become a version of this plan. Code and name are the plan's own.
    fn accept(&self, offer: &Offer) -> Result<()> {
        if self.is_archived {
            return Err(Error::conflict("plan_archived", "the plan is archived"));
        }
        if kind(&offer.document) != self.kind {
            let message = format!("must be `{}`, as the plan is", self.kind);
            return Err(Error::invalid("kind", message));
        }
        if offer
            .code
            .as_ref()
            .is_some_and(|code| code.as_str() != self.code)
        {
            let message = format!("must be `{}` or absent: a plan keeps its code", self.code);
            return Err(Error::invalid("code", message));
        }
        if !offer.name.is_empty() && offer.name != self.name {
            let message = format!("must be `{}` or absent: a plan keeps its name", self.name);
            return Err(Error::invalid("name", message));
        }
        Ok(())
    }
}

/// Drafts the next version of a plan; returns its number.
pub(super) async fn draft(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
    offer: &Offer,
) -> Result<i32> {
    hold(&mut *tx, seller, plan).await?.accept(offer)?;
    check(&mut *tx, seller, &offer.document).await?;
    let id: PlanVersionId = new_id();
    let version = sqlx::query_scalar!(
        r#"insert into plan_versions (seller_id, id, plan_id, version, currency, document)
         select $1, $2, $3, coalesce(max(v.version), 0) + 1, $4, $5::text::jsonb
         from plan_versions v where v.seller_id = $1 and v.plan_id = $3
         returning version"#,
        seller,
        id.uuid(),
        plan.uuid(),
        offer.document.currency.code(),
        written(&offer.document)?,
    )
    .fetch_one(tx)
    .await
    .on_constraint("plan_versions_draft_key", || {
        Error::conflict(
            "draft_exists",
            "the plan has a draft already: change it, publish it or delete it",
        )
    })?;
    Ok(version)
}

/// Changes a draft to another document.
pub(super) async fn change(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
    version: i32,
    offer: &Offer,
) -> Result<()> {
    hold(&mut *tx, seller, plan).await?.accept(offer)?;
    let id = draft_id(&mut *tx, seller, plan, version).await?;
    check(&mut *tx, seller, &offer.document).await?;
    sqlx::query!(
        "update plan_versions set currency = $3, document = $4::text::jsonb where seller_id = $1 and id = $2",
        seller,
        id.uuid(),
        offer.document.currency.code(),
        written(&offer.document)?,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Publishes a draft, once more checked: from now on it never changes.
pub(super) async fn publish(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
    version: i32,
    now: Timestamp,
) -> Result<()> {
    if hold(&mut *tx, seller, plan).await?.is_archived {
        return Err(Error::conflict("plan_archived", "the plan is archived"));
    }
    let id = draft_id(&mut *tx, seller, plan, version).await?;
    let document = document(&mut *tx, seller, id).await?;
    check(&mut *tx, seller, &document).await?;
    ops::publish(tx, seller, id, now).await
}

/// Drops a draft, and the plan with it if that has no other version.
pub(super) async fn drop_draft(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
    version: i32,
) -> Result<()> {
    hold(&mut *tx, seller, plan).await?;
    let id = draft_id(&mut *tx, seller, plan, version).await?;
    sqlx::query!(
        "delete from plan_versions where seller_id = $1 and id = $2",
        seller,
        id.uuid(),
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "delete from plans p where p.seller_id = $1 and p.id = $2
             and not exists (select from plan_versions v where v.seller_id = p.seller_id and v.plan_id = p.id)",
        seller,
        plan.uuid(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes a plan off the list: nobody new can be put on it, and who is on it stays.
pub(super) async fn archive(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
    now: Timestamp,
) -> Result<()> {
    if hold(&mut *tx, seller, plan).await?.is_archived {
        return Err(Error::conflict(
            "plan_archived",
            "the plan is archived already",
        ));
    }
    sqlx::query!(
        "update plans set archived_at = $3 where seller_id = $1 and id = $2",
        seller,
        plan.uuid(),
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The id of a draft of a plan that is held; 409 if the version is published.
async fn draft_id(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
    version: i32,
) -> Result<PlanVersionId> {
    let row = sqlx::query!(
        "select id, state from plan_versions where seller_id = $1 and plan_id = $2 and version = $3",
        seller,
        plan.uuid(),
        version,
    )
    .fetch_optional(tx)
    .await?;
    let row = row.ok_or(Error::NotFound("version of the plan"))?;
    if row.state == "published" {
        let message = format!("version {version} is published, and never changes");
        return Err(Error::conflict("version_published", message));
    }
    Ok(row.id.into())
}

/// The document of a seller's plan version.
pub(super) async fn document(
    tx: &mut PgConnection,
    seller: Uuid,
    version: PlanVersionId,
) -> Result<Document> {
    let text = sqlx::query_scalar!(
        r#"select document::text as "document!" from plan_versions where seller_id = $1 and id = $2"#,
        seller,
        version.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    let text = text.ok_or(Error::NotFound("plan version"))?;
    Document::read(text.as_bytes())
        .map_err(|e| Error::Internal(format!("plan version {version} cannot be read: {e}")))
}
