//! Payments by hand: what they pay, what is left as credit, and how they are taken back. The ledger says the same, and
//! the database refuses what is not so.

use serde_json::{Value, json};

use crate::support::{Firm, TestApp};

const PAYMENTS: &str = "/api/admin/payments";

/// Takes a payment back.
async fn reverse(app: &TestApp, firm: &Firm, payment: &Value) -> crate::support::Answer {
    let path = format!("{PAYMENTS}/{}/reverse", payment["id"].as_str().unwrap());
    app.posted(firm, &path, &json!({"reason": "bounced"})).await
}

#[tokio::test]
async fn the_oldest_invoices_are_paid_first_and_the_rest_is_credit() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    for amount in ["30.00", "20.00", "50.00"] {
        app.one_off(&firm, amount).await;
    }
    let part = app
        .pay(&firm, "10", &json!({"reference": "1001"}))
        .await
        .expect(201);
    assert_eq!(
        (&part["amount"], &part["allocated"], &part["credit"]),
        (&json!("10.00"), &json!("10.00"), &json!("0.00"))
    );
    assert_eq!(
        app.standings().await,
        ["1 finalized 1000 0", "2 finalized 0 0", "3 finalized 0 0"]
    );
    let more = app
        .pay(&firm, "45.00", &json!({"channel": "transfer"}))
        .await
        .expect(201);
    let paid: Vec<_> = more["allocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["invoiceNumber"], &it["amount"]))
        .collect();
    assert_eq!(
        paid,
        [
            (&json!("INV-2026-000001"), &json!("20.00")),
            (&json!("INV-2026-000002"), &json!("20.00")),
            (&json!("INV-2026-000003"), &json!("5.00"))
        ]
    );
    assert_eq!(
        app.standings().await,
        ["1 paid 3000 0", "2 paid 2000 0", "3 finalized 500 0"]
    );
    // Paid exactly when nothing is open; what is beyond is credit.
    let last = app
        .pay(
            &firm,
            "60",
            &json!({"channel": "cash", "receivedOn": "2026-03-01"}),
        )
        .await
        .expect(201);
    assert_eq!(
        (&last["allocated"], &last["credit"], &last["receivedAt"]),
        (
            &json!("45.00"),
            &json!("15.00"),
            &json!("2026-03-01T00:00:00Z")
        )
    );
    assert_eq!(app.standings().await[2], "3 paid 5000 0");
    assert_eq!(
        app.balances().await,
        ["clearing 11500", "customer_credit -1500", "receivable 0"]
    );
    assert_eq!(
        app.texts("select format('%s %s', action, after ->> 'amount') from audit_log where subject = 'payment' order by id").await,
        ["payment.recorded 10.00", "payment.recorded 45.00", "payment.recorded 60.00"]
    );
    let list = app
        .read(
            &firm,
            &format!("{PAYMENTS}?customerId={}&limit=2", firm.dana),
        )
        .await;
    assert_eq!(
        (
            &list["data"][0]["id"],
            list["data"].as_array().unwrap().len()
        ),
        (&last["id"], 2)
    );
    let rest = app
        .read(
            &firm,
            &format!(
                "{PAYMENTS}?limit=2&cursor={}",
                list["nextCursor"].as_str().unwrap()
            ),
        )
        .await;
    assert_eq!(
        (&rest["data"][0]["reference"], &rest["nextCursor"]),
        (&json!("1001"), &Value::Null)
    );
    let csv = app
        .get(PAYMENTS)
        .user(&firm.admin)
        .organization(&firm.acme)
        .header("accept", "text/csv")
        .send()
        .await;
    assert_eq!(csv.text.lines().count(), 4);
    app.assert_clean().await;
}

#[tokio::test]
async fn an_invoice_is_named_and_what_cannot_be_is_refused_by_field() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let (old, new) = (
        app.one_off(&firm, "30.00").await,
        app.one_off(&firm, "20.00").await,
    );
    let named = json!({"invoices": [{"invoiceId": new}, {"invoiceId": old, "amount": "5.00"}]});
    app.pay(&firm, "40.00", &named).await.expect(201);
    assert_eq!(
        app.standings().await,
        ["1 finalized 500 0", "2 paid 2000 0"]
    );
    assert_eq!(
        app.balances().await,
        ["clearing 4000", "customer_credit -1500", "receivable 2500"]
    );
    // None at all.
    app.pay(&firm, "1.00", &json!({"invoices": []}))
        .await
        .expect(201);
    assert_eq!(app.balances().await[1], "customer_credit -1600");
    let nobody = uuid::Uuid::now_v7();
    for (amount, more, field) in [
        ("0", json!({}), "amount"),
        ("-1", json!({}), "amount"),
        ("1.001", json!({}), "amount"),
        ("1", json!({"channel": "stripe"}), "channel"),
        ("1", json!({"currency": "XXX"}), "currency"),
        ("1", json!({"receivedOn": "2026-03-03"}), "receivedOn"),
        ("1", json!({"reference": "x".repeat(201)}), "reference"),
        (
            "1",
            json!({"invoices": [{"invoiceId": nobody}]}),
            "invoices[0].invoiceId",
        ),
        (
            "1",
            json!({"invoices": [{"invoiceId": new}]}),
            "invoices[0].invoiceId",
        ),
        (
            "9",
            json!({"invoices": [{"invoiceId": old}, {"invoiceId": old}]}),
            "invoices[1].invoiceId",
        ),
        (
            "1",
            json!({"currency": "EUR", "invoices": [{"invoiceId": old}]}),
            "invoices[0].invoiceId",
        ),
        (
            "99",
            json!({"invoices": [{"invoiceId": old, "amount": "25.01"}]}),
            "invoices[0].amount",
        ),
        (
            "9",
            json!({"invoices": [{"invoiceId": old, "amount": "9.01"}]}),
            "invoices[0].amount",
        ),
        (
            "9",
            json!({"invoices": [{"invoiceId": old, "amount": 0}]}),
            "invoices[0].amount",
        ),
        ("99", json!({"channel": "credit"}), "amount"),
        ("16.01", json!({"channel": "credit"}), "amount"),
    ] {
        let problem = app.pay(&firm, amount, &more).await.expect(422);
        assert_eq!(
            problem["errors"][0]["field"], field,
            "{amount} {more}: {problem}"
        );
    }
    assert_eq!(app.count("select count(*) from payments").await, 2);
    app.assert_clean().await;
}

#[tokio::test]
async fn credit_pays_a_new_invoice_and_each_payment_is_taken_back() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let first = app.one_off(&firm, "30.00").await;
    let check = app.pay(&firm, "50.00", &json!({})).await.expect(201);
    let second = app.one_off(&firm, "15.00").await;
    let used = app
        .pay(&firm, "15.00", &json!({"channel": "credit"}))
        .await
        .expect(201);
    assert_eq!(
        (&used["allocated"], &used["credit"]),
        (&json!("15.00"), &json!("5.00"))
    );
    assert_eq!(app.standings().await, ["1 paid 3000 0", "2 paid 1500 0"]);
    assert_eq!(
        app.balances().await,
        ["clearing 5000", "customer_credit -500", "receivable 0"]
    );
    app.assert_clean().await;
    let dana = app
        .read(&firm, &format!("/api/customers/{}", firm.dana))
        .await;
    assert_eq!(dana["balance"][0]["total"], "-5.00", "{dana}");
    // The check bounces; what was left of it has paid the second invoice, and comes back first.
    let refused = reverse(&app, &firm, &check).await.expect(409);
    assert_eq!(refused["code"], "credit_spent");
    let back = reverse(&app, &firm, &used).await.expect(201);
    assert_eq!(
        (&back["amount"], &back["reversesId"]),
        (&json!("-15.00"), &used["id"])
    );
    assert_eq!(app.standings().await, ["1 paid 3000 0", "2 finalized 0 0"]);
    let back = reverse(&app, &firm, &check).await.expect(201);
    assert_eq!(
        (&back["amount"], &back["reason"], &back["credit"]),
        (&json!("-50.00"), &json!("bounced"), &json!("0.00"))
    );
    assert_eq!(
        app.standings().await,
        ["1 finalized 0 0", "2 finalized 0 0"]
    );
    assert_eq!(
        app.balances().await,
        ["clearing 0", "customer_credit 0", "receivable 4500"]
    );
    let again = reverse(&app, &firm, &check).await.expect(409);
    assert_eq!(again["code"], "already_reversed");
    assert_eq!(
        reverse(&app, &firm, &back).await.expect(409)["code"],
        "not_received"
    );
    let shown = app
        .read(
            &firm,
            &format!("{PAYMENTS}/{}", check["id"].as_str().unwrap()),
        )
        .await;
    assert_eq!(
        (&shown["reversedById"], &shown["allocations"]),
        (&back["id"], &json!([]))
    );
    app.assert_clean().await;
    // Put on the wrong invoice: off it, then on the right one. The money stays.
    let wrong = app
        .pay(&firm, "20.00", &json!({"invoices": [{"invoiceId": first}]}))
        .await
        .expect(201);
    let path = format!("{PAYMENTS}/{}/unallocate", wrong["id"].as_str().unwrap());
    for (body, field) in [
        (json!({"invoiceId": second}), "invoiceId"),
        (json!({"invoiceId": first, "amount": "20.01"}), "amount"),
        (json!({"invoiceId": first, "amount": "0"}), "amount"),
    ] {
        let problem = app.posted(&firm, &path, &body).await.expect(422);
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let off = app
        .posted(
            &firm,
            &path,
            &json!({"invoiceId": first, "amount": "15.00"}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&off["allocated"], &off["credit"]),
        (&json!("5.00"), &json!("15.00"))
    );
    app.posted(&firm, &path, &json!({"invoiceId": first}))
        .await
        .expect(200);
    app.assert_clean().await;
    let right = json!({"channel": "credit", "invoices": [{"invoiceId": second}]});
    let right = app.pay(&firm, "15.00", &right).await.expect(201);
    assert_eq!(app.standings().await, ["1 finalized 0 0", "2 paid 1500 0"]);
    assert_eq!(
        app.balances().await,
        ["clearing 2000", "customer_credit -500", "receivable 3000"]
    );
    let path = format!("{PAYMENTS}/{}/unallocate", right["id"].as_str().unwrap());
    assert_eq!(
        app.posted(&firm, &path, &json!({"invoiceId": second}))
            .await
            .expect(409)["code"],
        "credit"
    );
    let actions = "select action from audit_log where subject = 'payment' order by id offset 2";
    assert_eq!(
        app.texts(actions).await,
        [
            "payment.reversed",
            "payment.reversed",
            "payment.recorded",
            "payment.unallocated",
            "payment.unallocated",
            "payment.recorded"
        ]
    );
    app.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_pay_at_once_is_paid_once() {
    let app = TestApp::start().await;
    let firm = app.firm_with_customer().await;
    app.one_off(&firm, "30.00").await;
    let both = json!({});
    let (one, two) = tokio::join!(
        app.pay(&firm, "30.00", &both),
        app.pay(&firm, "30.00", &both)
    );
    let mut allocated = [
        one.expect(201)["allocated"].to_string(),
        two.expect(201)["allocated"].to_string(),
    ];
    allocated.sort_unstable();
    assert_eq!(allocated, ["\"0.00\"", "\"30.00\""]);
    // The same credit for two invoices.
    let (a, b) = (
        app.one_off(&firm, "30.00").await,
        app.one_off(&firm, "30.00").await,
    );
    let with = |id: &str| json!({"channel": "credit", "invoices": [{"invoiceId": id}]});
    let (with_a, with_b) = (with(&a), with(&b));
    let (one, two) = tokio::join!(
        app.pay(&firm, "30.00", &with_a),
        app.pay(&firm, "30.00", &with_b)
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
    assert_eq!(
        app.balances().await,
        ["clearing 6000", "customer_credit 0", "receivable 3000"]
    );
    app.assert_clean().await;
}

#[tokio::test]
async fn the_database_refuses_what_is_not_so() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let eve = app.customer(&firm.acme, "Eve").await;
    app.one_off(&firm, "30.00").await;
    app.pay(&firm, "10.00", &json!({})).await.expect(201);
    let other = json!({"customerId": eve, "channel": "check", "amount": "5.00"});
    app.posted(&firm, PAYMENTS, &other).await.expect(201);
    let allocate = "insert into payment_allocations (organization_id, id, payment_id, invoice_id, amount_minor)
        select i.organization_id, gen_random_uuid(), p.id, i.id, AMOUNT from invoices i join payments p on p.amount_minor = PAYMENT";
    let allocate = |amount: &str, payment: &str| {
        allocate
            .replace("AMOUNT", amount)
            .replace("PAYMENT", payment)
    };
    let reversal = |amount: &str| {
        format!(
            "insert into payments (organization_id, id, payer, customer_id, channel, state, currency, amount_minor, received_at, reverses_id, reason)
             select organization_id, gen_random_uuid(), payer, customer_id, channel, state, currency, {amount}, received_at, id, 'x' from payments where amount_minor = 1000"
        )
    };
    for (statement, constraint) in [
        // More than the payment has, than the invoice leaves open, than was given; of somebody else.
        (allocate("1", "1000"), "payments_allocated_check"),
        (allocate("2001", "1000"), "payment_allocations_open"),
        (allocate("-1001", "1000"), "payment_allocations_taken_back"),
        (allocate("5", "500"), "payment_allocations_payment"),
        ("update payment_allocations set amount_minor = 1".into(), "payment_allocations_append_only"),
        ("delete from payment_allocations".into(), "payment_allocations_append_only"),
        ("update payments set amount_minor = 1".into(), "payments_immutable"),
        ("update payments set state = 'pending'".into(), "payments_immutable"),
        ("delete from payments".into(), "payments_immutable"),
        ("update payments set allocated_minor = allocated_minor + 1".into(), "payments_allocated_check"),
        // While it pays something, and with another amount.
        (reversal("-1000"), "payments_reversal"),
        (reversal("-999"), "payments_reversal"),
        (reversal("1000"), "payments_reversal"),
        (reversal("-1000").replace(", id, 'x'", ", null, 'x'"), "payments_amount_minor_check"),
        (
            "insert into transfers (organization_id, id, entry_id, debit_account_id, credit_account_id, amount_minor, currency)
             select e.organization_id, gen_random_uuid(), e.id, c.id, r.id, 501, 'USD' from ledger_entries e, ledger_accounts c, ledger_accounts r
             where e.document = 'payment' and c.kind = 'customer_credit' and r.kind = 'clearing' limit 1".into(),
            "ledger_accounts_credit_check",
        ),
    ] {
        assert_eq!(app.refusal(statement.clone()).await, constraint, "{statement}");
    }
    let draft = "insert into invoices (organization_id, id, payer, customer_id, kind, currency, period_start, period_end, zone)
        select organization_id, gen_random_uuid(), payer, customer_id, 'one_off', currency, period_start, period_end, zone from invoices;";
    let statement = format!("{draft} {} where i.state = 'draft'", allocate("1", "1000"));
    assert_eq!(
        app.refusal(statement).await,
        "payment_allocations_invoice_state"
    );
}

#[tokio::test]
async fn an_organization_pays_the_platform_and_only_reads_it() {
    let app = TestApp::start().await;
    let firm = app.firm_with_customer().await;
    let (foreign, other) = app.firm().await;
    let boss = app.platform_admin().await;
    let invoice = json!({"orgId": firm.acme.id, "billingPeriodStart": "2026-02-01", "billingPeriodEnd": "2026-02-28",
        "items": [{"description": "Seats", "quantity": 1, "unitPrice": "49"}]});
    app.post("/api/admin/invoices")
        .user(&boss)
        .json(&invoice)
        .send()
        .await
        .expect(201);
    let body = json!({"orgId": firm.acme.id, "channel": "transfer", "amount": "50.00", "reference": "wire"});
    let pay = || {
        app.post(PAYMENTS)
            .user(&boss)
            .header("idempotency-key", "wire-1")
            .json(&body)
            .send()
    };
    let (made, again) = (pay().await.expect(201), pay().await.expect(201));
    assert_eq!(
        (&made["id"], &made["credit"]),
        (&again["id"], &json!("1.00"))
    );
    assert_eq!(app.count("select count(*) from payments").await, 1);
    // The organization reads it, and writes none of it.
    let own = app.read(&firm, "/api/billing/payments").await;
    assert_eq!(
        (&own["data"][0]["id"], &own["data"][0]["customerId"]),
        (&made["id"], &Value::Null)
    );
    assert_eq!(
        app.posted(&firm, PAYMENTS, &body).await.expect(422)["errors"][0]["field"],
        "customerId"
    );
    reverse(&app, &firm, &made).await.expect(404);
    assert_eq!(app.read(&firm, PAYMENTS).await["data"], json!([]));
    // Another firm sees nothing of a customer's payment, and pays for nobody of ours.
    let dana = app.pay(&firm, "5.00", &json!({})).await.expect(201);
    let path = format!("{PAYMENTS}/{}", dana["id"].as_str().unwrap());
    app.get(&path)
        .user(&other)
        .organization(&foreign)
        .send()
        .await
        .expect(404);
    let theirs = json!({"customerId": firm.dana, "channel": "check", "amount": "5.00"});
    app.post(PAYMENTS)
        .user(&other)
        .organization(&foreign)
        .json(&theirs)
        .send()
        .await
        .expect(404);
    // The platform in the place of the organization, and as itself.
    let path = format!(
        "{path}/reverse?orgId={}&customerId={}",
        firm.acme.id, firm.dana
    );
    app.post(&path)
        .user(&boss)
        .json(&json!({"reason": "twice"}))
        .send()
        .await
        .expect(201);
    let path = format!("{PAYMENTS}/{}/reverse", made["id"].as_str().unwrap());
    app.post(&path)
        .user(&boss)
        .json(&json!({"reason": " "}))
        .send()
        .await
        .expect(422);
    app.post(&path)
        .user(&boss)
        .json(&json!({"reason": "twice"}))
        .send()
        .await
        .expect(201);
    assert_eq!(
        app.balances().await,
        ["clearing 0", "customer_credit 0", "receivable 4900"]
    );
    app.assert_clean().await;
}
