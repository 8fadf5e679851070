//! What subscribers would have paid on another plan: exactly what they are charged where it is their own, and exactly what
//! they are charged after they have really changed.

use jiff::Timestamp;
use serde_json::{Value, json};
use tollbook_core::ids::CustomerId;
use uuid::Uuid;

use crate::support::{Firm, NewUsage, TestApp, at, per_minute};

const WHAT_IF: &str = "/api/admin/billing-plans/what-if";
const FROM: &str = "2026-01-10T00:00:00Z";
const TO: &str = "2026-03-02T15:00:00Z";

/// A plan whose fee is prorated, and whose hour falls to calls in the order of time: the first ones of each month.
fn own() -> Value {
    per_minute(
        "Own",
        "0.10",
        &json!({"code": "own", "baseFee": "31", "allowances": [{"key": "hour", "meters": ["CALL_DURATION_SECONDS"],
            "quantity": 3600, "rollover": {"cycles": 1, "cap": 600}}]}),
    )
}

/// A plan with tiers over the month, a connection fee and an hour in each year.
fn other() -> Value {
    json!({"name": "Other", "code": "other", "currency": "USD", "baseFee": "12.34",
        "prices": [{"key": "talk", "meter": "CALL_DURATION_SECONDS", "increment": "30/6", "connectionFee": "0.05",
            "rate": {"graduated": {"per": 60, "tiers": [{"upTo": 4000, "price": "0.20"}, {"price": "0.07"}]}}}],
        "allowances": [{"key": "year", "meters": ["CALL_DURATION_SECONDS"], "quantity": 3600, "every": "year"}]})
}

/// Calls over three billing periods; some of them come late, and one is corrected.
fn calls(customer: CustomerId) -> Vec<NewUsage> {
    let mut calls: Vec<NewUsage> = (0..60_i64)
        .map(|n| {
            let at: Timestamp = FROM.parse().unwrap();
            let at = at + jiff::SignedDuration::from_hours(2 + 20 * (n * 37 % 60));
            NewUsage::call(customer, 61 + 47 * (n % 13), at)
        })
        .collect();
    let corrected = calls.get(7).unwrap().corrected(35);
    calls.push(corrected);
    calls
}

async fn tried(app: &TestApp, firm: &Firm, body: &Value) -> Value {
    app.posted(firm, WHAT_IF, body).await.expect(200)
}

/// What is charged to a customer in a time, as the database adds it up.
async fn charged(app: &TestApp, customer: CustomerId, from: &str, to: &str) -> String {
    let mut tx = app.platform().await;
    let cents = |filter: &'static str| {
        format!(
            "select round(coalesce(sum(amount_numerator::numeric / amount_denominator), 0), 2)
             from charges where customer_id = $1 and occurred_at >= $2::timestamptz and occurred_at < $3::timestamptz and {filter}"
        )
    };
    let mut sum = rust_decimal::Decimal::ZERO;
    for filter in ["kind = 'fee'", "usage_event_id is not null"] {
        let part: rust_decimal::Decimal = sqlx::query_scalar(sqlx::AssertSqlSafe(cents(filter)))
            .bind(customer.uuid())
            .bind(jiff_sqlx::ToSqlx::to_sqlx(at(from)))
            .bind(jiff_sqlx::ToSqlx::to_sqlx(at(to)))
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        sum += part;
    }
    format!("{sum:.2}")
}

struct World {
    app: TestApp,
    firm: Firm,
    /// Has been on the other plan from the start, with the same calls.
    erin: CustomerId,
    own: Uuid,
    other: Uuid,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::quiet().await;
        let firm = app.firm_with_customer().await;
        let own = app.plan(&firm.admin, &firm.acme, &own()).await;
        let other = app.plan(&firm.admin, &firm.acme, &other()).await;
        let erin = app.customer(&firm.acme, "Erin").await;
        for (customer, plan) in [(firm.dana, own), (erin, other)] {
            app.subscribe(&firm.admin, &firm.acme, customer, plan, "2026-01-10")
                .await;
            app.record(&firm.acme, &calls(customer)).await;
        }
        app.settle().await;
        Self {
            app,
            firm,
            erin,
            own,
            other,
        }
    }
}

#[tokio::test]
async fn on_the_same_terms_it_is_what_is_charged() {
    let world = World::new().await;
    let (app, firm) = (&world.app, &world.firm);
    // In the middle of periods too, so that allowances and tiers begin as they were then.
    for (from, to) in [
        (FROM, TO),
        ("2026-02-14T13:00:00Z", "2026-02-27T00:00:00Z"),
        ("2026-02-10T00:00:00Z", TO),
    ] {
        for (plan, customer) in [(world.own, firm.dana), (world.other, world.erin)] {
            let body = json!({"planId": plan, "from": from, "to": to});
            let tried = tried(app, firm, &body).await;
            let payer = &tried["payers"][0];
            assert_eq!(payer["customerId"], json!(customer));
            assert_eq!(
                payer["before"],
                charged(app, customer, from, to).await.as_str()
            );
            assert_eq!(
                (
                    &payer["before"],
                    &payer["difference"],
                    &payer["waiting"],
                    &payer["unpriced"]
                ),
                (&payer["after"], &json!("0.00"), &json!(0), &json!(0)),
                "{from} {to}"
            );
            assert_ne!(payer["usage"]["before"], "0.00", "{from} {to}");
            assert_eq!(tried["total"]["after"], payer["after"]);
        }
    }
    let counts = "select count(*) from charges";
    let before = app.count(counts).await;
    tried(
        app,
        firm,
        &json!({"planId": world.other, "customerIds": [firm.dana], "from": FROM, "to": TO}),
    )
    .await;
    assert_eq!(app.count(counts).await, before, "nothing is written");
    app.assert_clean().await;
}

#[tokio::test]
async fn on_another_plan_it_is_what_is_charged_after_the_change() {
    let world = World::new().await;
    let (app, firm) = (&world.app, &world.firm);
    for (from, to) in [(FROM, TO), ("2026-02-12T00:00:00Z", "2026-02-25T12:00:00Z")] {
        let body = json!({"planId": world.other, "customerIds": [firm.dana], "from": from, "to": to, "against": "current"});
        let tried = tried(app, firm, &body).await;
        let payer = &tried["payers"][0];
        assert_eq!(
            payer["before"],
            charged(app, firm.dana, from, to).await.as_str()
        );
        assert_eq!(
            payer["after"],
            charged(app, world.erin, from, to).await.as_str()
        );
        assert_ne!(payer["before"], payer["after"]);
    }
    // The other way round, from a draft and from a document that nobody has stored; as a sheet too.
    let versions = format!("/api/admin/billing-plans/{}/versions", world.other);
    app.posted(firm, &versions, &{
        let mut draft = own();
        draft["name"] = json!("Other");
        draft["code"] = json!("other");
        draft
    })
    .await
    .expect(201);
    let draft = tried(
        app,
        firm,
        &json!({"planId": world.other, "from": FROM, "to": TO}),
    )
    .await;
    let mut document = own();
    document.as_object_mut().unwrap().remove("name");
    let body = json!({"document": document, "subscribersOf": world.other, "from": FROM, "to": TO});
    let unstored = tried(app, firm, &body).await;
    assert_eq!(draft["payers"], unstored["payers"]);
    assert_eq!(draft["payers"][0]["customerId"], json!(world.erin));
    assert_eq!(
        draft["payers"][0]["after"],
        charged(app, firm.dana, FROM, TO).await.as_str()
    );
    let sheet = app.post(WHAT_IF).user(&firm.admin).organization(&firm.acme);
    let sheet = sheet.header("accept", "text/csv").json(&body).send().await;
    let lines: Vec<&str> = sheet.text.lines().collect();
    assert_eq!((sheet.status, lines.len()), (200, 2), "{}", sheet.text);
    let difference = draft["payers"][0]["difference"].as_str().unwrap();
    assert!(
        lines[1].ends_with(&format!(",{difference}")),
        "{}",
        lines[1]
    );
    // A version may be named; the newest of the other plan is the draft, the first one is what Erin is on.
    let first = version(app, world.other, 1).await;
    let body = json!({"planId": world.other, "planVersionId": first, "from": FROM, "to": TO});
    let same = tried(app, firm, &body).await;
    assert_eq!(same["total"]["difference"], "0.00");
}

async fn version(app: &TestApp, plan: Uuid, version: i32) -> Uuid {
    let mut tx = app.platform().await;
    sqlx::query_scalar("select id from plan_versions where plan_id = $1 and version = $2")
        .bind(plan)
        .bind(version)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn more_usage_than_is_read_at_once_is_all_there_and_once() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let plan = app.plan(&firm.admin, &firm.acme, &other()).await;
    app.subscribe(&firm.admin, &firm.acme, firm.dana, plan, "2026-01-10")
        .await;
    // Seven at a time, so that what is read at once ends among calls of the same time.
    let begun: Timestamp = FROM.parse().unwrap();
    let calls: Vec<NewUsage> = (0..1_105_i64)
        .map(|n| {
            let at = begun + jiff::SignedDuration::from_mins(60 * (n / 7));
            NewUsage::call(firm.dana, 20 + n % 50, at)
        })
        .collect();
    app.record(&firm.acme, &calls).await;
    app.settle().await;
    let tried = tried(
        &app,
        &firm,
        &json!({"planId": plan, "from": FROM, "to": TO}),
    )
    .await;
    let payer = &tried["payers"][0];
    assert_eq!(
        (&payer["usages"], &payer["difference"]),
        (&json!(1_105), &json!("0.00"))
    );
    assert_eq!(
        payer["before"],
        charged(&app, firm.dana, FROM, TO).await.as_str()
    );
}

#[tokio::test]
async fn what_cannot_be_tried_is_named() {
    let world = World::new().await;
    let (app, firm) = (&world.app, &world.firm);
    let refused = async |body: Value, field: &str| {
        let answer = app.posted(firm, WHAT_IF, &body).await.expect(422);
        assert_eq!(answer["errors"][0]["field"], field, "{body}: {answer}");
    };
    let plan = world.own;
    refused(json!({"planId": plan, "from": TO, "to": FROM}), "to").await;
    refused(
        json!({"planId": plan, "from": FROM, "to": "2027-01-01T00:00:00Z"}),
        "to",
    )
    .await;
    refused(
        json!({"from": FROM, "to": TO, "customerIds": [firm.dana]}),
        "planId",
    )
    .await;
    refused(
        json!({"document": own(), "from": FROM, "to": TO}),
        "customerIds",
    )
    .await;
    refused(
        json!({"planId": plan, "from": FROM, "to": TO, "customerIds": [Uuid::now_v7()]}),
        "customerIds[0]",
    )
    .await;
    refused(json!({"planId": plan, "from": FROM, "to": TO, "customerIds": [firm.dana], "subscribersOf": plan}), "subscribersOf").await;
    let mut document = own();
    document["currency"] = json!("EUR");
    refused(
        json!({"document": document, "subscribersOf": plan, "from": FROM, "to": TO}),
        "currency",
    )
    .await;
    document["currency"] = json!("USD");
    document["intervalMonths"] = json!(12);
    refused(
        json!({"document": document, "subscribersOf": plan, "from": FROM, "to": TO}),
        "intervalMonths",
    )
    .await;
    let (foreign, admin) = app.firm().await;
    let ask = app.post(WHAT_IF).user(&admin).organization(&foreign);
    ask.json(&json!({"planId": plan, "from": FROM, "to": TO}))
        .send()
        .await
        .expect(404);
}
