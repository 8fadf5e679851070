//! Plans from draft to archive: a draft changes, what is published never does, and who is on it stays on it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Firm, TestApp, at, per_minute};

const PLANS: &str = "/api/admin/billing-plans";

async fn send(app: &TestApp, firm: &Firm, method: Method, path: &str, body: &Value) -> Answer {
    let ask = app.request(method, path).user(&firm.admin);
    ask.organization(&firm.acme).json(body).send().await
}

async fn delete(app: &TestApp, firm: &Firm, path: &str) -> Answer {
    let ask = app.request(Method::DELETE, path).user(&firm.admin);
    ask.organization(&firm.acme).send().await
}

fn shown(versions: &Value) -> Vec<String> {
    let versions = versions["data"].as_array().unwrap().iter();
    versions
        .map(|it| {
            format!(
                "{} {} {}",
                it["version"],
                it["status"].as_str().unwrap(),
                it["baseFee"].as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test]
async fn a_plan_is_drafted_changed_and_published() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let mut plan = per_minute("Basic", "0.10", &json!({"code": "basic", "baseFee": "10"}));
    plan["publish"] = json!(false);
    let made = app.posted(&firm, PLANS, &plan).await.expect(201);
    assert_eq!(
        (&made["status"], &made["version"], &made["publishedAt"]),
        (&json!("draft"), &json!(1), &json!(null))
    );
    let id = made["id"].as_str().unwrap();
    let versions = format!("{PLANS}/{id}/versions");
    // Nobody can be put on a draft.
    let subscription = json!({"customerId": firm.dana, "planId": id, "startDate": "2026-03-01"});
    let subscribe = "/api/admin/org-subscriptions";
    app.posted(&firm, subscribe, &subscription)
        .await
        .expect(422);
    // Another draft beside it would be one too many; this one changes, as a whole.
    let better = per_minute("Basic", "0.08", &json!({"baseFee": "12"}));
    let refused = app.posted(&firm, &versions, &better).await.expect(409);
    assert_eq!(refused["code"], "draft_exists");
    let first = format!("{versions}/1");
    let changed = send(&app, &firm, Method::PUT, &first, &better).await;
    assert_eq!(changed.expect(200)["baseFee"], "12");
    let published = app
        .posted(&firm, &format!("{first}/publish"), &json!({}))
        .await;
    assert_eq!(published.expect(200)["status"], "published");
    app.posted(&firm, subscribe, &subscription)
        .await
        .expect(201);
    // From now on it never changes, whoever asks.
    let again = send(&app, &firm, Method::PUT, &first, &better).await;
    assert_eq!(again.expect(409)["code"], "version_published");
    delete(&app, &firm, &first).await.expect(409);
    app.posted(&firm, &format!("{first}/publish"), &json!({}))
        .await
        .expect(409);
    let change = "update plan_versions set document = '{}'".to_owned();
    assert_eq!(app.refusal(change).await, "plan_versions_immutable");
    // The next version is a draft until it is published; the list goes on to show what can be bought.
    let next = per_minute("Basic", "0.05", &json!({"baseFee": "15"}));
    let drafted = app.posted(&firm, &versions, &next).await.expect(201);
    assert_eq!(
        (&drafted["version"], &drafted["status"]),
        (&json!(2), &json!("draft"))
    );
    let listed = app.read(&firm, PLANS).await;
    assert_eq!(
        (&listed["data"][0]["version"], &listed["data"][0]["baseFee"]),
        (&json!(1), &json!("12"))
    );
    assert_eq!(
        shown(&app.read(&firm, &versions).await),
        ["2 draft 15", "1 published 12"]
    );
    let page = app.read(&firm, &format!("{versions}?limit=1")).await;
    let cursor = page["nextCursor"].as_str().unwrap();
    let page = app
        .read(&firm, &format!("{versions}?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(shown(&page), ["1 published 12"]);
    app.posted(&firm, &format!("{versions}/2/publish"), &json!({}))
        .await
        .expect(200);
    // Who is subscribed stays where they are until they are moved.
    let on = "select v.version::text from subscription_segments g join plan_versions v on v.id = g.plan_version_id";
    assert_eq!(app.texts(on).await, ["1"]);
    assert_eq!(
        app.texts("select action from audit_log where subject = 'plan' order by id")
            .await,
        [
            "plan.drafted",
            "plan.draft_changed",
            "plan.published",
            "plan.drafted",
            "plan.published"
        ]
    );
    app.settle().await;
    app.assert_clean().await;
}

#[tokio::test]
async fn a_draft_goes_and_a_plan_is_archived() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let mut plan = per_minute("Trial", "0.10", &json!({"code": "trial"}));
    plan["publish"] = json!(false);
    let made = app.posted(&firm, PLANS, &plan).await.expect(201);
    let id = made["id"].as_str().unwrap();
    delete(&app, &firm, &format!("{PLANS}/{id}/versions/1"))
        .await
        .expect(204);
    // With its only version the plan went too, and its code is free.
    app.get(&format!("{PLANS}/{id}/versions"))
        .user(&firm.admin)
        .organization(&firm.acme)
        .send()
        .await
        .expect(404);
    plan["publish"] = json!(true);
    let made = app.posted(&firm, PLANS, &plan).await.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    let plan_id = id.parse().unwrap();
    app.subscribe(&firm.admin, &firm.acme, firm.dana, plan_id, "2026-03-01")
        .await;
    let archive = format!("{PLANS}/{id}/archive");
    app.posted(&firm, &archive, &json!({})).await.expect(204);
    app.posted(&firm, &archive, &json!({})).await.expect(409);
    assert_eq!(app.read(&firm, PLANS).await["data"], json!([]));
    let erin = app.customer(&firm.acme, "Erin").await;
    let body = json!({"customerId": erin, "planId": id, "startDate": "2026-03-01"});
    app.posted(&firm, "/api/admin/org-subscriptions", &body)
        .await
        .expect(422);
    let more = per_minute("Trial", "0.05", &json!({}));
    let refused = app
        .posted(&firm, &format!("{PLANS}/{id}/versions"), &more)
        .await;
    assert_eq!(refused.expect(409)["code"], "plan_archived");
    // Who is on it stays on it.
    assert_eq!(
        app.count("select count(*) from subscriptions where state = 'active'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_version_fits_its_plan_and_belongs_to_its_seller() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let plan = per_minute("Basic", "0.10", &json!({"code": "basic"}));
    let id = app.plan(&firm.admin, &firm.acme, &plan).await;
    let versions = format!("{PLANS}/{id}/versions");
    for (wrong, field) in [
        (per_minute("Other", "0.10", &json!({})), "name"),
        (
            per_minute("Basic", "0.10", &json!({"code": "other"})),
            "code",
        ),
        (
            per_minute("Basic", "0.10", &json!({"kind": "pay_per_call"})),
            "kind",
        ),
        (
            per_minute("Basic", "0.10", &json!({"intervalMonths": 0})),
            "intervalMonths",
        ),
        (
            json!({"currency": "USD", "prices": [{"key": "a", "meter": "CALL_DURATION_SECONDS", "rate": {"deck": {"deck": "world"}}}]}),
            "prices[0].rate.deck.deck",
        ),
    ] {
        let refused = app.posted(&firm, &versions, &wrong).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let (foreign, other) = app.firm().await;
    for path in [
        versions.clone(),
        format!("{versions}/1/publish"),
        format!("{PLANS}/{id}/archive"),
    ] {
        let ask = app.post(&path).user(&other).organization(&foreign);
        ask.json(&json!({"currency": "USD"}))
            .send()
            .await
            .expect(404);
    }
    app.posted(&firm, &format!("{versions}/7/publish"), &json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_month_of_a_number_is_charged_to_the_customer_who_owns_it() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let month =
        json!({"key": "number", "meter": "number_month", "rate": {"per_unit": {"price": "2.50"}}});
    let plan = json!({"name": "Lines", "currency": "USD", "prices": [month]});
    let plan = app.plan(&firm.admin, &firm.acme, &plan).await;
    app.subscribe(&firm.admin, &firm.acme, firm.dana, plan, "2026-03-01")
        .await;
    let owner = app.member(&firm.acme).await;
    let mut tx = app.platform().await;
    for statement in [
        "insert into integrations (id, organization_id, provider) values ('00000000-0000-7000-8000-000000000001', $1, 'twilio')",
        "insert into phone_numbers (id, e164, provider, integration_id)
             select '00000000-0000-7000-8000-000000000002', '+12125550177', 'twilio', '00000000-0000-7000-8000-000000000001' where $1 is not null",
        "insert into number_mappings (id, phone_number_id, organization_id, starts_at)
             values (gen_random_uuid(), '00000000-0000-7000-8000-000000000002', $1, '2026-03-01')",
        "insert into assignments (organization_id, id, phone_number_id, user_id, kind, starts_at)
             values ($1, gen_random_uuid(), '00000000-0000-7000-8000-000000000002', $2, 'owner', '2026-03-01')",
        "update customers set user_id = $2 where organization_id = $1 and name = 'Dana'",
    ] {
        let statement = format!("with given as (select $1::uuid, $2::uuid) {statement}");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(firm.acme.id.uuid())
            .bind(owner.id.uuid())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    // Each month that has begun is a usage, whole, whenever the number came: twice, when a month later everything is looked
    // at again, and not more often.
    let charged = "select concat_ws(' ', u.meter, trim_scale(c.quantity), trim_scale(c.amount), to_char(c.occurred_at at time zone 'UTC', 'YYYY-MM'))
        from charges c join usage_events u on u.id = c.usage_event_id order by c.occurred_at";
    app.settle().await;
    assert_eq!(app.texts(charged).await, ["number_month 1 2.5 2026-03"]);
    app.advance(at("2026-04-02T12:00:00Z").duration_since(app.now()));
    app.settle().await;
    app.settle().await;
    assert_eq!(
        app.texts(charged).await,
        ["number_month 1 2.5 2026-03", "number_month 1 2.5 2026-04"]
    );
}
