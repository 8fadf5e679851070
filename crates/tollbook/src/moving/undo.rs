//! Takes an import back, as if it had never been.

use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{ImportId, OrganizationId};

use super::read::{self, ImportView};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, OnConstraint as _, Result};

/// What is written down of it.
#[derive(Serialize)]
struct TakenBack<'v> {
    was: &'v ImportView,
}

/// Takes an import of the organization back for `actor`, who administers it. The database refuses it where a document was
/// finalized since, where something else refers to what was brought in, and the second time.
pub(crate) async fn take_back(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    id: ImportId,
) -> Result<ImportView> {
    let user = actor.user();
    let mut tx = app.db.begin(&Actor::Platform { user }).await?;
    let before = read::one(&mut tx, organization, id).await?;
    let undone = sqlx::query!(
        "select undo_import($1, $2, $3)",
        organization.uuid(),
        id.uuid(),
        app.clock.now().to_sqlx(),
    )
    .fetch_one(&mut *tx)
    .await;
    refused(undone)?;
    let deed = Deed::new(organization, "book.taken_back", "import", id);
    let deed = deed.before(&TakenBack { was: &before })?;
    audit::record(&mut tx, actor, deed).await?;
    let after = read::one(&mut tx, organization, id).await?;
    tx.commit().await?;
    Ok(after)
}

/// The organization of an import, for the command line, which acts for all.
pub(crate) async fn whose(app: &App, id: ImportId) -> Result<OrganizationId> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let found = sqlx::query_scalar!(
        "select organization_id from imports where id = $1
         -- all organizations: the command line names the import alone
         limit 1",
        id.uuid(),
    );
    let found = found.fetch_optional(&mut *tx).await?;
    found
        .map(OrganizationId::from)
        .ok_or(Error::NotFound("import"))
}

fn refused<T>(done: sqlx::Result<T>) -> Result<T> {
    const IN_USE: &str = "something has happened with what was brought in: calls, usage, payments or notes of its customers";
    let is_referred = |error: &sqlx::Error| {
        let refusal = error.as_database_error();
        refusal.is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation)
    };
    match done {
        Err(error) if is_referred(&error) => Err(Error::conflict("import_in_use", IN_USE)),
        done => done
            .on_constraint("imports_in_use", || {
                Error::conflict("import_in_use", IN_USE)
            })
            .on_constraint("imports_once", || {
                Error::conflict("already_undone", "this import is taken back already")
            })
            .on_constraint("imports_last", || {
                Error::conflict(
                    "not_last",
                    "another import came after it: take that back first",
                )
            })
            .on_constraint("imports_finalized", || {
                let detail = "a document was finalized since; what was brought in stays";
                Error::conflict("finalized_since", detail)
            }),
    }
}
