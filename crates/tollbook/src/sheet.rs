//! CSV files with a header, read row by row; what is wrong is named by file, line and column.

use std::fmt::Display;
use std::io::{BufReader, Read};
use std::str::FromStr;

use csv::{ReaderBuilder, StringRecord, Trim};

/// What is wrong with a file: a sentence that names the place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SheetError(pub(crate) String);

/// What was read of a file.
pub(crate) type Result<T> = std::result::Result<T, SheetError>;

/// The columns that a file may have.
pub(crate) struct Columns {
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
}

/// A CSV file that is read row by row.
pub(crate) struct Sheet {
    name: String,
    reader: csv::Reader<Box<dyn Read>>,
    /// Column names in the order of the file.
    header: Vec<&'static str>,
}

/// A row of it.
pub(crate) struct Row<'a> {
    sheet: &'a str,
    header: &'a [&'static str],
    line: u64,
    record: StringRecord,
}

impl Sheet {
    pub(crate) fn new(name: String, input: impl Read + 'static, columns: &Columns) -> Result<Self> {
        let input: Box<dyn Read> = Box::new(BufReader::new(input));
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(input);
        let found = reader
            .headers()
            .map_err(|error| unreadable(&name, &error))?;
        let known = || columns.required.iter().chain(columns.optional);
        let mut header: Vec<&'static str> = Vec::new();
        for (title, number) in found.iter().zip(1..) {
            // Spreadsheets put a mark in front of the first title.
            let title = title.trim_start_matches('\u{feff}');
            let wrong = |what: &str| {
                SheetError(format!("{name}: line 1, column {number}: {what} `{title}`"))
            };
            let column = known().find(|it| **it == title).ok_or_else(|| {
                let names: Vec<_> = known().copied().collect();
                let unknown = wrong("unknown column");
                SheetError(format!("{unknown}; the columns are {}", names.join(", ")))
            })?;
            if header.contains(column) {
                return Err(wrong("a second column"));
            }
            header.push(column);
        }
        if let Some(missing) = columns.required.iter().find(|it| !header.contains(it)) {
            return Err(SheetError(format!(
                "{name}: line 1: there is no column `{missing}`"
            )));
        }
        Ok(Self {
            name,
            reader,
            header,
        })
    }

    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        let mut record = StringRecord::new();
        let more = self.reader.read_record(&mut record);
        if !more.map_err(|error| unreadable(&self.name, &error))? {
            return Ok(None);
        }
        // The reader says where it began, which may be an empty line in front of the row.
        let began = record.position().map_or(0, csv::Position::line);
        let read = self.reader.position().line().saturating_sub(began);
        let breaks = record.iter().flat_map(str::bytes).filter(|it| *it == b'\n');
        let own = u64::try_from(breaks.count()).unwrap_or_default();
        let empty = read.saturating_sub(own).saturating_sub(1);
        Ok(Some(Row {
            sheet: &self.name,
            header: &self.header,
            line: began.saturating_add(empty),
            record,
        }))
    }
}

fn unreadable(name: &str, error: &csv::Error) -> SheetError {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            SheetError(format!(
                "{name}: line {line}: {len} columns, where the first line has {expected_len}"
            ))
        }
        csv::ErrorKind::Utf8 { pos, err } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            let column = err.field().saturating_add(1);
            SheetError(format!("{name}: line {line}, column {column}: not UTF-8"))
        }
        _ => SheetError(format!("{name}: {error}")),
    }
}

impl Row<'_> {
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The text of a column; `None` if it is empty or the file does not have it.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        let index = self.header.iter().position(|it| *it == column)?;
        self.record.get(index).filter(|text| !text.is_empty())
    }

    pub(crate) fn required(&self, column: &str) -> Result<&str> {
        self.text(column).ok_or_else(|| self.missing(column))
    }

    pub(crate) fn parse<T: FromStr<Err: Display>>(&self, column: &str) -> Result<Option<T>> {
        let parsed = self.text(column).map(str::parse).transpose();
        parsed.map_err(|error: T::Err| self.wrong(column, &error.to_string()))
    }

    pub(crate) fn missing(&self, column: &str) -> SheetError {
        self.wrong(column, "is missing")
    }

    pub(crate) fn wrong(&self, column: &str, message: &str) -> SheetError {
        let (file, line) = (self.sheet, self.line);
        match self.header.iter().position(|it| *it == column) {
            Some(index) => {
                let number = index.saturating_add(1);
                SheetError(format!(
                    "{file}: line {line}, column {number} (`{column}`): {message}"
                ))
            }
            None => SheetError(format!(
                "{file}: line {line}: `{column}` {message}, and is no column either"
            )),
        }
    }
}
