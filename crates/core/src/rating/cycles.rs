//! An account through its billing periods: when a cycle begins, what is carried is capped and allowances are granted.

use jiff::Timestamp;
use uuid::Uuid;

use super::grants::{GrantError, due_grants, forfeits};
use super::state::{Grant, State};
use crate::ids::GrantId;
use crate::plans::{Document, GrantCycle};
use crate::subscriptions::Schedule;
use crate::time::Period;

/// Keeps an account's state in step with time. Rating by itself knows no calendar of periods; where they are not stored,
/// as in a trial of a plan, this makes them.
#[derive(Debug, Clone)]
pub struct Cycles<'a> {
    document: &'a Document,
    schedule: Schedule,
    /// Years from the same anchor, for what is granted by the year.
    years: Schedule,
    /// When the subscription is in force; always if `None`.
    in_force: Option<Vec<Period>>,
    /// The next instant at which a period or a year begins; `None` until the first usage.
    next: Option<Timestamp>,
}

impl<'a> Cycles<'a> {
    /// Cycles of a plan on a schedule.
    pub fn new(document: &'a Document, schedule: Schedule) -> Result<Self, GrantError> {
        let years = Schedule::new(schedule.anchor_on(), 12, schedule.zone().clone())?;
        Ok(Self {
            document,
            schedule,
            years,
            in_force: None,
            next: None,
        })
    }

    /// Only these stretches are in force: a cycle that has nothing of them grants nothing.
    #[must_use]
    pub fn in_force(mut self, stretches: Vec<Period>) -> Self {
        self.in_force = Some(stretches);
        self
    }

    /// Brings `state` to the period in which `at` lies, which must not be before the state's own: at the start of each
    /// cycle up to then, the rollover's cap is applied and the allowance is granted, unless it is there already.
    pub fn advance(&mut self, state: &mut State, at: Timestamp) -> Result<(), GrantError> {
        if self.next.is_some_and(|next| at < next) {
            return Ok(());
        }
        let mut begins = if let Some(next) = self.next {
            next
        } else {
            // The state's own period first: it may be one that nothing was granted in yet.
            let period = self.schedule.index_at(state.period_start)?;
            self.schedule.period(period)?.start()
        };
        loop {
            self.begin(state, begins)?;
            let next = self.after(begins)?;
            self.next = Some(next);
            if at < next {
                return Ok(());
            }
            begins = next;
        }
    }

    /// The first start of a period or year after `at`.
    fn after(&self, at: Timestamp) -> Result<Timestamp, GrantError> {
        let next = |schedule: &Schedule| -> Result<Timestamp, GrantError> {
            Ok(schedule.period(schedule.index_at(at)?)?.end())
        };
        Ok(next(&self.schedule)?.min(next(&self.years)?))
    }

    fn begin(&self, state: &mut State, at: Timestamp) -> Result<(), GrantError> {
        let period_start = self.schedule.period(self.schedule.index_at(at)?)?.start();
        if state.period_start != period_start {
            state.period_start = period_start;
            state.tiers.clear();
        }
        let due = due_grants(self.document, &self.schedule, at)?;
        for (allowance, due) in self.document.allowances.iter().zip(due) {
            let is_same = |grant: &Grant| {
                grant.allowance_key == due.allowance_key && grant.starts_at == due.starts_at
            };
            if state.grants.iter().any(is_same) {
                continue;
            }
            for forfeit in forfeits(allowance, &state.grants, due.starts_at)? {
                let of_grant = |grant: &&mut Grant| grant.id == forfeit.grant_id;
                if let Some(grant) = state.grants.iter_mut().find(of_grant) {
                    grant.forfeited = grant.forfeited.checked_add(forfeit.quantity)?;
                }
            }
            if !self.is_in_force(allowance.every, at)? {
                continue;
            }
            state.grants.push(Grant {
                id: free_id(&state.grants),
                allowance_key: due.allowance_key,
                granted: due.granted,
                used: crate::money::Quantity::ZERO,
                forfeited: crate::money::Quantity::ZERO,
                starts_at: due.starts_at,
                expires_at: due.expires_at,
            });
        }
        Ok(())
    }

    /// Whether the subscription is in force at any time of the cycle that `at` is in.
    fn is_in_force(&self, every: GrantCycle, at: Timestamp) -> Result<bool, GrantError> {
        let Some(stretches) = &self.in_force else {
            return Ok(true);
        };
        let schedule = match every {
            GrantCycle::Period => &self.schedule,
            GrantCycle::Year => &self.years,
        };
        let cycle = schedule.period(schedule.index_at(at)?)?;
        Ok(stretches.iter().any(|it| it.intersect(&cycle).is_some()))
    }
}

/// The lowest number that no grant has yet, as an id.
fn free_id(grants: &[Grant]) -> GrantId {
    // Of one number more than there are grants, one is free.
    let count = u128::try_from(grants.len()).unwrap_or(u128::MAX);
    (1..=count.saturating_add(1))
        .map(|number| GrantId::new(Uuid::from_u128(number)))
        .find(|id| grants.iter().all(|grant| grant.id != *id))
        .unwrap_or(GrantId::new(Uuid::max()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::plans::Offer;

    #[test]
    fn a_cycle_that_is_wholly_paused_grants_nothing() {
        let json = r#"{"currency":"USD","prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","rate":{"per_unit":{"price":1}}}],
            "allowances":[{"key":"month","meters":["CALL_DURATION_SECONDS"],"quantity":100,"rollover":{"cycles":1}},
                          {"key":"year","meters":["CALL_DURATION_SECONDS"],"quantity":7,"every":"year"}]}"#;
        let document = Offer::read(json.as_bytes()).unwrap().document;
        let schedule = Schedule::new(date(2026, 1, 1), 1, "UTC".parse().unwrap()).unwrap();
        let stretch =
            |from: &str, to: &str| Period::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
        // Paused from the middle of January to the middle of March.
        let mut cycles = Cycles::new(&document, schedule).unwrap().in_force(vec![
            stretch("2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z"),
            stretch("2026-03-15T00:00:00Z", "2026-05-01T00:00:00Z"),
        ]);
        let mut state = State::new("2026-01-01T00:00:00Z".parse().unwrap());
        cycles
            .advance(&mut state, "2026-06-15T00:00:00Z".parse().unwrap())
            .unwrap();
        let granted: Vec<_> = state
            .grants
            .iter()
            .map(|grant| format!("{} {}", grant.allowance_key, grant.starts_at))
            .collect();
        assert_eq!(
            granted,
            [
                "month 2026-01-01T00:00:00Z",
                "year 2026-01-01T00:00:00Z",
                "month 2026-03-01T00:00:00Z",
                "month 2026-04-01T00:00:00Z",
            ]
        );
    }

    #[test]
    fn periods_and_years_begin_where_they_do() {
        // Periods of five months: a year begins within the third.
        let json = r#"{"currency":"USD","intervalMonths":5,"prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","rate":{"per_unit":{"price":1}}}],
            "allowances":[{"key":"period","meters":["CALL_DURATION_SECONDS"],"quantity":100,"rollover":{"cycles":1,"cap":30}},
                          {"key":"year","meters":["CALL_DURATION_SECONDS"],"quantity":7,"every":"year"}]}"#;
        let document = Offer::read(json.as_bytes()).unwrap().document;
        let schedule = Schedule::new(date(2026, 1, 1), 5, "UTC".parse().unwrap()).unwrap();
        let mut cycles = Cycles::new(&document, schedule).unwrap();
        let mut state = State::new("2026-01-01T00:00:00Z".parse().unwrap());
        let mut seen = Vec::new();
        for at in [
            "2026-01-15T00:00:00Z",
            "2026-12-31T23:59:59Z",
            "2027-01-01T00:00:00Z",
        ] {
            cycles.advance(&mut state, at.parse().unwrap()).unwrap();
            cycles.advance(&mut state, at.parse().unwrap()).unwrap();
            seen.push(format!("{at}: period from {}", state.period_start));
            seen.extend(state.grants.iter().map(|grant| {
                format!(
                    "  {} from {} to {}: {} less {}",
                    grant.allowance_key,
                    grant.starts_at,
                    grant.expires_at,
                    grant.granted,
                    grant.forfeited
                )
            }));
        }
        insta::assert_snapshot!(seen.join("\n"), @r"
        2026-01-15T00:00:00Z: period from 2026-01-01T00:00:00Z
          period from 2026-01-01T00:00:00Z to 2026-11-01T00:00:00Z: 100 less 0
          year from 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z: 7 less 0
        2026-12-31T23:59:59Z: period from 2026-11-01T00:00:00Z
          period from 2026-01-01T00:00:00Z to 2026-11-01T00:00:00Z: 100 less 70
          year from 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z: 7 less 0
          period from 2026-06-01T00:00:00Z to 2027-04-01T00:00:00Z: 100 less 70
          period from 2026-11-01T00:00:00Z to 2027-09-01T00:00:00Z: 100 less 0
        2027-01-01T00:00:00Z: period from 2026-11-01T00:00:00Z
          period from 2026-01-01T00:00:00Z to 2026-11-01T00:00:00Z: 100 less 70
          year from 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z: 7 less 0
          period from 2026-06-01T00:00:00Z to 2027-04-01T00:00:00Z: 100 less 70
          period from 2026-11-01T00:00:00Z to 2027-09-01T00:00:00Z: 100 less 0
          year from 2027-01-01T00:00:00Z to 2028-01-01T00:00:00Z: 7 less 0
        ");
    }
}
