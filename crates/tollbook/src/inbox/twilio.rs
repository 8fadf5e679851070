//! Where Twilio delivers webhooks and asks for instructions. The body is durable before anything is answered.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tollbook_core::actor::Actor;
use tollbook_core::calls::Provider;
use tollbook_core::ids::IntegrationId;
use tollbook_core::phone::E164;
use tollbook_providers::twilio::{self, Answer, Asked, Request, SignatureError};

use super::accept::{Stored, Webhook};
use super::api::{kept_headers, refuse};
use crate::app::App;
use crate::calls::client_name;
use crate::error::{Error, Result};
use crate::http::input::Path;
use crate::integrations::{self, Account};
use crate::numbers::{self, Route};
use crate::pages::text::Text;

/// How long the members of a number are rung.
const RING_SECONDS: u32 = 25;
/// Where the time at which a webhook came is kept: the provider itself says of most things only that they are.
pub(super) const DATE: &str = "date";

/// An account of an organization, or the platform's own where the path names none.
type Named = Option<Path<IntegrationId>>;

/// `POST /webhooks/twilio/voice`: somebody calls, or a call asks how to go on.
pub(crate) async fn voice(
    State(app): State<App>,
    named: Named,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let account = accept(&app, named, &uri, &headers, &body).await?;
    let place = Place::new(&app, &uri)?;
    let answer = match twilio::asked(&body) {
        Asked::Incoming(None) => Answer::Reject,
        Asked::Incoming(Some(number)) => begin(&app, &account, number, &place).await?,
        Asked::Dialled { is_answered: false } => place.take_message(),
        Asked::Dialled { is_answered: true } | Asked::Recorded => Answer::HangUp,
    };
    Ok(instructions(&answer))
}

/// `POST /webhooks/twilio/sms`: a message came in. Nothing is written back.
pub(crate) async fn sms(
    State(app): State<App>,
    named: Named,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    accept(&app, named, &uri, &headers, &body).await?;
    Ok(instructions(&Answer::Nothing))
}

/// `POST /webhooks/twilio/call-status`, `/recording-status`, `/sms-status`: how far something is.
pub(crate) async fn status(
    State(app): State<App>,
    named: Named,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode> {
    accept(&app, named, &uri, &headers, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The addresses that instructions name, beside the one that was asked.
struct Place {
    voice_url: String,
    status_url: String,
    recorded_url: String,
    message: String,
}

impl Place {
    fn new(app: &App, uri: &Uri) -> Result<Self> {
        let path = uri.path();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let base = format!("{}{folder}", public_url(app)?);
        Ok(Self {
            voice_url: format!("{base}/voice"),
            status_url: format!("{base}/call-status"),
            recorded_url: format!("{base}/recording-status"),
            message: Text::default().say("voice-take-message").to_string(),
        })
    }

    fn take_message(&self) -> Answer<'_> {
        Answer::TakeMessage {
            text: &self.message,
            then_url: &self.voice_url,
            recorded_url: &self.recorded_url,
        }
    }
}

async fn begin<'a>(
    app: &App,
    account: &Account,
    number: E164,
    place: &'a Place,
) -> Result<Answer<'a>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let now = app.clock.now();
    let provider = Provider::Twilio;
    let route = numbers::route(&mut tx, provider, account.organization, number, now).await?;
    tx.rollback().await?;
    Ok(match route {
        Route::Refuse => Answer::Reject,
        Route::TakeMessage => place.take_message(),
        Route::Ring(users) => Answer::Dial {
            clients: users.into_iter().map(client_name).collect(),
            seconds: RING_SECONDS,
            then_url: &place.voice_url,
            status_url: &place.status_url,
        },
    })
}

fn instructions(answer: &Answer<'_>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/xml; charset=utf-8")];
    (kind, answer.document()).into_response()
}

/// Checks who sent a webhook, and stores it.
async fn accept(
    app: &App,
    named: Named,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Arc<Account>> {
    let account = match named {
        Some(Path(id)) => integrations::account(app, id).await?,
        None => integrations::platform_account(app, Provider::Twilio).await?,
    };
    if account.provider != Provider::Twilio {
        return Err(Error::NotFound("integration"));
    }
    let path = uri.path_and_query().map_or("", |it| it.as_str());
    let request = Request {
        method: "POST",
        url: &format!("{}{path}", public_url(app)?),
        headers,
        body,
    };
    if let Err(error) = twilio::verify(request, account.webhook_secrets()) {
        let reason = match error {
            SignatureError::Missing => "missing",
            SignatureError::Mismatch | SignatureError::Body => "wrong",
        };
        refuse(app, account.id, reason).await;
        return Err(Error::forbidden(error.to_string()));
    }
    let now = app.clock.now();
    let key = event_key(body, now);
    let webhook = Webhook {
        integration: account.id,
        organization: account.organization,
        provider: account.provider,
        event_key: key.clone(),
        verdict: "twilio-signature",
        headers: dated(kept_headers(headers), now),
        body: body.to_vec(),
    };
    if app.inbox.submit(webhook.clone()).await? == Stored::Conflict {
        // The same event told in other words, as when instructions are asked for once more: nothing of it is lost, and
        // what it means is joined with what is known.
        let event_key = format!("{key}:{}", digest(body));
        app.inbox
            .submit(Webhook {
                event_key,
                ..webhook
            })
            .await?;
    }
    Ok(account)
}

/// What an event is stored under. The provider repeats a request with the same ids and states in it. Its
/// `I-Twilio-Idempotency-Token` would say the same, but is not signed: with another one, a request that somebody has
/// overheard would be a new event.
fn event_key(body: &[u8], now: Timestamp) -> String {
    let events = twilio::parse(body, now).unwrap_or_default();
    match events.into_iter().next() {
        Some(event) if !event.key.starts_with("ignored:unknown") => event.key,
        _ => format!("body:{}", digest(body)),
    }
}

fn digest(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// The address under which the provider knows this server: what it signs begins with it. What a request or a proxy says
/// of it is not to be trusted.
fn public_url(app: &App) -> Result<&str> {
    let url = app.settings.server_url.as_deref();
    let url = url.map(|url| url.trim_end_matches('/'));
    url.ok_or_else(|| Error::Unavailable("set `SERVER_URL` to take webhooks of Twilio".to_owned()))
}

fn dated(mut headers: Value, now: Timestamp) -> Value {
    if let Value::Object(kept) = &mut headers {
        kept.insert(DATE.to_owned(), Value::String(now.to_string()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_has_the_same_key_and_what_names_nothing_its_own() {
        let key = |body: &str| event_key(body.as_bytes(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            key("CallSid=CA1&CallStatus=completed&SequenceNumber=3"),
            "call:CA1:completed:3"
        );
        assert_eq!(
            key("MessageSid=SM1&MessageStatus=sent"),
            "message:SM1:sent::"
        );
        assert_ne!(key("a=1"), key("a=2"));
        assert_eq!(key("{\"a\": 1}"), key("{\"a\": 1}"));
        assert!(key("{").starts_with("body:"));
    }
}
