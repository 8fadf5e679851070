//! The second stage: what a stored webhook means. Repeatable: interpreting the same webhook again changes nothing.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;
use tollbook_core::calls::{Fact, Leg, Phase, Provider, ProviderEvent};
use tollbook_core::ids::{IntegrationId, OrganizationId};

use super::sql::{self, Queued};
use crate::app::App;
use crate::calls::{self, CallOfSid, Observation, Source, Told};
use crate::communications::{self, Extra};
use crate::error::{Error, Result};
use crate::jobs::{self, Job, NewJob};
use crate::numbers::{self, LineKey};

/// Webhooks of one transaction.
const BATCH_MAX: i64 = 200;
/// A notification may be lost; nothing waits longer than this.
const POLL: Duration = Duration::from_secs(1);
/// How often a part waits for its call before the provider is asked, and before a person is.
const ATTEMPTS_BEFORE_FETCH: i32 = 5;
const ATTEMPTS_BEFORE_PARKING: i32 = 16;

/// Starts this node's interpreters. They end after `stop`, when what runs has ended.
pub(crate) fn start(app: &App, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    // Two: while one waits for the disk, the other computes.
    for _ in 0..2 {
        tasks.spawn(work(app.clone(), stop.clone()));
    }
}

async fn work(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match drain(&app).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "the inbox cannot be interpreted"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.wake.inbox.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Interprets a batch of each busy lane; returns how many webhooks were looked at.
pub(crate) async fn drain(app: &App) -> Result<usize> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let lanes = sql::busy_lanes(&mut tx).await?;
    tx.rollback().await?;
    let mut count = 0;
    for lane in lanes {
        count += drain_lane(app, lane).await?;
    }
    Ok(count)
}

async fn drain_lane(app: &App, lane: i16) -> Result<usize> {
    let mut limit = BATCH_MAX;
    loop {
        let mut tx = app.db.begin(&Actor::system()).await?;
        if !sql::lock_lane(&mut tx, lane).await? {
            return Ok(0);
        }
        let batch = sql::next(&mut tx, lane, limit).await?;
        let Some(first) = batch.first() else {
            return Ok(0);
        };
        match interpret(&mut tx, &batch).await {
            Ok(()) => {
                tx.commit().await?;
                app.wake.live.notify_one();
                app.wake.rating.notify_one();
                app.wake.jobs.notify_one();
                return Ok(batch.len());
            }
            Err(error) if error.is_transient() => return Err(error),
            // One webhook that cannot be stored must not hold up its neighbours: find it, and set it aside.
            Err(error) if batch.len() == 1 => {
                let (seq, text) = (first.seq, error_text(&error));
                tracing::error!(inbox = %first.id, error = %text, "a webhook cannot be interpreted");
                drop(tx);
                let mut tx = app.db.begin(&Actor::system()).await?;
                sql::park(&mut tx, &[seq], &[&text]).await?;
                tx.commit().await?;
                return Ok(1);
            }
            Err(_) => {
                limit = (limit / 2)
                    .min(i64::try_from(batch.len()).unwrap_or(1) / 2)
                    .max(1);
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

/// What is done with a webhook after its events were looked at.
#[derive(Default)]
struct Verdicts {
    done: Vec<i64>,
    later: Vec<(i64, String)>,
    parked: Vec<(i64, String)>,
    jobs: Vec<NewJob>,
}

async fn interpret(tx: &mut PgConnection, batch: &[Queued]) -> Result<()> {
    let mut verdicts = Verdicts::default();
    let mut accounts: Vec<(IntegrationId, Provider)> =
        batch.iter().map(|q| (q.integration, q.provider)).collect();
    accounts.sort_unstable();
    accounts.dedup();
    for (integration, provider) in accounts {
        let source = Source {
            integration,
            provider,
        };
        let of_account: Vec<&Queued> = batch
            .iter()
            .filter(|q| q.integration == integration)
            .collect();
        interpret_account(tx, source, &of_account, &mut verdicts).await?;
    }
    sql::done(tx, &verdicts.done).await?;
    let (seqs, errors) = split(&verdicts.later);
    sql::later(tx, &seqs, &errors).await?;
    let (seqs, errors) = split(&verdicts.parked);
    sql::park(tx, &seqs, &errors).await?;
    jobs::enqueue(tx, &verdicts.jobs).await
}

fn split(items: &[(i64, String)]) -> (Vec<i64>, Vec<&str>) {
    items
        .iter()
        .map(|(seq, error)| (*seq, error.as_str()))
        .unzip()
}

async fn interpret_account(
    tx: &mut PgConnection,
    source: Source,
    batch: &[&Queued],
    verdicts: &mut Verdicts,
) -> Result<()> {
    let mut told: Vec<(&Queued, Vec<ProviderEvent>)> = Vec::with_capacity(batch.len());
    for queued in batch {
        match super::parse(source.provider, &queued.body) {
            Ok(events) => told.push((queued, events)),
            Err(error) => verdicts.parked.push((queued.seq, error.to_string())),
        }
    }
    let events: Vec<&ProviderEvent> = told.iter().flat_map(|(_, events)| events).collect();
    let places = Places::find(tx, source, &events).await?;
    let mut observations = Vec::new();
    let mut extras = Vec::new();
    for (queued, events) in &told {
        match sort_out(source, queued, events, &places) {
            Sorted::Taken(mut o, mut e) => {
                observations.append(&mut o);
                extras.append(&mut e);
                verdicts.done.push(queued.seq);
            }
            Sorted::UnknownNumber(number) => {
                verdicts
                    .parked
                    .push((queued.seq, format!("unknown number `{number}`")));
                verdicts.jobs.push(NewJob::unique(
                    Job::SyncNumbers {
                        integration: source.integration,
                    },
                    source.integration.to_string(),
                ));
            }
            Sorted::UnknownCall(sid) => wait_for_call(source, queued, &sid, verdicts),
        }
    }
    let call_of_sid = calls::observe(tx, source, observations).await?;
    communications::write(tx, source, extras, &places.calls, &call_of_sid).await
}

/// A part of a call has come before the call itself.
fn wait_for_call(source: Source, queued: &Queued, sid: &str, verdicts: &mut Verdicts) {
    let why = format!("unknown call `{sid}`");
    if queued.attempts >= ATTEMPTS_BEFORE_PARKING {
        verdicts.parked.push((queued.seq, why));
        return;
    }
    if queued.attempts == ATTEMPTS_BEFORE_FETCH {
        let job = Job::FetchCall {
            integration: source.integration,
            sid: sid.to_owned(),
        };
        verdicts
            .jobs
            .push(NewJob::unique(job, format!("{}:{sid}", source.integration)));
    }
    verdicts.later.push((queued.seq, why));
}

/// Which organization each call record and each number of a batch belongs to.
struct Places {
    /// By call record: known calls.
    calls: CallOfSid,
    /// By call record: those that this batch makes known.
    coming: HashMap<String, OrganizationId>,
    /// By event key: whose number the event is about.
    lines: HashMap<String, OrganizationId>,
}

impl Places {
    async fn find(
        tx: &mut PgConnection,
        source: Source,
        events: &[&ProviderEvent],
    ) -> Result<Self> {
        let keys: Vec<LineKey> = events
            .iter()
            .filter_map(|event| line_key(source.provider, event))
            .collect();
        let found = numbers::resolve_lines(tx, &keys).await?;
        let named = events
            .iter()
            .filter(|event| line_key(source.provider, event).is_some());
        let lines: HashMap<String, OrganizationId> = named
            .zip(found)
            .filter_map(|(event, line)| Some((event.key.clone(), line?.organization)))
            .collect();
        let sids: BTreeSet<&str> = events.iter().filter_map(|event| event.call_sid()).collect();
        let sids: Vec<&str> = sids.into_iter().collect();
        let calls = calls::calls_of_sids(tx, source.integration, &sids).await?;
        let mut coming: HashMap<String, OrganizationId> = HashMap::new();
        for event in events {
            if let (Some(sid), Some(organization)) = (event.call_sid(), lines.get(&event.key))
                && matches!(event.fact, Fact::Call(_) | Fact::Voicemail(_))
            {
                coming.entry(sid.to_owned()).or_insert(*organization);
            }
        }
        // A leg without a number of its own is where its parent is.
        for event in events {
            if let Fact::Call(fact) = &event.fact
                && let Some(parent) = &fact.parent_sid
                && let Some(organization) = calls
                    .get(parent)
                    .map(|(o, _)| *o)
                    .or(coming.get(parent).copied())
            {
                coming.entry(fact.sid.clone()).or_insert(organization);
            }
        }
        Ok(Self {
            calls,
            coming,
            lines,
        })
    }

    /// A record stays with the organization that it was first known in, whatever becomes of the number.
    fn of_call(&self, sid: &str) -> Option<OrganizationId> {
        self.calls
            .get(sid)
            .map(|(organization, _)| *organization)
            .or_else(|| self.coming.get(sid).copied())
    }
}

fn line_key(provider: Provider, event: &ProviderEvent) -> Option<LineKey> {
    let e164 = match &event.fact {
        Fact::Call(fact) => fact.our_number.clone(),
        Fact::Message(fact) => fact.our_number.clone(),
        Fact::Voicemail(_)
        | Fact::Recording(_)
        | Fact::Transcript(_)
        | Fact::Summary(_)
        | Fact::Ignored { .. } => None,
    };
    let sid = event.number_sid().map(str::to_owned);
    (sid.is_some() || e164.is_some()).then_some(LineKey {
        provider,
        sid,
        e164,
        at: event.occurred_at,
    })
}

enum Sorted {
    Taken(Vec<Observation>, Vec<Extra>),
    UnknownNumber(String),
    UnknownCall(String),
}

fn sort_out(source: Source, queued: &Queued, events: &[ProviderEvent], places: &Places) -> Sorted {
    let (mut observations, mut extras) = (Vec::new(), Vec::new());
    for event in events {
        let organization = match event.call_sid() {
            Some(sid) => places.of_call(sid),
            None => places.lines.get(&event.key).copied(),
        };
        if matches!(event.fact, Fact::Ignored { .. }) {
            continue;
        }
        let Some(organization) = organization else {
            let number = line_key(source.provider, event)
                .map(|key| key.sid.or(key.e164.map(|n| n.to_string())));
            return match (number.flatten(), event.call_sid()) {
                (Some(number), _) => Sorted::UnknownNumber(number),
                (None, Some(sid)) => Sorted::UnknownCall(sid.to_owned()),
                (None, None) => Sorted::UnknownNumber("none given".into()),
            };
        };
        if let Some(leg) = Leg::seen(event) {
            let told = Told {
                occurred_at: event.occurred_at,
                kind: timeline_kind(&event.fact),
                inbox: Some((queued.id.uuid(), queued.received_at)),
            };
            observations.push(Observation {
                organization,
                leg,
                told: Some(told),
            });
        }
        if !matches!(event.fact, Fact::Call(_)) {
            extras.push(Extra {
                organization,
                event: event.clone(),
            });
        }
    }
    Sorted::Taken(observations, extras)
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
