//! From the provider's records to facts and costs.

use tollbook_core::calls::{
    CallFact, Direction, Fact, Media, MediaUrl, MessageFact, Outcome, Phase, ProcessingState,
    ProviderEvent, RecordingFact, VoicemailFact,
};
use tollbook_core::phone::Party;
use tollbook_core::time::Seconds;

use super::leg::{self, Role};
use super::message_status;
use super::wire::{Call, Message, Recording};
use crate::{CostOf, ProviderCost};

/// A call record as a fact. What became of an incoming call or a browser's is with the legs that it dialled: see
/// [`settle`].
pub(super) fn call(record: &Call) -> CallFact {
    let (from, to) = (
        record.from.as_deref().unwrap_or_default(),
        record.to.as_deref().unwrap_or_default(),
    );
    let role = role(record);
    let length = seconds(record.duration.as_deref());
    let phase = role.phase(&record.status);
    let is_over = phase == Some(Phase::Ended);
    CallFact {
        sid: record.sid.clone(),
        parent_sid: record.parent_call_sid.clone(),
        number_sid: record
            .phone_number_sid
            .clone()
            .filter(|sid| role != Role::Child && !sid.is_empty()),
        our_number: match role {
            Role::Incoming => leg::number(to),
            Role::Outgoing => leg::number(from),
            Role::Browser | Role::Child => None,
        },
        direction: role.direction(),
        from: record.from.as_deref().map(Party::read),
        to: record.to.as_deref().map(Party::read),
        user_sid: match role {
            Role::Browser => leg::user(from),
            Role::Child => leg::user(to),
            Role::Incoming | Role::Outgoing => None,
        },
        phase,
        started_at: record.date_created.or(record.start_time),
        ended_at: record.end_time.filter(|_| is_over),
        outcome: role.outcome(&record.status),
        duration: length,
        talked: length.filter(|_| is_over && role.is_talk()),
        forwarded_from: record
            .forwarded_from
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(Party::read),
        updated_at: record.date_updated,
        ..CallFact::default()
    }
}

/// What a call amounts to that others were dialled for, once its legs are known. `voicemail` is whether one was left.
pub(super) fn settle(
    fact: &mut CallFact,
    record: &Call,
    children: &[&Call],
    voicemail: Option<bool>,
) {
    if fact.phase != Some(Phase::Ended) || fact.outcome.is_some() || role(record).is_talk() {
        return;
    }
    let is_answered = |child: &&&Call| child.status == "completed";
    let talks = children.iter().filter(is_answered);
    let longest = talks.map(|child| seconds(child.duration.as_deref())).max();
    match (longest, voicemail) {
        (Some(talked), _) => {
            fact.outcome = Some(Outcome::Answered);
            fact.talked = Some(talked.unwrap_or(Seconds::ZERO));
        }
        (None, Some(true)) => {
            fact.has_voicemail = Some(true);
            fact.outcome = Some(Outcome::Voicemail);
        }
        (None, Some(false)) => fact.outcome = Some(Outcome::Missed),
        (None, None) => {}
    }
}

pub(super) fn role(record: &Call) -> Role {
    Role::of(
        record.direction.as_deref().unwrap_or_default(),
        record.from.as_deref().unwrap_or_default(),
        record.parent_call_sid.is_some(),
    )
}

/// Whether a recording is one of the caller alone, made by `<Record>`.
pub(super) fn is_voicemail(record: &Recording) -> bool {
    record.source.as_deref() == Some("RecordVerb")
}

/// A recording or voicemail; `base` is put before the provider's path.
pub(super) fn recording(record: Recording, call_sid: &str, base: &str) -> Fact {
    let state = match record.status.as_str() {
        "completed" => ProcessingState::Completed,
        "absent" => ProcessingState::Absent,
        "deleted" => ProcessingState::Deleted,
        "failed" => ProcessingState::Failed,
        _ => ProcessingState::InProgress,
    };
    let is_voicemail = is_voicemail(&record);
    let path = record.uri.filter(|_| state == ProcessingState::Completed);
    let media = path.map(|path| Media {
        // The media are at the record's own address without its suffix.
        url: MediaUrl::new(format!("{base}{}", path.trim_end_matches(".json"))),
        media_type: Some("audio/x-wav".to_owned()),
    });
    let duration = seconds(record.duration.as_deref());
    let call_sid = call_sid.to_owned();
    if is_voicemail {
        Fact::Voicemail(VoicemailFact {
            sid: record.sid,
            call_sid,
            number_sid: None,
            from: None,
            to: None,
            duration,
            transcript: None,
            media,
            left_at: record.start_time,
            updated_at: record.date_updated,
        })
    } else {
        Fact::Recording(RecordingFact {
            sid: record.sid,
            call_sid,
            state,
            started_at: record.start_time,
            duration,
            media,
            updated_at: record.date_updated,
        })
    }
}

pub(super) fn message(record: &Message) -> MessageFact {
    let direction = if record.direction == "inbound" {
        Direction::Incoming
    } else {
        Direction::Outgoing
    };
    let ours = match direction {
        Direction::Incoming => record.to.as_deref(),
        Direction::Outgoing => record.from.as_deref(),
    };
    let segments = record.num_segments.as_deref();
    MessageFact {
        sid: record.sid.clone(),
        conversation_sid: None,
        number_sid: None,
        our_number: ours.and_then(leg::number),
        direction,
        from: record.from.as_deref().map(Party::read),
        to: record.to.as_deref().map(Party::read).into_iter().collect(),
        text: record.body.clone(),
        media: Vec::new(),
        status: message_status(&record.status),
        user_sid: None,
        error_code: record.error_code.clone(),
        segments: segments
            .and_then(|text| text.parse().ok())
            .filter(|count| *count > 0),
        created_at: record.date_created,
        updated_at: record.date_updated,
    }
}

/// What something has cost; `None` while the provider has not said, which may take minutes or, rarely, days.
///
/// Calls and messages carry negative amounts and recordings positive ones: the size is what counts.
pub(super) fn cost(
    of: CostOf,
    sid: &str,
    price: Option<&str>,
    unit: Option<&str>,
) -> Option<ProviderCost> {
    let price = price?.trim_start_matches('-').parse().ok()?;
    let currency = unit?.to_ascii_uppercase().parse().ok()?;
    Some(ProviderCost {
        of,
        sid: sid.to_owned(),
        price,
        currency,
    })
}

pub(super) fn call_cost(record: &Call) -> Option<ProviderCost> {
    let (price, unit) = (record.price.as_deref(), record.price_unit.as_deref());
    cost(CostOf::Call, &record.sid, price, unit)
}

/// A fetched record, keyed by what it is and its version, so that fetching it again unchanged adds nothing.
pub(super) fn fetched(fact: Fact, changed_at: jiff::Timestamp) -> ProviderEvent {
    let (kind, sid, version) = match &fact {
        Fact::Call(fact) => ("call", &fact.sid, fact.outcome.map(Outcome::as_str)),
        Fact::Recording(fact) => ("recording", &fact.sid, Some(fact.state.as_str())),
        Fact::Voicemail(fact) => ("voicemail", &fact.sid, None),
        Fact::Transcript(fact) => ("transcript", &fact.call_sid, None),
        Fact::Summary(fact) => ("summary", &fact.call_sid, None),
        Fact::Message(fact) => ("message", &fact.sid, None),
        Fact::Ignored { kind } => ("ignored", kind, None),
    };
    let version = version.unwrap_or_default();
    ProviderEvent {
        key: format!("fetched:{kind}:{sid}:{changed_at}:{version}"),
        occurred_at: changed_at,
        fact,
    }
}

fn seconds(text: Option<&str>) -> Option<Seconds> {
    text?.parse().ok().map(Seconds::new)
}
