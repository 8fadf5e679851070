//! Version 2026-03-30 of the provider's interface.

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::deliver::Format;
use super::http::{Answered, Opened, Parameters, Refused, instant, page, parameter};
use super::rest_v1::{NewHook, add_hook, found, has_plan, read, remove_hook};
use super::{Sandbox, json};
use crate::openphone::Surface;

const EVENTS: [&str; 13] = [
    "call.ringing",
    "call.answered",
    "call.completed",
    "call.missed",
    "call.forwarded",
    "call.recording.completed",
    "call.summary.completed",
    "call.transcript.completed",
    "call.voicemail.completed",
    "message.received",
    "message.delivered",
    "message.failed",
    "message.undelivered",
];

pub(super) fn router() -> Router<Sandbox> {
    Router::new()
        .route("/organization", get(organization))
        .route("/phone-numbers", get(numbers))
        .route("/users", get(users))
        .route("/calls", get(calls))
        .route("/calls/{sid}/recordings", get(recordings))
        .route("/calls/{sid}/transcripts", get(transcripts))
        .route("/messages", get(messages))
        .route("/messages/{sid}", get(message))
        .route("/webhooks", get(hooks).post(create_hook))
        .route("/webhooks/{sid}", delete(delete_hook))
        .route("/webhooks/{sid}/rotate", post(rotate_hook))
}

type In = (Shared<Sandbox>, Extension<Opened>);

async fn organization((Shared(sandbox), Extension(opened)): In) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        Ok(
            json!({"data": {"id": workspace.sid, "name": workspace.name, "subscriptionStatus": "active"}}),
        )
    })
}

async fn numbers((Shared(sandbox), Extension(opened)): In, parameters: Parameters) -> Answered {
    let size = limit(&parameters)?;
    read(&sandbox, opened, |workspace, _| {
        let items = json::numbers(workspace, Surface::V2026);
        let sids = workspace.numbers.iter().map(|number| number.sid.clone());
        Ok(listed(page(
            sids.zip(items),
            size,
            parameter(&parameters, "after"),
        )))
    })
}

async fn users((Shared(sandbox), Extension(opened)): In, parameters: Parameters) -> Answered {
    let size = limit(&parameters)?;
    read(&sandbox, opened, |workspace, _| {
        let items = workspace.users.iter();
        let items = items.map(|user| (user.sid.clone(), json::user(user, workspace)));
        Ok(listed(page(items, size, parameter(&parameters, "after"))))
    })
}

async fn calls((Shared(sandbox), Extension(opened)): In, parameters: Parameters) -> Answered {
    let size = limit(&parameters)?;
    let since = instant(&parameters, "createdAt[gte]")?;
    let until = instant(&parameters, "createdAt[lte]")?;
    let number = parameter(&parameters, "phoneNumberId");
    let other = parameter(&parameters, "participant");
    let include: Vec<&str> = parameter(&parameters, "include")
        .map(|include| include.split(',').collect())
        .unwrap_or_default();
    read(&sandbox, opened, |workspace, state| {
        let items = workspace.calls.iter().rev().filter(|call| {
            since.is_none_or(|since| call.created_at >= since)
                && until.is_none_or(|until| call.created_at <= until)
                && number.is_none_or(|number| call.number_sid == number)
                && other.is_none_or(|other| call.other == other || call.ours == other)
        });
        let items = items.map(|call| (call.sid.clone(), json::call_2026(call, state, &include)));
        Ok(listed(page(items, size, parameter(&parameters, "after"))))
    })
}

async fn recordings((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, state| {
        Ok(json!({"data": json::recordings(found(workspace, &sid, "0900404")?, state)}))
    })
}

async fn transcripts(
    (Shared(sandbox), Extension(opened)): In,
    Path(sid): Path<String>,
) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        has_plan(workspace, "0600403")?;
        let transcript = json::transcript(found(workspace, &sid, "0600404")?, "status", "actorId");
        Ok(json!({"data": Vec::from_iter(transcript)}))
    })
}

async fn messages((Shared(sandbox), Extension(opened)): In, parameters: Parameters) -> Answered {
    let size = limit(&parameters)?;
    let after = instant(&parameters, "createdAt[gt]")?;
    let (from, to) = (parameter(&parameters, "from"), parameter(&parameters, "to"));
    let number = parameter(&parameters, "phoneNumberId");
    read(&sandbox, opened, |workspace, _| {
        let items = workspace.messages.iter().rev().filter(|message| {
            after.is_none_or(|after| message.created_at > after)
                && from.is_none_or(|from| message.from == from)
                && to.is_none_or(|to| message.to == to)
                && number.is_none_or(|number| message.number_sid == number)
        });
        let items = items.map(|message| (message.sid.clone(), json::message_v1(message)));
        Ok(listed(page(items, size, parameter(&parameters, "after"))))
    })
}

async fn message((Shared(sandbox), Extension(opened)): In, Path(sid): Path<String>) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        let message = workspace.message(&sid);
        let message = message.ok_or_else(|| Refused::not_found("0200404"))?;
        Ok(json!({"data": json::message_v1(message)}))
    })
}

async fn hooks((Shared(sandbox), Extension(opened)): In) -> Answered {
    read(&sandbox, opened, |workspace, _| {
        let hooks = workspace.hooks.iter();
        let hooks = hooks.filter(|hook| hook.format == Format::Standard);
        let hooks: Vec<Value> = hooks
            .map(|hook| json::hook(hook, workspace, false))
            .collect();
        Ok(json!({"data": hooks, "nextCursor": null}))
    })
}

async fn create_hook(
    (Shared(sandbox), Extension(opened)): In,
    Json(new): Json<NewHook>,
) -> Answered {
    add_hook(&sandbox, opened, new, Format::Standard, &EVENTS)
}

async fn delete_hook(
    (Shared(sandbox), Extension(opened)): In,
    Path(sid): Path<String>,
) -> Answered {
    remove_hook(&sandbox, opened, &sid, Format::Standard)
}

/// Gives the webhook a new key. The one before signs as well, the ones before that no more.
async fn rotate_hook(
    (Shared(sandbox), Extension(opened)): In,
    Path(sid): Path<String>,
) -> Answered {
    let mut state = sandbox.state();
    let key = state.key(Format::Standard);
    let workspace = state.workspaces.get_mut(opened.place);
    let hooks = workspace
        .into_iter()
        .flat_map(|workspace| &mut workspace.hooks);
    let mut hooks = hooks.filter(|hook| hook.sid == sid && hook.format == Format::Standard);
    let hook = hooks.next().ok_or_else(|| Refused::not_found("0300404"))?;
    hook.keys.insert(0, key.clone());
    hook.keys.truncate(2);
    Ok((StatusCode::OK, Json(json!({"data": {"key": key.reveal()}}))).into_response())
}

fn listed((values, next): (Vec<Value>, Option<String>)) -> Value {
    json!({"data": values, "nextCursor": next})
}

fn limit(parameters: &Parameters) -> Result<usize, Refused> {
    match parameter(parameters, "limit").map(str::parse) {
        None => Ok(10),
        Some(Ok(size @ 1..=50)) => Ok(size),
        Some(_) => Err(Refused::bad_request("limit has to be 1 to 50")),
    }
}
