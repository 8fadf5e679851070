//! Processes that are killed: what was acknowledged is there, once, whatever was killed when.
//!
//! The real server runs on its built-in database with everything durable. Clients send usage and webhooks and note what
//! was acknowledged; after a number of acknowledgements that a seed decides, something is killed with SIGKILL. Clients
//! then send again what was not acknowledged, and some of what was.
//!
//! The tests send a few hundred events. `TOLLBOOK_CRASH_EVENTS=10000 cargo test -p tollbook --test it -- crashes` sends
//! so many.

use std::collections::HashMap;
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::support::{Incoming, Line, WEBHOOK_SECRET, Webhook};

const EVENTS: usize = 400;
const KILLS: usize = 4;
const CLIENTS: usize = 8;
const WAIT_MAX: Duration = Duration::from_mins(5);
const ADMIN: &str = "00000000-0000-7000-8000-000000000002";

/// An organization with a number, a customer on a subscription, one who pays per call, and a contract with the platform.
const WORLD: &str = r#"
    insert into organizations (id, name, external_key) values ('00000000-0000-7000-8000-000000000001', 'Acme', 'acme');
    insert into sellers (id, organization_id, invoice_prefix) select id, id, 'A' from organizations;
    insert into users (id, email) values ('00000000-0000-7000-8000-000000000002', 'ann@example.com');
    insert into memberships (organization_id, user_id, role) select id, '00000000-0000-7000-8000-000000000002', 'org_admin' from organizations;
    insert into phone_numbers (id, e164, provider, provider_number_sid) values ('00000000-0000-7000-8000-000000000003', '+12125550142', 'openphone', 'PN1');
    insert into number_mappings (id, phone_number_id, organization_id, starts_at)
        select '00000000-0000-7000-8000-000000000004', '00000000-0000-7000-8000-000000000003', id, '2020-01-01' from organizations;
    insert into accounts (organization_id, id, payer) select o.id, a.id::uuid, a.payer from organizations o cross join (values
        ('00000000-0000-7000-8000-000000000011', 'customer'), ('00000000-0000-7000-8000-000000000012', 'customer'), ('00000000-0000-7000-8000-000000000013', 'organization')) as a (id, payer);
    insert into customers (organization_id, id, account_id, name) select o.id, c.id::uuid, c.account::uuid, c.name from organizations o cross join (values
        ('00000000-0000-7000-8000-000000000021', '00000000-0000-7000-8000-000000000011', 'Ann'), ('00000000-0000-7000-8000-000000000022', '00000000-0000-7000-8000-000000000012', 'Bob')) as c (id, account, name);
    insert into customer_numbers (organization_id, id, customer_id, e164) select organization_id, id, id, case name when 'Ann' then '+12025550101' else '+12025550102' end from customers;
    insert into search_terms (organization_id, term, kind, id) select c.organization_id, t.term, 'customer', c.id
        from customers c join customer_numbers n on n.organization_id = c.organization_id and n.customer_id = c.id
        cross join lateral unnest(array[lower(c.name), substr(n.e164, 2), substr(n.e164, 3), right(n.e164, 4)]) as t (term);
    insert into plans (seller_id, id, code, name, kind) select s.id, p.id::uuid, p.code, p.code, p.kind from sellers s join (values
        ('00000000-0000-7000-8000-000000000031', 'care', 'subscription', false), ('00000000-0000-7000-8000-000000000032', 'calls', 'pay_per_call', false),
        ('00000000-0000-7000-8000-000000000033', 'platform', 'subscription', true)) as p (id, code, kind, is_platform) on (s.organization_id is null) = p.is_platform;
    insert into plan_versions (seller_id, id, plan_id, version, state, currency, published_at, document) select seller_id, id, id, 1, 'published', 'USD', now(),
        jsonb_build_object('kind', kind, 'currency', 'USD', 'baseFee', case kind when 'subscription' then '49' else '0' end,
            'prices', '[{"key":"calls","meter":"CALL_DURATION_SECONDS","increment":"60/60","rate":{"per_unit":{"price":"1","per":60}}},
                {"key":"requests","meter":"API_REQUEST","rate":{"graduated":{"tiers":[{"upTo":100,"price":"0.02"},{"price":"0.01"}]}}}]'::jsonb,
            'allowances', case code when 'care' then '[{"key":"minutes","meters":["CALL_DURATION_SECONDS"],"quantity":600}]'::jsonb else '[]'::jsonb end)
        from plans;
    insert into pay_per_call_terms (organization_id, id, plan_version_id, starts_at) select seller_id, id, id, '2020-01-01' from plans where code = 'calls';
    insert into subscriptions (organization_id, id, payer, customer_id, account_id, state, zone, anchor_on, interval_months, starts_at)
        select o.id, s.id::uuid, s.payer, s.customer::uuid, s.account::uuid, 'active', 'UTC', (now() - interval '3 days')::date, 1, now() - interval '3 days' from organizations o cross join (values
        ('00000000-0000-7000-8000-000000000041', 'customer', '00000000-0000-7000-8000-000000000021', '00000000-0000-7000-8000-000000000011'),
        ('00000000-0000-7000-8000-000000000042', 'organization', null, '00000000-0000-7000-8000-000000000013')) as s (id, payer, customer, account);
    insert into subscription_segments (organization_id, id, subscription_id, seller_id, plan_version_id, starts_at)
        select s.organization_id, s.id, s.id, p.seller_id, p.id, s.starts_at from subscriptions s join plans p on p.code = case s.payer when 'customer' then 'care' else 'platform' end;
"#;

/// A folder that the account of PostgreSQL may enter, also when the tests run as root.
fn folder() -> TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

fn tollbook(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbook"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TOLLBOOK_DATA_DIR", folder)
        .env(
            "TOLLBOOK_SECRET_KEY",
            "a secret key of the tests, long enough",
        )
        .env("TOLLBOOK_RATE_LIMIT_USER", "1000000")
        .env("OPENPHONE_API_KEY", "key")
        .env("OPENPHONE_WEBHOOK_SECRET", WEBHOOK_SECRET)
        .env("OPENPHONE_BASE_URL", "http://127.0.0.1:9")
        .current_dir(folder);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    tollbook(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The server, until it is killed.
struct Server {
    process: Child,
    base: String,
}

impl Server {
    /// Starts it; what was killed before may take a moment to let go of the folder.
    fn start(folder: &Path) -> Self {
        // Whoever talks to it needs one, whichever test comes first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let mut process = tollbook(folder)
                .args(["serve", "--listen", "127.0.0.1:0", "--dev-auth"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap())
                .read_line(&mut line)
                .unwrap();
            if let Some(base) = line.trim().strip_prefix("listening on ") {
                return Self {
                    process,
                    base: base.to_owned(),
                };
            }
            process.wait().unwrap();
            assert!(Instant::now() < deadline, "the server does not start");
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that fails must not leave it behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is killed in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The server's process.
    Server,
    /// The database's first process, and all that it has made.
    Database,
}

/// Kills the postmaster with all its backends. False if there is none: it may just be starting, or the server may have
/// ended because it died too often, and then a new one has to be started.
fn kill_database(folder: &Path) -> bool {
    let file = std::fs::read_to_string(folder.join("postgres/data/postmaster.pid"));
    let first = file
        .ok()
        .and_then(|it| Some(it.lines().next()?.trim().to_owned()));
    let Some(postmaster) = first.filter(|it| Path::new("/proc").join(it).exists()) else {
        return false;
    };
    let children = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &postmaster])
        .output()
        .unwrap();
    let backends = text(&children.stdout);
    let killed = Command::new("kill")
        .arg("-9")
        .arg(&postmaster)
        .args(backends.split_whitespace())
        .status()
        .unwrap();
    // A backend may have ended by itself meanwhile, of which `kill` complains.
    let _ = killed;
    true
}

/// Something to be acknowledged: a usage event, or a webhook.
#[derive(Debug, Clone)]
enum Item {
    Usage(usize),
    Webhook(Webhook),
}

fn items(count: usize) -> Vec<Item> {
    let line = line();
    let started = Timestamp::now() - SignedDuration::from_hours(6);
    (0..count)
        .map(|n| {
            let at = started + SignedDuration::from_secs(i64::try_from(n % 20_000).unwrap());
            let caller = |of: usize| ["+12025550101", "+12025550102", "+12025550103"][of % 3];
            let call = |of: usize, act: &dyn Fn(&Incoming<'_>) -> Webhook| {
                let (sid, from) = (format!("AC{of}"), caller(of));
                act(&Incoming {
                    sid: &sid,
                    from,
                    at: started + SignedDuration::from_mins(i64::try_from(of % 300).unwrap()),
                })
            };
            match n % 10 {
                0..5 => Item::Usage(n),
                5 => Item::Webhook(call(n - 5, &|call| call.ringing(&line))),
                6 => Item::Webhook(call(n - 6, &|call| call.answered(&line, 100))),
                7 => Item::Webhook(call(n, &|call| call.missed(&line))),
                8 => Item::Webhook(call(n - 8, &|call| call.recorded(&line, 100))),
                _ => Item::Webhook(Webhook::message(&line, &format!("SM{n}"), caller(n), at)),
            }
        })
        .collect()
}

fn line() -> Line {
    Line {
        path: "/webhooks/openphone".into(),
        number_sid: "PN1".into(),
        e164: "+12125550142".into(),
    }
}

impl Item {
    /// Sends it; fails with why it was not acknowledged. No answer, and an answer that asks to try again, are none.
    async fn send(&self, client: &reqwest::Client, base: &str) -> Result<(), String> {
        let request = match self {
            Self::Usage(n) => client.post(format!("{base}/api/billing/usage")).header("x-user-id", ADMIN).json(&json!({
                "usageType": "API_REQUEST", "quantity": 1, "idempotencyKey": format!("event-{n}"),
                "customerId": format!("00000000-0000-7000-8000-00000000002{}", n % 2 + 1),
            })),
            Self::Webhook(webhook) => {
                let mut request = client.post(format!("{base}/webhooks/openphone")).body(webhook.body.clone());
                for (name, value) in webhook.headers(Timestamp::now()) {
                    request = request.header(name, value);
                }
                request
            }
        };
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) if answer.status().is_client_error() => {
                panic!(
                    "{self:?}: {} {}",
                    answer.status(),
                    answer.text().await.unwrap_or_default()
                )
            }
            Ok(answer) => Err(format!(
                "{} {}",
                answer.status(),
                answer.text().await.unwrap_or_default()
            )),
            Err(error) => Err(format!("{error:?}")),
        }
    }
}

/// Clients at work; `acknowledged` counts up, and wakes whoever waits for a number.
struct Work {
    acknowledged: AtomicUsize,
    moved: Notify,
    open: Mutex<Vec<Item>>,
    refused: Mutex<Vec<(Item, String)>>,
}

/// Sends all of `items` once by several clients; returns what was acknowledged and what was not. When `until` are
/// acknowledged, `act` is called in the middle of everything.
async fn send_all(
    base: &str,
    items: Vec<Item>,
    until: usize,
    act: impl FnOnce(),
) -> (Vec<Item>, Vec<(Item, String)>) {
    // What the first of these tests has installed serves all of them.
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let work = Arc::new(Work {
        acknowledged: AtomicUsize::new(0),
        moved: Notify::new(),
        open: Mutex::new(items),
        refused: Mutex::default(),
    });
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (work, client, base) = (Arc::clone(&work), client.clone(), base.to_owned());
        clients.spawn(async move {
            let mut done = Vec::new();
            loop {
                let Some(item) = work.open.lock().unwrap().pop() else {
                    return done;
                };
                match item.send(&client, &base).await {
                    Ok(()) => {
                        work.acknowledged.fetch_add(1, Ordering::SeqCst);
                        done.push(item);
                    }
                    Err(why) => work.refused.lock().unwrap().push((item, why)),
                }
                work.moved.notify_one();
            }
        });
    }
    while work.acknowledged.load(Ordering::SeqCst) < until && !work.open.lock().unwrap().is_empty()
    {
        work.moved.notified().await;
    }
    act();
    let mut acknowledged = Vec::new();
    while let Some(client) = clients.join_next().await {
        acknowledged.extend(client.unwrap());
    }
    let refused = std::mem::take(&mut *work.refused.lock().unwrap());
    (acknowledged, refused)
}

/// The built-in database as its owner.
async fn database(folder: &Path) -> PgConnection {
    let output = run(folder, &["db", "url"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    PgConnection::connect(text(&output.stdout).trim())
        .await
        .unwrap()
}

async fn count(session: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(session).await.unwrap()
}

/// Whether the server has its database.
async fn is_ready(base: &str) -> bool {
    let answer = reqwest::get(format!("{base}/readyz")).await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

fn without_why(refused: Vec<(Item, String)>) -> Vec<Item> {
    refused.into_iter().map(|(item, _)| item).collect()
}

async fn survive(victim: Victim, seed: u64) {
    let events = std::env::var("TOLLBOOK_CRASH_EVENTS").map_or(EVENTS, |it| it.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    let folder = folder();
    let mut server = Server::start(folder.path());
    let mut session = database(folder.path()).await;
    sqlx::raw_sql(WORLD).execute(&mut session).await.unwrap();
    session.close().await.unwrap();
    let all = items(events);
    let mut open = all.clone();
    open.shuffle(&mut random);
    let mut acknowledged: Vec<Item> = Vec::new();
    let mut kills = 0;
    while kills < KILLS {
        if server.process.try_wait().unwrap().is_some() {
            server = Server::start(folder.path());
        }
        let mut is_killed = true;
        let share = events / (KILLS + 1);
        let until = random.random_range(share / 2..share + share / 2).max(1);
        let (done, refused) = send_all(&server.base, open, until, || match victim {
            Victim::Server => server.process.kill().unwrap(),
            Victim::Database => is_killed = kill_database(folder.path()),
        })
        .await;
        kills += usize::from(is_killed);
        if victim == Victim::Server {
            server.kill();
            server = Server::start(folder.path());
        }
        // Again what was not acknowledged, and some of what was.
        open = without_why(refused);
        let mut again = done.clone();
        again.shuffle(&mut random);
        again.truncate(done.len() / 10);
        open.extend(again);
        open.shuffle(&mut random);
        acknowledged.extend(done);
    }
    let deadline = Instant::now() + WAIT_MAX;
    while !open.is_empty() {
        // It ends when its database has ended too often, a moment after.
        if server.process.try_wait().unwrap().is_some() {
            server = Server::start(folder.path());
        }
        let (done, refused) = send_all(&server.base, open, usize::MAX, || {}).await;
        acknowledged.extend(done);
        assert!(
            refused.is_empty() || Instant::now() < deadline,
            "not acknowledged: {refused:#?}"
        );
        open = without_why(refused);
    }
    // The last kill may have come after the last answer.
    while !is_ready(&server.base).await {
        assert!(Instant::now() < deadline, "the database does not come back");
        if server.process.try_wait().unwrap().is_some() {
            server = Server::start(folder.path());
        }
    }
    check(folder.path(), &all, acknowledged.len()).await;
    let status = Command::new("kill")
        .arg(server.process.id().to_string())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(
        server.process.wait().unwrap().code(),
        Some(0),
        "the server stops cleanly"
    );
    // The same with nothing running: the command starts the database for itself.
    let verified = run(folder.path(), &["verify"]);
    assert!(
        verified.status.success(),
        "{}{}",
        text(&verified.stdout),
        text(&verified.stderr)
    );
}

/// Everything is there once, everything is interpreted and rated, and everything agrees.
async fn check(folder: &Path, all: &[Item], acknowledged: usize) {
    let mut session = database(folder).await;
    let deadline = Instant::now() + WAIT_MAX;
    while count(
        &mut session,
        "select (select count(*) from inbox_queue) + (select count(*) from rating_queue)",
    )
    .await
        > 0
    {
        assert!(Instant::now() < deadline, "the queues do not drain");
        tokio::task::yield_now().await;
    }
    let mut webhooks: HashMap<&str, i64> = HashMap::new();
    let mut events = 0;
    for item in all {
        match item {
            Item::Usage(_) => events += 1,
            Item::Webhook(webhook) => {
                webhooks.insert(&webhook.id, 0);
            }
        }
    }
    assert!(acknowledged >= all.len(), "{acknowledged}");
    assert_eq!(count(&mut session, "select count(distinct idempotency_key) from usage_events where idempotency_key like 'event-%'").await, events);
    assert_eq!(
        count(
            &mut session,
            "select count(*) from usage_events where meter = 'API_REQUEST'"
        )
        .await,
        events
    );
    assert_eq!(
        count(
            &mut session,
            "select quantity::bigint from usage_counters where meter = 'API_REQUEST'"
        )
        .await,
        events
    );
    let stored: Vec<String> = sqlx::query_scalar("select event_key from inbox")
        .fetch_all(&mut session)
        .await
        .unwrap();
    for key in &stored {
        // The key is the delivery's id, or ends in it.
        let of = webhooks
            .iter_mut()
            .find(|(id, _)| key.as_str() == **id || key.ends_with(**id));
        *of.unwrap_or_else(|| panic!("unknown webhook `{key}`")).1 += 1;
    }
    let wrong: Vec<_> = webhooks.iter().filter(|(_, times)| **times != 1).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let verified = run(folder, &["verify", "--json"]);
    assert!(
        verified.status.success(),
        "{}{}",
        text(&verified.stdout),
        text(&verified.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(
        (&report["organizations"], &report["count"]),
        (&json!(1), &json!(0))
    );
    session.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_death_of_the_server() {
    survive(Victim::Server, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_death_of_the_database() {
    survive(Victim::Database, 2).await;
}

#[tokio::test]
async fn a_server_ends_when_its_database_has_ended_too_often() {
    let folder = folder();
    let mut server = Server::start(folder.path());
    let deadline = Instant::now() + Duration::from_mins(2);
    let status = loop {
        if let Some(status) = server.process.try_wait().unwrap() {
            break status;
        }
        assert!(
            Instant::now() < deadline,
            "it goes on without its database, and listens to nobody"
        );
        // While its sessions are at work.
        if is_ready(&server.base).await {
            kill_database(folder.path());
        }
    };
    assert_eq!(status.code(), Some(1));
}
