//! Puts into terms what their price decks say of the numbers at hand.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::phone::E164;

use super::items::Item;
use super::terms::{Prepared, Ready, TermsKey};
use crate::decks::{self, Wanted};
use crate::error::Result;

/// A number that a usage went to, on terms that may price it by a deck.
#[derive(Debug, Clone)]
pub(crate) struct Dialed<'a> {
    pub(crate) terms: TermsKey,
    pub(crate) number: &'a E164,
    pub(crate) at: Timestamp,
}

/// The numbers of a batch.
pub(super) fn dialed(items: &[Item]) -> impl Iterator<Item = Dialed<'_>> {
    items.iter().filter_map(|item| {
        Some(Dialed {
            terms: item.terms.clone()?,
            number: item.destination.as_ref()?,
            at: item.occurred_at,
        })
    })
}

/// Replaces terms with decks by the same with what the decks say of these numbers; nothing is read where there are none.
/// Nothing of it is kept: what is in force is what the transaction sees.
pub(crate) async fn add_decks<'a>(
    tx: &mut PgConnection,
    ready: &mut Ready,
    dialed: impl IntoIterator<Item = Dialed<'a>>,
) -> Result<()> {
    let by_deck: HashMap<TermsKey, Arc<Prepared>> = ready
        .iter()
        .filter_map(|(key, prepared)| {
            let prepared = prepared.as_ref().ok()?;
            (!prepared.decks.is_empty()).then(|| (key.clone(), Arc::clone(prepared)))
        })
        .collect();
    if by_deck.is_empty() {
        return Ok(());
    }
    let mut wanted = Vec::new();
    for it in dialed {
        let prepared = by_deck.get(&it.terms);
        let decks = prepared.into_iter().flat_map(|prepared| &prepared.decks);
        wanted.extend(decks.map(|deck| Wanted {
            seller: it.terms.seller,
            deck,
            number: it.number,
            at: it.at,
        }));
    }
    let found = decks::find(tx, &wanted).await?;
    for (key, prepared) in &by_deck {
        if let Some(decks) = found.get(&key.seller) {
            let with = Prepared {
                terms: prepared.terms.with_decks(decks),
                ..Prepared::clone(prepared)
            };
            ready.insert(key.clone(), Ok(Arc::new(with)));
        }
    }
    Ok(())
}
