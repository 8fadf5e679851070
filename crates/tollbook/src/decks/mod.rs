//! Price decks: prices by destination, imported from CSV as versions, each in force from its time to the next one's.
//!
//! Rating looks up only the prefixes of the numbers at hand, in the versions in force at their times. It reads them in its
//! own transaction, so no node ever rates on a deck that another one has replaced, and a deck may be of any size. The 4,600
//! prefixes of 500 numbers take some 50 ms among 375,000 entries on two busy cores, a tenth of a millisecond a call; to keep
//! whole decks in memory would save that, and need them to be told from those that are no longer in force.

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
