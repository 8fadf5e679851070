//! Looks after calls of which something is missing: asks the provider, and gives up after long silence.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::{Check, Leg, Provider, group, next_check};
use tollbook_core::ids::{CallId, IntegrationId, OrganizationId};
use uuid::Uuid;

use super::observe::{Observation, Source, Told, observe};
use super::store;
use crate::app::App;
use crate::db::types::Text;
use crate::error::Result;
use crate::inbox;
use crate::jobs::{self, Job, NewJob};

/// Calls looked after in one transaction.
const BATCH_MAX: i64 = 200;

struct DueCall {
    organization: OrganizationId,
    id: CallId,
    source: Source,
    fetches: u32,
}

/// Looks after every call whose time has come.
pub(crate) async fn check_due(app: &App) -> Result<()> {
    while check_batch(app, app.clock.now()).await? == BATCH_MAX.unsigned_abs() {}
    Ok(())
}

async fn check_batch(app: &App, now: Timestamp) -> Result<u64> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let due = due_calls(&mut tx, now).await?;
    let mut fetches: Vec<NewJob> = Vec::new();
    for call in &due {
        fetches.extend(look_after(&mut tx, call, now).await?);
    }
    jobs::enqueue(&mut tx, &fetches).await?;
    tx.commit().await?;
    app.wake.jobs.notify_one();
    app.wake.live.notify_one();
    Ok(u64::try_from(due.len()).unwrap_or(0))
}

/// Claims calls that are due; locked in key order.
async fn due_calls(tx: &mut PgConnection, now: Timestamp) -> Result<Vec<DueCall>> {
    let rows = sqlx::query!(
        r#"select organization_id, id, integration_id, provider as "provider: Text<Provider>", fetches
         from calls where (organization_id, id) in (select organization_id, id from calls where check_at <= $1 order by check_at limit $2)
             and check_at <= $1
         -- all organizations: the sweep is the platform's
         order by organization_id, id for update skip locked"#,
        now.to_sqlx(),
        BATCH_MAX,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DueCall {
            organization: row.organization_id.into(),
            id: row.id.into(),
            source: Source {
                integration: IntegrationId::from(row.integration_id),
                provider: row.provider.0,
            },
            fetches: u32::try_from(row.fetches).unwrap_or(0),
        })
        .collect())
}

async fn look_after(tx: &mut PgConnection, due: &DueCall, now: Timestamp) -> Result<Vec<NewJob>> {
    let legs = store::legs_of_call(tx, due.organization, due.id).await?;
    let check = group(legs.into_iter().map(|l| l.leg))
        .first()
        .and_then(|call| next_check(call, due.fetches));
    match check {
        None => {
            set_check(tx, due, None, due.fetches).await?;
            Ok(Vec::new())
        }
        Some(Check::Fetch { at, .. } | Check::Sweep { at, .. }) if at > now => {
            set_check(tx, due, Some(at), due.fetches).await?;
            Ok(Vec::new())
        }
        Some(Check::Fetch { sids, .. }) => {
            let fetches = due.fetches.saturating_add(1);
            let legs = store::legs_of_call(tx, due.organization, due.id).await?;
            let next = group(legs.into_iter().map(|l| l.leg))
                .first()
                .and_then(|call| next_check(call, fetches));
            let at = next.map(|(Check::Fetch { at, .. } | Check::Sweep { at, .. })| at);
            set_check(tx, due, at, fetches).await?;
            let integration = due.source.integration;
            Ok(sids
                .into_iter()
                .map(|sid| {
                    let key = format!("{integration}:{sid}");
                    NewJob::unique(Job::FetchCall { integration, sid }, key)
                })
                .collect())
        }
        Some(Check::Sweep { sids, .. }) => {
            if !inbox::try_hold_lane(tx, due.source.integration).await? {
                return Ok(Vec::new());
            }
            let observations = sids
                .iter()
                .map(|sid| Observation {
                    organization: due.organization,
                    leg: Leg::swept(sid, now),
                    told: Some(Told {
                        occurred_at: now,
                        kind: "given_up",
                        inbox: None,
                    }),
                })
                .collect();
            observe(tx, due.source, observations).await?;
            Ok(Vec::new())
        }
    }
}

async fn set_check(
    tx: &mut PgConnection,
    due: &DueCall,
    at: Option<Timestamp>,
    fetches: u32,
) -> Result<()> {
    sqlx::query!(
        "update calls set check_at = $3, fetches = $4 where organization_id = $1 and id = $2",
        Uuid::from(due.organization),
        Uuid::from(due.id),
        at.map(jiff_sqlx::ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
        i32::try_from(fetches).unwrap_or(i32::MAX),
    )
    .execute(tx)
    .await?;
    Ok(())
}
