//! Drafts become documents once, late usage goes on the next, numbers have no gaps, and the ledger says the same.

use jiff::SignedDuration;
use serde_json::json;
use tollbook_core::ids::CustomerId;

use crate::support::{NewCall, NewUsage, Organization, TestApp, User, at, per_minute};

/// Everybody's documents, by number: state, total, tax.
const DOCUMENTS: &str = "select format('%s %s %s %s', number, state, total_minor, tax_minor) from invoices where state <> 'draft' order by number";
/// What the ledger says of each document: accounts debited and credited.
const LEDGER: &str = "select format('%s %s/%s %s', i.number, d.kind, c.kind || coalesce(nullif(':' || c.meter, ':'), ''), t.amount_minor)
    from transfers t
    join ledger_entries e on e.organization_id = t.organization_id and e.id = t.entry_id
    join invoices i on i.organization_id = e.organization_id and i.id = e.document_id
    join ledger_accounts d on d.organization_id = t.organization_id and d.id = t.debit_account_id
    join ledger_accounts c on c.organization_id = t.organization_id and c.id = t.credit_account_id
    order by i.number, d.kind, c.kind, c.meter";

#[tokio::test]
async fn a_draft_becomes_a_document_that_adds_up_and_stays() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    // A third of a cent a second.
    let thirds = json!({"name": "Thirds", "currency": "USD", "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS",
        "rate": {"per_unit": {"price": "0.01", "per": 3}}}]});
    let plan = app.plan(&admin, &acme, &thirds).await;
    let customer = app.customer(&acme, "Dana").await;
    app.change("update customers set tax_percent = 8.25").await;
    app.subscribe(&admin, &acme, customer, plan, "2026-03-01")
        .await;
    let usages: Vec<_> = (1..=7)
        .map(|n| {
            NewUsage::call(
                customer,
                100,
                at("2026-03-01T00:00:00Z") + SignedDuration::from_hours(n),
            )
        })
        .collect();
    app.record(&acme, &usages).await;
    app.settle().await;
    assert_eq!(app.texts(DOCUMENTS).await, [""; 0]);
    let (path, preview) = app.draft(&admin, &acme).await;
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    // 700 seconds are 2.333… dollars: rounded once. 8.25 % of 2.33 are 0.192….
    assert_eq!(
        app.texts(DOCUMENTS).await,
        ["INV-2026-000001 finalized 252 19"]
    );
    assert_eq!(
        app.texts(LEDGER).await,
        [
            "INV-2026-000001 receivable/revenue:CALL_DURATION_SECONDS 233",
            "INV-2026-000001 receivable/tax_payable 19",
        ]
    );
    let exact = "select format('%s/%s %s %s', amount_numerator, amount_denominator, amount_minor, charges) from invoice_lines";
    assert_eq!(app.texts(exact).await, ["7/3 233 7"]);
    let document = app
        .get(&path)
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&document["subtotal"], &document["tax"], &document["total"]),
        (&json!("2.33"), &json!("0.19"), &json!("2.52"))
    );
    assert_eq!(
        (&document["items"], &document["taxes"], &document["total"]),
        (&preview["items"], &preview["taxes"], &preview["total"])
    );
    for (statement, constraint) in [
        (
            "update invoices set total_minor = 1, subtotal_minor = 1, tax_minor = 0",
            "invoices_immutable",
        ),
        (
            "update invoices set state = 'draft', number = null, number_year = null, number_seq = null, finalized_at = null",
            "invoices_state_forward",
        ),
        ("delete from invoices", "invoices_immutable"),
        (
            "update invoice_lines set amount_minor = 0",
            "invoices_immutable",
        ),
        ("delete from invoice_taxes", "invoices_immutable"),
        (
            "insert into charges select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'revision', 9))).* from charges c",
            "charges_invoice_id_fkey",
        ),
        ("update charges set amount = 0", "charges_append_only"),
        ("delete from transfers", "transfers_append_only"),
        (
            "update ledger_entries set document = 'void'",
            "ledger_entries_append_only",
        ),
    ] {
        assert_eq!(
            app.refusal(statement.to_owned()).await,
            constraint,
            "{statement}"
        );
    }
    // Settling again makes nothing.
    app.settle().await;
    assert_eq!(app.texts(DOCUMENTS).await.len(), 1);
}

#[tokio::test]
async fn late_usage_goes_on_the_next_document_with_its_own_day() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    let plan = app
        .plan(&admin, &acme, &per_minute("Basic", "0.10", &json!({})))
        .await;
    let customer = app.customer(&acme, "Dana").await;
    app.subscribe(&admin, &acme, customer, plan, "2026-02-01")
        .await;
    let first = NewUsage::call(customer, 60, at("2026-02-03T10:00:00Z"));
    app.record(&acme, std::slice::from_ref(&first)).await;
    app.settle().await;
    assert_eq!(
        app.texts(DOCUMENTS).await,
        ["INV-2026-000001 finalized 10 0"]
    );
    // February is a document. A call of its fifth comes late, and the first turns out to have lasted longer.
    app.record(
        &acme,
        &[
            NewUsage::call(customer, 120, at("2026-02-05T10:00:00Z")),
            first.corrected(60),
        ],
    )
    .await;
    app.record(
        &acme,
        &[NewUsage::call(customer, 60, at("2026-03-02T10:00:00Z"))],
    )
    .await;
    app.settle().await;
    assert_eq!(app.texts(DOCUMENTS).await.len(), 1);
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    assert_eq!(
        app.texts(DOCUMENTS).await,
        [
            "INV-2026-000001 finalized 10 0",
            "INV-2026-000002 finalized 40 0"
        ]
    );
    let lines = "select format('%s %s %s', line_group, amount_minor, starts_at at time zone 'UTC') from invoice_lines l
        where exists (select from invoices i where i.id = l.invoice_id and i.number_seq = 2) order by position";
    assert_eq!(
        app.texts(lines).await,
        [
            "calls/usage 10 2026-03-01 00:00:00",
            "calls/usage@2026-02-03 10 2026-02-03 00:00:00",
            "calls/usage@2026-02-05 20 2026-02-05 00:00:00",
        ]
    );
}

#[tokio::test]
async fn nothing_to_print_is_no_document() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    app.sell_minutes(&admin, &acme).await;
    let customer = app.customer(&acme, "Dana").await;
    // A message, which has no price; a call that was not answered; a call that did not take place.
    let mut message = NewUsage::call(customer, 1, at("2026-02-03T10:00:00Z"));
    message.meter = "SMS_SENT";
    let silent = NewUsage::call(customer, 0, at("2026-02-03T11:00:00Z"));
    app.record(&acme, &[message, silent]).await;
    app.settle().await;
    assert_eq!(
        app.count("select count(*) from charges where kind = 'not_charged' and invoice_id is null")
            .await,
        2
    );
    assert_eq!(app.count("select count(*) from invoices").await, 0);
    let mistaken = NewUsage::call(customer, 60, at("2026-03-02T12:00:00Z"));
    app.record(&acme, std::slice::from_ref(&mistaken)).await;
    app.settle().await;
    app.record(&acme, &[mistaken.corrected(-60)]).await;
    app.settle().await;
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    assert_eq!(app.texts(DOCUMENTS).await, [""; 0]);
    assert_eq!(
        app.count("select count(*) from invoices where state = 'draft' and finalize_at is null")
            .await,
        1
    );
    assert_eq!(
        app.count("select next_number from sellers where organization_id is not null")
            .await,
        1,
        "no number is taken"
    );
    // When there is something after all, the draft goes on.
    app.record(
        &acme,
        &[NewUsage::call(customer, 60, at("2026-03-02T13:00:00Z"))],
    )
    .await;
    app.settle().await;
    assert_eq!(
        app.texts(DOCUMENTS).await,
        ["INV-2026-000001 finalized 10 0"]
    );
    // Of a document that is taken back whole the payer gets a credit, paid at once.
    let february = NewUsage::call(customer, 60, at("2026-02-20T12:00:00Z"));
    app.record(&acme, std::slice::from_ref(&february)).await;
    app.settle().await;
    assert_eq!(
        app.texts(DOCUMENTS).await[1..],
        ["INV-2026-000002 finalized 10 0"]
    );
    app.record(&acme, &[february.corrected(-60)]).await;
    app.settle().await;
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    assert_eq!(
        app.texts(DOCUMENTS).await[2..],
        ["INV-2026-000003 paid -10 0"]
    );
    assert_eq!(
        app.texts(LEDGER).await[2..],
        [
            "INV-2026-000003 receivable/customer_credit 10",
            "INV-2026-000003 revenue/receivable 10",
        ]
    );
}

#[tokio::test]
async fn pay_per_call_is_invoiced_by_the_call_or_by_the_month() {
    let app = TestApp::quiet().await;
    for (invoicing, expected) in [
        ("per_call", ["call 10", "call 20"].as_slice()),
        ("monthly", &["period 30"]),
    ] {
        let (acme, admin) = app.firm().await;
        let mut tx = app.platform().await;
        sqlx::query("update organizations set pay_per_call_invoicing = $2 where id = $1")
            .bind(acme.id.uuid())
            .bind(invoicing)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        app.sell_minutes(&admin, &acme).await;
        let customer = app.customer(&acme, "Dana").await;
        let integration = app.integration(&acme).await;
        let mut usages = Vec::new();
        for (seconds, hour) in [(60, 1), (120, 2), (0, 3)] {
            let start = at("2026-02-10T00:00:00Z") + SignedDuration::from_hours(hour);
            let mut usage = NewUsage::call(customer, seconds, start);
            usage.call = Some(
                app.call(
                    &acme,
                    integration,
                    &NewCall::answered("+12125550100", start, seconds),
                )
                .await,
            );
            usages.push(usage);
        }
        app.record(&acme, &usages).await;
        app.settle().await;
        let mut tx = app.platform().await;
        let documents: Vec<String> = sqlx::query_scalar("select format('%s %s', kind, total_minor) from invoices where organization_id = $1 and number is not null order by number")
            .bind(acme.id.uuid()).fetch_all(&mut *tx).await.unwrap();
        assert_eq!(documents, expected);
    }
}

/// Customers with a draft each that is due.
async fn drafts(app: &TestApp, acme: &Organization, admin: &User, count: usize) -> Vec<CustomerId> {
    app.sell_minutes(admin, acme).await;
    let (mut customers, mut usages) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let customer = app.customer(acme, "Dana").await;
        usages.push(NewUsage::call(customer, 60, at("2026-03-01T10:00:00Z")));
        customers.push(customer);
    }
    app.record(acme, &usages).await;
    app.settle().await;
    app.advance(SignedDuration::from_hours(31 * 24));
    customers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_have_no_gaps_though_two_finalize_at_once_and_one_gives_up() {
    let app = TestApp::quiet().await;
    let beside = app.beside().await;
    let (acme, admin) = app.firm().await;
    drafts(&app, &acme, &admin, 120).await;
    // Somebody takes numbers and gives up, while both nodes wait for the next one.
    let mut tx = app.platform().await;
    sqlx::query("update sellers set next_number = next_number + 5 where organization_id = $1")
        .bind(acme.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    beside.advance(SignedDuration::from_hours(31 * 24));
    let both = async { tokio::join!(app.settle(), beside.settle()) };
    let give_up = async {
        app.somebody_waits().await;
        tx.rollback().await.unwrap();
    };
    let (_, ()) = tokio::join!(both, give_up);
    let numbers = "select count(distinct number_seq) from invoices where number_year = 2026 and number_seq between 1 and 120";
    assert_eq!(app.count(numbers).await, 120);
    assert_eq!(
        app.count("select count(*) from invoices where state = 'draft' or number_seq > 120")
            .await,
        0
    );
    // The next year begins anew.
    app.advance(at("2027-02-03T00:00:00Z").duration_since(app.now()));
    let customer = app.customer(&acme, "Eve").await;
    app.record(
        &acme,
        &[NewUsage::call(customer, 60, at("2027-01-01T10:00:00Z"))],
    )
    .await;
    app.settle().await;
    assert_eq!(
        app.texts("select number from invoices where number_year = 2027")
            .await,
        ["INV-2027-000001"]
    );
}
