//! Offers: drafted, then published; a published version never changes.

pub(crate) mod api;
mod check;
mod ops;
mod read;

pub(crate) use ops::{create, publish, set_pay_per_call};
pub(crate) use read::latest_version;
