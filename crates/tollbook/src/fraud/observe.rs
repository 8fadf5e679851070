//! Calls out that just happen: nobody asked whether they may. The guard is asked afterwards.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{CallId, OrganizationId};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::holds::{NewHold, hold};
use super::standing::{Judgement, Standing, Where};
use crate::error::{Error, Result};

/// A call out that was not known before.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) organization: OrganizationId,
    pub(crate) call: CallId,
    pub(crate) external: E164,
    pub(crate) started_at: Timestamp,
}

/// Looks at the calls out of a batch, which are written, in one statement. Where one is not usual, people are alerted and
/// no other is let through until one of them has looked.
pub(crate) async fn observe(tx: &mut PgConnection, calls: &[Outgoing]) -> Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let places: Vec<Where> = calls.iter().map(|it| Where::of(&it.external)).collect();
    let organizations: Vec<Uuid> = calls.iter().map(|it| it.organization.uuid()).collect();
    let ids: Vec<Uuid> = calls.iter().map(|it| it.call.uuid()).collect();
    let numbers: Vec<&str> = calls.iter().map(|it| it.external.as_str()).collect();
    let low: Vec<&str> = places.iter().map(|it| it.from.as_str()).collect();
    let high: Vec<&str> = places.iter().map(|it| it.until.as_str()).collect();
    let destinations: Vec<String> = places.iter().map(|it| it.destination.to_string()).collect();
    let times: Vec<_> = calls.iter().map(|it| it.started_at.to_sqlx()).collect();
    let rows = sqlx::query_file!(
        "src/fraud/observe.sql",
        &organizations,
        &ids,
        &numbers as &[&str],
        &low as &[&str],
        &high as &[&str],
        &destinations,
        &times,
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut holds = Vec::new();
    for row in rows {
        let place = usize::try_from(row.ordinal)
            .ok()
            .and_then(|it| it.checked_sub(1));
        let found = place.and_then(|it| calls.get(it).zip(places.get(it)));
        let (call, place) =
            found.ok_or_else(|| Error::Internal("a call was not asked for".to_owned()))?;
        let Some(standing) = Standing::read(Some(&row.standing))? else {
            continue;
        };
        if let Judgement::Hold(reason) = standing.judge(&place.destination)? {
            holds.push(NewHold {
                organization: call.organization,
                destination: &place.destination,
                reason,
                external: &call.external,
                call: Some(call.call),
                at: call.started_at,
            });
        }
    }
    if holds.is_empty() {
        return Ok(());
    }
    hold(tx, &holds).await
}
