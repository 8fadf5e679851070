//! Customers: who pays an organization.

mod recognize;
mod sql;
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the pages are filled by handlers that come with the operations"
    )
)]
pub(crate) mod view;

pub(crate) use recognize::{Caller, Match, matches, recognize};
