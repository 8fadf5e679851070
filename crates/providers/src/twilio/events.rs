//! What a webhook says. Its kind is read from its parameters, not from the address, which is only a hint.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;
use tollbook_core::calls::{
    CallFact, Direction, Fact, Media, MediaUrl, MessageFact, Outcome, Phase, ProcessingState,
    ProviderEvent, RecordingFact, TranscriptFact, TranscriptLine, VoicemailFact,
};
use tollbook_core::phone::Party;
use tollbook_core::time::Seconds;

use super::leg::{self, Role};
use super::message_status;
use crate::Malformed;

const WEBHOOK: &str = "webhook";

/// The parameters of a webhook, by name.
struct Parameters(BTreeMap<String, String>);

/// The facts in a webhook's parameters: the body of a POST, the query of a GET, or the members of a JSON object.
/// `received_at` stands in where the provider states no time, which is so for everything that begins.
///
/// The first event's key is the key of the webhook.
pub fn parse(parameters: &[u8], received_at: Timestamp) -> Result<Vec<ProviderEvent>, Malformed> {
    let parameters = Parameters::read(parameters)?;
    let at = parameters.time("Timestamp");
    let facts = if parameters.has("TranscriptionSid") {
        transcription(&parameters)?
    } else if parameters.has("RecordingStatus") {
        recording(&parameters)?
    } else if parameters.has("MessageSid") {
        message(&parameters, received_at)?
    } else if parameters.has("CallSid") {
        call(&parameters, at, received_at)?
    } else {
        let (kind, sid) = match parameters.get("PayloadType") {
            Some(_) => ("debugger", parameters.text("Sid")),
            None => ("unknown", ""),
        };
        vec![(format!("ignored:{kind}:{sid}"), ignored(kind))]
    };
    let occurred_at = at.unwrap_or(received_at);
    Ok(facts
        .into_iter()
        .map(|(key, fact)| ProviderEvent {
            key,
            occurred_at,
            fact,
        })
        .collect())
}

type Found = Vec<(String, Fact)>;

/// A call's start, its status, or the end of what it dialled.
fn call(
    parameters: &Parameters,
    at: Option<Timestamp>,
    received_at: Timestamp,
) -> Result<Found, Malformed> {
    let sid = parameters.required("CallSid")?;
    let status = parameters.required("CallStatus")?;
    if parameters.has("DialCallStatus") {
        return Ok(dialled(parameters, sid, received_at));
    }
    let (from, to) = (parameters.text("From"), parameters.text("To"));
    let parent_sid = parameters.get("ParentCallSid");
    let role = Role::of(parameters.text("Direction"), from, parent_sid.is_some());
    let phase = role.phase(status);
    let told_at = at.unwrap_or(received_at);
    let length = parameters.seconds("CallDuration");
    let fact = CallFact {
        sid: sid.to_owned(),
        parent_sid: parent_sid.map(str::to_owned),
        our_number: match role {
            Role::Incoming => leg::number(to),
            Role::Outgoing => leg::number(from),
            Role::Browser | Role::Child => None,
        },
        direction: role.direction(),
        from: parameters.get("From").map(Party::read),
        to: parameters.get("To").map(Party::read),
        user_sid: match role {
            Role::Browser => leg::user(from),
            Role::Child => leg::user(to),
            Role::Incoming | Role::Outgoing => None,
        },
        phase,
        started_at: matches!(status, "queued" | "initiated" | "ringing").then_some(told_at),
        answered_at: (phase == Some(Phase::InProgress)).then_some(at).flatten(),
        ended_at: (phase == Some(Phase::Ended)).then_some(told_at),
        outcome: role.outcome(status),
        duration: length,
        talked: length.filter(|_| role.is_talk()),
        forwarded_from: parameters.get("ForwardedFrom").map(Party::read),
        ..CallFact::default()
    };
    let number = parameters.text("SequenceNumber");
    let mut found = vec![(format!("call:{sid}:{status}:{number}"), Fact::Call(fact))];
    // With the end of a call that we asked to be recorded; it has no callback of its own then. A message that a caller
    // left is asked about with the key that ended it; its own callback tells of it.
    if let (Some(recording_sid), Some(url), None) = (
        parameters.get("RecordingSid"),
        parameters.get("RecordingUrl"),
        parameters.0.get("Digits"),
    ) {
        let fact = RecordingFact {
            sid: recording_sid.to_owned(),
            call_sid: sid.to_owned(),
            state: ProcessingState::Completed,
            started_at: None,
            duration: parameters.seconds("RecordingDuration"),
            media: Some(media(url)),
            updated_at: None,
        };
        found.push((
            format!("recording:{recording_sid}:completed"),
            Fact::Recording(fact),
        ));
    }
    Ok(found)
}

/// What became of the leg that a call dialled. It tells of the leg, since the leg is the talk.
fn dialled(parameters: &Parameters, parent_sid: &str, received_at: Timestamp) -> Found {
    let status = parameters.text("DialCallStatus");
    // Nothing was dialled, as with an empty list of people: the call itself stays without an answer.
    let Some(sid) = parameters.get("DialCallSid") else {
        return vec![(format!("dial:{parent_sid}:none:{status}"), ignored("dial"))];
    };
    let key = format!("dial:{sid}:{status}");
    let outcome = Role::Child.outcome(status);
    let talked = parameters.seconds("DialCallDuration");
    let child = CallFact {
        sid: sid.to_owned(),
        parent_sid: Some(parent_sid.to_owned()),
        // `answered` is said where the call goes on after the first leg.
        phase: Role::Child.phase(if status == "answered" {
            "completed"
        } else {
            status
        }),
        ended_at: Some(received_at),
        outcome,
        talked,
        ..CallFact::default()
    };
    let mut found = vec![(key.clone(), Fact::Call(child))];
    // A person answered, so the call was answered. If nobody did, what becomes of it is still open.
    if outcome == Some(Outcome::Answered) {
        let parent = CallFact {
            outcome,
            talked,
            ..CallFact::new(parent_sid)
        };
        found.push((format!("{key}#1"), Fact::Call(parent)));
    }
    found
}

/// A recording; one made by `<Record>` is a voicemail, since only the caller is on it.
fn recording(parameters: &Parameters) -> Result<Found, Malformed> {
    let sid = parameters.required("RecordingSid")?;
    let call_sid = parameters.required("CallSid")?;
    let status = parameters.text("RecordingStatus");
    let key = format!("recording:{sid}:{status}");
    let state = match status {
        "completed" => ProcessingState::Completed,
        "absent" => ProcessingState::Absent,
        "failed" => ProcessingState::Failed,
        _ => ProcessingState::InProgress,
    };
    let started_at = parameters.time("RecordingStartTime");
    let duration = parameters.seconds("RecordingDuration");
    let media = parameters.get("RecordingUrl").map(media);
    if parameters.text("RecordingSource") != "RecordVerb" {
        let fact = RecordingFact {
            sid: sid.to_owned(),
            call_sid: call_sid.to_owned(),
            state,
            started_at,
            duration,
            media: media.filter(|_| state == ProcessingState::Completed),
            updated_at: None,
        };
        return Ok(vec![(key, Fact::Recording(fact))]);
    }
    if state != ProcessingState::Completed {
        return Ok(vec![(key, ignored("recording"))]);
    }
    let fact = VoicemailFact {
        sid: sid.to_owned(),
        call_sid: call_sid.to_owned(),
        number_sid: None,
        from: None,
        to: None,
        duration,
        transcript: None,
        media,
        left_at: started_at,
        updated_at: None,
    };
    Ok(vec![(key, Fact::Voicemail(fact))])
}

fn transcription(parameters: &Parameters) -> Result<Found, Malformed> {
    let sid = parameters.required("TranscriptionSid")?;
    let status = parameters.text("TranscriptionStatus");
    let text = parameters.get("TranscriptionText");
    let line = |text: &str| TranscriptLine {
        speaker: parameters.get("From").map(Party::read),
        user_sid: None,
        text: text.to_owned(),
        start_ms: 0,
        end_ms: 0,
    };
    let fact = TranscriptFact {
        call_sid: parameters.required("CallSid")?.to_owned(),
        recording_sid: parameters.get("RecordingSid").map(str::to_owned),
        state: match status {
            "completed" => ProcessingState::Completed,
            "failed" => ProcessingState::Failed,
            _ => ProcessingState::InProgress,
        },
        lines: text.map(line).into_iter().collect(),
        duration: None,
        created_at: None,
    };
    Ok(vec![(
        format!("transcription:{sid}:{status}"),
        Fact::Transcript(fact),
    )])
}

/// A message that came in, or how far one of ours is.
fn message(parameters: &Parameters, received_at: Timestamp) -> Result<Found, Malformed> {
    let sid = parameters.required("MessageSid")?;
    let status = parameters.get("MessageStatus");
    let status = status
        .or_else(|| parameters.get("SmsStatus"))
        .unwrap_or("received");
    let direction = match status {
        "received" | "receiving" => Direction::Incoming,
        _ => Direction::Outgoing,
    };
    let (from, to) = (parameters.text("From"), parameters.text("To"));
    let error_code = parameters.get("ErrorCode");
    let count: usize = parameters.text("NumMedia").parse().unwrap_or(0);
    // A carrier sends ten at most; a larger number is not believed.
    let media = (0..count.min(10)).filter_map(|place| {
        let url = parameters.get(&format!("MediaUrl{place}"))?;
        let media_type = parameters.get(&format!("MediaContentType{place}"));
        Some(Media {
            url: MediaUrl::new(url),
            media_type: media_type.map(str::to_owned),
        })
    });
    let fact = MessageFact {
        sid: sid.to_owned(),
        conversation_sid: None,
        number_sid: None,
        our_number: leg::number(match direction {
            Direction::Incoming => to,
            Direction::Outgoing => from,
        }),
        direction,
        from: parameters.get("From").map(Party::read),
        to: parameters.get("To").map(Party::read).into_iter().collect(),
        text: parameters.0.get("Body").cloned(),
        media: media.collect(),
        status: message_status(status),
        user_sid: None,
        error_code: error_code.map(str::to_owned),
        segments: parameters
            .text("NumSegments")
            .parse()
            .ok()
            .filter(|count| *count > 0),
        created_at: (direction == Direction::Incoming).then_some(received_at),
        updated_at: None,
    };
    // A message may be reported twice with another reason or another time of the carrier's.
    let reported = parameters.text("RawDlrDoneDate");
    let code = error_code.unwrap_or_default();
    Ok(vec![(
        format!("message:{sid}:{status}:{code}:{reported}"),
        Fact::Message(fact),
    )])
}

fn media(url: &str) -> Media {
    // Without a suffix the provider sends WAV.
    Media {
        url: MediaUrl::new(url),
        media_type: Some("audio/x-wav".to_owned()),
    }
}

fn ignored(kind: &str) -> Fact {
    Fact::Ignored {
        kind: kind.to_owned(),
    }
}

impl Parameters {
    /// A form has no brace that is not encoded, so one at the start begins a JSON object.
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        let mut found = BTreeMap::new();
        if text.trim_ascii_start().starts_with(b"{") {
            let members: BTreeMap<String, Value> = serde_json::from_slice(text)
                .map_err(|error| Malformed::new(WEBHOOK, error.to_string()))?;
            for (name, value) in members {
                match value {
                    Value::String(text) => drop(found.insert(name, text)),
                    Value::Number(number) => drop(found.insert(name, number.to_string())),
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
                }
            }
        } else {
            for (name, value) in form_urlencoded::parse(text) {
                found.entry(name.into_owned()).or_insert(value.into_owned());
            }
        }
        Ok(Self(found))
    }

    /// A value that is there and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    fn required(&self, name: &'static str) -> Result<&str, Malformed> {
        self.get(name)
            .ok_or_else(|| Malformed::new(WEBHOOK, format!("missing {name}")))
    }

    fn seconds(&self, name: &str) -> Option<Seconds> {
        self.get(name)?.parse().ok().map(Seconds::new)
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        Some(rfc2822::parse(self.get(name)?).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollbook_core::calls::{Leg, group};

    use super::*;

    const RECEIVED_AT: &str = "2026-01-06T15:03:04Z";

    fn read(sample: &str) -> Vec<ProviderEvent> {
        parse(sample.as_bytes(), RECEIVED_AT.parse().unwrap()).unwrap()
    }

    /// The events of a sample, without what they do not know.
    fn events(sample: &str) -> String {
        let events = read(sample);
        let text = events
            .iter()
            .map(|event| format!("{} at {}: {:?}\n", event.key, event.occurred_at, event.fact));
        crate::without_unknown(text.collect())
    }

    #[test]
    fn webhooks_about_calls_and_legs_are_read() {
        insta::assert_snapshot!(events(include_str!("samples/voice.form")), @r#"call:CA00000000000000000000000000000001:ringing: at 2026-01-06T15:03:04Z: Call(CallFact { sid: "CA00000000000000000000000000000001", our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), phase: Some(Ringing), started_at: Some(2026-01-06T15:03:04Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/voice_withheld.form")), @r#"call:CA00000000000000000000000000000001:ringing: at 2026-01-06T15:03:04Z: Call(CallFact { sid: "CA00000000000000000000000000000001", our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Anonymous), to: Some(Number(+12025550100)), phase: Some(Ringing), started_at: Some(2026-01-06T15:03:04Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/voice_browser.form")), @r#"call:CA00000000000000000000000000000001:ringing: at 2026-01-06T15:03:04Z: Call(CallFact { sid: "CA00000000000000000000000000000001", direction: Some(Outgoing), from: Some(Other("client:t42_u7")), to: Some(Number(+12025550177)), user_sid: Some("t42_u7"), phase: Some(Ringing), started_at: Some(2026-01-06T15:03:04Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/leg_answered.form")), @r#"call:CA00000000000000000000000000000002:in-progress:2 at 2026-01-06T15:03:09Z: Call(CallFact { sid: "CA00000000000000000000000000000002", parent_sid: Some("CA00000000000000000000000000000001"), from: Some(Number(+12025550123)), to: Some(Other("client:ada")), user_sid: Some("ada"), phase: Some(InProgress), answered_at: Some(2026-01-06T15:03:09Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/leg_completed.form")), @r#"call:CA00000000000000000000000000000002:completed:3 at 2026-01-06T15:04:10Z: Call(CallFact { sid: "CA00000000000000000000000000000002", parent_sid: Some("CA00000000000000000000000000000001"), from: Some(Number(+12025550123)), to: Some(Other("client:ada")), user_sid: Some("ada"), phase: Some(Ended), ended_at: Some(2026-01-06T15:04:10Z), outcome: Some(Answered), duration: Some(Seconds(61)), talked: Some(Seconds(61)) })"#);
        insta::assert_snapshot!(events(include_str!("samples/dial_completed.form")), @r#"
        dial:CA00000000000000000000000000000002:completed at 2026-01-06T15:03:04Z: Call(CallFact { sid: "CA00000000000000000000000000000002", parent_sid: Some("CA00000000000000000000000000000001"), phase: Some(Ended), ended_at: Some(2026-01-06T15:03:04Z), outcome: Some(Answered), talked: Some(Seconds(61)) })
        dial:CA00000000000000000000000000000002:completed#1 at 2026-01-06T15:03:04Z: Call(CallFact { sid: "CA00000000000000000000000000000001", outcome: Some(Answered), talked: Some(Seconds(61)) })
        "#);
        insta::assert_snapshot!(events(include_str!("samples/dial_no_answer.form")), @r#"dial:CA00000000000000000000000000000002:no-answer at 2026-01-06T15:03:04Z: Call(CallFact { sid: "CA00000000000000000000000000000002", parent_sid: Some("CA00000000000000000000000000000001"), phase: Some(Ended), ended_at: Some(2026-01-06T15:03:04Z), outcome: Some(Missed) })"#);
        insta::assert_snapshot!(events(include_str!("samples/call_completed.form")), @r#"call:CA00000000000000000000000000000001:completed: at 2026-01-06T15:04:10Z: Call(CallFact { sid: "CA00000000000000000000000000000001", our_number: Some(+12025550100), direction: Some(Incoming), from: Some(Number(+12025550123)), to: Some(Number(+12025550100)), phase: Some(Ended), ended_at: Some(2026-01-06T15:04:10Z), duration: Some(Seconds(66)) })"#);
        insta::assert_snapshot!(events(include_str!("samples/outgoing_busy.form")), @r#"call:CA00000000000000000000000000000003:busy:2 at 2026-01-06T15:03:09Z: Call(CallFact { sid: "CA00000000000000000000000000000003", our_number: Some(+12025550100), direction: Some(Outgoing), from: Some(Number(+12025550100)), to: Some(Number(+12025550123)), phase: Some(Ended), ended_at: Some(2026-01-06T15:03:09Z), outcome: Some(Busy), duration: Some(Seconds(0)), talked: Some(Seconds(0)) })"#);
        insta::assert_snapshot!(events(include_str!("samples/outgoing_completed_recorded.form")), @r#"
        call:CA00000000000000000000000000000003:completed:3 at 2026-01-06T15:04:05Z: Call(CallFact { sid: "CA00000000000000000000000000000003", our_number: Some(+12025550100), direction: Some(Outgoing), from: Some(Number(+12025550100)), to: Some(Number(+12025550123)), phase: Some(Ended), ended_at: Some(2026-01-06T15:04:05Z), outcome: Some(Answered), duration: Some(Seconds(61)), talked: Some(Seconds(61)) })
        recording:RE00000000000000000000000000000001:completed at 2026-01-06T15:04:05Z: Recording(RecordingFact { sid: "RE00000000000000000000000000000001", call_sid: "CA00000000000000000000000000000003", state: Completed, duration: Some(Seconds(61)), media: Some(Media { url: MediaUrl(…), media_type: Some("audio/x-wav") }) })
        "#);
    }

    #[test]
    fn webhooks_about_recordings_and_messages_are_read() {
        insta::assert_snapshot!(events(include_str!("samples/recording_completed.form")), @r#"recording:RE00000000000000000000000000000001:completed at 2026-01-06T15:03:04Z: Recording(RecordingFact { sid: "RE00000000000000000000000000000001", call_sid: "CA00000000000000000000000000000001", state: Completed, started_at: Some(2026-01-06T15:03:09Z), duration: Some(Seconds(61)), media: Some(Media { url: MediaUrl(…), media_type: Some("audio/x-wav") }) })"#);
        insta::assert_snapshot!(events(include_str!("samples/recording_absent.form")), @r#"recording:RE00000000000000000000000000000001:absent at 2026-01-06T15:03:04Z: Recording(RecordingFact { sid: "RE00000000000000000000000000000001", call_sid: "CA00000000000000000000000000000001", state: Absent, started_at: Some(2026-01-06T15:03:09Z), duration: Some(Seconds(0)) })"#);
        insta::assert_snapshot!(events(include_str!("samples/voicemail_completed.form")), @r#"recording:RE00000000000000000000000000000001:completed at 2026-01-06T15:03:04Z: Voicemail(VoicemailFact { sid: "RE00000000000000000000000000000001", call_sid: "CA00000000000000000000000000000001", duration: Some(Seconds(12)), media: Some(Media { url: MediaUrl(…), media_type: Some("audio/x-wav") }), left_at: Some(2026-01-06T15:03:09Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/transcription_completed.form")), @r#"transcription:TR00000000000000000000000000000001:completed at 2026-01-06T15:03:04Z: Transcript(TranscriptFact { call_sid: "CA00000000000000000000000000000001", recording_sid: Some("RE00000000000000000000000000000001"), state: Completed, lines: [TranscriptLine { speaker: Some(Number(+12025550123)), text: "Call me back.", start_ms: 0, end_ms: 0 }] })"#);
        insta::assert_snapshot!(events(include_str!("samples/sms_received.form")), @r#"message:SM00000000000000000000000000000001:received:: at 2026-01-06T15:03:04Z: Message(MessageFact { sid: "SM00000000000000000000000000000001", our_number: Some(+12025550100), direction: Incoming, from: Some(Number(+12025550123)), to: [Number(+12025550100)], text: Some("Is Thursday free? ☎"), media: [Media { url: MediaUrl(…), media_type: Some("image/jpeg") }], status: Some(Received), segments: Some(1), created_at: Some(2026-01-06T15:03:04Z) })"#);
        insta::assert_snapshot!(events(include_str!("samples/sms_status_undelivered.form")), @r#"message:SM00000000000000000000000000000001:undelivered:30003:2601061504 at 2026-01-06T15:03:04Z: Message(MessageFact { sid: "SM00000000000000000000000000000001", our_number: Some(+12025550100), direction: Outgoing, from: Some(Number(+12025550100)), to: [Number(+12025550123)], media: [], status: Some(Undelivered), error_code: Some("30003") })"#);
        insta::assert_snapshot!(events(include_str!("samples/debugger.form")), @r#"ignored:debugger:NO1 at 2026-01-06T15:03:04Z: Ignored { kind: "debugger" }"#);
    }

    #[test]
    fn two_legs_are_one_call_and_the_talk_is_the_second_ones() {
        let samples = [
            include_str!("samples/voice.form"),
            include_str!("samples/leg_answered.form"),
            include_str!("samples/leg_completed.form"),
            include_str!("samples/dial_completed.form"),
            include_str!("samples/call_completed.form"),
        ];
        let events: Vec<_> = samples.into_iter().flat_map(read).collect();
        let mut calls = group(events.iter().filter_map(Leg::seen));
        assert_eq!(calls.len(), 1);
        let call = calls.remove(0).state();
        assert_eq!(call.phase, Phase::Ended);
        assert_eq!(call.outcome, Some(Outcome::Answered));
        assert_eq!(call.direction, Some(Direction::Incoming));
        assert_eq!(call.external, Some(Party::read("+12025550123")));
        assert_eq!(call.our_number.unwrap().as_str(), "+12025550100");
        assert_eq!(call.billable, Some(Seconds::new(61)));
        assert_eq!(call.user_sids, ["ada"]);
    }

    #[test]
    fn a_voicemail_is_not_time_talked() {
        let samples = [
            include_str!("samples/voice.form"),
            include_str!("samples/dial_no_answer.form"),
            include_str!("samples/voicemail_completed.form"),
            include_str!("samples/call_completed.form"),
        ];
        let events: Vec<_> = samples.into_iter().flat_map(read).collect();
        let call = group(events.iter().filter_map(Leg::seen)).remove(0).state();
        assert_eq!(call.outcome, Some(Outcome::Voicemail));
        assert_eq!(call.billable, Some(Seconds::ZERO));
    }

    #[test]
    fn a_json_body_says_the_same_as_a_form() {
        let form =
            "CallSid=CA1&CallStatus=completed&Direction=inbound&CallDuration=61&To=%2B12025550100";
        let json = r#"{"CallSid": "CA1", "CallStatus": "completed", "Direction": "inbound", "CallDuration": 61, "To": "+12025550100"}"#;
        assert_eq!(read(json), read(form));
        let now = RECEIVED_AT.parse().unwrap();
        assert!(parse(b"{\"CallSid\": ", now).is_err());
    }

    #[test]
    fn the_end_of_a_message_is_no_recording_of_the_call() {
        let ended = read(
            "CallSid=CA1&CallStatus=in-progress&Direction=inbound&RecordingSid=RE1&RecordingUrl=https%3A%2F%2Fa.example&Digits=hangup",
        );
        assert!(matches!(&ended[..], [event] if matches!(event.fact, Fact::Call(_))));
    }

    #[test]
    fn a_webhook_without_its_id_is_malformed() {
        let now = RECEIVED_AT.parse().unwrap();
        let of = |text: &str| parse(text.as_bytes(), now).unwrap_err().to_string();
        assert_eq!(of("CallSid=CA1"), "malformed webhook: missing CallStatus");
        assert_eq!(
            of("RecordingStatus=completed&RecordingSid=RE1"),
            "malformed webhook: missing CallSid"
        );
        let other = parse(b"", now).unwrap();
        assert!(matches!(&other[0].fact, Fact::Ignored { kind } if kind == "unknown"));
    }

    const NAMES: [&str; 12] = [
        "CallSid",
        "CallStatus",
        "MessageSid",
        "RecordingSid",
        "RecordingStatus",
        "NumMedia",
        "DialCallStatus",
        "DialCallSid",
        "CallDuration",
        "Timestamp",
        "TranscriptionSid",
        "MediaUrl0",
    ];

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse(&body, Timestamp::UNIX_EPOCH);
        }

        #[test]
        fn any_parameters_are_read_or_refused(
            fields in prop::collection::vec((prop::sample::select(&NAMES[..]), ".{0,12}"), 0..12),
        ) {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(&fields);
            let _ = parse(form.finish().as_bytes(), Timestamp::UNIX_EPOCH);
        }
    }
}
