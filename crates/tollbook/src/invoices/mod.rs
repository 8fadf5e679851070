//! Invoices: what a payer owes, and why. Drafts gather charges; a finalized document never changes.

mod drafts;
mod due;
mod finalize;
mod lines;
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the pages are filled by handlers that come with the operations"
    )
)]
pub(crate) mod view;
mod write;

pub(crate) use drafts::{
    Open, PLATFORM_GRACE_SECONDS, Place, Waiting, fee_draft, lock_drafts, open_drafts,
};
pub(crate) use finalize::finalize_due;
