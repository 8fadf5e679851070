//! How a quantity becomes an amount: increments, bands of the week, destinations, price models.

mod calendar;
mod increment;

pub use calendar::{BandMode, TimeOfDay, WeekCalendar, WeekRule, Weekday};
pub use increment::{Increment, InvalidIncrement};
