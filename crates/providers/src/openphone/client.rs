//! Requests to the provider. Every function sends each request once: the caller's job queue decides when to try again.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use tollbook_core::calls::{
    MessageFact, ProviderEvent, RecordingFact, SummaryFact, TranscriptFact, VoicemailFact,
};

use super::facts;
use super::wire::{
    Context, Envelope, Organization, PhoneNumber, Recording, Refusal, Summary, Transcript, User,
    Voicemail,
};
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
    pub(super) surface: Surface,
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
        self.http.wait(&self.budget).await;
        self.http.send(request).await
    }

    /// Reads through the client's own interface.
    pub(super) async fn get<T: DeserializeOwned>(
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
    pub(super) async fn all<T: DeserializeOwned>(
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
        self.one_call(sid).await
    }

    async fn send_message(
        &self,
        message: &NewMessage,
        earlier: Option<&Resend>,
    ) -> Result<MessageFact, Error> {
        self.send_or_find(message, earlier).await
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
