//! The lag of rating: from the moment that a usage event came until its charge is there for everybody, at an even pace
//! of events over HTTP. Run by `cargo xtask bench rating`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints what it measured"
)]

mod support;

use std::time::{Duration, Instant};

use support::{
    API_KEY, Cluster, Node, Wire, id, make_customers, make_organization, post, print_quantiles,
    rate,
};

const PER_SECOND: u64 = 2_000;
const SECONDS: u64 = 30;
/// Before anything is measured: until the tables of the new database have been analyzed.
const WARM_UP_SECONDS: u64 = 10;
const CONNECTIONS: u64 = 64;
/// Events of one request, as those send who have many.
const BATCH: u64 = 20;
const CUSTOMERS: u64 = 20_000;

fn main() {
    if support::is_asked() {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(measure());
    }
}

async fn measure() {
    let cluster = Cluster::start();
    let node = Node::start(&["--database-url", &cluster.url()], &[]);
    make_organization(&cluster, 1);
    make_customers(&cluster, CUSTOMERS);
    send_all(&node, "warm", BATCH, WARM_UP_SECONDS).await;
    wait_until_rated(&cluster).await;
    for each in [BATCH, 1] {
        load(&cluster, &node, each).await;
    }
    cluster.print_statements();
    node.stop();
}

/// The whole load, in requests of so many events.
async fn load(cluster: &Cluster, node: &Node, each: u64) {
    let (cpu, server_cpu) = (cluster.cpu(), node.cpu());
    let key = format!("each-{each}");
    let (took, answered) = send_all(node, &key, each, SECONDS).await;
    let events = PER_SECOND * SECONDS;
    println!(
        "{events} events at {} a second in requests of {each}, rated for {CUSTOMERS} customers",
        rate(events, took)
    );
    print_quantiles("request, meant to be sent to durable", answered);
    wait_until_rated(cluster).await;
    print_lag(cluster, &key);
    let per_event = |time: Duration| time.as_micros() / u128::from(events);
    println!(
        "CPU time per event: PostgreSQL {} µs, the server {} µs",
        per_event(cluster.cpu().saturating_sub(cpu)),
        per_event(node.cpu().saturating_sub(server_cpu))
    );
}

/// Sends events for so many seconds, in requests of so many; returns how long it took, and each request.
async fn send_all(node: &Node, key: &str, each: u64, seconds: u64) -> (Duration, Vec<Duration>) {
    let start = Instant::now() + Duration::from_millis(500);
    let mut senders = Vec::new();
    for connection in 0..CONNECTIONS {
        let share = Share {
            wire: Wire::connect(&node.address).await,
            first: connection * each,
            until: PER_SECOND * seconds,
            each,
            key: key.to_owned(),
        };
        senders.push(tokio::spawn(share.send(start)));
    }
    let mut answered = Vec::new();
    for sender in senders {
        answered.extend(sender.await.unwrap());
    }
    (start.elapsed(), answered)
}

/// One connection's share of the events.
struct Share {
    wire: Wire,
    first: u64,
    until: u64,
    each: u64,
    key: String,
}

impl Share {
    /// Each at its time, whatever became of those before.
    async fn send(mut self, start: Instant) -> Vec<Duration> {
        let Self {
            first, until, each, ..
        } = self;
        let mut took = Vec::new();
        let path = if each == 1 {
            "/api/billing/usage"
        } else {
            "/api/billing/usage/batch"
        };
        let step = usize::try_from(CONNECTIONS * each).unwrap();
        for n in (first..until).step_by(step) {
            let due = start + Duration::from_micros(n * 1_000_000 / PER_SECOND);
            tokio::time::sleep_until(due.into()).await;
            let events: Vec<String> = (n..n + each).map(|n| event(&self.key, n)).collect();
            let body = match events.as_slice() {
                [one] => one.clone(),
                many => format!(r#"{{"events":[{}]}}"#, many.join(",")),
            };
            let request = post(path, &format!("apikey: {API_KEY}\r\n"), &body);
            let (status, body) = self.wire.send(&request).await;
            assert!(
                (200..300).contains(&status),
                "{status} {}",
                String::from_utf8_lossy(body)
            );
            took.push(due.elapsed());
        }
        took
    }
}

fn event(key: &str, n: u64) -> String {
    let customer = id(5, n * 7919 % CUSTOMERS);
    format!(
        r#"{{"usageType":"CALL_DURATION_SECONDS","quantity":{},"customerId":"{customer}","idempotencyKey":"{key}:{n}"}}"#,
        n % 300 + 1
    )
}

async fn wait_until_rated(cluster: &Cluster) {
    let end = Instant::now() + Duration::from_mins(1);
    while cluster.run(
        "tollbook",
        "select count(*) from rating_queue where parked_at is null",
    ) != "0"
    {
        assert!(Instant::now() < end, "the queue does not become empty");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// From when the event came to when its charge was committed, as the database itself tells.
fn print_lag(cluster: &Cluster, key: &str) {
    let figures = cluster.run(
        "tollbook",
        &format!(
            "select count(*), percentile_disc(array[0.5, 0.9, 0.99, 1.0]) within group (order by lag) from (
             select (extract(epoch from pg_xact_commit_timestamp(c.xmin) - u.received_at) * 1000)::numeric(12, 1) as lag
             from usage_events u
             join charges c on c.organization_id = u.organization_id and c.usage_event_id = u.id and c.part = 0
             where u.idempotency_key like '{key}:%') l"
        ),
    );
    let (count, lags) = figures.split_once('|').unwrap();
    let lags: Vec<&str> = lags.trim_matches(['{', '}']).split(',').collect();
    println!(
        "usage event to charge: p50 {} ms, p90 {} ms, p99 {} ms, max {} ms ({count} samples)",
        lags[0], lags[1], lags[2], lags[3]
    );
}
