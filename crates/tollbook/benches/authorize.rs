//! How soon a call is let through: from when the question was meant to be sent until the answer has come, at an even pace,
//! with usage that is taken in and charged beside it. Run by `cargo xtask bench authorize`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints what it measured"
)]

mod support;

use std::time::{Duration, Instant};

use support::{
    API_KEY, Cluster, Node, Wire, id, make_customers, make_organization, post, print_quantiles,
    rate,
};
use tollbook_postgres::APPLICATION_DATABASE;

const PER_SECOND: u64 = 500;
const USAGE_PER_SECOND: u64 = 2_000;
const SECONDS: u64 = 30;
/// Before anything is counted: until the tables of the new database have been analyzed.
const WARM_UP_SECONDS: u64 = 15;
/// So many that no question waits for the answer to another.
const CONNECTIONS: u64 = 64;
const USAGE_CONNECTIONS: u64 = 32;
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
    prepay(&cluster);
    let start = Instant::now() + Duration::from_millis(500);
    let (mut asking, mut reporting) = (Vec::new(), Vec::new());
    for connection in 0..CONNECTIONS {
        let wire = Wire::connect(&node.address).await;
        asking.push(tokio::spawn(ask(wire, connection, start)));
    }
    for connection in 0..USAGE_CONNECTIONS {
        let wire = Wire::connect(&node.address).await;
        reporting.push(tokio::spawn(report(wire, connection, start)));
    }
    let (mut answered, mut refused) = (Vec::new(), 0_u64);
    for one in asking {
        let (times, without) = one.await.unwrap();
        answered.extend(times);
        refused += without;
    }
    let took = start.elapsed();
    let mut stored = Vec::new();
    for one in reporting {
        stored.extend(one.await.unwrap());
    }
    let count = PER_SECOND * (WARM_UP_SECONDS + SECONDS);
    println!(
        "{count} calls at {} a second, {refused} of them refused, beside {USAGE_PER_SECOND} usage events a second, \
         for {CUSTOMERS} customers with credit",
        rate(count, took)
    );
    print_quantiles("authorization, meant to be sent to answered", answered);
    print_quantiles("usage request, meant to be sent to durable", stored);
    let waiting = "select count(*) from rating_queue where parked_at is null";
    println!(
        "usage that waits to be charged at the end: {}",
        cluster.run(APPLICATION_DATABASE, waiting)
    );
    cluster.print_statements();
    node.stop();
}

/// Credit for every customer.
fn prepay(cluster: &Cluster) {
    let organization = id(1, 0);
    cluster.run(
        APPLICATION_DATABASE,
        &format!(
            "set session_replication_role = replica;
             insert into wallets (organization_id, id, account_id, payer, customer_id, currency, balance)
                 select organization_id, id, account_id, 'customer', id, 'USD', 100 from customers where organization_id = '{organization}';
             insert into wallet_movements (organization_id, id, wallet_id, payer, kind, amount, occurred_at)
                 select organization_id, id, id, payer, 'top_up', balance, now() from wallets;
             insert into wallet_lots (organization_id, id, wallet_id, payer, amount, received_at)
                 select organization_id, id, wallet_id, payer, amount, occurred_at from wallet_movements;
             analyze;"
        ),
    );
}

/// One connection's share of the calls; returns how long each took, and how many there was nothing left for.
async fn ask(mut wire: Wire, first: u64, start: Instant) -> (Vec<Duration>, u64) {
    let (mut took, mut refused) = (Vec::new(), 0);
    let until = PER_SECOND * (WARM_UP_SECONDS + SECONDS);
    for n in (first..until).step_by(usize::try_from(CONNECTIONS).unwrap()) {
        let due = start + Duration::from_micros(n * 1_000_000 / PER_SECOND);
        let customer = n * 7_919 % CUSTOMERS;
        let body = format!(
            r#"{{"key":"bench {n}","direction":"outgoing","from":"+12120000000","to":"+1646{customer:07}","seconds":{}}}"#,
            60 * (n % 10 + 1)
        );
        let request = post("/api/calls/authorize", &headers(), &body);
        tokio::time::sleep_until(due.into()).await;
        let (status, body) = wire.send(&request).await;
        let is_answered = [201, 409].contains(&status);
        assert!(is_answered, "{status} {}", String::from_utf8_lossy(body));
        refused += u64::from(status == 409);
        if n >= WARM_UP_SECONDS * PER_SECOND {
            took.push(due.elapsed());
        }
    }
    (took, refused)
}

/// One connection's share of the usage.
async fn report(mut wire: Wire, connection: u64, start: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    let until = USAGE_PER_SECOND * (WARM_UP_SECONDS + SECONDS);
    let step = usize::try_from(USAGE_CONNECTIONS * BATCH).unwrap();
    for n in (connection * BATCH..until).step_by(step) {
        let due = start + Duration::from_micros(n * 1_000_000 / USAGE_PER_SECOND);
        let events: Vec<String> = (n..n + BATCH).map(event).collect();
        let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
        let request = post("/api/billing/usage/batch", &headers(), &body);
        tokio::time::sleep_until(due.into()).await;
        let (status, body) = wire.send(&request).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        if n >= WARM_UP_SECONDS * USAGE_PER_SECOND {
            took.push(due.elapsed());
        }
    }
    took
}

fn headers() -> String {
    format!("apikey: {API_KEY}\r\n")
}

fn event(n: u64) -> String {
    let customer = id(5, n * 7_919 % CUSTOMERS);
    format!(
        r#"{{"usageType":"CALL_DURATION_SECONDS","quantity":{},"customerId":"{customer}","idempotencyKey":"usage {n}"}}"#,
        n % 300 + 1
    )
}
