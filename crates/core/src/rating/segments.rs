//! Dividing a usage between the bands of the calendar.

use super::terms::PriceTerms;
use super::trace::TimeTrace;
use super::usage::Usage;
use crate::money::{Overflow, Quantity};
use crate::pricing::{BandAt, BandMode, Calendar, Increment};

/// A stretch of a usage that lies in one band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Billed units before it.
    pub(super) from: Quantity,
    /// Billed units of it.
    pub(super) quantity: Quantity,
    /// Index of the calendar's band, if the price has bands.
    pub(super) band: Option<usize>,
}

/// A band that begins at a second of the charged time.
type Edge = (u32, usize);

/// Divides billed units between bands, in order of time.
pub(super) fn divide(
    usage: &Usage,
    billed: Quantity,
    time: Option<&TimeTrace>,
    price: &PriceTerms,
    calendar: Option<&Calendar>,
) -> Result<Vec<Segment>, Overflow> {
    let Some(calendar) = calendar.filter(|_| !price.rate_of_band.is_empty()) else {
        return Ok(vec![Segment {
            from: Quantity::ZERO,
            quantity: billed,
            band: None,
        }]);
    };
    let start = usage.occurred_at.as_second();
    let Some(time) = time else {
        let band = calendar.band_at(start).band;
        return Ok(vec![Segment {
            from: Quantity::ZERO,
            quantity: billed,
            band: Some(band),
        }]);
    };
    let start = start.saturating_add(i64::from(time.free_seconds));
    let charged = time.used_seconds.saturating_sub(time.free_seconds);
    let edges = edges(calendar, start, charged);
    let edges = match price.band_mode {
        BandMode::Split => edges,
        BandMode::IncrementStart => move_to_increments(&edges, time.increment)?,
    };
    let ends = edges
        .iter()
        .skip(1)
        .map(|(second, _)| *second)
        .chain([time.billed_seconds]);
    let segment = |((from, band), end): (&Edge, u32)| Segment {
        from: Quantity::from_units(*from),
        quantity: Quantity::from_units(end.saturating_sub(*from)),
        band: Some(*band),
    };
    let segments = edges.iter().zip(ends).map(segment);
    Ok(segments
        .filter(|segment| !segment.quantity.is_zero())
        .collect())
}

/// Where bands begin within `seconds` seconds from `start`; the first at 0.
///
/// Seconds that rounding adds behind the last one belong to its band, so only used seconds are looked at.
fn edges(calendar: &Calendar, start: i64, seconds: u32) -> Vec<Edge> {
    let end = start.saturating_add(i64::from(seconds));
    let mut edges: Vec<Edge> = Vec::new();
    let mut at = start;
    while at < end {
        let BandAt { band, until } = calendar.band_at(at);
        if edges.last().is_none_or(|(_, last)| *last != band) {
            let second = u32::try_from(at.saturating_sub(start)).unwrap_or(u32::MAX);
            edges.push((second, band));
        }
        at = until;
    }
    edges
}

/// Moves each edge to the first increment that starts at or after it. Where two bands begin within one increment, the
/// earlier one is left with no time, and the next increment starts in the later one.
fn move_to_increments(edges: &[Edge], increment: Increment) -> Result<Vec<Edge>, Overflow> {
    let moved = edges
        .iter()
        .map(|(second, band)| Some((increment.boundary_at_or_after(*second)?, *band)));
    moved.collect::<Option<_>>().ok_or(Overflow)
}
