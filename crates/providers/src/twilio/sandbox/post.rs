//! Webhooks: the parameters of each kind, signed with the account's token and sent by real HTTP.

use jiff::Timestamp;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use reqwest::Method;

use super::json::date;
use super::records::{Account, Call, Message, Recording};
use super::state::State;
use super::{Drained, Sandbox};
use crate::http::parse_url;
use crate::sandbox::take;
use crate::twilio::webhook::{SIGNATURE_HEADER, sign_form};
use crate::{Error, Http, Secret};

/// A webhook to be sent.
#[derive(Debug, Clone)]
pub(super) struct Post {
    account: usize,
    /// For the knob that loses kinds: `voice`, `call-status`, `dial`, `recording-status`, `sms`, `sms-status`.
    pub(super) kind: &'static str,
    pub(super) url: String,
    fields: Vec<(&'static str, String)>,
    pub(super) due_at: Timestamp,
}

struct Attempt {
    url: String,
    body: String,
    signature: String,
    times: u32,
}

impl Sandbox {
    /// Moves the clock to `now`, lets what is due happen, and posts every webhook once, whether it is due or not.
    ///
    /// As at the provider, an answer that is not a success is not tried again; only a connection that cannot be made
    /// is, once.
    pub async fn drain(&self, now: Timestamp) -> Drained {
        let _guard = self.shared.delivering.lock().await;
        let attempts = {
            let mut state = self.state();
            state.advance(now);
            let due = std::mem::take(&mut state.outbox);
            state.attempts(due)
        };
        send_all(&self.shared.http, attempts).await
    }

    /// As [`Sandbox::drain`], but only what is due.
    pub async fn deliver_due(&self, now: Timestamp) -> Drained {
        let _guard = self.shared.delivering.lock().await;
        let attempts = {
            let mut state = self.state();
            state.advance(now);
            let all = std::mem::take(&mut state.outbox);
            let (due, later) = all.into_iter().partition(|post: &Post| post.due_at <= now);
            state.outbox = later;
            state.attempts(due)
        };
        send_all(&self.shared.http, attempts).await
    }
}

impl State {
    fn attempts(&mut self, mut posts: Vec<Post>) -> Vec<Attempt> {
        if self.knobs.reorder_webhooks {
            let mut rng = ChaCha8Rng::seed_from_u64(self.next("shuffle"));
            posts.shuffle(&mut rng);
        }
        posts
            .into_iter()
            .filter_map(|post| self.attempt(post))
            .collect()
    }

    fn attempt(&mut self, post: Post) -> Option<Attempt> {
        let is_wrong = take(&mut self.knobs.wrong_signature_next);
        let is_cut = take(&mut self.knobs.malformed_webhook_next);
        let is_double = take(&mut self.knobs.duplicate_webhook_next);
        let account = self.accounts.get(post.account)?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&post.fields);
        let mut body = form.finish();
        if is_cut {
            body.truncate(body.len() / 2);
        }
        let wrong = Secret::new("not the token");
        let token = if is_wrong {
            &wrong
        } else {
            &account.auth_token
        };
        Some(Attempt {
            signature: sign_form(token, &post.url, body.as_bytes())?,
            url: post.url,
            body,
            times: 1 + u32::from(is_double),
        })
    }
}

async fn send_all(http: &Http, attempts: Vec<Attempt>) -> Drained {
    let mut drained = Drained::default();
    for attempt in attempts {
        for _ in 0..attempt.times {
            let mut outcome = send(http, &attempt).await;
            if matches!(&outcome, Err(error) if !error.may_have_acted()) {
                drained.refused += 1;
                outcome = send(http, &attempt).await;
            }
            if matches!(outcome, Ok(true)) {
                drained.delivered += 1;
            } else {
                drained.refused += 1;
                drained.given_up += 1;
            }
        }
    }
    drained
}

async fn send(http: &Http, attempt: &Attempt) -> Result<bool, Error> {
    let request = http
        .request(Method::POST, parse_url(&attempt.url)?)
        .header("content-type", "application/x-www-form-urlencoded")
        .header(SIGNATURE_HEADER, &attempt.signature)
        .body(attempt.body.clone());
    Ok(http.send(request).await?.status.is_success())
}

fn post(place: usize, kind: &'static str, url: &str, fields: Vec<(&'static str, String)>) -> Post {
    Post {
        account: place,
        kind,
        url: url.to_owned(),
        fields,
        due_at: Timestamp::MIN,
    }
}

fn call_fields(account: &Account, call: &Call) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("AccountSid", account.sid.clone()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("CallSid", call.sid.clone()),
        ("CallStatus", call.status.to_owned()),
        ("Called", call.to.clone()),
        ("Caller", call.from.clone()),
        ("Direction", call.direction.to_owned()),
        ("From", call.from.clone()),
        ("To", call.to.clone()),
        // Blank values are sent, and count in the signature.
        ("FromZip", String::new()),
    ];
    fields.extend(
        call.parent_sid
            .iter()
            .map(|sid| ("ParentCallSid", sid.clone())),
    );
    fields
}

/// Somebody calls a number of the account.
pub(super) fn voice(place: usize, account: &Account, sid: &str) -> Option<Post> {
    let call = account.call(sid)?;
    let number = account
        .numbers
        .iter()
        .find(|number| number.e164 == call.to)?;
    Some(post(
        place,
        "voice",
        &number.voice_url,
        call_fields(account, call),
    ))
}

/// How far a leg is. A call to a number tells its end alone, and without a sequence.
pub(super) fn call_status(
    place: usize,
    account: &mut Account,
    sid: &str,
    at: Timestamp,
) -> Option<Post> {
    let number = account.call_mut(sid)?.sequence;
    account.call_mut(sid)?.sequence += 1;
    let call = account.call(sid)?;
    let mut fields = call_fields(account, call);
    fields.push(("Timestamp", date(at)));
    if let Some(seconds) = call.seconds.filter(|_| call.ended_at.is_some()) {
        fields.push(("CallDuration", seconds.to_string()));
        // Minutes, a begun one counting whole.
        fields.push(("Duration", seconds.div_ceil(60).to_string()));
    }
    if call.direction == "inbound" {
        call.ended_at?;
        let mut numbers = account.numbers.iter();
        let number = numbers.find(|number| number.e164 == call.to)?;
        return Some(post(place, "call-status", &number.status_url, fields));
    }
    fields.push(("CallbackSource", "call-progress-events".to_owned()));
    fields.push(("SequenceNumber", number.to_string()));
    Some(post(place, "call-status", &call.status_url, fields))
}

/// What became of the leg that a call dialled.
pub(super) fn dial_done(place: usize, account: &Account, sid: &str) -> Option<Post> {
    let call = account.call(sid)?;
    let is_child = |child: &&Call| child.parent_sid.as_deref() == Some(sid);
    let child = account.calls.iter().find(is_child)?;
    let mut fields = call_fields(account, call);
    fields.push(("DialCallSid", child.sid.clone()));
    fields.push(("DialCallStatus", child.status.to_owned()));
    if let Some(seconds) = child.seconds.filter(|_| child.status == "completed") {
        fields.push(("DialCallDuration", seconds.to_string()));
    }
    fields.push(("DialBridged", (child.status == "completed").to_string()));
    Some(post(place, "dial", &account.hooks.dial_action_url, fields))
}

pub(super) fn recorded(place: usize, account: &Account, recording: &Recording, base: &str) -> Post {
    let fields = vec![
        ("AccountSid", account.sid.clone()),
        ("CallSid", recording.call_sid.clone()),
        ("RecordingSid", recording.sid.clone()),
        (
            "RecordingUrl",
            format!(
                "{base}/2010-04-01/Accounts/{}/Recordings/{}",
                account.sid, recording.sid
            ),
        ),
        ("RecordingStatus", "completed".to_owned()),
        ("RecordingDuration", recording.seconds.to_string()),
        ("RecordingChannels", "1".to_owned()),
        ("RecordingStartTime", date(recording.started_at)),
        ("RecordingSource", recording.source.to_owned()),
        ("RecordingTrack", "both".to_owned()),
    ];
    post(
        place,
        "recording-status",
        &account.hooks.recording_status_url,
        fields,
    )
}

fn message_fields(account: &Account, message: &Message) -> Vec<(&'static str, String)> {
    vec![
        ("MessageSid", message.sid.clone()),
        ("SmsSid", message.sid.clone()),
        ("AccountSid", account.sid.clone()),
        ("From", message.from.clone()),
        ("To", message.to.clone()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("SmsStatus", message.status.to_owned()),
    ]
}

/// A message came in.
pub(super) fn message_came(place: usize, account: &Account, message: &Message) -> Option<Post> {
    if message.direction != "inbound" {
        return None;
    }
    let number = account
        .numbers
        .iter()
        .find(|number| number.e164 == message.to)?;
    let mut fields = message_fields(account, message);
    fields.push(("SmsMessageSid", message.sid.clone()));
    fields.push(("Body", message.body.clone()));
    fields.push(("NumMedia", "0".to_owned()));
    fields.push(("NumSegments", message.segments().to_string()));
    Some(post(place, "sms", &number.sms_url, fields))
}

/// How far a message of ours is.
pub(super) fn message_status(place: usize, account: &Account, sid: &str) -> Option<Post> {
    let message = account.messages.iter().find(|message| message.sid == sid)?;
    let mut fields = message_fields(account, message);
    fields.push(("MessageStatus", message.status.to_owned()));
    fields.extend(
        message
            .error_code()
            .map(|code| ("ErrorCode", code.to_string())),
    );
    Some(post(place, "sms-status", &message.status_url, fields))
}
