//! Costs for who bears them: the platform those of its own accounts at providers, an organization those of its own.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{OrganizationId, ProviderCostId};
use tollbook_core::money::{Currency, Price};

use super::prices::{self, Known, PriceSource};
use super::read::{self, CostView, Which, bearer};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::input::{Input, Params, Path};
use crate::http::list::{List, Paging};
use crate::http::seller::Seller;
use crate::http::span;
use crate::organizations;

/// Which costs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    org_id: Option<OrganizationId>,
    /// An instant, or the first day in the organization's zone; the current month if absent.
    from: Option<String>,
    /// The first instant that is too late, or the last day.
    to: Option<String>,
    /// Only those that are pending, or only those that are known.
    pending: Option<bool>,
}

/// `GET /api/admin/costs`: what the caller's providers charge for things of an organization.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<CostView>>> {
    let (actor, listed) = seller.list(filter.org_id, None)?;
    let organization = listed
        .organization()
        .ok_or_else(|| Error::invalid("orgId", "is required"))?;
    let mut tx = app.db.begin(&actor).await?;
    let zone = organizations::business(&mut tx, organization).await?.zone;
    let which = Which {
        organization,
        bearer: bearer(listed.payer()),
        period: span::period(
            filter.from.as_deref(),
            filter.to.as_deref(),
            &zone,
            app.clock.now(),
        )?,
        is_pending: filter.pending,
    };
    let rows = read::costs(&mut tx, which, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, CostView::place)?))
}

/// A price that somebody knows.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PriceInput {
    /// Which organization's call, message, recording or number it is of.
    #[schema(value_type = Option<uuid::Uuid>)]
    org_id: Option<OrganizationId>,
    /// What the provider charges: a number or decimal string, not below zero.
    #[schema(value_type = String)]
    amount: Price,
    /// That of the price before, if there was one.
    #[schema(value_type = String)]
    currency: Currency,
}

/// `POST /api/admin/costs/{id}/price`: writes down what a provider charges where it does not say, or said it wrongly. What
/// was rated on the price before is rated again. The same price twice changes nothing.
pub(crate) async fn set_price(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<ProviderCostId>,
    Input(input): Input<PriceInput>,
) -> Result<Json<CostView>> {
    if input.amount.is_negative() {
        return Err(Error::invalid("amount", "must not be less than zero"));
    }
    let (actor, listed) = seller.list(input.org_id, None)?;
    let organization = listed
        .organization()
        .ok_or_else(|| Error::invalid("orgId", "is required"))?;
    let bearer = bearer(listed.payer());
    let mut tx = app.db.begin(&actor).await?;
    let before = read::cost(&mut tx, organization, bearer, id).await?;
    let before = before.ok_or(Error::NotFound("cost"))?;
    tx.rollback().await?;
    if let Some(currency) = &before.currency
        && currency != input.currency.code()
    {
        let message = format!("must be {currency}, as before");
        return Err(Error::invalid("currency", message));
    }
    // Prices are the platform's to write; who bears one may say what it is.
    let mut tx = app
        .db
        .begin(&Actor::Platform { user: actor.user() })
        .await?;
    let known = Known {
        organization,
        cost: id,
        source: PriceSource::ByHand,
        amount: input.amount,
        currency: input.currency,
        parts: Vec::new(),
    };
    let changed = prices::record(&mut tx, &[known], app.clock.now()).await?;
    let after = read::cost(&mut tx, organization, bearer, id).await?;
    let after = after.ok_or(Error::NotFound("cost"))?;
    if changed > 0 {
        let deed = Deed::new(organization, "cost.priced", "provider_cost", id);
        let deed = deed.before(&before)?.after(&after)?;
        audit::record(&mut tx, &actor, deed).await?;
    }
    tx.commit().await?;
    app.wake.rating.notify_one();
    Ok(Json(after))
}
