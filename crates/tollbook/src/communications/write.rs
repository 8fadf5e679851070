//! The second stage for everything but calls: facts become rows and usage, a batch at a time. Order and repetition of
//! facts make no difference.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};
use sqlx::PgConnection;
use tollbook_core::calls::{
    Direction, Fact, MessageFact, MessageState, ProcessingState, ProviderEvent, RecordingFact,
    SummaryFact, TranscriptFact, VoicemailFact,
};
use tollbook_core::ids::{CallId, CallLegId, IntegrationId, OrganizationId};
use tollbook_core::metering::{
    Due, Target, UsageRequest, due, message_usage, recording_usage, transcript_usage,
    voicemail_usage,
};
use tollbook_core::phone::{E164, Party};

use super::sql::{self, MessageRow, RecordingRow, TranscriptRow, VoicemailRow};
use crate::calls::{CallOfRecord, Effects, LegOfCall, Source};
use crate::customers::{self, Caller};
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::jobs::{Job, NewJob};
use crate::live::LiveKind;
use crate::metering::{self, Attribution, Known, NewUsage, generation};
use crate::numbers::{self, LineKey};

/// A fact that is not about a call's course.
#[derive(Debug, Clone)]
pub(crate) struct Extra {
    pub(crate) source: Source,
    pub(crate) organization: OrganizationId,
    pub(crate) event: ProviderEvent,
}

/// A usage that a batch amounts to, with what it is attributed to.
struct Use {
    organization: OrganizationId,
    target: Target,
    call: Option<CallId>,
    message: Option<MessageRow>,
}

/// Who wrote, or was written to.
pub(crate) fn persons(extras: &[Extra]) -> Vec<(OrganizationId, E164)> {
    let persons = extras.iter().filter_map(|extra| {
        let Fact::Message(fact) = &extra.event.fact else {
            return None;
        };
        let seen = MessageState::seen(fact, extra.event.occurred_at);
        let number = seen.external().and_then(Party::number)?;
        Some((extra.organization, number.clone()))
    });
    persons.collect()
}

/// Writes what the facts of a batch say; returns what follows. `calls` tells which call each record belongs to.
pub(crate) async fn write(
    tx: &mut PgConnection,
    extras: Vec<Extra>,
    calls: &CallOfRecord,
) -> Result<Effects> {
    if extras.is_empty() {
        return Ok(Effects::default());
    }
    let mut sorted = Sorted::default();
    for extra in extras {
        let sid = extra.event.call_sid().map(str::to_owned);
        let leg = sid.and_then(|sid| calls.get(&(extra.source.integration, sid)));
        sorted.add(extra, leg);
    }
    let Sorted {
        messages,
        mut voicemails,
        recordings,
        transcripts,
        mut uses,
    } = sorted;
    sql::write_voicemails(tx, &mut voicemails).await?;
    let recordings: Vec<RecordingRow> = not_known_otherwise(tx, recordings)
        .await?
        .into_iter()
        .map(|(row, use_)| {
            uses.push(use_);
            row
        })
        .collect();
    sql::write_recordings(tx, &recordings).await?;
    sql::write_transcripts(tx, transcripts).await?;
    let told = voicemails.iter();
    let mut told: Vec<_> = told
        .map(|row| (row.organization_id, LiveKind::VoicemailReceived, row.id))
        .collect();
    for row in write_messages(tx, messages).await? {
        let kind = if row.is_new && row.direction == Direction::Incoming {
            LiveKind::MessageReceived
        } else {
            LiveKind::MessageUpdated
        };
        told.push((row.organization_id, kind, row.id));
        let target = message_usage(row.provider, &row.observed, row.occurred_at);
        uses.extend(target.into_iter().map(|target| Use {
            organization: row.organization_id,
            target,
            call: None,
            message: Some(row.clone()),
        }));
    }
    let usages = usages(tx, uses).await?;
    Ok(Effects {
        jobs: copies(&recordings),
        usages,
        told,
    })
}

/// Some webhooks list the recordings of a call without their ids, which are then named after their places. Asked for the
/// same recordings, the provider gives the ids. They are one and the same: whichever came first stays.
async fn not_known_otherwise(
    tx: &mut PgConnection,
    recordings: Vec<(RecordingRow, Use)>,
) -> Result<Vec<(RecordingRow, Use)>> {
    if recordings.is_empty() {
        return Ok(recordings);
    }
    let is_placed = |sid: &str| sid.contains('/');
    let legs: Vec<_> = recordings
        .iter()
        .map(|(row, _)| (row.organization_id, row.leg_id))
        .collect();
    let known = sql::recordings_of_legs(tx, &legs).await?;
    let coming: HashSet<CallLegId> = recordings
        .iter()
        .filter(|(row, _)| !is_placed(&row.sid))
        .map(|(row, _)| row.leg_id)
        .collect();
    let is_other = |row: &RecordingRow| {
        let known = known
            .get(&row.leg_id)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let is_known = known
            .iter()
            .any(|sid| is_placed(sid) != is_placed(&row.sid));
        let comes_named = is_placed(&row.sid) && coming.contains(&row.leg_id);
        !known.contains(&row.sid) && (is_known || comes_named)
    };
    Ok(recordings
        .into_iter()
        .filter(|(row, _)| !is_other(row))
        .collect())
}

/// The provider's links to recordings expire.
fn copies(recordings: &[RecordingRow]) -> Vec<NewJob> {
    let there = recordings.iter().filter(|row| row.provider_url.is_some());
    there
        .map(|row| {
            let job = Job::CopyRecording {
                organization: row.organization_id,
                provider: row.provider,
                sid: row.sid.clone(),
            };
            NewJob::unique(job, format!("{}:{}", row.organization_id, row.sid))
        })
        .collect()
}

/// What the facts of a batch are about.
#[derive(Default)]
struct Sorted {
    messages: Vec<ToldMessage>,
    voicemails: Vec<VoicemailRow>,
    recordings: Vec<(RecordingRow, Use)>,
    transcripts: Vec<TranscriptRow>,
    uses: Vec<Use>,
}

impl Part<'_> {
    fn uses(self, target: Target) -> Use {
        Use {
            organization: self.organization,
            target,
            call: Some(self.leg.call),
            message: None,
        }
    }
}

/// A message, as it was told of at a time.
struct ToldMessage {
    source: Source,
    organization: OrganizationId,
    fact: MessageFact,
    at: jiff::Timestamp,
}

/// A part of a call: whose, and of which leg.
#[derive(Clone, Copy)]
struct Part<'a> {
    source: Source,
    organization: OrganizationId,
    leg: &'a LegOfCall,
}

impl Sorted {
    fn add(&mut self, extra: Extra, leg: Option<&LegOfCall>) {
        let Extra {
            source,
            organization,
            event,
        } = extra;
        let at = event.occurred_at;
        if let Fact::Message(fact) = event.fact {
            self.messages.push(ToldMessage {
                source,
                organization,
                fact,
                at,
            });
            return;
        }
        let Some(leg) = leg else { return };
        let part = Part {
            source,
            organization,
            leg,
        };
        if let Some(target) = self.add_part(part, event.fact, at) {
            self.uses.push(part.uses(target));
        }
    }

    /// Adds a part of a call; returns the usage that it is for certain.
    fn add_part(&mut self, part: Part<'_>, fact: Fact, at: jiff::Timestamp) -> Option<Target> {
        let provider = part.source.provider;
        let is_ready = |state| state == ProcessingState::Completed;
        match fact {
            Fact::Voicemail(fact) => {
                let row = voicemail_row(part, &fact, at);
                let target = voicemail_usage(provider, &fact.sid, row.occurred_at);
                self.voicemails.push(row);
                Some(target)
            }
            Fact::Recording(fact) if is_ready(fact.state) => {
                let row = recording_row(part, &fact, at);
                let target = recording_usage(provider, &fact.sid, row.occurred_at);
                self.recordings.push((row, part.uses(target)));
                None
            }
            Fact::Transcript(fact) if is_ready(fact.state) => {
                let of = fact.recording_sid.as_ref().unwrap_or(&fact.call_sid);
                let target = transcript_usage(provider, of, fact.created_at.unwrap_or(at));
                self.transcripts.push(transcript_row(part, fact));
                Some(target)
            }
            Fact::Summary(fact) if is_ready(fact.state) => {
                self.transcripts.push(summary_row(part, fact));
                None
            }
            Fact::Call(_)
            | Fact::Message(_)
            | Fact::Recording(_)
            | Fact::Transcript(_)
            | Fact::Summary(_)
            | Fact::Ignored { .. } => None,
        }
    }
}

fn voicemail_row(part: Part<'_>, fact: &VoicemailFact, at: jiff::Timestamp) -> VoicemailRow {
    VoicemailRow {
        organization_id: part.organization,
        id: new_id(),
        call_id: part.leg.call,
        leg_id: part.leg.leg,
        provider: part.source.provider,
        sid: fact.sid.clone(),
        duration_seconds: fact.duration.map(|s| i64::from(s.get())),
        transcript: fact.transcript.clone(),
        provider_url: fact.media.as_ref().map(|m| m.url.reveal().to_owned()),
        occurred_at: fact.left_at.unwrap_or(at),
    }
}

fn recording_row(part: Part<'_>, fact: &RecordingFact, at: jiff::Timestamp) -> RecordingRow {
    RecordingRow {
        organization_id: part.organization,
        id: new_id(),
        call_id: part.leg.call,
        leg_id: part.leg.leg,
        provider: part.source.provider,
        sid: fact.sid.clone(),
        duration_seconds: fact.duration.map(|s| i64::from(s.get())),
        content_type: fact.media.as_ref().and_then(|m| m.media_type.clone()),
        provider_url: fact.media.as_ref().map(|m| m.url.reveal().to_owned()),
        started_at: fact.started_at,
        occurred_at: fact.started_at.unwrap_or(at),
    }
}

fn transcript_row(part: Part<'_>, fact: TranscriptFact) -> TranscriptRow {
    let dialogue: Vec<Value> = fact
        .lines
        .into_iter()
        .map(|line| {
            json!({
                "speaker": line.speaker.as_ref().map(Party::as_str),
                "userSid": line.user_sid,
                "startMs": line.start_ms,
                "endMs": line.end_ms,
                "text": line.text,
            })
        })
        .collect();
    TranscriptRow {
        organization_id: part.organization,
        call_id: part.leg.call,
        leg_id: part.leg.leg,
        dialogue: Some(Value::Array(dialogue)),
        summary: None,
        next_steps: None,
    }
}

fn summary_row(part: Part<'_>, fact: SummaryFact) -> TranscriptRow {
    TranscriptRow {
        organization_id: part.organization,
        call_id: part.leg.call,
        leg_id: part.leg.leg,
        dialogue: None,
        summary: Some(fact.points),
        next_steps: Some(fact.next_steps),
    }
}

/// An account's message.
type MessageKey = (OrganizationId, IntegrationId, String);

/// What is known of each message of a batch by now, and when it was first told of.
type States = BTreeMap<MessageKey, (Source, MessageState, jiff::Timestamp)>;

/// Joins what is told of each message with what is known.
fn joined(told: &[ToldMessage], known: &sql::KnownMessages) -> States {
    let mut states = States::new();
    for message in told {
        let at = message.at;
        let seen = MessageState::seen(&message.fact, at);
        let place = (
            message.organization,
            message.source.integration,
            message.fact.sid.clone(),
        );
        if let Some((_, state, first)) = states.get_mut(&place) {
            state.join(seen);
            *first = (*first).min(at);
        } else {
            let stored = known.get(&place);
            let mut state = stored.map_or_else(|| seen.clone(), |(_, state, _)| state.clone());
            state.join(seen);
            let first = stored.map_or(at, |(_, _, first)| (*first).min(at));
            states.insert(place, (message.source, state, first));
        }
    }
    states
}

/// Joins what is told of each message with what is known, and writes it.
async fn write_messages(tx: &mut PgConnection, told: Vec<ToldMessage>) -> Result<Vec<MessageRow>> {
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<(OrganizationId, IntegrationId, &str)> = told
        .iter()
        .map(|it| (it.organization, it.source.integration, it.fact.sid.as_str()))
        .collect();
    let known = sql::messages(tx, &keys).await?;
    let states = joined(&told, &known);
    let lines: Vec<LineKey> = states
        .values()
        .map(|(source, state, at)| LineKey {
            provider: source.provider,
            sid: state.number_sid().map(str::to_owned),
            e164: state.our_number().cloned(),
            at: state.created_at().unwrap_or(*at),
        })
        .collect();
    let lines = numbers::resolve_lines(tx, &lines).await?;
    let callers: Vec<Option<Caller>> = states
        .iter()
        .map(|((organization, _, _), (_, state, at))| {
            let Some(Party::Number(number)) = state.external() else {
                return None;
            };
            Some(Caller {
                organization: *organization,
                number: number.clone(),
                at: state.created_at().unwrap_or(*at),
                is_incoming: state.direction() == Direction::Incoming,
            })
        })
        .collect();
    let customers = customers::recognize(tx, &callers).await?;
    let rows: Vec<MessageRow> = states
        .into_iter()
        .zip(lines)
        .zip(customers)
        .map(|(((place, (source, state, at)), line), customer)| {
            let id = known.get(&place).map(|(id, _, _)| *id);
            let (organization, _, sid) = place;
            MessageRow::new(source, organization, sid, id, state, at, line, customer)
        })
        .collect();
    sql::write_messages(tx, &rows).await?;
    Ok(rows)
}

/// The difference between what things amount to and what was recorded of them.
async fn usages(tx: &mut PgConnection, mut uses: Vec<Use>) -> Result<Vec<NewUsage>> {
    if uses.is_empty() {
        return Ok(Vec::new());
    }
    let calls: Vec<(OrganizationId, CallId)> = uses
        .iter()
        .filter_map(|u| Some((u.organization, u.call?)))
        .collect();
    let of_calls = sql::attribution(tx, &calls).await?;
    for use_ in &mut uses {
        let moves = use_.call.and_then(|call| of_calls.get(&call));
        let moves = moves.map_or(0, |(_, moves)| *moves);
        use_.target.key = generation(&use_.target.key, moves);
    }
    let keys: Vec<(OrganizationId, &str)> = uses
        .iter()
        .map(|u| (u.organization, u.target.key.as_str()))
        .collect();
    let recorded = metering::recorded_by_key(tx, &keys).await?;
    let mut usages = Vec::new();
    let mut seen = HashSet::new();
    for use_ in uses {
        let key = (use_.organization, use_.target.key.clone());
        let known: Option<&Known> = recorded.get(&key);
        if !seen.insert(key) {
            continue;
        }
        let chains: Vec<_> = known.iter().map(|known| known.chain.clone()).collect();
        let changes = due(std::slice::from_ref(&use_.target), &chains)
            .map_err(|e| Error::Internal(e.to_string()))?;
        let of_call = use_.call.and_then(|call| of_calls.get(&call));
        let attribution = match (known, &use_.message, of_call) {
            // A correction goes where the usage went that it corrects.
            (Some(known), _, _) => known.attribution,
            (None, Some(message), _) => Attribution {
                user: message.sent_by,
                mapping: message.mapping_id,
                customer: message.customer_id,
            },
            (None, None, Some((attribution, _))) => *attribution,
            (None, None, None) => Attribution::default(),
        };
        let changes = changes.into_iter();
        usages.extend(changes.map(|change| usage(&use_, attribution, change)));
    }
    Ok(usages)
}

fn usage(of: &Use, attribution: Attribution, change: Due) -> NewUsage {
    let (resource_type, resource_id) = match &of.message {
        Some(message) => ("message", Some(message.sid.clone())),
        None => ("call", of.call.map(|call| call.to_string())),
    };
    NewUsage {
        organization: of.organization,
        occurred_at: change.occurred_at,
        request: UsageRequest {
            meter: change.meter,
            quantity: change.quantity,
            occurred_at: Some(change.occurred_at),
            user: attribution.user,
            mapping: attribution.mapping,
            customer: attribution.customer,
            resource_type: Some(resource_type.to_owned()),
            resource_id,
            metadata: Value::Object(serde_json::Map::new()),
        },
        key: Some(change.key),
        // What a call's own recount compares with is only the call itself, so its parts do not name it.
        call: None,
        corrects: change.corrects,
    }
}
