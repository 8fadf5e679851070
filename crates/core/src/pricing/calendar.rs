//! The week of an organization: bands such as business hours, evenings and holidays.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::named::named;
use crate::plans::Key;
use crate::time::Zone;

/// Parts of the week that have names, in local time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeekCalendar {
    /// Where its clock hangs; the zone of the subscription if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Stretches within a day; they must not overlap.
    pub rules: Vec<WeekRule>,
    /// The band of all other time.
    pub otherwise: Key,
    /// Local days that belong to the holiday band from midnight to midnight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<Date>,
    /// The band of holidays; `otherwise` if absent.
    #[serde(
        default,
        alias = "holiday_band",
        skip_serializing_if = "Option::is_none"
    )]
    pub holiday_band: Option<Key>,
}

/// A stretch of time on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeekRule {
    /// The band.
    pub band: Key,
    /// Days on which it applies.
    pub days: Vec<Weekday>,
    /// First local time.
    pub from: TimeOfDay,
    /// First local time after it; `24:00` is the end of the day. A stretch over midnight is two rules.
    pub to: TimeOfDay,
}

named! {
    /// A day of the week.
    Weekday ("weekday") {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

/// How time is divided between bands. The invoice names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BandMode {
    /// At the second where a band ends; time that rounding up added belongs to the band of the last second.
    #[default]
    Split,
    /// Each started increment belongs to the band in which it starts.
    IncrementStart,
}

/// A local time of day in seconds after midnight by the clock, up to and including `24:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u32);

/// The text is not a time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day such as 09:00")]
pub struct InvalidTimeOfDay(String);

impl TimeOfDay {
    /// Seconds after midnight, 0 to 86,400.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = InvalidTimeOfDay;

    fn from_str(text: &str) -> Result<Self, InvalidTimeOfDay> {
        let invalid = || InvalidTimeOfDay(text.chars().take(20).collect());
        let mut parts = text.split(':').map(|part| {
            let two_digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            if two_digits {
                part.parse::<u32>().map_err(|_| invalid())
            } else {
                Err(invalid())
            }
        });
        let hours = parts.next().ok_or_else(invalid)??;
        let minutes = parts.next().ok_or_else(invalid)??;
        let seconds = parts.next().transpose()?.unwrap_or(0);
        let total = hours
            .saturating_mul(3600)
            .saturating_add(minutes.saturating_mul(60))
            .saturating_add(seconds);
        if parts.next().is_some() || minutes > 59 || seconds > 59 || total > 86_400 {
            return Err(invalid());
        }
        Ok(Self(total))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = InvalidTimeOfDay;

    fn try_from(text: String) -> Result<Self, InvalidTimeOfDay> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60)?;
        if self.0.is_multiple_of(60) {
            Ok(())
        } else {
            write!(f, ":{:02}", self.0 % 60)
        }
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_go_to_twenty_four() {
        for (text, seconds) in [
            ("00:00", 0),
            ("09:30", 34_200),
            ("17:00:01", 61_201),
            ("24:00", 86_400),
        ] {
            let time: TimeOfDay = text.parse().unwrap();
            assert_eq!((time.seconds(), time.to_string().as_str()), (seconds, text));
        }
        for text in [
            "24:01",
            "9:00",
            "09:60",
            "09",
            "",
            "09:00:00:00",
            "+9:00",
            "25:00",
        ] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }
}
