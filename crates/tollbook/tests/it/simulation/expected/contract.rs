//! A subscription as a person with a calendar sees it: months counted by hand, days counted one by one.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::Value;

use super::super::script::Plan;
use crate::naive::NaiveGrant;
use crate::ratio::Ratio;

/// No subscription of a year has so many periods.
const PERIODS_MAX: usize = 1_000;

/// First and one past the last instant.
pub(super) type Span = (Timestamp, Timestamp);

/// The beginning of a day.
pub(super) fn midnight(day: Date, zone: &TimeZone) -> Timestamp {
    day.to_zoned(zone.clone()).unwrap().timestamp()
}

/// The day on which an instant falls.
pub(super) fn day_of(at: Timestamp, zone: &TimeZone) -> Date {
    at.to_zoned(zone.clone()).date()
}

/// The calendar month of an instant.
pub(super) fn month_of(at: Timestamp, zone: &TimeZone) -> Span {
    let first = day_of(at, zone).first_of_month();
    (midnight(first, zone), midnight(first + 1.month(), zone))
}

/// How a subscription stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Trial,
    Active,
    Paused,
    Canceled,
    Ended,
}

pub(super) struct Contract {
    pub(super) zone: TimeZone,
    /// On which periods begin, and the month of the first, counted from year 0.
    day: i8,
    first_month: i32,
    months: i32,
    pub(super) starts_at: Timestamp,
    paid_from: Timestamp,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) is_canceled: bool,
    /// Which plan since when.
    pub(super) plans: Vec<(Timestamp, usize)>,
    pub(super) pauses: Vec<(Timestamp, Option<Timestamp>)>,
    /// Periods that have been made.
    pub(super) made: i32,
}

/// A base fee of a period.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Fee {
    pub(super) plan: usize,
    pub(super) due_at: Timestamp,
    pub(super) share: Ratio,
    pub(super) amount: Ratio,
}

/// What is granted, with the most that is carried into the cycle that it begins.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) grant: NaiveGrant,
    pub(super) cap: Option<Ratio>,
    cycle: Timestamp,
    whole: Ratio,
}

pub(super) fn number(value: &Value) -> Ratio {
    match value {
        Value::String(text) => Ratio::decimal(text),
        other => Ratio::whole(other.as_i64().unwrap_or_default()),
    }
}

impl Contract {
    pub(super) fn new(
        plan: usize,
        of: &Plan,
        day: i8,
        starts_at: Timestamp,
        zone: TimeZone,
    ) -> Self {
        let begins = day_of(starts_at, &zone);
        let mut first_month = i32::from(begins.year()) * 12 + i32::from(begins.month()) - 1;
        if day.min(begins.days_in_month()) > begins.day() {
            first_month -= 1;
        }
        let trial = of.document["trialDays"].as_i64().unwrap_or_default();
        let at = starts_at.to_zoned(zone.clone());
        let paid_from = at.checked_add(trial.days()).unwrap().timestamp();
        Self {
            zone,
            day,
            first_month,
            months: i32::try_from(of.months).unwrap(),
            starts_at,
            paid_from,
            ends_at: None,
            is_canceled: false,
            plans: vec![(starts_at, plan)],
            pauses: Vec::new(),
            made: 0,
        }
    }

    /// When a period begins, or would if the subscription was older.
    fn begin(&self, period: i32, months: i32) -> Timestamp {
        let month = self.first_month + period * months;
        let first = date(
            i16::try_from(month.div_euclid(12)).unwrap(),
            i8::try_from(month.rem_euclid(12) + 1).unwrap(),
            1,
        );
        let day = self.day.min(first.days_in_month());
        midnight(first.with().day(day).build().unwrap(), &self.zone)
    }

    /// A period as it would be without start and end.
    pub(super) fn full(&self, period: i32) -> Span {
        (
            self.begin(period, self.months),
            self.begin(period + 1, self.months),
        )
    }

    /// A period as it is billed.
    pub(super) fn billed(&self, period: i32) -> Span {
        let (start, end) = self.full(period);
        (start.max(self.starts_at), end)
    }

    /// The period of an instant, of those that have been made.
    pub(super) fn period_at(&self, at: Timestamp) -> Option<i32> {
        (0..self.made).find(|period| self.billed(*period).0 <= at && at < self.billed(*period).1)
    }

    /// When the period of `now` ends.
    pub(super) fn current_end(&self, now: Timestamp) -> Timestamp {
        let mut period = 0;
        while self.full(period).1 <= now {
            period += 1;
        }
        self.full(period).1
    }

    /// The periods that a day ahead of `now` are to be made.
    pub(super) fn due(&self, now: Timestamp) -> Vec<i32> {
        let until = now.max(self.starts_at) + SignedDuration::from_hours(24);
        let until = self.ends_at.map_or(until, |end| until.min(end));
        (self.made..)
            .take(PERIODS_MAX)
            .take_while(|period| self.billed(*period).0 < until)
            .collect()
    }

    pub(super) fn state(&self, at: Timestamp) -> State {
        if self.ends_at.is_some_and(|end| end <= at) {
            State::Ended
        } else if self.is_paused(at) {
            State::Paused
        } else if self.is_canceled {
            State::Canceled
        } else if at < self.paid_from {
            State::Trial
        } else {
            State::Active
        }
    }

    fn is_paused(&self, at: Timestamp) -> bool {
        self.pauses
            .iter()
            .any(|(from, to)| *from <= at && to.is_none_or(|to| at < to))
    }

    /// Whether usage is on its terms.
    pub(super) fn is_in_force(&self, at: Timestamp) -> bool {
        self.starts_at <= at && self.ends_at.is_none_or(|end| at < end) && !self.is_paused(at)
    }

    pub(super) fn plan_at(&self, at: Timestamp) -> usize {
        self.plans
            .iter()
            .rev()
            .find(|(from, _)| *from <= at)
            .unwrap_or(&self.plans[0])
            .1
    }

    /// Cuts a time where anything changes.
    fn cut(&self, (start, end): Span) -> Vec<Span> {
        let mut cuts: Vec<Timestamp> = self.plans.iter().map(|(from, _)| *from).collect();
        cuts.extend(
            self.pauses
                .iter()
                .flat_map(|(from, to)| [Some(*from), *to])
                .flatten(),
        );
        cuts.extend(
            [Some(self.starts_at), Some(self.paid_from), self.ends_at]
                .into_iter()
                .flatten(),
        );
        cuts.retain(|at| start < *at && *at < end);
        cuts.extend([start, end]);
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }

    /// The stretches of a time for which a fee is due, with the plan.
    fn paid(&self, time: Span) -> Vec<(usize, Span)> {
        let mut paid: Vec<(usize, Span)> = Vec::new();
        for (start, end) in self.cut(time) {
            if !self.is_in_force(start) || start < self.paid_from {
                continue;
            }
            let plan = self.plan_at(start);
            match paid.last_mut() {
                Some((before, span)) if *before == plan && span.1 == start => span.1 = end,
                _ => paid.push((plan, (start, end))),
            }
        }
        paid
    }

    /// The base fees of a period.
    pub(super) fn fees(&self, period: i32, plans: &[Plan]) -> Vec<Fee> {
        let full = self.full(period);
        let mut fees: Vec<Fee> = Vec::new();
        for (plan, span) in self.paid(full) {
            let document = &plans[plan].document;
            let (part, whole) = match document["proration"].as_str().unwrap() {
                "days" => (self.days(span), self.days(full)),
                "seconds" => (seconds(span), seconds(full)),
                _ if fees.iter().any(|fee| fee.plan == plan) => continue,
                _ => (1, 1),
            };
            let price = number(&document["baseFee"]);
            if part == 0 || price == Ratio::whole(0) {
                continue;
            }
            let share = Ratio::whole(part);
            let amount = price.times(&share).over(&Ratio::whole(whole));
            fees.push(Fee {
                plan,
                due_at: span.0,
                share,
                amount,
            });
        }
        fees
    }

    /// Days that end within a time.
    fn days(&self, (start, end): Span) -> i64 {
        let mut day = day_of(start, &self.zone).tomorrow().unwrap();
        let mut days = 0;
        while midnight(day, &self.zone) <= end {
            days += 1;
            day = day.tomorrow().unwrap();
        }
        days
    }

    /// What is committed to for a period: by the plan that it was last paid on.
    pub(super) fn commitment(&self, period: i32, plans: &[Plan]) -> Option<Ratio> {
        let (plan, _) = self.paid(self.billed(period)).pop()?;
        plans[plan].document.get("minimumCommitment").map(number)
    }

    /// Everything that is granted up to the last period that has been made.
    pub(super) fn grants(&self, plans: &[Plan]) -> Vec<Granted> {
        let mut granted: Vec<Granted> = Vec::new();
        let until = (self.made > 0).then(|| self.billed(self.made - 1).1);
        let Some(until) = until else { return granted };
        // From cycle to cycle, of periods and of years, and from plan to plan.
        let mut begins: Vec<Timestamp> =
            (0..self.made).map(|period| self.billed(period).0).collect();
        begins.extend(
            (1..3)
                .map(|year| self.begin(year, 12))
                .filter(|at| *at < until),
        );
        begins.extend(self.plans.iter().map(|(from, _)| *from));
        begins.sort_unstable();
        begins.dedup();
        for at in begins {
            if self.ends_at.is_some_and(|end| end <= at) {
                continue;
            }
            let plan = self.plan_at(at);
            let left = self
                .plans
                .iter()
                .map(|(from, _)| *from)
                .find(|from| *from > at);
            for allowance in plans[plan].document["allowances"].as_array().unwrap() {
                let months = if allowance["every"] == "year" {
                    12
                } else {
                    self.months
                };
                let cycle = (0..)
                    .take(PERIODS_MAX)
                    .take_while(|it| self.begin(*it, months) <= at)
                    .last()
                    .unwrap();
                let end = self.begin(cycle + 1, months);
                let rest = (at, left.map_or(end, |left| left.min(end)));
                if self
                    .cut(rest)
                    .iter()
                    .any(|(start, _)| self.is_in_force(*start))
                {
                    self.grant(&mut granted, allowance, cycle, months, at);
                }
            }
        }
        if let Some(end) = self.ends_at {
            for it in &mut granted {
                it.grant.expires = it.grant.expires.min(end);
            }
        }
        granted
    }

    /// Grants what is missing of a cycle.
    fn grant(
        &self,
        granted: &mut Vec<Granted>,
        allowance: &Value,
        cycle: i32,
        months: i32,
        at: Timestamp,
    ) {
        let key = allowance["key"].as_str().unwrap().to_owned();
        let (begin, whole) = (self.begin(cycle, months), number(&allowance["quantity"]));
        let rollover = allowance.get("rollover");
        let carried = rollover.map_or(0, |it| {
            i32::try_from(it["cycles"].as_i64().unwrap()).unwrap()
        });
        let own = granted
            .iter()
            .filter(|it| it.cycle == begin && it.grant.allowance == key);
        let before = own
            .map(|it| it.whole.clone())
            .reduce(|sum, more| sum.plus(&more));
        let (left, starts, cap) = match before {
            None => (
                whole,
                begin.max(self.starts_at),
                rollover.and_then(|it| it.get("cap")).map(number),
            ),
            Some(before) if before < whole => (whole.minus(&before), at, None),
            Some(_) => return,
        };
        let expires = self.begin(cycle + 1 + carried, months);
        let grant = NaiveGrant {
            allowance: key,
            left: left.clone(),
            starts,
            expires,
        };
        granted.push(Granted {
            grant,
            cap,
            cycle: begin,
            whole: left,
        });
    }
}

fn seconds((start, end): Span) -> i64 {
    end.duration_since(start).as_secs()
}
