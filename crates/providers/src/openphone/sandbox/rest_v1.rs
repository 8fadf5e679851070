//! Version 1 of the provider's interface.

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::deliver::Format;
use super::http::{Answered, Opened, Parameters, Refused, instant, page, parameter, repeated};
use super::records::{Call, Workspace};
use super::state::State;
use super::{Sandbox, json};
use crate::openphone::Surface;

/// The kinds of webhook and the events that each may tell of.
const FAMILIES: [(&str, &[&str]); 4] = [
    ("messages", &["message.received", "message.delivered"]),
    (
        "calls",
        &["call.ringing", "call.completed", "call.recording.completed"],
    ),
    ("call-summaries", &["call.summary.completed"]),
    ("call-transcripts", &["call.transcript.completed"]),
];

pub(super) fn router() -> Router<Sandbox> {
    Router::new()
        .route("/phone-numbers", get(numbers))
        .route("/users", get(users))
        .route("/calls", get(calls))
        .route("/calls/{sid}", get(call))
        .route("/call-recordings/{sid}", get(recordings))
        .route("/call-voicemails/{sid}", get(voicemail))
        .route("/call-transcripts/{sid}", get(transcript))
        .route("/call-summaries/{sid}", get(summary))
        .route("/conversations", get(conversations))
        .route("/messages", get(messages).post(send))
        .route("/messages/{sid}", get(message))
        .route("/webhooks", get(hooks))
        // One parameter serves both: axum wants one name per place.
        .route(
            "/webhooks/{sid}",
            post(create_hook).get(hook).delete(delete_hook),
        )
}

type In = (Shared<Sandbox>, Extension<Opened>);

/// Answers from the caller's workspace.
pub(super) fn read(
    sandbox: &Sandbox,
    opened: Opened,
    answer: impl FnOnce(&Workspace, &State) -> Result<Value, Refused>,
) -> Answered {
    let state = sandbox.state();
    let workspace = state.workspaces.get(opened.place);
    let workspace = workspace.ok_or_else(|| Refused::not_found("0000404"))?;
    Ok(Json(answer(workspace, &state)?).into_response())
}

async fn numbers((Shared(sandbox), Extension(opened)): In) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        Ok(json!({"data": json::numbers(workspace, Surface::V1)}))
    })
}

async fn users((Shared(sandbox), Extension(opened)): In, parameters: Parameters) -> Answered {
    let size = size(&parameters, 50)?;
    read(&sandbox, opened, |workspace, _| {
        let items = workspace.users.iter();
        let items = items.map(|user| (user.sid.clone(), json::user(user, workspace)));
        Ok(listed(page(
            items,
            size,
            parameter(&parameters, "pageToken"),
        )))
    })
}

async fn calls((Shared(sandbox), Extension(opened)): In, parameters: Parameters) -> Answered {
    let size = size(&parameters, 100)?;
    let number = required(&parameters, "phoneNumberId")?;
    let others = repeated(&parameters, "participants");
    let other = match others.as_slice() {
        [other] => *other,
        [] => return Err(Refused::bad_request("participants is required")),
        _ => return Err(Refused::too_many_participants()),
    };
    let after = instant(&parameters, "createdAfter")?;
    let before = instant(&parameters, "createdBefore")?;
    read(&sandbox, opened, |workspace, _| {
        has_number(workspace, number, "0101403")?;
        let owner = workspace.owner();
        // The provider takes the owner of the workspace where no user is named.
        let user = parameter(&parameters, "userId").unwrap_or(&owner);
        let is_asked = |call: &&Call| {
            call.number_sid == number
                && call.other == other
                && (call.user_sid == user || call.answered_by.as_deref() == Some(user))
                && after.is_none_or(|after| call.created_at > after)
                && before.is_none_or(|before| call.created_at < before)
        };
        let items = workspace.calls.iter().rev().filter(is_asked);
        let items = items.map(|call| (call.sid.clone(), json::call_v1(call)));
        Ok(listed(page(
            items,
            size,
            parameter(&parameters, "pageToken"),
        )))
    })
}

async fn call((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        Ok(json!({"data": json::call_v1(found(workspace, &sid, "0101404")?)}))
    })
}

async fn recordings((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, state| {
        Ok(json!({"data": json::recordings(found(workspace, &sid, "0900404")?, state)}))
    })
}

async fn voicemail((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, state| {
        let voicemail = json::voicemail(found(workspace, &sid, "1200404")?, state);
        Ok(json!({"data": voicemail.ok_or_else(|| Refused::not_found("1200404"))?}))
    })
}

async fn transcript((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        has_plan(workspace, "0600403")?;
        let transcript = json::transcript(found(workspace, &sid, "0600404")?, "status", "userId");
        Ok(json!({"data": transcript.ok_or_else(|| Refused::not_found("0600404"))?}))
    })
}

async fn summary((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        has_plan(workspace, "0500403")?;
        let summary = json::summary_v1(found(workspace, &sid, "0500404")?);
        Ok(json!({"data": summary.ok_or_else(|| Refused::not_found("0500404"))?}))
    })
}

async fn conversations(
    (Shared(sandbox), Extension(opened)): In,
    parameters: Parameters,
) -> Answered {
    let size = size(&parameters, 100)?;
    let numbers = repeated(&parameters, "phoneNumbers");
    let after = instant(&parameters, "updatedAfter")?;
    read(&sandbox, opened, |workspace, _| {
        let items = workspace
            .conversations
            .iter()
            .filter(|((number, _), found)| {
                (numbers.is_empty() || numbers.contains(&number.as_str()))
                    && after.is_none_or(|after| found.updated_at > after)
            });
        let items = items.map(|((number, other), found)| {
            let value = json!({
                "id": found.sid, "phoneNumberId": number, "participants": [other], "name": null, "assignedTo": null,
                "lastActivityAt": json::time(found.updated_at), "lastActivityId": null, "mutedUntil": null,
                "snoozedUntil": null, "createdAt": json::time(found.created_at),
                "updatedAt": json::time(found.updated_at), "deletedAt": null});
            (found.sid.clone(), value)
        });
        Ok(listed(page(
            items,
            size,
            parameter(&parameters, "pageToken"),
        )))
    })
}

async fn messages((Shared(sandbox), Extension(opened)): In, parameters: Parameters) -> Answered {
    let size = size(&parameters, 100)?;
    let number = required(&parameters, "phoneNumberId")?;
    let other = required(&parameters, "participants")?;
    let after = instant(&parameters, "createdAfter")?;
    read(&sandbox, opened, |workspace, _| {
        has_number(workspace, number, "0202403")?;
        let items = workspace.messages.iter().rev().filter(|message| {
            message.number_sid == number
                && (message.from == other || message.to == other)
                && after.is_none_or(|after| message.created_at > after)
        });
        let items = items.map(|message| (message.sid.clone(), json::message_v1(message)));
        Ok(listed(page(
            items,
            size,
            parameter(&parameters, "pageToken"),
        )))
    })
}

async fn message((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        let message = workspace.message(&sid);
        let message = message.ok_or_else(|| Refused::not_found("0200404"))?;
        Ok(json!({"data": json::message_v1(message)}))
    })
}

#[derive(Deserialize)]
struct NewMessage {
    content: String,
    from: String,
    to: Vec<String>,
}

async fn send((Shared(sandbox), Extension(opened)): In, Json(new): Json<NewMessage>) -> Answered {
    let length = new.content.chars().count();
    if new.content.trim().is_empty() || length > 1_600 {
        return Err(Refused::bad_request(
            "content has to be 1 to 1,600 characters",
        ));
    }
    let [to] = new.to.as_slice() else {
        return Err(Refused::bad_request("to has to be one number"));
    };
    if to.parse::<tollbook_core::phone::E164>().is_err() {
        return Err(Refused::bad_request("to is not a number in E.164 form"));
    }
    let mut state = sandbox.state();
    let numbers = state
        .workspaces
        .get(opened.place)
        .map(|workspace| &workspace.numbers);
    let number = numbers.into_iter().flatten();
    let mut number = number.filter(|number| number.sid == new.from || number.e164 == new.from);
    let number = number.next().map(|number| number.sid.clone());
    let refused = || Refused::forbidden("0202403", "no access to this phone number");
    let number = number.ok_or_else(refused)?;
    let sent = state
        .send(opened.place, &number, to, &new.content)
        .ok_or_else(refused)?;
    let body = json!({"data": json::message_v1(sent)});
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

async fn hooks((Shared(sandbox), Extension(opened)): In) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        let hooks = workspace
            .hooks
            .iter()
            .filter(|hook| hook.format == Format::V4);
        let hooks: Vec<Value> = hooks
            .map(|hook| json::hook(hook, workspace, true))
            .collect();
        Ok(json!({"data": hooks}))
    })
}

async fn hook((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        let mut hooks = workspace
            .hooks
            .iter()
            .filter(|hook| hook.format == Format::V4);
        let hook = hooks.find(|hook| hook.sid == sid);
        let hook = hook.ok_or_else(|| Refused::not_found("0300404"))?;
        Ok(json!({"data": json::hook(hook, workspace, true)}))
    })
}

/// The body of a request for a webhook, in both interfaces.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewHook {
    url: String,
    events: Vec<String>,
    resource_ids: Option<Vec<String>>,
    label: Option<String>,
    status: Option<String>,
}

async fn create_hook(
    (Shared(sandbox), Extension(opened)): In,
    Path(family): Path<String>,
    Json(new): Json<NewHook>,
) -> Answered {
    let family = FAMILIES.iter().find(|(name, _)| *name == family);
    let (_, events) = family.ok_or_else(|| Refused::not_found("0300404"))?;
    add_hook(&sandbox, opened, new, Format::V4, events)
}

/// Makes a webhook that tells of some of `events`.
pub(super) fn add_hook(
    sandbox: &Sandbox,
    opened: Opened,
    new: NewHook,
    format: Format,
    events: &[&str],
) -> Answered {
    let is_known = |event: &String| events.contains(&event.as_str());
    if new.events.is_empty() || !new.events.iter().all(is_known) {
        return Err(Refused::bad_request("events has an unknown event"));
    }
    if crate::http::parse_url(&new.url).is_err() {
        return Err(Refused::bad_request("url is not an address"));
    }
    let mut state = sandbox.state();
    let resources = new.resource_ids.unwrap_or_else(|| vec!["*".to_owned()]);
    let label = new.label.unwrap_or_default();
    let mut hook = state.hook(format, &new.url, new.events, resources, &label);
    hook.is_enabled = new.status.as_deref() != Some("disabled");
    let workspace = state.workspaces.get_mut(opened.place);
    let workspace = workspace.ok_or_else(|| Refused::not_found("0300404"))?;
    let body = json!({"data": json::hook(&hook, workspace, true)});
    workspace.hooks.push(hook);
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn delete_hook(
    (Shared(sandbox), Extension(opened)): In,
    Path(sid): Path<String>,
) -> Answered {
    remove_hook(&sandbox, opened, &sid, Format::V4)
}

/// Removes a webhook of that format.
pub(super) fn remove_hook(
    sandbox: &Sandbox,
    opened: Opened,
    sid: &str,
    format: Format,
) -> Answered {
    let mut state = sandbox.state();
    let workspace = state.workspaces.get_mut(opened.place);
    let hooks = &mut workspace
        .ok_or_else(|| Refused::not_found("0300404"))?
        .hooks;
    let place = hooks
        .iter()
        .position(|hook| hook.sid == sid && hook.format == format);
    hooks.remove(place.ok_or_else(|| Refused::not_found("0300404"))?);
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn listed((values, next): (Vec<Value>, Option<String>)) -> Value {
    json!({"data": values, "totalItems": values.len(), "nextPageToken": next})
}

fn size(parameters: &Parameters, max: usize) -> Result<usize, Refused> {
    let size = parameter(parameters, "maxResults").and_then(|text| text.parse().ok());
    size.filter(|size| (1..=max).contains(size))
        .ok_or_else(|| Refused::bad_request(format!("maxResults has to be 1 to {max}")))
}

fn required<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, Refused> {
    parameter(parameters, name).ok_or_else(|| Refused::bad_request(format!("{name} is required")))
}

fn has_number(workspace: &Workspace, sid: &str, code: &'static str) -> Result<(), Refused> {
    if workspace.numbers.iter().any(|number| number.sid == sid) {
        Ok(())
    } else {
        Err(Refused::forbidden(code, "no access to this phone number"))
    }
}

/// Transcripts and summaries belong to the dearer plans.
pub(super) fn has_plan(workspace: &Workspace, code: &'static str) -> Result<(), Refused> {
    if workspace.has_transcripts {
        Ok(())
    } else {
        Err(Refused::forbidden(code, "not part of the workspace's plan"))
    }
}

pub(super) fn found<'a>(
    workspace: &'a Workspace,
    sid: &str,
    code: &'static str,
) -> Result<&'a Call, Refused> {
    workspace.call(sid).ok_or_else(|| Refused::not_found(code))
}
