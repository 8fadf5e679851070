//! Cancelling, pausing, resuming, renewing and changing subscriptions; each may be tried first.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, OrganizationId, PlanId, SubscriptionId};
use tollbook_core::payer::Payer;
use uuid::Uuid;

use super::acts::{Act, perform};
use super::moment::Moment;
use super::read::{self, SubscriptionView};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::input::{Input, Params, Path};
use crate::http::seller::{Listed, PayerFilter, Seller};
use crate::invoices::{self, Effect};
use crate::{plans, rating};

/// Usages that a trial rates again at most; what is left is said.
const RATED_MAX: usize = 5_000;

/// Whose subscription it is, and whether it is tried only.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActFilter {
    /// An organization, which pays the platform unless a customer is named.
    org_id: Option<OrganizationId>,
    /// A customer, who pays the organization.
    customer_id: Option<CustomerId>,
    /// Tells what would come of it, and changes nothing.
    #[serde(default)]
    preview: bool,
}

/// What came of it, or would.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Acted {
    #[serde(flatten)]
    subscription: SubscriptionView,
    /// What it changes on the payer's drafts; of a preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
}

/// A cancellation to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CancelInput {
    /// `now`, `period_end`, a time, or a day of the subscription's zone; `period_end` if absent.
    #[serde(default = "period_end")]
    #[schema(value_type = Option<String>)]
    at: Moment,
}

fn period_end() -> Moment {
    Moment::PeriodEnd
}

/// A pause to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PauseInput {
    /// `now`, `period_end`, a time, or a day of the subscription's zone; `now` if absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    at: Moment,
    /// When it goes on by itself.
    #[schema(value_type = Option<String>)]
    until: Option<Moment>,
}

/// Going on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResumeInput {
    /// When a pause ends: `now`, `period_end`, a time, or a day of the subscription's zone; `now` if absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    at: Moment,
}

/// Whether it goes on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RenewInput {
    /// Without renewal it ends with the period of now.
    auto_renew: bool,
}

/// A change of plan to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeInput {
    /// The plan whose latest version it goes on with; it may be the one that it is on.
    #[schema(value_type = Uuid)]
    plan_id: PlanId,
    /// `now`, `period_end`, a time, or a day of the subscription's zone; `now` if absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    at: Moment,
}

/// `GET /api/admin/org-subscriptions/{id}`
pub(crate) async fn get(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<SubscriptionId>,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<SubscriptionView>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    Ok(Json(read::one(&mut tx, listed, id, app.clock.now()).await?))
}

/// `POST /api/admin/org-subscriptions/{id}/cancel`: it ends, and does not renew.
pub(crate) async fn cancel(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<SubscriptionId>,
    Params(filter): Params<ActFilter>,
    Input(input): Input<CancelInput>,
) -> Result<Json<Acted>> {
    let asked = Asked::new(&app, &seller, &filter, id).await?;
    asked.perform(&app, Act::Cancel { at: input.at }).await
}

/// `POST /api/admin/org-subscriptions/{id}/pause`: no base fee is due, and usage is charged as if there were none.
pub(crate) async fn pause(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<SubscriptionId>,
    Params(filter): Params<ActFilter>,
    Input(input): Input<PauseInput>,
) -> Result<Json<Acted>> {
    let asked = Asked::new(&app, &seller, &filter, id).await?;
    let PauseInput { at, until } = input;
    asked.perform(&app, Act::Pause { at, until }).await
}

/// `POST /api/admin/org-subscriptions/{id}/resume`: takes a cancellation back, or ends a pause, or the next one before it
/// begins.
pub(crate) async fn resume(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<SubscriptionId>,
    Params(filter): Params<ActFilter>,
    Input(input): Input<ResumeInput>,
) -> Result<Json<Acted>> {
    let asked = Asked::new(&app, &seller, &filter, id).await?;
    asked.perform(&app, Act::Resume { at: input.at }).await
}

/// `POST /api/admin/org-subscriptions/{id}/renewal`: whether it goes on when its period ends.
pub(crate) async fn renewal(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<SubscriptionId>,
    Params(filter): Params<ActFilter>,
    Input(input): Input<RenewInput>,
) -> Result<Json<Acted>> {
    let asked = Asked::new(&app, &seller, &filter, id).await?;
    let auto_renew = input.auto_renew;
    asked.perform(&app, Act::Renew { auto_renew }).await
}

/// `POST /api/admin/org-subscriptions/{id}/change-plan`: it goes on with the latest version of a plan.
pub(crate) async fn change_plan(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<SubscriptionId>,
    Params(filter): Params<ActFilter>,
    Input(input): Input<ChangeInput>,
) -> Result<Json<Acted>> {
    let mut asked = Asked::new(&app, &seller, &filter, id).await?;
    let plans_of = match asked.payer {
        Payer::Organization => Uuid::nil(),
        Payer::Customer(_) => asked.organization.uuid(),
    };
    let version = plans::latest_version(&mut asked.tx, plans_of, input.plan_id).await?;
    let at = input.at;
    asked.perform(&app, Act::Change { at, version }).await
}

/// An act that is asked for: who asks, and of which subscription.
struct Asked {
    tx: Tx,
    actor: Actor,
    listed: Listed,
    id: SubscriptionId,
    organization: OrganizationId,
    payer: Payer,
    is_preview: bool,
}

impl Asked {
    async fn new(
        app: &App,
        seller: &Seller,
        filter: &ActFilter,
        id: SubscriptionId,
    ) -> Result<Self> {
        let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
        let mut tx = app.db.begin(&actor).await?;
        let (organization, payer) = read::whose(&mut tx, listed, id).await?;
        Ok(Self {
            tx,
            actor,
            listed,
            id,
            organization,
            payer,
            is_preview: filter.preview,
        })
    }

    async fn perform(self, app: &App, act: Act) -> Result<Json<Acted>> {
        if self.is_preview {
            self.try_out(app, &act).await
        } else {
            self.carry_out(app, &act).await
        }
    }

    async fn carry_out(mut self, app: &App, act: &Act) -> Result<Json<Acted>> {
        let (tx, now) = (&mut self.tx, app.clock.now());
        let before = read::one(tx, self.listed, self.id, now).await?;
        perform(tx, self.organization, self.id, act, now).await?;
        let subscription = read::one(tx, self.listed, self.id, now).await?;
        let deed = Deed::new(self.organization, act.deed(), "subscription", self.id);
        let deed = deed.before(&before)?.after(&subscription)?;
        audit::record(tx, &self.actor, deed).await?;
        self.tx.commit().await?;
        app.wake.rating.notify_one();
        Ok(Json(Acted {
            subscription,
            effect: None,
        }))
    }

    /// Does it, rates what has to be rated again, compares the drafts, and takes all of it back. Rating is the platform's;
    /// the subscription was seen with the caller's own rights.
    async fn try_out(self, app: &App, act: &Act) -> Result<Json<Acted>> {
        self.tx.rollback().await?;
        let (organization, now) = (self.organization, app.clock.now());
        let user = self.actor.user();
        let mut tx = app.db.begin(&Actor::Platform { user }).await?;
        let before = invoices::open_amounts(&mut tx, organization, self.payer).await?;
        let contract = perform(&mut tx, organization, self.id, act, now).await?;
        let account = contract.account;
        let is_more =
            rating::rate_account(app, &mut tx, organization, account, RATED_MAX, None).await?;
        let after = invoices::open_amounts(&mut tx, organization, self.payer).await?;
        let subscription = read::one(&mut tx, self.listed, self.id, now).await?;
        tx.rollback().await?;
        let effect = Effect::between(&before, &after, is_more)
            .map_err(|e| Error::Internal(format!("the effect of a change: {e}")))?;
        Ok(Json(Acted {
            subscription,
            effect: Some(effect),
        }))
    }
}
