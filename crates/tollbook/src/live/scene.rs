//! What a batch of events looks like: read once for an organization, narrowed to what each member may see, rendered once
//! per form.

use std::collections::{BTreeSet, HashMap, HashSet};

use askama::Template as _;
use bytes::Bytes;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CallId, CustomerId, OrganizationId, UserId};
use uuid::Uuid;

use super::audience::{Audience, Form};
use super::kind::LiveKind;
use super::mark::Mark;
use super::store::{self, Event, Sight};
use crate::alerts::view::AlertsNotice;
use crate::alerts::{self, AlertView};
use crate::app::App;
use crate::calls::{self, Look, Moments, Who};
use crate::communications::{self, Message, Voicemail};
use crate::customers::{self, RecentCall};
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

/// What happened in an organization, read once for all who watch it.
struct Scene {
    /// As those see it who run the organization.
    things: Things,
    sights: HashMap<Uuid, Sight>,
    /// A member's earlier calls with the customers who are on the line, where they are others than everybody's.
    recent: HashMap<(CustomerId, UserId), Vec<RecentCall>>,
}

/// The things that events are about.
struct Things {
    moments: Moments,
    messages: HashMap<Uuid, Message>,
    voicemails: HashMap<Uuid, Voicemail>,
    alerts: HashMap<Uuid, AlertView>,
    /// How many alerts are open, where one is new.
    open_alerts: Option<i64>,
}

/// Renders an organization's events for its audiences. An audience to which nothing is to be said is left out.
pub(super) async fn render(
    app: &App,
    organization: OrganizationId,
    audiences: &[Audience],
    events: &[Event],
    progress: Progress,
) -> Result<Vec<(Audience, Bytes)>> {
    let events: Vec<&Event> = events
        .iter()
        .filter(|event| event.organization == organization)
        .collect();
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut by_member: HashMap<Option<UserId>, Vec<&Audience>> = HashMap::new();
    for audience in audiences {
        let same = by_member.entry(audience.sharing.member).or_default();
        same.push(audience);
    }
    let members: Vec<UserId> = by_member.keys().filter_map(|member| *member).collect();
    let scene = Scene::read(app, organization, &members, &events).await?;
    let mut rendered = Vec::with_capacity(audiences.len());
    for (member, audiences) in by_member {
        let of_member;
        let (events, things) = match member {
            None => (events.clone(), &scene.things),
            Some(user) => {
                of_member = scene.things_of(user);
                let concern = |event: &&&Event| scene.concerns(event, user);
                (events.iter().filter(concern).copied().collect(), &of_member)
            }
        };
        for audience in audiences {
            let frames = match &audience.form {
                Form::Json => things.documents(&events, progress)?,
                Form::Page { language, zone } => things.elements(&events, language, zone)?,
            };
            if !frames.is_empty() {
                rendered.push((audience.clone(), frames.finish(progress.end())));
            }
        }
    }
    Ok(rendered)
}

impl Scene {
    /// One set of statements however many members watch. A policy would decide for one member at a time: what it decides
    /// by, the viewers on each row, is read here after the rows themselves.
    async fn read(
        app: &App,
        organization: OrganizationId,
        members: &[UserId],
        events: &[&Event],
    ) -> Result<Self> {
        let actor = Actor::organization_system(organization);
        let mut tx = app.db.begin_work(&actor).await?;
        let things = Things::read(&mut tx, app, &actor, organization, events).await?;
        if members.is_empty() {
            return Ok(Self {
                things,
                sights: HashMap::new(),
                recent: HashMap::new(),
            });
        }
        let sights = store::sights(&mut tx, organization, &subjects(events, |_| true)).await?;
        let sights: HashMap<Uuid, Sight> = sights.into_iter().map(|it| (it.subject, it)).collect();
        let mut cards = Vec::new();
        for (call, moment) in &things.moments.calls {
            if let (Who::Customer(Some(card)), Some(sight)) =
                (&moment.who, sights.get(&call.uuid()))
            {
                // Who sees all of the newest calls sees the newest that they may see.
                let sees_all = |user| card.recent.iter().all(|it| it.viewers.contains(user));
                let viewers = members
                    .iter()
                    .filter(|user| sight.viewers.contains(user) && !sees_all(user));
                cards.extend(viewers.map(|user| (card.summary.customer, *user)));
            }
        }
        let mut recent = customers::recent_calls_of(&mut tx, organization, &cards).await?;
        for card in cards {
            // There may be none.
            recent.entry(card).or_default();
        }
        Ok(Self {
            things,
            sights,
            recent,
        })
    }

    /// Whether a member has to do with an event. What is not a communication is for those who run the organization.
    fn concerns(&self, event: &Event, user: UserId) -> bool {
        self.sights
            .get(&event.subject)
            .is_some_and(|sight| sight.viewers.contains(&user) || sight.line_users.contains(&user))
    }

    /// What a member may see of the things.
    fn things_of(&self, user: UserId) -> Things {
        let sight = |id: &Uuid| {
            let sight = self.sights.get(id);
            sight.filter(|sight| sight.viewers.contains(&user))
        };
        let calls = self.things.moments.calls.iter().filter_map(|(id, moment)| {
            let has_line = sight(&id.uuid())?.line_users.contains(&user);
            let recent = |customer| self.recent.get(&(customer, user)).cloned();
            Some((*id, moment.of_member(has_line, recent)))
        });
        let messages = self.things.messages.iter();
        let voicemails = self.things.voicemails.iter();
        Things {
            moments: Moments {
                calls: calls.collect(),
                minute_price: self.things.moments.minute_price.clone(),
                country: self.things.moments.country.clone(),
                now: self.things.moments.now,
            },
            messages: messages
                .filter(|(id, _)| sight(id).is_some())
                .map(|(id, message)| (*id, message.clone()))
                .collect(),
            voicemails: voicemails
                .filter(|(id, _)| sight(id).is_some())
                .map(|(id, voicemail)| (*id, voicemail.clone()))
                .collect(),
            // These are for those who run the organization.
            alerts: HashMap::new(),
            open_alerts: None,
        }
    }
}

/// The subjects of those events whose kind is wanted, each once.
fn subjects(events: &[&Event], is_wanted: fn(LiveKind) -> bool) -> Vec<Uuid> {
    let subjects = events.iter().filter(|event| is_wanted(event.kind));
    let subjects: BTreeSet<Uuid> = subjects.map(|event| event.subject).collect();
    subjects.into_iter().collect()
}

impl Things {
    async fn read(
        tx: &mut PgConnection,
        app: &App,
        actor: &Actor,
        organization: OrganizationId,
        events: &[&Event],
    ) -> Result<Self> {
        let calls = subjects(events, LiveKind::is_call);
        let moments = calls::moments(tx, app, actor, organization, &calls).await?;
        let ids = subjects(events, LiveKind::is_text);
        let messages = if ids.is_empty() {
            Vec::new()
        } else {
            communications::messages_by_id(tx, organization, &ids).await?
        };
        let ids = subjects(events, |kind| kind == LiveKind::VoicemailReceived);
        let voicemails = if ids.is_empty() {
            Vec::new()
        } else {
            communications::voicemails_by_id(tx, organization, &ids).await?
        };
        let ids = subjects(events, |kind| kind == LiveKind::UsageThreshold);
        let (mut alerts, mut open_alerts) = (Vec::new(), None);
        if !ids.is_empty() {
            alerts = alerts::by_ids(tx, organization, &ids).await?;
            open_alerts = Some(alerts::open_count(tx, organization).await?);
        }
        Ok(Self {
            alerts: alerts.into_iter().map(|it| (it.id, it)).collect(),
            open_alerts,
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
        for (id, alert) in &self.alerts {
            things.insert(*id, json(alert)?);
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
        if let Some(count) = self.open_alerts {
            let text = Text::negotiate(language);
            let notice = AlertsNotice { text, count }.render();
            let notice = notice.map_err(|e| Error::Internal(format!("a notice: {e}")))?;
            put.push_str(&notice);
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
