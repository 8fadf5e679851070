//! Looks after calls of which something is missing: asks the provider, and gives up after long silence.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::{Call, Check, Leg, group, next_check};
use tollbook_core::ids::{CallId, OrganizationId};
use uuid::Uuid;

use super::observe::{CallOfRecord, Observation, Source, Told, observe};
use super::store::{self, StoredLeg};
use crate::app::App;
use crate::error::Result;
use crate::jobs::{self, Job, NewJob};
use crate::{costs, inbox};

/// Calls looked after in one transaction.
const BATCH_MAX: i64 = 200;
/// A call that is being given up is looked at again after this, should that fail.
const SWEEP_AGAIN: SignedDuration = SignedDuration::from_mins(1);

struct DueCall {
    organization: OrganizationId,
    id: CallId,
    fetches: u32,
}

/// What is to be done about the calls of a batch.
#[derive(Default)]
struct Care {
    /// When each is looked at next, and how often the provider was asked.
    next: Vec<(OrganizationId, CallId, Option<Timestamp>, u32)>,
    fetches: Vec<NewJob>,
    sweeps: Vec<(OrganizationId, CallId)>,
}

/// Looks after every call whose time has come; returns how many.
pub(crate) async fn check_due(app: &App) -> Result<u64> {
    let mut total = 0;
    loop {
        let count = check_batch(app, app.clock.now()).await?;
        total += count;
        if count < BATCH_MAX.unsigned_abs() {
            return Ok(total);
        }
    }
}

async fn check_batch(app: &App, now: Timestamp) -> Result<u64> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let due = due_calls(&mut tx, now).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let mut calls = calls_of(&mut tx, due.iter().map(|due| (due.organization, due.id))).await?;
    let mut care = Care::default();
    for due in &due {
        let call = calls.remove(&due.id);
        care.take(
            due,
            call.as_ref().map(|(source, call)| (*source, call)),
            now,
        );
    }
    set_checks(&mut tx, &care.next).await?;
    jobs::enqueue(&mut tx, &care.fetches).await?;
    tx.commit().await?;
    app.wake.jobs.notify_one();
    if !care.sweeps.is_empty() {
        sweep(app, &care.sweeps, now).await?;
    }
    Ok(u64::try_from(due.len()).unwrap_or(0))
}

impl Care {
    fn take(&mut self, due: &DueCall, call: Option<(Source, &Call)>, now: Timestamp) {
        let check =
            call.and_then(|(source, call)| Some((source, call, next_check(call, due.fetches)?)));
        let mut next = |at, fetches| self.next.push((due.organization, due.id, at, fetches));
        match check {
            None => next(None, due.fetches),
            Some((_, _, Check::Fetch { at, .. } | Check::Sweep { at, .. })) if at > now => {
                next(Some(at), due.fetches);
            }
            Some((source, call, Check::Fetch { sids, .. })) => {
                // One question for all whose times have passed: the answer to the first is that to the others.
                let mut fetches = due.fetches.saturating_add(1);
                let at = loop {
                    match next_check(call, fetches) {
                        Some(Check::Fetch { at, .. }) if at <= now => {
                            fetches = fetches.saturating_add(1);
                        }
                        after => break after,
                    }
                };
                let at = at.map(|(Check::Fetch { at, .. } | Check::Sweep { at, .. })| at);
                next(at, fetches);
                let integration = source.integration;
                self.fetches.extend(sids.into_iter().map(|sid| {
                    let key = format!("{integration}:{sid}");
                    NewJob::unique(Job::FetchCall { integration, sid }, key)
                }));
            }
            Some((_, _, Check::Sweep { .. })) => {
                next(now.checked_add(SWEEP_AGAIN).ok(), due.fetches);
                self.sweeps.push((due.organization, due.id));
            }
        }
    }
}

/// Claims calls that are due; locked in key order.
async fn due_calls(tx: &mut PgConnection, now: Timestamp) -> Result<Vec<DueCall>> {
    let rows = sqlx::query!(
        r#"select organization_id, id, fetches
         from calls where (organization_id, id) in (select organization_id, id from calls where check_at <= $1 order by check_at limit $2)
             and check_at <= $1
         -- all organizations: the sweep is the platform's
         order by organization_id, id for no key update skip locked"#,
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
            fetches: u32::try_from(row.fetches).unwrap_or(0),
        })
        .collect())
}

/// The calls with their accounts, as their legs say.
async fn calls_of(
    tx: &mut PgConnection,
    keys: impl Iterator<Item = (OrganizationId, CallId)>,
) -> Result<HashMap<CallId, (Source, Call)>> {
    let keys: Vec<_> = keys.collect();
    let mut legs: HashMap<CallId, Vec<StoredLeg>> = HashMap::new();
    for leg in store::legs_of_calls(tx, &keys).await? {
        legs.entry(leg.call).or_default().push(leg);
    }
    let calls = legs.into_iter().filter_map(|(id, legs)| {
        let source = legs.first()?.source;
        let call = group(legs.into_iter().map(|l| l.leg)).into_iter().next()?;
        Some((id, (source, call)))
    });
    Ok(calls.collect())
}

/// Gives up on what nobody knows anything of any more. In a transaction of its own, which waits for others before it
/// holds anything.
async fn sweep(app: &App, due: &[(OrganizationId, CallId)], now: Timestamp) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let calls = calls_of(&mut tx, due.iter().copied()).await?;
    let records: Vec<_> = calls
        .values()
        .flat_map(|(source, call)| {
            let sids = std::iter::once(call.root_sid()).chain(call.legs().iter().map(Leg::sid));
            sids.map(move |sid| (source.integration, sid))
        })
        .collect();
    inbox::hold(&mut tx, &records).await?;
    // Something may have been heard meanwhile.
    let calls = calls_of(&mut tx, due.iter().copied()).await?;
    let mut observations = Vec::new();
    for (organization, id) in due {
        let Some((source, call)) = calls.get(id) else {
            continue;
        };
        let Some(Check::Sweep { at, sids }) = next_check(call, u32::MAX) else {
            continue;
        };
        let sids = sids.iter().filter(|_| at <= now);
        observations.extend(sids.map(|sid| Observation {
            source: *source,
            organization: *organization,
            leg: Leg::swept(sid, now),
            told: Some(Told {
                occurred_at: now,
                kind: "given_up",
                inbox: None,
            }),
        }));
    }
    let known = known(&mut tx, &observations).await?;
    let (of_records, effects) = observe(&mut tx, &observations, &known, &[]).await?;
    costs::expect(&mut tx, &observations, &of_records, &[]).await?;
    effects.write(&mut tx).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    app.wake.rating.notify_one();
    Ok(())
}

/// Where the records belong: giving up says nothing about who was on the line.
async fn known(tx: &mut PgConnection, observations: &[Observation]) -> Result<CallOfRecord> {
    let keys: Vec<_> = observations
        .iter()
        .map(|o| (o.source.integration, o.leg.sid()))
        .collect();
    store::calls_of_records(tx, &keys).await
}

async fn set_checks(
    tx: &mut PgConnection,
    next: &[(OrganizationId, CallId, Option<Timestamp>, u32)],
) -> Result<()> {
    let organizations: Vec<Uuid> = next.iter().map(|(o, _, _, _)| o.uuid()).collect();
    let ids: Vec<Uuid> = next.iter().map(|(_, id, _, _)| id.uuid()).collect();
    let times: Vec<Option<jiff_sqlx::Timestamp>> = next
        .iter()
        .map(|(_, _, at, _)| at.map(jiff_sqlx::ToSqlx::to_sqlx))
        .collect();
    let fetches: Vec<i32> = next
        .iter()
        .map(|(_, _, _, n)| i32::try_from(*n).unwrap_or(i32::MAX))
        .collect();
    sqlx::query!(
        "update calls c set check_at = k.check_at, fetches = k.fetches
         from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::integer[]) as k (organization_id, id, check_at, fetches)
         where c.organization_id = k.organization_id and c.id = k.id",
        &organizations,
        &ids,
        &times as &[Option<jiff_sqlx::Timestamp>],
        &fetches,
    )
    .execute(tx)
    .await?;
    Ok(())
}
