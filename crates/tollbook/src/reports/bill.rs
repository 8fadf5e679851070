//! What a user has to pay for a month: calls, recordings, numbers, and the total.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tollbook_core::ids::UserId;

use super::of_user::{self, Bill, BillView};
use crate::app::App;
use crate::error::Result;
use crate::http::caller::OrgMember;
use crate::http::input::{Params, Path};
use crate::http::span;
use crate::organizations::BillingMode;

/// Which month.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    /// Such as `2026-03`, in the organization's zone; the current one if absent.
    month: Option<String>,
}

/// A user's bill.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserBill {
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
    /// Such as `2026-03`.
    month: String,
    /// `platform`: what the platform charges; `pass_through`: what the provider does, which is paid directly.
    mode: BillingMode,
    #[serde(flatten)]
    bill: BillView,
    /// Bills in other currencies.
    other_currencies: Vec<BillView>,
    /// Calls, recordings and numbers that have no price yet; they are in no sum.
    pending: i64,
}

/// `GET /api/users/{id}/bill`
pub(crate) async fn get(
    State(app): State<App>,
    member: OrgMember,
    Path(user): Path<UserId>,
    Params(filter): Params<Filter>,
) -> Result<Json<UserBill>> {
    let (mut tx, of) = of_user::begin(&app, &member, user).await?;
    let month = span::month(filter.month.as_deref(), &of.zone, app.clock.now())?;
    let bills = of_user::bills(&mut tx, &of, month).await?;
    let bill = bills.into_values().next().unwrap_or_else(Bill::default);
    let (main, other_currencies) = bill.views(of.currency)?;
    Ok(Json(UserBill {
        user_id: user,
        month: of.zone.date(month.start()).strftime("%Y-%m").to_string(),
        mode: of.mode,
        bill: main,
        other_currencies,
        pending: bill.pending,
    }))
}
