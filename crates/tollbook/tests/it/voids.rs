//! Invoices that are withdrawn: they keep their number and owe nothing, and what was used is invoiced once all the same.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Answer, Firm, NewUsage, TestApp, at, per_minute};

/// Withdraws an invoice.
async fn void(app: &TestApp, firm: &Firm, invoice: &str) -> Answer {
    let path = format!("/api/admin/invoices/{invoice}/void");
    app.posted(firm, &path, &json!({"reason": "wrong customer"}))
        .await
}

/// The id of a document by its place in the sequence.
async fn numbered(app: &TestApp, seq: i64) -> String {
    let mut tx = app.platform().await;
    let id: uuid::Uuid =
        sqlx::query_scalar("select id from invoices where number_seq = $1 and payer = 'customer'")
            .bind(seq)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    id.to_string()
}

const LINES: &str = "select format('%s %s %s %s', i.number_seq, l.line_group, l.amount_minor, (l.starts_at at time zone 'UTC')::date)
    from invoice_lines l join invoices i on i.organization_id = l.organization_id and i.id = l.invoice_id order by i.number_seq, l.position";

#[tokio::test]
async fn an_unpaid_invoice_is_withdrawn_and_keeps_its_number() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    app.change("update customers set tax_percent = 10").await;
    let invoice = app.one_off(&firm, "30.00").await;
    let gone = void(&app, &firm, &invoice).await.expect(200);
    assert_eq!(
        (
            &gone["status"],
            &gone["number"],
            &gone["voidReason"],
            &gone["total"]
        ),
        (
            &json!("void"),
            &json!("INV-2026-000001"),
            &json!("wrong customer"),
            &json!("33.00")
        )
    );
    assert_eq!(app.balances().await, ["receivable 0"]);
    // Items written by hand are withdrawn with it.
    assert_eq!(
        app.count("select count(*) from invoices where state = 'draft'")
            .await,
        0
    );
    assert_eq!(
        app.texts("select format('%s %s', action, after ->> 'voidReason') from audit_log where action = 'invoice.voided'").await,
        ["invoice.voided wrong customer"]
    );
    assert_eq!(
        void(&app, &firm, &invoice).await.expect(409)["code"],
        "not_voidable"
    );
    // Neither paid nor credited any more, and what is paid or credited is not withdrawn.
    assert_eq!(
        app.pay(
            &firm,
            "1.00",
            &json!({"invoices": [{"invoiceId": invoice}]})
        )
        .await
        .expect(422)["errors"][0]["field"],
        "invoices[0].invoiceId"
    );
    let path = format!("/api/admin/invoices/{invoice}/credit-notes");
    assert_eq!(
        app.posted(&firm, &path, &json!({"reason": "x"}))
            .await
            .expect(409)["code"],
        "not_creditable"
    );
    let paid = app.one_off(&firm, "30.00").await;
    let payment = app.pay(&firm, "1.00", &json!({})).await.expect(201);
    assert_eq!(
        void(&app, &firm, &paid).await.expect(409)["code"],
        "not_unpaid"
    );
    let back = format!(
        "/api/admin/payments/{}/reverse",
        payment["id"].as_str().unwrap()
    );
    app.posted(&firm, &back, &json!({"reason": "bounced"}))
        .await
        .expect(201);
    void(&app, &firm, &paid).await.expect(200);
    let credited = app.one_off(&firm, "30.00").await;
    let path = format!("/api/admin/invoices/{credited}/credit-notes");
    app.posted(&firm, &path, &json!({"reason": "x", "amount": "1"}))
        .await
        .expect(201);
    assert_eq!(
        void(&app, &firm, &credited).await.expect(409)["code"],
        "not_unpaid"
    );
    let next = app.one_off(&firm, "5.00").await;
    assert_eq!(
        app.standings().await,
        [
            "1 void 0 0",
            "2 void 0 0",
            "3 finalized 0 100",
            "4 finalized 0 0"
        ]
    );
    app.assert_clean().await;
    let path = format!("/api/admin/invoices/{next}/void");
    assert_eq!(
        app.posted(&firm, &path, &json!({})).await.expect(422)["errors"][0]["field"],
        "reason"
    );
    let (foreign, stranger) = app.firm().await;
    app.post(&path)
        .user(&stranger)
        .organization(&foreign)
        .json(&json!({"reason": "x"}))
        .send()
        .await
        .expect(404);
    for (statement, constraint) in [
        (
            "update invoices set state = 'void' where number_seq = 4",
            "invoices_void_check",
        ),
        (
            "update invoices set state = 'void', void_reason = 'x' where number_seq = 3",
            "invoices_void_check",
        ),
        (
            "update invoices set state = 'finalized', void_reason = null where number_seq = 1",
            "invoices_state_forward",
        ),
        (
            "update invoices set void_reason = 'y' where number_seq = 4",
            "invoices_void_check",
        ),
    ] {
        assert_eq!(
            app.refusal(statement.to_owned()).await,
            constraint,
            "{statement}"
        );
    }
}

#[tokio::test]
async fn what_was_used_is_invoiced_again_on_the_next_document() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let plan = per_minute("Basic", "0.10", &json!({"baseFee": "5"}));
    let plan = app.plan(&firm.admin, &firm.acme, &plan).await;
    app.subscribe(&firm.admin, &firm.acme, firm.dana, plan, "2026-02-01")
        .await;
    let first = NewUsage::call(firm.dana, 60, at("2026-02-03T10:00:00Z"));
    app.record(
        &firm.acme,
        &[
            first.clone(),
            NewUsage::call(firm.dana, 120, at("2026-02-05T10:00:00Z")),
        ],
    )
    .await;
    app.settle().await;
    let february = app
        .texts("select number_seq::text from invoices where kind = 'period' and state <> 'draft'")
        .await;
    assert_eq!(february.len(), 1);
    let february: i64 = february[0].parse().unwrap();
    void(&app, &firm, &numbered(&app, february).await)
        .await
        .expect(200);
    app.assert_clean().await;
    // A call of it turns out longer while it waits on the draft.
    app.record(&firm.acme, &[first.corrected(60)]).await;
    app.record(
        &firm.acme,
        &[NewUsage::call(firm.dana, 60, at("2026-03-03T10:00:00Z"))],
    )
    .await;
    app.settle().await;
    let (path, draft) = app.draft(&firm.admin, &firm.acme).await;
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    app.assert_clean().await;
    let document = app.read(&firm, &path).await;
    // What the draft said, and April's fee in advance.
    let in_march = |it: &&Value| it["startsAt"] != "2026-04-01T00:00:00Z";
    let items = document["items"].as_array().unwrap();
    let items: Vec<&Value> = items.iter().filter(in_march).collect();
    assert_eq!(json!(items), draft["items"]);
    assert_eq!(document["total"], "10.50");
    let march = february + 1;
    let lines: Vec<String> = app
        .texts(LINES)
        .await
        .into_iter()
        .filter(|it| it.starts_with(&format!("{march} ")))
        .collect();
    let again: Vec<&String> = lines
        .iter()
        .filter(|it| it.contains(&format!("@INV-2026-{february:06}")))
        .collect();
    // What February said, its fees with their own period and its calls with their days; the correction beside them.
    assert!(
        again
            .iter()
            .any(|it| it.contains("calls/usage@INV") && it.ends_with("30 2026-02-03")),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|it| it.contains("calls/usage@2026-02-03 10")),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|it| it == &format!("{march} calls/usage 10 2026-03-01")),
        "{lines:#?}"
    );
    // Withdrawn once more: the one after it gathers both.
    void(&app, &firm, &numbered(&app, march).await)
        .await
        .expect(200);
    app.assert_clean().await;
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    app.assert_clean().await;
    let usage = "select sum(l.amount_minor)::text from invoice_lines l join invoices i on i.organization_id = l.organization_id and i.id = l.invoice_id
        where i.state <> 'void' and l.line_group like 'calls/%'";
    // 60 + 60 and 120 in February, 60 in March: five minutes, once.
    assert_eq!(app.texts(usage).await, ["50"]);
    let fees = "select count(*) from (select period_id from charges where period_id is not null group by period_id having count(*) <> 1) t";
    assert_eq!(app.count(fees).await, 0);
    // Credit notes know the meters of lines that were gathered again.
    let april = app.texts("select id::text from invoices where state = 'finalized' order by number_seq desc limit 1").await.remove(0);
    let path = format!("/api/admin/invoices/{april}/credit-notes");
    app.posted(&firm, &path, &json!({"reason": "goodwill"}))
        .await
        .expect(201);
    let earned = "select count(*) from (
        select a.meter from transfers t join ledger_entries e on e.id = t.entry_id join ledger_accounts a on a.id in (t.debit_account_id, t.credit_account_id)
        where a.kind = 'revenue' and e.document in ('invoice', 'credit_note') and e.document_id in
            (select id from invoices where number_seq = (select max(number_seq) from invoices) union select id from credit_notes)
        group by a.meter having sum(case a.id when t.debit_account_id then t.amount_minor else -t.amount_minor end) <> 0) m";
    assert_eq!(app.count(earned).await, 0);
    app.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_and_a_void_at_once_do_not_both_happen() {
    let app = TestApp::start().await;
    let firm = app.firm_with_customer().await;
    let invoice = app.one_off(&firm, "30.00").await;
    let named = json!({"invoices": [{"invoiceId": invoice}]});
    let (paid, gone) = tokio::join!(app.pay(&firm, "30.00", &named), void(&app, &firm, &invoice));
    assert!(
        [(201, 409), (422, 200)].contains(&(paid.status, gone.status)),
        "{paid:?} {gone:?}"
    );
    app.assert_clean().await;
}

#[tokio::test]
async fn the_charges_of_a_void_invoice_are_gathered_by_one_draft() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    app.sell_minutes(&firm.admin, &firm.acme).await;
    app.record(
        &firm.acme,
        &[NewUsage::call(firm.dana, 60, at("2026-02-03T10:00:00Z"))],
    )
    .await;
    app.settle().await;
    app.one_off(&firm, "5.00").await;
    void(&app, &firm, &numbered(&app, 1).await)
        .await
        .expect(200);
    let recharge = "insert into recharges (organization_id, document_id, void_invoice_id) select d.organization_id, d.id, v.id from invoices d, invoices v where";
    for (rest, constraint) in [
        ("d.state = 'draft' and v.number_seq = 2", "recharges_draft"),
        ("d.number_seq = 2 and v.number_seq = 1", "recharges_draft"),
        ("d.state = 'draft' and v.number_seq = 1", "recharges_once"),
    ] {
        assert_eq!(
            app.refusal(format!("{recharge} {rest}")).await,
            constraint,
            "{rest}"
        );
    }
    assert_eq!(
        app.refusal("delete from recharges".into()).await,
        "recharges_append_only"
    );
    assert_eq!(
        app.refusal("update recharges set created_at = now()".into())
            .await,
        "recharges_append_only"
    );
}
