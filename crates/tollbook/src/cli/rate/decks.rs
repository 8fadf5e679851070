//! Price decks from CSV files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use tollbook_core::plans::Key;
use tollbook_core::pricing::{Deck, DeckEntry};

use super::sheet::{Columns, Sheet};

/// `KEY=FILE` on the command line.
#[derive(Debug, Clone)]
pub(super) struct DeckFile {
    key: Key,
    path: PathBuf,
}

impl FromStr for DeckFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, path) = text
            .split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .ok_or("a deck is given as KEY=FILE")?;
        let key = key.parse::<Key>().map_err(|error| error.to_string())?;
        Ok(Self {
            key,
            path: path.into(),
        })
    }
}

const COLUMNS: Columns = Columns {
    required: &["prefix", "price"],
    optional: &["connection_fee", "increment", "starts_at", "ends_at"],
};

/// Reads decks; the error names file, line and column.
pub(super) fn read(files: &[DeckFile]) -> Result<BTreeMap<Key, Arc<Deck>>> {
    let mut decks = BTreeMap::new();
    for file in files {
        let deck = read_one(file)?;
        if decks.insert(file.key.clone(), Arc::new(deck)).is_some() {
            bail!("price deck `{}` is given twice", file.key);
        }
    }
    Ok(decks)
}

fn read_one(file: &DeckFile) -> Result<Deck> {
    let name = file.path.display().to_string();
    let reader = std::fs::File::open(&file.path).with_context(|| format!("cannot read {name}"))?;
    let mut sheet = Sheet::new(name.clone(), reader, &COLUMNS)?;
    let (mut entries, mut lines) = (Vec::new(), Vec::new());
    while let Some(row) = sheet.next_row()? {
        entries.push(DeckEntry {
            prefix: row.required("prefix")?.trim_start_matches('+').to_owned(),
            price: row.parse("price")?.ok_or_else(|| row.missing("price"))?,
            connection_fee: row.parse("connection_fee")?,
            increment: row.parse("increment")?,
            starts_at: row.parse("starts_at")?,
            ends_at: row.parse("ends_at")?,
        });
        lines.push(row.line());
    }
    Deck::new(entries).map_err(|error| {
        // Entries are counted from 1; on which line one stands, only the file knows.
        let index = error.line.saturating_sub(1);
        let line = lines.get(index).copied().unwrap_or_default();
        anyhow!("{name}: line {line}: {}", error.problem)
    })
}
