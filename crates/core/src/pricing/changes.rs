//! What becomes of prices when a deck takes the place of another.

use std::collections::BTreeMap;

use super::deck::{Deck, DeckEntry};

/// The entries that differ between two decks, in order of their prefixes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeckChanges<'a> {
    /// Only the new deck has them.
    pub added: Vec<&'a DeckEntry>,
    /// Only the old deck has them.
    pub removed: Vec<&'a DeckEntry>,
    /// Both have the prefix, and not at the same price, fee or increment: old and new.
    pub changed: Vec<(&'a DeckEntry, &'a DeckEntry)>,
}

/// Compares two decks prefix by prefix. Dates are not looked at: each has a prefix once.
pub fn changes<'a>(old: &'a Deck, new: &'a Deck) -> DeckChanges<'a> {
    let mut changes = DeckChanges::default();
    let mut before: BTreeMap<&str, &DeckEntry> = by_prefix(old);
    for (prefix, entry) in by_prefix(new) {
        match before.remove(prefix) {
            None => changes.added.push(entry),
            Some(other) if is_same(other, entry) => {}
            Some(other) => changes.changed.push((other, entry)),
        }
    }
    changes.removed.extend(before.into_values());
    changes
}

fn by_prefix(deck: &Deck) -> BTreeMap<&str, &DeckEntry> {
    let entries = deck.entries().iter();
    entries.map(|it| (it.prefix.as_str(), it)).collect()
}

fn is_same(one: &DeckEntry, other: &DeckEntry) -> bool {
    one.price == other.price
        && one.connection_fee == other.connection_fee
        && one.increment == other.increment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deck(entries: &[(&str, &str, Option<&str>)]) -> Deck {
        let entry = |(prefix, price, fee): &(&str, &str, Option<&str>)| DeckEntry {
            prefix: (*prefix).to_owned(),
            price: price.parse().unwrap(),
            connection_fee: fee.map(|fee| fee.parse().unwrap()),
            increment: None,
            starts_at: None,
            ends_at: None,
        };
        Deck::new(entries.iter().map(entry).collect()).unwrap()
    }

    #[test]
    fn what_differs_is_named_by_prefix() {
        let old = deck(&[
            ("1", "0.01", None),
            ("44", "0.02", None),
            ("49", "0.03", None),
            ("7", "0.04", None),
        ]);
        let new = deck(&[
            ("1", "0.010", None),
            ("44", "0.02", Some("0.1")),
            ("49", "0.05", None),
            ("81", "0.06", None),
        ]);
        let found = changes(&old, &new);
        let prefixes = |entries: &[&DeckEntry]| {
            entries
                .iter()
                .map(|it| it.prefix.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(prefixes(&found.added), ["81"]);
        assert_eq!(prefixes(&found.removed), ["7"]);
        let lines = found
            .changed
            .iter()
            .map(|(old, new)| format!("{} {} {}", old.prefix, old.price, new.price));
        assert_eq!(lines.collect::<Vec<_>>(), ["44 0.02 0.02", "49 0.03 0.05"]);
    }

    #[test]
    fn a_deck_does_not_differ_from_itself() {
        let deck = deck(&[("1", "0.01", None), ("12", "0.02", Some("1"))]);
        assert_eq!(changes(&deck, &deck), DeckChanges::default());
    }
}
