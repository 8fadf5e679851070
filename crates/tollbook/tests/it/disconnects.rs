//! Clients that go away in the middle: no transaction stays open, and what was sent whole takes effect once. A client that
//! left before the answer cannot know whether it was heard, so it sends the same again.

use std::num::NonZeroU32;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Incoming, TestApp, Webhook};

const REQUESTS: usize = 240;

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// Before its request is whole.
    Midway,
    /// When its request is whole, before the answer.
    BeforeTheAnswer,
    /// After the first bytes of the answer.
    Afterwards,
}

async fn connection(app: &TestApp) -> TcpStream {
    let address = app.base.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

fn request(method: &str, path: &str, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let headers = headers.concat();
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

async fn send(app: &TestApp, bytes: &[u8], leaves: Leaves, random: &mut StdRng) {
    let mut stream = connection(app).await;
    match leaves {
        Leaves::Midway => {
            let cut = random.random_range(1..bytes.len());
            stream.write_all(&bytes[..cut]).await.unwrap();
        }
        Leaves::BeforeTheAnswer => stream.write_all(bytes).await.unwrap(),
        Leaves::Afterwards => {
            stream.write_all(bytes).await.unwrap();
            assert!(stream.read(&mut [0; 16]).await.unwrap() > 0);
        }
    }
    stream.flush().await.unwrap();
}

/// Sends it and stays for the answer.
async fn send_again(app: &TestApp, bytes: &[u8]) {
    let mut stream = connection(app).await;
    stream.write_all(bytes).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_no_transaction_open() {
    let app = TestApp::with(|settings| settings.rate_limit_user = NonZeroU32::MAX).await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let line = app.line(&acme, &admin, "+12125550142").await;
    let key = app.api_key(&admin, &acme, &["usage"]).await;
    let (session, _) = app.sign_in(&admin).await;
    let mut random = StdRng::seed_from_u64(6);
    let (mut events, mut told) = (0, 0);
    let mut unsure = Vec::new();
    for n in 0..REQUESTS {
        let leaves = [Leaves::Midway, Leaves::BeforeTheAnswer, Leaves::Afterwards]
            [random.random_range(0..3)];
        let is_whole = leaves != Leaves::Midway;
        let bytes = match n % 3 {
            0 => {
                let batch: Vec<_> = (0..20).map(|i| json!({"usageType": "API_REQUEST", "quantity": 1, "idempotencyKey": format!("{n}-{i}")})).collect();
                events += if is_whole { 20 } else { 0 };
                let headers = [
                    ("authorization", format!("Bearer {key}")),
                    ("content-type", "application/json".to_owned()),
                ];
                request(
                    "POST",
                    "/api/billing/usage/batch",
                    &headers,
                    &json!({"events": batch}).to_string(),
                )
            }
            1 => {
                let sid = format!("AC{n}");
                let call = Incoming {
                    sid: &sid,
                    from: "+12025550101",
                    at: app.now(),
                };
                let webhook: Webhook = call.answered(&line, 60);
                told += i64::from(is_whole);
                request(
                    "POST",
                    &line.path,
                    &webhook.headers(app.now()),
                    &webhook.body,
                )
            }
            _ => {
                let page =
                    ["/communications", "/customers", "/invoices", "/"][random.random_range(0..4)];
                request(
                    "GET",
                    page,
                    &[
                        ("cookie", session.clone()),
                        ("accept", "text/html".to_owned()),
                    ],
                    "",
                )
            }
        };
        send(&app, &bytes, leaves, &mut random).await;
        if leaves == Leaves::BeforeTheAnswer {
            unsure.push(bytes);
        }
    }
    for bytes in &unsure {
        send_again(&app, bytes).await;
    }
    app.eventually("what was sent whole is there", async || {
        app.count("select count(*) from usage_events where meter = 'API_REQUEST'")
            .await
            >= events
            && app.count("select count(*) from inbox").await >= told
    })
    .await;
    app.eventually("everything is interpreted and rated", async || {
        app.count("select (select count(*) from inbox_queue) + (select count(*) from rating_queue)")
            .await
            == 0
    })
    .await;
    assert_eq!(
        app.count("select count(*) from usage_events where meter = 'API_REQUEST'")
            .await,
        events
    );
    assert_eq!(
        app.count("select quantity::bigint from usage_counters where meter = 'API_REQUEST'")
            .await,
        events
    );
    assert_eq!(app.count("select count(*) from inbox").await, told);
    assert_eq!(app.count("select count(*) from calls").await, told);
    // A transaction that was left open would stay for the half minute after which the database ends it, which is longer
    // than is waited here.
    let session =
        tokio::sync::Mutex::new(PgConnection::connect(app.superuser_url()).await.unwrap());
    app.eventually("no session is idle in a transaction", async || {
        let open: i64 = sqlx::query_scalar("select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'")
            .fetch_one(&mut *session.lock().await)
            .await
            .unwrap();
        open == 0
    })
    .await;
}

/// Whatever goes wrong, no session of ours keeps a lock for long.
#[tokio::test]
async fn every_session_gives_up_locks_and_idle_transactions() {
    let app = TestApp::start().await;
    let mut tx = app.platform().await;
    for (setting, expected) in [
        ("idle_in_transaction_session_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("statement_timeout", "1min"),
    ] {
        let found: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(found, expected, "{setting}");
    }
    // And they bite: a lock that is not to be had is given up, and the session goes on.
    let acme = app.organization("Acme").await;
    let mut holder = app.platform().await;
    sqlx::query("select from organizations where id = $1 for update")
        .bind(acme.id.uuid())
        .execute(&mut *holder)
        .await
        .unwrap();
    sqlx::query("set local lock_timeout = '20ms'")
        .execute(&mut *tx)
        .await
        .unwrap();
    let refused = sqlx::query("update organizations set name = 'Other' where id = $1")
        .bind(acme.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert_eq!(
        refused
            .as_database_error()
            .and_then(|it| it.code().map(std::borrow::Cow::into_owned)),
        Some("55P03".to_owned())
    );
    drop(tx);
    let mut idle = app.platform().await;
    sqlx::query("set local idle_in_transaction_session_timeout = '20ms'")
        .execute(&mut *idle)
        .await
        .unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *idle)
        .await
        .unwrap();
    app.eventually("the idle session is ended", async || {
        let mut tx = app.platform().await;
        sqlx::query_scalar::<_, i64>("select count(*) from pg_stat_activity where pid = $1")
            .bind(pid)
            .fetch_one(&mut *tx)
            .await
            .unwrap()
            == 0
    })
    .await;
    assert!(sqlx::query("select 1").execute(&mut *idle).await.is_err());
}
