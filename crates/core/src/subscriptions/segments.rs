//! Terms over time: a change of plan now does not cut the billing period, it starts a new segment.

use jiff::Timestamp;

use crate::time::Period;

/// A stretch of time on the same terms. Segments of a subscription follow each other without gap; the last is open.
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
}
