//! From the provider's records to facts. The same record may come from a webhook or from a request; what is not known
//! stays unknown.

use serde_json::{Number, Value};
use tollbook_core::calls::{
    CallFact, Direction, Media, MediaUrl, MessageFact, MessageStatus, Outcome, Phase,
    ProcessingState, RecordingFact, SummaryFact, TranscriptFact, TranscriptLine, VoicemailFact,
};
use tollbook_core::phone::Party;
use tollbook_core::time::Seconds;

use super::wire::{
    Call, Context, MediaItem, Message, OneOrMany, Participant, Recording, Summary, Transcript,
    Utterance, Voicemail,
};

/// What a call record says on its own: who, when, and how it ended if its status tells.
pub(super) fn call(record: &mut Call, context: &Context) -> Option<CallFact> {
    let mut fact = CallFact::new(record.id.take()?);
    fact.conversation_sid = first([&record.conversation_id, &context.conversation_id]);
    fact.number_sid = first([&record.phone_number_id, &context.phone_number_id]);
    fact.direction = record.direction.as_deref().and_then(direction);
    (fact.from, fact.to) = sides(record, context, fact.direction);
    fact.our_number = our_number(record, context, &fact);
    fact.started_at = record.created_at;
    fact.answered_at = record.answered_at;
    fact.ended_at = record.completed_at;
    fact.updated_at = record.updated_at;
    fact.duration = record.duration.as_ref().and_then(seconds);
    fact.forwarded_from = record.forwarded_from.as_deref().map(Party::read);
    fact.forwarded_to = record.forwarded_to.as_deref().map(Party::read);
    fact.has_voicemail = record
        .has_voicemail
        .or_else(|| record.voicemail.as_ref().map(is_left));
    fact.user_sid = match fact.direction {
        Some(Direction::Outgoing) => record.initiated_by.clone(),
        Some(Direction::Incoming) | None => {
            first([&record.answered_by, &record.answered_by_user_id])
        }
    };
    // On an incoming call this may be the owner of the number, whoever answers.
    fact.owner_sid = first([&record.user_id, &record.actor_id, &context.user_id]);
    Some(fact)
}

/// From and to. A list of participants without roles is read as caller first, as in the provider's examples.
fn sides(
    record: &mut Call,
    context: &Context,
    direction: Option<Direction>,
) -> (Option<Party>, Option<Party>) {
    if let (Some(sides), Some(direction)) = (&context.participants, direction) {
        let head = |side: &Option<Vec<String>>| {
            let text = side.as_ref()?.first()?;
            Some(Party::read(text))
        };
        let (ours, theirs) = (head(&sides.workspace), head(&sides.external));
        if ours.is_some() || theirs.is_some() {
            return match direction {
                Direction::Incoming => (theirs, ours),
                Direction::Outgoing => (ours, theirs),
            };
        }
    }
    if record.from.is_some() || record.to.is_some() {
        let to = record
            .to
            .take()
            .map(OneOrMany::into_vec)
            .unwrap_or_default();
        let from = record.from.as_deref().map(Party::read);
        return (from, to.first().map(|text| Party::read(text)));
    }
    let participants = record.participants.take().unwrap_or_default();
    with_roles(&participants, direction)
}

/// Version 2026-03-30 marks our side by a user; elsewhere the caller stands first.
fn with_roles(
    participants: &[Participant],
    direction: Option<Direction>,
) -> (Option<Party>, Option<Party>) {
    let read = |participant: &Participant| match participant {
        Participant::Number(text) => Some(Party::read(text)),
        Participant::Actor { phone_number, .. } => phone_number.as_deref().map(Party::read),
    };
    let is_ours = |participant: &&Participant| {
        matches!(
            participant,
            Participant::Actor {
                actor_id: Some(_),
                ..
            }
        )
    };
    let ours = participants.iter().find(is_ours).and_then(read);
    let theirs = participants.iter().find(|one| !is_ours(one)).and_then(read);
    match (direction, ours) {
        (Some(Direction::Incoming), Some(ours)) => (theirs, Some(ours)),
        (Some(Direction::Outgoing), Some(ours)) => (Some(ours), theirs),
        (_, _) => {
            let mut parties = participants.iter().map(read);
            (parties.next().flatten(), parties.next().flatten())
        }
    }
}

/// Our number, only where the record says beyond doubt which side is ours.
fn our_number(
    record: &Call,
    context: &Context,
    fact: &CallFact,
) -> Option<tollbook_core::phone::E164> {
    let workspace = context
        .participants
        .as_ref()
        .and_then(|sides| sides.workspace.as_ref()?.first());
    if let Some(text) = workspace {
        return text.parse().ok();
    }
    // The roles of `participants` were guessed; those of `from` and `to` were not.
    record.from.as_ref()?;
    let ours = match fact.direction? {
        Direction::Incoming => fact.to.as_ref(),
        Direction::Outgoing => fact.from.as_ref(),
    };
    ours?.number().cloned()
}

/// A finished call: its phase, and its outcome where the status and the times leave no doubt. The words of webhooks and
/// of lists differ and do not clash, so one table reads both.
pub(super) fn ended(fact: &mut CallFact, status: &str) {
    fact.phase = Some(Phase::Ended);
    fact.outcome = match status {
        "answered" | "ai-handled" => Some(Outcome::Answered),
        "forwarded" => Some(Outcome::Forwarded),
        "busy" => Some(Outcome::Busy),
        "failed" => Some(Outcome::Failed),
        "canceled" => Some(Outcome::Canceled),
        "abandoned" if fact.has_voicemail == Some(true) => Some(Outcome::Voicemail),
        "abandoned" => Some(Outcome::Abandoned),
        "unanswered" | "missed" | "no-answer" => not_answered(fact),
        _ if fact.answered_at.is_some() => Some(Outcome::Answered),
        _ if fact.forwarded_to.is_some() => Some(Outcome::Forwarded),
        "completed" => not_answered(fact),
        _ => None,
    };
}

/// Whether a message was left decides between the two, and may not be known yet.
fn not_answered(fact: &CallFact) -> Option<Outcome> {
    match (fact.direction, fact.has_voicemail) {
        (_, Some(true)) => Some(Outcome::Voicemail),
        (Some(Direction::Outgoing), _) | (_, Some(false)) => Some(Outcome::Missed),
        (Some(Direction::Incoming) | None, None) => None,
    }
}

/// The phase of a record fetched from a list.
pub(super) fn phase(fact: &mut CallFact, status: &str) {
    match status {
        "queued" | "initiated" => fact.phase = Some(Phase::Queued),
        "ringing" => fact.phase = Some(Phase::Ringing),
        "in-progress" => fact.phase = Some(Phase::InProgress),
        // Version 1 calls a call that is going on `answered` as well; only a finished one has an end.
        "answered" if fact.ended_at.is_none() => fact.phase = Some(Phase::InProgress),
        _ => ended(fact, status),
    }
}

/// A recording of a call. Without an id of its own (old webhooks) it is named after its place.
pub(super) fn recording(record: Recording, call_sid: &str, place: usize) -> RecordingFact {
    let state = record.status.as_deref().map(processing);
    let media = media(record.url, record.media_type);
    RecordingFact {
        sid: record.id.unwrap_or_else(|| format!("{call_sid}/{place}")),
        call_sid: call_sid.to_owned(),
        // Webhooks tell of finished recordings only and carry no status.
        state: state.unwrap_or(ProcessingState::Completed),
        started_at: record.start_time,
        duration: record.duration.as_ref().and_then(seconds),
        media,
        updated_at: None,
    }
}

/// Old webhooks list recordings as plain media.
pub(super) fn media_recording(item: MediaItem) -> Recording {
    Recording {
        url: item.url,
        media_type: item.media_type,
        duration: item.duration,
        ..Recording::default()
    }
}

/// A voicemail; `call_sid` stands in where the record does not name its call.
pub(super) fn voicemail(
    record: Voicemail,
    call_sid: Option<&str>,
    context: &Context,
) -> Option<VoicemailFact> {
    let call_sid = record.call_id.or_else(|| call_sid.map(str::to_owned))?;
    let sid = record.own_id.or(record.id);
    let sides = context.participants.as_ref();
    let head = |side: Option<&Vec<String>>| side.and_then(|texts| texts.first()).cloned();
    let from = record
        .from
        .or_else(|| head(sides.and_then(|sides| sides.external.as_ref())));
    let to = record
        .to
        .and_then(|to| to.into_vec().into_iter().next())
        .or_else(|| head(sides.and_then(|sides| sides.workspace.as_ref())));
    Some(VoicemailFact {
        sid: sid.unwrap_or_else(|| call_sid.clone()),
        call_sid,
        number_sid: context.phone_number_id.clone(),
        from: from.as_deref().map(Party::read),
        to: to.as_deref().map(Party::read),
        duration: record.duration.as_ref().and_then(seconds),
        transcript: record.transcript.filter(|text| !text.is_empty()),
        media: media(record.recording_url.or(record.url), record.media_type),
        left_at: record.created_at,
        updated_at: record.updated_at,
    })
}

/// The voicemail within a call's record, which leaves to the call what it has in common with it.
pub(super) fn voicemail_of(record: Voicemail, call: &CallFact) -> Option<VoicemailFact> {
    let mut fact = voicemail(record, Some(&call.sid), &Context::default())?;
    fact.number_sid.clone_from(&call.number_sid);
    fact.from = fact.from.or_else(|| call.from.clone());
    fact.to = fact.to.or_else(|| call.to.clone());
    Some(fact)
}

/// Whether a voicemail record stands for a message that was left.
pub(super) fn is_left(record: &Voicemail) -> bool {
    record.status.as_deref().map(processing) != Some(ProcessingState::Absent)
}

pub(super) fn transcript(record: Transcript, call_sid: Option<&str>) -> Option<TranscriptFact> {
    let status = record.status.or(record.processing_status);
    let lines = record.dialogue.unwrap_or_default();
    Some(TranscriptFact {
        call_sid: record.call_id.or_else(|| call_sid.map(str::to_owned))?,
        recording_sid: record.recording_id,
        state: status
            .as_deref()
            .map_or(ProcessingState::Completed, processing),
        lines: lines.into_iter().map(line).collect(),
        duration: record.duration.as_ref().and_then(seconds),
        created_at: record.created_at,
    })
}

fn line(utterance: Utterance) -> TranscriptLine {
    let offset = |number: Option<&Number>| number.and_then(millis).unwrap_or(0);
    TranscriptLine {
        speaker: utterance.identifier.as_deref().map(Party::read),
        user_sid: utterance.user_id.or(utterance.actor_id),
        text: utterance.content.unwrap_or_default(),
        start_ms: offset(utterance.start.as_ref()),
        end_ms: offset(utterance.end.as_ref()),
    }
}

pub(super) fn summary(record: Summary, call_sid: Option<&str>) -> Option<SummaryFact> {
    let status = record.status.or(record.processing_status);
    Some(SummaryFact {
        call_sid: record.call_id.or_else(|| call_sid.map(str::to_owned))?,
        state: status
            .as_deref()
            .map_or(ProcessingState::Completed, processing),
        points: record.points.unwrap_or_default(),
        next_steps: record.next_steps.unwrap_or_default(),
    })
}

/// A message; `None` without an id or a direction.
pub(super) fn message(record: Message, context: &Context) -> Option<MessageFact> {
    let direction = direction(record.direction.as_deref()?)?;
    let from = record.from.or_else(|| context.sender_identifier.clone());
    let to = record.to.map(OneOrMany::into_vec);
    let to = to.or_else(|| context.recipient_identifiers.clone());
    let from = from.as_deref().map(Party::read);
    let to: Vec<Party> = to
        .unwrap_or_default()
        .iter()
        .map(|text| Party::read(text))
        .collect();
    let our_number = match (direction, to.as_slice()) {
        (Direction::Outgoing, _) => from.as_ref().and_then(Party::number),
        (Direction::Incoming, [only]) => only.number(),
        // In a group it is not said which of them is ours.
        (Direction::Incoming, _) => None,
    };
    let items = record.media.unwrap_or_default().into_iter();
    Some(MessageFact {
        sid: record.id?,
        conversation_sid: record
            .conversation_id
            .or_else(|| context.conversation_id.clone()),
        number_sid: record
            .phone_number_id
            .or_else(|| context.phone_number_id.clone()),
        our_number: our_number.cloned(),
        direction,
        from,
        to,
        text: record.text.or(record.body),
        media: items
            .filter_map(|item| media(item.url, item.media_type))
            .collect(),
        status: record
            .status
            .as_deref()
            .and_then(|status| message_status(status, direction)),
        user_sid: match direction {
            Direction::Outgoing => record.user_id.or_else(|| context.user_id.clone()),
            Direction::Incoming => None,
        },
        error_code: record.error_code.and_then(code),
        segments: None,
        created_at: record.created_at,
        updated_at: record.updated_at,
    })
}

fn message_status(status: &str, direction: Direction) -> Option<MessageStatus> {
    match (status, direction) {
        ("received", _) | ("delivered", Direction::Incoming) => Some(MessageStatus::Received),
        ("delivered", Direction::Outgoing) => Some(MessageStatus::Delivered),
        ("queued", _) => Some(MessageStatus::Queued),
        ("sent", _) => Some(MessageStatus::Sent),
        ("undelivered", _) => Some(MessageStatus::Undelivered),
        ("failed", _) => Some(MessageStatus::Failed),
        _ => None,
    }
}

fn processing(status: &str) -> ProcessingState {
    match status {
        "absent" => ProcessingState::Absent,
        "completed" => ProcessingState::Completed,
        "failed" => ProcessingState::Failed,
        "deleted" => ProcessingState::Deleted,
        // in-progress, paused, processing, stopped, stopping: none of them is the end.
        _ => ProcessingState::InProgress,
    }
}

fn direction(text: &str) -> Option<Direction> {
    match text {
        "incoming" => Some(Direction::Incoming),
        "outgoing" => Some(Direction::Outgoing),
        _ => None,
    }
}

fn media(url: Option<String>, media_type: Option<String>) -> Option<Media> {
    let url = url.filter(|url| !url.is_empty())?;
    Some(Media {
        url: MediaUrl::new(url),
        media_type,
    })
}

fn code(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn first<const N: usize>(candidates: [&Option<String>; N]) -> Option<String> {
    candidates.into_iter().flatten().next().cloned()
}

/// Whole seconds, a fraction cut off.
pub(super) fn seconds(number: &Number) -> Option<Seconds> {
    let seconds = millis(number)? / 1000;
    u32::try_from(seconds).ok().map(Seconds::new)
}

/// Milliseconds of a decimal number of seconds, digits beyond the third cut off; `None` if negative or written with an
/// exponent, which no length of a call is. Read from the decimal text, so that no binary fraction comes near a time.
fn millis(number: &Number) -> Option<u64> {
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_plain = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let whole: u64 = whole.parse().ok()?;
    let thousandths: u64 = fraction.parse().ok()?;
    is_plain
        .then(|| whole.checked_mul(1000)?.checked_add(thousandths))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::Direction::{Incoming, Outgoing};
    use super::*;

    #[test]
    fn lengths_are_read_without_binary_fractions() {
        let of = |text: &str| millis(&serde_json::from_str::<Number>(text).unwrap());
        assert_eq!(of("56"), Some(56_000));
        assert_eq!(of("4.31"), Some(4_310));
        assert_eq!(of("0.0009"), Some(0));
        assert_eq!(of("1.9999"), Some(1_999));
        assert_eq!(of("-1"), None);
        assert_eq!(of("1e300"), None);
        assert_eq!(
            seconds(&serde_json::from_str("61.9").unwrap()),
            Some(Seconds::new(61))
        );
    }

    #[test]
    fn an_outcome_is_told_only_beyond_doubt() {
        let of = |direction, status: &str, has_voicemail, is_answered: bool| {
            let mut fact = CallFact::new("AC1");
            fact.direction = Some(direction);
            fact.has_voicemail = has_voicemail;
            fact.answered_at = is_answered.then_some(jiff::Timestamp::UNIX_EPOCH);
            phase(&mut fact, status);
            (fact.phase.unwrap(), fact.outcome)
        };
        let end = |outcome| (Phase::Ended, outcome);
        assert_eq!(
            of(Incoming, "completed", None, true),
            end(Some(Outcome::Answered))
        );
        assert_eq!(of(Incoming, "completed", None, false), end(None));
        assert_eq!(
            of(Incoming, "missed", Some(true), false),
            end(Some(Outcome::Voicemail))
        );
        assert_eq!(
            of(Incoming, "unanswered", Some(false), false),
            end(Some(Outcome::Missed))
        );
        assert_eq!(
            of(Outgoing, "no-answer", None, false),
            end(Some(Outcome::Missed))
        );
        assert_eq!(
            of(Incoming, "abandoned", Some(false), false),
            end(Some(Outcome::Abandoned))
        );
        assert_eq!(
            of(Incoming, "in-progress", None, true),
            (Phase::InProgress, None)
        );
        assert_eq!(of(Incoming, "something new", None, false), end(None));
    }
}
