//! Price decks for programs: import with a preview, list, export.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Deserialize;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::Price;
use tollbook_core::plans::Key;
use tollbook_core::pricing::DeckEntry;
use uuid::Uuid;

use super::import::{Import, import};
use super::preview::preview;
use super::read::{self, DeckView, ImportView};
use super::sheet::{Dates, entries};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::http::csv::{self, Chunk};
use crate::http::input::{CsvInput, Params, Path};
use crate::http::list::{List, Paging};
use crate::http::seller::Seller;

/// Whose decks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    org_id: Option<OrganizationId>,
}

/// How a file is imported.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportQuery {
    org_id: Option<OrganizationId>,
    /// From when on its prices are in force; now if absent.
    effective_from: Option<Timestamp>,
    /// Of a deck that is new.
    name: Option<String>,
    /// Tells what would change, and changes nothing.
    #[serde(default)]
    preview: bool,
}

/// When a deck is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AtQuery {
    org_id: Option<OrganizationId>,
    /// Now if absent.
    at: Option<Timestamp>,
}

/// `GET /api/admin/price-decks`: the caller's own decks; of the platform, or with `orgId` of that organization.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<DeckView>>> {
    let (actor, organization) = seller.offers(filter.org_id)?;
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    let mut tx = app.db.begin(&actor).await?;
    let rows = read::decks(&mut tx, seller, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, DeckView::place)?))
}

/// `GET /api/admin/price-decks/{key}/versions`: what was imported, the newest first.
pub(crate) async fn versions(
    State(app): State<App>,
    seller: Seller,
    Path(key): Path<Key>,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<ImportView>>> {
    let (actor, organization) = seller.offers(filter.org_id)?;
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    let mut tx = app.db.begin(&actor).await?;
    let (before, rows) = (paging.key()?, paging.rows());
    let rows = read::versions(&mut tx, seller, &key, before, rows).await?;
    if rows.is_empty() && before.is_none() {
        return Err(Error::NotFound("price deck"));
    }
    Ok(Json(paging.page(rows, |it| it.version)?))
}

/// `POST /api/admin/price-decks/{key}/import`: all prices of a deck from a time on, as CSV; or with `preview=true` what
/// that would change.
pub(crate) async fn post_import(
    State(app): State<App>,
    seller: Seller,
    Path(key): Path<Key>,
    Params(query): Params<ImportQuery>,
    CsvInput(body): CsvInput,
) -> Result<Response> {
    let (actor, organization) = seller.offers(query.org_id)?;
    let read = tokio::task::spawn_blocking(move || {
        entries("the file", std::io::Cursor::new(body), Dates::OfImport)
    });
    let deck = read
        .await
        .map_err(|e| Error::Internal(format!("a file cannot be read: {e}")))?
        .map_err(|e| Error::invalid("file", e.to_string()))?;
    let now = app.clock.now();
    let new = Import {
        organization,
        key: &key,
        name: query.name.as_deref(),
        deck: &deck,
        effective_from: query.effective_from.unwrap_or(now),
    };
    if query.preview {
        return Ok(Json(preview(&app, &actor, &new, now).await?).into_response());
    }
    let mut tx = app.db.begin(&actor).await?;
    let made = import(&mut tx, &new, now).await?;
    let deed = Deed::new(organization, "price_deck.imported", "price_deck", made.id);
    audit::record(&mut tx, &actor, deed.after(&made)?).await?;
    tx.commit().await?;
    app.wake.jobs.notify_one();
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// `GET /api/admin/price-decks/{key}/export`: the prices in force at a time, as CSV that can be imported again.
pub(crate) async fn export(
    State(app): State<App>,
    seller: Seller,
    Path(key): Path<Key>,
    Params(query): Params<AtQuery>,
) -> Result<Response> {
    let (actor, organization) = seller.offers(query.org_id)?;
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    let at = query.at.unwrap_or(app.clock.now());
    let mut tx = app.db.begin(&actor).await?;
    let version = read::version_at(&mut tx, seller, &key, at).await?;
    drop(tx);
    let version = version.ok_or(Error::NotFound("price deck at that time"))?;
    let read = move |after: Option<String>| {
        let app = app.clone();
        async move {
            let after = after.unwrap_or_default();
            let mut tx = app.db.begin(&actor).await?;
            let rows = read::entries(&mut tx, seller, version, &after, csv::CHUNK).await?;
            Ok(Chunk::new(&rows, |it| it.prefix.clone(), cells))
        }
    };
    let columns = ["prefix", "price", "connection_fee", "increment"];
    csv::stream(key.as_str(), &columns, read).await
}

fn cells(entry: &DeckEntry) -> Vec<String> {
    let fee = entry.connection_fee.as_ref().map(Price::to_string);
    let increment = entry.increment.map(|it| it.to_string());
    vec![
        entry.prefix.clone(),
        entry.price.to_string(),
        fee.unwrap_or_default(),
        increment.unwrap_or_default(),
    ]
}
