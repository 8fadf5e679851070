//! From the ring to the card: how long after a webhook is sent the slowest of an organization's viewers has read the
//! last byte of the caller card.
//!
//! Everything runs on this machine: the server as a process of its own on a database with a year of calls, 200 viewers in
//! 20 organizations, usage events beside the calls. Every call goes on: it is answered, and ends. Latency is taken from
//! the time at which a webhook was meant to be sent. Run by `cargo xtask bench`, which prepares the data folder named in
//! `TOLLBOOK_BENCH_DATA`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints what it measured"
)]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use support::{JWT_SECRET, Node, WEBHOOK_SECRET, Wire, post, print_quantiles};

const ORGANIZATIONS: u64 = 20;
const CUSTOMERS: u64 = 100_000;
const VIEWERS_EACH: u64 = 10;
const CALLS_PER_SECOND: u64 = 50;
/// What is told of a call, and how long after it was meant to ring.
const STEPS: [(&str, Duration); 3] = [
    ("call.ringing", Duration::ZERO),
    ("call.answered", Duration::from_secs(2)),
    ("call.completed", Duration::from_secs(6)),
];
const USAGE_PER_SECOND: u64 = 1_000;
/// A server that has just been started reads its pages and makes its plans; those calls are sent and not counted.
const WARM_UP_SECONDS: u64 = 10;
const SECONDS: u64 = 40;
/// Connections that usage is sent on.
const SENDERS: u64 = 64;

/// When each ring was meant to be sent, by the caller's number, and how many viewers have seen it.
#[derive(Default)]
struct Rings {
    sent: HashMap<String, Instant>,
    seen: HashMap<String, (u64, Duration)>,
}

#[tokio::main]
async fn main() {
    if !support::is_asked() {
        return;
    }
    let Some(data) = std::env::var_os("TOLLBOOK_BENCH_DATA") else {
        println!("ring: there is no filled data folder, run `cargo xtask bench ring`");
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let node = Node::start(&["--data-dir", data.to_str().unwrap()], &[]);
    let base = format!("http://{}", node.address);
    let rings: Arc<Mutex<Rings>> = Arc::default();
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(64)
        .build()
        .unwrap();
    let mut keys = Vec::new();
    for organization in 0..ORGANIZATIONS {
        for member in 0..VIEWERS_EACH {
            watch(&client, &base, organization, member, Arc::clone(&rings)).await;
        }
        keys.push(api_key(&client, &base, organization).await);
    }
    println!(
        "{} viewers in {ORGANIZATIONS} organizations",
        ORGANIZATIONS * VIEWERS_EACH
    );
    let usage = tokio::spawn(send_usage(node.address.clone(), keys));
    send_calls(&node.address, &rings).await;
    let usage = usage.await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    report(&rings.lock().unwrap(), usage);
    node.stop();
}

/// A key with which a service of the organization reports usage.
async fn api_key(client: &reqwest::Client, base: &str, organization: u64) -> String {
    let answer = client
        .post(format!("{base}/api/api-keys"))
        .bearer_auth(token(organization, 9))
        .json(&serde_json::json!({"name": "bench", "scopes": ["usage"]}))
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    let key: serde_json::Value = answer.json().await.unwrap();
    key["key"].as_str().unwrap().to_owned()
}

/// The identifiers that `cargo xtask fill` gives.
fn filled_id(year_ms: u64, kind: u64, n: u64) -> String {
    let text = format!("{year_ms:012x}7{kind:03x}8{n:015x}");
    format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}

/// 2024-01-01T00:00:00Z, when the filled organizations and users were made.
const FILLED_AT_MS: u64 = 1_704_067_200_000;

fn token(organization: u64, member: u64) -> String {
    let user = filled_id(FILLED_AT_MS, 5, organization * 10 + member);
    let expires = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 3_600;
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = URL_SAFE_NO_PAD.encode(format!(
        r#"{{"sub":"{user}","aud":"authenticated","exp":{expires}}}"#
    ));
    let mut mac = Hmac::<Sha256>::new_from_slice(JWT_SECRET.as_bytes()).unwrap();
    mac.update(format!("{head}.{claims}").as_bytes());
    format!(
        "{head}.{claims}.{}",
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}

/// Opens a viewer's stream, and notes when the card of each ring has come whole.
async fn watch(
    client: &reqwest::Client,
    base: &str,
    organization: u64,
    member: u64,
    rings: Arc<Mutex<Rings>>,
) {
    let answer = client
        .get(format!("{base}/api/events"))
        .bearer_auth(token(organization, member))
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    tokio::spawn(async move {
        let mut body = answer.bytes_stream();
        let mut text = String::new();
        while let Some(Ok(part)) = body.next().await {
            text.push_str(&String::from_utf8_lossy(&part));
            while let Some(end) = text.find("\n\n") {
                let event: String = text.drain(..end + 2).collect();
                if event.contains("call.ringing")
                    && let Some(at) = event.find("+1646")
                    && let Some(number) = event.get(at..at + 12)
                {
                    let mut rings = rings.lock().unwrap();
                    if let Some(sent) = rings.sent.get(number).copied() {
                        let seen = rings.seen.entry(number.to_owned()).or_default();
                        *seen = (seen.0 + 1, seen.1.max(sent.elapsed()));
                    }
                }
            }
        }
    });
}

/// Calls at an even pace, each of another customer, to the number of the customer's organization.
async fn send_calls(address: &str, rings: &Arc<Mutex<Rings>>) {
    let start = Instant::now() + Duration::from_millis(500);
    let mut sent = tokio::task::JoinSet::new();
    // To tell what ringing costs from what the rest of a call does.
    let is_ringing_only = std::env::var_os("TOLLBOOK_BENCH_RINGS_ONLY").is_some();
    let steps = if is_ringing_only { 1 } else { STEPS.len() };
    for step in 0..steps {
        for sender in 0..SENDERS {
            let (wire, rings) = (Wire::connect(address).await, Arc::clone(rings));
            sent.spawn(send_steps(wire, rings, start, step, sender));
        }
    }
    while let Some(done) = sent.join_next().await {
        done.unwrap();
    }
}

/// Sends one step of every call that is a sender's.
async fn send_steps(
    mut wire: Wire,
    rings: Arc<Mutex<Rings>>,
    start: Instant,
    step: usize,
    sender: u64,
) {
    let run = std::process::id();
    let (kind, after) = STEPS[step];
    for n in (sender..CALLS_PER_SECOND * SECONDS).step_by(usize::try_from(SENDERS).unwrap()) {
        let due = start + Duration::from_micros(n * 1_000_000 / CALLS_PER_SECOND) + after;
        if due >= start + Duration::from_secs(SECONDS) {
            return;
        }
        tokio::time::sleep_until(due.into()).await;
        // Other callers in each run: the calls of an earlier one may still be open.
        let caller = (u64::from(run) * 7_919 + n) % CUSTOMERS;
        if step == 0 {
            let number = format!("+1646{caller:07}");
            rings.lock().unwrap().sent.insert(number, due);
        }
        let (status, _) = wire.send(&webhook(run, caller, kind, after)).await;
        assert_eq!(status, 204, "a webhook");
    }
}

fn webhook(run: u32, customer: u64, kind: &str, after: Duration) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    let began = now - jiff::SignedDuration::try_from(after).unwrap();
    let answered = began + jiff::SignedDuration::from_secs(2);
    let more = match kind {
        "call.ringing" => String::new(),
        "call.answered" => format!(r#","answeredAt":"{answered}""#),
        _ => format!(
            r#","status":"completed","answeredAt":"{answered}","completedAt":"{now}","duration":4,"hasVoicemail":false"#
        ),
    };
    let organization = customer % ORGANIZATIONS;
    let ours = 5_000_000 + organization;
    let id = format!("{run}x{customer}x{kind}");
    let body = format!(
        r#"{{"id":"EVbench{id}","apiVersion":"2026-03-30","createdAt":"{now}","type":"{kind}","data":{{"resource":{{"id":"ACbench{run}x{customer}","direction":"incoming","createdAt":"{began}","updatedAt":"{now}"{more}}},"context":{{"orgId":"OR1","phoneNumberId":"PNfill{organization}","participants":{{"workspace":["+1212{ours:07}"],"external":["+1646{customer:07}"],"resolution":"available"}}}}}}}}"#
    );
    let time = now.as_second();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&STANDARD.decode(WEBHOOK_SECRET).unwrap()).unwrap();
    mac.update(format!("msg_{id}.{time}.{body}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let headers = format!(
        "webhook-id: msg_{id}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: v1,{signature}\r\n"
    );
    post("/webhooks/openphone", &headers, &body)
}

/// Sends usage at an even pace, one event a request; answers how long each took from when it was meant to be sent.
async fn send_usage(address: String, keys: Vec<String>) -> Vec<Duration> {
    let start = Instant::now() + Duration::from_millis(500);
    let mut sent = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (mut wire, keys) = (Wire::connect(&address).await, keys.clone());
        sent.spawn(async move {
            let (run, all) = (std::process::id(), USAGE_PER_SECOND * SECONDS);
            let mut took = Vec::new();
            for n in (sender..all).step_by(usize::try_from(SENDERS).unwrap()) {
                let due = start + Duration::from_micros(n * 1_000_000 / USAGE_PER_SECOND);
                tokio::time::sleep_until(due.into()).await;
                let key = &keys[usize::try_from(n % ORGANIZATIONS).unwrap()];
                let body = format!(
                    r#"{{"usageType":"API_REQUEST","quantity":1,"idempotencyKey":"bench-{run}-{n}"}}"#
                );
                let headers = format!("apikey: {key}\r\n");
                let (status, _) = wire.send(&post("/api/billing/usage", &headers, &body)).await;
                assert_eq!(status, 201, "usage");
                if n >= WARM_UP_SECONDS * USAGE_PER_SECOND {
                    took.push(due.elapsed());
                }
            }
            took
        });
    }
    let mut took = Vec::new();
    while let Some(done) = sent.join_next().await {
        took.extend(done.unwrap());
    }
    took
}

fn report(rings: &Rings, usage: Vec<Duration>) {
    let first = rings.sent.values().min().unwrap();
    let warm = *first + Duration::from_secs(WARM_UP_SECONDS);
    let counted = rings.sent.iter().filter(|(_, sent)| **sent >= warm);
    let counted: Vec<&String> = counted.map(|(number, _)| number).collect();
    let complete: Vec<Duration> = counted
        .iter()
        .filter_map(|number| rings.seen.get(*number))
        .filter(|(viewers, _)| *viewers >= VIEWERS_EACH)
        .map(|(_, latest)| *latest)
        .collect();
    println!(
        "rings counted {}, seen by all {VIEWERS_EACH} viewers {}",
        counted.len(),
        complete.len()
    );
    print_quantiles("ring to card, last byte at the slowest viewer", complete);
    print_quantiles("usage event, meant to be sent to durable", usage);
}
