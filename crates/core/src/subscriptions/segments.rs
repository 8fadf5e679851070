//! Terms and states over time: a change of plan or a pause does not cut the billing period, it starts a new segment.

use jiff::{Span, Timestamp};

use super::lifecycle::State;
use crate::time::{Period, TimeError, Zone};

/// A stretch of time on the same terms, or in the same state. Segments of a subscription follow each other without gap;
/// the last is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<T> {
    /// The terms, such as a plan version.
    pub terms: T,
    /// First instant.
    pub starts_at: Timestamp,
    /// First instant of the next segment.
    pub ends_at: Option<Timestamp>,
}

/// The parts of `period` on each of the terms, in order of time. Together they are what the segments cover of it.
pub fn within<'a, T>(period: &Period, segments: &'a [Segment<T>]) -> Vec<(&'a T, Period)> {
    let part = |segment: &'a Segment<T>| {
        let end = segment.ends_at.unwrap_or(Timestamp::MAX);
        let whole = Period::new(segment.starts_at, end).ok()?;
        Some((&segment.terms, period.intersect(&whole)?))
    };
    let mut parts: Vec<_> = segments.iter().filter_map(part).collect();
    parts.sort_by_key(|(_, part)| part.start());
    parts
}

/// The parts of `period` for which a base fee is due, each with its terms, in order of time: nothing is due for a trial,
/// for a pause, and behind the end.
pub fn paid_within<'a, T>(
    period: &Period,
    terms: &'a [Segment<T>],
    states: &[Segment<State>],
) -> Vec<(&'a T, Period)> {
    let mut parts = Vec::new();
    for (terms, part) in within(period, terms) {
        let paid = within(&part, states).into_iter();
        let paid = paid.filter(|(state, _)| state.is_paid());
        parts.extend(paid.map(|(_, part)| (terms, part)));
    }
    parts
}

/// When a trial of so many days ends: at the same local time of day, so that a day of 23 or 25 hours is a day.
pub fn trial_end(
    starts_at: Timestamp,
    trial_days: u16,
    zone: &Zone,
) -> Result<Timestamp, TimeError> {
    let days = Span::new().try_days(trial_days)?;
    let end = starts_at.to_zoned(zone.rules().clone()).checked_add(days)?;
    Ok(end.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i8) -> Timestamp {
        format!("2026-04-{day:02}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn a_period_is_divided_where_the_terms_change() {
        let segments = [
            Segment {
                terms: "gold",
                starts_at: day(20),
                ends_at: None,
            },
            Segment {
                terms: "basic",
                starts_at: day(1),
                ends_at: Some(day(10)),
            },
            Segment {
                terms: "plus",
                starts_at: day(10),
                ends_at: Some(day(20)),
            },
        ];
        let parts = |from, to| {
            let period = Period::new(day(from), day(to)).unwrap();
            within(&period, &segments)
                .into_iter()
                .map(|(terms, part)| (*terms, part.start(), part.end()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            parts(5, 15),
            [("basic", day(5), day(10)), ("plus", day(10), day(15))]
        );
        assert_eq!(parts(10, 20), [("plus", day(10), day(20))]);
        assert_eq!(parts(25, 30), [("gold", day(25), day(30))]);
    }

    #[test]
    fn a_fee_is_due_for_what_is_neither_trial_nor_pause() {
        let terms = [
            Segment {
                terms: "basic",
                starts_at: day(1),
                ends_at: Some(day(10)),
            },
            Segment {
                terms: "plus",
                starts_at: day(10),
                ends_at: None,
            },
        ];
        let mut states = Vec::new();
        let history = [
            (State::Trial, 1),
            (State::Active, 8),
            (State::Paused, 15),
            (State::Active, 20),
            (State::Canceled, 22),
            (State::Ended, 25),
        ];
        for (index, (terms, from)) in history.into_iter().enumerate() {
            let ends_at = history.get(index + 1).map(|(_, to)| day(*to));
            states.push(Segment {
                terms,
                starts_at: day(from),
                ends_at,
            });
        }
        let april = Period::new(day(1), day(30)).unwrap();
        let paid: Vec<_> = paid_within(&april, &terms, &states)
            .into_iter()
            .map(|(terms, part)| (*terms, part.start(), part.end()))
            .collect();
        assert_eq!(
            paid,
            [
                ("basic", day(8), day(10)),
                ("plus", day(10), day(15)),
                ("plus", day(20), day(22)),
                ("plus", day(22), day(25)),
            ]
        );
    }

    #[test]
    fn a_trial_is_of_local_days() {
        // 14 days, one of which has 23 hours.
        let ends = trial_end(
            "2026-03-01T15:00:00Z".parse().unwrap(),
            14,
            &"America/New_York".parse().unwrap(),
        );
        assert_eq!(ends.unwrap().to_string(), "2026-03-15T14:00:00Z");
        let none = trial_end(day(1), 0, &Zone::UTC);
        assert_eq!(none.unwrap(), day(1));
    }
}
