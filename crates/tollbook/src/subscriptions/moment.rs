//! When something happens to a subscription: now, when its period ends, or at a time that somebody names.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;
use tollbook_core::time::{Period, TimeError};

use super::contract::Contract;
use crate::error::{Error, Result};

/// A time may lie so many years ahead.
const YEARS_MAX: i16 = 5;

/// A time as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Moment {
    /// At once.
    #[default]
    Now,
    /// When the period of now ends.
    PeriodEnd,
    /// At an instant.
    At(Timestamp),
    /// When a day of the subscription's zone begins.
    On(Date),
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "now" => Ok(Self::Now),
            "period_end" => Ok(Self::PeriodEnd),
            other => other
                .parse()
                .map(Self::At)
                .or_else(|_| other.parse().map(Self::On))
                .map_err(|_| "must be `now`, `period_end`, a time or a day"),
        }
    }
}

impl TryFrom<String> for Moment {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Moment {
    /// The instant, as the database keeps it. What is past may be said of the period that is open only, whose documents
    /// wait for usage, and of nothing before the last change.
    pub(super) fn resolve(
        self,
        field: &'static str,
        contract: &Contract,
        now: Timestamp,
    ) -> Result<Timestamp> {
        let refused = |message: String| Error::invalid(field, message);
        let out_of_range = |error: TimeError| refused(error.to_string());
        let current = contract.current(now)?;
        let zone = contract.schedule.zone();
        let at = match self {
            Self::Now => now,
            Self::PeriodEnd => current.end(),
            Self::At(at) => at,
            Self::On(date) => zone.day_start(date).map_err(out_of_range)?,
        };
        let at = Timestamp::from_microsecond(at.as_microsecond())
            .map_err(|error| refused(error.to_string()))?;
        let begun = current.start();
        if at <= begun {
            return Err(refused(format!(
                "must be after {begun}, when the period of now began"
            )));
        }
        if let Some(changed) = contract.changed_at(now).filter(|it| at <= *it) {
            return Err(refused(format!("must be after {changed}, its last change")));
        }
        let last = now.to_zoned(zone.rules().clone());
        let is_near = last.checked_add(YEARS_MAX.years());
        if is_near.is_ok_and(|last| last.timestamp() < at) {
            return Err(refused(format!("must be within {YEARS_MAX} years")));
        }
        Ok(at)
    }
}

impl Contract {
    /// The period of now, as far as the subscription has it; before its start the first one.
    pub(super) fn current(&self, now: Timestamp) -> Result<Period> {
        let full = self.full(now.max(self.life.starts_at))?;
        Period::new(full.start().max(self.life.starts_at), full.end())
            .map_err(|e| Error::Internal(format!("subscription {}: {e}", self.id)))
    }

    /// When its terms last changed, or a pause began or ended, up to now.
    fn changed_at(&self, now: Timestamp) -> Option<Timestamp> {
        let terms = self.plans.iter().skip(1).map(|it| it.starts_at);
        let pauses = self.life.pauses.iter();
        let pauses = pauses.flat_map(|it| [Some(it.starts_at), it.ends_at]);
        terms.chain(pauses.flatten()).filter(|at| *at <= now).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_word_a_time_or_a_day() {
        let read = |text: &str| text.parse::<Moment>();
        assert_eq!(read("now"), Ok(Moment::Now));
        assert_eq!(read("period_end"), Ok(Moment::PeriodEnd));
        let time = "2026-03-10T12:00:00Z";
        assert_eq!(read(time), Ok(Moment::At(time.parse().unwrap())));
        assert_eq!(
            read("2026-03-10"),
            Ok(Moment::On(jiff::civil::date(2026, 3, 10)))
        );
        for wrong in ["", "soon", "2026-02-30", "2026-03-10T12:00:00"] {
            let refused = read(wrong).is_err() || matches!(read(wrong), Ok(Moment::On(_)));
            assert!(refused, "{wrong}");
        }
    }
}
