//! Webhooks on their way: signed as the hook's format asks, sent by real HTTP, tried again when they are not accepted.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tokio::task::JoinSet;

use super::Sandbox;
use super::state::State;
use crate::http::parse_url;
use crate::openphone::webhook::{
    ID_HEADER, LEGACY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign,
};
use crate::sandbox::{Drained, take};
use crate::{Http, Secret};

/// The provider's waits before each further attempt, in seconds: eight attempts in 27 h 35 min.
const RETRY_WAITS: [i64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
/// How long ago a stale signature pretends to be made.
const STALE: SignedDuration = SignedDuration::from_hours(1);

/// In which words and with which signature a hook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Version 2026-03-30.
    Standard,
    /// Version 1.
    V4,
    /// Made in the provider's app.
    AppV3,
}

#[derive(Debug)]
pub(super) struct Hook {
    pub(super) sid: String,
    pub(super) format: Format,
    pub(super) url: String,
    pub(super) events: Vec<String>,
    pub(super) resource_sids: Vec<String>,
    /// The newest first; an older one signs as well until it is forgotten.
    pub(super) keys: Vec<Secret>,
    pub(super) label: String,
    pub(super) is_enabled: bool,
    pub(super) created_at: Timestamp,
}

/// A webhook to be delivered.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) workspace: usize,
    pub(super) hook_sid: String,
    /// The same at every attempt.
    pub(super) sent_sid: String,
    /// The call or message: its webhooks follow each other.
    pub(super) subject_sid: String,
    pub(super) body: Bytes,
    pub(super) due_at: Timestamp,
    pub(super) attempts: usize,
}

/// One HTTP request, ready to go.
struct Attempt {
    delivery: Delivery,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    times: u32,
}

impl Sandbox {
    /// Moves the clock to `now`, lets what is due happen, and delivers every webhook, retrying at once those that are
    /// not accepted until the provider would give up. Returns when nothing is left. All are signed as of `now`.
    pub async fn drain(&self, now: Timestamp) -> Drained {
        let _guard = self.shared.delivering.lock().await;
        self.state().advance(now);
        let mut total = Drained::default();
        loop {
            let due = std::mem::take(&mut self.state().outbox);
            if due.is_empty() {
                return total;
            }
            total += self.deliver(due, now).await;
        }
    }

    /// Moves the clock to `now`, lets what is due happen, and tries every webhook that is due once. Those not accepted
    /// wait as the provider lets them wait, divided by the sandbox's speed.
    pub async fn deliver_due(&self, now: Timestamp) -> Drained {
        let _guard = self.shared.delivering.lock().await;
        let due = {
            let mut state = self.state();
            state.advance(now);
            let all = std::mem::take(&mut state.outbox);
            let (due, later) = all
                .into_iter()
                .partition(|one: &Delivery| one.due_at <= now);
            state.outbox = later;
            due
        };
        self.deliver(due, now).await
    }

    async fn deliver(&self, mut due: Vec<Delivery>, now: Timestamp) -> Drained {
        let mut lanes: Vec<Vec<Attempt>> = Vec::new();
        lanes.resize_with(self.shared.options.lanes.max(1), Vec::new);
        let mut drained = Drained::default();
        {
            let mut state = self.state();
            if state.knobs.reorder_webhooks {
                let mut rng = ChaCha8Rng::seed_from_u64(state.next("shuffle"));
                due.shuffle(&mut rng);
            }
            for delivery in due {
                let lane = lane(&delivery.subject_sid, lanes.len());
                match (state.attempt(delivery, now), lanes.get_mut(lane)) {
                    (Some(attempt), Some(lane)) => lane.push(attempt),
                    _ => drained.given_up += 1,
                }
            }
        }
        let mut running = JoinSet::new();
        for lane in lanes {
            running.spawn(send_lane(self.shared.http.clone(), lane));
        }
        while let Some(lane) = running.join_next().await {
            let (sent, refused) = lane.unwrap_or_default();
            drained += sent;
            let mut state = self.state();
            for delivery in refused {
                drained.given_up += u32::from(!self.retry(&mut state, delivery, now));
            }
        }
        drained
    }

    /// Queues a delivery once more; false if it was the last attempt.
    fn retry(&self, state: &mut State, mut delivery: Delivery, now: Timestamp) -> bool {
        let Some(wait) = RETRY_WAITS.get(delivery.attempts) else {
            return false;
        };
        let wait = SignedDuration::from_secs(*wait / i64::from(self.shared.options.speed.get()));
        delivery.attempts += 1;
        delivery.due_at = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        state.outbox.push(delivery);
        true
    }
}

impl State {
    pub(super) fn hook(
        &mut self,
        format: Format,
        url: &str,
        events: Vec<String>,
        resource_sids: Vec<String>,
        label: &str,
    ) -> Hook {
        let sid = match format {
            Format::Standard => (4_000 + self.next("hook")).to_string(),
            Format::V4 | Format::AppV3 => self.id("WH"),
        };
        Hook {
            keys: vec![self.key(format)],
            sid,
            format,
            url: url.to_owned(),
            events,
            resource_sids,
            label: label.to_owned(),
            is_enabled: true,
            created_at: self.now,
        }
    }

    pub(super) fn key(&mut self, format: Format) -> Secret {
        let number = self.next("key");
        let key = STANDARD.encode(self.digest(&format!("key {number}")));
        match format {
            Format::Standard => Secret::new(format!("whsec_{key}")),
            Format::V4 | Format::AppV3 => Secret::new(key),
        }
    }

    /// The next attempt of a delivery, with the faults that the knobs ask for; `None` if its hook is gone.
    fn attempt(&mut self, delivery: Delivery, now: Timestamp) -> Option<Attempt> {
        let is_wrong = take(&mut self.knobs.wrong_signature_next);
        let is_stale = take(&mut self.knobs.stale_signature_next);
        let is_cut = take(&mut self.knobs.malformed_webhook_next);
        let is_double = take(&mut self.knobs.duplicate_webhook_next);
        let wrong = [self.key(Format::Standard)];
        let hooks = &self.workspaces.get(delivery.workspace)?.hooks;
        let hook = hooks.iter().find(|hook| hook.sid == delivery.hook_sid)?;
        let body = if is_cut {
            delivery.body.slice(..delivery.body.len() / 2)
        } else {
            delivery.body.clone()
        };
        let signed_at = if is_stale {
            now.checked_sub(STALE).unwrap_or(now)
        } else {
            now
        };
        let keys = if is_wrong { &wrong[..] } else { &hook.keys };
        Some(Attempt {
            headers: headers(hook.format, &delivery.sent_sid, keys, signed_at, &body),
            url: hook.url.clone(),
            body,
            times: 1 + u32::from(is_double),
            delivery,
        })
    }
}

impl Hook {
    pub(super) fn wants(&self, kind: &str, number_sid: &str) -> bool {
        let is_wanted = |wanted: &String| wanted == "*" || wanted == number_sid;
        self.events.iter().any(|event| event == kind) && self.resource_sids.iter().any(is_wanted)
    }
}

fn headers(
    format: Format,
    sent_sid: &str,
    keys: &[Secret],
    signed_at: Timestamp,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    match format {
        Format::Standard => {
            let time = signed_at.as_second().to_string();
            let message = [sent_sid.as_bytes(), b".", time.as_bytes(), b".", body];
            let signatures: Vec<String> = keys
                .iter()
                .filter_map(|key| Some(format!("v1,{}", sign(key, &message)?)))
                .collect();
            vec![
                (ID_HEADER, sent_sid.to_owned()),
                (TIMESTAMP_HEADER, time),
                (SIGNATURE_HEADER, signatures.join(" ")),
            ]
        }
        Format::V4 | Format::AppV3 => {
            let time = signed_at.as_millisecond().to_string();
            let message = [time.as_bytes(), b".", body];
            let signatures: Vec<String> = keys
                .iter()
                .filter_map(|key| Some(format!("hmac;1;{time};{}", sign(key, &message)?)))
                .collect();
            vec![(LEGACY_HEADER, signatures.join(","))]
        }
    }
}

fn lane(subject: &str, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    let lanes = u64::try_from(lanes).unwrap_or(1).max(1);
    usize::try_from(hasher.finish() % lanes).unwrap_or(0)
}

async fn send_lane(http: Http, lane: Vec<Attempt>) -> (Drained, Vec<Delivery>) {
    let (mut drained, mut refused) = (Drained::default(), Vec::new());
    for attempt in lane {
        let mut is_accepted = false;
        for _ in 0..attempt.times {
            is_accepted = post(&http, &attempt).await;
            if is_accepted {
                drained.delivered += 1;
            } else {
                drained.refused += 1;
            }
        }
        if !is_accepted {
            refused.push(attempt.delivery);
        }
    }
    (drained, refused)
}

async fn post(http: &Http, attempt: &Attempt) -> bool {
    let Ok(url) = parse_url(&attempt.url) else {
        return false;
    };
    let mut request = http
        .request(Method::POST, url)
        .header(CONTENT_TYPE, "application/json")
        .body(attempt.body.clone());
    for (name, value) in &attempt.headers {
        request = request.header(*name, value);
    }
    http.send(request)
        .await
        .is_ok_and(|answer| answer.status.is_success())
}
