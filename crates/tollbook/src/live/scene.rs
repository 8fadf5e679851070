//! What a batch of events looks like to one class of viewers: read once with their rights, rendered once per form.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use tollbook_core::ids::UserId;
use uuid::Uuid;

use super::audience::{Audience, Sharing};
use super::kind::LiveKind;
use super::mark::Mark;
use super::store::{Event, Sight};
use crate::app::App;
use crate::calls;
use crate::communications;
use crate::error::{Error, Result};
use crate::http::sse::Frames;

/// Version of the events' form.
const VERSION: u16 = 1;

/// An event, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    /// The event's own number. It may come twice; the id of the stream is another thing.
    id: i64,
    version: u16,
    r#type: &'a str,
    created_at: jiff::Timestamp,
    subject_id: Uuid,
    /// The thing as it is now, not as it was when the event was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// Renders events for audiences that share their rights. An audience to which nothing is to be said is left out.
pub(super) async fn render(
    app: &App,
    sharing: Sharing,
    audiences: &[Audience],
    events: &[Event],
    sights: &HashMap<Uuid, Sight>,
    mark: Mark,
) -> Result<Vec<(Audience, Bytes)>> {
    let events: Vec<&Event> = events
        .iter()
        .filter(|event| event.organization == sharing.organization)
        .filter(|event| {
            sharing
                .member
                .is_none_or(|user| concerns(event, user, sights))
        })
        .collect();
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = app.db.begin(&sharing.actor()).await?;
    let things = things(&mut tx, sharing, &events).await?;
    drop(tx);
    let mut rendered = Vec::with_capacity(audiences.len());
    for audience in audiences {
        let frames = documents(&events, &things)?;
        if !frames.is_empty() {
            rendered.push((audience.clone(), frames.finish(mark)));
        }
    }
    Ok(rendered)
}

/// Whether a member has to do with an event. What is not a communication is for those who run the organization.
fn concerns(event: &Event, user: UserId, sights: &HashMap<Uuid, Sight>) -> bool {
    sights
        .get(&event.subject)
        .is_some_and(|sight| sight.viewers.contains(&user) || sight.line_users.contains(&user))
}

/// The things that the viewer may see, as documents.
async fn things(
    tx: &mut PgConnection,
    sharing: Sharing,
    events: &[&Event],
) -> Result<HashMap<Uuid, Box<RawValue>>> {
    let subjects = |wanted: fn(LiveKind) -> bool| -> Vec<Uuid> {
        let subjects = events.iter().filter(|event| wanted(event.kind));
        let subjects: BTreeSet<Uuid> = subjects.map(|event| event.subject).collect();
        subjects.into_iter().collect()
    };
    let mut things = HashMap::new();
    let calls = subjects(LiveKind::is_call);
    if !calls.is_empty() {
        for call in calls::calls_by_id(tx, sharing.organization, &calls).await? {
            things.insert(call.id.uuid(), json(&calls::CallDocument::from(call))?);
        }
    }
    let messages =
        subjects(|kind| matches!(kind, LiveKind::MessageReceived | LiveKind::MessageUpdated));
    if !messages.is_empty() {
        for message in communications::messages_by_id(tx, sharing.organization, &messages).await? {
            things.insert(message.id.uuid(), json(&message)?);
        }
    }
    let voicemails = subjects(|kind| kind == LiveKind::VoicemailReceived);
    if !voicemails.is_empty() {
        for voicemail in
            communications::voicemails_by_id(tx, sharing.organization, &voicemails).await?
        {
            things.insert(voicemail.id.uuid(), json(&voicemail)?);
        }
    }
    Ok(things)
}

fn json(thing: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(thing)
        .map_err(|e| Error::Internal(format!("an event cannot be written: {e}")))
}

fn documents(events: &[&Event], things: &HashMap<Uuid, Box<RawValue>>) -> Result<Frames> {
    let mut frames = Frames::default();
    for event in events {
        let data = things.get(&event.subject).map(AsRef::as_ref);
        let name = match data {
            // The viewer saw it while it rang, or it turned out to be a part of another call.
            None if event.kind.is_call() => "call.gone",
            // Not for this viewer.
            None if event.kind.is_message() => continue,
            _ => event.kind.as_str(),
        };
        let document = Document {
            id: event.id,
            version: VERSION,
            r#type: name,
            created_at: event.created_at,
            subject_id: event.subject,
            data,
        };
        let text = serde_json::to_string(&document)
            .map_err(|e| Error::Internal(format!("an event cannot be written: {e}")))?;
        frames.event(name, &text);
    }
    Ok(frames)
}
