//! Time zones, half-open periods and days. An instant is a `jiff::Timestamp`, a local day a `jiff::civil::Date`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A time zone of the IANA database by name, such as `Europe/Berlin`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// A time that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// No such time zone.
    #[error("unknown time zone `{0}`")]
    UnknownZone(String),
    /// A period must end after it starts.
    #[error("the period ends at {end}, which is not after its start {start}")]
    EmptyPeriod {
        /// First instant.
        start: Timestamp,
        /// First instant after it.
        end: Timestamp,
    },
    /// Before year -9999 or after year 9999.
    #[error("a time beyond the calendar")]
    OutOfRange,
}

impl From<jiff::Error> for TimeError {
    fn from(_: jiff::Error) -> Self {
        Self::OutOfRange
    }
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The name in the database.
    pub fn name(&self) -> &str {
        // Only named zones are accepted, so the fallback is never seen.
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The rules, for calendar arithmetic.
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }

    /// The local day on which `at` falls.
    pub fn date(&self, at: Timestamp) -> Date {
        at.to_zoned(self.0.clone()).date()
    }

    /// The first instant of a local day. Where the clock skips midnight, the day starts with its first existing minute.
    pub fn day_start(&self, date: Date) -> Result<Timestamp, TimeError> {
        Ok(date.to_zoned(self.0.clone())?.start_of_day()?.timestamp())
    }

    /// The local day on which `at` falls, from midnight to midnight: 23, 24 or 25 hours, or what the zone makes of it.
    pub fn day(&self, at: Timestamp) -> Result<Period, TimeError> {
        let date = self.date(at);
        Period::new(
            self.day_start(date)?,
            self.day_start(date.checked_add(1.day())?)?,
        )
    }

    /// The local calendar month in which `at` falls.
    pub fn month(&self, at: Timestamp) -> Result<Period, TimeError> {
        let first = self.date(at).first_of_month();
        Period::new(
            self.day_start(first)?,
            self.day_start(first.checked_add(1.month())?)?,
        )
    }
}

impl FromStr for Zone {
    type Err = TimeError;

    fn from_str(name: &str) -> Result<Self, TimeError> {
        let unknown = || TimeError::UnknownZone(name.to_owned());
        let zone = TimeZone::get(name).map_err(|_| unknown())?;
        if zone.iana_name().is_some() {
            Ok(Self(zone))
        } else {
            Err(unknown())
        }
    }
}

impl TryFrom<String> for Zone {
    type Error = TimeError;

    fn try_from(name: String) -> Result<Self, TimeError> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stretch of time with its start and without its end. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Period {
    start: Timestamp,
    end: Timestamp,
}

impl Period {
    /// Fails unless `end` is after `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, TimeError> {
        if start < end {
            Ok(Self { start, end })
        } else {
            Err(TimeError::EmptyPeriod { start, end })
        }
    }

    /// First instant.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// First instant after the period.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Whether `at` falls into the period; its end does not.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// What both have in common.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end)).ok()
    }

    /// Whole seconds; a begun second does not count.
    pub fn len_seconds(&self) -> i64 {
        whole_seconds_between(self.start, self.end)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Ends {
            start: Timestamp,
            end: Timestamp,
        }
        let Ends { start, end } = Ends::deserialize(deserializer)?;
        Self::new(start, end).map_err(serde::de::Error::custom)
    }
}

/// Whole seconds from `from` to `to`, negative if `to` is earlier; a begun second does not count.
pub fn whole_seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

/// A length of time in whole seconds, never negative: what calls are measured and billed in.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seconds(u32);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds; 136 years at most.
    pub const fn new(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Whole seconds from `from` to `to`; zero if `to` is earlier.
    pub fn between(from: Timestamp, to: Timestamp) -> Self {
        Self::from_duration(to.duration_since(from))
    }

    /// The whole seconds of a duration; zero if it is negative.
    pub fn from_duration(duration: SignedDuration) -> Self {
        Self(u32::try_from(duration.as_secs().max(0)).unwrap_or(u32::MAX))
    }

    /// The number of seconds.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Minutes, a begun one counting whole: 60 s is one, 61 s two.
    pub const fn started_minutes(self) -> u32 {
        self.0.div_ceil(60)
    }
}

impl fmt::Display for Seconds {
    /// As a clock shows it: `2:05` or `1:02:05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        if hours == 0 {
            f.pad(&format!("{minutes}:{seconds:02}"))
        } else {
            f.pad(&format!("{hours}:{minutes:02}:{seconds:02}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    #[test]
    fn only_named_zones_are_accepted() {
        assert_eq!(zone("Europe/Berlin").name(), "Europe/Berlin");
        assert_eq!(serde_json::to_string(&zone("UTC")).unwrap(), "\"UTC\"");
        for name in ["", "Mars/Base", "CET-1CEST", "+02:00", "Etc/Unknown"] {
            assert_eq!(
                name.parse::<Zone>().unwrap_err(),
                TimeError::UnknownZone(name.into())
            );
        }
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        let hours = |name: &str, text: &str| zone(name).day(at(text)).unwrap().len_seconds() / 3600;
        assert_eq!(hours("Europe/Berlin", "2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("Europe/Berlin", "2026-10-25T12:00:00Z"), 25);
        assert_eq!(hours("America/New_York", "2026-07-01T12:00:00Z"), 24);
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_starts_at_one() {
        // Beirut goes from 23:59:59 to 01:00:00.
        let start = zone("Asia/Beirut").day_start(date(2026, 3, 29)).unwrap();
        assert_eq!(start, at("2026-03-28T22:00:00Z"));
        let before = zone("Asia/Beirut").day(at("2026-03-28T12:00:00Z")).unwrap();
        assert_eq!(before.end(), start);
    }

    #[test]
    fn the_month_is_the_zones_own() {
        let month = zone("America/Vancouver")
            .month(at("2026-03-01T05:00:00Z"))
            .unwrap();
        assert_eq!(
            (month.start(), month.end()),
            (at("2026-02-01T08:00:00Z"), at("2026-03-01T08:00:00Z"))
        );
    }

    #[test]
    fn periods_are_half_open_and_never_empty() {
        let period = |from: &str, to: &str| Period::new(at(from), at(to));
        let morning = period("2026-01-01T06:00:00Z", "2026-01-01T12:00:00Z").unwrap();
        let noon = period("2026-01-01T10:00:00Z", "2026-01-01T14:00:00Z").unwrap();
        assert!(morning.contains(morning.start()) && !morning.contains(morning.end()));
        assert_eq!(morning.intersect(&noon).unwrap().len_seconds(), 7200);
        let after = period("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z").unwrap();
        assert_eq!(morning.intersect(&after), None);
        assert!(period("2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z").is_err());
        let json = r#"{"start":"2026-01-02T00:00:00Z","end":"2026-01-01T00:00:00Z"}"#;
        assert!(serde_json::from_str::<Period>(json).is_err());
    }

    #[test]
    fn sixty_seconds_is_one_started_minute_and_sixty_one_two() {
        let minutes = [0, 1, 60, 61, 120].map(|seconds| Seconds::new(seconds).started_minutes());
        assert_eq!(minutes, [0, 1, 1, 2, 2]);
        assert_eq!(
            Seconds::between(at("2026-01-06T15:03:09.4Z"), at("2026-01-06T15:04:05.1Z")).get(),
            55
        );
        assert_eq!(
            Seconds::between(at("2026-01-06T15:03:09Z"), at("2026-01-06T15:03:08Z")),
            Seconds::ZERO
        );
        assert_eq!(Seconds::new(3725).to_string(), "1:02:05");
        assert_eq!(Seconds::new(125).to_string(), "2:05");
    }
}
