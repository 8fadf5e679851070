//! What is published stays, periods chain, and both are sold over the interface.

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApp, at, per_minute};

#[tokio::test]
async fn a_published_version_never_changes() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    let plan = per_minute("Basic", "0.10", &json!({"code": "basic", "baseFee": "49"}));
    app.plan(&admin, &acme, &plan).await;
    for statement in [
        "update plan_versions set document = '{}'",
        "update plan_versions set state = 'draft', published_at = null",
        "delete from plan_versions",
    ] {
        assert_eq!(
            app.refusal(statement.to_owned()).await,
            "plan_versions_immutable"
        );
    }
    let again = app
        .post("/api/admin/billing-plans")
        .user(&admin)
        .organization(&acme)
        .json(&plan)
        .send()
        .await;
    assert_eq!(again.expect(409)["code"], "plan_code_taken");
    let list = app
        .get("/api/admin/billing-plans")
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    let shown = &list["data"][0];
    assert_eq!(
        (
            &shown["code"],
            &shown["status"],
            &shown["baseFee"],
            &shown["version"]
        ),
        (
            &json!("basic"),
            &json!("published"),
            &json!("49"),
            &json!(1)
        )
    );
    // Of another organization nothing is seen, and the platform has offers of its own.
    let (foreign, other) = app.firm().await;
    let list = app
        .get("/api/admin/billing-plans")
        .user(&other)
        .organization(&foreign)
        .send()
        .await
        .expect(200);
    assert_eq!(list["data"], json!([]));
    let boss = app.platform_admin().await;
    let list = app
        .get("/api/admin/billing-plans")
        .user(&boss)
        .send()
        .await
        .expect(200);
    assert_eq!(list["data"], json!([]));
    let of_acme = format!("/api/admin/billing-plans?orgId={}", acme.id);
    assert_eq!(
        app.get(&of_acme).user(&boss).send().await.expect(200)["data"][0]["id"],
        shown["id"]
    );
    // What cannot be charged as it says is refused by field.
    for (more, field) in [
        (json!({"minimumCommitment": "7.001"}), "minimumCommitment"),
        (
            json!({"prices": [{"key": "a", "meter": "SMS_SENT", "rate": {"per_unit": {"price": -1}}}]}),
            "prices[0].rate.per_unit.price",
        ),
        (json!({"currency": "XXX"}), "currency"),
        (json!({"unknown": 1}), "unknown"),
    ] {
        let refused = app
            .post("/api/admin/billing-plans")
            .user(&admin)
            .organization(&acme)
            .json(&per_minute("Odd", "1", &more))
            .send()
            .await;
        let errors = refused.expect(422)["errors"].to_string();
        assert!(errors.contains(field), "{field}: {errors}");
    }
}

#[tokio::test]
async fn periods_are_made_once_a_day_ahead_and_chain() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    let more = json!({"baseFee": "31", "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600}]});
    let plan = app
        .plan(&admin, &acme, &per_minute("Basic", "0.10", &more))
        .await;
    let customer = app.customer(&acme, "Dana").await;
    let made = app.post("/api/admin/org-subscriptions").user(&admin).organization(&acme)
        .json(&json!({"customer_id": customer, "plan_id": plan, "billing_cycle_day": 31, "start_date": "2026-02-10"})).send().await.expect(201);
    assert_eq!(made["currentPeriodStart"], "2026-02-28T00:00:00Z");
    assert_eq!(made["currentPeriodEnd"], "2026-03-31T00:00:00Z");
    assert_eq!(
        (
            &made["nextBillingDate"],
            &made["status"],
            &made["billingCycleDay"]
        ),
        (&json!("2026-03-31"), &json!("active"), &json!(31))
    );
    let periods = "select format('%s %s', starts_at at time zone 'UTC', ends_at at time zone 'UTC') from billing_periods order by starts_at";
    let two = [
        "2026-02-10 00:00:00 2026-02-28 00:00:00",
        "2026-02-28 00:00:00 2026-03-31 00:00:00",
    ];
    assert_eq!(app.texts(periods).await, two);
    // 18 of the 28 days from 31 January to 28 February, then a whole month; a grant with each.
    let fees =
        "select trim_scale(amount)::text from charges where kind = 'fee' order by occurred_at";
    assert_eq!(app.texts(fees).await, ["19.928571428571", "31"]);
    let exact = "select format('%s/%s', amount_numerator, amount_denominator) from charges where kind = 'fee' order by occurred_at limit 1";
    assert_eq!(app.texts(exact).await, ["279/14"]);
    let grants = "select format('%s %s %s', trim_scale(granted), starts_at at time zone 'UTC', expires_at at time zone 'UTC') from allowance_grants order by starts_at";
    assert_eq!(
        app.texts(grants).await,
        two.map(|period| format!("600 {period}"))
    );
    // More than a day before its start the next one is not there; then it is, once.
    app.advance(at("2026-03-29T23:00:00Z").duration_since(app.now()));
    app.settle().await;
    assert_eq!(app.texts(periods).await, two);
    app.advance(SignedDuration::from_hours(2));
    app.settle().await;
    app.settle().await;
    assert_eq!(
        app.texts(periods).await[2..],
        ["2026-03-31 00:00:00 2026-04-30 00:00:00"]
    );
    assert_eq!(app.texts(fees).await, ["19.928571428571", "31", "31"]);
    // The database refuses a gap, an overlap, a second beginning and a change.
    let insert = |previous: &str, start: &str, end: &str| {
        format!("insert into billing_periods (organization_id, id, subscription_id, prev_end, starts_at, ends_at)
            select organization_id, gen_random_uuid(), id, {previous}::timestamptz, '{start}T00:00:00Z', '{end}T00:00:00Z' from subscriptions")
    };
    for (previous, start, end, constraint) in [
        (
            "'2026-04-30T00:00:00Z'",
            "2026-05-01",
            "2026-05-31",
            "billing_periods_chain_check",
        ),
        (
            "'2026-05-31T00:00:00Z'",
            "2026-05-31",
            "2026-06-30",
            "billing_periods_prev_fkey",
        ),
        (
            "'2026-03-31T00:00:00Z'",
            "2026-03-31",
            "2026-05-15",
            "billing_periods_prev_key",
        ),
        (
            "null",
            "2026-05-01",
            "2026-05-31",
            "billing_periods_prev_key",
        ),
    ] {
        assert_eq!(app.refusal(insert(previous, start, end)).await, constraint);
    }
    assert_eq!(
        app.refusal("update billing_periods set ends_at = ends_at".into())
            .await,
        "billing_periods_append_only"
    );
    // There is one subscription at a time, of a plan that is there.
    let twice = app
        .post("/api/admin/org-subscriptions")
        .user(&admin)
        .organization(&acme)
        .json(&json!({"customerId": customer, "planId": plan}))
        .send()
        .await;
    assert_eq!(twice.expect(409)["code"], "already_subscribed");
    for (body, field) in [
        (
            json!({"customerId": customer, "planId": Uuid::now_v7()}),
            "planId",
        ),
        (
            json!({"customerId": customer, "planId": plan, "billingCycleDay": 32}),
            "billingCycleDay",
        ),
        (
            json!({"customerId": customer, "planId": plan, "startDate": "1900-01-01"}),
            "startDate",
        ),
        (json!({"planId": plan}), "customerId"),
    ] {
        let refused = app
            .post("/api/admin/org-subscriptions")
            .user(&admin)
            .organization(&acme)
            .json(&body)
            .send()
            .await;
        assert_eq!(refused.expect(422)["errors"][0]["field"], field);
    }
    let unknown = json!({"customerId": Uuid::now_v7(), "planId": plan});
    app.post("/api/admin/org-subscriptions")
        .user(&admin)
        .organization(&acme)
        .json(&unknown)
        .send()
        .await
        .expect(404);
    assert_eq!(
        app.count("select count(*) from audit_log where action = 'subscription.started'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_on_its_way_when_the_platform_first_sells_is_charged() {
    let app = TestApp::quiet().await;
    let (acme, _) = app.firm().await;
    let boss = app.platform_admin().await;
    let plan = per_minute("Pro", "0.02", &json!({"code": "pro"}));
    let plan = app
        .post("/api/admin/billing-plans")
        .user(&boss)
        .json(&plan)
        .send()
        .await
        .expect(201);
    let mut on_its_way = app.platform().await;
    let stored: Vec<Uuid> = sqlx::query_scalar(
        "select store_usage(array[$1], array[$2], array['CALL_DURATION_SECONDS'], array[90::numeric], array['2026-03-01T10:00:00Z'::timestamptz],
             array['on its way'], array[uuid_send($2)], array[uuid_send($2)], array[null::uuid], array[null::uuid], array[null::uuid],
             array[null::uuid], array[null::text], array[null::text], array['{}'::jsonb], array[null::uuid])",
    )
    .bind(acme.id.uuid())
    .bind(Uuid::now_v7())
    .fetch_all(&mut *on_its_way)
    .await
    .unwrap();
    assert_eq!(stored.len(), 1);
    let sale = app
        .post("/api/admin/org-subscriptions")
        .user(&boss)
        .json(&json!({"orgId": acme.id, "planId": plan["id"], "startDate": "2026-03-01"}))
        .send();
    let arrive = async {
        app.somebody_waits().await;
        on_its_way.commit().await.unwrap();
    };
    let (sold, ()) = tokio::join!(sale, arrive);
    sold.expect(201);
    app.settle().await;
    assert_eq!(
        app.texts("select amount::text from charges where usage_event_id is not null and payer = 'organization'").await,
        ["0.040000000000"]
    );
}

/// The seed's own lines, with the ids of this database.
#[tokio::test]
async fn plans_subscriptions_and_invoices_of_the_platform_run_as_documented() {
    let app = TestApp::with(|settings| settings.dev_auth = true).await;
    let (acme, _) = app.firm().await;
    let boss = app.platform_admin().await;
    let post = |path: &str, body: String| {
        let user = boss.id.to_string();
        app.post(path)
            .header("x-user-id", user)
            .body("application/json", body)
            .send()
    };
    let plan = post("/api/admin/billing-plans", r#"{"name": "Professional", "code": "professional", "baseMonthlyCost": 49, "currency": "USD",
        "includedMinutes": 500, "includedSms": 100, "overage": {"perMinute": 0.02, "perSms": 0.01}, "features": ["Recording"]}"#.to_owned()).await.expect(201);
    assert_eq!(
        (
            &plan["baseMonthlyCost"],
            &plan["features"],
            &plan["organizationId"]
        ),
        (&json!("49"), &json!(["Recording"]), &Value::Null)
    );
    let (org, plan) = (acme.id, plan["id"].as_str().unwrap().to_owned());
    let subscription = post(
        "/api/admin/org-subscriptions",
        format!(
            r#"{{
        "orgId": "{org}",
        "planId": "{plan}",
        "billingCycleDay": 1
      }}"#
        ),
    )
    .await
    .expect(201);
    assert_eq!(
        (&subscription["nextBillingDate"], &subscription["orgId"]),
        (&json!("2026-04-01"), &json!(org))
    );
    let invoice = format!(
        r#"{{
        "orgId": "{org}",
        "billingPeriodStart": "2026-01-01",
        "billingPeriodEnd": "2026-01-31",
        "items": [
          {{
            "description": "500 minutes",
            "quantity": 500,
            "unit_price": 0.01
          }},
          {{
            "description": "100 SMS",
            "quantity": 100,
            "unit_price": 0.001
          }}
        ]
      }}"#
    );
    let made = post("/api/admin/invoices", invoice.clone())
        .await
        .expect(201);
    assert_eq!(
        (&made["number"], &made["status"], &made["currency"]),
        (&json!("TB-2026-000001"), &json!("finalized"), &json!("USD"))
    );
    assert_eq!(
        (&made["subtotal"], &made["tax"], &made["total"]),
        (&json!("5.10"), &json!("0.00"), &json!("5.10"))
    );
    assert_eq!(
        (&made["billingPeriodStart"], &made["billingPeriodEnd"]),
        (&json!("2026-01-01"), &json!("2026-01-31"))
    );
    let items: Vec<_> = made["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            [
                &it["description"],
                &it["quantity"],
                &it["unitPrice"],
                &it["amount"],
            ]
            .map(|it| it.as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(
        items,
        [
            ["500 minutes", "500", "0.01", "5.00"],
            ["100 SMS", "100", "0.001", "0.10"]
        ]
    );
    let list = app
        .get(&format!("/api/admin/invoices?orgId={org}"))
        .header("x-user-id", boss.id.to_string())
        .send()
        .await
        .expect(200);
    assert!(
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["id"] == made["id"])
    );
    // With a tax, once for a key, and refused by field.
    let taxed = invoice.replace(r#""items""#, r#""tax": 8.25, "items""#);
    let again = || {
        app.post("/api/admin/invoices")
            .header("x-user-id", boss.id.to_string())
            .header("idempotency-key", "once")
            .body("application/json", taxed.clone())
            .send()
    };
    let (first, second) = (again().await.expect(201), again().await.expect(201));
    assert_eq!(
        (&first["id"], &first["tax"], &first["total"]),
        (&second["id"], &json!("0.42"), &json!("5.52"))
    );
    assert_eq!(app.count("select count(*) from invoices where number is not null and kind = 'one_off' and tax_minor > 0").await, 1);
    for (from, to, field) in [
        (
            r#""quantity": 500"#,
            r#""quantity": 0"#,
            "items[0].quantity",
        ),
        (
            r#""unit_price": 0.001"#,
            r#""unit_price": -1"#,
            "items[1].unitPrice",
        ),
        (
            r#""unit_price": 0.001"#,
            r#""unit_price": 0.0000000000001"#,
            "items[1].unitPrice",
        ),
        (r#""2026-01-31""#, r#""2025-01-31""#, "billingPeriodEnd"),
        (
            r#""description": "100 SMS""#,
            r#""description": """#,
            "items[1].description",
        ),
    ] {
        let refused = post("/api/admin/invoices", invoice.replace(from, to)).await;
        let problem = refused.expect(422);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let nobody = invoice.replace(&org.to_string(), &Uuid::now_v7().to_string());
    post("/api/admin/invoices", nobody).await.expect(404);
}

#[tokio::test]
async fn an_admin_invoices_their_customers_and_nobody_else() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    let (foreign, other) = app.firm().await;
    let customer = app.customer(&acme, "Dana").await;
    let body = json!({"customerId": customer, "billingPeriodStart": "2026-02-01", "billingPeriodEnd": "2026-02-28",
        "items": [{"description": "Set-up", "quantity": "1", "unitPrice": "120.005"}]});
    let made = app
        .post("/api/admin/invoices")
        .user(&admin)
        .organization(&acme)
        .json(&body)
        .send()
        .await
        .expect(201);
    assert_eq!(
        (&made["number"], &made["total"], &made["customerId"]),
        (
            &json!("INV-2026-000001"),
            &json!("120.01"),
            &json!(customer)
        )
    );
    let path = format!("/api/admin/invoices/{}", made["id"].as_str().unwrap());
    assert_eq!(
        app.get(&path)
            .user(&admin)
            .organization(&acme)
            .send()
            .await
            .expect(200)["total"],
        "120.01"
    );
    app.get(&path)
        .user(&other)
        .organization(&foreign)
        .send()
        .await
        .expect(404);
    app.post("/api/admin/invoices")
        .user(&other)
        .organization(&foreign)
        .json(&body)
        .send()
        .await
        .expect(404);
    // What the platform sells is not theirs to write.
    let mut own = body.clone();
    own["customerId"] = Value::Null;
    own["orgId"] = json!(acme.id);
    assert_eq!(
        app.post("/api/admin/invoices")
            .user(&admin)
            .organization(&acme)
            .json(&own)
            .send()
            .await
            .expect(422)["errors"][0]["field"],
        "customerId"
    );
    own["orgId"] = json!(foreign.id);
    own["customerId"] = json!(customer);
    app.post("/api/admin/invoices")
        .user(&admin)
        .organization(&acme)
        .json(&own)
        .send()
        .await
        .expect(404);
    assert_eq!(app.count("select count(*) from invoices").await, 1);
    assert_eq!(
        app.count("select count(*) from audit_log where action = 'invoice.finalized'")
            .await,
        1
    );
}
