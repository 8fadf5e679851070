//! Search over people, numbers, invoices and calls.
//!
//! What can be found has rows in `search_terms`; a capability writes them with the thing itself, and reads them by range,
//! which row-level security lets an index do.

mod index;
mod terms;
pub(crate) mod view;
pub(crate) mod web;

pub(crate) use index::{Found, Indexed, Kind, add, find, replace};
pub(crate) use terms::{number_terms, query_words, words};
