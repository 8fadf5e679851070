//! Usage charges and usage reports over HTTP.

use serde_json::{Value, json};

use crate::support::TestApp;

fn plan(name: &str) -> Value {
    json!({"name": name, "currency": "USD", "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600}],
        "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS", "increment": "60/60", "rate": {"per_unit": {"price": "0.10", "per": 60}}}]})
}

#[tokio::test]
async fn usage_is_charged_at_its_own_price_or_by_the_terms() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let (admin, boss) = (app.admin(&acme).await, app.platform_admin().await);
    let customer = app.customer(&acme, "Dana").await;
    let id = app.plan(&admin, &acme, &plan("Basic")).await;
    app.subscribe(&admin, &acme, customer, id, "2026-03-01")
        .await;
    let post = |body: Value| {
        app.post("/api/admin/usage-charges")
            .user(&admin)
            .organization(&acme)
            .json(&body)
            .send()
    };
    // Fifteen minutes by the terms: ten of them are included.
    let pending = post(json!({"customer_id": customer, "usage_type": "minutes", "quantity": 15}))
        .await
        .expect(201);
    assert_eq!(
        (
            &pending["status"],
            &pending["quantity"],
            &pending["usageType"]
        ),
        (
            &json!("pending"),
            &json!("900"),
            &json!("CALL_DURATION_SECONDS")
        )
    );
    app.settle().await;
    // Two and a half minutes at their own price, which the terms leave alone.
    let own = post(json!({"customerId": customer, "usageType": "minutes", "quantity": 2.5, "unitPrice": "0.333", "description": "Satellite phone"})).await.expect(201);
    assert_eq!(
        (
            &own["status"],
            &own["charges"][0]["amount"],
            &own["charges"][0]["kind"]
        ),
        (&json!("charged"), &json!("0.8325"), &json!("manual"))
    );
    app.settle().await;
    let list = app
        .get(&format!("/api/admin/usage-charges?customerId={customer}"))
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(200);
    let mut charges: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            [&it["kind"], &it["quantity"], &it["amount"]].map(|it| it.as_str().unwrap().to_owned())
        })
        .collect();
    charges.sort_unstable();
    assert_eq!(
        charges,
        [
            ["allowance", "600", "0"],
            ["manual", "150", "0.8325"],
            ["overage", "300", "0.5"]
        ]
    );
    // The same of a period, as CSV for whoever invoices elsewhere.
    let csv = async |user: &crate::support::User, path: String| {
        let ask = app
            .get(&path)
            .user(user)
            .organization(&acme)
            .header("accept", "text/csv");
        let text = ask.send().await.text;
        let line = |line: &str| line.split_once(',').unwrap().1.to_owned();
        text.lines().map(line).collect::<Vec<_>>()
    };
    let of_dana = format!("/api/admin/usage-charges?customerId={customer}");
    let lines = csv(&admin, format!("{of_dana}&from=2026-03-02&to=2026-03-02")).await;
    assert_eq!(
        lines[0],
        "occurred_at,usage_type,kind,quantity,unit_price,per,amount,currency,description,invoice_id,user_id"
    );
    assert_eq!(lines.len(), 4);
    assert!(
        lines
            .iter()
            .any(|it| it.contains(",manual,150,0.333,60,0.8325,USD,Satellite phone,")),
        "{lines:?}"
    );
    assert_eq!(
        csv(&admin, format!("{of_dana}&from=2026-03-03&to=2026-03-03"))
            .await
            .len(),
        1
    );
    let used = csv(
        &admin,
        "/api/billing/usage/minutes?from=2026-03-02&to=2026-03-02".into(),
    )
    .await;
    assert_eq!(
        used[0],
        "occurred_at,usage_type,quantity,user_id,customer_id,call_id,resource_type,resource_id,corrects_id"
    );
    assert_eq!(used.len(), 3);
    let before = csv(
        &admin,
        "/api/billing/usage/minutes?from=2026-03-01&to=2026-03-01".into(),
    )
    .await;
    assert_eq!(before.len(), 1);
    // Rating again leaves both alone.
    let count = app.count("select count(*) from charges").await;
    app.queue_again(&acme).await;
    app.settle().await;
    assert_eq!(app.count("select count(*) from charges").await, count);
    // On one draft, whose lines say which is which.
    let (_, draft) = app.draft(&admin, &acme).await;
    let lines: Vec<_> = draft["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| [&it["description"], &it["amount"]].map(|it| it.as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(
        lines,
        [
            ["Call time, included", "0.00"],
            ["Call time, beyond what is included", "0.50"],
            ["Satellite phone", "0.83"]
        ]
    );
    // What the platform charges the organization is apart.
    let body =
        json!({"orgId": acme.id, "usageType": "api_calls", "quantity": 1000, "unitPrice": 0.001});
    let charged = app
        .post("/api/admin/usage-charges")
        .user(&boss)
        .json(&body)
        .send()
        .await
        .expect(201);
    assert_eq!(
        (
            &charged["charges"][0]["amount"],
            &charged["charges"][0]["customerId"]
        ),
        (&json!("1"), &Value::Null)
    );
    let list = app
        .get(&format!("/api/admin/usage-charges?orgId={}", acme.id))
        .user(&boss)
        .send()
        .await
        .expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    for (body, field) in [
        (
            json!({"customerId": customer, "usageType": "minutes", "quantity": -1}),
            "quantity",
        ),
        (
            json!({"customerId": customer, "usageType": "minutes", "quantity": 1, "unitPrice": -1}),
            "unitPrice",
        ),
        (
            json!({"customerId": customer, "usageType": "faxes", "quantity": 1}),
            "usageType",
        ),
        (
            json!({"customerId": customer, "usageType": "sms", "quantity": 1, "userId": boss.id}),
            "userId",
        ),
        (json!({"usageType": "sms", "quantity": 1}), "customerId"),
    ] {
        assert_eq!(post(body).await.expect(422)["errors"][0]["field"], field);
    }
    assert_eq!(
        app.count("select count(*) from audit_log where action = 'usage.charged'")
            .await,
        3
    );
}

#[tokio::test]
async fn usage_is_reported_by_type_with_who_used_it() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    let report = |body: Value| {
        app.post("/api/billing/usage")
            .user(&admin)
            .organization(&acme)
            .json(&body)
            .send()
    };
    for (user, quantity, at) in [
        (&admin, 2, "2026-03-01T10:00:00Z"),
        (&member, 3, "2026-03-01T11:00:00Z"),
        (&member, 5, "2026-02-01T11:00:00Z"),
    ] {
        report(json!({"usageType": "SMS_SENT", "quantity": quantity, "userId": user.id, "occurredAt": at})).await.expect(201);
    }
    report(json!({"usageType": "API_REQUEST", "quantity": 7, "resourceType": "campaign", "resourceId": "c1"})).await.expect(201);
    let ask = |query: &str| {
        app.get(&format!("/api/billing/usage{query}"))
            .user(&admin)
            .organization(&acme)
            .send()
    };
    let totals = |summary: &Value| -> Vec<String> {
        let line = |it: &Value| {
            format!(
                "{} {} {}",
                it["usageType"].as_str().unwrap(),
                it["quantity"].as_str().unwrap(),
                it["events"]
            )
        };
        summary["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(line)
            .collect()
    };
    let summary = ask("").await.expect(200);
    assert_eq!(
        (totals(&summary), &summary["from"]),
        (
            vec!["API_REQUEST 7 1".to_owned(), "SMS_SENT 5 2".to_owned()],
            &json!("2026-03-01T00:00:00Z")
        )
    );
    assert_eq!(
        totals(&ask("?from=2026-02-01&to=2026-02-28").await.expect(200)),
        ["SMS_SENT 5 1"]
    );
    let by_user = ask("?from=2026-02-01&to=2026-03-31&groupBy=user")
        .await
        .expect(200);
    assert_eq!(
        totals(&by_user),
        ["API_REQUEST 7 1", "SMS_SENT 8 2", "SMS_SENT 2 1"]
    );
    assert_eq!(by_user["data"][1]["userId"], json!(member.id));
    let by_resource = ask("?groupBy=resource").await.expect(200);
    assert_eq!(by_resource["data"][0]["resourceId"], "c1");
    let page = ask("/sms?from=2026-02-01&limit=2").await.expect(200);
    let next = ask(&format!(
        "/SMS_SENT?from=2026-02-01&limit=2&cursor={}",
        page["nextCursor"].as_str().unwrap()
    ))
    .await
    .expect(200);
    let quantities: Vec<_> = [&page, &next]
        .iter()
        .flat_map(|it| it["data"].as_array().unwrap())
        .map(|it| it["quantity"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        (quantities, &next["nextCursor"]),
        (vec!["3".to_owned(), "2".into(), "5".into()], &Value::Null)
    );
    assert_eq!(
        ask("?from=tomorrow").await.expect(422)["errors"][0]["field"],
        "from"
    );
    assert_eq!(
        ask("?groupBy=moon").await.expect(422)["errors"][0]["field"],
        "groupBy"
    );
    ask("/not%20a%20meter").await.expect(404);
}
