//! Rows in the binary form of `COPY` (PostgreSQL's documentation, "COPY", "Binary Format"), which the server need not
//! parse.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow, bail};
use tollbook_postgres::{APPLICATION_DATABASE, Server};

/// Microseconds from the Unix epoch to the one of PostgreSQL, 2000-01-01.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;
/// The object identifier of the type `uuid`.
const UUID_TYPE: u32 = 2_950;

/// Bytes that are handed over at a time, and how many times as much may wait: no table waits for another.
const PART: usize = 1 << 20;
const PARTS_MAX: usize = 16;

/// A table that rows are copied into.
pub(super) struct Copy {
    psql: Child,
    rows: Vec<u8>,
    parts: SyncSender<Vec<u8>>,
    writer: JoinHandle<std::io::Result<()>>,
    columns: u16,
}

/// A field of a row.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Null,
    Id([u8; 16]),
    Ids(&'a [[u8; 16]]),
    Text(&'a str),
    Bytes(&'a [u8]),
    Int8(i64),
    /// A `numeric` without a fraction.
    Numeric(u64),
    /// Milliseconds since the Unix epoch.
    Time(i64),
}

impl Copy {
    /// Begins to copy into these columns of a table.
    pub(super) fn begin(server: &Server, table: &str, columns: &[&str]) -> Result<Self> {
        let mut command = super::superuser(server, APPLICATION_DATABASE);
        let names = columns.join(", ");
        command.args([
            "-c",
            &format!("copy {table} ({names}) from stdin (format binary)"),
        ]);
        let mut psql = command.stdin(Stdio::piped()).spawn()?;
        let mut input = psql.stdin.take().context("psql takes no input")?;
        let (parts, written) = sync_channel::<Vec<u8>>(PARTS_MAX);
        let writer = std::thread::spawn(move || {
            let mut parts = written.into_iter();
            parts.try_for_each(|part| input.write_all(&part))
        });
        // No flags, no extension of the header.
        let rows = [b"PGCOPY\n\xff\r\n\0".as_slice(), &[0; 8]].concat();
        let columns = u16::try_from(columns.len())?;
        Ok(Self {
            psql,
            rows,
            parts,
            writer,
            columns,
        })
    }

    /// Adds a row: a field for each column.
    pub(super) fn row(&mut self, fields: &[Field<'_>]) -> Result<()> {
        if fields.len() != usize::from(self.columns) {
            bail!("{} fields for {} columns", fields.len(), self.columns);
        }
        self.put(&self.columns.to_be_bytes());
        fields.iter().try_for_each(|field| self.field(*field))?;
        if self.rows.len() >= PART {
            self.hand_over()?;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<()> {
        let part = std::mem::replace(&mut self.rows, Vec::with_capacity(PART + PART / 8));
        let sent = self.parts.send(part);
        sent.map_err(|_| anyhow!("psql stopped reading"))
    }

    fn put(&mut self, bytes: &[u8]) {
        self.rows.extend_from_slice(bytes);
    }

    fn field(&mut self, field: Field<'_>) -> Result<()> {
        match field {
            Field::Null => {
                self.put(&(-1_i32).to_be_bytes());
                Ok(())
            }
            Field::Id(id) => self.sized(&id),
            Field::Ids(ids) => self.ids(ids),
            Field::Text(text) => self.sized(text.as_bytes()),
            Field::Bytes(bytes) => self.sized(bytes),
            Field::Int8(n) => self.sized(&n.to_be_bytes()),
            Field::Numeric(n) => self.numeric(n),
            Field::Time(ms) => self.sized(&(ms * 1_000 - EPOCH_MICROSECONDS).to_be_bytes()),
        }
    }

    fn sized(&mut self, bytes: &[u8]) -> Result<()> {
        let length = u32::try_from(bytes.len())?;
        self.put(&length.to_be_bytes());
        self.put(bytes);
        Ok(())
    }

    /// One dimension, no nulls, from index 1; each element with its length.
    fn ids(&mut self, ids: &[[u8; 16]]) -> Result<()> {
        let count = u32::try_from(ids.len())?;
        self.put(&(20 + 20 * count).to_be_bytes());
        for word in [1, 0, UUID_TYPE, count, 1] {
            self.put(&word.to_be_bytes());
        }
        ids.iter().try_for_each(|id| self.sized(id))
    }

    /// Digits to the base of 10,000, the weight of the first one, the sign, and how many decimals are shown.
    fn numeric(&mut self, n: u64) -> Result<()> {
        let (mut digits, mut rest) = (Vec::with_capacity(5), n);
        while rest > 0 {
            digits.push(u16::try_from(rest % 10_000)?);
            rest /= 10_000;
        }
        let count = u16::try_from(digits.len())?;
        self.put(&(8 + 2 * u32::from(count)).to_be_bytes());
        for word in [count, count.saturating_sub(1), 0, 0] {
            self.put(&word.to_be_bytes());
        }
        for digit in digits.iter().rev() {
            self.put(&digit.to_be_bytes());
        }
        Ok(())
    }

    /// Ends the copying, and waits until the server has the rows.
    pub(super) fn end(mut self) -> Result<()> {
        self.put(&(-1_i16).to_be_bytes());
        self.hand_over()?;
        drop(self.parts);
        let written = self.writer.join();
        written.map_err(|_| anyhow!("what writes to psql panicked"))??;
        let status = self.psql.wait()?;
        if !status.success() {
            bail!("psql: {status}");
        }
        Ok(())
    }
}
