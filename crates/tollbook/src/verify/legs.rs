//! Calls against their legs: how far a call is, how it ended and when follows from what the provider said of its parts.

use jiff::{SignedDuration, Timestamp};
use tollbook_core::calls::{Outcome, Phase};
use tollbook_core::ids::{CallId, OrganizationId};
use uuid::Uuid;

use super::chunks::{Chunk, last};
use super::counters::difference;
use super::ops::Difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::calls::{self, ByLegs};
use crate::db::Tx;
use crate::db::types::Text;
use crate::error::Result;

/// Calls of one chunk.
pub(super) const CHUNK: i64 = 1_000;

/// Makes the calls of an organization from their legs again.
pub(super) async fn chunk(
    app: &App,
    organization: OrganizationId,
    after: Option<Uuid>,
) -> Result<Chunk> {
    let after = after.unwrap_or_default();
    let mut tx = snapshot(app).await?;
    let rows = stored(&mut tx, organization, after).await?;
    let keys: Vec<(OrganizationId, CallId)> =
        rows.iter().map(|(id, _)| (organization, *id)).collect();
    let mut by_legs = calls::by_legs(&mut tx, &keys).await?;
    drop(tx);
    let mut differences = Vec::new();
    for (id, found) in &rows {
        // That one has no legs shows in their count.
        let Some(expected) = by_legs.remove(id) else {
            continue;
        };
        differences.extend(compare(organization, *id, &expected, found));
    }
    Ok((last(&rows, CHUNK, |(id, _)| id.uuid()), differences))
}

async fn stored(
    tx: &mut Tx,
    organization: OrganizationId,
    after: Uuid,
) -> Result<Vec<(CallId, ByLegs)>> {
    let rows = sqlx::query!(
        r#"select id, state as "state: Text<Phase>", outcome as "outcome: Text<Outcome>", started_at, answered_at, ended_at
         from calls where organization_id = $1 and id > $2 and merged_into_id is null order by id limit $3"#,
        organization.uuid(),
        after,
        CHUNK,
    )
    .fetch_all(&mut **tx)
    .await?;
    let row = rows.into_iter().map(|row| {
        let call = ByLegs {
            phase: row.state.0,
            outcome: row.outcome.map(|it| it.0),
            started_at: row.started_at.to_jiff(),
            answered_at: row.answered_at.map(jiff_sqlx::Timestamp::to_jiff),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
        };
        (row.id.into(), call)
    });
    Ok(row.collect())
}

fn compare(
    organization: OrganizationId,
    id: CallId,
    expected: &ByLegs,
    found: &ByLegs,
) -> Vec<Difference> {
    let same = |what, expected: &str, found: &str| {
        (expected != found).then(|| {
            let (expected, found) = (expected.to_owned(), found.to_owned());
            difference(organization, "calls", id.to_string(), what, expected, found)
        })
    };
    let outcome = |call: &ByLegs| text(call.outcome.map(Outcome::as_str));
    let started = (Some(expected.started_at), Some(found.started_at));
    let times = [
        ("started_at", started),
        ("answered_at", (expected.answered_at, found.answered_at)),
        ("ended_at", (expected.ended_at, found.ended_at)),
    ];
    let times = times
        .into_iter()
        .filter(|(_, (expected, found))| !is_stored_as(*expected, *found))
        .filter_map(|(what, (expected, found))| same(what, &at(expected), &at(found)));
    let state = same("state", expected.phase.as_str(), found.phase.as_str());
    let outcome = same("outcome", &outcome(expected), &outcome(found));
    state.into_iter().chain(outcome).chain(times).collect()
}

/// A time is stored to the microsecond: cut off or rounded, as it came by number or by text.
fn is_stored_as(time: Option<Timestamp>, stored: Option<Timestamp>) -> bool {
    match (time, stored) {
        (Some(time), Some(stored)) => {
            time.duration_since(stored).abs() < SignedDuration::from_micros(1)
        }
        (None, None) => true,
        _ => false,
    }
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or("none").to_owned()
}

fn at(time: Option<Timestamp>) -> String {
    time.map_or_else(|| text(None), |it| it.to_string())
}
