//! The ledger: one entry per document, balanced by construction.

pub(crate) mod api;
mod post;
mod reverse;
mod statement;

pub(crate) use post::{COST, Document, post};
pub(crate) use reverse::reverse;
