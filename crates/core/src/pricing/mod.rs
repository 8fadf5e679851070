//! How a quantity becomes an amount: increments, bands of the week, destinations, price models.

mod bands;
mod calendar;
mod changes;
mod deck;
mod increment;
pub(crate) mod model;

pub(crate) use bands::BandAt;
pub use bands::Calendar;
pub use calendar::{BandMode, TimeOfDay, WeekCalendar, WeekRule, Weekday};
pub use changes::{DeckChanges, changes};
pub use deck::{Deck, DeckEntry, DeckProblem, InvalidDeck};
pub use increment::{Increment, InvalidIncrement};
