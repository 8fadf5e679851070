//! The time that a report is about: `?from=&to=`, instants or days.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use tollbook_core::time::{Period, Zone};

use crate::error::{Error, Result};

/// From the instant or first day `from` to the instant or last day `to`, days being those of `zone`; what is absent is the
/// beginning and the end of the current month.
pub(crate) fn period(
    from: Option<&str>,
    to: Option<&str>,
    zone: &Zone,
    now: Timestamp,
) -> Result<Period> {
    let month = zone
        .month(now)
        .map_err(|e| Error::Internal(format!("the month cannot be told: {e}")))?;
    let from = match from {
        None => month.start(),
        Some(text) => instant("from", text, zone, false)?,
    };
    let to = match to {
        None => month.end().max(from),
        Some(text) => instant("to", text, zone, true)?,
    };
    Period::new(from, to).map_err(|_| Error::invalid("to", "must be after `from`"))
}

/// The month that is named as `2026-03`, in `zone`; the current one if none is.
pub(crate) fn month(text: Option<&str>, zone: &Zone, now: Timestamp) -> Result<Period> {
    let wrong = || Error::invalid("month", "must be a month such as `2026-03`");
    let at = match text {
        None => now,
        Some(text) if text.len() == 7 => {
            let first: Date = format!("{text}-01").parse().map_err(|_| wrong())?;
            zone.day_start(first).map_err(|_| wrong())?
        }
        Some(_) => return Err(wrong()),
    };
    zone.month(at).map_err(|_| wrong())
}

/// An instant, or the beginning or end of a day.
fn instant(field: &str, text: &str, zone: &Zone, is_end: bool) -> Result<Timestamp> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let wrong = || {
        Error::invalid(
            field,
            "must be a day such as `2026-01-31`, or an instant in UTC",
        )
    };
    let date: Date = text.parse().map_err(|_| wrong())?;
    let date = if is_end {
        date.checked_add(1.day()).map_err(|_| wrong())?
    } else {
        date
    };
    zone.day_start(date).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-02T15:00:00Z";

    fn shown(period: Result<Period>) -> String {
        match period {
            Ok(period) => format!("{} {}", period.start(), period.end()),
            Err(error) => error.to_string(),
        }
    }

    fn of(from: &str, to: &str) -> String {
        let text = |text: &'static str| (!text.is_empty()).then_some(text);
        let (from, to) = (from.to_owned().leak(), to.to_owned().leak());
        let zone = "America/New_York".parse().unwrap();
        shown(period(text(from), text(to), &zone, NOW.parse().unwrap()))
    }

    #[test]
    fn days_are_the_organizations_and_the_last_one_counts() {
        assert_eq!(of("", ""), "2026-03-01T05:00:00Z 2026-04-01T04:00:00Z");
        assert_eq!(
            of("2026-03-08", "2026-03-08"),
            "2026-03-08T05:00:00Z 2026-03-09T04:00:00Z"
        );
        assert_eq!(
            of("2026-03-08T12:00:00Z", "2026-03-08T12:00:01Z"),
            "2026-03-08T12:00:00Z 2026-03-08T12:00:01Z"
        );
        assert_eq!(of("2026-03-08", "2026-03-01"), "`to` must be after `from`");
        assert!(of("yesterday", "").starts_with("`from` must be a day"));
    }

    #[test]
    fn months_are_named_by_year_and_number() {
        let zone = "America/New_York".parse().unwrap();
        let of = |text| shown(month(text, &zone, NOW.parse().unwrap()));
        assert_eq!(of(None), "2026-03-01T05:00:00Z 2026-04-01T04:00:00Z");
        assert_eq!(
            of(Some("2026-02")),
            "2026-02-01T05:00:00Z 2026-03-01T05:00:00Z"
        );
        for wrong in ["2026-13", "2026", "march", "2026-02-01", ""] {
            assert_eq!(of(Some(wrong)), "`month` must be a month such as `2026-03`");
        }
    }
}
