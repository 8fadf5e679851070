//! Moving in for programs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tollbook_core::ids::ImportId;

use super::brought::Brought;
use super::read::{self, Cursor, ImportView};
use super::{import, undo};
use crate::app::App;
use crate::error::Result;
use crate::http::caller::OrgAdmin;
use crate::http::input::{Params, Path, RawInput};
use crate::http::list::{List, Paging};

/// Whether a book is tried only.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    /// Tells what would come of it, and changes nothing.
    #[serde(default)]
    preview: bool,
}

/// `POST /api/admin/imports/book`: brings in what the organization had in another system. What is here already stays as it
/// is, so the same book again changes nothing.
pub(crate) async fn bring(
    State(app): State<App>,
    admin: OrgAdmin,
    Params(filter): Params<Filter>,
    RawInput(text): RawInput,
) -> Result<(StatusCode, Json<Brought>)> {
    let (actor, organization) = (&admin.actor, admin.organization);
    let brought = import::bring(&app, actor, organization, &text, filter.preview).await?;
    let status = match brought.id {
        Some(_) => StatusCode::CREATED,
        None => StatusCode::OK,
    };
    Ok((status, Json(brought)))
}

/// `GET /api/admin/imports`: the newest first.
pub(crate) async fn list(
    State(app): State<App>,
    admin: OrgAdmin,
    paging: Paging,
) -> Result<Json<List<ImportView>>> {
    let mut tx = app.db.begin(&admin.actor).await?;
    let (after, rows) = (paging.key()?, paging.rows());
    let rows = read::imports(&mut tx, admin.organization, None, after, rows).await?;
    Ok(Json(paging.page(rows, |import| Cursor {
        created_at: import.created_at,
        id: import.id,
    })?))
}

/// `POST /api/admin/imports/{id}/undo`: takes an import back, until the first document after it.
pub(crate) async fn undo(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<ImportId>,
) -> Result<Json<ImportView>> {
    let undone = undo::take_back(&app, &admin.actor, admin.organization, id).await?;
    Ok(Json(undone))
}
