//! Price decks as CSV.

use std::io::Read;

use tollbook_core::pricing::{Deck, DeckEntry};

use crate::sheet::{Columns, Result, Sheet, SheetError};

/// Whether entries have dates of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    /// They may: the file is all there is.
    Own,
    /// They are all in force from when the file is.
    OfImport,
}

/// Most entries of a deck: all prefixes of the world that anybody sells apart, several times over.
const ENTRIES_MAX: usize = 500_000;

const DATED: Columns = Columns {
    required: &["prefix", "price"],
    optional: &["connection_fee", "increment", "starts_at", "ends_at"],
};

const UNDATED: Columns = Columns {
    required: &["prefix", "price"],
    optional: &["connection_fee", "increment"],
};

/// Reads a deck; the error names file, line and column.
pub(crate) fn entries(name: &str, input: impl Read + 'static, dates: Dates) -> Result<Deck> {
    let columns = match dates {
        Dates::Own => &DATED,
        Dates::OfImport => &UNDATED,
    };
    let mut sheet = Sheet::new(name.to_owned(), input, columns)?;
    let (mut entries, mut lines) = (Vec::new(), Vec::new());
    while let Some(row) = sheet.next_row()? {
        if entries.len() >= ENTRIES_MAX {
            return Err(row.wrong(
                "prefix",
                &format!("a deck has at most {ENTRIES_MAX} entries"),
            ));
        }
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
        SheetError(format!("{name}: line {line}: {}", error.problem))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(csv: &'static str, dates: Dates) -> String {
        match entries("the file", Cursor::new(csv), dates) {
            Ok(deck) => format!("{} entries", deck.entries().len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        for (csv, expected) in [
            ("prefix,price\n+44,0.02\n4420,0.03\n", "2 entries"),
            (
                "prefix,price\n44,0.02\n49,cheap\n",
                "the file: line 3, column 2 (`price`)",
            ),
            (
                "prefix,price,increment\n44,1,sixty\n",
                "the file: line 2, column 3 (`increment`)",
            ),
            (
                "prefix,price\n44,0.02\n\n44,0.03\n",
                "the file: line 4: prefix `44` already has a price",
            ),
            (
                "prefix,price\n4x,1\n",
                "the file: line 2: `4x` is not a prefix",
            ),
            (
                "prefix\n44\n",
                "the file: line 1: there is no column `price`",
            ),
            (
                "prefix,price,starts_at\n44,1,2026-01-01T00:00:00Z\n",
                "the file: line 1, column 3: unknown column `starts_at`",
            ),
        ] {
            let seen = read(csv, Dates::OfImport);
            assert!(seen.starts_with(expected), "{seen}");
        }
    }

    #[test]
    fn a_file_that_is_all_there_is_may_have_dates() {
        let csv = "prefix,price,ends_at,starts_at\n44,1,2026-02-01T00:00:00Z,\n44,2,,2026-02-01T00:00:00Z\n";
        assert_eq!(read(csv, Dates::Own), "2 entries");
    }
}
