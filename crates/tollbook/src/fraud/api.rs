//! The guard and what it holds, for programs.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::fraud::Destination;
use tollbook_core::ids::{FraudHoldId, OrganizationId};
use tollbook_core::money::Price;

use super::holds::{self, Cursor, HoldView, Which};
use super::settings::{self, GuardView};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::caller::OrgAdmin;
use crate::http::input::{Input, Params, Path};
use crate::http::list::{List, Paging};

/// Destinations that may be allowed by name.
const ALLOWED_MAX: usize = 500;
/// Calls that may be usual.
const CALLS_MAX: i32 = 1_000_000;

/// `GET /api/admin/fraud-guard`
pub(crate) async fn guard(State(app): State<App>, admin: OrgAdmin) -> Result<Json<GuardView>> {
    let mut tx = app.db.begin(&admin.actor).await?;
    let guard = settings::guard(&mut tx, admin.organization).await?;
    Ok(Json(guard.unwrap_or_default()))
}

/// The guard as it is to be. A limit that is null is none.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GuardInput {
    is_enabled: bool,
    #[serde(default = "holds_unusual")]
    holds_unusual: bool,
    #[serde(default = "history_days")]
    history_days: i32,
    #[serde(default)]
    allowed_destinations: Vec<String>,
    #[serde(default = "calls_per_minute_max")]
    calls_per_minute_max: Option<i32>,
    #[serde(default = "calls_per_hour_max")]
    calls_per_hour_max: Option<i32>,
    #[serde(default = "concurrent_max")]
    concurrent_max: Option<i32>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    hourly_spend_max: Option<Price>,
}

fn holds_unusual() -> bool {
    GuardView::default().holds_unusual
}

fn history_days() -> i32 {
    GuardView::default().history_days
}

fn calls_per_minute_max() -> Option<i32> {
    GuardView::default().calls_per_minute_max
}

fn calls_per_hour_max() -> Option<i32> {
    GuardView::default().calls_per_hour_max
}

fn concurrent_max() -> Option<i32> {
    GuardView::default().concurrent_max
}

impl GuardInput {
    fn read(self) -> Result<(GuardView, Option<Decimal>)> {
        if !(1..=365).contains(&self.history_days) {
            return Err(Error::invalid("historyDays", "must be between 1 and 365"));
        }
        for (field, max) in [
            ("callsPerMinuteMax", self.calls_per_minute_max),
            ("callsPerHourMax", self.calls_per_hour_max),
            ("concurrentMax", self.concurrent_max),
        ] {
            if max.is_some_and(|max| !(1..=CALLS_MAX).contains(&max)) {
                let message = format!("must be between 1 and {CALLS_MAX}");
                return Err(Error::invalid(field, message));
            }
        }
        let spend = self.hourly_spend_max.map(Price::to_decimal);
        if spend.is_some_and(|max| max <= Decimal::ZERO) {
            return Err(Error::invalid("hourlySpendMax", "must be above zero"));
        }
        if self.allowed_destinations.len() > ALLOWED_MAX {
            let message = format!("must be at most {ALLOWED_MAX}");
            return Err(Error::invalid("allowedDestinations", message));
        }
        let mut allowed = BTreeSet::new();
        for (index, text) in self.allowed_destinations.iter().enumerate() {
            let destination: Destination =
                text.trim()
                    .parse()
                    .map_err(|e: tollbook_core::fraud::UnknownDestination| {
                        Error::invalid(format!("allowedDestinations[{index}]"), e.to_string())
                    })?;
            allowed.insert(destination);
        }
        let guard = GuardView {
            is_enabled: self.is_enabled,
            enabled_at: None,
            holds_unusual: self.holds_unusual,
            history_days: self.history_days,
            allowed_destinations: allowed.iter().map(ToString::to_string).collect(),
            calls_per_minute_max: self.calls_per_minute_max,
            calls_per_hour_max: self.calls_per_hour_max,
            concurrent_max: self.concurrent_max,
            hourly_spend_max: None,
        };
        Ok((guard, spend))
    }
}

/// `PUT /api/admin/fraud-guard`: says what is usual, from the next call on.
pub(crate) async fn set_guard(
    State(app): State<App>,
    admin: OrgAdmin,
    Input(input): Input<GuardInput>,
) -> Result<Json<GuardView>> {
    let (guard, spend) = input.read()?;
    let mut tx = app.db.begin(&admin.actor).await?;
    let before = settings::guard(&mut tx, admin.organization).await?;
    settings::set(&mut tx, admin.organization, &guard, spend, app.clock.now()).await?;
    let after = settings::guard(&mut tx, admin.organization).await?;
    let after = after.unwrap_or_default();
    let of = admin.organization;
    let mut deed = Deed::new(of, "fraud_guard.set", "fraud_guard", of);
    if let Some(before) = &before {
        deed = deed.before(before)?;
    }
    audit::record(&mut tx, &admin.actor, deed.after(&after)?).await?;
    tx.commit().await?;
    Ok(Json(after))
}

/// Which holds.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    /// `held` or `released`; both if absent.
    #[serde(default)]
    state: String,
}

/// `GET /api/admin/fraud-holds`: the latest first.
pub(crate) async fn list(
    State(app): State<App>,
    admin: OrgAdmin,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<HoldView>>> {
    let state = match filter.state.as_str() {
        "" => None,
        state @ ("held" | "released") => Some(state),
        _ => return Err(Error::invalid("state", "must be held or released")),
    };
    let which = Which {
        state,
        ..Which::default()
    };
    let mut tx = app.db.begin(&admin.actor).await?;
    let rows = holds::holds(
        &mut tx,
        admin.organization,
        which,
        paging.key()?,
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(rows, |hold| Cursor {
        held_at: hold.held_at,
        id: hold.id,
    })?))
}

/// `POST /api/admin/fraud-holds/{id}/release`: the destination is usual from now on, and what was counted counts no more.
pub(crate) async fn post_release(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<FraudHoldId>,
) -> Result<Json<HoldView>> {
    let now = app.clock.now();
    release(&app, &admin.actor, admin.organization, id, now)
        .await
        .map(Json)
}

/// `POST /api/admin/fraud-holds/{id}/block`: holds it again.
pub(crate) async fn post_block(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<FraudHoldId>,
) -> Result<Json<HoldView>> {
    let now = app.clock.now();
    block(&app, &admin.actor, admin.organization, id, now)
        .await
        .map(Json)
}

/// Lets calls through again. Once more, it changes nothing.
pub(crate) async fn release(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    id: FraudHoldId,
    now: Timestamp,
) -> Result<HoldView> {
    turn(app, actor, (organization, id), true, now).await
}

/// Holds calls again. Once more, it changes nothing.
pub(crate) async fn block(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    id: FraudHoldId,
    now: Timestamp,
) -> Result<HoldView> {
    turn(app, actor, (organization, id), false, now).await
}

async fn turn(
    app: &App,
    actor: &Actor,
    (organization, id): (OrganizationId, FraudHoldId),
    is_released: bool,
    now: Timestamp,
) -> Result<HoldView> {
    let mut tx = app.db.begin(actor).await?;
    let before = holds::one(&mut tx, organization, id).await?;
    let has_changed = holds::turn(&mut tx, organization, id, is_released, now).await?;
    let after = holds::one(&mut tx, organization, id).await?;
    if has_changed {
        let action = if is_released {
            "fraud_hold.released"
        } else {
            "fraud_hold.blocked"
        };
        let deed = Deed::new(organization, action, "fraud_hold", id);
        audit::record(&mut tx, actor, deed.before(&before)?.after(&after)?).await?;
    }
    tx.commit().await?;
    Ok(after)
}
