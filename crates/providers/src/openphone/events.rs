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
    if kind == "call.missed" {
        // Only incoming calls are missed, and the event does not repeat it.
        record
            .direction
            .get_or_insert_with(|| "incoming".to_owned());
    }
    let mut fact = facts::call(&mut record, context).ok_or_else(no_id)?;
    match kind {
        "call.ringing" | "call.forwarded" => fact.phase = Some(Phase::Ringing),
        "call.answered" => fact.phase = Some(Phase::InProgress),
        // That nobody answered is certain; whether a message was left is told later.
        "call.missed" => fact.phase = Some(Phase::Ended),
        _ => facts::ended(&mut fact, record.status.as_deref().unwrap_or_default()),
    }
    let sid = fact.sid.clone();
    let voicemail = record.voicemail.filter(facts::is_left);
    let voicemail = voicemail.and_then(|voicemail| facts::voicemail_of(voicemail, &fact));
    let mut found = vec![Fact::Call(fact)];
    let media = record.media.unwrap_or_default();
    let recordings = record.recordings.unwrap_or_default().into_iter();
    let recordings = recordings.chain(media.into_iter().map(facts::media_recording));
    found.extend(
        recordings.enumerate().map(|(place, recording)| {
            Fact::Recording(facts::recording(recording, &sid, place + 1))
        }),
    );
    found.extend(voicemail.map(Fact::Voicemail));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::openphone::Scheme;

    /// The events of a sample, without what they do not know.
    fn events(sample: &str) -> String {
        let events = parse(sample.as_bytes()).unwrap();
        let text = events
            .iter()
            .map(|event| format!("{} at {}: {:?}\n", event.key, event.occurred_at, event.fact));
        crate::without_unknown(text.collect())
    }

    #[test]
    fn version_2026_03_30s_webhooks_about_calls_are_read() {
        insta::assert_snapshot!(events(include_str!("samples/2026_call_answered.json")), @r#"EV0102 at 2026-01-06T15:03:09.08Z: Call(CallFact { sid: "AC0001", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), user_sid: Some("US0002"), owner_sid: Some("US0001"), phase: Some(InProgress), started_at: Some(2026-01-06T15:03:04Z), answered_at: Some(2026-01-06T15:03:09Z), updated_at: Some(2026-01-06T15:03:09Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_call_completed.json")), @r#"EV0103 at 2026-01-06T15:04:05.12Z: Call(CallFact { sid: "AC0001", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ended), started_at: Some(2026-01-06T15:03:04Z), answered_at: Some(2026-01-06T15:03:09Z), ended_at: Some(2026-01-06T15:04:05Z), outcome: Some(Answered), duration: Some(Seconds(56)), has_voicemail: Some(false), updated_at: Some(2026-01-06T15:04:05.1Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_call_completed_unanswered.json")), @r#"EV0104 at 2026-01-06T15:04:05.12Z: Call(CallFact { sid: "AC0003", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ended), started_at: Some(2026-01-06T15:03:04Z), ended_at: Some(2026-01-06T15:04:05Z), outcome: Some(Missed), has_voicemail: Some(false), updated_at: Some(2026-01-06T15:04:05.1Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_call_forwarded.json")), @r#"EV0106 at 2026-01-06T15:04:05.12Z: Call(CallFact { sid: "AC0004", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ringing), started_at: Some(2026-01-06T15:03:04Z), forwarded_from: Some(Number(+12025550100)), forwarded_to: Some(Number(+12025550177)), updated_at: Some(2026-01-06T15:03:30Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_call_missed.json")), @r#"EV0105 at 2026-01-06T15:04:05.12Z: Call(CallFact { sid: "AC0003", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ended), started_at: Some(2026-01-06T15:03:04Z), updated_at: Some(2026-01-06T15:03:30Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_call_recording_completed.json")), @r#"
        EV0107 at 2026-01-06T15:04:05.12Z: Call(CallFact { sid: "AC0001", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ended), started_at: Some(2026-01-06T15:03:04Z), answered_at: Some(2026-01-06T15:03:09Z), ended_at: Some(2026-01-06T15:04:05Z), outcome: Some(Answered), duration: Some(Seconds(56)), has_voicemail: Some(false), updated_at: Some(2026-01-06T15:04:05.1Z) })
        EV0107#1 at 2026-01-06T15:04:05.12Z: Recording(RecordingFact { sid: "CR0001", call_sid: "AC0001", state: Completed, started_at: Some(2026-01-06T15:03:09Z), duration: Some(Seconds(30)), media: Some(Media { url: MediaUrl(…), media_type: Some("audio/mpeg") }) })
        EV0107#2 at 2026-01-06T15:04:05.12Z: Recording(RecordingFact { sid: "CR0002", call_sid: "AC0001", state: Completed, started_at: Some(2026-01-06T15:03:45Z), duration: Some(Seconds(20)), media: Some(Media { url: MediaUrl(…), media_type: Some("audio/mpeg") }) })
        "#);
        insta::assert_snapshot!(events(include_str!("samples/2026_call_ringing.json")), @r#"EV0101 at 2026-01-06T15:03:04.09Z: Call(CallFact { sid: "AC0001", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ringing), started_at: Some(2026-01-06T15:03:04Z), updated_at: Some(2026-01-06T15:03:04Z) })"#);
    }

    #[test]
    fn version_2026_03_30s_webhooks_about_more_are_read() {
        insta::assert_snapshot!(events(include_str!("samples/2026_call_summary_completed.json")), @r#"EV0108 at 2026-01-06T15:04:05.12Z: Summary(SummaryFact { call_sid: "AC0001", state: Absent, points: [], next_steps: [] })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_call_transcript_completed.json")), @r#"EV0109 at 2026-01-06T15:04:05.12Z: Transcript(TranscriptFact { call_sid: "AC0001", state: Completed, lines: [TranscriptLine { speaker: Some(Number(+12025550100)), user_sid: Some("US0002"), text: "Hello?", start_ms: 0, end_ms: 1250 }], duration: Some(Seconds(56)), created_at: Some(2026-01-06T15:05:40Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_call_voicemail_completed.json")), @r#"EV0110 at 2026-01-06T15:04:05.12Z: Voicemail(VoicemailFact { sid: "VM0001", call_sid: "AC0003", number_sid: Some("PN0001"), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), duration: Some(Seconds(12)), media: Some(Media { url: MediaUrl(…) }), left_at: Some(2026-01-06T15:03:42Z), updated_at: Some(2026-01-06T15:03:55Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_contact_updated.json")), @r#"EV0113 at 2026-01-06T15:04:05.12Z: Ignored { kind: "contact.updated" }"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_draft_call_completed.json")), @r#"EV0114 at 2026-01-06T15:04:05.12Z: Call(CallFact { sid: "AC0001", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ended), started_at: Some(2026-01-06T15:03:04Z), answered_at: Some(2026-01-06T15:03:09Z), ended_at: Some(2026-01-06T15:04:05Z), outcome: Some(Answered), duration: Some(Seconds(56)), has_voicemail: Some(false), updated_at: Some(2026-01-06T15:04:05.1Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_message_failed.json")), @r#"EV0112 at 2026-01-06T15:04:05.12Z: Message(MessageFact { sid: "AC0102", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Outgoing, from: Some(Number(+12025550100)), to: [Number(+12025550123)], text: Some("Yes, at nine."), media: [], status: Some(Failed), user_sid: Some("US0001"), error_code: Some("30008"), created_at: Some(2026-01-06T15:10:00Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/2026_message_received.json")), @r#"EV0111 at 2026-01-06T15:04:05.12Z: Message(MessageFact { sid: "AC0101", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Incoming, from: Some(Number(+12025550123)), to: [Number(+12025550100)], text: Some("Is Thursday free?"), media: [], status: Some(Received), created_at: Some(2026-01-06T15:10:00Z) })"#);
    }

    #[test]
    fn version_1s_webhooks_are_read() {
        insta::assert_snapshot!(events(include_str!("samples/v4_call_completed.json")), @r#"EV0002 at 2026-01-06T15:04:05Z: Call(CallFact { sid: "AC0001", number_sid: Some("PN0001"), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), user_sid: Some("US0001"), owner_sid: Some("US0001"), phase: Some(Ended), started_at: Some(2026-01-06T15:03:04Z), answered_at: Some(2026-01-06T15:03:09Z), ended_at: Some(2026-01-06T15:04:05Z), outcome: Some(Answered), duration: Some(Seconds(56)), updated_at: Some(2026-01-06T15:04:05Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/v4_call_recording_completed.json")), @r#"
        EV0004 at 2026-01-06T15:04:05Z: Call(CallFact { sid: "AC0001", number_sid: Some("PN0001"), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), user_sid: Some("US0001"), owner_sid: Some("US0001"), phase: Some(Ended), started_at: Some(2026-01-06T15:03:04Z), answered_at: Some(2026-01-06T15:03:09Z), ended_at: Some(2026-01-06T15:04:05Z), outcome: Some(Answered), duration: Some(Seconds(56)), updated_at: Some(2026-01-06T15:04:05Z) })
        EV0004#1 at 2026-01-06T15:04:05Z: Recording(RecordingFact { sid: "AC0001/1", call_sid: "AC0001", state: Completed, duration: Some(Seconds(56)), media: Some(Media { url: MediaUrl(…), media_type: Some("audio/mpeg") }) })
        "#);
        insta::assert_snapshot!(events(include_str!("samples/v4_call_ringing.json")), @r#"EV0003 at 2026-01-06T15:04:05Z: Call(CallFact { sid: "AC0001", number_sid: Some("PN0001"), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ringing), started_at: Some(2026-01-06T15:03:04Z), duration: Some(Seconds(0)) })"#);
        insta::assert_snapshot!(events(include_str!("samples/v4_call_summary_completed.json")), @r#"EV0005 at 2026-01-06T15:04:05Z: Summary(SummaryFact { call_sid: "AC0001", state: Completed, points: ["The caller asked for an appointment."], next_steps: ["Call back on Thursday."] })"#);
        insta::assert_snapshot!(events(include_str!("samples/v4_call_transcript_completed.json")), @r#"EV0006 at 2026-01-06T15:04:05Z: Transcript(TranscriptFact { call_sid: "AC0001", state: Completed, lines: [TranscriptLine { speaker: Some(Number(+12025550100)), user_sid: Some("US0001"), text: "Hello, how can I help?", start_ms: 360, end_ms: 2100 }, TranscriptLine { speaker: Some(Number(+12025550123)), text: "I would like an appointment.", start_ms: 2750, end_ms: 5004 }], duration: Some(Seconds(56)), created_at: Some(2026-01-06T15:05:40Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/v4_message_delivered.json")), @r#"EV0008 at 2026-01-06T15:04:05Z: Message(MessageFact { sid: "AC0102", number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Outgoing, from: Some(Number(+12025550100)), to: [Number(+12025550123)], text: Some("Yes, at nine."), media: [], status: Some(Delivered), user_sid: Some("US0001"), created_at: Some(2026-01-06T15:10:00Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/v4_message_received.json")), @r#"EV0007 at 2026-01-06T15:04:05Z: Message(MessageFact { sid: "AC0101", number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Incoming, from: Some(Number(+12025550123)), to: [Number(+12025550100)], text: Some("Is Thursday free?"), media: [], status: Some(Received), created_at: Some(2026-01-06T15:10:00Z) })"#);
    }

    #[test]
    fn the_apps_webhooks_are_read() {
        insta::assert_snapshot!(events(include_str!("samples/v3_call_completed_voicemail.json")), @r#"
        EV0009 at 2026-01-06T15:04:05Z: Call(CallFact { sid: "AC0002", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Anonymous), to: Some(Number(+12025550100)), owner_sid: Some("US0001"), phase: Some(Ended), started_at: Some(2026-01-06T16:00:00Z), ended_at: Some(2026-01-06T16:00:40Z), outcome: Some(Voicemail), has_voicemail: Some(true) })
        EV0009#1 at 2026-01-06T15:04:05Z: Voicemail(VoicemailFact { sid: "AC0002", call_sid: "AC0002", number_sid: Some("PN0001"), from: Some(Anonymous), to: Some(Number(+12025550100)), duration: Some(Seconds(12)), media: Some(Media { url: MediaUrl(…), media_type: Some("audio/mpeg") }) })
        "#);
        insta::assert_snapshot!(events(include_str!("samples/v3_message_received.json")), @r#"EV0010 at 2026-01-06T15:04:05Z: Message(MessageFact { sid: "AC0103", conversation_sid: Some("CN0001"), number_sid: Some("PN0001"), our_number: Some(+12025550100), direction: Incoming, from: Some(Number(+12025550123)), to: [Number(+12025550100)], text: Some("See the picture."), media: [Media { url: MediaUrl(…), media_type: Some("image/jpeg") }], status: Some(Received), created_at: Some(2026-01-06T15:10:00Z) })"#);
    }

    #[test]
    fn an_event_of_no_interest_needs_no_resource() {
        let body =
            json!({"id": "EV1", "type": "task.created", "createdAt": "2026-01-06T15:00:00Z"});
        let events = parse(body.to_string().as_bytes()).unwrap();
        let kind = "task.created".to_owned();
        assert_eq!(events[0].fact, Fact::Ignored { kind });
    }

    #[test]
    fn what_is_wrong_with_a_webhook_is_said_without_its_content() {
        let of = |body: &str| parse(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(of("{"), "malformed webhook: cut off at line 1 column 1");
        assert_eq!(
            of("[]"),
            "malformed webhook: unexpected JSON at line 1 column 2"
        );
        assert_eq!(
            of(
                r#"{"id":"EV1","type":"call.ringing","createdAt":"2026-01-06T15:00:00Z","data":{}}"#
            ),
            "malformed webhook: missing data.resource or data.object"
        );
        assert_eq!(
            of(r#"{"id":"EV1","type":"call.ringing","data":{"object":{"direction":"incoming"}}}"#),
            "malformed webhook: the resource has no id"
        );
        assert_eq!(
            of(r#"{"id":"EV1","type":"call.ringing","data":{"object":{"id":"AC1"}}}"#),
            "malformed webhook: missing createdAt"
        );
        let private = of(
            r#"{"id":"EV1","type":"message.received","data":{"object":{"id":["+12025550123"]}}}"#,
        );
        assert!(!private.contains("2025550123"), "{private}");
    }

    #[test]
    fn a_webhook_is_known_by_its_delivery_its_envelope_or_its_bytes() {
        let mut verified = Verified {
            scheme: Scheme::Standard,
            delivery_id: Some("msg_1".to_owned()),
            signed_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let body = br#"{"id":"EV1","type":"call.ringing"}"#;
        assert_eq!(dedupe_key(&verified, body), "msg_1");
        verified.delivery_id = None;
        assert_eq!(dedupe_key(&verified, body), "EV1");
        assert_eq!(
            dedupe_key(&verified, b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    /// JSON of any shape under the names that the provider uses.
    fn any_json() -> impl Strategy<Value = Value> {
        let names = prop_oneof![
            Just("id"),
            Just("to"),
            Just("participants"),
            Just("duration"),
            Just("dialogue"),
            Just("media"),
            Just("voicemail"),
            Just("createdAt"),
            Just("recordings"),
            Just("status"),
            Just("errorCode"),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            Just(Value::from("2026-01-06T15:00:00Z")),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| {
                    let fields = fields
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value));
                    Value::Object(fields.collect())
                }),
            ]
        })
    }

    const KINDS: [&str; 9] = [
        "call.ringing",
        "call.completed",
        "call.recording.completed",
        "call.voicemail.completed",
        "call.transcript.completed",
        "call.summary.completed",
        "message.received",
        "message.failed",
        "else",
    ];

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse(&body);
        }

        #[test]
        fn any_resource_is_read_or_refused(
            kind in prop::sample::select(&KINDS[..]),
            resource in any_json(),
            context in any_json(),
            place in prop::sample::select(&["object", "resource"][..]),
        ) {
            let mut data = serde_json::Map::new();
            data.insert(place.to_owned(), resource);
            data.insert("context".to_owned(), context);
            let body = json!({"id": "EV1", "type": kind, "createdAt": "2026-01-06T15:00:00Z", "data": data});
            if let Ok(events) = parse(body.to_string().as_bytes()) {
                prop_assert!(!events.is_empty());
                prop_assert_eq!(&events[0].key, "EV1");
            }
        }
    }
}
