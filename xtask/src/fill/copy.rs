//! Rows in the binary form of `COPY` (PostgreSQL's documentation, "COPY", "Binary Format"), which the server need not
//! parse.

use std::io::{BufWriter, Write as _};
use std::process::{Child, ChildStdin, Stdio};

use anyhow::{Context as _, Result, bail};
use tollbook_postgres::{APPLICATION_DATABASE, Server};

/// Microseconds from the Unix epoch to the one of PostgreSQL, 2000-01-01.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;
/// The object identifier of the type `uuid`.
const UUID_TYPE: u32 = 2_950;

/// A table that rows are copied into.
pub(super) struct Copy {
    psql: Child,
    rows: BufWriter<ChildStdin>,
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
        let input = psql.stdin.take().context("psql takes no input")?;
        let mut rows = BufWriter::with_capacity(1 << 20, input);
        rows.write_all(b"PGCOPY\n\xff\r\n\0")?;
        // No flags, no extension of the header.
        rows.write_all(&[0; 8])?;
        let columns = u16::try_from(columns.len())?;
        Ok(Self {
            psql,
            rows,
            columns,
        })
    }

    /// Adds a row: a field for each column.
    pub(super) fn row(&mut self, fields: &[Field<'_>]) -> Result<()> {
        if fields.len() != usize::from(self.columns) {
            bail!("{} fields for {} columns", fields.len(), self.columns);
        }
        self.rows.write_all(&self.columns.to_be_bytes())?;
        fields.iter().try_for_each(|field| self.field(*field))
    }

    fn field(&mut self, field: Field<'_>) -> Result<()> {
        match field {
            Field::Null => Ok(self.rows.write_all(&(-1_i32).to_be_bytes())?),
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
        self.rows.write_all(&length.to_be_bytes())?;
        Ok(self.rows.write_all(bytes)?)
    }

    /// One dimension, no nulls, from index 1; each element with its length.
    fn ids(&mut self, ids: &[[u8; 16]]) -> Result<()> {
        let count = u32::try_from(ids.len())?;
        self.rows.write_all(&(20 + 20 * count).to_be_bytes())?;
        for word in [1, 0, UUID_TYPE, count, 1] {
            self.rows.write_all(&word.to_be_bytes())?;
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
        self.rows
            .write_all(&(8 + 2 * u32::from(count)).to_be_bytes())?;
        for word in [count, count.saturating_sub(1), 0, 0] {
            self.rows.write_all(&word.to_be_bytes())?;
        }
        for digit in digits.iter().rev() {
            self.rows.write_all(&digit.to_be_bytes())?;
        }
        Ok(())
    }

    /// Ends the copying, and waits until the server has the rows.
    pub(super) fn end(mut self) -> Result<()> {
        self.rows.write_all(&(-1_i16).to_be_bytes())?;
        drop(self.rows.into_inner().context("psql stopped reading")?);
        let status = self.psql.wait()?;
        if !status.success() {
            bail!("psql: {status}");
        }
        Ok(())
    }
}
