//! Calls against their legs: how far a call is, how it ended and when follows from what the provider said of its parts.

use jiff::Timestamp;
use tollbook_core::calls::{Outcome, Phase};
use tollbook_core::ids::{CallId, OrganizationId};
use uuid::Uuid;

use super::chunks::{self, Chunk, last};
use super::counters::difference;
use super::ops::Difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::calls::{self, ByLegs};
use crate::db::Tx;
use crate::db::types::Text;
use crate::error::Result;

/// Calls of one chunk.
const CHUNK: i64 = 1_000;

/// Makes the calls of an organization from their legs again.
pub(super) async fn run(
    app: &App,
    organization: OrganizationId,
    tell: &mut impl FnMut(u64),
) -> Result<Vec<Difference>> {
    chunks::run(CHUNK, tell, async |after| {
        chunk(app, organization, after).await
    })
    .await
}

async fn chunk(app: &App, organization: OrganizationId, after: Uuid) -> Result<Chunk> {
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
    let columns = |call: &ByLegs| {
        [
            ("state", call.phase.as_str().to_owned()),
            ("outcome", text(call.outcome.map(Outcome::as_str))),
            ("started_at", at(Some(call.started_at))),
            ("answered_at", at(call.answered_at)),
            ("ended_at", at(call.ended_at)),
        ]
    };
    let pairs = columns(expected).into_iter().zip(columns(found));
    pairs
        .filter(|((_, expected), (_, found))| expected != found)
        .map(|((what, expected), (_, found))| {
            difference(organization, "calls", id.to_string(), what, expected, found)
        })
        .collect()
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or("none").to_owned()
}

/// As it is stored: to the microsecond.
fn at(time: Option<Timestamp>) -> String {
    let stored = time.and_then(|it| Timestamp::from_microsecond(it.as_microsecond()).ok());
    stored.map_or_else(|| text(None), |it| it.to_string())
}
