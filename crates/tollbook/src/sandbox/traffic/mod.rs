//! A day of made-up phone traffic. One seed gives one day, to the byte: the demo, the benchmarks and the tests can
//! talk about the same calls.
//!
//! Nothing here is billing: shares and lengths are drawn from distributions, in floating point.

mod call;
mod phrases;
mod planner;
mod profile;

use jiff::civil::Date;
use tollbook_core::time::{TimeError, Zone};

pub use call::{Ending, Fate, Line, Planned, PlannedCall, PlannedMessage};
pub use profile::{OurLine, Profile, Shares};

/// Everything that happens on `date` in `zone`, in order of time. Calls may last into the next day.
///
/// The same arguments give the same plan, whichever machine and day it is.
pub fn day(
    seed: u64,
    date: Date,
    zone: &Zone,
    profile: &Profile,
) -> Result<Vec<Planned>, TimeError> {
    if profile.lines.is_empty() {
        return Ok(Vec::new());
    }
    let mut desk = planner::Planner::new(seed, date, zone, profile)?;
    let mut planned = Vec::new();
    for at in desk.arrivals(profile.calls_per_day, &profile.calls_by_hour)? {
        planned.extend(desk.call(at).map(Planned::Call));
    }
    for at in desk.arrivals(profile.messages_per_day, &profile.messages_by_hour)? {
        planned.extend(desk.message(at).map(Planned::Message));
    }
    planned.sort_by_key(Planned::at);
    Ok(planned)
}

#[cfg(test)]
mod tests;
