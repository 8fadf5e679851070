//! Periods tile and shares of them add up, for every anchor, zone and leap year over ten years.

use std::cell::Cell;
use std::collections::BTreeSet;

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tollbook_core::money::Fraction;
use tollbook_core::plans::{Offer, Proration};
use tollbook_core::rating::{Surroundings, Terms};
use tollbook_core::subscriptions::{Schedule, Segment, State, paid_within, share, within};
use tollbook_core::time::{Period, Zone};

use crate::properties::holds;

const YEARS: std::ops::Range<i16> = 2024..2034;

/// Every zone of the bundled database that can be named.
fn zones() -> Vec<Zone> {
    let names = jiff::tz::db().available().map(|name| name.to_string());
    let zones: Vec<Zone> = names.filter_map(|name| name.parse().ok()).collect();
    assert!(zones.len() > 400, "only {} zones are known", zones.len());
    zones
}

fn check_tiling(schedule: &Schedule, start: Timestamp) -> Result<usize, TestCaseError> {
    let until = start + SignedDuration::from_hours(10 * 366 * 24);
    let periods = schedule.periods(start, None, until).unwrap();
    prop_assert_eq!(periods[0].billed.start(), start);
    prop_assert!(periods[0].full.contains(start));
    for (period, next) in periods.iter().zip(&periods[1..]) {
        prop_assert_eq!(period.billed.end(), next.billed.start());
        prop_assert_eq!(period.full.end(), next.full.start());
        prop_assert_eq!(next.full, next.billed);
    }
    for period in &periods {
        let begins_on = schedule.zone().date(period.full.start());
        let wanted = schedule.anchor_on().day().min(begins_on.days_in_month());
        prop_assert_eq!(begins_on.day(), wanted);
        let index = schedule.index_at(period.billed.start()).unwrap();
        prop_assert_eq!(schedule.period(index).unwrap(), period.full);
    }
    prop_assert!(periods.last().unwrap().billed.end() >= until);
    Ok(periods.len())
}

#[test]
fn periods_of_every_anchor_tile_ten_years_in_every_zone() {
    let zones = zones();
    let periods = Cell::new(0);
    // Every day of a leap year as the anchor, and each zone in turn.
    let first = date(2024, 1, 1);
    for (day, zone) in (0..366_i64).zip(zones.iter().cycle()) {
        let anchor_on = first + SignedDuration::from_hours(24 * day);
        let schedule = Schedule::new(anchor_on, 1, zone.clone()).unwrap();
        let start = zone.day_start(anchor_on).unwrap();
        periods.set(periods.get() + check_tiling(&schedule, start).unwrap());
    }
    let anchor = (YEARS, 1..=12_i8, 1..=31_i8);
    let cases = (
        anchor,
        1..=24_i64,
        0..zones.len(),
        1_700_000_000..1_900_000_000_i64,
    );
    holds(
        1_500,
        cases,
        |((year, month, day), interval, zone, start)| {
            let month = date(year, month, 1);
            let anchor_on = month
                .with()
                .day(day.min(month.days_in_month()))
                .build()
                .unwrap();
            let schedule = Schedule::new(anchor_on, interval, zones[zone].clone()).unwrap();
            let count = check_tiling(&schedule, Timestamp::from_second(start).unwrap())?;
            periods.set(periods.get() + count);
            Ok(())
        },
    );
    assert!(
        periods.get() > 50_000,
        "only {} periods were looked at",
        periods.get()
    );
}

#[test]
fn a_billing_day_begins_each_period() {
    let zones = zones();
    let cases = (
        1..=31_i8,
        1..=24_i64,
        0..zones.len(),
        1_700_000_000..1_900_000_000_i64,
    );
    holds(1_000, cases, |(day, interval, zone, start)| {
        let start = Timestamp::from_second(start).unwrap();
        let zone = &zones[zone];
        let schedule = Schedule::with_billing_day(day, interval, start, zone.clone()).unwrap();
        let index = schedule.index_at(start).unwrap();
        for index in index..index + 60 {
            let begins_on = zone.date(schedule.period(index).unwrap().start());
            prop_assert_eq!(begins_on.day(), day.min(begins_on.days_in_month()));
        }
        Ok(())
    });
}

/// Numbered segments that are cut somewhere in a period.
fn segments(full: &Period, cuts: &[u16]) -> Vec<Segment<usize>> {
    let seconds = full.len_seconds();
    let at = |cut: u16| full.start() + SignedDuration::from_secs(seconds * i64::from(cut) / 65_535);
    let ends: BTreeSet<Timestamp> = cuts
        .iter()
        .map(|cut| at(*cut))
        .chain([full.end()])
        .collect();
    let mut segments = Vec::new();
    // The first has begun long before the period, the last goes on behind it.
    let mut from = full.start() - SignedDuration::from_hours(1000);
    for (number, end) in ends
        .into_iter()
        .filter(|end| *end > full.start())
        .enumerate()
    {
        let ends_at = (end != full.end()).then_some(end);
        segments.push(Segment {
            terms: number,
            starts_at: from,
            ends_at,
        });
        from = end;
    }
    segments
}

/// Cuts a period, gives each part another plan with the same fee, and adds the fees up.
fn check_parts(
    full: &Period,
    cuts: &[u16],
    basis: Proration,
    zone: &Zone,
    terms: &Terms,
) -> Result<(), TestCaseError> {
    let segments = segments(full, cuts);
    let (mut fees, mut shares) = (Fraction::ZERO, Fraction::ZERO);
    for (_, part) in within(full, &segments) {
        let share = share(full, &part, basis, zone).unwrap();
        prop_assert!(share.part >= 0 && share.part <= share.whole);
        shares = shares.checked_add(share.to_fraction().unwrap()).unwrap();
        if let Some(fee) = terms.base_fee(share).unwrap() {
            fees = fees.checked_add(fee.amount.unwrap()).unwrap();
        }
    }
    prop_assert_eq!(shares, Fraction::ONE);
    prop_assert_eq!(fees.to_string(), "49.99");
    Ok(())
}

#[test]
fn parts_of_a_period_cost_exactly_the_whole() {
    let zones = zones();
    let offer = Offer::read(br#"{"currency":"USD","baseFee":"49.99"}"#).unwrap();
    let terms = Terms::new(&offer.document, &Surroundings::default()).unwrap();
    let both = [Proration::Days, Proration::Seconds];
    let mut periods = 0;
    // Every anchor of every month of the ten years, each zone in turn.
    let mut zone = zones.iter().cycle();
    for day in 1..=31_i8 {
        let anchor_on = date(2023, 12, day);
        for month in 0..120 {
            let zone = zone.next().unwrap();
            let schedule = Schedule::new(anchor_on, 1, zone.clone()).unwrap();
            let full = schedule.period(month).unwrap();
            for basis in both {
                check_parts(&full, &[9_000, 21_845, 40_000], basis, zone, &terms).unwrap();
            }
            periods += 1;
        }
    }
    assert_eq!(periods, 31 * 120);
    let anchor = (YEARS, 1..=12_i8, 1..=31_i8);
    let cuts = prop::collection::vec(any::<u16>(), 0..8);
    let cases = (
        anchor,
        1..=24_i64,
        -3..60_i64,
        0..zones.len(),
        cuts,
        0..2_usize,
    );
    holds(
        3_000,
        cases,
        |((year, month, day), interval, index, zone, cuts, basis)| {
            let month = date(year, month, 1);
            let anchor_on = month
                .with()
                .day(day.min(month.days_in_month()))
                .build()
                .unwrap();
            let zone = &zones[zone];
            let schedule = Schedule::new(anchor_on, interval, zone.clone()).unwrap();
            let full = schedule.period(index).unwrap();
            check_parts(&full, &cuts, both[basis], zone, &terms)
        },
    );
}

#[test]
fn what_is_paid_and_what_is_not_make_the_whole() {
    let zones = zones();
    let offer = Offer::read(br#"{"currency":"USD","baseFee":"49.99"}"#).unwrap();
    let terms = Terms::new(&offer.document, &Surroundings::default()).unwrap();
    let cuts = || prop::collection::vec(any::<u16>(), 1..6);
    let states = prop::collection::vec(0..State::ALL.len(), 6);
    let cases = (
        0..120_i64,
        1..=31_i8,
        0..zones.len(),
        cuts(),
        cuts(),
        states,
        any::<bool>(),
    );
    let (some, none) = (Cell::new(0), Cell::new(0));
    holds(
        1_500,
        cases,
        |(index, day, zone, plans, changes, states, by_days)| {
            let zone = &zones[zone];
            let schedule = Schedule::new(date(2024, 1, day), 1, zone.clone()).unwrap();
            let full = schedule.period(index).unwrap();
            let basis = if by_days {
                Proration::Days
            } else {
                Proration::Seconds
            };
            let plans = segments(&full, &plans);
            let states: Vec<Segment<State>> = segments(&full, &changes)
                .into_iter()
                .zip(states)
                .map(|(segment, state)| Segment {
                    terms: State::ALL[state],
                    starts_at: segment.starts_at,
                    ends_at: segment.ends_at,
                })
                .collect();
            let fee = |part: &Period| -> Fraction {
                let share = share(&full, part, basis, zone).unwrap();
                let fee = terms.base_fee(share).unwrap();
                fee.map_or(Fraction::ZERO, |fee| fee.amount.unwrap())
            };
            let paid = paid_within(&full, &plans, &states);
            let due = Fraction::sum(paid.iter().map(|(_, part)| fee(part))).unwrap();
            // The same from the other side: the whole, less the time in states that are not paid for.
            let unpaid = within(&full, &states)
                .into_iter()
                .filter(|(state, _)| !matches!(state, State::Active | State::Canceled));
            let rest = Fraction::sum(unpaid.map(|(_, part)| fee(&part))).unwrap();
            prop_assert_eq!(due.checked_add(rest).unwrap().to_string(), "49.99");
            for ((_, part), (_, next)) in paid.iter().zip(paid.iter().skip(1)) {
                prop_assert!(part.end() <= next.start());
            }
            some.set(some.get() + usize::from(!due.is_zero()));
            none.set(none.get() + usize::from(!rest.is_zero()));
            Ok(())
        },
    );
    assert!(some.get() >= 300 && none.get() >= 300);
}
