//! The second stage for everything but calls: facts become rows and usage, a batch at a time. Order and repetition of
//! facts make no difference.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use sqlx::PgConnection;
use tollbook_core::calls::{
    Direction, Fact, MessageFact, MessageState, ProcessingState, ProviderEvent, RecordingFact,
    SummaryFact, TranscriptFact, VoicemailFact,
};
use tollbook_core::ids::{CallLegId, IntegrationId, OrganizationId};
use tollbook_core::metering::{
    Target, message_usage, recording_usage, transcript_usage, voicemail_usage,
};
use tollbook_core::phone::{E164, Party};

use super::sql::{self, MessageRow, RecordingRow, TranscriptRow, VoicemailRow};
use super::uses::{Of, Use, usages};
use crate::calls::{CallOfRecord, Effects, LegOfCall, RecordKey, Source};
use crate::customers::{self, Caller};
use crate::error::Result;
use crate::ids::new_id;
use crate::jobs::{Job, NewJob};
use crate::live::LiveKind;
use crate::numbers::{self, LineKey};

/// A fact that is not about a call's course.
#[derive(Debug, Clone)]
pub(crate) struct Extra {
    pub(crate) source: Source,
    pub(crate) organization: OrganizationId,
    pub(crate) event: ProviderEvent,
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
        let leg = sid.and_then(|sid| calls.get_key_value(&(extra.source.integration, sid)));
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
            of: Of::Message(Box::new(row.clone())),
        }));
    }
    let usages = usages(tx, uses).await?;
    Ok(Effects {
        jobs: copies(&recordings),
        usages,
        told,
        outgoing: Vec::new(),
    })
}

/// Some webhooks list the recordings of a call without their ids, which are then named after their places. Asked for the
/// same recordings, the provider gives the ids. They are one and the same: whichever came first stays, and the one at a
/// place is known if so many are.
async fn not_known_otherwise(
    tx: &mut PgConnection,
    mut recordings: Vec<(RecordingRow, Use)>,
) -> Result<Vec<(RecordingRow, Use)>> {
    if recordings.is_empty() {
        return Ok(recordings);
    }
    let legs: Vec<_> = recordings
        .iter()
        .map(|(row, _)| (row.organization_id, row.leg_id))
        .collect();
    let mut known = sql::recordings_of_legs(tx, &legs).await?;
    let mut named: HashMap<CallLegId, usize> = HashMap::new();
    recordings.sort_by_key(|(row, _)| place(&row.sid));
    recordings.retain(|(row, _)| {
        let known = known.entry(row.leg_id).or_default();
        let named = named.entry(row.leg_id).or_default();
        let own_place = place(&row.sid);
        *named += usize::from(own_place.is_none());
        if known.contains(&row.sid) {
            return true;
        }
        let is_mixed = own_place.is_some() || known.iter().any(|sid| place(sid).is_some());
        let is_other = is_mixed && own_place.unwrap_or(*named) <= known.len();
        if !is_other {
            known.push(row.sid.clone());
        }
        !is_other
    });
    Ok(recordings)
}

/// The place that a recording is named after; `None` for one with an id.
fn place(sid: &str) -> Option<usize> {
    sid.rsplit_once('/')?.1.parse().ok()
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
            of: Of::Record {
                provider: self.source.provider,
                sid: self.sid.to_owned(),
                call: self.leg.call,
            },
        }
    }

    /// When it counts: a part of a call is told of sooner or later, and with this time or that, but always belongs to
    /// the time at which its record began.
    fn time(self, told: jiff::Timestamp) -> jiff::Timestamp {
        self.leg.started_at.unwrap_or(told)
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
    sid: &'a str,
    leg: &'a LegOfCall,
}

impl Sorted {
    fn add(&mut self, extra: Extra, leg: Option<(&RecordKey, &LegOfCall)>) {
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
        let Some(((_, sid), leg)) = leg else {
            return;
        };
        let part = Part {
            source,
            organization,
            sid,
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
                let time = part.time(fact.created_at.unwrap_or(at));
                let target = transcript_usage(provider, of, time);
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
        occurred_at: part.time(fact.left_at.unwrap_or(at)),
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
        occurred_at: part.time(fact.started_at.unwrap_or(at)),
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
    let mut rows: Vec<MessageRow> = states
        .into_iter()
        .zip(lines)
        .zip(customers)
        .map(|(((place, (source, state, at)), line), customer)| {
            let id = known.get(&place).map(|(id, _, _)| *id);
            let (organization, _, sid) = place;
            MessageRow::new(source, organization, sid, id, state, at, line, customer)
        })
        .collect();
    sql::write_messages(tx, &mut rows).await?;
    Ok(rows)
}
