//! Credit notes: what a seller gives back of a finalized invoice, as a document with a number of its own.

pub(crate) mod api;
mod issue;
mod parts;
mod read;

pub(crate) use issue::{NewNote, What, issue, issue_all};
