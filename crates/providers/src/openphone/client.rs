//! Requests to the provider. Every function sends each request once: the caller's job queue decides when to try again.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use tollbook_core::calls::{
    Direction, Fact, MessageFact, ProviderEvent, RecordingFact, SummaryFact, TranscriptFact,
    VoicemailFact,
};

use super::wire::{
    Call, Context, Conversation, Envelope, Message, NewMessage as NewMessageBody, Organization,
    PhoneNumber, Recording, Refusal, Summary, Transcript, User, Voicemail,
};
use super::{facts, wire};
use crate::http::{Answer, parse_url};
use crate::{
    Budget, Error, EventPage, Http, Malformed, NewMessage, PhoneLine, Resend, Secret, Telephony,
};

/// The version that the newer interface is asked for.
pub(crate) const API_VERSION: &str = "2026-03-30";
pub(crate) const API_VERSION_HEADER: &str = "quo-api-version";
/// The provider allows ten a second and key; two are left for other programs that use the key.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(8).unwrap();
/// A list that does not end after so many pages is a fault of the provider's.
const PAGES_MAX: u32 = 1_000;
/// Each of these costs a request per user of the number, so a page is kept short.
const CONVERSATIONS_PER_PAGE: &str = "20";
/// How far the provider's clock may be behind ours when we look for a message.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Which of the provider's two interfaces is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Version 1, under `/v1`.
    V1,
    /// Version 2026-03-30, chosen by a header.
    V2026,
}

/// The workspace that a key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The provider's id; version 1 does not tell it.
    pub sid: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Whether it is paid for: an expired one sends no messages.
    pub is_active: bool,
}

/// A workspace's client. Clones share its request budget: keep one client per key.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    base: Url,
    key: Secret,
    budget: Budget,
    surface: Surface,
}

pub(super) type Query<'a> = &'a [(&'a str, &'a str)];

impl Client {
    /// A client for the workspace of `key`, reading through version 2026-03-30, at most eight requests a second.
    /// `base_url` is `https://api.quo.com`, or a sandbox.
    pub fn new(http: &Http, base_url: &str, key: Secret) -> Result<Self, Malformed> {
        Ok(Self {
            http: http.clone(),
            base: parse_url(base_url)?,
            key,
            budget: Budget::per_second(REQUESTS_PER_SECOND),
            surface: Surface::V2026,
        })
    }

    /// Reads through another interface.
    #[must_use]
    pub fn with_surface(mut self, surface: Surface) -> Self {
        self.surface = surface;
        self
    }

    /// Takes requests from another budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Which workspace the key opens: the check of a new key.
    pub async fn workspace(&self) -> Result<Workspace, Error> {
        match self.surface {
            Surface::V1 => {
                self.lines().await?;
                Ok(Workspace {
                    sid: None,
                    name: None,
                    is_active: true,
                })
            }
            Surface::V2026 => {
                let found: Envelope<Organization> =
                    self.get("workspace", &["organization"], &[]).await?;
                Ok(Workspace {
                    sid: Some(found.data.id),
                    name: found.data.name,
                    is_active: found.data.subscription_status.as_deref() != Some("expired"),
                })
            }
        }
    }

    /// The users of the workspace.
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        self.all("users", &["users"], &[]).await
    }

    /// The recordings of a call: none yet right after its end, several where recording was paused.
    pub async fn recordings(&self, call_sid: &str) -> Result<Vec<RecordingFact>, Error> {
        let path: &[&str] = match self.surface {
            Surface::V1 => &["call-recordings", call_sid],
            Surface::V2026 => &["calls", call_sid, "recordings"],
        };
        let found: Option<Envelope<Vec<Recording>>> =
            self.get_if_any("recordings", self.surface, path).await?;
        let records = found.map(|found| found.data).unwrap_or_default();
        Ok(records
            .into_iter()
            .enumerate()
            .map(|(place, record)| facts::recording(record, call_sid, place + 1))
            .collect())
    }

    /// The voicemail of a call, if one was left.
    pub async fn voicemail(&self, call_sid: &str) -> Result<Option<VoicemailFact>, Error> {
        // Version 2026-03-30 shows it inside the list of calls only.
        let path = ["call-voicemails", call_sid];
        let found: Option<Envelope<Voicemail>> =
            self.get_if_any("voicemail", Surface::V1, &path).await?;
        let record = found.map(|found| found.data).filter(facts::is_left);
        Ok(record.and_then(|record| facts::voicemail(record, Some(call_sid), &Context::default())))
    }

    /// The transcripts of a call, one per recording in version 2026-03-30; none where the workspace's plan has none.
    pub async fn transcripts(&self, call_sid: &str) -> Result<Vec<TranscriptFact>, Error> {
        let records = match self.surface {
            Surface::V1 => {
                let path = ["call-transcripts", call_sid];
                let found: Option<Envelope<Transcript>> =
                    self.get_if_any("transcript", Surface::V1, &path).await?;
                found.into_iter().map(|found| found.data).collect()
            }
            Surface::V2026 => {
                let path = ["calls", call_sid, "transcripts"];
                let found: Option<Envelope<Vec<Transcript>>> = self
                    .get_if_any("transcripts", Surface::V2026, &path)
                    .await?;
                found.map(|found| found.data).unwrap_or_default()
            }
        };
        Ok(records
            .into_iter()
            .filter_map(|record| facts::transcript(record, Some(call_sid)))
            .collect())
    }

    /// The summary of a call; `None` where the workspace's plan has none.
    pub async fn summary(&self, call_sid: &str) -> Result<Option<SummaryFact>, Error> {
        // Version 2026-03-30 shows it inside the list of calls only.
        let path = ["call-summaries", call_sid];
        let found: Option<Envelope<Summary>> =
            self.get_if_any("summary", Surface::V1, &path).await?;
        Ok(found.and_then(|found| facts::summary(found.data, Some(call_sid))))
    }

    pub(super) fn request(
        &self,
        surface: Surface,
        method: Method,
        path: &[&str],
    ) -> RequestBuilder {
        let mut url = self.base.clone();
        // An http or https address always has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            if surface == Surface::V1 {
                segments.push("v1");
            }
            segments.extend(path);
        }
        // The key stands alone: with `Bearer` before it the provider answers 401.
        let request = self
            .http
            .request(method, url)
            .header("authorization", self.key.reveal());
        match surface {
            Surface::V1 => request,
            Surface::V2026 => request.header(API_VERSION_HEADER, API_VERSION),
        }
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, Error> {
        self.budget.wait().await;
        self.http.send(request).await
    }

    /// Reads through the client's own interface.
    async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &[&str],
        query: Query<'_>,
    ) -> Result<T, Error> {
        let request = self.request(self.surface, Method::GET, path).query(query);
        self.send(request).await?.json(what, explain)
    }

    /// Reads what may not be there. Forbidden counts as not there: that is how a plan without transcripts answers.
    async fn get_if_any<T: DeserializeOwned>(
        &self,
        what: &'static str,
        surface: Surface,
        path: &[&str],
    ) -> Result<Option<T>, Error> {
        let answer = self.send(self.request(surface, Method::GET, path)).await?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            _ => answer.json(what, explain).map(Some),
        }
    }

    /// Reads a list to its end through the client's own interface.
    async fn all<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &[&str],
        query: Query<'_>,
    ) -> Result<Vec<T>, Error> {
        let (size, token) = match self.surface {
            Surface::V1 => (("maxResults", "50"), "pageToken"),
            Surface::V2026 => (("limit", "50"), "after"),
        };
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = query.to_vec();
            query.push(size);
            query.extend(next.as_deref().map(|next| (token, next)));
            let page: Envelope<Vec<T>> = self.get(what, path, &query).await?;
            items.extend(page.data);
            next = page.next_page_token.or(page.next_cursor);
            if next.is_none() {
                return Ok(items);
            }
        }
        Err(Malformed::new(what, format!("the list has more than {PAGES_MAX} pages")).into())
    }

    /// A page of calls of all numbers, newest first.
    async fn calls_2026(&self, since: &str, page: Option<&str>) -> Result<EventPage, Error> {
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
            next: found.next_cursor,
        })
    }

    /// Version 1 lists calls only for a number, another party and a user: those of one page of conversations.
    async fn calls_v1(&self, since: &str, page: Option<&str>) -> Result<EventPage, Error> {
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
            next: found.next_page_token,
        })
    }

    /// The message that an earlier attempt sent, if it did: the oldest of that text that is not known to be another.
    async fn find_sent(
        &self,
        message: &NewMessage,
        earlier: &Resend,
    ) -> Result<Option<MessageFact>, Error> {
        let lines = self.lines().await?;
        let line = lines
            .iter()
            .find(|line| line.sid == message.from || line.number.as_str() == message.from);
        let Some(line) = line else {
            return Ok(None);
        };
        let since = earlier
            .first_attempt_at
            .checked_sub(CLOCK_SKEW_MAX)
            .unwrap_or(earlier.first_attempt_at)
            .to_string();
        let (number, other) = (line.sid.as_str(), message.to.as_str());
        let query = match self.surface {
            Surface::V1 => [
                ("phoneNumberId", number),
                ("participants", other),
                ("createdAfter", &since),
            ],
            Surface::V2026 => [
                ("phoneNumberId", number),
                ("to", other),
                ("createdAt[gt]", &since),
            ],
        };
        let records: Vec<Message> = self.all("messages", &["messages"], &query).await?;
        Ok(records
            .into_iter()
            .filter_map(|record| facts::message(record, &Context::default()))
            .filter(|fact| {
                fact.direction == Direction::Outgoing
                    && fact.text.as_deref().map(str::trim) == Some(message.text.trim())
                    && !earlier.known_sids.contains(&fact.sid)
            })
            .min_by_key(|fact| fact.created_at))
    }
}

impl Telephony for Client {
    async fn lines(&self) -> Result<Vec<PhoneLine>, Error> {
        let records: Vec<PhoneNumber> = match self.surface {
            // Version 1 gives all at once and refuses a size.
            Surface::V1 => {
                let found: Envelope<Vec<PhoneNumber>> =
                    self.get("phone numbers", &["phone-numbers"], &[]).await?;
                found.data
            }
            Surface::V2026 => self.all("phone numbers", &["phone-numbers"], &[]).await?,
        };
        records.into_iter().map(line).collect()
    }

    async fn calls_since(&self, since: Timestamp, page: Option<&str>) -> Result<EventPage, Error> {
        match self.surface {
            Surface::V2026 => self.calls_2026(&since.to_string(), page).await,
            Surface::V1 => {
                // Its bounds are exclusive.
                let before = since.checked_sub(SignedDuration::from_millis(1));
                self.calls_v1(&before.unwrap_or(since).to_string(), page)
                    .await
            }
        }
    }

    async fn call(&self, sid: &str) -> Result<Vec<ProviderEvent>, Error> {
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

    async fn send_message(
        &self,
        message: &NewMessage,
        earlier: Option<&Resend>,
    ) -> Result<MessageFact, Error> {
        if let Some(earlier) = earlier
            && let Some(sent) = self.find_sent(message, earlier).await?
        {
            return Ok(sent);
        }
        let body = NewMessageBody {
            content: &message.text,
            from: &message.from,
            to: [message.to.as_str()],
            user_id: message.user_sid.as_deref(),
        };
        // Only version 1 sends.
        let request = self
            .request(Surface::V1, Method::POST, &["messages"])
            .json(&body);
        let sent: Envelope<Message> = self.send(request).await?.json("message", explain)?;
        facts::message(sent.data, &Context::default())
            .ok_or_else(|| Malformed::new("message", "it has no id or no direction").into())
    }
}

/// The provider's code and message, in any of its three shapes.
pub(super) fn explain(body: &[u8]) -> Option<(String, String)> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let refusal = match refusal.error {
        Some(inner) => *inner,
        None => refusal,
    };
    let message = refusal.message.or_else(|| refusal.title.clone())?;
    let code = refusal.code.or(refusal.key).or(refusal.title)?;
    Some((code, message))
}

fn line(record: PhoneNumber) -> Result<PhoneLine, Error> {
    let number = record
        .e164
        .parse()
        .map_err(|_| Malformed::new("phone numbers", "a number is not in E.164 form"))?;
    Ok(PhoneLine {
        sid: record.id,
        number,
        name: record.name.filter(|name| !name.is_empty()),
        user_sids: record.users.into_iter().map(|user| user.id).collect(),
    })
}

/// A call record as events: the call itself and the voicemail within.
fn fetched_call(mut record: wire::Call) -> Vec<ProviderEvent> {
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
    let voicemail = voicemail.and_then(|record| {
        let mut voicemail = facts::voicemail(record, Some(&fact.sid), &context)?;
        voicemail.number_sid.clone_from(&fact.number_sid);
        voicemail.from = voicemail.from.or_else(|| fact.from.clone());
        voicemail.to = voicemail.to.or_else(|| fact.to.clone());
        Some(Fact::Voicemail(voicemail))
    });
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
