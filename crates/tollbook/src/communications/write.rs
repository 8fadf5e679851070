//! The second stage for everything but calls: facts become rows and usage, a batch at a time. Order and repetition of
//! facts make no difference.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use sqlx::PgConnection;
use tollbook_core::calls::{
    Direction, Fact, MessageFact, MessageState, ProcessingState, ProviderEvent, RecordingFact,
    SummaryFact, TranscriptFact, VoicemailFact,
};
use tollbook_core::ids::{CallId, CustomerId, MappingId, OrganizationId, UserId};
use tollbook_core::metering::{
    Due, Recorded, Target, UsageRequest, due, message_usage, recording_usage, transcript_usage,
    voicemail_usage,
};
use tollbook_core::phone::Party;
use uuid::Uuid;

use super::sql::{self, MessageRow, RecordingRow, TranscriptRow, VoicemailRow};
use crate::calls::{CallOfSid, Source};
use crate::customers::{self, Caller};
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::jobs::{self, Job, NewJob};
use crate::live::{self, LiveKind};
use crate::metering::{self, NewUsage};
use crate::numbers::{self, LineKey};

/// A fact that is not about a call's course.
#[derive(Debug, Clone)]
pub(crate) struct Extra {
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

/// Writes what the facts of a batch say. `known` and `observed` tell which call each record belongs to.
pub(crate) async fn write(
    tx: &mut PgConnection,
    source: Source,
    extras: Vec<Extra>,
    known: &CallOfSid,
    observed: &CallOfSid,
) -> Result<()> {
    let call_of = |sid: &str| {
        observed
            .get(sid)
            .or_else(|| known.get(sid))
            .map(|(_, call)| *call)
    };
    let mut sorted = Sorted::default();
    for Extra {
        organization,
        event,
    } in extras
    {
        let call = event.call_sid().and_then(call_of);
        sorted.add(source, organization, call, event);
    }
    let Sorted {
        messages,
        mut voicemails,
        recordings,
        transcripts,
        mut uses,
        mut live,
    } = sorted;
    sql::write_voicemails(tx, &mut voicemails).await?;
    sql::write_recordings(tx, &recordings).await?;
    let copies: Vec<NewJob> = recordings
        .iter()
        .filter(|row| row.provider_url.is_some())
        .map(|row| {
            let job = Job::CopyRecording {
                organization: row.organization_id,
                provider: row.provider,
                sid: row.sid.clone(),
            };
            NewJob::unique(job, format!("{}:{}", row.organization_id, row.sid))
        })
        .collect();
    jobs::enqueue(tx, &copies).await?;
    sql::write_transcripts(tx, transcripts).await?;
    live.extend(
        voicemails
            .iter()
            .map(|row| (row.organization_id, LiveKind::VoicemailReceived, row.id)),
    );
    for row in write_messages(tx, source, messages).await? {
        let kind = if row.is_new && row.direction == Direction::Incoming {
            LiveKind::MessageReceived
        } else {
            LiveKind::MessageUpdated
        };
        live.push((row.organization_id, kind, row.id));
        let target = message_usage(source.provider, &row.observed, row.occurred_at);
        uses.extend(target.into_iter().map(|target| Use {
            organization: row.organization_id,
            target,
            call: None,
            message: Some(row.clone()),
        }));
    }
    write_usage(tx, uses).await?;
    live::publish(tx, &live).await
}

/// What the facts of a batch are about.
#[derive(Default)]
struct Sorted {
    messages: Vec<(OrganizationId, MessageFact, jiff::Timestamp)>,
    voicemails: Vec<VoicemailRow>,
    recordings: Vec<RecordingRow>,
    transcripts: Vec<TranscriptRow>,
    uses: Vec<Use>,
    live: Vec<(OrganizationId, LiveKind, Uuid)>,
}

impl Sorted {
    fn add(
        &mut self,
        source: Source,
        organization: OrganizationId,
        call: Option<CallId>,
        event: ProviderEvent,
    ) {
        let at = event.occurred_at;
        let is_ready = |state| state == ProcessingState::Completed;
        let target = match (event.fact, call) {
            (Fact::Message(fact), _) => {
                self.messages.push((organization, fact, at));
                None
            }
            (Fact::Voicemail(fact), Some(call)) => {
                let row = voicemail_row(source, organization, call, &fact, at);
                let target = voicemail_usage(source.provider, &fact.sid, row.occurred_at);
                self.voicemails.push(row);
                Some(target)
            }
            (Fact::Recording(fact), Some(call)) if is_ready(fact.state) => {
                let row = recording_row(source, organization, call, &fact, at);
                let target = recording_usage(source.provider, &fact.sid, row.occurred_at);
                self.recordings.push(row);
                Some(target)
            }
            (Fact::Transcript(fact), Some(call)) if is_ready(fact.state) => {
                let of = fact.recording_sid.as_ref().unwrap_or(&fact.call_sid);
                let made_at = fact.created_at.unwrap_or(at);
                let target = transcript_usage(source.provider, of, made_at);
                self.transcripts
                    .push(transcript_row(organization, call, fact));
                Some(target)
            }
            (Fact::Summary(fact), Some(call)) if is_ready(fact.state) => {
                self.transcripts.push(summary_row(organization, call, fact));
                None
            }
            _ => None,
        };
        if let Some((target, call)) = target.zip(call) {
            self.uses.push(Use::of_call(organization, call, target));
        }
    }
}

impl Use {
    fn of_call(organization: OrganizationId, call: CallId, target: Target) -> Self {
        Self {
            organization,
            target,
            call: Some(call),
            message: None,
        }
    }
}

fn voicemail_row(
    source: Source,
    organization: OrganizationId,
    call: CallId,
    fact: &VoicemailFact,
    at: jiff::Timestamp,
) -> VoicemailRow {
    VoicemailRow {
        organization_id: organization,
        id: new_id(),
        call_id: call,
        provider: source.provider,
        sid: fact.sid.clone(),
        duration_seconds: fact.duration.map(|s| i64::from(s.get())),
        transcript: fact.transcript.clone(),
        provider_url: fact.media.as_ref().map(|m| m.url.reveal().to_owned()),
        occurred_at: fact.left_at.unwrap_or(at),
    }
}

fn recording_row(
    source: Source,
    organization: OrganizationId,
    call: CallId,
    fact: &RecordingFact,
    at: jiff::Timestamp,
) -> RecordingRow {
    RecordingRow {
        organization_id: organization,
        id: new_id(),
        call_id: call,
        provider: source.provider,
        sid: fact.sid.clone(),
        duration_seconds: fact.duration.map(|s| i64::from(s.get())),
        content_type: fact.media.as_ref().and_then(|m| m.media_type.clone()),
        provider_url: fact.media.as_ref().map(|m| m.url.reveal().to_owned()),
        started_at: fact.started_at,
        occurred_at: fact.started_at.unwrap_or(at),
    }
}

fn transcript_row(
    organization: OrganizationId,
    call: CallId,
    fact: TranscriptFact,
) -> TranscriptRow {
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
        organization_id: organization,
        call_id: call,
        dialogue: Some(Value::Array(dialogue)),
        summary: None,
        next_steps: None,
    }
}

fn summary_row(organization: OrganizationId, call: CallId, fact: SummaryFact) -> TranscriptRow {
    TranscriptRow {
        organization_id: organization,
        call_id: call,
        dialogue: None,
        summary: Some(fact.points),
        next_steps: Some(fact.next_steps),
    }
}

/// What is known of each message of a batch by now, and when it was first told of.
type States = BTreeMap<(OrganizationId, String), (MessageState, jiff::Timestamp)>;

/// Joins what is told of each message with what is known.
fn joined(
    told: &[(OrganizationId, MessageFact, jiff::Timestamp)],
    known: &sql::KnownMessages,
) -> States {
    let mut states = States::new();
    for (organization, fact, at) in told {
        let seen = MessageState::seen(fact, *at);
        let place = (*organization, fact.sid.clone());
        if let Some((state, first)) = states.get_mut(&place) {
            state.join(seen);
            *first = (*first).min(*at);
        } else {
            let stored = known.get(&place);
            let mut state = stored.map_or_else(|| seen.clone(), |(_, state, _)| state.clone());
            state.join(seen);
            let first = stored.map_or(*at, |(_, _, first)| (*first).min(*at));
            states.insert(place, (state, first));
        }
    }
    states
}

/// Joins what is told of each message with what is known, and writes it.
async fn write_messages(
    tx: &mut PgConnection,
    source: Source,
    told: Vec<(OrganizationId, MessageFact, jiff::Timestamp)>,
) -> Result<Vec<MessageRow>> {
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<(OrganizationId, &str)> = told
        .iter()
        .map(|(o, fact, _)| (*o, fact.sid.as_str()))
        .collect();
    let known = sql::messages(tx, source.integration, &keys).await?;
    let states = joined(&told, &known);
    let lines: Vec<LineKey> = states
        .values()
        .map(|(state, at)| LineKey {
            provider: source.provider,
            sid: state.number_sid().map(str::to_owned),
            e164: state.our_number().cloned(),
            at: state.created_at().unwrap_or(*at),
        })
        .collect();
    let lines = numbers::resolve_lines(tx, &lines).await?;
    let callers: Vec<Option<Caller>> = states
        .iter()
        .map(|((organization, _), (state, at))| {
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
        .map(|((((organization, sid), (state, at)), line), customer)| {
            let stored = known.get(&(organization, sid.clone()));
            MessageRow::new(
                source,
                organization,
                sid,
                stored.map(|(id, _, _)| *id),
                state,
                at,
                line,
                customer,
            )
        })
        .collect();
    sql::write_messages(tx, &rows).await?;
    Ok(rows)
}

/// Records the difference between what things amount to and what was recorded of them.
async fn write_usage(tx: &mut PgConnection, uses: Vec<Use>) -> Result<()> {
    if uses.is_empty() {
        return Ok(());
    }
    let keys: Vec<(OrganizationId, &str)> = uses
        .iter()
        .map(|u| (u.organization, u.target.key.as_str()))
        .collect();
    let recorded: HashMap<(OrganizationId, String), Recorded> =
        metering::recorded_by_key(tx, &keys).await?;
    let calls: Vec<(OrganizationId, CallId)> = uses
        .iter()
        .filter_map(|u| Some((u.organization, u.call?)))
        .collect();
    let attribution = sql::attribution(tx, &calls).await?;
    let mut usages = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for Use {
        organization,
        target,
        call,
        message,
    } in uses
    {
        if !seen.insert((organization, target.key.clone())) {
            continue;
        }
        let known: Vec<Recorded> = recorded
            .get(&(organization, target.key.clone()))
            .cloned()
            .into_iter()
            .collect();
        let changes = due(std::slice::from_ref(&target), &known)
            .map_err(|e| Error::Internal(e.to_string()))?;
        let of_call = call.and_then(|call| attribution.get(&call));
        let of = Attributed::new(call, message.as_ref(), of_call);
        usages.extend(
            changes
                .into_iter()
                .map(|change| of.usage(organization, change)),
        );
    }
    metering::record(tx, &usages).await
}

/// To whom and what a usage is attributed.
struct Attributed {
    user: Option<UserId>,
    mapping: Option<MappingId>,
    customer: Option<CustomerId>,
    resource_type: &'static str,
    resource_id: Option<String>,
}

impl Attributed {
    fn new(
        call: Option<CallId>,
        message: Option<&MessageRow>,
        of_call: Option<&sql::Attribution>,
    ) -> Self {
        match message {
            Some(message) => Self {
                user: message.sent_by,
                mapping: message.mapping_id,
                customer: message.customer_id,
                resource_type: "message",
                resource_id: Some(message.sid.clone()),
            },
            None => Self {
                user: of_call.and_then(|it| it.user),
                mapping: of_call.and_then(|it| it.mapping),
                customer: of_call.and_then(|it| it.customer),
                resource_type: "call",
                resource_id: call.map(|call| call.to_string()),
            },
        }
    }

    fn usage(&self, organization: OrganizationId, change: Due) -> NewUsage {
        NewUsage {
            organization,
            occurred_at: change.occurred_at,
            request: UsageRequest {
                meter: change.meter,
                quantity: change.quantity,
                occurred_at: Some(change.occurred_at),
                user: self.user,
                mapping: self.mapping,
                customer: self.customer,
                resource_type: Some(self.resource_type.to_owned()),
                resource_id: self.resource_id.clone(),
                metadata: Value::Object(serde_json::Map::new()),
            },
            key: Some(change.key),
            // What a call's own recount compares with is only the call itself, so its parts do not name it.
            call: None,
            corrects: change.corrects,
        }
    }
}
