//! Instants and dates as a viewer reads them: in their zone, with the zone named on hover.

use std::fmt;

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::text::Text;

/// Who looks at a page: their language and zone, and the instant at which the page is made.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    pub(crate) text: Text,
    pub(crate) zone: TimeZone,
    pub(crate) now: Timestamp,
}

impl Viewer {
    /// An instant: only the time if it is today for the viewer, with the date otherwise.
    pub(crate) fn stamp(&self, at: Timestamp) -> Stamp {
        let local = at.to_zoned(self.zone.clone());
        let today = self.now.to_zoned(self.zone.clone()).date();
        let time = local.strftime("%H:%M").to_string();
        let shown = if local.date() == today {
            time
        } else {
            let date = self.date_beside(local.date(), today);
            self.text
                .say("time-stamp")
                .with("date", date)
                .with("time", time)
                .to_string()
        };
        let full = self
            .text
            .say("time-full")
            .with("weekday", weekday(self.text, local.date()))
            .with("date", self.date(local.date()))
            .with("time", local.strftime("%H:%M:%S").to_string())
            .with("zone", self.zone_name())
            .with(
                "abbreviation",
                self.zone.to_offset_info(at).abbreviation().to_owned(),
            )
            .to_string();
        Stamp {
            utc: at.to_string(),
            shown,
            full,
        }
    }

    /// An instant with seconds, for timelines.
    pub(crate) fn stamp_to_the_second(&self, at: Timestamp) -> Stamp {
        let local = at.to_zoned(self.zone.clone());
        Stamp {
            shown: local.strftime("%H:%M:%S").to_string(),
            ..self.stamp(at)
        }
    }

    /// A date with its year: `Nov 20, 2026`.
    pub(crate) fn date(&self, date: Date) -> String {
        self.text
            .say("time-date-with-year")
            .with("month", month(self.text, date))
            .number("day", date.day())
            .with("year", date.year())
            .to_string()
    }

    /// A date without its year when that is the current one.
    pub(crate) fn date_short(&self, date: Date) -> String {
        self.date_beside(date, self.now.to_zoned(self.zone.clone()).date())
    }

    /// The zone's name, `America/New_York`, for labels beside lists and charts.
    pub(crate) fn zone_name(&self) -> String {
        self.zone.iana_name().unwrap_or("UTC").to_owned()
    }

    /// Milliseconds since 1970 at which the page was made; scripts count from the server's clock, not their own.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    fn date_beside(&self, date: Date, today: Date) -> String {
        if date.year() != today.year() {
            return self.date(date);
        }
        self.text
            .say("time-date")
            .with("month", month(self.text, date))
            .with("day", date.day())
            .to_string()
    }
}

fn month(text: Text, date: Date) -> String {
    text.say("time-month")
        .number("month", date.month())
        .to_string()
}

fn weekday(text: Text, date: Date) -> String {
    text.say("time-weekday")
        .number("day", date.weekday().to_monday_one_offset())
        .to_string()
}

/// An instant as `<time>`: short on the page, complete with its zone on hover, UTC for machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    utc: String,
    shown: String,
    full: String,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digits, names of months and zones: nothing here needs escaping.
        write!(
            f,
            r#"<time datetime="{}" title="{}">{}</time>"#,
            self.utc, self.full, self.shown
        )
    }
}

impl HtmlSafe for Stamp {}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(zone: &str, now: &str) -> Viewer {
        Viewer {
            text: Text::default(),
            zone: TimeZone::get(zone).unwrap(),
            now: now.parse().unwrap(),
        }
    }

    fn shown(viewer: &Viewer, at: &str) -> String {
        viewer.stamp(at.parse().unwrap()).shown
    }

    #[test]
    fn the_date_appears_when_it_is_not_today() {
        let viewer = viewer("America/New_York", "2026-11-21T20:00:00Z");
        assert_eq!(shown(&viewer, "2026-11-21T19:01:07Z"), "14:01");
        assert_eq!(shown(&viewer, "2026-11-20T19:01:07Z"), "Nov 20, 14:01");
        assert_eq!(
            shown(&viewer, "2025-12-31T19:01:07Z"),
            "Dec 31, 2025, 14:01"
        );
    }

    #[test]
    fn a_day_of_this_year_needs_no_year() {
        let viewer = viewer("America/New_York", "2026-11-21T20:00:00Z");
        assert_eq!(viewer.date_short(jiff::civil::date(2026, 3, 9)), "Mar 9");
        assert_eq!(
            viewer.date_short(jiff::civil::date(2025, 3, 9)),
            "Mar 9, 2025"
        );
    }

    #[test]
    fn today_is_the_viewers_today() {
        let at = "2026-11-22T03:30:00Z";
        assert_eq!(
            shown(&viewer("America/New_York", "2026-11-22T04:00:00Z"), at),
            "22:30"
        );
        assert_eq!(
            shown(&viewer("America/New_York", "2026-11-22T14:00:00Z"), at),
            "Nov 21, 22:30"
        );
        assert_eq!(
            shown(&viewer("Asia/Tokyo", "2026-11-22T14:00:00Z"), at),
            "12:30"
        );
    }

    #[test]
    fn the_hour_that_comes_twice_is_told_apart_on_hover() {
        let viewer = viewer("America/New_York", "2026-11-01T12:00:00Z");
        let first = viewer.stamp("2026-11-01T05:30:00Z".parse().unwrap());
        let second = viewer.stamp("2026-11-01T06:30:00Z".parse().unwrap());
        assert_eq!(
            (first.shown.as_str(), second.shown.as_str()),
            ("01:30", "01:30")
        );
        assert_eq!(
            first.full,
            "Sunday, Nov 1, 2026, 01:30:00 EDT (America/New_York)"
        );
        assert_eq!(
            second.full,
            "Sunday, Nov 1, 2026, 01:30:00 EST (America/New_York)"
        );
    }

    #[test]
    fn a_missing_hour_is_skipped() {
        let viewer = viewer("Europe/Berlin", "2026-03-29T12:00:00Z");
        assert_eq!(shown(&viewer, "2026-03-29T00:59:00Z"), "01:59");
        assert_eq!(shown(&viewer, "2026-03-29T01:00:00Z"), "03:00");
    }

    #[test]
    fn machines_read_utc() {
        let html = viewer("Asia/Kolkata", "2026-11-21T20:00:00Z")
            .stamp("2026-11-21T19:01:07Z".parse().unwrap())
            .to_string();
        assert_eq!(
            html,
            r#"<time datetime="2026-11-21T19:01:07Z" title="Sunday, Nov 22, 2026, 00:31:07 IST (Asia/Kolkata)">00:31</time>"#
        );
    }
}
