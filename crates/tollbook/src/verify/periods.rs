//! Billing periods against the schedule of their subscription, counted from its anchor in its zone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tollbook_core::ids::OrganizationId;
use tollbook_core::subscriptions::Schedule;
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use super::chunks::{Chunk, last};
use super::counters::difference;
use super::ops::Difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::db::Tx;
use crate::error::{Error, Result};

/// Subscriptions of one chunk: a century of months has 1,200 periods.
pub(super) const CHUNK: i64 = 100;

struct Contract {
    id: Uuid,
    schedule: Schedule,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
}

/// A stored period.
type Stored = (Uuid, Timestamp, Timestamp);

/// Makes the periods of an organization's subscriptions again.
pub(super) async fn chunk(
    app: &App,
    organization: OrganizationId,
    after: Option<Uuid>,
) -> Result<Chunk> {
    let after = after.unwrap_or_default();
    let mut tx = snapshot(app).await?;
    let contracts = contracts(&mut tx, organization, after).await?;
    let ids: Vec<Uuid> = contracts.iter().map(|it| it.id).collect();
    let mut stored = stored(&mut tx, organization, &ids).await?;
    drop(tx);
    let mut differences = Vec::new();
    for contract in &contracts {
        let periods = stored.remove(&contract.id).unwrap_or_default();
        differences.extend(contract.check(organization, &periods)?);
    }
    Ok((last(&contracts, CHUNK, |it| it.id), differences))
}

async fn contracts(
    tx: &mut Tx,
    organization: OrganizationId,
    after: Uuid,
) -> Result<Vec<Contract>> {
    let rows = sqlx::query!(
        "select id, zone, anchor_on, interval_months, starts_at, ends_at from subscriptions
         where organization_id = $1 and id > $2 order by id limit $3",
        organization.uuid(),
        after,
        CHUNK,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let stored = |e: &dyn std::fmt::Display| {
                Error::Internal(format!("subscription {} cannot be read: {e}", row.id))
            };
            let zone: Zone = row.zone.parse().map_err(|e| stored(&e))?;
            let anchor = row.anchor_on.to_jiff();
            let schedule = Schedule::new(anchor, row.interval_months.into(), zone);
            Ok(Contract {
                id: row.id,
                schedule: schedule.map_err(|e| stored(&e))?,
                starts_at: row.starts_at.to_jiff(),
                ends_at: row.ends_at.map(jiff_sqlx::Timestamp::to_jiff),
            })
        })
        .collect()
}

async fn stored(
    tx: &mut Tx,
    organization: OrganizationId,
    subscriptions: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<Stored>>> {
    let rows = sqlx::query!(
        "select subscription_id, id, starts_at, ends_at from billing_periods
         where organization_id = $1 and subscription_id = any ($2) order by subscription_id, starts_at",
        organization.uuid(),
        subscriptions,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut periods: BTreeMap<Uuid, Vec<Stored>> = BTreeMap::new();
    for row in rows {
        let period = (row.id, row.starts_at.to_jiff(), row.ends_at.to_jiff());
        periods.entry(row.subscription_id).or_default().push(period);
    }
    Ok(periods)
}

impl Contract {
    /// The first periods of the schedule are those that are stored.
    fn check(&self, organization: OrganizationId, stored: &[Stored]) -> Result<Vec<Difference>> {
        let until = stored.iter().map(|(_, _, end)| *end).max();
        let Some(until) = until else {
            return Ok(Vec::new());
        };
        let expected = self
            .schedule
            .periods(self.starts_at, self.ends_at, until)
            .map_err(|e| Error::Internal(format!("subscription {}: {e}", self.id)))?;
        let mut expected = expected.into_iter().map(|it| it.billed);
        let mut differences = Vec::new();
        for (id, start, end) in stored {
            let (expected, found) = (shown(expected.next()), format!("{start} to {end}"));
            if expected != found {
                differences.push(difference(
                    organization,
                    "billing_periods",
                    id.to_string(),
                    "days of the schedule",
                    expected,
                    found,
                ));
            }
        }
        Ok(differences)
    }
}

fn shown(period: Option<Period>) -> String {
    period.map_or_else(
        || "none".to_owned(),
        |it| format!("{} to {}", it.start(), it.end()),
    )
}
