//! Moving in from another system: a book of customers, subscriptions in the middle of a period, open invoices and credit
//! becomes opening entries, once; the same book again changes nothing, and until the first document after it all of it can
//! be taken back. The format is in `docs/moving-in.md`.
//!
//! A book only adds. What is here already stays as it is, and where the book says otherwise that is told.

pub(crate) mod api;
mod brought;
mod entries;
mod import;
mod making;
mod read;
mod there;
mod undo;
mod write;

pub(crate) use brought::Brought;
pub(crate) use import::bring;
pub(crate) use read::ImportView;
pub(crate) use undo::{take_back, whose};

/// The longest book in bytes: some ten thousand customers.
pub(crate) const BOOK_BYTES_MAX: usize = 32 << 20;
