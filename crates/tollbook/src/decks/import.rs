//! Imports a deck: all of its entries from a time on.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::Price;
use tollbook_core::plans::Key;
use tollbook_core::pricing::Deck;
use uuid::Uuid;

use super::read::{ImportView, versions};
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::jobs::{self, Job, NewJob};

/// Longest name of a deck in characters.
const NAME_MAX: usize = 200;

/// A deck to import.
#[derive(Debug)]
pub(crate) struct Import<'a> {
    /// `None`: the platform's.
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) key: &'a Key,
    /// Of a deck that is new; its key if absent.
    pub(crate) name: Option<&'a str>,
    pub(crate) deck: &'a Deck,
    pub(crate) effective_from: Timestamp,
}

impl Import<'_> {
    pub(crate) fn seller(&self) -> Uuid {
        self.organization.map_or(Uuid::nil(), OrganizationId::uuid)
    }

    /// How many entries it has; a deck without any would price nothing.
    pub(super) fn count(&self) -> Result<i32> {
        let count = i32::try_from(self.deck.entries().len())
            .map_err(|_| Error::invalid("file", "has too many entries"))?;
        if count == 0 {
            return Err(Error::invalid("file", "has no entries"));
        }
        Ok(count)
    }
}

/// Writes a version of a deck. Usage since a time that is past is rated again, by a job: there may be much of it.
pub(crate) async fn import(
    tx: &mut PgConnection,
    import: &Import<'_>,
    now: Timestamp,
) -> Result<ImportView> {
    let (seller, count) = (import.seller(), import.count()?);
    let deck = hold(tx, import).await?;
    let version: Uuid = new_id();
    let number = sqlx::query_scalar!(
        "insert into deck_versions (seller_id, id, deck_id, version, effective_from, entry_count)
         select $1, $2, $3, coalesce(max(v.version), 0) + 1, $4, $5
         from deck_versions v where v.seller_id = $1 and v.deck_id = $3
         returning version",
        seller,
        version,
        deck,
        import.effective_from.to_sqlx(),
        count,
    )
    .fetch_one(&mut *tx)
    .await?;
    write(tx, seller, version, import.deck).await?;
    if import.effective_from < now {
        let job = NewJob {
            organization: import.organization,
            job: Job::RateDeckAgain {
                organization: import.organization,
                deck: import.key.clone(),
                since: import.effective_from,
            },
            unique_key: None,
            delay: jiff::SignedDuration::ZERO,
        };
        jobs::enqueue(tx, &[job]).await?;
    }
    let made = versions(tx, seller, import.key, number.checked_add(1), 1).await?;
    made.into_iter()
        .next()
        .ok_or_else(|| Error::Internal("a version of a deck was not made".into()))
}

/// The deck, made if it is new, and held: its versions are numbered one after another.
async fn hold(tx: &mut PgConnection, import: &Import<'_>) -> Result<Uuid> {
    let seller = import.seller();
    let name = import.name.map(str::trim).filter(|it| !it.is_empty());
    let name = name.unwrap_or(import.key.as_str());
    if name.chars().count() > NAME_MAX {
        let message = format!("must have at most {NAME_MAX} characters");
        return Err(Error::invalid("name", message));
    }
    let id: Uuid = new_id();
    sqlx::query!(
        "insert into price_decks (seller_id, id, key, name) values ($1, $2, $3, $4) on conflict (seller_id, key) do nothing",
        seller,
        id,
        import.key.as_str(),
        name,
    )
    .execute(&mut *tx)
    .await?;
    let id = sqlx::query_scalar!(
        "select id from price_decks where seller_id = $1 and key = $2 for no key update",
        seller,
        import.key.as_str(),
    )
    .fetch_one(tx)
    .await?;
    Ok(id)
}

async fn write(tx: &mut PgConnection, seller: Uuid, version: Uuid, deck: &Deck) -> Result<()> {
    let entries = deck.entries();
    let prefixes: Vec<&str> = entries.iter().map(|it| it.prefix.as_str()).collect();
    let prices: Vec<Decimal> = entries.iter().map(|it| it.price.to_decimal()).collect();
    let fees: Vec<Option<Decimal>> = entries
        .iter()
        .map(|it| it.connection_fee.map(Price::to_decimal))
        .collect();
    let increments: Vec<Option<String>> = entries
        .iter()
        .map(|it| it.increment.map(|increment| increment.to_string()))
        .collect();
    sqlx::query!(
        "insert into deck_entries (seller_id, version_id, prefix, price, connection_fee, increment)
         select $1, $2, k.prefix, k.price, k.fee, k.increment
         from unnest($3::text[], $4::numeric[], $5::numeric[], $6::text[]) as k (prefix, price, fee, increment)
         order by k.prefix",
        seller,
        version,
        &prefixes as &[&str],
        &prices,
        &fees as &[Option<Decimal>],
        &increments as &[Option<String>],
    )
    .execute(tx)
    .await?;
    Ok(())
}
