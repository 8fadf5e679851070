//! Many writers at once, on two nodes: all of them end, and everything adds up.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Incoming, Line, Organization, TestApp, Webhook};

/// Requests of each writer.
const ROUNDS: usize = 40;
const METERS: [&str; 6] = [
    "API_REQUEST",
    "CALL_DURATION_SECONDS",
    "CALL_RECEIVED",
    "SMS_RECEIVED",
    "SMS_SENT",
    "voicemail",
];

/// What all writers write about.
struct Scene {
    nodes: [TestApp; 2],
    at: Timestamp,
    /// Organization, key that reports its usage, customers, mappings.
    sellers: Vec<(Organization, String, Vec<Uuid>, Vec<Uuid>)>,
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
        sellers.push((organization, key, customers, mappings));
    }
    let (at, beside) = (app.now(), app.beside().await);
    Scene {
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

    /// Reports usage of every counter that there is, each time in another order.
    async fn report(&self, writer: u64) -> usize {
        let mut random = StdRng::seed_from_u64(writer);
        for round in 0..ROUNDS {
            let (_, key, customers, mappings) =
                &self.sellers[random.random_range(0..self.sellers.len())];
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
        ROUNDS * METERS.len() * 2
    }

    /// Calls, voicemails and messages from the same few people, known to nobody at first, over all accounts.
    async fn call(&self, writer: u64) -> usize {
        let mut random = StdRng::seed_from_u64(writer);
        let mut told = 0;
        for round in 0..ROUNDS {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_on_two_nodes_end_and_everything_adds_up() {
    let scene = Arc::new(scene().await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..3 {
        let scene = Arc::clone(&scene);
        writers.spawn(async move { scene.report(writer).await });
    }
    for writer in 10..13 {
        let scene = Arc::clone(&scene);
        writers.spawn(async move { scene.call(writer).await });
    }
    // Two more interpret, rate and finalize, beside the workers of both nodes; months end while they do.
    for node in 0..2 {
        let scene = Arc::clone(&scene);
        writers.spawn(async move {
            for _ in 0..ROUNDS / 4 {
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
    let scene = Arc::into_inner(scene).unwrap();
    scene.nodes[0].app.settle().await.unwrap();
    let report = scene.nodes[0].app.verify(|_| {}).await.unwrap();
    let shown: BTreeSet<String> = report.differences.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{shown:#?}");
    let invoices = scene.nodes[0]
        .count("select count(*) from invoices where state <> 'draft'")
        .await;
    assert!(invoices > 0, "months were closed");
}
