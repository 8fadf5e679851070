//! Corrections for programs. Each may be tried first, and undone once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CorrectionId, CustomerId};

use super::act::{Act, NewCorrection};
use super::effect::{Before, CustomerEffect, effect};
use super::perform::perform;
use super::read::{self, Correction, Cursor, Which};
use super::work::Work;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::Result;
use crate::http::caller::OrgAdmin;
use crate::http::input::{Input, Params, Path, ShortText};
use crate::http::list::{List, Paging};
use crate::ids::new_id;

/// Whether it is tried only.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActFilter {
    /// Tells what would come of it, and changes nothing.
    #[serde(default)]
    preview: bool,
}

impl ActFilter {
    fn mode(&self) -> Mode {
        if self.preview { Mode::Try } else { Mode::Do }
    }
}

/// What came of a correction, or would.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Corrected {
    #[serde(flatten)]
    pub(crate) correction: Correction,
    /// What it changes for everybody concerned; of a preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effect: Option<Vec<CustomerEffect>>,
}

/// Undoing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UndoInput {
    reason: ShortText,
}

/// `POST /api/admin/corrections`
pub(crate) async fn create(
    State(app): State<App>,
    admin: OrgAdmin,
    Params(filter): Params<ActFilter>,
    Input(input): Input<NewCorrection>,
) -> Result<(StatusCode, Json<Corrected>)> {
    let (act, reason) = input.read()?;
    let corrected = correct(&app, &admin, &act, reason, filter.mode()).await?;
    Ok(answer(corrected))
}

/// `POST /api/admin/corrections/{id}/undo`
pub(crate) async fn undo(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<CorrectionId>,
    Params(filter): Params<ActFilter>,
    Input(input): Input<UndoInput>,
) -> Result<(StatusCode, Json<Corrected>)> {
    let reason = input.reason.into_inner();
    let corrected = correct(&app, &admin, &Act::Undo(id), reason, filter.mode()).await?;
    Ok(answer(corrected))
}

fn answer(corrected: Corrected) -> (StatusCode, Json<Corrected>) {
    let status = match corrected.effect {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    (status, Json(corrected))
}

/// Whose corrections.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    /// Those that concern this customer's account.
    customer_id: Option<CustomerId>,
}

/// `GET /api/admin/corrections`: the latest first.
pub(crate) async fn list(
    State(app): State<App>,
    admin: OrgAdmin,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Correction>>> {
    let which = Which {
        id: None,
        customer: filter.customer_id,
        after: paging.key()?,
    };
    let mut tx = app.db.begin(&admin.actor).await?;
    let rows = read::corrections(&mut tx, admin.organization, which, paging.rows()).await?;
    Ok(Json(paging.page(rows, |it| Cursor { id: it.id })?))
}

/// `GET /api/admin/corrections/{id}`
pub(crate) async fn get(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<CorrectionId>,
) -> Result<Json<Correction>> {
    let mut tx = app.db.begin(&admin.actor).await?;
    Ok(Json(read::one(&mut tx, admin.organization, id).await?))
}

/// How far it goes.
#[derive(Debug)]
pub(super) enum Mode {
    Do,
    /// It is done, looked at, and taken back.
    Try,
    /// It is done if it comes to what was seen before, as [`Corrected::seen`] says it, and tried otherwise.
    Confirm(String),
}

impl Corrected {
    /// What it comes to, in short.
    pub(super) fn seen(&self) -> String {
        let customers = self.effect.iter().flatten().flat_map(|customer| {
            let id = customer.customer_id;
            let drafts = customer.drafts.totals.iter();
            let all = drafts.chain(&customer.owed).chain(&customer.credit);
            all.map(move |it| format!("{id} {} {} {}", it.currency, it.before, it.after))
        });
        let notes = self.correction.credit_notes.iter();
        let notes = notes.map(|it| format!("{} {}", it.invoice_number, it.amount));
        customers.chain(notes).collect::<Vec<_>>().join(", ")
    }
}

/// Does it, or tries it and takes all of it back. Rating and the numbers of credit notes are the platform's; who may
/// correct was seen to with the caller's own rights.
pub(super) async fn correct(
    app: &App,
    admin: &OrgAdmin,
    act: &Act,
    reason: String,
    mode: Mode,
) -> Result<Corrected> {
    let user = admin.actor.user();
    let mut tx = app.db.begin(&Actor::Platform { user }).await?;
    let organization = admin.organization;
    let id: CorrectionId = new_id();
    let mut work = Work {
        app,
        tx: &mut tx,
        organization,
        id,
        reason,
        now: app.clock.now(),
        is_trial: !matches!(mode, Mode::Do),
        payers: Vec::new(),
        before: Before::default(),
        items: Vec::new(),
        credits: Vec::new(),
        usage_left: false,
    };
    perform(&mut work, act).await?;
    let effect = if work.is_trial {
        Some(effect(&mut work).await?)
    } else {
        None
    };
    let correction = read::one(&mut tx, organization, id).await?;
    let mut corrected = Corrected { correction, effect };
    let is_done = match mode {
        Mode::Do => true,
        Mode::Try => false,
        Mode::Confirm(seen) => !seen.is_empty() && seen == corrected.seen(),
    };
    if !is_done {
        tx.rollback().await?;
        return Ok(corrected);
    }
    corrected.effect = None;
    let action = match act {
        Act::Undo(_) => "correction.undone",
        _ => "correction.made",
    };
    let deed = Deed::new(organization, action, "correction", id).after(&corrected.correction)?;
    audit::record(&mut tx, &admin.actor, deed).await?;
    tx.commit().await?;
    app.wake.rating.notify_one();
    app.wake.live.notify_one();
    Ok(corrected)
}
