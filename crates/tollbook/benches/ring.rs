//! From the ring to the card: how long after a webhook is sent the slowest of an organization's viewers has read the
//! last byte of the caller card.
//!
//! Everything runs on this machine: the server as a process of its own on a database with a year of calls, 200 viewers in
//! 20 organizations, usage events beside the calls. Latency is taken from the time at which a webhook was meant to be
//! sent. Run by `cargo xtask bench`, which prepares the data folder named in `TOLLBOOK_BENCH_DATA`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints what it measured"
)]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const ORGANIZATIONS: u64 = 20;
const VIEWERS_EACH: u64 = 10;
const CALLS_PER_SECOND: u64 = 50;
const USAGE_PER_SECOND: u64 = 1_000;
const SECONDS: u64 = 30;
const JWT_SECRET: &str = "bench-secret-bench-secret-bench-secret";
const WEBHOOK_SECRET: &str = "YmVuY2gtd2ViaG9vay1zZWNyZXQtYmVuY2gtd2ViaG9vaw==";

/// When each ring was meant to be sent, by the caller's number, and how many viewers have seen it.
#[derive(Default)]
struct Rings {
    sent: HashMap<String, Instant>,
    seen: HashMap<String, (u64, Duration)>,
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only checks that it compiles and starts.
    let Some(data) = std::env::var_os("TOLLBOOK_BENCH_DATA").map(PathBuf::from) else {
        println!("ring: nothing to measure on, run `cargo xtask bench`");
        return;
    };
    let mut server = Server::start(&data);
    let base = server.base.clone();
    let rings: Arc<Mutex<Rings>> = Arc::default();
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(64)
        .build()
        .unwrap();
    for organization in 0..ORGANIZATIONS {
        for member in 0..VIEWERS_EACH {
            watch(&client, &base, organization, member, Arc::clone(&rings)).await;
        }
    }
    println!(
        "{} viewers in {ORGANIZATIONS} organizations",
        ORGANIZATIONS * VIEWERS_EACH
    );
    let usage = tokio::spawn(send_usage(client.clone(), base.clone()));
    send_rings(&client, &base, &rings).await;
    let usage = usage.await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    report(&rings.lock().unwrap(), &usage);
    server.stop();
}

struct Server {
    process: Child,
    base: String,
}

impl Server {
    fn start(data: &PathBuf) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tollbook"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .env("SUPABASE_JWT_SECRET", JWT_SECRET)
            .env("OPENPHONE_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .env("OPENPHONE_API_KEY", "bench")
            .env("TOLLBOOK_RATE_LIMIT_USER", "100000")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let base = lines
            .map_while(Result::ok)
            .find_map(|line| {
                line.split("listening on ")
                    .nth(1)
                    .map(|url| url.trim().to_owned())
            })
            .expect("the server says where it listens");
        Self { process, base }
    }

    fn stop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
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

/// Rings at an even pace, each from another customer, to the number of the customer's organization.
async fn send_rings(client: &reqwest::Client, base: &str, rings: &Arc<Mutex<Rings>>) {
    let start = Instant::now() + Duration::from_millis(500);
    let run = start.elapsed().as_nanos() + u128::from(std::process::id());
    for n in 0..CALLS_PER_SECOND * SECONDS {
        let due = start + Duration::from_micros(n * 1_000_000 / CALLS_PER_SECOND);
        tokio::time::sleep_until(due.into()).await;
        let customer = n;
        let number = format!("+1646{customer:07}");
        rings.lock().unwrap().sent.insert(number.clone(), due);
        let (client, url) = (client.clone(), format!("{base}/webhooks/openphone"));
        tokio::spawn(async move {
            let now = jiff::Timestamp::now();
            let organization = customer % ORGANIZATIONS;
            let body = format!(
                r#"{{"id":"EVbench{run}x{n}","apiVersion":"2026-03-30","createdAt":"{now}","type":"call.ringing","data":{{"resource":{{"id":"ACbench{run}x{n}","direction":"incoming","createdAt":"{now}","updatedAt":"{now}"}},"context":{{"orgId":"OR1","phoneNumberId":"PNfill{organization}","participants":{{"workspace":["+1212{:07}"],"external":["{number}"],"resolution":"available"}}}}}}}}"#,
                5_000_000 + organization
            );
            let (id, time) = (format!("msg_{run}x{n}"), now.as_second());
            let mut mac =
                Hmac::<Sha256>::new_from_slice(&STANDARD.decode(WEBHOOK_SECRET).unwrap()).unwrap();
            mac.update(format!("{id}.{time}.{body}").as_bytes());
            let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
            let answer = client
                .post(url)
                .header("webhook-id", id)
                .header("webhook-timestamp", time.to_string())
                .header("webhook-signature", signature)
                .header("content-type", "application/json")
                .body(body)
                .send()
                .await
                .unwrap();
            assert!(
                answer.status().is_success(),
                "a webhook was answered {}",
                answer.status()
            );
        });
    }
}

/// Sends usage at an even pace, one event a request; answers how long each took from when it was meant to be sent.
async fn send_usage(client: reqwest::Client, base: String) -> Vec<Duration> {
    let start = Instant::now() + Duration::from_millis(500);
    let tokens: Vec<String> = (0..ORGANIZATIONS)
        .map(|organization| token(organization, 9))
        .collect();
    let took: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let mut sent = tokio::task::JoinSet::new();
    for n in 0..USAGE_PER_SECOND * SECONDS {
        let due = start + Duration::from_micros(n * 1_000_000 / USAGE_PER_SECOND);
        tokio::time::sleep_until(due.into()).await;
        let organization = usize::try_from(n % ORGANIZATIONS).unwrap();
        let request = client
            .post(format!("{base}/api/billing/usage"))
            .bearer_auth(&tokens[organization])
            .header("content-type", "application/json")
            .body(format!(
                r#"{{"usageType":"API_REQUEST","quantity":1,"idempotencyKey":"bench-{}-{n}"}}"#,
                std::process::id()
            ));
        let took = Arc::clone(&took);
        sent.spawn(async move {
            let answer = request.send().await.unwrap();
            assert!(
                answer.status().is_success(),
                "usage was answered {}",
                answer.status()
            );
            took.lock().unwrap().push(due.elapsed());
        });
    }
    while sent.join_next().await.is_some() {}
    std::mem::take(&mut *took.lock().unwrap())
}

fn report(rings: &Rings, usage: &[Duration]) {
    let complete: Vec<Duration> = rings
        .seen
        .values()
        .filter(|(viewers, _)| *viewers >= VIEWERS_EACH)
        .map(|(_, latest)| *latest)
        .collect();
    println!(
        "rings sent {}, seen by all {VIEWERS_EACH} viewers {}",
        rings.sent.len(),
        complete.len()
    );
    print_quantiles("ring to card, last byte at the slowest viewer", complete);
    print_quantiles("usage event, sent to durable", usage.to_vec());
}

fn print_quantiles(what: &str, mut times: Vec<Duration>) {
    if times.is_empty() {
        println!("{what}: nothing was measured");
        return;
    }
    times.sort_unstable();
    let at = |permille: usize| times[(times.len() - 1) * permille / 1000];
    println!(
        "{what}: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, max {:.1?} ({} samples)",
        at(500),
        at(900),
        at(990),
        at(1000),
        times.len()
    );
}
