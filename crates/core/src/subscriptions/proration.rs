//! The exact share that a part of a period is of the whole.

use crate::money::{Fraction, Overflow};
use crate::plans::Proration;
use crate::time::{Period, TimeError, Zone, whole_seconds_between};

/// So many days or seconds of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// In the part.
    pub part: i64,
    /// In the whole period; more than zero.
    pub whole: i64,
}

impl Share {
    /// The share as a fraction of one.
    pub fn to_fraction(self) -> Result<Fraction, Overflow> {
        Fraction::new(self.part.into(), self.whole.into())
    }

    /// Whether the part is the whole.
    pub fn is_whole(self) -> bool {
        self.part == self.whole
    }
}

/// The share of `part` in `full`, counted in local days of `zone` or in seconds; what lies outside of `full` does not
/// count. Shares of parts that tile a period add up to exactly one.
///
/// A day on which the terms change counts whole for the terms that begin, and a day in the middle of which a
/// subscription ends is not counted: each day belongs to the part in which it ends. Without proration any part at all is
/// the whole.
pub fn share(
    full: &Period,
    part: &Period,
    basis: Proration,
    zone: &Zone,
) -> Result<Share, TimeError> {
    let part = full.intersect(part);
    let offset = |at| match basis {
        Proration::Days => days_between(zone, full.start(), at),
        Proration::Seconds => Ok(whole_seconds_between(full.start(), at)),
        Proration::None => Ok(i64::from(at == full.end())),
    };
    let whole = offset(full.end())?;
    if whole <= 0 {
        // A period shorter than a day or a second cannot be divided.
        return Err(TimeError::EmptyPeriod {
            start: full.start(),
            end: full.end(),
        });
    }
    let part = match (part, basis) {
        (None, _) => 0,
        (Some(_), Proration::None) => whole,
        (Some(part), Proration::Days | Proration::Seconds) => {
            offset(part.end())?.saturating_sub(offset(part.start())?)
        }
    };
    Ok(Share { part, whole })
}

fn days_between(zone: &Zone, from: jiff::Timestamp, to: jiff::Timestamp) -> Result<i64, TimeError> {
    Ok(zone.date(from).until(zone.date(to))?.get_days().into())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn period(start: &str, end: &str) -> Period {
        Period::new(at(start), at(end)).unwrap()
    }

    #[test]
    fn days_are_counted_in_the_organizations_zone() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        // March 2026 in Berlin: 31 days, one of them with 23 hours.
        let march = period("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
        let shown = |part: &Period, basis| {
            let share = share(&march, part, basis, &berlin).unwrap();
            format!("{}/{}", share.part, share.whole)
        };
        let from_the_16th = period("2026-03-15T23:00:00Z", "2026-03-31T22:00:00Z");
        assert_eq!(shown(&from_the_16th, Proration::Days), "16/31");
        // 15 days of 24 hours and one of 23.
        assert_eq!(
            shown(&from_the_16th, Proration::Seconds),
            format!("{}/{}", 383 * 3600, 743 * 3600)
        );
        // From the afternoon of the 16th: the day counts whole; to the afternoon of the 16th: it does not count.
        assert_eq!(
            shown(
                &period("2026-03-16T14:00:00Z", "2026-03-31T22:00:00Z"),
                Proration::Days
            ),
            "16/31"
        );
        assert_eq!(
            shown(
                &period("2026-02-28T23:00:00Z", "2026-03-16T14:00:00Z"),
                Proration::Days
            ),
            "15/31"
        );
        // What lies outside does not count.
        let always = period("2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let later = period("2026-04-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert_eq!(shown(&always, Proration::Days), "31/31");
        assert_eq!(shown(&later, Proration::Days), "0/31");
        assert_eq!(shown(&later, Proration::None), "0/1");
        assert_eq!(shown(&from_the_16th, Proration::None), "1/1");
    }
}
