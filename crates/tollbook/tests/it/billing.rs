//! From plans to documents: what is published stays, periods chain, drafts become documents once, with numbers that have no
//! gaps, and the ledger says the same.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tollbook_core::ids::CustomerId;
use uuid::Uuid;

use crate::support::{NewCall, NewUsage, Organization, TestApp, User};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Runs a statement as the owner of everything; returns the name of the constraint that refuses it.
async fn refusal(app: &TestApp, statement: String) -> String {
    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    let mut tx = owner.begin().await.unwrap();
    match sqlx::raw_sql(AssertSqlSafe(statement.clone()))
        .execute(&mut *tx)
        .await
    {
        Ok(done) => format!("{} rows", done.rows_affected()),
        Err(error) => {
            let error = error.into_database_error().unwrap();
            error.constraint().unwrap_or_default().to_owned()
        }
    }
}

/// The first column of each row as text, as the platform.
async fn texts(app: &TestApp, query: &'static str) -> Vec<String> {
    let mut tx = app.platform().await;
    sqlx::query_scalar(query).fetch_all(&mut *tx).await.unwrap()
}

async fn change(app: &TestApp, statement: &'static str) {
    let mut tx = app.platform().await;
    sqlx::raw_sql(statement).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

fn per_minute(name: &str, price: &str, more: &Value) -> Value {
    let mut plan = json!({"name": name, "currency": "USD", "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS",
        "increment": "60/60", "rate": {"per_unit": {"price": price, "per": 60}}}]});
    for (field, value) in more.as_object().unwrap() {
        plan[field] = value.clone();
    }
    plan
}

/// A firm with an admin.
async fn firm(app: &TestApp) -> (Organization, User) {
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    (acme, admin)
}

#[tokio::test]
async fn a_published_version_never_changes() {
    let app = TestApp::quiet().await;
    let (acme, admin) = firm(&app).await;
    let plan = per_minute("Basic", "0.10", &json!({"code": "basic", "baseFee": "49"}));
    app.plan(&admin, &acme, &plan).await;
    for statement in [
        "update plan_versions set document = '{}'",
        "update plan_versions set state = 'draft', published_at = null",
        "delete from plan_versions",
    ] {
        assert_eq!(
            refusal(&app, statement.to_owned()).await,
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
    let (foreign, other) = firm(&app).await;
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
        (json!({"trialDays": 7}), "trialDays"),
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
    let (acme, admin) = firm(&app).await;
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
    assert_eq!(texts(&app, periods).await, two);
    // 18 of the 28 days from 31 January to 28 February, then a whole month; a grant with each.
    let fees =
        "select trim_scale(amount)::text from charges where kind = 'fee' order by occurred_at";
    assert_eq!(texts(&app, fees).await, ["19.928571428571", "31"]);
    let exact = "select format('%s/%s', amount_numerator, amount_denominator) from charges where kind = 'fee' order by occurred_at limit 1";
    assert_eq!(texts(&app, exact).await, ["279/14"]);
    let grants = "select format('%s %s %s', trim_scale(granted), starts_at at time zone 'UTC', expires_at at time zone 'UTC') from allowance_grants order by starts_at";
    assert_eq!(
        texts(&app, grants).await,
        two.map(|period| format!("600 {period}"))
    );
    // More than a day before its start the next one is not there; then it is, once.
    app.advance(at("2026-03-29T23:00:00Z").duration_since(app.now()));
    app.settle().await;
    assert_eq!(texts(&app, periods).await, two);
    app.advance(SignedDuration::from_hours(2));
    app.settle().await;
    app.settle().await;
    assert_eq!(
        texts(&app, periods).await[2..],
        ["2026-03-31 00:00:00 2026-04-30 00:00:00"]
    );
    assert_eq!(texts(&app, fees).await, ["19.928571428571", "31", "31"]);
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
        assert_eq!(
            refusal(&app, insert(previous, start, end)).await,
            constraint
        );
    }
    assert_eq!(
        refusal(&app, "update billing_periods set ends_at = ends_at".into()).await,
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
    let (acme, admin) = firm(&app).await;
    // A third of a cent a second.
    let thirds = json!({"name": "Thirds", "currency": "USD", "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS",
        "rate": {"per_unit": {"price": "0.01", "per": 3}}}]});
    let plan = app.plan(&admin, &acme, &thirds).await;
    let customer = app.customer(&acme, "Dana").await;
    change(&app, "update customers set tax_percent = 8.25").await;
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
    assert_eq!(texts(&app, DOCUMENTS).await, [""; 0]);
    let drafts = app
        .get("/api/admin/invoices?status=draft")
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(200);
    let path = format!(
        "/api/admin/invoices/{}",
        drafts["data"][0]["id"].as_str().unwrap()
    );
    let preview = app
        .get(&path)
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(200);
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    // 700 seconds are 2.333… dollars: rounded once. 8.25 % of 2.33 are 0.192….
    assert_eq!(
        texts(&app, DOCUMENTS).await,
        ["INV-2026-000001 finalized 252 19"]
    );
    assert_eq!(
        texts(&app, LEDGER).await,
        [
            "INV-2026-000001 receivable/revenue:CALL_DURATION_SECONDS 233",
            "INV-2026-000001 receivable/tax_payable 19",
        ]
    );
    let exact = "select format('%s/%s %s %s', amount_numerator, amount_denominator, amount_minor, charges) from invoice_lines";
    assert_eq!(texts(&app, exact).await, ["7/3 233 7"]);
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
            refusal(&app, statement.to_owned()).await,
            constraint,
            "{statement}"
        );
    }
    // Settling again makes nothing.
    app.settle().await;
    assert_eq!(texts(&app, DOCUMENTS).await.len(), 1);
}

#[tokio::test]
async fn late_usage_goes_on_the_next_document_with_its_own_day() {
    let app = TestApp::quiet().await;
    let (acme, admin) = firm(&app).await;
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
        texts(&app, DOCUMENTS).await,
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
    assert_eq!(texts(&app, DOCUMENTS).await.len(), 1);
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    assert_eq!(
        texts(&app, DOCUMENTS).await,
        [
            "INV-2026-000001 finalized 10 0",
            "INV-2026-000002 finalized 40 0"
        ]
    );
    let lines = "select format('%s %s %s', line_group, amount_minor, starts_at at time zone 'UTC') from invoice_lines l
        where exists (select from invoices i where i.id = l.invoice_id and i.number_seq = 2) order by position";
    assert_eq!(
        texts(&app, lines).await,
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
    let (acme, admin) = firm(&app).await;
    let plan = app
        .plan(
            &admin,
            &acme,
            &per_minute("Basic", "0.10", &json!({"kind": "pay_per_call"})),
        )
        .await;
    app.pay_per_call(&acme, plan, at("2026-01-01T00:00:00Z"))
        .await;
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
    assert_eq!(texts(&app, DOCUMENTS).await, [""; 0]);
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
        texts(&app, DOCUMENTS).await,
        ["INV-2026-000001 finalized 10 0"]
    );
    // Of a document that is taken back whole the payer gets a credit, paid at once.
    let february = NewUsage::call(customer, 60, at("2026-02-20T12:00:00Z"));
    app.record(&acme, std::slice::from_ref(&february)).await;
    app.settle().await;
    assert_eq!(
        texts(&app, DOCUMENTS).await[1..],
        ["INV-2026-000002 finalized 10 0"]
    );
    app.record(&acme, &[february.corrected(-60)]).await;
    app.settle().await;
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    assert_eq!(
        texts(&app, DOCUMENTS).await[2..],
        ["INV-2026-000003 paid -10 0"]
    );
    assert_eq!(
        texts(&app, LEDGER).await[2..],
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
        let (acme, admin) = firm(&app).await;
        let mut tx = app.platform().await;
        sqlx::query("update organizations set pay_per_call_invoicing = $2 where id = $1")
            .bind(acme.id.uuid())
            .bind(invoicing)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let plan = app
            .plan(
                &admin,
                &acme,
                &per_minute("Calls", "0.10", &json!({"kind": "pay_per_call"})),
            )
            .await;
        app.pay_per_call(&acme, plan, at("2026-01-01T00:00:00Z"))
            .await;
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
    let plan = app
        .plan(
            admin,
            acme,
            &per_minute("Basic", "0.10", &json!({"kind": "pay_per_call"})),
        )
        .await;
    app.pay_per_call(acme, plan, at("2026-01-01T00:00:00Z"))
        .await;
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

/// Until a session waits for another one's lock.
async fn somebody_waits(app: &TestApp) {
    // What other sessions wait for, only the superuser sees.
    app.eventually("a session waits for a lock", async || {
        let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        )
        .fetch_one(&mut owner)
        .await
        .unwrap();
        waiting >= 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_on_its_way_when_the_platform_first_sells_is_charged() {
    let app = TestApp::quiet().await;
    let (acme, _) = firm(&app).await;
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
        somebody_waits(&app).await;
        on_its_way.commit().await.unwrap();
    };
    let (sold, ()) = tokio::join!(sale, arrive);
    sold.expect(201);
    app.settle().await;
    assert_eq!(
        texts(&app, "select amount::text from charges where usage_event_id is not null and payer = 'organization'").await,
        ["0.040000000000"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_have_no_gaps_though_two_finalize_at_once_and_one_gives_up() {
    let app = TestApp::quiet().await;
    let beside = app.beside().await;
    let (acme, admin) = firm(&app).await;
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
        somebody_waits(&app).await;
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
        texts(&app, "select number from invoices where number_year = 2027").await,
        ["INV-2027-000001"]
    );
}

/// The seed's own lines, with the ids of this database.
#[tokio::test]
async fn plans_subscriptions_and_invoices_of_the_platform_run_as_documented() {
    let app = TestApp::with(|settings| settings.dev_auth = true).await;
    let (acme, _) = firm(&app).await;
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
    let (acme, admin) = firm(&app).await;
    let (foreign, other) = firm(&app).await;
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
