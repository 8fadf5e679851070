//! Many writers at once, on two nodes: they wait for each other, and never in a circle.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::support::{Incoming, Line, Organization, TestApp, User, Webhook};

/// Requests of each writer, unless `TOLLBOOK_WRITERS_ROUNDS` says how many.
const ROUNDS: usize = 40;
const METERS: [&str; 6] = [
    "API_REQUEST",
    "CALL_DURATION_SECONDS",
    "CALL_RECEIVED",
    "SMS_RECEIVED",
    "SMS_SENT",
    "voicemail",
];

const SUBSCRIPTION: &str = r#"{"code": "care", "name": "Care", "kind": "subscription", "currency": "USD", "baseFee": "49",
    "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS", "rate": {"per_unit": {"price": "2", "per": 60}}}],
    "allowances": [{"key": "minutes", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600}]}"#;

/// An organization that writers write about.
struct Seller {
    organization: Organization,
    admin: User,
    member: User,
    /// Reports its usage.
    key: String,
    customers: Vec<Uuid>,
    mappings: Vec<Uuid>,
    numbers: Vec<Uuid>,
    plan: Uuid,
}

/// What all writers write about.
struct Scene {
    rounds: usize,
    nodes: [TestApp; 2],
    at: Timestamp,
    sellers: Vec<Seller>,
    /// Two accounts of each organization.
    lines: Vec<Line>,
}

async fn ids(app: &TestApp, query: &'static str, organization: &Organization) -> Vec<Uuid> {
    let mut tx = app.platform().await;
    sqlx::query_scalar(query)
        .bind(organization.id.uuid())
        .fetch_all(&mut *tx)
        .await
        .unwrap()
}

async fn scene() -> Scene {
    let app = TestApp::with(|settings| settings.rate_limit_user = NonZeroU32::MAX).await;
    let (mut sellers, mut lines) = (Vec::new(), Vec::new());
    for (n, name) in ["Acme", "Globex"].into_iter().enumerate() {
        let organization = app.organization(name).await;
        let admin = app.admin(&organization).await;
        for m in 0..2 {
            lines.push(
                app.line(&organization, &admin, &format!("+1212555014{n}{m}"))
                    .await,
            );
        }
        for m in 0..4 {
            app.customer(&organization, &format!("Customer {m}")).await;
        }
        let mut tx = app.platform().await;
        for statement in [
            "insert into plans (seller_id, id, code, name, kind) values ($1, $1, 'calls', 'Calls', 'pay_per_call')",
            "insert into plan_versions (seller_id, id, plan_id, version, state, currency, published_at, document) values ($1, $1, $1, 1, 'published', 'USD', now(),
                 '{\"kind\":\"pay_per_call\",\"currency\":\"USD\",\"prices\":[{\"key\":\"calls\",\"meter\":\"CALL_DURATION_SECONDS\",\"rate\":{\"per_unit\":{\"price\":\"1\",\"per\":60}}},
                 {\"key\":\"requests\",\"meter\":\"API_REQUEST\",\"rate\":{\"graduated\":{\"tiers\":[{\"upTo\":100,\"price\":\"0.02\"},{\"price\":\"0.01\"}]}}}]}')",
            "insert into pay_per_call_terms (organization_id, id, plan_version_id, starts_at) values ($1, $1, $1, '2025-01-01')",
            "insert into accounts (organization_id, id, payer) values ($1, $1, 'organization')",
        ] {
            sqlx::query(statement).bind(organization.id.uuid()).execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        let key = app.api_key(&admin, &organization, &["usage"]).await;
        let customers = ids(
            &app,
            "select id from customers where organization_id = $1",
            &organization,
        )
        .await;
        let mappings = ids(
            &app,
            "select id from number_mappings where organization_id = $1",
            &organization,
        )
        .await;
        let numbers = ids(
            &app,
            "select id from phone_numbers where organization_id = $1",
            &organization,
        )
        .await;
        let member = app.member(&organization).await;
        let plan = serde_json::from_str(SUBSCRIPTION).unwrap();
        let plan = app.plan(&admin, &organization, &plan).await;
        sellers.push(Seller {
            organization,
            admin,
            member,
            key,
            customers,
            mappings,
            numbers,
            plan,
        });
    }
    let (at, beside) = (app.now(), app.beside().await);
    let rounds = std::env::var("TOLLBOOK_WRITERS_ROUNDS").map_or(ROUNDS, |n| n.parse().unwrap());
    Scene {
        rounds,
        nodes: [app, beside],
        at,
        sellers,
        lines,
    }
}

impl Scene {
    fn node(&self, random: &mut StdRng) -> &TestApp {
        &self.nodes[random.random_range(0..2)]
    }

    fn seller(&self, random: &mut StdRng) -> &Seller {
        &self.sellers[random.random_range(0..self.sellers.len())]
    }

    /// Reports usage of every counter that there is, each time in another order.
    async fn report(&self, writer: u64) -> usize {
        let mut random = StdRng::seed_from_u64(writer);
        for round in 0..self.rounds {
            let Seller {
                key,
                customers,
                mappings,
                ..
            } = self.seller(&mut random);
            let mut events = Vec::new();
            for (n, meter) in METERS.iter().enumerate() {
                for (m, mapping) in mappings.iter().enumerate() {
                    // In this month and the one before.
                    let at = self.at - SignedDuration::from_hours(24 * random.random_range(0..40));
                    events.push(json!({"usageType": meter, "quantity": 1, "occurredAt": at.to_string(), "mappingId": mapping,
                        "customerId": customers[random.random_range(0..customers.len())], "idempotencyKey": format!("{writer}-{round}-{n}-{m}")}));
                }
            }
            events.shuffle(&mut random);
            let count = events.len();
            let answer = self
                .node(&mut random)
                .post("/api/billing/usage/batch")
                .bearer(key)
                .json(&json!({"events": events}))
                .send()
                .await;
            assert_eq!(answer.expect(200)["stored"], count);
        }
        self.rounds * METERS.len() * 2
    }

    /// Does what people do with the same customers, numbers and calls, in any order.
    async fn act(&self, writer: u64) -> usize {
        let mut random = StdRng::seed_from_u64(writer);
        for round in 0..self.rounds {
            let seller = self.seller(&mut random);
            let customer = seller.customers[random.random_range(0..seller.customers.len())];
            let mut person = || format!("+1202555{:04}", round * 3 + random.random_range(0..3));
            let people = [person(), person()];
            let mut numbers = seller.numbers.clone();
            numbers.shuffle(&mut random);
            numbers.truncate(random.random_range(0..=numbers.len()));
            let (path, body) = match random.random_range(0..7) {
                0 => (
                    format!("/api/customers/{customer}/numbers"),
                    json!({"phoneNumber": people[0]}),
                ),
                1 => (
                    format!("/api/customers/{customer}/contacts"),
                    json!({"name": format!("Contact {round}")}),
                ),
                2 => (
                    "/api/customers".to_owned(),
                    json!({"name": format!("Customer {writer} {round}"), "phoneNumbers": people}),
                ),
                3 => (
                    "/api/admin/usage-charges".to_owned(),
                    json!({"customerId": customer, "usageType": "API_REQUEST", "quantity": 1, "unitPrice": "0.5"}),
                ),
                4 => (
                    format!(
                        "/api/orgs/{}/users/{}/phone-assignments",
                        seller.organization.id, seller.member.id
                    ),
                    json!({"phoneNumberIds": numbers}),
                ),
                5 => (
                    "/api/admin/org-subscriptions".to_owned(),
                    json!({"customerId": customer, "planId": seller.plan, "startDate": "2026-02-10"}),
                ),
                _ => {
                    let calls = ids(
                        &self.nodes[0],
                        "select id from calls where organization_id = $1 and merged_into_id is null order by updated_at desc limit 1",
                        &seller.organization,
                    )
                    .await;
                    let Some(call) = calls.first() else { continue };
                    (
                        format!("/api/calls/{call}/customer"),
                        json!({"customerId": customer}),
                    )
                }
            };
            let mut ask = async || {
                let request = self.node(&mut random).post(&path).user(&seller.admin);
                let request = request.organization(&seller.organization).json(&body);
                request.send().await
            };
            let mut answer = ask().await;
            while answer.status == 401 && answer.text.contains("has expired") {
                // The clock was advanced between the making of the token and its check.
                answer = ask().await;
            }
            // A call may have become another's part meanwhile, a customer has a subscription already.
            let is_in_order = answer.status < 300 || [404, 409, 503].contains(&answer.status);
            assert!(is_in_order, "{path} {body}: {}", answer.text);
        }
        self.rounds
    }

    /// Calls, voicemails and messages from the same few people, known to nobody at first, over all accounts.
    async fn call(&self, writer: u64) -> usize {
        let mut random = StdRng::seed_from_u64(writer);
        let mut told = 0;
        for round in 0..self.rounds {
            let line = &self.lines[random.random_range(0..self.lines.len())];
            let person = |random: &mut StdRng| {
                format!("+1202555{:04}", round * 3 + random.random_range(0..3))
            };
            // Two writers tell of the same call.
            let sid = format!("AC{}-{round}-{}", writer / 2, line.number_sid);
            let (from, other) = (format!("+1202555{:04}", round * 3), person(&mut random));
            let at = self.at - SignedDuration::from_hours(24 * i64::try_from(round % 40).unwrap());
            let (call, left) = (
                Incoming {
                    sid: &sid,
                    from: &from,
                    at,
                },
                format!("{sid}-left-{writer}"),
            );
            let left = Incoming {
                sid: &left,
                from: &other,
                at,
            };
            let message = Webhook::message(line, &format!("{sid}-text-{writer}"), &other, at);
            let mut webhooks = vec![
                call.ringing(line),
                call.answered(line, 61),
                call.recorded(line, 61),
                left.voicemail(line),
                message,
            ];
            webhooks.shuffle(&mut random);
            for webhook in webhooks {
                let mut answer = self.node(&mut random).deliver(line, &webhook).await;
                while answer.status == 401 && answer.text.contains("too far from now") {
                    // The clock was advanced between the signature and its check.
                    answer = self.node(&mut random).deliver(line, &webhook).await;
                }
                assert_eq!(answer.status, 204, "{}", answer.text);
                told += 1;
            }
        }
        told
    }
}

impl Scene {
    /// How often PostgreSQL broke a circle of waiting sessions since the database was made.
    async fn deadlocks(&mut self) -> i64 {
        // Sessions report what happened to them at the latest when they end.
        for node in &mut self.nodes {
            node.stop().await;
            node.app.db.close().await;
        }
        let mut session = PgConnection::connect(self.nodes[0].superuser_url())
            .await
            .unwrap();
        let deadlocks = sqlx::query_scalar(
            "select deadlocks from pg_stat_database where datname = current_database()",
        )
        .fetch_one(&mut session)
        .await
        .unwrap();
        session.close().await.unwrap();
        deadlocks
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_on_two_nodes_never_deadlock() {
    let scene = Arc::new(scene().await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..2 {
        let scene = Arc::clone(&scene);
        writers.spawn(async move { scene.report(writer).await });
    }
    for writer in 10..12 {
        let scene = Arc::clone(&scene);
        writers.spawn(async move { scene.call(writer).await });
    }
    for writer in 20..22 {
        let scene = Arc::clone(&scene);
        writers.spawn(async move { scene.act(writer).await });
    }
    // Two more interpret, rate and finalize, beside the workers of both nodes; months end while they do.
    for node in 0..2 {
        let scene = Arc::clone(&scene);
        writers.spawn(async move {
            for _ in 0..scene.rounds / 4 {
                scene.nodes[node].advance(SignedDuration::from_hours(24 * 10));
                scene.nodes[node].app.settle().await.unwrap();
            }
            0
        });
    }
    let mut sent = 0;
    while let Some(writer) = writers.join_next().await {
        sent += writer.unwrap();
    }
    assert!(sent > 1_000, "{sent}");
    let mut scene = Arc::into_inner(scene).unwrap();
    scene.nodes[0].app.settle().await.unwrap();
    let report = scene.nodes[0].app.verify(|_| {}).await.unwrap();
    let shown: BTreeSet<String> = report.differences.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{shown:#?}");
    let invoices = scene.nodes[0]
        .count("select count(*) from invoices where state <> 'draft'")
        .await;
    assert!(invoices > 0, "months were closed");
    let deadlocks = scene.deadlocks().await;
    eprintln!("{sent} requests, {invoices} invoices, {deadlocks} deadlocks");
    assert_eq!(deadlocks, 0);
}
