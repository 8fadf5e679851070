//! What a webhook says: its envelope opened, its resource turned into facts.

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tollbook_core::calls::{Fact, MessageStatus, Phase, ProviderEvent};

use super::facts;
use super::webhook::Verified;
use super::wire::{Call, Context, Event, Message, Voicemail};
use crate::Malformed;

const WEBHOOK: &str = "webhook";

/// The key under which a webhook is stored once: its delivery id, or else the id in its envelope, or else, if it cannot
/// be read, a digest of its bytes.
///
/// A hook of each format may run side by side during a migration; their keys differ for the same event, so the call
/// state machine merges them by the call's id and not by this key.
pub fn dedupe_key(verified: &Verified, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    if let Some(id) = &verified.delivery_id {
        return id.clone();
    }
    if let Ok(Id { id }) = serde_json::from_slice(body) {
        return id;
    }
    format!("sha256:{}", hex::encode(Sha256::digest(body)))
}

/// The facts in a webhook's body, of any format. Several when an event tells of several things: their keys are the
/// envelope's id, and that id with a number behind it.
///
/// A kind of event that is of no interest is one `Fact::Ignored`.
pub fn parse(body: &[u8]) -> Result<Vec<ProviderEvent>, Malformed> {
    let event: Event =
        serde_json::from_slice(body).map_err(|error| Malformed::json(WEBHOOK, &error))?;
    let context = event.data.context.or(event.context).unwrap_or_default();
    let resource = event.data.resource.or(event.data.object).or(event.resource);
    let (facts, changed_at) = match resource {
        Some(resource) => facts_of(&event.kind, resource, &context)?,
        None if is_of_interest(&event.kind) => {
            let problem = "missing data.resource or data.object";
            return Err(Malformed::new(WEBHOOK, problem));
        }
        None => (vec![ignored(&event.kind)], None),
    };
    let occurred_at = event
        .created_at
        .or(changed_at)
        .ok_or_else(|| Malformed::new(WEBHOOK, "missing createdAt"))?;
    let id = event.id;
    Ok(facts
        .into_iter()
        .enumerate()
        .map(|(place, fact)| ProviderEvent {
            key: match place {
                0 => id.clone(),
                _ => format!("{id}#{place}"),
            },
            occurred_at,
            fact,
        })
        .collect())
}

type Found = (Vec<Fact>, Option<jiff::Timestamp>);

fn is_of_interest(kind: &str) -> bool {
    (kind.starts_with("call.") && kind != "call.menu.selected") || kind.starts_with("message.")
}

fn facts_of(kind: &str, resource: Value, context: &Context) -> Result<Found, Malformed> {
    match kind {
        "call.ringing"
        | "call.answered"
        | "call.completed"
        | "call.missed"
        | "call.forwarded"
        | "call.recording.completed" => call(kind, read(resource)?, context),
        "call.voicemail.completed" => {
            let record: Voicemail = read(resource)?;
            let changed_at = record.updated_at.or(record.created_at);
            let fallback = record.id.clone();
            let fact = facts::voicemail(record, fallback.as_deref(), context);
            one(fact.map(Fact::Voicemail), changed_at)
        }
        "call.transcript.completed" => one(
            facts::transcript(read(resource)?, None).map(Fact::Transcript),
            None,
        ),
        "call.summary.completed" => one(
            facts::summary(read(resource)?, None).map(Fact::Summary),
            None,
        ),
        "message.received" | "message.delivered" | "message.failed" | "message.undelivered" => {
            message(kind, read(resource)?, context)
        }
        _ => Ok((vec![ignored(kind)], None)),
    }
}

fn call(kind: &str, mut record: Call, context: &Context) -> Result<Found, Malformed> {
    let changed_at = record.updated_at.or(record.created_at);
    let mut fact = facts::call(&mut record, context).ok_or_else(no_id)?;
    match kind {
        "call.ringing" | "call.forwarded" => fact.phase = Some(Phase::Ringing),
        "call.answered" => fact.phase = Some(Phase::InProgress),
        // That nobody answered is certain; whether a message was left is told later.
        "call.missed" => fact.phase = Some(Phase::Ended),
        _ => facts::ended(&mut fact, record.status.as_deref().unwrap_or_default()),
    }
    let sid = fact.sid.clone();
    let mut found = vec![Fact::Call(fact)];
    let media = record.media.unwrap_or_default();
    let recordings = record.recordings.unwrap_or_default().into_iter();
    let recordings = recordings.chain(media.into_iter().map(facts::media_recording));
    found.extend(
        recordings.enumerate().map(|(place, recording)| {
            Fact::Recording(facts::recording(recording, &sid, place + 1))
        }),
    );
    if let Some(voicemail) = record.voicemail.filter(facts::is_left) {
        found.extend(facts::voicemail(voicemail, Some(&sid), context).map(Fact::Voicemail));
    }
    Ok((found, changed_at))
}

/// The kind of event is surer than the status in the record, which may already be a later one.
fn message(kind: &str, mut record: Message, context: &Context) -> Result<Found, Malformed> {
    let (direction, status) = match kind {
        "message.received" => ("incoming", MessageStatus::Received),
        "message.delivered" => ("outgoing", MessageStatus::Delivered),
        "message.failed" => ("outgoing", MessageStatus::Failed),
        _ => ("outgoing", MessageStatus::Undelivered),
    };
    record.direction.get_or_insert_with(|| direction.to_owned());
    let changed_at = record.updated_at.or(record.created_at);
    let fact = facts::message(record, context).map(|fact| {
        Fact::Message(tollbook_core::calls::MessageFact {
            status: Some(status),
            ..fact
        })
    });
    one(fact, changed_at)
}

fn one(fact: Option<Fact>, changed_at: Option<jiff::Timestamp>) -> Result<Found, Malformed> {
    Ok((vec![fact.ok_or_else(no_id)?], changed_at))
}

fn ignored(kind: &str) -> Fact {
    Fact::Ignored {
        kind: kind.to_owned(),
    }
}

fn no_id() -> Malformed {
    Malformed::new(WEBHOOK, "the resource has no id")
}

fn read<T: DeserializeOwned>(resource: Value) -> Result<T, Malformed> {
    serde_json::from_value(resource)
        .map_err(|_| Malformed::new(WEBHOOK, "the resource has a field of another type"))
}
