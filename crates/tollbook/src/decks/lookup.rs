//! What decks say of some numbers at some times.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::money::Price;
use tollbook_core::phone::E164;
use tollbook_core::plans::Key;
use tollbook_core::pricing::{Deck, DeckEntry, Increment};
use uuid::Uuid;

use crate::error::{Error, Result};

/// A number that is to be priced by a deck of a seller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) seller: Uuid,
    pub(crate) deck: &'a Key,
    pub(crate) number: &'a E164,
    pub(crate) at: Timestamp,
}

/// By seller and name, decks with the entries that the numbers asked for can need, dated.
pub(crate) type Found = HashMap<Uuid, BTreeMap<Key, Arc<Deck>>>;

/// A version of a deck, and until when it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) id: Uuid,
    pub(super) from: Timestamp,
    pub(super) until: Option<Timestamp>,
}

/// A deck of a seller.
type Name = (Uuid, Key);
/// Its versions that were or will be in force, in order of time.
type Chain = Vec<Version>;

/// Looks numbers up: two statements, whatever their number.
pub(crate) async fn find(tx: &mut PgConnection, wanted: &[Wanted<'_>]) -> Result<Found> {
    if wanted.is_empty() {
        return Ok(Found::new());
    }
    let names: BTreeSet<Name> = wanted
        .iter()
        .map(|it| (it.seller, it.deck.clone()))
        .collect();
    let chains = chains(tx, &names).await?;
    let mut probes: BTreeSet<(Uuid, Uuid, &str)> = BTreeSet::new();
    for it in wanted {
        let chain = chains.get(&(it.seller, it.deck.clone()));
        if let Some(version) = chain.and_then(|chain| in_force(chain, it.at)) {
            let digits = it.number.digits();
            let prefixes = (1..=digits.len()).filter_map(|len| digits.get(..len));
            probes.extend(prefixes.map(|prefix| (it.seller, version.id, prefix)));
        }
    }
    let mut entries = entries(tx, &probes).await?;
    let mut found = Found::new();
    for (seller, name) in names {
        let chain = chains.get(&(seller, name.clone())).into_iter().flatten();
        let own = chain.flat_map(|version| {
            let of_version = entries.remove(&version.id).unwrap_or_default().into_iter();
            of_version.map(|entry| DeckEntry {
                starts_at: Some(version.from),
                ends_at: version.until,
                ..entry
            })
        });
        let deck = Deck::new(own.collect())
            .map_err(|e| Error::Internal(format!("price deck `{name}`: {e}")))?;
        let decks = found.entry(seller).or_default();
        decks.insert(name, Arc::new(deck));
    }
    Ok(found)
}

/// The version in force at a time.
pub(super) fn in_force(chain: &[Version], at: Timestamp) -> Option<&Version> {
    let begun = chain.partition_point(|version| version.from <= at);
    chain.get(begun.checked_sub(1)?)
}

/// Chains versions that come in order of time and, at the same time, of their numbers, of which the last counts.
pub(super) fn chained(versions: impl IntoIterator<Item = (Uuid, Timestamp)>) -> Chain {
    let mut chain: Chain = Vec::new();
    for (id, from) in versions {
        if chain.last().is_some_and(|last| last.from == from) {
            chain.pop();
        }
        if let Some(last) = chain.last_mut() {
            last.until = Some(from);
        }
        chain.push(Version {
            id,
            from,
            until: None,
        });
    }
    chain
}

/// The versions of decks.
pub(super) async fn chains(
    tx: &mut PgConnection,
    names: &BTreeSet<Name>,
) -> Result<BTreeMap<Name, Chain>> {
    let sellers: Vec<Uuid> = names.iter().map(|(seller, _)| *seller).collect();
    let keys: Vec<&str> = names.iter().map(|(_, key)| key.as_str()).collect();
    let rows = sqlx::query!(
        "select d.seller_id, d.key, v.id, v.effective_from
         from unnest($1::uuid[], $2::text[]) as k (seller_id, key)
         join price_decks d on d.seller_id = k.seller_id and d.key = k.key
         join deck_versions v on v.seller_id = d.seller_id and v.deck_id = d.id
         order by d.seller_id, d.key, v.effective_from, v.version",
        &sellers,
        &keys as &[&str],
    )
    .fetch_all(tx)
    .await?;
    let mut versions: BTreeMap<Name, Vec<(Uuid, Timestamp)>> = BTreeMap::new();
    for row in rows {
        let key = row.key.parse::<Key>().map_err(|e| stored(&e))?;
        let of_deck = versions.entry((row.seller_id, key)).or_default();
        of_deck.push((row.id, row.effective_from.to_jiff()));
    }
    let chains = versions.into_iter();
    Ok(chains
        .map(|(name, versions)| (name, chained(versions)))
        .collect())
}

/// The entries with exactly these prefixes, by version: looked up one by one, since a plan that joins reads whole decks.
async fn entries(
    tx: &mut PgConnection,
    probes: &BTreeSet<(Uuid, Uuid, &str)>,
) -> Result<HashMap<Uuid, Vec<DeckEntry>>> {
    let sellers: Vec<Uuid> = probes.iter().map(|(seller, ..)| *seller).collect();
    let versions: Vec<Uuid> = probes.iter().map(|(_, version, _)| *version).collect();
    let prefixes: Vec<&str> = probes.iter().map(|(.., prefix)| *prefix).collect();
    let rows = sqlx::query_as!(
        Row,
        "select e.version_id, e.prefix, e.price, e.connection_fee, e.increment
         from unnest($1::uuid[], $2::uuid[], $3::text[]) as k (seller_id, version_id, prefix)
         cross join lateral (
             select * from deck_entries e where e.seller_id = k.seller_id and e.version_id = k.version_id and e.prefix = k.prefix offset 0
         ) e",
        &sellers,
        &versions,
        &prefixes as &[&str],
    )
    .fetch_all(tx)
    .await?;
    let mut entries: HashMap<Uuid, Vec<DeckEntry>> = HashMap::new();
    for row in rows {
        let of_version = entries.entry(row.version_id).or_default();
        of_version.push(row.read()?);
    }
    Ok(entries)
}

/// An entry as it is stored.
pub(super) struct Row {
    pub(super) version_id: Uuid,
    pub(super) prefix: String,
    pub(super) price: rust_decimal::Decimal,
    pub(super) connection_fee: Option<rust_decimal::Decimal>,
    pub(super) increment: Option<String>,
}

impl Row {
    pub(super) fn read(self) -> Result<DeckEntry> {
        let price = |value| Price::try_from(value).map_err(|e| stored(&e));
        let increment = self.increment.as_deref().map(str::parse::<Increment>);
        Ok(DeckEntry {
            prefix: self.prefix,
            price: price(self.price)?,
            connection_fee: self.connection_fee.map(price).transpose()?,
            increment: increment.transpose().map_err(|e| stored(&e))?,
            starts_at: None,
            ends_at: None,
        })
    }
}

pub(super) fn stored(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a stored price deck: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn version(n: u128, from: i64, until: Option<i64>) -> Version {
        Version {
            id: Uuid::from_u128(n),
            from: at(from),
            until: until.map(at),
        }
    }

    #[test]
    fn each_version_is_in_force_until_the_next() {
        let chain =
            chained([(1, 1), (2, 3), (3, 3), (4, 9)].map(|(n, day)| (Uuid::from_u128(n), at(day))));
        // The second was replaced before it ever came into force.
        let expected = [
            version(1, 1, Some(3)),
            version(3, 3, Some(9)),
            version(4, 9, None),
        ];
        assert_eq!(chain, expected);
        let seen =
            [0, 1, 2, 3, 8, 9, 99].map(|day| in_force(&chain, at(day)).map(|it| it.id.as_u128()));
        let expected = [None, Some(1), Some(1), Some(3), Some(3), Some(4), Some(4)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_replaced_at_the_start_leaves_nothing() {
        let chain = chained([(1, 1), (2, 1)].map(|(n, day)| (Uuid::from_u128(n), at(day))));
        assert_eq!(chain, [version(2, 1, None)]);
    }
}
