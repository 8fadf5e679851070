//! The ledger: one entry per document, balanced by construction.

mod post;

pub(crate) use post::{Document, post};
