//! Price decks from CSV files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tollbook_core::plans::Key;
use tollbook_core::pricing::Deck;

use crate::decks::{Dates, entries};

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

/// Reads decks; the error names file, line and column.
pub(super) fn read(files: &[DeckFile]) -> Result<BTreeMap<Key, Arc<Deck>>> {
    let mut decks = BTreeMap::new();
    for file in files {
        let name = file.path.display().to_string();
        let reader =
            std::fs::File::open(&file.path).with_context(|| format!("cannot read {name}"))?;
        let deck = entries(&name, reader, Dates::Own)?;
        if decks.insert(file.key.clone(), Arc::new(deck)).is_some() {
            bail!("price deck `{}` is given twice", file.key);
        }
    }
    Ok(decks)
}
