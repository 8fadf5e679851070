//! Durable usage ingest: events a second, and PostgreSQL's CPU time for each, beside a plain row-by-row design, the
//! product's own statement without HTTP, and an HTTP handler that does nothing.
//!
//! All run on one machine, load included, on one cluster with the product's settings, in turn and several times over;
//! the medians count. The rows of the queue are written, constraints and triggers are on; rating is another stage and
//! measured by `rating`. Run by `cargo xtask bench ingest`; `TOLLBOOK_BENCH_ROUNDS` says how often, 3 unless told.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints what it measured"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};
use support::{API_KEY, Cluster, Node, Wire, id, make_organization, post, rate, ratio};
use uuid::Uuid;

const CONNECTIONS: usize = 64;
const NUMBERS: u64 = 1_000;
const BATCH: u64 = 1_000;
const TIME: Duration = Duration::from_secs(5);
/// The database of the plain design.
const PLAIN: &str = "plain";
/// Makes this binary serve the handler that does nothing.
const EMPTY_HANDLER: &str = "TOLLBOOK_BENCH_EMPTY_HANDLER";

/// What was reached in one run.
#[derive(Clone, Copy)]
struct Figure {
    per_second: u64,
    /// PostgreSQL's CPU time per event.
    database_nanos: u64,
}

/// What is measured with.
struct Bench {
    cluster: Cluster,
    node: Node,
    empty: String,
    /// Makes every event of the run another one.
    next: Arc<AtomicU64>,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    if std::env::var_os(EMPTY_HANDLER).is_some() {
        return runtime.block_on(serve_nothing());
    }
    if support::is_asked() {
        runtime.block_on(measure());
    }
}

async fn measure() {
    let cluster = Cluster::start();
    cluster.run("postgres", &format!("create database {PLAIN}"));
    cluster.run(PLAIN, include_str!("row_by_row.sql"));
    let url = cluster.url();
    let node = Node::start(&["--only", "web", "--database-url", &url], &[]);
    make_organization(&cluster, NUMBERS);
    // The platform sells to it, so that each event has a row in the rating queue.
    let account = format!(
        "insert into accounts (organization_id, id, payer) values ('{}', '{}', 'organization')",
        id(1, 0),
        id(4, 0)
    );
    cluster.run("tollbook", &account);
    let (mut handler, empty) = start_empty_handler();
    let bench = Bench {
        cluster,
        node,
        empty,
        next: Arc::default(),
    };
    let mut figures: BTreeMap<&str, Vec<Figure>> = BTreeMap::new();
    let rounds = std::env::var("TOLLBOOK_BENCH_ROUNDS").map_or(3, |it| it.parse().unwrap());
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        let mut record = |name, figure| figures.entry(name).or_default().push(figure);
        record("plain, 1,000 numbers", bench.plain(NUMBERS).await);
        record("HTTP, 1,000 numbers", bench.http(NUMBERS).await);
        record("statement, 64 events", bench.statement(64).await);
        record("plain, one number", bench.plain(1).await);
        record("HTTP, one number", bench.http(1).await);
        record("HTTP, batches of 1,000", bench.http_batches().await);
        record("statement, 1,000 events", bench.statement(BATCH).await);
        record("empty handler", bench.nothing().await);
    }
    let _ = handler.kill();
    let _ = handler.wait();
    report(&figures, rounds);
    bench.node.stop();
}

fn report(figures: &BTreeMap<&str, Vec<Figure>>, rounds: usize) {
    let median = |name: &str| {
        let mut of_name = figures[name].clone();
        of_name.sort_unstable_by_key(|it| it.per_second);
        of_name[of_name.len() / 2]
    };
    println!("\nevents a second (median of {rounds}), and PostgreSQL's CPU time for each");
    for name in figures.keys() {
        let figure = median(name);
        println!(
            "  {name:<26} {:>8}/s  {:>5} µs",
            figure.per_second,
            figure.database_nanos / 1000
        );
    }
    println!("\nratios");
    let compare = |what: &str, a: &str, b: &str| {
        let (a, b) = (median(a), median(b));
        println!(
            "  {what:<44} {:>6} x the rate, {:>5} x the CPU time",
            ratio(a.per_second, b.per_second),
            ratio(a.database_nanos, b.database_nanos)
        );
    };
    let plain = "plain, 1,000 numbers";
    compare(
        "single events : plain, 1,000 numbers",
        "HTTP, 1,000 numbers",
        plain,
    );
    compare(
        "single events : plain, one number",
        "HTTP, one number",
        "plain, one number",
    );
    compare(
        "batches : plain, 1,000 numbers",
        "HTTP, batches of 1,000",
        plain,
    );
    compare(
        "single events : own statement",
        "HTTP, 1,000 numbers",
        "statement, 64 events",
    );
    compare(
        "batches : own statement",
        "HTTP, batches of 1,000",
        "statement, 1,000 events",
    );
    compare(
        "single events : empty handler",
        "HTTP, 1,000 numbers",
        "empty handler",
    );
}

impl Bench {
    /// Runs `tasks` until the time is over; each answers how many events it stored.
    async fn timed<F>(&self, tasks: Vec<F>) -> Figure
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let (before, started) = (self.cluster.cpu(), Instant::now());
        let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        let mut events = 0;
        for task in running {
            events += task.await.unwrap();
        }
        let time = started.elapsed();
        let cpu = self.cluster.cpu().saturating_sub(before);
        Figure {
            per_second: rate(events, time),
            database_nanos: u64::try_from(cpu.as_nanos()).unwrap() / events.max(1),
        }
    }

    /// The plain design: one function call for each event, each on its own connection.
    async fn plain(&self, numbers: u64) -> Figure {
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let url = self.cluster.superuser_url(PLAIN);
            let mut session = PgConnection::connect(&url).await.unwrap();
            let next = Arc::clone(&self.next);
            tasks.push(async move {
                let end = Instant::now() + TIME;
                let mut events = 0;
                while Instant::now() < end {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    sqlx::query("select log_voice_usage('bench', $1, 180, $2)")
                        .bind(id(3, n % numbers).parse::<Uuid>().unwrap())
                        .bind(metadata(n))
                        .execute(&mut session)
                        .await
                        .unwrap();
                    events += 1;
                }
                session.close().await.unwrap();
                events
            });
        }
        self.timed(tasks).await
    }

    /// One event a request.
    async fn http(&self, numbers: u64) -> Figure {
        let address = self.node.address.clone();
        self.requests(&address, CONNECTIONS, 1, move |n| {
            post(
                "/api/billing/usage",
                &format!("apikey: {API_KEY}\r\n"),
                &event(n, numbers),
            )
        })
        .await
    }

    /// A thousand events a request, on a few connections.
    async fn http_batches(&self) -> Figure {
        let address = self.node.address.clone();
        self.requests(&address, 4, BATCH, |n| {
            let events: Vec<String> = (0..BATCH).map(|i| event(n + i, NUMBERS)).collect();
            post(
                "/api/billing/usage/batch",
                &format!("apikey: {API_KEY}\r\n"),
                &format!(r#"{{"events":[{}]}}"#, events.join(",")),
            )
        })
        .await
    }

    /// The handler that reads a body and answers.
    async fn nothing(&self) -> Figure {
        let address = self.empty.clone();
        self.requests(&address, CONNECTIONS, 1, |n| {
            post("/", "", &event(n, NUMBERS))
        })
        .await
    }

    async fn requests<M>(&self, address: &str, connections: usize, each: u64, make: M) -> Figure
    where
        M: Fn(u64) -> Vec<u8> + Copy + Send + 'static,
    {
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let mut wire = Wire::connect(address).await;
            let next = Arc::clone(&self.next);
            tasks.push(async move {
                let end = Instant::now() + TIME;
                let mut events = 0;
                while Instant::now() < end {
                    let request = make(next.fetch_add(each, Ordering::Relaxed));
                    let (status, body) = wire.send(&request).await;
                    let text = String::from_utf8_lossy(body);
                    assert!((200..300).contains(&status), "{status}: {text}");
                    events += each;
                }
                events
            });
        }
        self.timed(tasks).await
    }

    /// The product's own statement, so many events each time, one after another.
    async fn statement(&self, events: u64) -> Figure {
        let url = self.cluster.superuser_url("tollbook");
        let mut session = PgConnection::connect(&url).await.unwrap();
        session.execute("set role tollbook_ingest").await.unwrap();
        let next = Arc::clone(&self.next);
        let task = async move {
            let end = Instant::now() + TIME;
            let mut stored = 0;
            while Instant::now() < end {
                let from = next.fetch_add(events, Ordering::Relaxed);
                insert(&mut session, from, events).await;
                stored += events;
            }
            session.close().await.unwrap();
            stored
        };
        self.timed(vec![task]).await
    }
}

async fn insert(session: &mut PgConnection, from: u64, events: u64) {
    let numbers: Vec<u64> = (from..from + events).collect();
    let each = |value: &dyn Fn(u64) -> Uuid| numbers.iter().map(|n| value(*n)).collect::<Vec<_>>();
    let count = numbers.len();
    let organization: Uuid = id(1, 0).parse().unwrap();
    let keys: Vec<String> = numbers.iter().map(|n| format!("direct-{n}")).collect();
    let digests: Vec<Vec<u8>> = keys.iter().map(|key| digest(key)).collect();
    let metadata: Vec<serde_json::Value> = numbers.iter().map(|n| metadata(*n)).collect();
    let nothing: Vec<Option<Uuid>> = vec![None; count];
    let no_text: Vec<Option<&str>> = vec![None; count];
    let mut tx = session.begin().await.unwrap();
    let added = sqlx::query(include_str!("../src/metering/insert.sql"))
        .bind(vec![organization; count])
        .bind(each(&|_| Uuid::now_v7()))
        .bind(vec!["CALL_DURATION_SECONDS"; count])
        .bind(vec![rust_decimal::Decimal::from(180); count])
        .bind(vec![
            jiff_sqlx::ToSqlx::to_sqlx(jiff::Timestamp::now());
            count
        ])
        .bind(&keys)
        .bind(&digests)
        .bind(&digests)
        .bind(&nothing)
        .bind(each(&|n| id(3, n % NUMBERS).parse().unwrap()))
        .bind(&nothing)
        .bind(&nothing)
        .bind(&no_text)
        .bind(&no_text)
        .bind(&metadata)
        .bind(&nothing)
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert_eq!(added.len(), count, "every event is new");
    tx.commit().await.unwrap();
}

fn digest(key: &str) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(key.as_bytes())[..16].to_vec()
}

fn metadata(n: u64) -> serde_json::Value {
    serde_json::json!({"call_sid": format!("CA{n:032}"), "from": "+12505559999", "to": "+12505551234", "status": "completed"})
}

fn event(n: u64, numbers: u64) -> String {
    let mapping = id(3, n % numbers);
    format!(
        r#"{{"usageType":"CALL_DURATION_SECONDS","quantity":180,"mappingId":"{mapping}","idempotencyKey":"bench-{n}","metadata":{}}}"#,
        metadata(n)
    )
}

/// This binary again, as a server of nothing.
fn start_empty_handler() -> (std::process::Child, String) {
    use std::io::{BufRead as _, BufReader};
    let mut process = std::process::Command::new(std::env::current_exe().unwrap())
        .env(EMPTY_HANDLER, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    (process, line.trim().to_owned())
}

async fn serve_nothing() {
    let handler = async |_: axum::body::Bytes| (StatusCode::CREATED, "{}");
    let router = axum::Router::new().route("/", axum::routing::post(handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}
