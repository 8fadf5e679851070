//! The sandbox's records in the provider's words: two interfaces, three webhook formats.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tollbook_core::time::Seconds;

use super::deliver::{Format, Hook};
use super::records::{Call, Message, Spoken, User, Workspace};
use super::state::State;
use crate::openphone::Surface;

/// As the provider writes instants: in UTC, with three digits after the second.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn time_or_null(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| time(at).into())
}

/// The body of a webhook about a call or message; `None` if the format has no such event.
pub(super) fn webhook(
    workspace: &Workspace,
    state: &State,
    format: Format,
    kind: &str,
    event_sid: &str,
    sid: &str,
    at: Timestamp,
) -> Option<Bytes> {
    let created_at = time(at);
    let body = match (format, workspace.call(sid), workspace.message(sid)) {
        (Format::Standard, Some(call), _) => {
            let resource = call_resource(call, state, kind);
            json!({"id": event_sid, "apiVersion": "2026-03-30", "createdAt": created_at, "type": kind, "data": {
                "resource": resource, "context": call_context(call, workspace, kind), "links": {"quo": null}}})
        }
        (Format::Standard, None, Some(message)) => {
            json!({"id": event_sid, "apiVersion": "2026-03-30", "createdAt": created_at, "type": kind, "data": {
                "resource": message_resource(message), "context": message_context(message, workspace),
                "links": {"quo": null}}})
        }
        (Format::V4, call, message) => {
            let object = match (call, message) {
                (Some(call), _) => call_v4(call, state, kind)?,
                (None, message) => message_v4(message?),
            };
            json!({"id": event_sid, "object": "event", "apiVersion": "v4", "createdAt": created_at, "type": kind,
                "data": {"object": object}})
        }
        (Format::AppV3, call, message) => {
            let object = match (call, message) {
                (Some(call), _) => call_v3(call, state, kind),
                (None, message) => message_v3(message?),
            };
            json!({"id": event_sid, "object": "event", "apiVersion": "v3", "createdAt": created_at, "type": kind,
                "data": {"object": object}})
        }
        (Format::Standard, None, None) => return None,
    };
    Some(Bytes::from(body.to_string()))
}

fn call_resource(call: &Call, state: &State, kind: &str) -> Value {
    let mut resource = json!({
        "id": call.sid, "direction": direction(call.is_incoming),
        "createdAt": time(call.created_at), "updatedAt": time(call.updated_at),
    });
    let more = match kind {
        "call.answered" => json!({
            "answeredAt": time_or_null(call.answered_at), "answeredByUserId": call.answered_by}),
        "call.forwarded" => json!({"forwardedFrom": call.ours, "forwardedTo": call.forwarded_to}),
        "call.completed" => json!({
            "status": call.status, "answeredAt": time_or_null(call.answered_at),
            "completedAt": time_or_null(call.completed_at), "duration": talked(call),
            "hasVoicemail": call.voicemail.is_some()}),
        "call.recording.completed" => json!({
            "status": call.status, "answeredAt": time_or_null(call.answered_at),
            "completedAt": time_or_null(call.completed_at), "duration": talked(call),
            "recordings": recordings(call, state)}),
        "call.voicemail.completed" => return voicemail_resource(call, state),
        "call.transcript.completed" => {
            return transcript(call, "processingStatus", "userId").unwrap_or_default();
        }
        "call.summary.completed" => {
            return json!({
            "callId": call.sid, "processingStatus": "completed", "summary": call.summary, "nextSteps": [],
            "jobs": null, "fromPhoneNumber": from(call), "answeredByUserId": call.answered_by});
        }
        _ => json!({}),
    };
    merge(&mut resource, more);
    resource
}

fn voicemail_resource(call: &Call, state: &State) -> Value {
    let voicemail = call.voicemail.as_ref();
    let seconds = voicemail.map_or(0, |voicemail| voicemail.seconds);
    let sid = voicemail.map(|voicemail| voicemail.sid.as_str());
    json!({
        "id": sid, "voicemailId": sid, "callId": call.sid, "direction": direction(call.is_incoming),
        "duration": seconds, "from": from(call), "to": to(call),
        "transcript": voicemail.and_then(|voicemail| voicemail.transcript.as_deref()),
        "recordingUrl": sid.map(|sid| state.media_url(sid, seconds)),
        "createdAt": time_or_null(call.completed_at), "updatedAt": time(call.updated_at),
    })
}

fn call_context(call: &Call, workspace: &Workspace, kind: &str) -> Value {
    let mut context = json!({
        "orgId": workspace.sid, "phoneNumberId": call.number_sid, "conversationId": call.conversation_sid,
        "userId": call.user_sid,
        "participants": {"workspace": [call.ours], "external": [call.other], "resolution": "available"},
    });
    // The first event of a call comes before the provider has looked these up.
    if kind != "call.ringing" {
        let more =
            json!({"phoneNumberType": "shared", "contacts": {"ids": [], "lookupStatus": "none"}});
        merge(&mut context, more);
    }
    context
}

fn message_resource(message: &Message) -> Value {
    let mut resource = json!({
        "id": message.sid, "direction": direction(message.is_incoming), "text": message.text, "media": [],
        "status": message.status, "createdAt": time(message.created_at),
    });
    if matches!(message.status, "failed" | "undelivered") {
        merge(&mut resource, json!({"errorCode": error_code(message)}));
    }
    resource
}

fn error_code(message: &Message) -> Value {
    match message.status {
        "undelivered" => "30003".into(),
        "failed" => "30008".into(),
        _ => Value::Null,
    }
}

fn message_context(message: &Message, workspace: &Workspace) -> Value {
    json!({
        "orgId": workspace.sid, "phoneNumberId": message.number_sid, "conversationId": message.conversation_sid,
        "userId": message.user_sid, "contacts": {"ids": [], "lookupStatus": "none"},
        "senderIdentifier": message.from, "recipientIdentifiers": [message.to],
    })
}

/// Version 1's objects; `None` for an event that it does not have.
fn call_v4(call: &Call, state: &State, kind: &str) -> Option<Value> {
    let mut object = match kind {
        "call.transcript.completed" => {
            let mut object = transcript(call, "status", "userId")?;
            merge(&mut object, json!({"object": "callTranscript"}));
            return Some(object);
        }
        "call.summary.completed" => {
            let mut object = summary_v1(call)?;
            merge(&mut object, json!({"object": "callSummary"}));
            return Some(object);
        }
        "call.ringing" | "call.completed" | "call.recording.completed" => call_v1(call),
        _ => return None,
    };
    let status = if call.completed_at.is_some() {
        "completed"
    } else {
        "ringing"
    };
    let more = json!({"object": "call", "status": status, "contactIds": [],
        "conversationId": call.conversation_sid});
    merge(&mut object, more);
    if kind == "call.recording.completed" {
        merge(&mut object, json!({"media": media(call, state)}));
    }
    Some(object)
}

fn call_v3(call: &Call, state: &State, kind: &str) -> Value {
    let voicemail = call.voicemail.as_ref().map(|voicemail| {
        let url = state.media_url(&voicemail.sid, voicemail.seconds);
        json!({"url": url, "type": "audio/wav", "duration": voicemail.seconds})
    });
    let is_over = call.completed_at.is_some();
    let media = if kind == "call.recording.completed" {
        media(call, state)
    } else {
        Vec::new()
    };
    json!({
        "id": call.sid, "object": "call", "createdAt": time(call.created_at), "userId": call.user_sid,
        "phoneNumberId": call.number_sid, "conversationId": call.conversation_sid, "from": from(call), "to": to(call),
        "direction": direction(call.is_incoming), "media": media, "voicemail": voicemail,
        "status": if is_over { "completed" } else { "ringing" },
        "answeredAt": time_or_null(call.answered_at), "completedAt": time_or_null(call.completed_at),
    })
}

fn message_v4(message: &Message) -> Value {
    let mut object = message_v1(message);
    merge(
        &mut object,
        json!({"object": "message", "contactIds": [], "media": []}),
    );
    object
}

fn message_v3(message: &Message) -> Value {
    json!({
        "id": message.sid, "object": "message", "from": message.from, "to": message.to,
        "direction": direction(message.is_incoming), "body": message.text, "media": [], "status": message.status,
        "createdAt": time(message.created_at), "userId": message.user_sid, "phoneNumberId": message.number_sid,
        "conversationId": message.conversation_sid,
    })
}

/// A call as version 1 lists it.
pub(super) fn call_v1(call: &Call) -> Value {
    let voicemail = call.voicemail.as_ref().map(|voicemail| voicemail.seconds);
    json!({
        "id": call.sid, "phoneNumberId": call.number_sid, "userId": call.user_sid,
        "direction": direction(call.is_incoming), "status": listed_status(call),
        "participants": [from(call), to(call)],
        "initiatedBy": if call.is_incoming { None } else { Some(&call.user_sid) },
        "answeredBy": if call.is_incoming { call.answered_by.as_ref() } else { None },
        "answeredAt": time_or_null(call.answered_at),
        "completedAt": time_or_null(call.completed_at), "createdAt": time(call.created_at),
        "updatedAt": time(call.updated_at), "duration": talked(call).or(voicemail).unwrap_or(0),
        "forwardedFrom": null, "forwardedTo": call.forwarded_to,
    })
}

/// A call as version 2026-03-30 lists it.
pub(super) fn call_2026(call: &Call, state: &State, include: &[&str]) -> Value {
    let external = json!({"phoneNumber": call.other, "actorId": null});
    let ours = json!({"phoneNumber": call.ours, "actorId": call.user_sid});
    let mut object = call_v1(call);
    let more = json!({
        "participants": if call.is_incoming { [external, ours] } else { [ours, external] },
        "actorId": call.user_sid, "callRoute": "phone-number", "aiHandled": null, "duration": talked(call),
    });
    merge(&mut object, more);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("userId");
    }
    if include.contains(&"voicemail") {
        merge(&mut object, json!({"voicemail": voicemail(call, state)}));
    }
    if include.contains(&"summary") {
        merge(&mut object, json!({"summary": summary_v1(call)}));
    }
    object
}

/// A voicemail, in both interfaces.
pub(super) fn voicemail(call: &Call, state: &State) -> Option<Value> {
    let voicemail = call.voicemail.as_ref()?;
    let is_finished = voicemail.is_finished;
    let url = is_finished.then(|| state.media_url(&voicemail.sid, voicemail.seconds));
    Some(json!({
        "id": voicemail.sid, "status": if is_finished { "completed" } else { "in-progress" },
        "duration": voicemail.seconds, "transcript": voicemail.transcript, "recordingUrl": url,
    }))
}

/// The recordings, in both interfaces.
pub(super) fn recordings(call: &Call, state: &State) -> Vec<Value> {
    let recordings = call.recordings.iter();
    recordings
        .map(|recording| {
            let seconds = recording.recorded.seconds;
            json!({
                "id": recording.sid, "status": "completed", "startTime": time(recording.recorded.start_at),
                "duration": seconds, "type": "audio/wav", "url": state.media_url(&recording.sid, seconds),
            })
        })
        .collect()
}

fn media(call: &Call, state: &State) -> Vec<Value> {
    let recordings = call.recordings.iter();
    recordings
        .map(|recording| {
            let seconds = recording.recorded.seconds;
            let url = state.media_url(&recording.sid, seconds);
            json!({"url": url, "type": "audio/wav", "duration": seconds})
        })
        .collect()
}

/// A transcript; the name of the status and of the speaker's user differ between interfaces.
pub(super) fn transcript(call: &Call, status: &str, user: &str) -> Option<Value> {
    let (created_at, lines) = call.transcript.as_ref()?;
    let line = |line: &Spoken| {
        let speaker = if line.is_external {
            &call.other
        } else {
            &call.ours
        };
        let said_by = (!line.is_external)
            .then_some(call.answered_by.as_ref())
            .flatten();
        json!({"content": line.text, "start": offset(line.start_ms), "end": offset(line.end_ms),
            "identifier": speaker, user: said_by})
    };
    let lines: Vec<Value> = lines.iter().map(line).collect();
    Some(json!({
        "callId": call.sid, "recordingId": call.recordings.first().map(|recording| recording.sid.as_str()),
        "createdAt": time(*created_at), "duration": talked(call), status: "completed", "dialogue": lines,
    }))
}

/// Seconds with a fraction, as the provider writes them.
fn offset(ms: u64) -> Value {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.parse::<serde_json::Number>()
        .map_or(Value::Null, Value::Number)
}

pub(super) fn summary_v1(call: &Call) -> Option<Value> {
    let points = call.summary.as_ref()?;
    Some(
        json!({"callId": call.sid, "status": "completed", "summary": points, "nextSteps": [], "jobs": null}),
    )
}

/// A message, in both interfaces.
pub(super) fn message_v1(message: &Message) -> Value {
    json!({
        "id": message.sid, "to": [message.to], "from": message.from, "text": message.text,
        "phoneNumberId": message.number_sid, "conversationId": message.conversation_sid,
        "direction": direction(message.is_incoming), "userId": message.user_sid, "status": message.status,
        "errorCode": error_code(message), "createdAt": time(message.created_at),
        "updatedAt": time(message.updated_at),
    })
}

pub(super) fn user(user: &User, workspace: &Workspace) -> Value {
    json!({
        "id": user.sid, "email": user.email, "firstName": user.first_name, "lastName": user.last_name,
        "pictureUrl": null, "role": user.role, "createdAt": time(workspace.created_at),
        "updatedAt": time(workspace.created_at),
    })
}

/// The numbers; the name of the number's field differs between the interfaces.
pub(super) fn numbers(workspace: &Workspace, surface: Surface) -> Vec<Value> {
    let users: Vec<Value> = workspace
        .users
        .iter()
        .map(|one| user(one, workspace))
        .collect();
    let field = match surface {
        Surface::V1 => "number",
        Surface::V2026 => "phoneNumber",
    };
    let numbers = workspace.numbers.iter();
    numbers
        .map(|number| {
            json!({
                "id": number.sid, "groupId": null, "name": number.name, field: number.e164,
                "formattedNumber": number.e164, "forward": null, "portRequestId": null, "portingStatus": null,
                "symbol": null, "users": users, "createdAt": time(workspace.created_at),
                "updatedAt": time(workspace.created_at),
            })
        })
        .collect()
}

/// A webhook; its key only where the provider shows it.
pub(super) fn hook(hook: &Hook, workspace: &Workspace, with_key: bool) -> Value {
    let mut object = json!({
        "id": hook.sid, "userId": workspace.owner(), "orgId": workspace.sid, "label": hook.label,
        "status": if hook.is_enabled { "enabled" } else { "disabled" }, "url": hook.url,
        "createdAt": time(hook.created_at), "updatedAt": time(hook.created_at), "deletedAt": null,
        "events": hook.events, "resourceIds": hook.resource_sids,
    });
    if with_key {
        merge(
            &mut object,
            json!({"key": hook.keys.first().map(crate::Secret::reveal)}),
        );
    }
    object
}

/// The words of lists differ from those of webhooks.
fn listed_status(call: &Call) -> &'static str {
    match call.status {
        "answered" => "completed",
        "unanswered" if call.is_incoming => "missed",
        "unanswered" => "no-answer",
        status => status,
    }
}

fn talked(call: &Call) -> Option<u32> {
    Some(Seconds::between(call.answered_at?, call.completed_at?).get())
}

fn from(call: &Call) -> &str {
    if call.is_incoming {
        &call.other
    } else {
        &call.ours
    }
}

fn to(call: &Call) -> &str {
    if call.is_incoming {
        &call.ours
    } else {
        &call.other
    }
}

fn direction(is_incoming: bool) -> &'static str {
    if is_incoming { "incoming" } else { "outgoing" }
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
