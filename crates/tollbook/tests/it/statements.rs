//! What a payer is told: the running period as it would be invoiced now, and a statement that equals the ledger.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{NewUsage, TestApp, at};

#[tokio::test]
async fn a_running_period_is_previewed_and_nothing_is_written() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let path = format!("/api/admin/invoices/preview?customerId={}", firm.dana);
    assert_eq!(
        app.read(&firm, &path).await,
        json!({"data": [], "nextCursor": null})
    );
    app.sell_minutes(&firm.admin, &firm.acme).await;
    app.record(
        &firm.acme,
        &[NewUsage::call(firm.dana, 61, at("2026-03-02T10:00:00Z"))],
    )
    .await;
    app.settle().await;
    let rows = "select (select count(*) from invoice_lines) + (select count(*) from ledger_entries) + (select sum(next_number) from sellers)::bigint";
    let before = app.count(rows).await;
    let preview = app.read(&firm, &path).await;
    let (_, draft) = app.draft(&firm.admin, &firm.acme).await;
    assert_eq!(preview["data"], json!([draft]));
    assert_eq!(
        (&draft["total"], &draft["status"], &draft["number"]),
        (&json!("0.20"), &json!("draft"), &Value::Null)
    );
    assert_eq!(app.count(rows).await, before);
    // What is used next is on it as soon as it is rated.
    app.record(
        &firm.acme,
        &[NewUsage::call(firm.dana, 30, at("2026-03-02T11:00:00Z"))],
    )
    .await;
    app.settle().await;
    assert_eq!(app.read(&firm, &path).await["data"][0]["total"], "0.30");
    // It is what is finalized in the end.
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    let id = preview["data"][0]["id"].as_str().unwrap();
    let made = app.read(&firm, &format!("/api/admin/invoices/{id}")).await;
    assert_eq!(
        (&made["status"], &made["total"]),
        (&json!("finalized"), &json!("0.30"))
    );
    assert_eq!(app.read(&firm, &path).await["data"], json!([]));
    let (foreign, stranger) = app.firm().await;
    app.get(&path)
        .user(&stranger)
        .organization(&foreign)
        .send()
        .await
        .expect(404);
    let ask = app
        .get("/api/admin/invoices/preview")
        .user(&firm.admin)
        .organization(&firm.acme);
    assert_eq!(
        ask.send().await.expect(422)["errors"][0]["field"],
        "customerId"
    );
}

#[tokio::test]
async fn a_statement_equals_the_ledger_on_both_days() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let day = |days: i64| app.advance(SignedDuration::from_hours(24 * days));
    // March 2: an invoice. March 3: another, and a payment of one and a half.
    let first = app.one_off(&firm, "30.00").await;
    day(1);
    let second = app.one_off(&firm, "20.00").await;
    app.pay(&firm, "40.00", &json!({"reference": "1001"}))
        .await
        .expect(201);
    // March 4: of the second five are given back, and too much is paid, which bounces on the 6th.
    day(1);
    let path = format!("/api/admin/invoices/{second}/credit-notes");
    app.posted(&firm, &path, &json!({"reason": "late", "amount": "5.00"}))
        .await
        .expect(201);
    let over = app
        .pay(&firm, "25.00", &json!({"channel": "transfer"}))
        .await
        .expect(201);
    day(2);
    let path = format!(
        "/api/admin/payments/{}/reverse",
        over["id"].as_str().unwrap()
    );
    app.posted(&firm, &path, &json!({"reason": "bounced"}))
        .await
        .expect(201);
    day(1);
    let third = app.one_off(&firm, "7.00").await;
    app.posted(
        &firm,
        &format!("/api/admin/invoices/{third}/void"),
        &json!({"reason": "twice"}),
    )
    .await
    .expect(200);
    let statement = async |from: &str, to: &str, more: &str| {
        let path = format!(
            "/api/admin/statement?customerId={}&from={from}&to={to}{more}",
            firm.dana
        );
        app.read(&firm, &path).await
    };
    let all = statement("2026-03-01", "2026-03-31", "").await;
    let lines: Vec<String> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |field: &str| it[field].as_str().unwrap_or("-").to_owned();
            [
                text("date"),
                text("kind"),
                text("number"),
                text("channel"),
                text("amount"),
                text("balance"),
            ]
            .join(" ")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "2026-03-02 invoice INV-2026-000001 - 30.00 30.00",
            "2026-03-03 invoice INV-2026-000002 - 20.00 50.00",
            "2026-03-03 payment - check -40.00 10.00",
            "2026-03-04 credit_note CN-2026-000001 - -5.00 5.00",
            "2026-03-04 payment - transfer -25.00 -20.00",
            "2026-03-06 payment_reversal - transfer 25.00 5.00",
            "2026-03-07 invoice INV-2026-000003 - 7.00 12.00",
            "2026-03-07 void INV-2026-000003 - -7.00 5.00",
        ]
    );
    assert_eq!(
        all["opening"],
        json!({"owed": "0.00", "credit": "0.00", "balance": "0.00"})
    );
    assert_eq!(
        all["closing"],
        json!({"owed": "5.00", "credit": "0.00", "balance": "5.00"})
    );
    assert_eq!(
        app.balances().await,
        ["clearing 4000", "customer_credit 0", "receivable 500"]
    );
    // Of two days in between; what is owed then is what was open then.
    let some = statement("2026-03-03", "2026-03-04", "").await;
    assert_eq!(
        (&some["opening"]["owed"], &some["closing"]),
        (
            &json!("30.00"),
            &json!({"owed": "0.00", "credit": "20.00", "balance": "-20.00"})
        )
    );
    assert_eq!(some["data"].as_array().unwrap().len(), 4);
    // Page by page the balance goes on.
    let page = statement("2026-03-01", "2026-03-31", "&limit=3").await;
    let cursor = page["nextCursor"].as_str().unwrap();
    let next = statement(
        "2026-03-01",
        "2026-03-31",
        &format!("&limit=3&cursor={cursor}"),
    )
    .await;
    assert_eq!(
        (&next["data"][0], &page["closing"]),
        (&all["data"][3], &next["closing"])
    );
    let path = format!(
        "/api/admin/statement?customerId={}&from=2026-03-03&to=2026-03-04",
        firm.dana
    );
    let csv = app
        .get(&path)
        .user(&firm.admin)
        .organization(&firm.acme)
        .header("accept", "text/csv")
        .send()
        .await;
    assert_eq!(
        csv.text.replace('\r', ""),
        "date,kind,number,channel,reference,amount,balance
2026-03-03,opening,,,,,30.00
2026-03-03,invoice,INV-2026-000002,,,20.00,50.00
2026-03-03,payment,,check,1001,-40.00,10.00
2026-03-04,credit_note,CN-2026-000001,,,-5.00,5.00
2026-03-04,payment,,transfer,,-25.00,-20.00
2026-03-04,closing,,,,,-20.00
"
    );
    // In another currency there was nothing; a day that is none, and somebody else's customer.
    let euros = statement("2026-03-01", "2026-03-31", "&currency=EUR").await;
    assert_eq!(
        (&euros["data"], &euros["closing"]["balance"]),
        (&json!([]), &json!("0.00"))
    );
    for (query, status) in [
        ("from=2026-03-02&to=2026-03-01", 422),
        ("from=2026-02-30", 422),
        ("currency=XXX", 422),
    ] {
        let path = format!("/api/admin/statement?customerId={}&{query}", firm.dana);
        let ask = app.get(&path).user(&firm.admin).organization(&firm.acme);
        assert_eq!(ask.send().await.status, status, "{query}");
    }
    let (foreign, stranger) = app.firm().await;
    app.get(&path)
        .user(&stranger)
        .organization(&foreign)
        .send()
        .await
        .expect(404);
    // The platform's own sale.
    let boss = app.platform_admin().await;
    let path = format!("/api/admin/statement?orgId={}", firm.acme.id);
    let own = app.get(&path).user(&boss).send().await.expect(200);
    assert_eq!(
        (&own["customerId"], &own["data"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(app.standings().await[0], "1 paid 3000 0", "{first}");
    app.assert_clean().await;
}
