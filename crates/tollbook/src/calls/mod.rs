//! Calls: live, in lists, and one by one.

mod check;
mod document;
mod observe;
mod read;
mod store;
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the pages are filled by handlers that come with the operations"
    )
)]
pub(crate) mod view;

pub(crate) use check::check_due;
pub(crate) use document::CallDocument;
pub(crate) use observe::{CallOfSid, Observation, Source, Told, observe};
pub(crate) use read::{CallFacts, calls_by_id};
pub(crate) use store::calls_of_sids;
