//! Reads decks, their versions and their entries.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::plans::Key;
use tollbook_core::pricing::{Deck, DeckEntry};
use uuid::Uuid;

use super::lookup::{Row, chains, in_force, stored};
use crate::error::{Error, Result};

/// A price deck as it is listed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeckView {
    pub(crate) id: Uuid,
    key: String,
    name: String,
    /// How often it was imported.
    versions: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// An import of a deck: all of its prices from a time on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportView {
    pub(crate) id: Uuid,
    pub(crate) deck: String,
    /// Counted from 1, in the order of imports.
    pub(crate) version: i32,
    /// In force from then on, until a later time of another version; of several with one time the last counts.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) effective_from: Timestamp,
    pub(crate) entries: i32,
    #[schema(value_type = String, format = DateTime)]
    imported_at: Timestamp,
}

/// Those of these decks that a seller has.
pub(crate) async fn known(
    tx: &mut PgConnection,
    seller: Uuid,
    keys: &BTreeSet<&Key>,
) -> Result<Vec<Key>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    let found = sqlx::query_scalar!(
        "select key from price_decks where seller_id = $1 and key = any ($2)",
        seller,
        &names as &[&str],
    )
    .fetch_all(tx)
    .await?;
    let parsed = found.iter().map(|key| key.parse::<Key>());
    parsed.map(|it| it.map_err(|e| stored(&e))).collect()
}

/// The decks of a seller by key: `rows` of them after `after`.
pub(super) async fn decks(
    tx: &mut PgConnection,
    seller: Uuid,
    after: Option<String>,
    rows: i64,
) -> Result<Vec<DeckView>> {
    let rows = sqlx::query!(
        r#"select d.id, d.key, d.name, d.created_at, v.versions as "versions!"
         from price_decks d
         cross join lateral (select count(*) as versions from deck_versions v where v.seller_id = d.seller_id and v.deck_id = d.id) v
         where d.seller_id = $1 and ($2::text is null or d.key > $2) order by d.key limit $3"#,
        seller,
        after,
        rows,
    )
    .fetch_all(tx)
    .await?;
    let views = rows.into_iter().map(|row| DeckView {
        id: row.id,
        key: row.key,
        name: row.name,
        versions: row.versions,
        created_at: row.created_at.to_jiff(),
    });
    Ok(views.collect())
}

impl DeckView {
    /// What the next page begins after.
    pub(super) fn place(&self) -> String {
        self.key.clone()
    }
}

/// The versions of a deck below `before`, the newest first.
pub(super) async fn versions(
    tx: &mut PgConnection,
    seller: Uuid,
    deck: &Key,
    before: Option<i32>,
    rows: i64,
) -> Result<Vec<ImportView>> {
    let rows = sqlx::query!(
        "select v.id, d.key, v.version, v.effective_from, v.entry_count, v.created_at
         from price_decks d join deck_versions v on v.seller_id = d.seller_id and v.deck_id = d.id
         where d.seller_id = $1 and d.key = $2 and ($3::integer is null or v.version < $3)
         order by v.version desc limit $4",
        seller,
        deck.as_str(),
        before,
        rows,
    )
    .fetch_all(tx)
    .await?;
    let views = rows.into_iter().map(|row| ImportView {
        id: row.id,
        deck: row.key,
        version: row.version,
        effective_from: row.effective_from.to_jiff(),
        entries: row.entry_count,
        imported_at: row.created_at.to_jiff(),
    });
    Ok(views.collect())
}

/// The version of a deck that is in force at a time; `None` if none is yet, 404 if there is no such deck.
pub(super) async fn version_at(
    tx: &mut PgConnection,
    seller: Uuid,
    deck: &Key,
    at: Timestamp,
) -> Result<Option<Uuid>> {
    let name = (seller, deck.clone());
    let chains = chains(tx, &BTreeSet::from([name.clone()])).await?;
    let chain = chains.get(&name).ok_or(Error::NotFound("price deck"))?;
    Ok(in_force(chain, at).map(|version| version.id))
}

/// Entries of a version after a prefix, in order of the prefixes' text.
pub(super) async fn entries(
    tx: &mut PgConnection,
    seller: Uuid,
    version: Uuid,
    after: &str,
    rows: i64,
) -> Result<Vec<DeckEntry>> {
    let rows = sqlx::query_as!(
        Row,
        "select version_id, prefix, price, connection_fee, increment from deck_entries
         where seller_id = $1 and version_id = $2 and prefix > $3 order by prefix limit $4",
        seller,
        version,
        after,
        rows,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// All entries of the version in force at a time; none if there is none.
pub(super) async fn whole(
    tx: &mut PgConnection,
    seller: Uuid,
    deck: &Key,
    at: Timestamp,
) -> Result<Deck> {
    let rows = sqlx::query_as!(
        Row,
        "select e.version_id, e.prefix, e.price, e.connection_fee, e.increment
         from (
             select v.id from price_decks d join deck_versions v on v.seller_id = d.seller_id and v.deck_id = d.id
             where d.seller_id = $1 and d.key = $2 and v.effective_from <= $3
             order by v.effective_from desc, v.version desc limit 1
         ) v
         join deck_entries e on e.seller_id = $1 and e.version_id = v.id",
        seller,
        deck.as_str(),
        at.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let entries = rows.into_iter().map(Row::read).collect::<Result<_>>()?;
    Deck::new(entries).map_err(|e| stored(&e))
}
