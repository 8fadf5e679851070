//! What an account's webhooks came to, for whoever runs the organization; and another try.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{InboxId, IntegrationId};

use super::{lane, sql};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::caller::OrgAdmin;
use crate::http::input::{Params, Path};
use crate::http::list::{List, Paging};
use crate::integrations;

/// A webhook that was taken in.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InboxEntry {
    pub(super) id: InboxId,
    pub(super) received_at: Timestamp,
    /// The provider's key of the event.
    pub(super) event_key: String,
    /// How the signature was checked.
    pub(super) verdict: String,
    pub(super) state: Progress,
    /// How often it was looked at in vain.
    pub(super) attempts: i32,
    /// Why it is not done.
    pub(super) error: Option<String>,
    /// When it is looked at next.
    pub(super) next_try_at: Option<Timestamp>,
}

/// How far a webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// What it says is stored.
    Done,
    /// It is about to be looked at, or waits for something that has not come yet.
    Waiting,
    /// It cannot be read or placed: a person has to look.
    Parked,
}

impl Progress {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
        }
    }
}

/// A place in the list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(super) at: Timestamp,
    pub(super) id: InboxId,
}

/// What the list can be narrowed to.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    state: Option<Progress>,
}

/// `GET /api/integrations/{id}/inbox`: newest first.
pub(crate) async fn list(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(integration): Path<IntegrationId>,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<InboxEntry>>> {
    integrations::check_own(&app, &admin.actor, admin.organization, integration).await?;
    // The queue is the platform's; that the account is theirs was checked.
    let mut tx = app.db.begin(&Actor::system()).await?;
    let after = paging.key::<Place>()?;
    let rows = sql::received(&mut tx, integration, filter.state, after, paging.rows()).await?;
    let page = paging.page(rows, |row| Place {
        at: row.received_at,
        id: row.id,
    })?;
    Ok(Json(page))
}

/// `POST /api/integrations/{id}/inbox/{inboxId}/replay`: interprets a webhook again. What is known already does not
/// change by that.
pub(crate) async fn replay(
    State(app): State<App>,
    admin: OrgAdmin,
    Path((integration, id)): Path<(IntegrationId, InboxId)>,
) -> Result<(StatusCode, Json<InboxEntry>)> {
    integrations::check_own(&app, &admin.actor, admin.organization, integration).await?;
    let mut tx = app.db.begin(&Actor::system()).await?;
    let stored = sql::stored(&mut tx, integration, id).await?;
    let stored = stored.ok_or(Error::NotFound("webhook"))?;
    let events =
        super::parse(stored.provider, &stored.body, stored.received_at).unwrap_or_default();
    let subject = lane::subject(&events).unwrap_or(&stored.event_key);
    sql::requeue(
        &mut tx,
        id,
        stored.received_at,
        lane::of(integration, subject),
    )
    .await?;
    let deed = Deed::new(admin.organization, "webhook.replayed", "webhook", id);
    audit::record(&mut tx, &admin.actor, deed).await?;
    tx.commit().await?;
    app.wake.inbox.notify_one();
    let received = InboxEntry {
        id,
        received_at: stored.received_at,
        event_key: stored.event_key,
        verdict: stored.verdict,
        state: Progress::Waiting,
        attempts: 0,
        error: None,
        next_try_at: None,
    };
    Ok((StatusCode::ACCEPTED, Json(received)))
}
