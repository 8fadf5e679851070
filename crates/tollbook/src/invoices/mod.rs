//! Invoices: what a payer owes, and why. Drafts gather charges; a finalized document never changes.

pub(crate) mod act;
pub(crate) mod act_view;
pub(crate) mod api;
mod closing;
mod commitment;
mod documents;
mod drafts;
mod due;
mod effect;
mod finalize;
mod lines;
mod one_off;
mod opening;
mod read;
mod run;
pub(crate) mod view;
mod void;
pub(crate) mod web;
mod write;

pub(crate) use commitment::commitments;
pub(crate) use documents::whose;
pub(crate) use drafts::{
    Open, PLATFORM_GRACE_SECONDS, Place, Waiting, fee_drafts, lock_drafts, open_drafts,
};
pub(crate) use effect::{Changed, Effect, OpenAmount, open_amounts};
pub(crate) use finalize::finalize_due;
pub(crate) use opening::{OpeningInvoice, insert_opening};
pub use run::{BillingRun, Counted, Held, RunProgress, RunReport};
