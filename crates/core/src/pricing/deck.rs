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
    /// Instead of the plan's connection fee, for calls that begin at this line's price.
    #[serde(
        default,
        alias = "connection_fee",
        skip_serializing_if = "Option::is_none"
    )]
    pub connection_fee: Option<Price>,
    /// Instead of the plan's increment, for calls that begin at this line's price.
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
#[error("line {line}: {problem}")]
pub struct InvalidDeck {
    /// The entry, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: DeckProblem,
}

/// What is wrong with an entry of a deck.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeckProblem {
    /// Not 1 to 15 digits.
    #[error("`{0}` is not a prefix of 1 to 15 digits")]
    Prefix(String),
    /// Below zero.
    #[error("a price must not be negative")]
    Price,
    /// It ends before it starts.
    #[error("it ends before it starts")]
    Dates,
    /// Two prices at the same time.
    #[error("prefix `{0}` already has a price at that time")]
    Twice(String),
}

/// How many first four digits there are, and how many padded numbers begin with the same.
const HEADS: u64 = 10_000;
const PER_HEAD: u64 = 100_000_000_000;

/// A price deck made ready for looking up numbers.
///
/// Prefixes are sorted as numbers padded to fifteen digits, each with a link to the longest shorter prefix that it
/// begins with. The prefixes of a number are then its predecessor in that order and what it links to, so a lookup is
/// one binary search among those with the same first digits and a few steps.
#[derive(Clone, Default)]
pub struct Deck {
    entries: Vec<DeckEntry>,
    /// For each of the first four digits a padded number can have, and for what comes after them all: how many padded
    /// prefixes are below.
    below: Vec<u32>,
    /// In ascending order, shorter before longer. All that a lookup needs of one is next to each other in memory.
    prefixes: Vec<Prefix>,
}

#[derive(Clone, Copy)]
struct Prefix {
    /// The prefix, padded.
    start: u64,
    /// Numbers that begin with it are this many, padded.
    width: u64,
    /// The longest shorter prefix that this one begins with.
    parent: Option<u32>,
    /// The first of its entries, which follow each other.
    first: u32,
    /// How many entries it has.
    count: u32,
}

impl Prefix {
    /// Whether a padded number begins with it.
    fn begins(&self, number: u64) -> bool {
        number
            .checked_sub(self.start)
            .is_some_and(|offset| offset < self.width)
    }
}

impl Deck {
    /// Builds the deck; the error names the line that is wrong.
    pub fn new(entries: Vec<DeckEntry>) -> Result<Self, InvalidDeck> {
        let mut lines = Vec::with_capacity(entries.len());
        for (entry, line) in entries.into_iter().zip(1_usize..) {
            lines.push((check(&entry, line)?, line, entry));
        }
        // Shorter before longer where the padded numbers are the same, so that a parent comes before its children.
        lines.sort_by_key(|((padded, width), line, _)| (*padded, std::cmp::Reverse(*width), *line));
        let mut deck = Self::default();
        let mut open: Vec<u32> = Vec::new();
        for ((start, width), line, entry) in lines {
            let index = u32::try_from(deck.entries.len()).unwrap_or(u32::MAX);
            let is_same = |last: &Prefix| last.start == start && last.width == width;
            if deck.prefixes.last().is_some_and(is_same) {
                if deck
                    .last_entries()
                    .iter()
                    .any(|other| overlap(other, &entry))
                {
                    let problem = DeckProblem::Twice(entry.prefix);
                    return Err(InvalidDeck { line, problem });
                }
                if let Some(last) = deck.prefixes.last_mut() {
                    last.count = last.count.saturating_add(1);
                }
            } else {
                while open
                    .last()
                    .is_some_and(|open| deck.prefix(*open).is_none_or(|it| !it.begins(start)))
                {
                    open.pop();
                }
                let own = u32::try_from(deck.prefixes.len()).unwrap_or(u32::MAX);
                deck.prefixes.push(Prefix {
                    start,
                    width,
                    parent: open.last().copied(),
                    first: index,
                    count: 1,
                });
                open.push(own);
            }
            deck.entries.push(entry);
        }
        deck.below = (0..=HEADS).map(|head| deck.count_below(head)).collect();
        Ok(deck)
    }

    fn count_below(&self, head: u64) -> u32 {
        let below = self
            .prefixes
            .partition_point(|it| it.start.checked_div(PER_HEAD).is_some_and(|own| own < head));
        u32::try_from(below).unwrap_or(u32::MAX)
    }

    /// The last prefix that is not above a padded number.
    fn last_not_above(&self, padded: u64) -> Option<&Prefix> {
        let head = usize::try_from(padded.checked_div(PER_HEAD)?).ok()?;
        let from = usize::try_from(*self.below.get(head)?).ok()?;
        let to = usize::try_from(*self.below.get(head.checked_add(1)?)?).ok()?;
        let alike = self.prefixes.get(from..to)?;
        let not_above = alike.partition_point(|it| it.start <= padded);
        self.prefixes
            .get(from.checked_add(not_above)?.checked_sub(1)?)
    }

    fn prefix(&self, index: u32) -> Option<&Prefix> {
        self.prefixes.get(usize::try_from(index).ok()?)
    }

    fn last_entries(&self) -> &[DeckEntry] {
        self.prefixes
            .last()
            .map_or(&[][..], |last| self.entries_of(last))
    }

    fn entries_of(&self, prefix: &Prefix) -> &[DeckEntry] {
        let first = usize::try_from(prefix.first).unwrap_or(usize::MAX);
        let count = usize::try_from(prefix.count).unwrap_or_default();
        self.entries
            .get(first..first.saturating_add(count))
            .unwrap_or_default()
    }

    /// The entry with the longest prefix of the number among those in force at `at`.
    pub fn find(&self, number: &E164, at: Timestamp) -> Option<&DeckEntry> {
        let (padded, _) = pad(number.digits())?;
        let mut next = self.last_not_above(padded);
        while let Some(prefix) = next {
            let mut entries = self.entries_of(prefix).iter();
            if prefix.begins(padded)
                && let Some(entry) = entries.find(|entry| in_force(entry, at))
            {
                return Some(entry);
            }
            next = prefix.parent.and_then(|parent| self.prefix(parent));
        }
        None
    }

    /// The entries, in order of their prefixes.
    pub fn entries(&self) -> &[DeckEntry] {
        &self.entries
    }
}

/// Without the index, which says nothing more.
impl fmt::Debug for Deck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deck({} entries)", self.entries.len())
    }
}

/// The padded prefix of a sensible entry, and how many padded numbers begin with it.
fn check(entry: &DeckEntry, line: usize) -> Result<(u64, u64), InvalidDeck> {
    let wrong = |problem| InvalidDeck { line, problem };
    let prefix = || entry.prefix.chars().take(40).collect::<String>();
    let padded = pad(&entry.prefix).ok_or_else(|| wrong(DeckProblem::Prefix(prefix())))?;
    if entry.price.is_negative() || entry.connection_fee.is_some_and(Price::is_negative) {
        return Err(wrong(DeckProblem::Price));
    }
    if let (Some(start), Some(end)) = (entry.starts_at, entry.ends_at)
        && start >= end
    {
        return Err(wrong(DeckProblem::Dates));
    }
    Ok(padded)
}

/// One to fifteen digits as a number of fifteen, and how many such numbers begin with them.
fn pad(digits: &str) -> Option<(u64, u64)> {
    let missing = u32::try_from(15_usize.checked_sub(digits.len())?).ok()?;
    let width = 10_u64.checked_pow(missing)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse::<u64>().ok()?.checked_mul(width)?, width))
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
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

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
        // A prefix whose padded number is the same as a shorter one's.
        let deck = Deck::new(vec![
            entry("100", "0.03"),
            entry("1", "0.01"),
            entry("10", "0.02"),
        ])
        .unwrap();
        let seen = ["+1001234567", "+1012345678", "+1112345678", "+2112345678"]
            .map(|number| price(&deck, number, at));
        assert_eq!(
            seen,
            [Some("0.03"), Some("0.02"), Some("0.01"), None].map(|text| text.map(str::to_owned))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// A deck of many prefixes that begin with each other finds what looking at all of them finds.
        #[test]
        fn no_longer_prefix_is_missed(
            prefixes in btree_set("[129][019]{0,6}", 0..60),
            numbers in vec("[129][019]{9,11}", 1..20),
        ) {
            let entries = prefixes.iter().map(|prefix| entry(prefix, "1")).collect();
            let deck = Deck::new(entries).unwrap();
            for number in numbers {
                let longest = prefixes
                    .iter()
                    .filter(|prefix| number.starts_with(prefix.as_str()))
                    .max_by_key(|prefix| prefix.len());
                let number = format!("+{number}").parse().unwrap();
                let found = deck.find(&number, Timestamp::UNIX_EPOCH);
                prop_assert_eq!(found.map(|entry| &entry.prefix), longest);
            }
        }
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
