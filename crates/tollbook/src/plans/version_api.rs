//! Drafting the versions of a plan, publishing them, and archiving plans.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{OrganizationId, PlanId};
use uuid::Uuid;

use super::api::Filter;
use super::offered;
use super::versions::{self, VersionView};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::db::Tx;
use crate::error::Result;
use crate::http::input::{Params, Path, RawInput};
use crate::http::list::{List, Paging};
use crate::http::seller::Seller;

/// Whose plan, and who acts on it.
struct Sold {
    actor: Actor,
    organization: Option<OrganizationId>,
    plan: PlanId,
}

impl Sold {
    fn new(seller: &Seller, named: Option<OrganizationId>, plan: PlanId) -> Result<Self> {
        let (actor, organization) = seller.offers(named)?;
        Ok(Self {
            actor,
            organization,
            plan,
        })
    }

    fn seller(&self) -> Uuid {
        self.organization.map_or(Uuid::nil(), OrganizationId::uuid)
    }

    /// What was done to a version, and how it is now.
    async fn record(&self, tx: &mut Tx, action: &str, now: &VersionView) -> Result<()> {
        let deed = Deed::new(self.organization, action, "plan", self.plan).after(now)?;
        audit::record(tx, &self.actor, deed).await
    }
}

/// `GET /api/admin/billing-plans/{id}/versions`: all versions, the newest first.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    Path(plan): Path<PlanId>,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<VersionView>>> {
    let sold = Sold::new(&seller, filter.org_id, plan)?;
    let mut tx = app.db.begin(&sold.actor).await?;
    let (before, rows) = (paging.key()?, paging.rows());
    let rows = versions::list(&mut tx, sold.seller(), plan, None, before, rows).await?;
    if rows.is_empty() && before.is_none() {
        return Err(crate::error::Error::NotFound("plan"));
    }
    Ok(Json(paging.page(rows, |it| it.version)?))
}

/// `POST /api/admin/billing-plans/{id}/versions`: drafts the next version from a whole plan.
pub(crate) async fn draft(
    State(app): State<App>,
    seller: Seller,
    Path(plan): Path<PlanId>,
    Params(filter): Params<Filter>,
    RawInput(body): RawInput,
) -> Result<(StatusCode, Json<VersionView>)> {
    let offered = offered::version(&body)?;
    let sold = Sold::new(&seller, offered.organization.or(filter.org_id), plan)?;
    let mut tx = app.db.begin(&sold.actor).await?;
    let version = versions::draft(&mut tx, sold.seller(), plan, &offered.offer).await?;
    let made = versions::one(&mut tx, sold.seller(), plan, version).await?;
    sold.record(&mut tx, "plan.drafted", &made).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `PUT /api/admin/billing-plans/{id}/versions/{version}`: changes a draft.
pub(crate) async fn change(
    State(app): State<App>,
    seller: Seller,
    Path((plan, version)): Path<(PlanId, i32)>,
    Params(filter): Params<Filter>,
    RawInput(body): RawInput,
) -> Result<Json<VersionView>> {
    let offered = offered::version(&body)?;
    let sold = Sold::new(&seller, offered.organization.or(filter.org_id), plan)?;
    let mut tx = app.db.begin(&sold.actor).await?;
    let before = versions::one(&mut tx, sold.seller(), plan, version).await?;
    versions::change(&mut tx, sold.seller(), plan, version, &offered.offer).await?;
    let changed = versions::one(&mut tx, sold.seller(), plan, version).await?;
    let deed = Deed::new(sold.organization, "plan.draft_changed", "plan", plan);
    let deed = deed.before(&before)?.after(&changed)?;
    audit::record(&mut tx, &sold.actor, deed).await?;
    tx.commit().await?;
    Ok(Json(changed))
}

/// `POST /api/admin/billing-plans/{id}/versions/{version}/publish`: from now on it never changes, and new subscribers get it.
pub(crate) async fn publish(
    State(app): State<App>,
    seller: Seller,
    Path((plan, version)): Path<(PlanId, i32)>,
    Params(filter): Params<Filter>,
) -> Result<Json<VersionView>> {
    let sold = Sold::new(&seller, filter.org_id, plan)?;
    let mut tx = app.db.begin(&sold.actor).await?;
    versions::publish(&mut tx, sold.seller(), plan, version, app.clock.now()).await?;
    let published = versions::one(&mut tx, sold.seller(), plan, version).await?;
    sold.record(&mut tx, "plan.published", &published).await?;
    tx.commit().await?;
    Ok(Json(published))
}

/// `DELETE /api/admin/billing-plans/{id}/versions/{version}`: drops a draft.
pub(crate) async fn drop_draft(
    State(app): State<App>,
    seller: Seller,
    Path((plan, version)): Path<(PlanId, i32)>,
    Params(filter): Params<Filter>,
) -> Result<StatusCode> {
    let sold = Sold::new(&seller, filter.org_id, plan)?;
    let mut tx = app.db.begin(&sold.actor).await?;
    let before = versions::one(&mut tx, sold.seller(), plan, version).await?;
    versions::drop_draft(&mut tx, sold.seller(), plan, version).await?;
    let deed = Deed::new(sold.organization, "plan.draft_deleted", "plan", plan).before(&before)?;
    audit::record(&mut tx, &sold.actor, deed).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/admin/billing-plans/{id}/archive`: nobody new can be put on it.
pub(crate) async fn archive(
    State(app): State<App>,
    seller: Seller,
    Path(plan): Path<PlanId>,
    Params(filter): Params<Filter>,
) -> Result<StatusCode> {
    let sold = Sold::new(&seller, filter.org_id, plan)?;
    let mut tx = app.db.begin(&sold.actor).await?;
    versions::archive(&mut tx, sold.seller(), plan, app.clock.now()).await?;
    let deed = Deed::new(sold.organization, "plan.archived", "plan", plan);
    audit::record(&mut tx, &sold.actor, deed).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
