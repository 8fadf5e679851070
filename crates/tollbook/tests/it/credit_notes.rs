//! Credit notes: what is given back of an invoice, to the cent and never more, under numbers of their own.

use serde_json::{Value, json};

use crate::support::{Answer, Firm, TestApp};

/// Gives back an invoice or a part of it.
async fn credit(app: &TestApp, firm: &Firm, invoice: &str, body: &Value) -> Answer {
    let mut body = body.clone();
    body["reason"] = json!("goodwill");
    let path = format!("/api/admin/invoices/{invoice}/credit-notes");
    app.posted(firm, &path, &body).await
}

/// What the ledger says of each credit note: accounts debited and credited.
const LEDGER: &str = "select format('%s %s/%s %s', n.number, d.kind, c.kind, t.amount_minor)
    from transfers t
    join ledger_entries e on e.organization_id = t.organization_id and e.id = t.entry_id
    join credit_notes n on n.organization_id = e.organization_id and n.id = e.document_id
    join ledger_accounts d on d.organization_id = t.organization_id and d.id = t.debit_account_id
    join ledger_accounts c on c.organization_id = t.organization_id and c.id = t.credit_account_id
    order by n.number, d.kind, c.kind";

#[tokio::test]
async fn an_invoice_is_given_back_in_parts_to_the_cent() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    app.change("update customers set tax_percent = 19").await;
    let items = json!([{"description": "Work", "quantity": 1, "unitPrice": "10.00"}, {"description": "Travel", "quantity": 1, "unitPrice": "3.33"}]);
    let invoice = app.one_off_of(&firm, &items).await;
    // 19 % of 13.33 are 2.53. Of the second line 63 cents.
    let line = credit(&app, &firm, &invoice, &json!({"lines": [{"position": 2}]}))
        .await
        .expect(201);
    assert_eq!(
        (
            &line["number"],
            &line["subtotal"],
            &line["tax"],
            &line["total"]
        ),
        (
            &json!("CN-2026-000001"),
            &json!("3.33"),
            &json!("0.63"),
            &json!("3.96")
        )
    );
    assert_eq!(
        line["lines"],
        json!([{"position": 2, "description": "Travel", "amount": "3.33"}])
    );
    assert_eq!(
        line["taxes"],
        json!([{"percent": "19", "inclusive": false, "base": "3.33", "tax": "0.63"}])
    );
    let some = credit(&app, &firm, &invoice, &json!({"amount": "5.00"}))
        .await
        .expect(201);
    assert_eq!(
        (&some["number"], &some["total"]),
        (&json!("CN-2026-000002"), &json!("5.00"))
    );
    assert_eq!(app.standings().await, ["1 finalized 0 896"]);
    let rest = credit(&app, &firm, &invoice, &json!({})).await.expect(201);
    assert_eq!(
        (&rest["total"], &rest["invoiceNumber"]),
        (&json!("6.90"), &json!("INV-2026-000001"))
    );
    // Nothing is open, so it is paid; and nothing is left to give back.
    assert_eq!(app.standings().await, ["1 paid 0 1586"]);
    assert_eq!(app.balances().await, ["receivable 0"]);
    assert_eq!(
        app.texts("select format('%s %s', sum(subtotal_minor), sum(tax_minor)) from credit_notes")
            .await,
        ["1333 253"]
    );
    assert_eq!(
        credit(&app, &firm, &invoice, &json!({})).await.expect(409)["code"],
        "nothing_left"
    );
    let list = app
        .read(
            &firm,
            &format!("/api/admin/credit-notes?invoiceId={invoice}&limit=2"),
        )
        .await;
    assert_eq!(
        (
            &list["data"][0]["id"],
            list["data"].as_array().unwrap().len()
        ),
        (&rest["id"], 2)
    );
    let one = app
        .read(
            &firm,
            &format!("/api/admin/credit-notes/{}", line["id"].as_str().unwrap()),
        )
        .await;
    assert_eq!(one, line);
    assert_eq!(
        app.texts("select format('%s %s', action, after ->> 'total') from audit_log where subject = 'credit_note' order by id").await,
        ["credit_note.issued 3.96", "credit_note.issued 5.00", "credit_note.issued 6.90"]
    );
    app.assert_clean().await;
}

#[tokio::test]
async fn what_is_beyond_the_open_amount_is_credit() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    app.change("update customers set tax_percent = 20, tax_inclusive = true")
        .await;
    let invoice = app.one_off(&firm, "120.00").await;
    app.pay(&firm, "90.00", &json!({})).await.expect(201);
    let note = credit(&app, &firm, &invoice, &json!({"amount": "60.00"}))
        .await
        .expect(201);
    // Prices include the tax: a sixth of what is given back. 30 were open.
    assert_eq!(
        (&note["subtotal"], &note["tax"]),
        (&json!("50.00"), &json!("10.00"))
    );
    assert_eq!(app.standings().await, ["1 paid 9000 6000"]);
    assert_eq!(
        app.balances().await,
        ["clearing 9000", "customer_credit -3000", "receivable 0"]
    );
    assert_eq!(
        app.texts(LEDGER).await,
        [
            "CN-2026-000001 receivable/customer_credit 3000",
            "CN-2026-000001 revenue/receivable 5000",
            "CN-2026-000001 tax_payable/receivable 1000"
        ]
    );
    app.assert_clean().await;
    // The payment bounces: 60 of 120 are open again, and the credit is gone with it.
    let payment = app.texts("select id::text from payments").await.remove(0);
    let path = format!("/api/admin/payments/{payment}/reverse");
    app.posted(&firm, &path, &json!({"reason": "bounced"}))
        .await
        .expect(201);
    assert_eq!(app.standings().await, ["1 finalized 0 6000"]);
    assert_eq!(
        app.balances().await,
        ["clearing 0", "customer_credit 0", "receivable 6000"]
    );
    app.assert_clean().await;
    for (body, field) in [
        (json!({"amount": "60.01"}), "amount"),
        (json!({"amount": "0"}), "amount"),
        (json!({"amount": "0.001"}), "amount"),
        (json!({"amount": "1", "lines": []}), "amount"),
        (json!({"lines": []}), "lines"),
        (json!({"lines": [{"position": 2}]}), "lines[0].position"),
        (
            json!({"lines": [{"position": 1}, {"position": 1}]}),
            "lines[1].position",
        ),
        (
            json!({"lines": [{"position": 1, "amount": "60.01"}]}),
            "lines[0].amount",
        ),
        (
            json!({"lines": [{"position": 1, "amount": "-1"}]}),
            "lines[0].amount",
        ),
    ] {
        let problem = credit(&app, &firm, &invoice, &body).await.expect(422);
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    let path = format!("/api/admin/invoices/{invoice}/credit-notes");
    assert_eq!(
        app.posted(&firm, &path, &json!({})).await.expect(422)["errors"][0]["field"],
        "reason"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_give_back_an_invoice_once_and_numbers_have_no_gap() {
    let app = TestApp::start().await;
    let firm = app.firm_with_customer().await;
    let invoice = app.one_off(&firm, "10.00").await;
    let all = json!({});
    let (one, two) = tokio::join!(
        credit(&app, &firm, &invoice, &all),
        credit(&app, &firm, &invoice, &all)
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    // The same key again is the same credit note.
    let other = app.one_off(&firm, "10.00").await;
    let path = format!("/api/admin/invoices/{other}/credit-notes");
    let ask = || {
        let ask = app.post(&path).user(&firm.admin).organization(&firm.acme);
        ask.header("idempotency-key", "note-1")
            .json(&json!({"reason": "late", "amount": "1.00"}))
            .send()
    };
    assert_eq!(
        ask().await.expect(201)["number"],
        ask().await.expect(201)["number"]
    );
    // The platform counts for itself.
    let boss = app.platform_admin().await;
    let sold = json!({"orgId": firm.acme.id, "billingPeriodStart": "2026-02-01", "billingPeriodEnd": "2026-02-28",
        "items": [{"description": "Seats", "quantity": 1, "unitPrice": "49"}]});
    let sold = app
        .post("/api/admin/invoices")
        .user(&boss)
        .json(&sold)
        .send()
        .await
        .expect(201);
    let path = format!(
        "/api/admin/invoices/{}/credit-notes",
        sold["id"].as_str().unwrap()
    );
    let reason = json!({"reason": "outage"});
    app.post(&path)
        .user(&firm.admin)
        .organization(&firm.acme)
        .json(&reason)
        .send()
        .await
        .expect(404);
    app.post(&path)
        .user(&boss)
        .json(&reason)
        .send()
        .await
        .expect(201);
    let (foreign, stranger) = app.firm().await;
    let path = format!("/api/admin/invoices/{other}/credit-notes");
    app.post(&path)
        .user(&stranger)
        .organization(&foreign)
        .json(&reason)
        .send()
        .await
        .expect(404);
    let numbers = "select format('%s %s', payer, number) from credit_notes order by 1";
    assert_eq!(
        app.texts(numbers).await,
        [
            "customer CN-2026-000001",
            "customer CN-2026-000002",
            "organization CN-2026-000001"
        ]
    );
    app.assert_clean().await;
}

#[tokio::test]
async fn the_database_refuses_to_give_back_more() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    app.change("update customers set tax_percent = 10").await;
    let invoice = app.one_off(&firm, "10.00").await;
    let other = app.one_off(&firm, "7.00").await;
    credit(&app, &firm, &invoice, &json!({"amount": "5.50"}))
        .await
        .expect(201);
    let note = |invoice: &str, net: i64, tax: i64, parts: &str| {
        format!(
            "insert into credit_notes (organization_id, id, invoice_id, payer, customer_id, number, number_year, number_seq, reason, currency, subtotal_minor, tax_minor, total_minor)
                 select organization_id, '00000000-0000-7000-8000-000000000001', id, payer, customer_id, 'CN-2026-000009', 2026, 9, 'x', currency, {net}, {tax}, {net} + {tax}
                 from invoices where id = '{invoice}'; {parts}; set constraints all immediate"
        )
    };
    let line = |of: &str, minor: i64| {
        format!(
            "insert into credit_note_lines (organization_id, id, credit_note_id, invoice_line_id, amount_minor)
                 select organization_id, gen_random_uuid(), '00000000-0000-7000-8000-000000000001', id, {minor} from invoice_lines where invoice_id = '{of}'"
        )
    };
    let tax = |minor: i64| {
        format!(
            "insert into credit_note_taxes (organization_id, credit_note_id, percent, inclusive, base_minor, tax_minor)
                 select organization_id, '00000000-0000-7000-8000-000000000001', 10, false, 0, {minor} from organizations o join (select organization_id from credit_notes limit 1) n on n.organization_id = o.id"
        )
    };
    for (statement, constraint) in [
        (note(&invoice, 551, 0, ""), "invoices_credited_check"),
        (
            note(&invoice, 501, 0, &line(&invoice, 501)),
            "credit_note_lines_left",
        ),
        (
            note(
                &invoice,
                449,
                51,
                &format!("{}; {}", line(&invoice, 449), tax(51)),
            ),
            "credit_note_taxes_left",
        ),
        (
            note(&invoice, 100, 0, &line(&other, 100)),
            "credit_note_lines_invoice_line_id_fkey",
        ),
        // Not the sum of its parts, and a part that comes later.
        (
            note(&invoice, 100, 0, &line(&invoice, 99)),
            "credit_notes_parts",
        ),
        (
            line(&invoice, 1).replace(
                "'00000000-0000-7000-8000-000000000001'",
                "(select id from credit_notes)",
            ) + "; set constraints all immediate",
            "credit_note_lines_line_key",
        ),
        (
            "delete from credit_note_lines".into(),
            "credit_note_lines_append_only",
        ),
        (
            "update credit_note_taxes set tax_minor = 0".into(),
            "credit_note_taxes_append_only",
        ),
        (
            "update credit_notes set reason = 'y'".into(),
            "credit_notes_immutable",
        ),
        ("delete from credit_notes".into(), "credit_notes_immutable"),
    ] {
        let statement = statement.replace("; ;", ";");
        assert_eq!(
            app.refusal(statement.clone()).await,
            constraint,
            "{statement}"
        );
    }
}
