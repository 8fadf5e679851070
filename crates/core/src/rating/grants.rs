//! Granting allowances: what a subscription gets at the start of a cycle, and what it loses of the cycles before.

use jiff::Timestamp;

use super::state::Grant;
use crate::ids::GrantId;
use crate::money::{Overflow, Quantity};
use crate::plans::{Allowance, Document, GrantCycle, Key};
use crate::subscriptions::{InvalidSchedule, Schedule};
use crate::time::TimeError;

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
        })
    };
    document.allowances.iter().map(grant).collect()
}

/// What is taken away when a cycle begins at `at`: all that is left of older grants beyond the cap, of those that
/// expire first. Used at the cycle's start, and the same if asked again once it is booked.
pub fn forfeits(
    allowance: &Allowance,
    grants: &[Grant],
    at: Timestamp,
) -> Result<Vec<Forfeit>, Overflow> {
    let Some(cap) = allowance.rollover.and_then(|rollover| rollover.cap) else {
        return Ok(Vec::new());
    };
    let is_carried = |grant: &&Grant| {
        grant.allowance_key == allowance.key && grant.starts_at < at && at < grant.expires_at
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
