//! Price decks: prices by destination, imported from CSV as versions, each in force from its time to the next one's.
//!
//! Rating looks up only the prefixes of the numbers at hand, in the versions in force at their times. It reads them in its
//! own transaction, so no node ever rates on a deck that another one has replaced, and a deck may be of any size.

mod again;
pub(crate) mod api;
mod import;
mod lookup;
mod preview;
mod read;
mod sheet;

pub(crate) use again::rate_again;
pub(crate) use import::{Import, import};
pub(crate) use lookup::{Wanted, find};
pub(crate) use preview::{Preview, preview};
pub(crate) use read::known;
pub(crate) use sheet::{Dates, entries};
