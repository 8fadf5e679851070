//! Offers: drafted, then published; a published version never changes. What one would have come to is tried on usage that was.

pub(crate) mod api;
mod check;
mod offered;
mod ops;
mod read;
pub(crate) mod version_api;
mod versions;
mod what_if;
pub(crate) mod what_if_api;

pub(crate) use ops::{create, publish, set_pay_per_call};
pub(crate) use read::latest_version;
