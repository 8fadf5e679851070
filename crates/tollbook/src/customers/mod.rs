//! Customers: who pays an organization.

pub(crate) mod api;
mod balance;
mod card;
mod edit;
mod list;
mod reach;
mod recognize;
mod sql;
mod summary;
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the pages are filled by handlers that come with the operations"
    )
)]
pub(crate) mod view;

pub(crate) use card::{Card, cards};
pub(crate) use list::find;
pub(crate) use recognize::{Caller, matches, recognize};
pub(crate) use summary::{Contract, Hours, Summary, summaries};
