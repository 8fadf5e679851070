//! Calls are let through for programs and phones.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::calls::Direction;
use tollbook_core::ids::AuthorizationId;
use tollbook_core::phone::E164;
use tollbook_core::wallets::CALL_SECONDS_MAX;
use uuid::Uuid;

use super::ops::{self, NewCall};
use super::store::{Authorization, Parties};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::Dialer;
use crate::http::input::{Input, Path};

/// The longest key in characters.
const KEY_MAX: usize = 255;

/// A call that is asked for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CallInput {
    /// The caller's own name for the call: asked again under it, the answer is the same.
    key: String,
    #[schema(value_type = String)]
    direction: Direction,
    /// Who calls: a number of the organization if the call goes out.
    #[schema(value_type = String)]
    from: E164,
    /// Who is called: a number of the organization if the call comes in.
    #[schema(value_type = String)]
    to: E164,
    /// How long the call is to last at most; at most a day.
    seconds: u32,
}

/// How long a call is to last.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExtendInput {
    /// In all, from its start.
    seconds: u32,
}

/// A call that is let through.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthorizationView {
    id: Uuid,
    org_id: Uuid,
    key: String,
    direction: &'static str,
    from: String,
    to: String,
    customer_id: Option<Uuid>,
    /// How long it may last, from its start; less than was asked for if not more is left.
    seconds: u32,
    /// `open`, `settled` once it has been charged, `released` or `expired`.
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When nothing is held for it any more, unless its end is heard of before.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// What was set aside for it; for those who run the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<Vec<ReservedView>>,
}

/// What is set aside in one wallet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReservedView {
    /// `customer` or `organization`.
    payer: &'static str,
    amount: String,
    currency: &'static str,
}

impl AuthorizationView {
    fn of(it: Authorization, dialer: &Dialer, now: Timestamp) -> Self {
        let Parties {
            direction,
            ours,
            external,
        } = it.parties;
        let (from, to) = match direction {
            Direction::Incoming => (external, ours),
            Direction::Outgoing => (ours, external),
        };
        let is_settled = it.held.iter().any(|held| held.state == "settled");
        let status = if it.released_at.is_some() {
            "released"
        } else if is_settled {
            "settled"
        } else if it.expires_at <= now {
            "expired"
        } else {
            "open"
        };
        let reserved = it.held.iter().filter_map(|held| {
            let amount = held.amount?;
            Some(ReservedView {
                payer: held.payer.as_str(),
                amount: amount.amount(),
                currency: amount.currency().code(),
            })
        });
        Self {
            id: it.id.uuid(),
            org_id: it.organization.uuid(),
            key: it.key,
            direction: direction.as_str(),
            from: from.as_str().to_owned(),
            to: to.as_str().to_owned(),
            customer_id: it.customer.map(Uuid::from),
            seconds: it.seconds,
            status,
            started_at: it.started_at,
            expires_at: it.expires_at,
            reserved: dialer
                .actor
                .administers(dialer.organization)
                .then(|| reserved.collect()),
        }
    }
}

fn check_seconds(seconds: u32) -> Result<()> {
    if (1..=CALL_SECONDS_MAX).contains(&seconds) {
        return Ok(());
    }
    let message = format!("must be between 1 and {CALL_SECONDS_MAX}");
    Err(Error::invalid("seconds", message))
}

/// `POST /api/calls/authorize`: lets a call through for as long as there is something left for it.
pub(crate) async fn authorize(
    State(app): State<App>,
    dialer: Dialer,
    Input(input): Input<CallInput>,
) -> Result<(StatusCode, Json<AuthorizationView>)> {
    check_seconds(input.seconds)?;
    if !(1..=KEY_MAX).contains(&input.key.chars().count()) {
        let message = format!("must have between 1 and {KEY_MAX} characters");
        return Err(Error::invalid("key", message));
    }
    let (ours, external) = match input.direction {
        Direction::Incoming => (input.to, input.from),
        Direction::Outgoing => (input.from, input.to),
    };
    let new = NewCall {
        key: input.key,
        parties: Parties {
            direction: input.direction,
            ours,
            external,
        },
        seconds: input.seconds,
    };
    let made = ops::authorize(&app, &dialer, &new).await?;
    let view = AuthorizationView::of(made, &dialer, app.clock.now());
    Ok((StatusCode::CREATED, Json(view)))
}

/// `GET /api/calls/authorizations/{id}`.
pub(crate) async fn get(
    State(app): State<App>,
    dialer: Dialer,
    Path(id): Path<AuthorizationId>,
) -> Result<Json<AuthorizationView>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let found = ops::find(&mut tx, &dialer, id).await?;
    Ok(Json(AuthorizationView::of(found, &dialer, app.clock.now())))
}

/// `POST /api/calls/authorizations/{id}/extend`: lets the call last longer, as far as there is something left for it.
pub(crate) async fn extend(
    State(app): State<App>,
    dialer: Dialer,
    Path(id): Path<AuthorizationId>,
    Input(input): Input<ExtendInput>,
) -> Result<Json<AuthorizationView>> {
    check_seconds(input.seconds)?;
    let call = ops::extend(&app, &dialer, id, input.seconds).await?;
    Ok(Json(AuthorizationView::of(call, &dialer, app.clock.now())))
}

/// `POST /api/calls/authorizations/{id}/release`: the call did not happen.
pub(crate) async fn release(
    State(app): State<App>,
    dialer: Dialer,
    Path(id): Path<AuthorizationId>,
) -> Result<Json<AuthorizationView>> {
    let call = ops::release(&app, &dialer, id).await?;
    Ok(Json(AuthorizationView::of(call, &dialer, app.clock.now())))
}
