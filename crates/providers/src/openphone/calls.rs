//! Calls as the provider lists them: all since an instant, or one with everything that belongs to it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use tollbook_core::calls::{Fact, ProviderEvent};

use super::client::{Client, Surface, explain};
use super::facts;
use super::wire::{Call, Context, Conversation, Envelope};
use crate::{Error, EventPage, Telephony};

/// Each of these costs a request per user of the number, so a page is kept short.
const CONVERSATIONS_PER_PAGE: &str = "20";

impl Client {
    /// A page of calls of all numbers, newest first.
    pub(super) async fn calls_2026(
        &self,
        since: &str,
        page: Option<&str>,
    ) -> Result<EventPage, Error> {
        let mut query = vec![
            ("createdAt[gte]", since),
            ("include", "voicemail"),
            ("limit", "50"),
        ];
        query.extend(page.map(|page| ("after", page)));
        let found: Envelope<Vec<Call>> = self.get("calls", &["calls"], &query).await?;
        let events = found.data.into_iter().flat_map(|mut record| {
            // The list shows a voicemail where one was left, so its absence is told as well.
            record.has_voicemail = Some(record.voicemail.as_ref().is_some_and(facts::is_left));
            fetched_call(record)
        });
        Ok(EventPage {
            events: events.collect(),
            costs: Vec::new(),
            next: found.next_cursor,
        })
    }

    /// Version 1 lists calls only for a number, another party and a user: those of one page of conversations.
    pub(super) async fn calls_v1(
        &self,
        since: &str,
        page: Option<&str>,
    ) -> Result<EventPage, Error> {
        let lines = self.lines().await?;
        let mut query = vec![
            ("updatedAfter", since),
            ("maxResults", CONVERSATIONS_PER_PAGE),
        ];
        query.extend(page.map(|page| ("pageToken", page)));
        let found: Envelope<Vec<Conversation>> = self
            .get("conversations", &["conversations"], &query)
            .await?;
        let (mut events, mut seen) = (Vec::new(), BTreeSet::new());
        for conversation in &found.data {
            // With more than one other party there are no calls, and the provider refuses the question.
            let (Some(number_sid), [other]) = (
                conversation.phone_number_id.as_deref(),
                conversation.participants.as_slice(),
            ) else {
                continue;
            };
            let line = lines.iter().find(|line| line.sid == number_sid);
            // Without a user, the provider takes the owner of the workspace.
            let users: Vec<Option<&str>> = match line.map(|line| line.user_sids.as_slice()) {
                Some([]) | None => vec![None],
                Some(users) => users.iter().map(|user| Some(user.as_str())).collect(),
            };
            for user in users {
                let mut query = vec![
                    ("phoneNumberId", number_sid),
                    ("participants", other.as_str()),
                    ("createdAfter", since),
                ];
                query.extend(user.map(|user| ("userId", user)));
                let records: Vec<Call> = self.all("calls", &["calls"], &query).await?;
                let is_new = |record: &Call| seen.insert(record.id.clone());
                events.extend(records.into_iter().filter(is_new).flat_map(fetched_call));
            }
        }
        Ok(EventPage {
            events,
            costs: Vec::new(),
            next: found.next_page_token,
        })
    }

    /// One call, with its voicemail or recordings if it is over.
    pub(super) async fn one_call(&self, sid: &str) -> Result<Vec<ProviderEvent>, Error> {
        // Version 2026-03-30 is not known to show one call.
        let answer = self
            .send(self.request(Surface::V1, Method::GET, &["calls", sid]))
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let found: Envelope<Call> = answer.json("call", explain)?;
        let mut record = found.data;
        let is_over = record.completed_at.is_some();
        let is_answered = record.answered_at.is_some();
        let mut more = Vec::new();
        if is_over && !is_answered && record.direction.as_deref() == Some("incoming") {
            let voicemail = self.voicemail(sid).await?;
            record.has_voicemail = Some(voicemail.is_some());
            more.extend(voicemail.map(Fact::Voicemail));
        }
        if is_over && is_answered {
            let recordings = self.recordings(sid).await?;
            more.extend(recordings.into_iter().map(Fact::Recording));
        }
        let mut events = fetched_call(record);
        let changed_at = events.first().map(|event| event.occurred_at);
        if let Some(changed_at) = changed_at {
            events.extend(more.into_iter().map(|fact| fetched(fact, changed_at)));
        }
        Ok(events)
    }
}

/// A call record as events: the call itself and the voicemail within.
fn fetched_call(mut record: Call) -> Vec<ProviderEvent> {
    let context = Context::default();
    let changed_at = record
        .updated_at
        .or(record.completed_at)
        .or(record.created_at);
    let status = record.status.take().unwrap_or_default();
    let voicemail = record.voicemail.take().filter(facts::is_left);
    let (Some(changed_at), Some(mut fact)) = (changed_at, facts::call(&mut record, &context))
    else {
        return Vec::new();
    };
    facts::phase(&mut fact, &status);
    fact.is_whole = fact.ended_at.is_some();
    let voicemail = voicemail
        .and_then(|record| facts::voicemail_of(record, &fact))
        .map(Fact::Voicemail);
    std::iter::once(Fact::Call(fact))
        .chain(voicemail)
        .map(|fact| fetched(fact, changed_at))
        .collect()
}

/// A fetched record, keyed by what it is and its version, so that fetching it again unchanged adds nothing.
fn fetched(fact: Fact, changed_at: Timestamp) -> ProviderEvent {
    let (kind, sid) = match &fact {
        Fact::Call(fact) => ("call", &fact.sid),
        Fact::Recording(fact) => ("recording", &fact.sid),
        Fact::Voicemail(fact) => ("voicemail", &fact.sid),
        Fact::Transcript(fact) => ("transcript", &fact.call_sid),
        Fact::Summary(fact) => ("summary", &fact.call_sid),
        Fact::Message(fact) => ("message", &fact.sid),
        Fact::Ignored { kind } => ("ignored", kind),
    };
    let progress = match &fact {
        Fact::Recording(fact) => fact.state.as_str(),
        Fact::Voicemail(fact) if fact.transcript.is_some() => "transcribed",
        _ => "",
    };
    ProviderEvent {
        key: format!("fetched:{kind}:{sid}:{changed_at}:{progress}"),
        occurred_at: changed_at,
        fact,
    }
}
