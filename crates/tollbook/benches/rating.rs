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
const CONNECTIONS: u64 = 64;
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
    let (cpu, server_cpu) = (cluster.cpu(), node.cpu());
    let start = Instant::now() + Duration::from_millis(500);
    let mut senders = Vec::new();
    for connection in 0..CONNECTIONS {
        let wire = Wire::connect(&node.address).await;
        senders.push(tokio::spawn(send(wire, connection, start)));
    }
    let mut answered = Vec::new();
    for sender in senders {
        answered.extend(sender.await.unwrap());
    }
    let events = u64::try_from(answered.len()).unwrap();
    println!(
        "{events} events at {} a second, rated for {CUSTOMERS} customers",
        rate(events, start.elapsed())
    );
    print_quantiles("usage event, meant to be sent to durable", answered);
    wait_until_rated(&cluster).await;
    print_lag(&cluster);
    let each = |time: Duration| time.as_micros() / u128::from(events);
    println!(
        "CPU time per event: PostgreSQL {} µs, the server {} µs",
        each(cluster.cpu().saturating_sub(cpu)),
        each(node.cpu().saturating_sub(server_cpu))
    );
    cluster.print_statements();
    node.stop();
}

/// One connection's share of the events, each at its time whatever became of those before.
async fn send(mut wire: Wire, connection: u64, start: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in (connection..PER_SECOND * SECONDS).step_by(usize::try_from(CONNECTIONS).unwrap()) {
        let due = start + Duration::from_micros(n * 1_000_000 / PER_SECOND);
        tokio::time::sleep_until(due.into()).await;
        let customer = id(5, n * 7919 % CUSTOMERS);
        let body = format!(
            r#"{{"usageType":"CALL_DURATION_SECONDS","quantity":{},"customerId":"{customer}","idempotencyKey":"lag-{n}"}}"#,
            n % 300 + 1
        );
        let request = post(
            "/api/billing/usage",
            &format!("apikey: {API_KEY}\r\n"),
            &body,
        );
        let (status, body) = wire.send(&request).await;
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(body));
        took.push(due.elapsed());
    }
    took
}

async fn wait_until_rated(cluster: &Cluster) {
    let end = Instant::now() + Duration::from_mins(1);
    // The organization's own account buys nothing of the platform; its rows go too.
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
fn print_lag(cluster: &Cluster) {
    let figures = cluster.run(
        "tollbook",
        "select count(*), percentile_disc(array[0.5, 0.9, 0.99, 1.0]) within group (order by lag) from (
             select (extract(epoch from pg_xact_commit_timestamp(c.xmin) - u.received_at) * 1000)::numeric(12, 1) as lag
             from usage_events u
             join charges c on c.organization_id = u.organization_id and c.usage_event_id = u.id and c.part = 0
             where u.idempotency_key like 'lag-%') l",
    );
    let (count, lags) = figures.split_once('|').unwrap();
    let lags: Vec<&str> = lags.trim_matches(['{', '}']).split(',').collect();
    println!(
        "usage event to charge: p50 {} ms, p90 {} ms, p99 {} ms, max {} ms ({count} samples)",
        lags[0], lags[1], lags[2], lags[3]
    );
}
