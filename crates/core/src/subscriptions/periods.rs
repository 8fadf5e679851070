//! Billing periods, all computed from one anchor: nothing accumulates, so the 31st comes back after February.

use jiff::civil::Date;
use jiff::{Span, Timestamp, ToSpan};

use crate::time::{Period, TimeError, Zone};

/// When the periods of a subscription begin: on the anchor and every so many months before and after it, at the
/// beginning of the local day. Where a month is too short for the day of the anchor, on its last day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    anchor_on: Date,
    interval_months: i64,
    zone: Zone,
}

/// A schedule that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// The interval is not between one month and ten years.
    #[error("a billing interval of {0} months is not between 1 and 120")]
    Interval(i64),
    /// The day is not between 1 and 31.
    #[error("the billing day {0} is not between 1 and 31")]
    Day(i8),
    /// Beyond the calendar.
    #[error(transparent)]
    Time(#[from] TimeError),
}

impl From<jiff::Error> for InvalidSchedule {
    fn from(error: jiff::Error) -> Self {
        Self::Time(error.into())
    }
}

/// A period of a subscription. The first and the last may be billed in part only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillingPeriod {
    /// The period as the schedule has it: what a base fee is for.
    pub full: Period,
    /// The part of it within the subscription: what is stored and billed.
    pub billed: Period,
}

impl Schedule {
    /// Periods of `interval_months` (1 monthly, 12 yearly, at most 120), one of which begins on `anchor_on`.
    pub fn new(anchor_on: Date, interval_months: i64, zone: Zone) -> Result<Self, InvalidSchedule> {
        if (1..=120).contains(&interval_months) {
            Ok(Self {
                anchor_on,
                interval_months,
                zone,
            })
        } else {
            Err(InvalidSchedule::Interval(interval_months))
        }
    }

    /// Periods that begin on `day` of a month (1 to 31), so that one of them holds `start`.
    ///
    /// The anchor is the date to store. Where the month in question is too short for the day, it lies in an earlier
    /// month of the same cycle that is not, if there is one: a subscription that starts in April with day 31 is
    /// anchored in March.
    pub fn with_billing_day(
        day: i8,
        interval_months: i64,
        start: Timestamp,
        zone: Zone,
    ) -> Result<Self, InvalidSchedule> {
        if !(1..=31).contains(&day) {
            return Err(InvalidSchedule::Day(day));
        }
        let starts_on = zone.date(start);
        let on_day = |month: Date| -> Result<Date, InvalidSchedule> {
            Ok(month.with().day(day.min(month.days_in_month())).build()?)
        };
        let mut month = starts_on.first_of_month();
        if on_day(month)? > starts_on {
            month = month.checked_sub(1.month())?;
        }
        let mut anchor_on = on_day(month)?;
        // Eight years hold a leap day, even around 1900 and 2100.
        for _ in 0..96 {
            if anchor_on.day() >= day {
                break;
            }
            month = month.checked_sub(months(interval_months)?)?;
            anchor_on = if month.days_in_month() > anchor_on.day() {
                on_day(month)?
            } else {
                anchor_on
            };
        }
        Self::new(anchor_on, interval_months, zone)
    }

    /// The date on which one of the periods begins.
    pub fn anchor_on(&self) -> Date {
        self.anchor_on
    }

    /// The length of the periods.
    pub fn interval_months(&self) -> i64 {
        self.interval_months
    }

    /// The zone in which days begin.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The period number `index`; number 0 begins on the anchor.
    pub fn period(&self, index: i64) -> Result<Period, TimeError> {
        let begin = |index: i64| self.zone.day_start(self.begins_on(index)?);
        Period::new(
            begin(index)?,
            begin(index.checked_add(1).ok_or(TimeError::OutOfRange)?)?,
        )
    }

    /// The number of the period that holds `at`.
    pub fn index_at(&self, at: Timestamp) -> Result<i64, TimeError> {
        let date = self.zone.date(at);
        let months = i64::from(date.year())
            .saturating_sub(i64::from(self.anchor_on.year()))
            .saturating_mul(12)
            .saturating_add(i64::from(date.month()))
            .saturating_sub(i64::from(self.anchor_on.month()));
        // The month tells the period up to one.
        let mut index = months.div_euclid(self.interval_months);
        while self.begins_on(index)? > date {
            index = index.saturating_sub(1);
        }
        while self.begins_on(index.saturating_add(1))? <= date {
            index = index.saturating_add(1);
        }
        Ok(index)
    }

    /// The periods that begin before `until` of a subscription that starts at `starts_at` and, perhaps, ends at
    /// `ends_at`: they tile the time from its start without gap or overlap.
    pub fn periods(
        &self,
        starts_at: Timestamp,
        ends_at: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<Vec<BillingPeriod>, TimeError> {
        let end = ends_at.unwrap_or(Timestamp::MAX);
        let mut periods = Vec::new();
        let mut index = self.index_at(starts_at)?;
        let mut from = starts_at;
        while from < until.min(end) {
            let full = self.period(index)?;
            let billed = Period::new(from, full.end().min(end))?;
            periods.push(BillingPeriod { full, billed });
            from = billed.end();
            index = index.checked_add(1).ok_or(TimeError::OutOfRange)?;
        }
        Ok(periods)
    }

    /// Always from the anchor: added month by month, the 31st would stay the 28th after a February.
    fn begins_on(&self, index: i64) -> Result<Date, TimeError> {
        let count = index
            .checked_mul(self.interval_months)
            .ok_or(TimeError::OutOfRange)?;
        Ok(self.anchor_on.checked_add(months(count)?)?)
    }
}

fn months(count: i64) -> Result<Span, TimeError> {
    Ok(Span::new().try_months(count)?)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn begins(schedule: &Schedule, indices: std::ops::Range<i64>) -> Vec<String> {
        indices
            .map(|index| {
                schedule
                    .zone
                    .date(schedule.period(index).unwrap().start())
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn the_31st_is_the_last_day_of_shorter_months_and_comes_back() {
        let monthly = Schedule::new(date(2028, 1, 31), 1, zone("America/Vancouver")).unwrap();
        assert_eq!(
            begins(&monthly, 0..5),
            [
                "2028-01-31",
                "2028-02-29",
                "2028-03-31",
                "2028-04-30",
                "2028-05-31"
            ]
        );
        assert_eq!(begins(&monthly, -2..0), ["2027-11-30", "2027-12-31"]);
        let yearly = Schedule::new(date(2028, 2, 29), 12, Zone::UTC).unwrap();
        assert_eq!(
            begins(&yearly, 0..5),
            [
                "2028-02-29",
                "2029-02-28",
                "2030-02-28",
                "2031-02-28",
                "2032-02-29"
            ]
        );
    }

    #[test]
    fn a_billing_day_is_anchored_where_the_month_has_it() {
        let anchor = |day, interval, start: &str| {
            Schedule::with_billing_day(day, interval, at(start), zone("Europe/Berlin"))
                .unwrap()
                .anchor_on()
                .to_string()
        };
        assert_eq!(anchor(1, 1, "2026-04-15T10:00:00Z"), "2026-04-01");
        assert_eq!(anchor(20, 1, "2026-04-15T10:00:00Z"), "2026-03-20");
        assert_eq!(anchor(31, 1, "2026-04-30T10:00:00Z"), "2026-03-31");
        // It is already the 1st in Berlin.
        assert_eq!(anchor(1, 1, "2026-04-30T22:30:00Z"), "2026-05-01");
        assert_eq!(anchor(31, 12, "2026-02-28T10:00:00Z"), "2024-02-29");
        assert_eq!(anchor(31, 12, "2026-04-30T10:00:00Z"), "2026-04-30");
    }

    #[test]
    fn the_first_and_last_periods_are_billed_in_part() {
        let schedule = Schedule::new(date(2026, 1, 1), 1, zone("America/New_York")).unwrap();
        let (start, end) = (at("2026-01-15T15:00:00Z"), at("2026-03-10T04:00:00Z"));
        let periods = schedule
            .periods(start, Some(end), at("2027-01-01T00:00:00Z"))
            .unwrap();
        let billed: Vec<String> = periods
            .iter()
            .map(|period| format!("{} {}", period.billed.start(), period.billed.end()))
            .collect();
        assert_eq!(
            billed,
            [
                "2026-01-15T15:00:00Z 2026-02-01T05:00:00Z",
                "2026-02-01T05:00:00Z 2026-03-01T05:00:00Z",
                "2026-03-01T05:00:00Z 2026-03-10T04:00:00Z",
            ]
        );
        assert_eq!(periods[0].full.start(), at("2026-01-01T05:00:00Z"));
        // Half-open: a period that begins at `until` is not made.
        assert_eq!(
            schedule
                .periods(start, None, at("2026-02-01T05:00:00Z"))
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn an_impossible_schedule_is_refused() {
        let new = |months| Schedule::new(date(2026, 1, 1), months, Zone::UTC);
        assert_eq!(
            new(0).unwrap_err().to_string(),
            "a billing interval of 0 months is not between 1 and 120"
        );
        assert!(new(121).is_err());
        let on = |day| Schedule::with_billing_day(day, 1, at("2026-01-01T00:00:00Z"), Zone::UTC);
        assert_eq!(on(32).unwrap_err(), InvalidSchedule::Day(32));
    }
}
