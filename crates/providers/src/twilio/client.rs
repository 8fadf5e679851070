//! Requests to the provider. Every function sends each request once: the caller's job queue decides when to try again.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use tollbook_core::calls::{Direction, Fact, MediaUrl, MessageFact, ProviderEvent};
use tollbook_core::phone::E164;

use super::facts;
use super::wire::{Account, Call, Message, Number, Page, Refusal};
use crate::http::{Answer, parse_url};
use crate::{
    Budget, CostOf, Download, Error, EventPage, Http, Malformed, NewMessage, PhoneLine,
    ProviderCost, Resend, Secret, Telephony,
};

const API_VERSION: &str = "2010-04-01";
/// The provider limits what runs at the same time, not the rate; this keeps us well below.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// A list that does not end after so many pages is a fault of the provider's.
const PAGES_MAX: u32 = 1_000;
/// How far the provider's clock may be behind ours when we look for what an earlier attempt did.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(1);

/// An account or sub-account and how it is opened.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `AC…`
    pub account_sid: String,
    /// The account itself, its parent, or a key (`SK…`).
    pub user: String,
    /// The auth token or the key's secret.
    pub secret: Secret,
}

/// The account that credentials open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountInfo {
    /// `AC…`
    pub sid: String,
    /// Its name.
    pub name: Option<String>,
    /// Neither suspended nor closed.
    pub is_active: bool,
}

/// An account's client. Clones share its request budget: keep one client per account.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    base: Url,
    credentials: Credentials,
    budget: Budget,
}

pub(super) type Fields<'a> = &'a [(&'a str, &'a str)];

impl Client {
    /// A client for an account. `base_url` is `https://api.twilio.com`, or a sandbox.
    pub fn new(http: &Http, base_url: &str, credentials: Credentials) -> Result<Self, Malformed> {
        Ok(Self {
            http: http.clone(),
            base: parse_url(base_url)?,
            credentials,
            budget: Budget::per_second(REQUESTS_PER_SECOND),
        })
    }

    /// Takes requests from another budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Which account the credentials open: the check of new ones. Keys that are not main keys may not ask.
    pub async fn account(&self) -> Result<AccountInfo, Error> {
        let mut url = self.base.clone();
        let file = format!("{}.json", self.credentials.account_sid);
        extend(&mut url, &[API_VERSION, "Accounts", &file]);
        let found: Account = self
            .send(Method::GET, url, &[])
            .await?
            .json("account", explain)?;
        Ok(AccountInfo {
            sid: found.sid,
            name: found.friendly_name,
            is_active: found.status.as_deref() == Some("active"),
        })
    }

    /// A message as it is now, and what it has cost once the provider has said; `None` if it does not know it.
    pub async fn message(
        &self,
        sid: &str,
    ) -> Result<Option<(MessageFact, Option<ProviderCost>)>, Error> {
        let found: Option<Message> = self.get_if_any("message", &["Messages", sid]).await?;
        Ok(found.map(|record| {
            let (price, unit) = (record.price.as_deref(), record.price_unit.as_deref());
            let cost = facts::cost(CostOf::Message, &record.sid, price, unit);
            (facts::message(&record), cost)
        }))
    }

    /// Fetches the sound of a recording by its id, at most `bytes_max` bytes. Where a webhook says that it is, only the
    /// account's credentials open it.
    pub async fn recording_media(&self, sid: &str, bytes_max: usize) -> Result<Download, Error> {
        let mut url = self.base.clone();
        let account = self.credentials.account_sid.as_str();
        extend(
            &mut url,
            &[API_VERSION, "Accounts", account, "Recordings", sid],
        );
        self.http.wait(&self.budget).await;
        let request = self.authorized(Method::GET, url);
        self.http.download_by(request, bytes_max).await
    }

    /// Fetches a recording of at most `bytes_max` bytes. The credentials go to the account's own host and nowhere else.
    pub async fn download(&self, url: &MediaUrl, bytes_max: usize) -> Result<Download, Error> {
        let address = parse_url(url.reveal())?;
        if address.origin() != self.base.origin() {
            return self.http.download(url, bytes_max).await;
        }
        self.http.wait(&self.budget).await;
        let request = self.authorized(Method::GET, address);
        self.http.download_by(request, bytes_max).await
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        let account = self.credentials.account_sid.as_str();
        extend(&mut url, &[API_VERSION, "Accounts", account]);
        if let Some((last, path)) = path.split_last() {
            extend(&mut url, path);
            extend(&mut url, &[&format!("{last}.json")]);
        }
        url
    }

    fn authorized(&self, method: Method, url: Url) -> RequestBuilder {
        let credentials = &self.credentials;
        self.http
            .request(method, url)
            .basic_auth(&credentials.user, Some(credentials.secret.reveal()))
    }

    /// Sends fields in the query of a GET and in the body of a POST.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        fields: Fields<'_>,
    ) -> Result<Answer, Error> {
        let is_post = method == Method::POST;
        let request = self.authorized(method, url);
        let request = match (is_post, fields) {
            (true, fields) => request.form(fields),
            (false, []) => request,
            (false, fields) => request.query(fields),
        };
        self.http.wait(&self.budget).await;
        self.http.send(request).await
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &[&str],
        query: Fields<'_>,
    ) -> Result<T, Error> {
        let answer = self.send(Method::GET, self.url(path), query).await?;
        answer.json(what, explain)
    }

    pub(super) async fn get_if_any<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &[&str],
    ) -> Result<Option<T>, Error> {
        let answer = self.send(Method::GET, self.url(path), &[]).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.json(what, explain).map(Some)
    }

    /// The page that another one named. Its address is the provider's and is followed as it is.
    async fn follow(&self, what: &'static str, uri: &str) -> Result<Page, Error> {
        let prefix = self.base.as_str().trim_end_matches('/');
        let url = parse_url(&format!("{prefix}/{}", uri.trim_start_matches('/')))?;
        self.send(Method::GET, url, &[]).await?.json(what, explain)
    }

    /// Reads a list to its end; `take` moves the items of a page out.
    pub(super) async fn all<T>(
        &self,
        what: &'static str,
        path: &[&str],
        query: Fields<'_>,
        take: fn(Page) -> Vec<T>,
    ) -> Result<Vec<T>, Error> {
        let mut page: Page = self.get(what, path, query).await?;
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            let next = page.next_page_uri.take();
            items.extend(take(page));
            let Some(next) = next else {
                return Ok(items);
            };
            page = self.follow(what, &next).await?;
        }
        Err(Malformed::new(what, format!("the list has more than {PAGES_MAX} pages")).into())
    }

    pub(super) async fn find_call(&self, sid: &str) -> Result<Option<Call>, Error> {
        self.get_if_any("call", &["Calls", sid]).await
    }

    pub(super) async fn children(&self, sid: &str) -> Result<Vec<Call>, Error> {
        let query = [("ParentCallSid", sid), ("PageSize", "100")];
        self.all("calls", &["Calls"], &query, |page| page.calls)
            .await
    }

    pub(super) async fn recordings_of(&self, call_sid: &str) -> Result<Page, Error> {
        self.get("recordings", &["Calls", call_sid, "Recordings"], &[])
            .await
    }

    /// The message that an earlier attempt sent, if it did: the oldest of that text that is not known to be another.
    async fn find_sent(
        &self,
        message: &NewMessage,
        from: &str,
        earlier: &Resend,
    ) -> Result<Option<MessageFact>, Error> {
        let since = earlier.first_attempt_at.checked_sub(CLOCK_SKEW_MAX);
        let since = since.unwrap_or(earlier.first_attempt_at);
        // The newest come first, and those not sent yet have no date to filter by: the first page has what we look for.
        let query = [
            ("To", message.to.as_str()),
            ("From", from),
            ("PageSize", "100"),
        ];
        let records: Page = self.get("messages", &["Messages"], &query).await?;
        let records = records.messages;
        let is_ours = |fact: &MessageFact| {
            fact.direction == Direction::Outgoing
                && fact.created_at.is_some_and(|at| at >= since)
                && fact.text.as_deref().map(str::trim) == Some(message.text.trim())
                && !earlier.known_sids.contains(&fact.sid)
        };
        let facts = records.iter().map(facts::message).filter(is_ours);
        Ok(facts.min_by_key(|fact| fact.created_at))
    }

    /// The number itself, where its id was given: messages are sent from numbers.
    async fn number_of(&self, from: &str) -> Result<String, Error> {
        if !from.starts_with("PN") {
            return Ok(from.to_owned());
        }
        let number: Number = self
            .get("number", &["IncomingPhoneNumbers", from], &[])
            .await?;
        Ok(number.e164)
    }
}

impl Telephony for Client {
    async fn lines(&self) -> Result<Vec<PhoneLine>, Error> {
        let query = [("PageSize", "1000")];
        let path = ["IncomingPhoneNumbers"];
        let records = self
            .all("phone numbers", &path, &query, |page| {
                page.incoming_phone_numbers
            })
            .await?;
        records.into_iter().map(line).collect()
    }

    async fn calls_since(&self, since: Timestamp, page: Option<&str>) -> Result<EventPage, Error> {
        let found = if let Some(uri) = page {
            self.follow("calls", uri).await?
        } else {
            let day = day(since);
            // The name ends in `>`: on or after that day.
            let query = [("StartTime>", day.as_str()), ("PageSize", "200")];
            self.get("calls", &["Calls"], &query).await?
        };
        // The filter knows days only.
        let is_wanted = |record: &&Call| record.date_created.is_none_or(|at| at >= since);
        let records: Vec<&Call> = found.calls.iter().filter(is_wanted).collect();
        let event = |record: &&Call| {
            let is_child = |child: &&Call| child.parent_call_sid.as_ref() == Some(&record.sid);
            let children: Vec<&Call> = found.calls.iter().filter(is_child).collect();
            let mut fact = facts::call(record);
            facts::settle(&mut fact, record, &children, None);
            let changed_at = fact.updated_at.or(fact.ended_at).or(fact.started_at)?;
            Some(facts::fetched(Fact::Call(fact), changed_at))
        };
        Ok(EventPage {
            events: records.iter().filter_map(event).collect(),
            costs: records
                .iter()
                .filter_map(|record| facts::call_cost(record))
                .collect(),
            next: found.next_page_uri,
        })
    }

    async fn call(&self, sid: &str) -> Result<Vec<ProviderEvent>, Error> {
        let Some(mut record) = self.find_call(sid).await? else {
            return Ok(Vec::new());
        };
        // A leg alone does not say whose call it is: the record at its root does.
        if let Some(parent) = record.parent_call_sid.clone()
            && let Some(found) = self.find_call(&parent).await?
        {
            record = found;
        }
        let sid = record.sid.clone();
        let sid = sid.as_str();
        let children = self.children(sid).await?;
        let recordings = self.recordings_of(sid).await?.recordings;
        let has_voicemail = recordings.iter().any(facts::is_voicemail);
        let mut fact = facts::call(&record);
        let legs: Vec<&Call> = children.iter().collect();
        facts::settle(&mut fact, &record, &legs, Some(has_voicemail));
        let Some(changed_at) = fact.updated_at.or(fact.ended_at).or(fact.started_at) else {
            return Ok(Vec::new());
        };
        let base = self.base.as_str().trim_end_matches('/');
        let legs = children.iter().map(|child| Fact::Call(facts::call(child)));
        let recordings = recordings
            .into_iter()
            .map(|recording| facts::recording(recording, sid, base));
        Ok(std::iter::once(Fact::Call(fact))
            .chain(legs)
            .chain(recordings)
            .map(|fact| facts::fetched(fact, changed_at))
            .collect())
    }

    async fn send_message(
        &self,
        message: &NewMessage,
        earlier: Option<&Resend>,
    ) -> Result<MessageFact, Error> {
        let from = self.number_of(&message.from).await?;
        if let Some(earlier) = earlier
            && let Some(sent) = self.find_sent(message, &from, earlier).await?
        {
            return Ok(sent);
        }
        let fields = [
            ("From", from.as_str()),
            ("To", message.to.as_str()),
            ("Body", &message.text),
        ];
        let answer = self
            .send(Method::POST, self.url(&["Messages"]), &fields)
            .await?;
        let record: Message = answer.json("message", explain)?;
        Ok(facts::message(&record))
    }
}

/// The provider's code and message.
pub(super) fn explain(body: &[u8]) -> Option<(String, String)> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    Some((refusal.code?.to_string(), refusal.message?))
}

pub(super) fn line(record: Number) -> Result<PhoneLine, Error> {
    let number: E164 = record
        .e164
        .parse()
        .map_err(|_| Malformed::new("phone numbers", "a number is not in E.164 form"))?;
    Ok(PhoneLine {
        sid: record.sid,
        number,
        name: record.friendly_name.filter(|name| !name.is_empty()),
        user_sids: Vec::new(),
    })
}

fn extend(url: &mut Url, path: &[&str]) {
    // An http or https address always has segments.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
}

/// The day in UTC, as the provider's filters want it.
fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
