//! Which band of the week an instant belongs to, exactly, on days of 23 and 25 hours too.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday as CivilWeekday};

use super::calendar::{WeekCalendar, Weekday};
use crate::plans::Key;
use crate::time::Zone;

/// Seconds of a day by the clock.
const DAY: i64 = 86_400;

/// A calendar made ready for looking up instants.
///
/// The band of an instant is the band of what the clock shows then. An hour that is repeated in autumn therefore has
/// the same band twice, and one that is skipped in spring has none.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: Zone,
    bands: Vec<Key>,
    /// For each weekday from Monday, stretches by their first second of the day, the first from 0.
    week: [Vec<Stretch>; 7],
    /// Days since 1970-01-01 in ascending order.
    holidays: Vec<i64>,
    holiday_band: usize,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: i64,
    band: usize,
}

/// A band and for how long it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BandAt {
    /// Index into the calendar's bands.
    pub(crate) band: usize,
    /// The next second since the epoch at which another band may begin.
    pub(crate) until: i64,
}

impl Calendar {
    /// Prepares a valid calendar; `zone` is used if it names none.
    pub fn new(calendar: &WeekCalendar, zone: &Zone) -> Self {
        let mut bands = vec![calendar.otherwise.clone()];
        let mut index_of = |band: &Key| {
            bands
                .iter()
                .position(|known| known == band)
                .unwrap_or_else(|| {
                    bands.push(band.clone());
                    bands.len().saturating_sub(1)
                })
        };
        let week = std::array::from_fn(|day| {
            let mut rules: Vec<_> = calendar
                .rules
                .iter()
                .filter(|rule| {
                    rule.days
                        .iter()
                        .any(|weekday| weekday_index(*weekday) == day)
                })
                .collect();
            rules.sort_unstable_by_key(|rule| rule.from);
            let mut stretches: Vec<Stretch> = Vec::new();
            let mut end = 0;
            for rule in rules {
                let (from, to) = (i64::from(rule.from.seconds()), i64::from(rule.to.seconds()));
                if end < from {
                    stretches.push(Stretch { from: end, band: 0 });
                }
                stretches.push(Stretch {
                    from,
                    band: index_of(&rule.band),
                });
                end = to;
            }
            if end < DAY {
                stretches.push(Stretch { from: end, band: 0 });
            }
            stretches
        });
        let holiday_band = calendar.holiday_band.as_ref().map_or(0, &mut index_of);
        let mut holidays: Vec<i64> = calendar.holidays.iter().copied().map(day_number).collect();
        holidays.sort_unstable();
        let zone = calendar.zone.clone().unwrap_or_else(|| zone.clone());
        Self {
            zone,
            bands,
            week,
            holidays,
            holiday_band,
        }
    }

    /// The clock it goes by.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The band in which an instant lies.
    pub fn band(&self, at: Timestamp) -> Option<&Key> {
        self.name(self.band_at(at.as_second()).band)
    }

    /// The name of a band.
    pub(crate) fn name(&self, band: usize) -> Option<&Key> {
        self.bands.get(band)
    }

    /// All bands, the band of all other time first.
    pub(crate) fn names(&self) -> &[Key] {
        &self.bands
    }

    /// The band at a second since the epoch.
    pub(crate) fn band_at(&self, second: i64) -> BandAt {
        let offset = self.offset(second);
        let local = second.saturating_add(offset);
        let (day, second_of_day) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let (band, edge) = if self.holidays.binary_search(&day).is_ok() {
            (self.holiday_band, DAY)
        } else {
            self.stretch(day, second_of_day)
        };
        let until = second.saturating_add(edge.saturating_sub(second_of_day));
        if self.offset(until.saturating_sub(1)) == offset {
            // No zone changes its clock twice within a day, so it did not change at all.
            return BandAt { band, until };
        }
        BandAt {
            band,
            until: self.clock_change_after(second).unwrap_or(until).min(until),
        }
    }

    fn stretch(&self, day: i64, second_of_day: i64) -> (usize, i64) {
        // 1970-01-01 was a Thursday, the fourth day from Monday.
        let weekday = usize::try_from(day.saturating_add(3).rem_euclid(7)).unwrap_or_default();
        let stretches = self.week.get(weekday).map_or(&[][..], Vec::as_slice);
        let next = stretches.partition_point(|stretch| stretch.from <= second_of_day);
        let band = next
            .checked_sub(1)
            .and_then(|index| stretches.get(index))
            .map_or(0, |stretch| stretch.band);
        (
            band,
            stretches.get(next).map_or(DAY, |stretch| stretch.from),
        )
    }

    fn offset(&self, second: i64) -> i64 {
        let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        i64::from(self.zone.rules().to_offset(at).seconds())
    }

    fn clock_change_after(&self, second: i64) -> Option<i64> {
        let at = Timestamp::from_second(second).ok()?;
        self.zone
            .rules()
            .following(at)
            .next()
            .map(|change| change.timestamp().as_second())
    }
}

fn weekday_index(weekday: Weekday) -> usize {
    let civil = match weekday {
        Weekday::Monday => CivilWeekday::Monday,
        Weekday::Tuesday => CivilWeekday::Tuesday,
        Weekday::Wednesday => CivilWeekday::Wednesday,
        Weekday::Thursday => CivilWeekday::Thursday,
        Weekday::Friday => CivilWeekday::Friday,
        Weekday::Saturday => CivilWeekday::Saturday,
        Weekday::Sunday => CivilWeekday::Sunday,
    };
    usize::try_from(civil.to_monday_zero_offset()).unwrap_or_default()
}

/// Days since 1970-01-01.
fn day_number(date: Date) -> i64 {
    let span = date.since((jiff::Unit::Day, Date::constant(1970, 1, 1)));
    span.map_or(i64::MIN, |span| i64::from(span.get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: &str = r#"{"zone":"America/New_York","otherwise":"night","holidayBand":"holiday","holidays":["2026-12-25"],
        "rules":[{"band":"day","days":["mon","tue","wed","thu","fri"],"from":"09:00","to":"17:00"},
                 {"band":"evening","days":["mon"],"from":"17:00","to":"24:00"},
                 {"band":"early","days":["sun"],"from":"01:30","to":"02:30"}]}"#;

    fn calendar() -> Calendar {
        Calendar::new(&serde_json::from_str(WEEK).unwrap(), &Zone::UTC)
    }

    fn band(at: &str) -> String {
        calendar().band(at.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn edges_belong_to_what_begins() {
        // 14:00Z is 09:00 in New York in winter; 2026-01-05 was a Monday.
        assert_eq!(band("2026-01-05T13:59:59.999Z"), "night");
        assert_eq!(band("2026-01-05T14:00:00Z"), "day");
        assert_eq!(band("2026-01-05T22:00:00Z"), "evening");
        assert_eq!(band("2026-01-06T05:00:00Z"), "night");
        assert_eq!(band("2026-01-06T22:00:00Z"), "night");
    }

    #[test]
    fn a_holiday_lasts_from_midnight_to_midnight() {
        assert_eq!(band("2026-12-25T04:59:59Z"), "night");
        assert_eq!(band("2026-12-25T05:00:00Z"), "holiday");
        assert_eq!(band("2026-12-26T04:59:59Z"), "holiday");
        assert_eq!(band("2026-12-26T05:00:00Z"), "night");
    }

    #[test]
    fn an_hour_that_is_repeated_has_its_bands_twice() {
        // 2026-11-01: 01:59:59 EDT is followed by 01:00:00 EST at 06:00Z.
        let seen: Vec<_> = [
            "05:29:59", "05:30:00", "05:59:59", "06:00:00", "06:30:00", "07:29:59", "07:30:00",
        ]
        .map(|time| band(&format!("2026-11-01T{time}Z")))
        .into();
        assert_eq!(
            seen,
            [
                "night", "early", "early", "night", "early", "early", "night"
            ]
        );
        // 2026-03-08: 01:59:59 EST is followed by 03:00:00 EDT at 07:00Z, so the band has half an hour only.
        let seen: Vec<_> = ["06:29:59", "06:30:00", "06:59:59", "07:00:00"]
            .map(|time| band(&format!("2026-03-08T{time}Z")))
            .into();
        assert_eq!(seen, ["night", "early", "early", "night"]);
    }

    #[test]
    fn going_from_edge_to_edge_meets_every_change() {
        let calendar = calendar();
        for start in [
            "2026-03-06T00:00:00Z",
            "2026-10-30T00:00:00Z",
            "2026-12-24T00:00:00Z",
        ] {
            let start = start.parse::<Timestamp>().unwrap().as_second();
            let mut stretch = calendar.band_at(start);
            for second in start..start + 4 * DAY {
                if second == stretch.until {
                    stretch = calendar.band_at(second);
                }
                assert_eq!(stretch.band, calendar.band_at(second).band, "{second}");
            }
        }
    }
}
