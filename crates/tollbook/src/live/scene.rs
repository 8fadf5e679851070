//! What a batch of events looks like to one class of viewers: read once with their rights, rendered once per form.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::value::RawValue;
use tollbook_core::ids::{CallId, UserId};
use uuid::Uuid;

use super::audience::{Audience, Form, Sharing};
use super::kind::LiveKind;
use super::mark::Mark;
use super::store::{Event, Sight};
use crate::app::App;
use crate::calls::{self, Look, Moments};
use crate::communications::{self, Message, Voicemail};
use crate::error::{Error, Result};
use crate::http::sse::Frames;
use crate::pages::text::Text;

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

/// From where a reader of a batch goes on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Progress {
    /// Only from its end: the events are in no order of transactions.
    AtEnd(Mark),
    /// From each event: they are in the order of transactions. Those of transactions at or above `bound` may not be
    /// complete.
    Each { bound: Mark, end: Mark },
}

impl Progress {
    fn end(self) -> Mark {
        match self {
            Self::AtEnd(end) | Self::Each { end, .. } => end,
        }
    }

    fn after(self, event: &Event) -> Option<Mark> {
        match self {
            Self::AtEnd(_) => None,
            Self::Each { bound, .. } => Some(Mark {
                xid: event.xid.min(bound.xid),
                at: bound.at,
            }),
        }
    }
}

/// The things that events are about, as far as the viewers may see them.
struct Scene {
    moments: Moments,
    messages: HashMap<Uuid, Message>,
    voicemails: HashMap<Uuid, Voicemail>,
}

/// Renders events for audiences that share their rights. An audience to which nothing is to be said is left out.
pub(super) async fn render(
    app: &App,
    sharing: Sharing,
    audiences: &[Audience],
    events: &[Event],
    sights: &HashMap<Uuid, Sight>,
    progress: Progress,
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
    let scene = Scene::read(app, sharing, &events).await?;
    let mut rendered = Vec::with_capacity(audiences.len());
    for audience in audiences {
        let frames = match &audience.form {
            Form::Json => scene.documents(&events, progress)?,
            Form::Page { language, zone } => scene.elements(&events, language, zone)?,
        };
        if !frames.is_empty() {
            rendered.push((audience.clone(), frames.finish(progress.end())));
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

impl Scene {
    async fn read(app: &App, sharing: Sharing, events: &[&Event]) -> Result<Self> {
        let subjects = |wanted: fn(LiveKind) -> bool| -> Vec<Uuid> {
            let subjects = events.iter().filter(|event| wanted(event.kind));
            let subjects: BTreeSet<Uuid> = subjects.map(|event| event.subject).collect();
            subjects.into_iter().collect()
        };
        let actor = sharing.actor();
        let mut tx = app.db.begin(&actor).await?;
        let calls = subjects(LiveKind::is_call);
        let moments = calls::moments(&mut tx, app, &actor, sharing.organization, &calls).await?;
        let ids = subjects(LiveKind::is_text);
        let messages = if ids.is_empty() {
            Vec::new()
        } else {
            communications::messages_by_id(&mut tx, sharing.organization, &ids).await?
        };
        let ids = subjects(|kind| kind == LiveKind::VoicemailReceived);
        let voicemails = if ids.is_empty() {
            Vec::new()
        } else {
            communications::voicemails_by_id(&mut tx, sharing.organization, &ids).await?
        };
        Ok(Self {
            moments,
            messages: messages.into_iter().map(|it| (it.id.uuid(), it)).collect(),
            voicemails: voicemails
                .into_iter()
                .map(|it| (it.id.uuid(), it))
                .collect(),
        })
    }

    /// The events for programs, one by one.
    fn documents(&self, events: &[&Event], progress: Progress) -> Result<Frames> {
        let mut things: HashMap<Uuid, Box<RawValue>> = HashMap::new();
        for (id, moment) in &self.moments.calls {
            things.insert(
                id.uuid(),
                json(&calls::CallDocument::of(moment, &self.moments))?,
            );
        }
        for (id, message) in &self.messages {
            things.insert(*id, json(message)?);
        }
        for (id, voicemail) in &self.voicemails {
            things.insert(*id, json(voicemail)?);
        }
        let mut frames = Frames::default();
        for event in events {
            let data = things.get(&event.subject).map(AsRef::as_ref);
            let name = match data {
                // The viewer saw it while it rang, or it turned out to be a part of another call.
                None if event.kind.is_call() => "call.gone",
                // Not for this viewer.
                None if event.kind.is_text() || event.kind == LiveKind::VoicemailReceived => {
                    continue;
                }
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
            frames.event(name, json(&document)?.get());
            if let Some(mark) = progress.after(event) {
                frames.id(mark);
            }
        }
        Ok(frames)
    }

    /// The calls for a page, each once.
    fn elements(&self, events: &[&Event], language: &str, zone: &str) -> Result<Frames> {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let look = Look::of_update(Text::negotiate(language), zone, &self.moments);
        let mut frames = Frames::default();
        let mut put = String::new();
        let mut seen = HashSet::new();
        for event in events.iter().filter(|event| event.kind.is_call()) {
            if !seen.insert(event.subject) {
                continue;
            }
            match self.moments.calls.get(&CallId::new(event.subject)) {
                Some(moment) => {
                    put.push_str(&calls::element(&look, &self.moments, moment).render()?);
                }
                None => frames.event("gone", &format!("call-{}", event.subject)),
            }
        }
        if !put.is_empty() {
            frames.event("put", &put);
        }
        Ok(frames)
    }
}

fn json(thing: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(thing)
        .map_err(|e| Error::Internal(format!("an event cannot be written: {e}")))
}
