//! Offering plans: in the short form with minutes and SMS, or in full.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tollbook_core::ids::OrganizationId;
use uuid::Uuid;

use super::offered::offer;
use super::ops;
use super::read::{self, PlanView};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::input::{Params, RawInput};
use crate::http::list::{List, Paging};
use crate::http::seller::Seller;

/// Whose plans.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    pub(super) org_id: Option<OrganizationId>,
}

/// `GET /api/admin/billing-plans`: the caller's own offers; of the platform, or with `orgId` of that organization.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<PlanView>>> {
    let (actor, organization) = seller.offers(filter.org_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    let rows = read::plans(&mut tx, seller, None, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, |plan| plan.id)?))
}

/// `POST /api/admin/billing-plans`: makes a plan and publishes its first version, unless it says `"publish": false`.
pub(crate) async fn create(
    State(app): State<App>,
    seller: Seller,
    RawInput(body): RawInput,
) -> Result<(StatusCode, Json<PlanView>)> {
    let offered = offer(&body)?;
    let (actor, organization) = seller.offers(offered.organization)?;
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    let mut tx = app.db.begin(&actor).await?;
    let (plan, version) = ops::create(&mut tx, seller, &offered.offer).await?;
    let action = if offered.publish {
        ops::publish(&mut tx, seller, version, app.clock.now()).await?;
        "plan.published"
    } else {
        "plan.drafted"
    };
    let made = read::plans(&mut tx, seller, Some(plan), None, 1).await?;
    let made = made.into_iter().next().ok_or(Error::NotFound("plan"))?;
    let deed = Deed::new(organization, action, "plan", plan).after(&made)?;
    audit::record(&mut tx, &actor, deed).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(made)))
}
