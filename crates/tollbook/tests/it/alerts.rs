//! Alerts: failures are counted, however many there are; people see to them, and what happens again is open again.

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::authorize::Firm;
use crate::support::{Answer, NewUsage, SERVICE_KEY, TestApp, at};

impl Firm {
    /// Kind, subject, count and state of each alert.
    pub(crate) async fn alerts(&self, query: &str) -> Vec<String> {
        let list = self.get(&format!("/api/admin/alerts{query}")).await;
        let line = |it: &Value| {
            let [kind, subject, state] =
                ["kind", "subject", "state"].map(|field| it[field].as_str().unwrap());
            format!("{kind} {subject} {} {state}", it["count"])
        };
        let mut lines: Vec<String> = list["data"].as_array().unwrap().iter().map(line).collect();
        lines.sort();
        lines
    }

    async fn alert_id(&self) -> String {
        let list = self.get("/api/admin/alerts").await;
        list["data"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn report(&self, events: &[Value]) -> Value {
        let ask = self.app.post("/api/billing/usage/batch").bearer(&self.key);
        ask.json(&json!({ "events": events }))
            .send()
            .await
            .expect(200)
    }

    pub(crate) async fn page(&self, cookie: &str, path: &str) -> Answer {
        let answer = self.app.get(path).browser().cookie(cookie).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer
    }
}

#[tokio::test]
async fn ten_thousand_failures_are_one_alert_with_a_count() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let unknown = json!({"usageType": "no such meter!", "quantity": 1});
    let events = vec![unknown; 1_000];
    for _ in 0..10 {
        let answer = firm.report(&events).await;
        assert_eq!(
            (&answer["refused"], &answer["stored"]),
            (&json!(1_000), &json!(0))
        );
    }
    firm.app.settle().await;
    assert_eq!(
        firm.alerts("").await,
        ["usage_refused usageType 10000 open"]
    );
    // Another reason is another alert. It is the database that knows no such customer, and what it refused left no row.
    let ask = firm.app.post("/api/billing/usage").bearer(&firm.key);
    let body =
        json!({"usageType": "CALL_DURATION_SECONDS", "quantity": 1, "customerId": Uuid::now_v7()});
    ask.json(&body).send().await.expect(422);
    firm.app.settle().await;
    let both = [
        "usage_refused customerId 1 open",
        "usage_refused usageType 10000 open",
    ];
    assert_eq!(firm.alerts("").await, both);
}

#[tokio::test]
async fn what_was_seen_to_is_open_again_when_it_happens_again() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let unknown = [
        json!({"usageType": "CALL_DURATION_SECONDS", "quantity": 1, "customerId": Uuid::now_v7()}),
    ];
    firm.report(&unknown).await;
    firm.app.settle().await;
    let path = format!("/api/admin/alerts/{}/acknowledge", firm.alert_id().await);
    for _ in 0..2 {
        let seen = firm.post(&path, &json!({})).await.expect(200);
        assert_eq!(seen["state"], "acknowledged");
        assert_eq!(seen["acknowledgedBy"], json!(firm.admin.id));
    }
    let audited = "select count(*) from audit_log where action = 'alert.acknowledged'";
    assert_eq!(firm.app.count(audited).await, 1);
    assert_eq!(firm.alerts("?state=open").await, [""; 0]);
    assert_eq!(
        firm.alerts("?state=acknowledged&kind=usage_refused")
            .await
            .len(),
        1
    );
    assert_eq!(firm.alerts("?kind=cap").await, [""; 0]);
    firm.report(&unknown).await;
    firm.app.settle().await;
    assert_eq!(
        firm.alerts("?state=open").await,
        ["usage_refused customerId 2 open"]
    );
    for query in ["?state=other", "?kind=other", "?cursor=x"] {
        let ask = firm
            .app
            .get(&format!("/api/admin/alerts{query}"))
            .user(&firm.admin);
        ask.organization(&firm.acme).send().await.expect(422);
    }
    let nothing = format!("/api/admin/alerts/{}/acknowledge", Uuid::now_v7());
    firm.post(&nothing, &json!({})).await.expect(404);
}

#[tokio::test]
async fn pages_of_alerts_follow_each_other_and_are_of_one_organization() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.app.change("insert into alerts (organization_id, id, kind, severity, group_key, count, first_seen_at, last_seen_at)
        select o.id, gen_random_uuid(), 'meter', 'info', n::text, n, '2026-03-01'::timestamptz, '2026-03-01'::timestamptz + n * interval '1 minute'
        from organizations o, generate_series(1, 7) n").await;
    let other = firm.app.organization("Other").await;
    let admin = firm.app.admin(&other).await;
    let theirs = firm
        .app
        .get("/api/admin/alerts")
        .user(&admin)
        .organization(&other);
    assert_eq!(theirs.send().await.expect(200)["data"], json!([]));
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let list = firm.get(&format!("/api/admin/alerts{query}")).await;
        seen.extend(
            list["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["count"].as_i64().unwrap()),
        );
        match list["nextCursor"].as_str() {
            Some(cursor) => query = format!("?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn usage_and_webhooks_that_wait_in_vain_are_alerts() {
    let firm = Firm::new(TestApp::quiet().await).await;
    // Marked up on a price of the provider that nobody asks for.
    let plan = json!({"name": "Nowhere", "kind": "pay_per_call", "currency": "USD", "prices": [{"key": "calls",
        "meter": "CALL_DURATION_SECONDS", "rate": {"cost_plus": {"percent": 10}}}]});
    let plan = firm.app.plan(&firm.admin, &firm.acme, &plan).await;
    firm.app
        .pay_per_call(&firm.acme, plan, at("2026-02-01T00:00:00Z"))
        .await;
    let usages = [0, 1, 2].map(|n| NewUsage::call(firm.dana, 60 + n, at("2026-03-02T12:00:00Z")));
    firm.app.record(&firm.acme, &usages).await;
    firm.app.settle().await;
    let waiting = firm.alerts("?kind=usage_parked").await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert!(waiting[0].ends_with(" 3 open"), "{waiting:?}");
    // Looked at again, it is the same; and who has seen to it is not told again.
    let path = format!("/api/admin/alerts/{}/acknowledge", firm.alert_id().await);
    firm.post(&path, &json!({})).await.expect(200);
    firm.app.advance(SignedDuration::from_mins(5));
    firm.app.settle().await;
    assert_eq!(firm.alerts("?state=open").await, [""; 0]);
    let integration = firm.app.integration(&firm.acme).await;
    let mut tx = firm.app.platform().await;
    sqlx::query("with came as (insert into inbox (id, received_at, integration_id, organization_id, provider, event_key, verdict, headers, body)
            select gen_random_uuid(), clock_timestamp(), $1, null, 'openphone', n::text, 'v1', '{}', '{' from generate_series(1, 4) n returning id, received_at)
        insert into inbox_queue (lane, inbox_id, received_at, last_error, parked_at)
        select 1, id, received_at, 'line ' || row_number() over () || ' cannot be read', clock_timestamp() from came")
        .bind(integration).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    firm.app.settle().await;
    assert_eq!(
        firm.alerts("?kind=webhook_parked").await,
        ["webhook_parked line # cannot be read 4 open"]
    );
}

#[tokio::test]
async fn a_remote_procedure_that_fails_is_counted_for_its_tenant() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let arguments = json!({"p_tenant_id": firm.acme.id, "p_phone_mapping_id": Uuid::now_v7(), "p_duration_seconds": 60});
    for _ in 0..3 {
        let ask = firm
            .app
            .post("/rest/v1/rpc/log_voice_usage")
            .bearer(SERVICE_KEY);
        let answer = ask.json(&arguments).send().await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    firm.app.settle().await;
    assert_eq!(
        firm.alerts("").await,
        ["usage_refused log_voice_usage 3 open"]
    );
}

#[tokio::test]
async fn calls_refused_by_a_cap_are_an_alert_on_the_pages() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let (cookie, csrf) = firm.app.sign_in(&firm.admin).await;
    let cookie = cookie.as_str();
    assert!(!firm.page(cookie, "/").await.text.contains("alert is open"));
    firm.cap("0.05", true).await;
    for key in ["a", "b"] {
        firm.authorize(key, 60).await.expect(409);
    }
    firm.app.settle().await;
    assert_eq!(firm.alerts("").await, ["cap_refused  2 open"]);
    let said = "Calls were refused because of a cap on spending";
    let list = firm.page(cookie, "/alerts").await;
    assert!(
        list.text.contains(said) && list.text.contains("Dana"),
        "{}",
        list.text
    );
    let customer = firm
        .page(cookie, &format!("/customers/{}", firm.dana))
        .await;
    assert!(customer.text.contains(said));
    assert!(
        firm.page(cookie, "/")
            .await
            .text
            .contains("One alert is open")
    );
    let path = format!("/alerts/{}/acknowledge", firm.alert_id().await);
    let ask = firm.app.post(&path).browser().cookie(cookie);
    let answer = ask.form(&[("csrf", csrf.as_str())]).send().await;
    assert_eq!((answer.status, answer.header("location")), (303, "/alerts"));
    assert!(
        firm.page(cookie, "/alerts")
            .await
            .text
            .contains("Nothing to look at.")
    );
    assert!(
        firm.page(cookie, "/alerts?state=all")
            .await
            .text
            .contains(said)
    );
    // A member has no business there.
    let member = firm.app.member(&firm.acme).await;
    let ask = firm
        .app
        .get("/api/admin/alerts")
        .user(&member)
        .organization(&firm.acme);
    ask.send().await.expect(403);
}
