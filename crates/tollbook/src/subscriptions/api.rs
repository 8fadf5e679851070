//! Subscribing payers to plans.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId, PlanId};
use tollbook_core::payer::Payer;
use uuid::Uuid;

use super::read::{self, SubscriptionView};
use super::{NewSubscription, subscribe};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::input::{Input, Params};
use crate::http::list::{List, Paging};
use crate::http::seller::{Listed, PayerFilter, Sale, Seller};
use crate::{organizations, plans};

/// A subscription may begin so many years ago or ahead: its periods since then are made at once.
const YEARS_MAX: i16 = 5;

/// `GET /api/admin/org-subscriptions`: what the platform sold, or an organization.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<List<SubscriptionView>>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let (after, now) = (paging.key()?, app.clock.now());
    let rows = read::subscriptions(&mut tx, listed, None, after, now, paging.rows()).await?;
    Ok(Json(paging.page(rows, |it| it.id)?))
}

/// A subscription to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Subscribe {
    /// Which organization; of the platform's plans unless a customer is named.
    #[schema(value_type = Option<Uuid>)]
    org_id: Option<OrganizationId>,
    /// Which customer, of the organization's plans.
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    #[schema(value_type = Uuid)]
    plan_id: PlanId,
    /// 1 to 31; the day on which it starts if absent.
    billing_cycle_day: Option<i8>,
    /// A day in the organization's zone; now if absent.
    #[schema(value_type = Option<String>, format = Date)]
    start_date: Option<Date>,
    /// Without renewal it ends with its first period.
    #[serde(default = "yes")]
    auto_renew: bool,
}

fn yes() -> bool {
    true
}

/// `POST /api/admin/org-subscriptions`: subscribes a payer to the latest version of a plan.
pub(crate) async fn create(
    State(app): State<App>,
    seller: Seller,
    Input(input): Input<Subscribe>,
) -> Result<(StatusCode, Json<SubscriptionView>)> {
    let Sale {
        actor,
        organization,
        payer,
    } = seller.sale(input.org_id, input.customer_id)?;
    let now = app.clock.now();
    let mut tx = app.db.begin(&actor).await?;
    let plans_of = match payer {
        Payer::Organization => Uuid::nil(),
        Payer::Customer(_) => organization.uuid(),
    };
    let starts_at = start(&mut tx, organization, input.start_date, now).await?;
    let new = NewSubscription {
        organization,
        payer,
        plan_version: plans::latest_version(&mut tx, plans_of, input.plan_id).await?,
        starts_at,
        billing_day: input.billing_cycle_day,
        auto_renew: input.auto_renew,
    };
    let id = subscribe(&mut tx, &new, now).await?;
    let listed = match payer {
        Payer::Organization => Listed::Organizations(Some(organization)),
        Payer::Customer(customer) => Listed::Customers(organization, Some(customer)),
    };
    let made = read::one(&mut tx, listed, id, now).await?;
    let deed = Deed::new(organization, "subscription.started", "subscription", id);
    audit::record(&mut tx, &actor, deed.after(&made)?).await?;
    tx.commit().await?;
    app.wake.rating.notify_one();
    Ok((StatusCode::CREATED, Json(made)))
}

/// The first instant of the day on which it starts.
async fn start(
    tx: &mut PgConnection,
    organization: OrganizationId,
    date: Option<Date>,
    now: Timestamp,
) -> Result<Timestamp> {
    let zone = organizations::business(tx, organization).await?.zone;
    let Some(date) = date else {
        return Ok(now);
    };
    let today = zone.date(now);
    let years = YEARS_MAX.years();
    let is_possible = today.checked_sub(years).is_ok_and(|first| first <= date)
        && today.checked_add(years).is_ok_and(|last| date <= last);
    if !is_possible {
        let message = format!("must be within {YEARS_MAX} years of today");
        return Err(Error::invalid("startDate", message));
    }
    zone.day_start(date)
        .map_err(|e| Error::invalid("startDate", e.to_string()))
}
