//! Customers: who pays an organization.

mod card;
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

pub(crate) use card::{Card, CustomerNote, OpenInvoice, OpenInvoices, RecentCall, cards};
pub(crate) use recognize::{Caller, Match, matches, recognize};
pub(crate) use summary::{Contract, Hours, Summary, summaries};
