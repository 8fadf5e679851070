//! Moving in from another system: the book of what there was, read and checked before anything is made of it.

mod book;
mod raw;
mod read;

pub use book::{Book, Contact, Customer, FORMAT, Invoice, Kind, Lot, Subscription, Tax, Used};
pub use read::Flaw;

/// What a book is, as JSON Schema.
pub const SCHEMA: &str = include_str!("../../schema/book.schema.json");
