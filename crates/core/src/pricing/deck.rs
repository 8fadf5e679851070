//! Price decks: the price of a destination by the longest prefix of its number, effective-dated.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::increment::Increment;
use crate::money::Price;
use crate::phone::E164;

/// A line of a price deck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeckEntry {
    /// First digits of the numbers it is for, without `+`: 1 to 15.
    pub prefix: String,
    /// Price of as many units as the plan's rate says.
    pub price: Price,
    /// Instead of the plan's connection fee.
    #[serde(
        default,
        alias = "connection_fee",
        skip_serializing_if = "Option::is_none"
    )]
    pub connection_fee: Option<Price>,
    /// Instead of the plan's increment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub increment: Option<Increment>,
    /// First instant at which it applies; always if absent.
    #[serde(default, alias = "starts_at", skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// First instant at which it no longer does.
    #[serde(default, alias = "ends_at", skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

/// Why entries do not make a deck.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeck {
    /// Not 1 to 15 digits.
    #[error("line {line}: `{prefix}` is not a prefix of 1 to 15 digits")]
    Prefix {
        /// Counted from 1.
        line: usize,
        /// What was found.
        prefix: String,
    },
    /// Below zero.
    #[error("line {line}: a price must not be negative")]
    Price {
        /// Counted from 1.
        line: usize,
    },
    /// It ends before it starts.
    #[error("line {line}: it ends before it starts")]
    Dates {
        /// Counted from 1.
        line: usize,
    },
    /// Two prices at the same time.
    #[error("line {line}: prefix `{prefix}` already has a price at that time")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The prefix.
        prefix: String,
    },
}

/// A price deck made ready for looking up numbers.
#[derive(Clone, Default)]
pub struct Deck {
    entries: Vec<DeckEntry>,
    /// A tree by digits; the root is node 0.
    nodes: Vec<Node>,
}

#[derive(Clone, Default)]
struct Node {
    /// The node of each next digit; 0 is none, since the root follows nothing.
    next: [u32; 10],
    /// Entries whose prefix ends here.
    entries: Vec<u32>,
}

impl Deck {
    /// Builds the deck; the error names the line that is wrong.
    pub fn new(entries: Vec<DeckEntry>) -> Result<Self, InvalidDeck> {
        let mut deck = Self {
            entries: Vec::with_capacity(entries.len()),
            nodes: vec![Node::default()],
        };
        for (index, entry) in entries.into_iter().enumerate() {
            deck.insert(entry, index.saturating_add(1))?;
        }
        Ok(deck)
    }

    fn insert(&mut self, entry: DeckEntry, line: usize) -> Result<(), InvalidDeck> {
        let prefix = || entry.prefix.chars().take(40).collect::<String>();
        let digits: Vec<usize> = entry.prefix.bytes().filter_map(digit).collect();
        if digits.is_empty() || digits.len() > 15 || digits.len() != entry.prefix.len() {
            return Err(InvalidDeck::Prefix {
                line,
                prefix: prefix(),
            });
        }
        if entry.price.is_negative() || entry.connection_fee.is_some_and(Price::is_negative) {
            return Err(InvalidDeck::Price { line });
        }
        if let (Some(start), Some(end)) = (entry.starts_at, entry.ends_at)
            && start >= end
        {
            return Err(InvalidDeck::Dates { line });
        }
        let node = digits
            .into_iter()
            .fold(0, |node, digit| self.step_or_grow(node, digit));
        let own = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if self.at_node(node).any(|other| overlap(other, &entry)) {
            return Err(InvalidDeck::Twice {
                line,
                prefix: prefix(),
            });
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.entries.push(own);
        }
        self.entries.push(entry);
        Ok(())
    }

    fn step_or_grow(&mut self, node: usize, digit: usize) -> usize {
        if let Some(next) = self.step(node, digit) {
            return next;
        }
        let new = self.nodes.len();
        self.nodes.push(Node::default());
        if let Some(slot) = self
            .nodes
            .get_mut(node)
            .and_then(|node| node.next.get_mut(digit))
        {
            *slot = u32::try_from(new).unwrap_or_default();
        }
        new
    }

    fn step(&self, node: usize, digit: usize) -> Option<usize> {
        let next = *self.nodes.get(node)?.next.get(digit)?;
        if next == 0 {
            None
        } else {
            usize::try_from(next).ok()
        }
    }

    fn at_node(&self, node: usize) -> impl Iterator<Item = &DeckEntry> {
        let ids = self.nodes.get(node).map_or(&[][..], |node| &node.entries);
        ids.iter().filter_map(|id| {
            usize::try_from(*id)
                .ok()
                .and_then(|id| self.entries.get(id))
        })
    }

    /// The entry with the longest prefix of the number among those in force at `at`.
    pub fn find(&self, number: &E164, at: Timestamp) -> Option<&DeckEntry> {
        let mut best = None;
        let mut node = 0;
        for digit in number.digits().bytes().filter_map(digit) {
            let Some(next) = self.step(node, digit) else {
                break;
            };
            node = next;
            best = self
                .at_node(node)
                .find(|entry| in_force(entry, at))
                .or(best);
        }
        best
    }

    /// The entries in the order given.
    pub fn entries(&self) -> &[DeckEntry] {
        &self.entries
    }
}

/// Without the tree, which says nothing more.
impl fmt::Debug for Deck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deck({} entries)", self.entries.len())
    }
}

fn digit(byte: u8) -> Option<usize> {
    byte.is_ascii_digit()
        .then(|| usize::from(byte.saturating_sub(b'0')))
}

fn in_force(entry: &DeckEntry, at: Timestamp) -> bool {
    entry.starts_at.is_none_or(|start| start <= at) && entry.ends_at.is_none_or(|end| at < end)
}

fn overlap(one: &DeckEntry, other: &DeckEntry) -> bool {
    let starts_before_end = |start: Option<Timestamp>, end: Option<Timestamp>| match (start, end) {
        (Some(start), Some(end)) => start < end,
        (None, _) | (_, None) => true,
    };
    starts_before_end(one.starts_at, other.ends_at)
        && starts_before_end(other.starts_at, one.ends_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(prefix: &str, price: &str) -> DeckEntry {
        DeckEntry {
            prefix: prefix.into(),
            price: price.parse().unwrap(),
            connection_fee: None,
            increment: None,
            starts_at: None,
            ends_at: None,
        }
    }

    fn dated(
        prefix: &str,
        price: &str,
        starts_at: Option<&str>,
        ends_at: Option<&str>,
    ) -> DeckEntry {
        let at = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        DeckEntry {
            starts_at: at(starts_at),
            ends_at: at(ends_at),
            ..entry(prefix, price)
        }
    }

    fn price(deck: &Deck, number: &str, at: &str) -> Option<String> {
        deck.find(&number.parse().unwrap(), at.parse().unwrap())
            .map(|entry| entry.price.to_string())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let deck = Deck::new(vec![
            entry("1", "0.01"),
            entry("1212", "0.02"),
            entry("44", "0.03"),
        ])
        .unwrap();
        let at = "2026-01-01T00:00:00Z";
        assert_eq!(price(&deck, "+12125550123", at).as_deref(), Some("0.02"));
        assert_eq!(price(&deck, "+12135550123", at).as_deref(), Some("0.01"));
        assert_eq!(price(&deck, "+442072193000", at).as_deref(), Some("0.03"));
        assert_eq!(price(&deck, "+4930123456", at), None);
    }

    #[test]
    fn only_what_is_in_force_counts() {
        let deck = Deck::new(vec![
            entry("1", "0.01"),
            dated("1212", "0.02", None, Some("2026-02-01T00:00:00Z")),
            dated("1212", "0.05", Some("2026-03-01T00:00:00Z"), None),
        ])
        .unwrap();
        let seen = [
            "2026-01-31T23:59:59Z",
            "2026-02-01T00:00:00Z",
            "2026-03-01T00:00:00Z",
        ]
        .map(|at| price(&deck, "+12125550123", at).unwrap());
        assert_eq!(seen, ["0.02", "0.01", "0.05"]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let build = |entry: DeckEntry| {
            Deck::new(vec![super::tests::entry("49", "1"), entry])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            build(entry("+1", "1")),
            "line 2: `+1` is not a prefix of 1 to 15 digits"
        );
        assert_eq!(
            build(entry("1", "-1")),
            "line 2: a price must not be negative"
        );
        assert_eq!(
            build(entry("49", "2")),
            "line 2: prefix `49` already has a price at that time"
        );
        let backwards = dated(
            "1",
            "1",
            Some("2026-02-01T00:00:00Z"),
            Some("2026-02-01T00:00:00Z"),
        );
        assert_eq!(build(backwards), "line 2: it ends before it starts");
    }
}
