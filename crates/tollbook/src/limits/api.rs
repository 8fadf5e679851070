//! Caps on spending for programs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::money::{Currency, Money, Price};
use tollbook_core::payer::Payer;

use super::caps::{self, CapView, NewCap};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::input::{Input, Params};
use crate::http::list::{List, Paging};
use crate::http::seller::{Listed, PayerFilter, Sale, Seller};
use crate::organizations;

/// `GET /api/admin/spend-caps`: of one payer, or of a whole sale.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<List<CapView>>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let rows = caps::caps(&mut tx, listed, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, |cap| cap.id)?))
}

/// A cap to set.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CapInput {
    /// Which organization; it pays the platform unless a customer is named.
    #[schema(value_type = Option<Uuid>)]
    org_id: Option<OrganizationId>,
    /// Which customer, who pays the organization.
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    /// What usage of one billing period may cost; a number or decimal string.
    #[schema(value_type = String)]
    amount: Price,
    /// The organization's if absent. A cap limits what is charged in its currency.
    #[schema(value_type = Option<String>)]
    currency: Option<Currency>,
    /// Whether no call is let through beyond it. Otherwise people are told only.
    #[serde(default)]
    is_hard: bool,
}

fn listed(sale: &Sale) -> Listed {
    match sale.payer {
        Payer::Organization => Listed::Organizations(Some(sale.organization)),
        Payer::Customer(customer) => Listed::Customers(sale.organization, Some(customer)),
    }
}

async fn one(tx: &mut PgConnection, sale: &Sale) -> Result<Option<CapView>> {
    let found = caps::caps(tx, listed(sale), None, 1).await?;
    Ok(found.into_iter().next())
}

/// `PUT /api/admin/spend-caps`: sets the cap of a payer, from the next call on.
pub(crate) async fn set(
    State(app): State<App>,
    seller: Seller,
    Input(input): Input<CapInput>,
) -> Result<Json<CapView>> {
    let sale = seller.sale(input.org_id, input.customer_id)?;
    if input.amount.is_negative() {
        return Err(Error::invalid("amount", "must not be below zero"));
    }
    let mut tx = app.db.begin(&sale.actor).await?;
    let business = organizations::business(&mut tx, sale.organization).await?;
    let currency = input.currency.unwrap_or(business.currency);
    let amount = Money::from_price(input.amount, currency)
        .map_err(|e| Error::invalid("amount", e.to_string()))?;
    let before = one(&mut tx, &sale).await?;
    let new = NewCap {
        organization: sale.organization,
        payer: sale.payer,
        amount,
        is_hard: input.is_hard,
    };
    caps::set(&mut tx, &new).await?;
    let after = one(&mut tx, &sale).await?;
    let after = after.ok_or_else(|| Error::Internal("a cap was not set".to_owned()))?;
    let mut deed = Deed::new(sale.organization, "spend_cap.set", "spend_cap", after.id);
    if let Some(before) = &before {
        deed = deed.before(before)?;
    }
    audit::record(&mut tx, &sale.actor, deed.after(&after)?).await?;
    tx.commit().await?;
    Ok(Json(after))
}

/// `DELETE /api/admin/spend-caps`: the payer has no cap of their own any more; that of the plan holds.
pub(crate) async fn remove(
    State(app): State<App>,
    seller: Seller,
    Params(filter): Params<PayerFilter>,
) -> Result<StatusCode> {
    let sale = seller.sale(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&sale.actor).await?;
    let before = one(&mut tx, &sale).await?;
    let before = before.ok_or(Error::NotFound("spend cap"))?;
    caps::remove(&mut tx, sale.organization, sale.payer).await?;
    let deed = Deed::new(
        sale.organization,
        "spend_cap.removed",
        "spend_cap",
        before.id,
    );
    audit::record(&mut tx, &sale.actor, deed.before(&before)?).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
