//! Invoices: what a customer owes, and why.

mod finalize;
mod sql;

#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the pages are filled by handlers that come with the operations"
    )
)]
pub(crate) mod view;

pub(crate) use finalize::finalize_due;
