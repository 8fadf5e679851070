//! The second stage: what a stored webhook means. Repeatable: interpreting the same webhook again changes nothing.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;
use tollbook_core::calls::{Fact, Leg, Phase, ProviderEvent};
use tollbook_core::ids::{IntegrationId, OrganizationId};

use super::places::{Places, line_key};
use super::sql::{self, Queued, Waiting};
use crate::app::App;
use crate::calls::{self, CallOfRecord, Observation, Source, Told};
use crate::communications::{self, Extra};
use crate::costs::{self, Priced, Subject};
use crate::error::{Error, Result};
use crate::jobs::{Job, NewJob};

/// Webhooks of one transaction. Those of one call are written once.
const BATCH_MAX: i64 = 400;
/// Lanes of one transaction, so that another worker finds free ones.
const LANES_MAX: i64 = 32;
/// What each lane may give to a batch at least: one that holds fewer webhooks left none of its lanes behind.
const SHARE_MIN: usize = 12;
/// A notification may be lost; nothing waits longer than this.
const POLL: Duration = Duration::from_secs(1);
/// After a batch that took all there was: what comes meanwhile is interpreted together, which costs little more than one
/// webhook alone. Calls that ring do not wait for it.
const GATHER: Duration = Duration::from_millis(100);
/// Another worker has the lane of a call that rings; it ends soon.
const HELD: Duration = Duration::from_millis(5);
/// How often a part waits for its call before the provider is asked, and before a person is.
const ATTEMPTS_BEFORE_FETCH: i32 = 5;
const ATTEMPTS_BEFORE_PARKING: i32 = 16;

/// Starts this node's interpreters. They end after `stop`, when what runs has ended.
pub(crate) fn start(app: &App, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    // Two: while one waits for the disk, the other computes.
    for _ in 0..2 {
        tasks.spawn(work(app.clone(), stop.clone()));
    }
    tasks.spawn(work_on_ringing(app.clone(), stop.clone()));
}

async fn work(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match interpret_some(&app, Take::Any).await {
            Ok(Taken { count: 0, .. }) => {}
            Ok(Taken { count, .. }) => {
                if count < SHARE_MIN {
                    tokio::time::sleep(GATHER).await;
                }
                continue;
            }
            Err(error) => tracing::warn!(%error, "the inbox cannot be interpreted"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.wake.inbox.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Interprets calls that ring as they come, and what else is told of these calls.
async fn work_on_ringing(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match interpret_some(&app, Take::Ringing).await {
            Ok(Taken { is_held: true, .. }) => {
                tokio::time::sleep(HELD).await;
                continue;
            }
            Ok(Taken { count, .. }) if count >= SHARE_MIN => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "calls that ring cannot be interpreted"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.wake.rings.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// What a worker looks for.
#[derive(Clone, Copy)]
enum Take {
    Any,
    /// Lanes with a call that rings.
    Ringing,
}

/// What a batch took.
#[derive(Default)]
struct Taken {
    /// Webhooks that were looked at.
    count: usize,
    /// Another worker has a lane with a call that rings.
    is_held: bool,
}

/// Interprets until nothing is left that this node may take; returns how many webhooks were looked at.
pub(crate) async fn drain(app: &App) -> Result<usize> {
    let mut count = 0;
    loop {
        match interpret_some(app, Take::Any).await?.count {
            0 => return Ok(count),
            some => count += some,
        }
    }
}

/// Interprets one batch. A batch that the database refuses is halved until the
/// bad webhook stands alone, and that is set aside: it must not hold up the others.
async fn interpret_some(app: &App, take: Take) -> Result<Taken> {
    let mut limit = BATCH_MAX;
    loop {
        let mut tx = app.db.begin_work(&Actor::system()).await?;
        let (lanes, is_held) = match take {
            Take::Any => (sql::claim_lanes(&mut tx, LANES_MAX).await?, false),
            Take::Ringing => sql::claim_ringing(&mut tx, LANES_MAX).await?,
        };
        let none = Taken { count: 0, is_held };
        if lanes.is_empty() {
            return Ok(none);
        }
        if i64::try_from(lanes.len()).is_ok_and(|len| len == LANES_MAX) {
            // There may be more than one can take.
            app.wake.inbox.notify_one();
        }
        let batch = sql::next(&mut tx, &lanes, limit).await?;
        let Some(first) = batch.first() else {
            return Ok(none);
        };
        let count = batch.len();
        match interpret(&mut tx, &batch).await {
            Ok(has_hurried) => {
                tx.commit().await?;
                if has_hurried {
                    app.wake.inbox.notify_one();
                }
                app.wake.live.notify_one();
                app.wake.rating.notify_one();
                app.wake.jobs.notify_one();
                return Ok(Taken { count, is_held });
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) if count == 1 => {
                let text = error_text(&error);
                tracing::error!(inbox = %first.id, error = %text, "a webhook cannot be interpreted");
                tx.rollback().await?;
                let mut tx = app.db.begin_work(&Actor::system()).await?;
                sql::park(&mut tx, &[(first.seq, text)]).await?;
                tx.commit().await?;
                return Ok(Taken { count, is_held });
            }
            Err(_) => {
                tx.rollback().await?;
                limit = i64::try_from(count / 2).unwrap_or(1).max(1);
            }
        }
    }
}

fn error_text(error: &Error) -> String {
    match error {
        Error::Database(source) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

/// A webhook that could be read.
pub(super) struct Said<'a> {
    pub(super) queued: &'a Queued,
    pub(super) source: Source,
    pub(super) events: Vec<ProviderEvent>,
}

/// What is done with webhooks after their events were looked at.
#[derive(Default)]
struct Verdicts {
    done: Vec<i64>,
    later: Vec<Waiting>,
    parked: Vec<(i64, String)>,
    jobs: Vec<NewJob>,
    observations: Vec<Observation>,
    extras: Vec<Extra>,
}

/// Everything a batch says, whatever the accounts and organizations: each statement once. Whether webhooks that waited for
/// a call of it need wait no longer.
async fn interpret(tx: &mut PgConnection, batch: &[Queued]) -> Result<bool> {
    let mut verdicts = Verdicts::default();
    let mut said = Vec::with_capacity(batch.len());
    for queued in batch {
        let came_at = queued.told_at.unwrap_or(queued.received_at);
        match super::parse(queued.provider, &queued.body, came_at) {
            Ok(events) => said.push(Said {
                queued,
                source: Source {
                    integration: queued.integration,
                    provider: queued.provider,
                },
                events,
            }),
            Err(error) => verdicts.parked.push((queued.seq, error.to_string())),
        }
    }
    let places = Places::find(tx, &said).await?;
    for (said, lines) in said.iter().zip(&places.lines) {
        verdicts.judge(said, lines, &places);
    }
    let Verdicts {
        done,
        later,
        parked,
        jobs,
        observations,
        extras,
    } = verdicts;
    let writing = communications::persons(&extras);
    let (mut known, mut effects) =
        calls::observe(tx, &observations, &places.calls, &writing).await?;
    add_others(tx, &mut known, &extras).await?;
    let priced = priced(&extras);
    effects.join(communications::write(tx, extras, &known).await?);
    costs::expect(tx, &observations, &known, &priced).await?;
    let new = known.keys().filter(|key| !places.calls.contains_key(*key));
    let new: Vec<&str> = new.map(|(_, sid)| sid.as_str()).collect();
    sql::later(tx, &later).await?;
    sql::park(tx, &parked).await?;
    sql::done(tx, &done).await?;
    // Rows of other lanes, after those of our own: their worker may be about to settle them.
    let has_hurried = sql::hurry(tx, &new).await?;
    effects.jobs.extend(jobs);
    effects.write(tx).await?;
    Ok(has_hurried)
}

/// Finds the calls of parts whose calls the batch did not touch. Only now that nobody else can change them.
pub(super) async fn add_others(
    tx: &mut PgConnection,
    known: &mut CallOfRecord,
    extras: &[Extra],
) -> Result<()> {
    let keys: BTreeSet<(IntegrationId, &str)> = extras
        .iter()
        .filter_map(|extra| Some((extra.source.integration, extra.event.call_sid()?)))
        .filter(|(integration, sid)| !known.contains_key(&(*integration, (*sid).to_owned())))
        .collect();
    let keys: Vec<(IntegrationId, &str)> = keys.into_iter().collect();
    known.extend(calls::calls_of_records(tx, &keys).await?);
    Ok(())
}

/// What else has a price.
pub(super) fn priced(extras: &[Extra]) -> Vec<Priced> {
    let priced = extras.iter().filter_map(|extra| {
        let (subject, sid) = match &extra.event.fact {
            Fact::Message(fact) => (Subject::Message, &fact.sid),
            Fact::Recording(fact) => (Subject::Recording, &fact.sid),
            Fact::Voicemail(fact) => (Subject::Voicemail, &fact.sid),
            Fact::Call(_) | Fact::Transcript(_) | Fact::Summary(_) | Fact::Ignored { .. } => {
                return None;
            }
        };
        Some(Priced {
            source: extra.source,
            subject,
            organization: extra.organization,
            sid: sid.clone(),
        })
    });
    priced.collect()
}

impl Verdicts {
    /// Decides what becomes of a webhook: taken in whole, or put off whole.
    fn judge(&mut self, said: &Said<'_>, lines: &[Option<OrganizationId>], places: &Places) {
        let Said {
            queued,
            source,
            events,
        } = said;
        let mut organizations = HashMap::new();
        for (place, (event, line)) in events.iter().zip(lines).enumerate() {
            if matches!(event.fact, Fact::Ignored { .. }) {
                continue;
            }
            let organization = match event.call_sid() {
                Some(call_sid) => places.of_call(source.integration, call_sid),
                None => *line,
            };
            match organization {
                Some(organization) => drop(organizations.insert(place, organization)),
                None => return self.put_off(queued, *source, event),
            }
        }
        for (place, event) in events.iter().enumerate() {
            if let Some(organization) = organizations.get(&place) {
                self.take(queued, *source, *organization, event);
            }
        }
        self.done.push(queued.seq);
    }

    fn take(
        &mut self,
        queued: &Queued,
        source: Source,
        organization: OrganizationId,
        event: &ProviderEvent,
    ) {
        if let Some(leg) = Leg::seen(event) {
            let told = Told {
                occurred_at: event.occurred_at,
                kind: timeline_kind(&event.fact),
                inbox: Some((queued.id.uuid(), queued.received_at)),
            };
            self.observations.push(Observation {
                source,
                organization,
                leg,
                told: Some(told),
            });
        }
        if !matches!(event.fact, Fact::Call(_)) {
            self.extras.push(Extra {
                source,
                organization,
                event: event.clone(),
            });
        }
    }

    /// A webhook of an unknown number waits until the provider's list of numbers was read; a part of a call that has come
    /// before the call itself waits for the call.
    fn put_off(&mut self, queued: &Queued, source: Source, event: &ProviderEvent) {
        let key = line_key(source, event);
        let number = key.and_then(|key| key.sid.or(key.e164.map(|n| n.to_string())));
        // Only the call tells whose a part of it is, and only its parent whose a leg without a number is.
        let awaited = match &event.fact {
            Fact::Call(_) if number.is_some() => None,
            Fact::Call(fact) => Some(fact.parent_sid.as_ref().unwrap_or(&fact.sid).as_str()),
            _ => event.call_sid(),
        };
        if let Some(sid) = awaited {
            return self.wait_for_call(queued, source.integration, sid);
        }
        let number = number.unwrap_or_else(|| "none given".to_owned());
        self.parked
            .push((queued.seq, format!("unknown number `{number}`")));
        // Once: a number that the account does not have will not come by asking again and again.
        if queued.attempts == 0 {
            let integration = source.integration;
            let job = Job::SyncNumbers { integration };
            self.jobs.push(NewJob::unique(job, integration.to_string()));
        }
    }

    fn wait_for_call(&mut self, queued: &Queued, integration: IntegrationId, sid: &str) {
        if queued.attempts >= ATTEMPTS_BEFORE_PARKING {
            let why = format!("unknown call `{sid}`");
            self.parked.push((queued.seq, why));
            return;
        }
        let sid = sid.to_owned();
        if queued.attempts == ATTEMPTS_BEFORE_FETCH {
            let key = format!("{integration}:{sid}");
            let job = Job::FetchCall {
                integration,
                sid: sid.clone(),
            };
            self.jobs.push(NewJob::unique(job, key));
        }
        self.later.push(Waiting {
            seq: queued.seq,
            sid,
        });
    }
}

/// What the timeline calls it.
fn timeline_kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Call(fact) => match fact.phase {
            Some(Phase::Queued) => "queued",
            Some(Phase::Ringing) | None => "ringing",
            Some(Phase::InProgress) => "answered",
            Some(Phase::Ended) => "ended",
        },
        Fact::Voicemail(_) => "voicemail",
        Fact::Recording(_) => "recording",
        Fact::Transcript(_) => "transcript",
        Fact::Summary(_) => "summary",
        Fact::Message(_) | Fact::Ignored { .. } => "message",
    }
}
