//! Calls: live, in lists, and one by one.

#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the pages are filled by handlers that come with the operations"
    )
)]
pub(crate) mod view;

mod document;
mod read;

pub(crate) use document::CallDocument;
pub(crate) use read::{CallFacts, calls_by_id};
