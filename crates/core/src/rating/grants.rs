//! Granting allowances: what a subscription gets at the start of a cycle, and what it loses of the cycles before.

use jiff::Timestamp;

use super::state::Grant;
use crate::ids::GrantId;
use crate::money::{Overflow, Quantity};
use crate::plans::{Allowance, Document, GrantCycle, Key};
use crate::subscriptions::{InvalidSchedule, Life, Schedule, Segment, within};
use crate::time::{Period, TimeError};

/// A grant to be made; it is the same whenever it is asked for, so making it twice is refused by its key and start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueGrant {
    /// The allowance.
    pub allowance_key: Key,
    /// In base units.
    pub granted: Quantity,
    /// Start of its cycle.
    pub starts_at: Timestamp,
    /// End of the last cycle in which it can be used.
    pub expires_at: Timestamp,
    /// The most that is carried into the cycle that it begins, in base units; `None`: everything.
    pub carried_max: Option<Quantity>,
}

/// A part of a grant that is taken away because more was carried than the cap allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forfeit {
    /// The grant.
    pub grant_id: GrantId,
    /// In base units, above zero.
    pub quantity: Quantity,
}

/// Why grants cannot be worked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The anchor makes no yearly schedule.
    #[error(transparent)]
    Schedule(#[from] InvalidSchedule),
    /// A cycle lies beyond the calendar.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Quantities are too large.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// The grants of the cycles in which `at` lies: one for each allowance, for the billing period or the year from the
/// anchor of the schedule.
pub fn due_grants(
    document: &Document,
    schedule: &Schedule,
    at: Timestamp,
) -> Result<Vec<DueGrant>, GrantError> {
    let grant = |allowance: &Allowance| {
        let yearly;
        let cycles = match allowance.every {
            GrantCycle::Period => schedule,
            GrantCycle::Year => {
                yearly = Schedule::new(schedule.anchor_on(), 12, schedule.zone().clone())?;
                &yearly
            }
        };
        let index = cycles.index_at(at)?;
        let carried = allowance
            .rollover
            .map_or(0, |rollover| i64::from(rollover.cycles));
        Ok(DueGrant {
            allowance_key: allowance.key.clone(),
            granted: allowance.quantity,
            starts_at: cycles.period(index)?.start(),
            expires_at: cycles.period(index.saturating_add(carried))?.end(),
            carried_max: allowance.rollover.and_then(|rollover| rollover.cap),
        })
    };
    document.allowances.iter().map(grant).collect()
}

/// The grants of the cycles that begin within `time`, or are under way when it begins, of a subscription whose terms may
/// change. `time` should begin with the subscription or with one of its years, so that nothing of a cycle is missed.
///
/// A cycle that has nothing of a plan in force gets nothing of it. Where terms change within a cycle, it is granted what
/// the new ones include beyond what was granted of it already: who comes to more gets the rest at once, who comes to less
/// keeps it until the cycle ends, and changing to and fro grants nothing twice. Grants expire with the subscription.
pub fn grants_between<T>(
    time: &Period,
    life: &Life,
    terms: &[Segment<T>],
    schedule: &Schedule,
    document: impl Fn(&T) -> &Document,
) -> Result<Vec<DueGrant>, GrantError> {
    let end = life.ends_at.unwrap_or(Timestamp::MAX);
    let in_force = life.in_force();
    let years = Schedule::new(schedule.anchor_on(), 12, schedule.zone().clone())?;
    let mut granted = Granted::default();
    for (own, stretch) in within(time, terms) {
        let document = document(own);
        let mut at = stretch.start().max(life.starts_at);
        while at < stretch.end().min(end) {
            let period_end = schedule.period(schedule.index_at(at)?)?.end();
            let year_end = years.period(years.index_at(at)?)?.end();
            let due = due_grants(document, schedule, at)?;
            for (allowance, due) in document.allowances.iter().zip(due) {
                let cycle_end = match allowance.every {
                    GrantCycle::Period => period_end,
                    GrantCycle::Year => year_end,
                };
                let rest = Period::new(at, cycle_end.min(stretch.end()))?;
                if in_force.iter().any(|it| it.intersect(&rest).is_some()) {
                    granted.top_up(due, at)?;
                }
            }
            at = period_end.min(year_end);
        }
    }
    let mut grants = granted.0;
    for (_, grant) in &mut grants {
        grant.starts_at = grant.starts_at.max(life.starts_at);
        grant.expires_at = grant.expires_at.min(end);
    }
    Ok(grants.into_iter().map(|(_, grant)| grant).collect())
}

/// Grants so far, each with the start of its cycle.
#[derive(Default)]
struct Granted(Vec<(Timestamp, DueGrant)>);

impl Granted {
    /// Adds what a cycle has not been granted yet, `at` the time when it is.
    fn top_up(&mut self, due: DueGrant, at: Timestamp) -> Result<(), Overflow> {
        let cycle = due.starts_at;
        let own = |(of, it): &&(Timestamp, DueGrant)| {
            *of == cycle && it.allowance_key == due.allowance_key
        };
        let mut before = Quantity::ZERO;
        for (_, grant) in self.0.iter().filter(own) {
            before = before.checked_add(grant.granted)?;
        }
        if before.is_zero() {
            self.0.push((cycle, due));
        } else if before < due.granted {
            let rest = DueGrant {
                granted: due.granted.checked_sub(before)?,
                starts_at: at,
                carried_max: None,
                ..due
            };
            self.0.push((cycle, rest));
        }
        Ok(())
    }
}

/// What is taken away when a cycle begins at `at`: all that is left of older grants beyond the cap, of those that
/// expire first. Used at the cycle's start, and the same if asked again once it is booked.
pub fn forfeits(
    allowance: &Allowance,
    grants: &[Grant],
    at: Timestamp,
) -> Result<Vec<Forfeit>, Overflow> {
    match allowance.rollover.and_then(|rollover| rollover.cap) {
        Some(cap) => carried_beyond(&allowance.key, cap, grants, at),
        None => Ok(Vec::new()),
    }
}

/// The same for the grants of an allowance of which at most `cap` is carried.
pub fn carried_beyond(
    key: &Key,
    cap: Quantity,
    grants: &[Grant],
    at: Timestamp,
) -> Result<Vec<Forfeit>, Overflow> {
    let is_carried = |grant: &&Grant| {
        grant.allowance_key == *key && grant.starts_at < at && at < grant.expires_at
    };
    let mut carried: Vec<_> = grants.iter().filter(is_carried).collect();
    carried.sort_unstable_by_key(|grant| (grant.expires_at, grant.starts_at, grant.id));
    let mut total = Quantity::ZERO;
    for grant in &carried {
        total = total.checked_add(grant.left()?)?;
    }
    let mut excess = total.checked_sub(cap)?;
    let mut forfeits = Vec::new();
    for grant in carried {
        let quantity = grant.left()?.min(excess);
        if quantity > Quantity::ZERO {
            forfeits.push(Forfeit {
                grant_id: grant.id,
                quantity,
            });
            excess = excess.checked_sub(quantity)?;
        }
    }
    Ok(forfeits)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;
    use crate::plans::Offer;

    fn document() -> Document {
        let json = r#"{"currency":"USD","prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","rate":{"per_unit":{"price":1}}}],
            "allowances":[{"key":"month","meters":["CALL_DURATION_SECONDS"],"quantity":100,"rollover":{"cycles":2,"cap":150}},
                          {"key":"year","meters":["CALL_DURATION_SECONDS"],"quantity":7,"every":"year"}]}"#;
        Offer::read(json.as_bytes()).unwrap().document
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn grant(id: u128, used: u32, starts_at: &str, expires_at: &str) -> Grant {
        Grant {
            id: GrantId::new(Uuid::from_u128(id)),
            allowance_key: "month".parse().unwrap(),
            granted: Quantity::from_units(100),
            used: Quantity::from_units(used),
            forfeited: Quantity::ZERO,
            starts_at: at(starts_at),
            expires_at: at(expires_at),
        }
    }

    #[test]
    fn a_cycle_is_a_period_or_a_year_from_the_anchor() {
        let schedule =
            Schedule::new(date(2026, 1, 31), 1, "America/New_York".parse().unwrap()).unwrap();
        let due = due_grants(&document(), &schedule, at("2026-02-28T05:00:00Z")).unwrap();
        let dates: Vec<_> = due
            .iter()
            .map(|grant| {
                format!(
                    "{} {} {} {}",
                    grant.allowance_key, grant.granted, grant.starts_at, grant.expires_at
                )
            })
            .collect();
        assert_eq!(
            dates,
            [
                // 31 January is 28 February, 31 March, 30 April, 31 May.
                "month 100 2026-02-28T05:00:00Z 2026-05-31T04:00:00Z",
                "year 7 2026-01-31T05:00:00Z 2027-01-31T05:00:00Z",
            ]
        );
    }

    /// Grants of the first months of 2026 under segments of plans that include so much a month, and of a life.
    fn grants_of(life: &Life, plans: &[(&str, u32)], until: &str) -> Vec<String> {
        let document = |quantity: u32| {
            let json = format!(
                r#"{{"currency":"USD","prices":[{{"key":"c","meter":"CALL_DURATION_SECONDS","rate":{{"per_unit":{{"price":1}}}}}}],
                "allowances":[{{"key":"month","meters":["CALL_DURATION_SECONDS"],"quantity":{quantity}}}]}}"#
            );
            Offer::read(json.as_bytes()).unwrap().document
        };
        let starts = plans.iter().map(|(from, _)| at(from)).collect::<Vec<_>>();
        let segments: Vec<_> = plans
            .iter()
            .enumerate()
            .map(|(index, (from, quantity))| Segment {
                terms: document(*quantity),
                starts_at: at(from),
                ends_at: starts.get(index + 1).copied(),
            })
            .collect();
        let schedule = Schedule::new(date(2026, 1, 1), 1, "UTC".parse().unwrap()).unwrap();
        let time = Period::new(life.starts_at, at(until)).unwrap();
        let grants = grants_between(&time, life, &segments, &schedule, |it| it).unwrap();
        let day = |at: Timestamp| at.to_string()[5..10].to_owned();
        let shown = |it: &DueGrant| {
            format!(
                "{} {}-{}",
                it.granted,
                day(it.starts_at),
                day(it.expires_at)
            )
        };
        grants.iter().map(shown).collect()
    }

    fn life(ends_at: Option<&str>, pauses: &[(&str, Option<&str>)]) -> Life {
        let pause = |(from, to): &(&str, Option<&str>)| crate::subscriptions::Pause {
            starts_at: at(from),
            ends_at: to.map(at),
        };
        Life {
            starts_at: at("2026-01-10T00:00:00Z"),
            trial_ends_at: None,
            canceled_at: None,
            ends_at: ends_at.map(at),
            pauses: pauses.iter().map(pause).collect(),
        }
    }

    #[test]
    fn a_change_of_terms_grants_what_they_include_beyond() {
        let always = life(None, &[]);
        let start = "2026-01-10T00:00:00Z";
        let to_and_fro = [
            (start, 100),
            ("2026-01-15T12:00:00Z", 250),
            ("2026-01-20T00:00:00Z", 100),
            ("2026-01-25T00:00:00Z", 300),
            ("2026-03-01T00:00:00Z", 50),
        ];
        assert_eq!(
            grants_of(&always, &to_and_fro, "2026-04-01T00:00:00Z"),
            [
                "100 01-10-02-01",
                "150 01-15-02-01",
                "50 01-25-02-01",
                "300 02-01-03-01",
                "50 03-01-04-01",
            ]
        );
    }

    #[test]
    fn what_is_not_in_force_is_not_granted_and_grants_expire_with_it() {
        let start = "2026-01-10T00:00:00Z";
        // Paused from the middle of January to the middle of March, changed meanwhile, and canceled in May.
        let pause = [("2026-01-15T00:00:00Z", Some("2026-03-15T00:00:00Z"))];
        let life = life(Some("2026-05-20T00:00:00Z"), &pause);
        let plans = [(start, 100), ("2026-01-20T00:00:00Z", 250)];
        assert_eq!(
            grants_of(&life, &plans, "2026-08-01T00:00:00Z"),
            [
                "100 01-10-02-01",
                "250 03-01-04-01",
                "250 04-01-05-01",
                "250 05-01-05-20",
            ]
        );
    }

    #[test]
    fn the_cap_takes_from_what_expires_first() {
        let document = document();
        let allowance = document.allowances.first().unwrap();
        let mut grants = vec![
            grant(1, 10, "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"),
            grant(2, 0, "2026-02-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            // Begins now, so it is not carried.
            grant(3, 0, "2026-03-01T00:00:00Z", "2026-06-01T00:00:00Z"),
        ];
        let now = at("2026-03-01T00:00:00Z");
        // 90 + 100 are carried, 150 may be.
        let taken = forfeits(allowance, &grants, now).unwrap();
        assert_eq!(
            taken,
            [Forfeit {
                grant_id: grants[0].id,
                quantity: Quantity::from_units(40)
            }]
        );
        grants[0].forfeited = taken[0].quantity;
        assert_eq!(grants[0].left().unwrap(), Quantity::from_units(50));
        assert_eq!(forfeits(allowance, &grants, now).unwrap(), []);
    }
}
