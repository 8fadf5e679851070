//! Complete calls: four webhooks each (ringing, answered, completed, summary), signed as the provider signs them, until
//! their charges are there. How many a second are kept up with, and how soon the lag is gone after the load.
//!
//! With `TOLLBOOK_BENCH_SNAPSHOT`, another connection holds a snapshot of the database open meanwhile. Run by
//! `cargo xtask bench calls`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints what it measured"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use sqlx::{Connection as _, Executor as _, postgres::PgConnection};
use support::{
    Cluster, Node, WEBHOOK_SECRET, Wire, make_customers, make_organization, post, print_quantiles,
    rate,
};

const CALLS_PER_SECOND: u64 = 1_500;
const WEBHOOKS: u64 = 4;
const CONNECTIONS: u64 = 32;
const CUSTOMERS: u64 = 50_000;
const NUMBERS: u64 = 200;
/// From one webhook of a call to the next.
const STEP: Duration = Duration::from_millis(400);

fn main() {
    if support::is_asked() {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(measure());
    }
}

fn seconds() -> u64 {
    let given = std::env::var("TOLLBOOK_BENCH_SECONDS").ok();
    given.and_then(|it| it.parse().ok()).unwrap_or(20)
}

async fn measure() {
    let cluster = Cluster::start();
    let node = Node::start(&["--database-url", &cluster.url()], &[]);
    make_organization(&cluster, NUMBERS);
    make_customers(&cluster, CUSTOMERS);
    let holder = if std::env::var_os("TOLLBOOK_BENCH_SNAPSHOT").is_some() {
        Some(hold_snapshot(&cluster).await)
    } else {
        None
    };
    let calls = CALLS_PER_SECOND * seconds();
    let (cpu, server_cpu) = (cluster.cpu(), node.cpu());
    let start = Instant::now() + Duration::from_millis(500);
    let next = Arc::new(AtomicU64::new(0));
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        let wire = Wire::connect(&node.address).await;
        senders.push(tokio::spawn(send(wire, Arc::clone(&next), calls, start)));
    }
    let mut answered = Vec::new();
    for sender in senders {
        answered.extend(sender.await.unwrap());
    }
    let loaded = start.elapsed();
    println!(
        "{calls} calls, {} a second, {} webhooks a second",
        rate(calls, loaded),
        rate(calls * WEBHOOKS, loaded)
    );
    print_quantiles("webhook, meant to be sent to durable", answered);
    let behind = drain(&cluster, calls).await;
    println!(
        "lag under a second {behind:.1?} after the load, all charged {:.1?} after it",
        start.elapsed().saturating_sub(loaded)
    );
    print_lag(&cluster);
    let each = |time: Duration| time.as_micros() / u128::from(calls);
    println!(
        "CPU time per call: PostgreSQL {} µs, the server {} µs",
        each(cluster.cpu().saturating_sub(cpu)),
        each(node.cpu().saturating_sub(server_cpu))
    );
    drop(holder);
    cluster.print_statements();
    node.stop();
}

/// A reader that has begun and does not end.
async fn hold_snapshot(cluster: &Cluster) -> PgConnection {
    let url = cluster.superuser_url("tollbook");
    let mut session = PgConnection::connect(&url).await.unwrap();
    session
        .execute("begin isolation level repeatable read; select count(*) from calls")
        .await
        .unwrap();
    session
}

/// Takes the next webhook that is due, whoever sent the one before it.
async fn send(mut wire: Wire, next: Arc<AtomicU64>, calls: u64, start: Instant) -> Vec<Duration> {
    let secret = STANDARD.decode(WEBHOOK_SECRET).unwrap();
    let mut took = Vec::new();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        // In a block of as many calls as begin within a step, the first webhooks come before the second ones.
        let block = CALLS_PER_SECOND * u64::try_from(STEP.as_millis()).unwrap() / 1000;
        let (round, place) = (n / (block * WEBHOOKS), n % (block * WEBHOOKS));
        let (step, call) = (place / block, round * block + place % block);
        if round * block >= calls {
            return took;
        }
        if call >= calls {
            continue;
        }
        let due = start + Duration::from_micros(n * 1_000_000 / (CALLS_PER_SECOND * WEBHOOKS));
        tokio::time::sleep_until(due.into()).await;
        let request = webhook(call, step, &secret);
        let (status, body) = wire.send(&request).await;
        assert_eq!(status, 204, "{}", String::from_utf8_lossy(body));
        took.push(due.elapsed());
    }
}

fn webhook(call: u64, step: u64, secret: &[u8]) -> Vec<u8> {
    let now = Timestamp::now();
    let began = now - SignedDuration::from_secs(100);
    let answered = began + SignedDuration::from_secs(10);
    let common = format!(
        r#""id":"ACbench{call}","direction":"incoming","createdAt":"{began}","updatedAt":"{now}""#
    );
    let (kind, resource) = match step {
        0 => ("call.ringing", format!("{{{common}}}")),
        1 => (
            "call.answered",
            format!(r#"{{{common},"answeredAt":"{answered}","answeredByUserId":"USbench"}}"#),
        ),
        2 => (
            "call.completed",
            format!(
                r#"{{{common},"status":"completed","answeredAt":"{answered}","completedAt":"{now}","duration":90,"hasVoicemail":false}}"#
            ),
        ),
        _ => (
            "call.summary.completed",
            format!(
                r#"{{"callId":"ACbench{call}","processingStatus":"completed","summary":["It works again."],"nextSteps":[]}}"#
            ),
        ),
    };
    let (number, customer) = (call % NUMBERS, call * 7919 % CUSTOMERS);
    let body = format!(
        r#"{{"id":"EVbench{call}x{step}","apiVersion":"2026-03-30","createdAt":"{now}","type":"{kind}","data":{{"resource":{resource},"context":{{"orgId":"OR1","phoneNumberId":"PNbench{number}","participants":{{"workspace":["+1212{number:07}"],"external":["+1646{customer:07}"],"resolution":"available"}}}}}}}}"#
    );
    let (id, time) = (format!("msg_{call}x{step}"), now.as_second());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let headers = format!(
        "webhook-id: {id}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: v1,{signature}\r\n"
    );
    post("/webhooks/openphone", &headers, &body)
}

/// Waits until every call is charged; answers how long it took until nothing in a queue was older than a second.
async fn drain(cluster: &Cluster, calls: u64) -> Duration {
    let (started, mut under) = (Instant::now(), None);
    loop {
        let oldest = cluster.run(
            "tollbook",
            "select coalesce(max(extract(epoch from clock_timestamp() - at) * 1000)::bigint, 0) from (
                 select min(received_at) as at from inbox_queue union all
                 select min(queued_at) from rating_queue where parked_at is null) q",
        );
        if oldest.parse::<u64>().unwrap() < 1_000 {
            under.get_or_insert_with(|| started.elapsed());
        }
        if oldest == "0" {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_mins(5),
            "the queues do not become empty"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let charged = cluster.run(
        "tollbook",
        "select count(distinct call_id) from charges where meter = 'CALL_DURATION_SECONDS' and kind <> 'not_charged'",
    );
    assert_eq!(charged, calls.to_string(), "every call is charged");
    under.unwrap_or_default()
}

/// From when a call's end came to when its charge was committed.
fn print_lag(cluster: &Cluster) {
    let lags = cluster.run(
        "tollbook",
        "select percentile_disc(array[0.5, 0.9, 0.99, 1.0]) within group (order by
             (extract(epoch from pg_xact_commit_timestamp(c.xmin) - i.received_at) * 1000)::numeric(12, 1))
         from charges c
         join calls l on l.organization_id = c.organization_id and l.id = c.call_id
         join inbox i on i.event_key = replace(l.conversation_sid, 'ACbench', 'msg_') || 'x2'
         where c.meter = 'CALL_DURATION_SECONDS' and c.part = 0",
    );
    println!("end of a call to its charge: p50, p90, p99, max {lags} ms");
}
