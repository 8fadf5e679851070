//! Calls and other usage from a CSV file, in the order in which they are rated.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use tollbook_core::calls::Direction;
use tollbook_core::ids::UsageEventId;
use tollbook_core::metering::{BuiltInMeter, MeterCode};
use tollbook_core::money::Quantity;
use tollbook_core::rating::{ProviderCost, Usage};
use tollbook_core::time::Seconds;
use uuid::Uuid;

use crate::sheet::{Columns, Row, Sheet};

/// A usage with the line that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metered {
    pub(super) id: String,
    pub(super) line: u64,
    /// That there was a call, beside its time; of no interest on a plan that has no price for it.
    pub(super) is_call_count: bool,
    pub(super) usage: Usage,
}

impl Metered {
    fn place(&self) -> (Timestamp, &str, u64, &str) {
        let meter = self.usage.meter.as_str();
        (self.usage.occurred_at, &self.id, self.line, meter)
    }
}

impl PartialOrd for Metered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Canonical order: when it began, then the id.
impl Ord for Metered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

const COLUMNS: Columns = Columns {
    required: &["id", "started_at"],
    optional: &[
        "direction",
        "from",
        "to",
        "answered_at",
        "ended_at",
        "billable_seconds",
        "meter",
        "quantity",
        "provider_cost",
    ],
};

/// A file of calls that was looked through once: all of it can be read, and no id comes twice.
pub(super) struct Calls {
    source: Source,
    first_at: Option<Timestamp>,
    is_sorted: bool,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    /// Standard input, which can be read once only.
    Text(Vec<u8>),
}

impl Source {
    fn sheet(&self) -> Result<Sheet> {
        match self {
            Self::File(path) => {
                let name = path.display().to_string();
                let file =
                    std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
                Ok(Sheet::new(name, file, &COLUMNS)?)
            }
            Self::Text(text) => {
                let text = Cursor::new(text.clone());
                Ok(Sheet::new("-".to_owned(), text, &COLUMNS)?)
            }
        }
    }
}

impl Calls {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let source = if path == Path::new("-") {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text)?;
            Source::Text(text)
        } else {
            Source::File(path.to_owned())
        };
        let mut sheet = source.sheet()?;
        let mut lines: HashMap<String, u64> = HashMap::new();
        let (mut first_at, mut latest, mut is_sorted) = (None::<Timestamp>, None, true);
        while let Some(row) = sheet.next_row()? {
            for metered in usages(&row)? {
                let at = metered.usage.occurred_at;
                first_at = Some(first_at.map_or(at, |first| first.min(at)));
            }
            let started_at = row.parse::<Timestamp>("started_at")?;
            is_sorted &= latest <= started_at;
            latest = started_at;
            let id = row.required("id")?;
            if let Some(line) = lines.insert(id.to_owned(), row.line()) {
                bail!(row.wrong("id", &format!("`{id}` is on line {line} already")));
            }
        }
        Ok(Self {
            source,
            first_at,
            is_sorted,
        })
    }

    /// When the first usage began.
    pub(super) fn first_at(&self) -> Option<Timestamp> {
        self.first_at
    }

    /// All usages in canonical order. Where the lines are in the order of their starts, no more of them are held than
    /// there are calls at the same time.
    pub(super) fn in_order(&self) -> Result<InOrder> {
        Ok(InOrder {
            sheet: Some(self.source.sheet()?),
            is_sorted: self.is_sorted,
            waiting: BinaryHeap::new(),
            until: None,
        })
    }
}

/// Usages in canonical order.
pub(super) struct InOrder {
    /// `None` once it is read.
    sheet: Option<Sheet>,
    is_sorted: bool,
    waiting: BinaryHeap<Reverse<Metered>>,
    /// What begins before this can be given: every line that is left starts later.
    until: Option<Timestamp>,
}

impl InOrder {
    fn read_on(&mut self) -> Result<()> {
        while let Some(sheet) = &mut self.sheet {
            let is_ready = |Reverse(first): &Reverse<Metered>| {
                self.until
                    .is_some_and(|until| first.usage.occurred_at < until)
            };
            if self.is_sorted && self.waiting.peek().is_some_and(is_ready) {
                return Ok(());
            }
            let Some(row) = sheet.next_row()? else {
                self.sheet = None;
                return Ok(());
            };
            self.until = row.parse("started_at")?;
            self.waiting.extend(usages(&row)?.into_iter().map(Reverse));
        }
        Ok(())
    }
}

impl Iterator for InOrder {
    type Item = Result<Metered>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.read_on() {
            self.sheet = None;
            return Some(Err(error));
        }
        self.waiting.pop().map(|Reverse(metered)| Ok(metered))
    }
}

/// What a line amounts to: so much of a meter; or a call, which counts as one made or received and has its time.
fn usages(row: &Row<'_>) -> Result<Vec<Metered>> {
    let started_at: Timestamp = row
        .parse("started_at")?
        .ok_or_else(|| row.missing("started_at"))?;
    let base = Usage {
        id: UsageEventId::new(Uuid::from_u128(u128::from(row.line()))),
        meter: BuiltInMeter::CallDurationSeconds.code(),
        quantity: Quantity::ZERO,
        occurred_at: started_at,
        is_time: false,
        direction: direction(row)?,
        destination: row.parse("to")?,
        provider_cost: row
            .parse("provider_cost")?
            .map_or(ProviderCost::Pending, ProviderCost::Known),
    };
    let is_call = row.text("meter").is_none();
    let metered = |usage: Usage| -> Result<Metered> {
        Ok(Metered {
            id: row.required("id")?.to_owned(),
            line: row.line(),
            is_call_count: is_call && !usage.is_time,
            usage,
        })
    };
    let Some(meter) = row.parse::<MeterCode>("meter")? else {
        return call(row, base)?.into_iter().map(metered).collect();
    };
    let quantity: Quantity = row
        .parse("quantity")?
        .ok_or_else(|| row.missing("quantity"))?;
    if quantity.is_negative() {
        bail!(row.wrong("quantity", "must not be negative"));
    }
    let is_time = meter.built_in() == Some(BuiltInMeter::CallDurationSeconds);
    let usage = Usage {
        meter,
        quantity,
        is_time,
        ..base
    };
    Ok(vec![metered(usage)?])
}

fn call(row: &Row<'_>, base: Usage) -> Result<Vec<Usage>> {
    if row.text("quantity").is_some() {
        bail!(row.wrong("quantity", "is for lines with a `meter`"));
    }
    let started_at = base.occurred_at;
    let answered_at: Option<Timestamp> = row.parse("answered_at")?;
    let ended_at: Option<Timestamp> = row.parse("ended_at")?;
    if answered_at.is_some_and(|answered_at| answered_at < started_at) {
        bail!(row.wrong("answered_at", "is before `started_at`"));
    }
    let begins = answered_at.unwrap_or(started_at);
    if ended_at.is_some_and(|ended_at| ended_at < begins) {
        bail!(row.wrong("ended_at", "is before the call began"));
    }
    let seconds = match (row.parse::<u32>("billable_seconds")?, answered_at, ended_at) {
        (Some(seconds), ..) => seconds,
        (None, Some(answered_at), Some(ended_at)) => Seconds::between(answered_at, ended_at).get(),
        (None, Some(_), None) => bail!(row.missing("ended_at")),
        // Not answered.
        (None, None, Some(_)) => 0,
        (None, None, None) => bail!(row.missing("billable_seconds")),
    };
    let counted = base.direction.map(|direction| match direction {
        Direction::Incoming => BuiltInMeter::CallReceived,
        Direction::Outgoing => BuiltInMeter::CallMade,
    });
    let time = Usage {
        quantity: Quantity::from_units(seconds),
        occurred_at: begins,
        is_time: true,
        // The provider's price is for the time.
        ..base.clone()
    };
    let count = counted.map(|meter| Usage {
        meter: meter.code(),
        quantity: Quantity::from_units(1),
        provider_cost: ProviderCost::Pending,
        ..base
    });
    Ok(count.into_iter().chain([time]).collect())
}

fn direction(row: &Row<'_>) -> Result<Option<Direction>> {
    match row.text("direction") {
        Some("inbound") => Ok(Some(Direction::Incoming)),
        Some("outbound") => Ok(Some(Direction::Outgoing)),
        Some(_) | None => Ok(row.parse("direction")?),
    }
}
