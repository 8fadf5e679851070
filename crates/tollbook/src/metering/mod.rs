//! Usage: taken in durably and once, counted in the same transaction, queued for rating.

mod accept;
pub(crate) mod api;
mod recorded;
pub(crate) mod report;
mod sql;

pub(crate) use accept::{NewUsage, UsageWriter, record, record_one, writer};
pub(crate) use recorded::{
    Aim, Attribution, Known, RecordedEvent, first_key, given, known_of, owed, recorded_by_key,
};
