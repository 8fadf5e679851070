//! Alerts for programs.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AlertId, CustomerId, OrganizationId};

use super::kind::AlertKind;
use super::read::{self, AlertView, Cursor, Which};
use super::store;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::caller::OrgAdmin;
use crate::http::input::{Params, Path};
use crate::http::list::{List, Paging};

/// Which alerts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    /// `open` or `acknowledged`.
    #[serde(default)]
    pub(super) state: String,
    #[serde(default)]
    pub(super) kind: String,
    pub(super) customer_id: Option<CustomerId>,
}

impl Filter {
    pub(super) fn which(&self) -> Result<Which> {
        let state = match self.state.as_str() {
            "" => None,
            "open" => Some("open"),
            "acknowledged" => Some("acknowledged"),
            _ => return Err(Error::invalid("state", "must be open or acknowledged")),
        };
        let kind = match self.kind.as_str() {
            "" => None,
            kind => Some(
                kind.parse::<AlertKind>()
                    .map_err(|e| Error::invalid("kind", e.to_string()))?,
            ),
        };
        Ok(Which {
            state,
            kind,
            customer: self.customer_id,
        })
    }
}

/// `GET /api/admin/alerts`: the latest first.
pub(crate) async fn list(
    State(app): State<App>,
    admin: OrgAdmin,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<AlertView>>> {
    let which = filter.which()?;
    let mut tx = app.db.begin(&admin.actor).await?;
    let rows = read::alerts(
        &mut tx,
        admin.organization,
        which,
        paging.key()?,
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(rows, |alert| Cursor {
        last_seen_at: alert.last_seen_at,
        id: alert.id,
    })?))
}

/// `POST /api/admin/alerts/{id}/acknowledge`: somebody has seen to it.
pub(crate) async fn acknowledge(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<AlertId>,
) -> Result<Json<AlertView>> {
    see_to(&app, &admin.actor, admin.organization, id)
        .await
        .map(Json)
}

pub(super) async fn see_to(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    id: AlertId,
) -> Result<AlertView> {
    let mut tx = app.db.begin(actor).await?;
    let is_new = store::acknowledge(&mut tx, organization, id, app.clock.now()).await?;
    let alert = read::one(&mut tx, organization, id).await?;
    if is_new {
        let deed = Deed::new(organization, "alert.acknowledged", "alert", id);
        audit::record(&mut tx, actor, deed.after(&alert)?).await?;
    }
    tx.commit().await?;
    Ok(alert)
}
