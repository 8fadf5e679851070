//! `verify`: a database that the application has filled is clean, and each row that is made wrong is named.

use std::process::Command;

use jiff::SignedDuration;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tollbook::{App, Clock, Db, Difference, Secrets, Settings};
use tollbook_providers::{Http, Timeouts};
use uuid::Uuid;

use crate::support::{Database, Incoming, Line, Organization, TestApp, User, Webhook};

/// What Ann's subscription says: an allowance, then tiers; a third of a cent that stays a third.
const SUBSCRIPTION: &str = r#"{"kind":"subscription","currency":"USD","baseFee":"49",
    "prices":[{"key":"calls","meter":"CALL_DURATION_SECONDS","increment":"60/60","connectionFee":"0.25",
            "rate":{"graduated":{"per":60,"tiers":[{"upTo":600,"price":"1.2"},{"price":"0.9"}]}}},
        {"key":"texts","meter":"SMS_RECEIVED","rate":{"per_unit":{"price":"0.03"}}},
        {"key":"requests","meter":"API_REQUEST","rate":{"per_unit":{"price":"0.01","per":3}}}],
    "allowances":[{"key":"minutes","meters":["CALL_DURATION_SECONDS"],"quantity":300}]}"#;
const PAY_PER_CALL: &str = r#"{"kind":"pay_per_call","currency":"USD",
    "prices":[{"key":"calls","meter":"CALL_DURATION_SECONDS","increment":"60/60","rate":{"per_unit":{"price":"2","per":60}}}]}"#;
/// What the platform sells to the organization.
const PLATFORM: &str = r#"{"kind":"subscription","currency":"USD","baseFee":"10",
    "prices":[{"key":"requests","meter":"API_REQUEST","rate":{"per_unit":{"price":"0.001"}}},
        {"key":"time","meter":"CALL_DURATION_SECONDS","increment":"1/1","rate":{"per_unit":{"price":"0.01","per":60}}}]}"#;

struct Filling {
    app: TestApp,
    acme: Organization,
    line: Line,
    key: String,
    ann: Uuid,
    requests: usize,
}

/// An organization that sells and is sold to, with a month and a half of traffic that went the way of all traffic; no
/// worker is running any more.
async fn filled() -> TestApp {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let member = app.member(&acme).await;
    set_up(&app, &acme).await;
    let line = app.line(&acme, &admin, "+12125550142").await;
    let held: Uuid = one(
        &app,
        "select id from phone_numbers where e164 = '+12125550142'",
    )
    .await;
    let mut tx = app.platform().await;
    sqlx::query("insert into assignments (organization_id, id, phone_number_id, user_id, starts_at) select organization_id, gen_random_uuid(), phone_number_id, $2, starts_at from number_mappings where phone_number_id = $1")
        .bind(held)
        .bind(member.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let (ann, bob) = (
        customer(&app, &acme, &admin, "Ann", "+12025550101").await,
        customer(&app, &acme, &admin, "Bob", "+12025550102").await,
    );
    sell(&app, &acme, ann).await;
    let mut tx = app.platform().await;
    sqlx::query("update customers set tax_percent = 8.25 where id = $1")
        .bind(bob)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    app.app.settle().await.unwrap();
    let key = app.api_key(&admin, &acme, &["usage"]).await;
    let mut filling = Filling {
        app,
        acme,
        line,
        key,
        ann,
        requests: 0,
    };
    filling.busy_day("a").await;
    // Over the end of the month, until its documents are final.
    filling.app.advance(SignedDuration::from_hours(24 * 32));
    filling.app.app.settle().await.unwrap();
    prepay(&filling.app, &filling.acme, &admin, bob).await;
    filling.busy_day("b").await;
    let Filling {
        mut app, acme, key, ..
    } = filling;
    let call = json!({"key": "a", "direction": "outgoing", "from": "+12125550142", "to": "+12025550102", "seconds": 60});
    let ask = app.post("/api/calls/authorize").bearer(&key).json(&call);
    ask.send().await.expect(201);
    pay(&app, &acme).await;
    // Six voice logs each month: what corrects one is none. Minutes are started by calls: 5 + 7 + 12 + 2 + 1 + 2.
    let months = "select count(*) from number_counters where (voice_seconds, voice_minutes, voice_calls, sms_sent, sms_received) = (1541, 29, 6, 0, 1)";
    assert_eq!(app.count(months).await, 2);
    app.stop().await;
    app
}

async fn one(app: &TestApp, query: &'static str) -> Uuid {
    let mut tx = app.platform().await;
    sqlx::query_scalar(query).fetch_one(&mut *tx).await.unwrap()
}

/// Plans and pay-per-call terms, and the organization's own subscription.
async fn set_up(app: &TestApp, acme: &Organization) {
    let now = jiff_sqlx::ToSqlx::to_sqlx(app.now() - SignedDuration::from_hours(24));
    let mut tx = app.platform().await;
    sqlx::query("update organizations set zone = 'America/New_York' where id = $1")
        .bind(acme.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    for (seller, code, document) in [
        (acme.id.uuid(), "care", SUBSCRIPTION),
        (acme.id.uuid(), "calls", PAY_PER_CALL),
        (Uuid::nil(), "platform", PLATFORM),
    ] {
        let plan = Uuid::now_v7();
        sqlx::query("insert into plans (seller_id, id, code, name, kind) values ($1, $2, $3, $3, ($4::jsonb) ->> 'kind')")
            .bind(seller).bind(plan).bind(code).bind(document).execute(&mut *tx).await.unwrap();
        sqlx::query("insert into plan_versions (seller_id, id, plan_id, version, state, currency, document, published_at) values ($1, $2, $2, 1, 'published', 'USD', $3::jsonb, $4)")
            .bind(seller).bind(plan).bind(document).bind(now).execute(&mut *tx).await.unwrap();
    }
    sqlx::query("insert into pay_per_call_terms (organization_id, id, plan_version_id, starts_at) select seller_id, id, id, $2 from plans where seller_id = $1 and code = 'calls'")
        .bind(acme.id.uuid()).bind(now).execute(&mut *tx).await.unwrap();
    let account = Uuid::now_v7();
    sqlx::query(
        "insert into accounts (organization_id, id, payer) values ($1, $2, 'organization')",
    )
    .bind(acme.id.uuid())
    .bind(account)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    subscribe(app, acme, None, account, "platform").await;
}

/// A subscription since yesterday; its periods, fees and grants are left to the application.
async fn subscribe(
    app: &TestApp,
    acme: &Organization,
    customer: Option<Uuid>,
    account: Uuid,
    plan: &str,
) {
    let since = app.now() - SignedDuration::from_hours(24);
    let starts_at = jiff_sqlx::ToSqlx::to_sqlx(since);
    let mut tx = app.platform().await;
    let id = Uuid::now_v7();
    sqlx::query("insert into subscriptions (organization_id, id, payer, customer_id, account_id, state, zone, anchor_on, interval_months, starts_at)
         values ($1, $2, case when $3::uuid is null then 'organization' else 'customer' end, $3, $4, 'active', 'America/New_York', '2026-03-02', 1, $5)")
        .bind(acme.id.uuid()).bind(id).bind(customer).bind(account).bind(starts_at).execute(&mut *tx).await.unwrap();
    sqlx::query("insert into subscription_segments (organization_id, id, subscription_id, seller_id, plan_version_id, starts_at)
         select $1, gen_random_uuid(), $2, p.seller_id, p.id, $4 from plans p where p.code = $3")
        .bind(acme.id.uuid()).bind(id).bind(plan).bind(starts_at).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn sell(app: &TestApp, acme: &Organization, customer: Uuid) {
    let mut tx = app.platform().await;
    let account: Uuid = sqlx::query_scalar("select account_id from customers where id = $1")
        .bind(customer)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    subscribe(app, acme, Some(customer), account, "care").await;
}

async fn customer(
    app: &TestApp,
    acme: &Organization,
    admin: &User,
    name: &str,
    e164: &str,
) -> Uuid {
    let made = app
        .post("/api/customers")
        .user(admin)
        .organization(acme)
        .json(&json!({"name": name, "phoneNumbers": [e164]}))
        .send()
        .await
        .expect(201);
    made["id"].as_str().unwrap().parse().unwrap()
}

impl Filling {
    /// Calls of every kind, messages, usage from elsewhere; corrections of what was said before.
    async fn busy_day(&mut self, day: &str) {
        let at = self.app.now();
        let (mut told, mut corrected) = (Vec::new(), Vec::new());
        for (n, (from, talked)) in [
            ("+12025550101", 200),
            ("+12025550101", 400),
            ("+12025550101", 700),
            ("+12025550102", 61),
            ("+12025550177", 30),
        ]
        .into_iter()
        .enumerate()
        {
            let sid = format!("AC{day}{n}");
            let minutes = i64::try_from(n).unwrap() * 20;
            let call = Incoming {
                sid: &sid,
                from,
                at: at - SignedDuration::from_mins(120 - minutes),
            };
            told.extend([
                call.ringing(&self.line),
                call.answered(&self.line, talked),
                call.recorded(&self.line, talked),
            ]);
        }
        let missed = Incoming {
            sid: &format!("AC{day}missed"),
            from: "+12025550102",
            at: at - SignedDuration::from_mins(50),
        };
        told.push(missed.missed(&self.line));
        let voicemail = Incoming {
            sid: &format!("AC{day}voicemail"),
            from: "+12025550101",
            at: at - SignedDuration::from_mins(40),
        };
        told.push(voicemail.voicemail(&self.line));
        told.push(Webhook::message(
            &self.line,
            &format!("SM{day}"),
            "+12025550101",
            at - SignedDuration::from_mins(30),
        ));
        // It was answered after all; and a call took longer than was said, so those after it get less of the allowance.
        corrected.push(missed.answered(&self.line, 90));
        let longer = Incoming {
            sid: &format!("AC{day}0"),
            from: "+12025550101",
            at: at - SignedDuration::from_mins(120),
        };
        corrected.push(longer.answered(&self.line, 260));
        for webhooks in [told, corrected] {
            for webhook in &webhooks {
                assert_eq!(self.app.deliver(&self.line, webhook).await.status, 204);
            }
            self.app.app.settle().await.unwrap();
        }
        self.report(25).await;
        self.app.app.settle().await.unwrap();
    }

    async fn report(&mut self, count: usize) {
        let events: Vec<_> = (self.requests..self.requests + count)
            .map(|n| json!({"usageType": "API_REQUEST", "quantity": 1, "idempotencyKey": format!("request-{n}"), "customerId": self.ann}))
            .collect();
        self.requests += count;
        let answer = self
            .app
            .post("/api/billing/usage/batch")
            .bearer(&self.key)
            .json(&json!({"events": events}))
            .send()
            .await;
        assert_eq!(answer.expect(200)["stored"], count, "{}", self.acme.name);
    }
}

/// A wallet with credit for what a customer will use.
async fn prepay(app: &TestApp, acme: &Organization, admin: &User, customer: Uuid) {
    let post = async |path: &str, body: serde_json::Value| {
        let ask = app.post(path).user(admin).organization(acme);
        ask.json(&body).send().await.expect(201)
    };
    let wallet = post("/api/admin/wallets", json!({"customerId": customer})).await;
    let path = format!(
        "/api/admin/wallets/{}/movements",
        wallet["id"].as_str().unwrap()
    );
    let body = json!({"kind": "top_up", "amount": "20", "reference": "transfer"});
    post(&path, body).await;
}

/// An invoice that is withdrawn, and its usage gathered again. Of an invoice with tax a credit note and a payment, of which
/// some is left as credit and some is taken off the invoice again; credit that is used, and a payment that is taken back.
async fn pay(app: &TestApp, acme: &Organization) {
    let admin = app.admin(acme).await;
    let invoice = one(app, "select id from invoices where payer = 'customer' and state = 'finalized' and tax_minor > 0 order by id limit 1").await;
    let customer = one(app, "select customer_id from invoices where payer = 'customer' and state = 'finalized' and tax_minor > 0 order by id limit 1").await;
    let post = async |path: &str, body: serde_json::Value| {
        let ask = app.post(path).user(&admin).organization(acme);
        let answer = ask.json(&body).send().await;
        assert!([200, 201].contains(&answer.status), "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let record = async |channel: &str, amount: &str, invoices: serde_json::Value| {
        let body = json!({"customerId": customer, "channel": channel, "amount": amount, "invoices": invoices});
        post("/api/admin/payments", body).await
    };
    let twice = one(app, "select id from invoices where payer = 'customer' and state = 'finalized' and kind = 'period' and tax_minor = 0 order by id limit 1").await;
    let reason = json!({"reason": "twice"});
    post(&format!("/api/admin/invoices/{twice}/void"), reason).await;
    let note = json!({"reason": "goodwill", "amount": "1.00"});
    post(&format!("/api/admin/invoices/{invoice}/credit-notes"), note).await;
    let named = |amount: &str| json!([{"invoiceId": invoice, "amount": amount}]);
    let payment = record("transfer", "2.50", named("2.00")).await;
    let off = json!({"invoiceId": invoice, "amount": "0.30"});
    post(&format!("/api/admin/payments/{payment}/unallocate"), off).await;
    record("credit", "0.10", named("0.10")).await;
    let wrong = record("check", "1.00", named("0.40")).await;
    let reason = json!({"reason": "bounced"});
    post(&format!("/api/admin/payments/{wrong}/reverse"), reason).await;
}

/// The application on a copy of a database, with no worker running.
async fn app_on(database: &Database) -> App {
    let db = Db::connect(&database.connection, 4).await.unwrap();
    let http = Http::new(Timeouts::default()).unwrap();
    App::new(
        db,
        Clock::System,
        Settings::defaults(),
        Secrets::new("a secret key of the tests, long enough"),
        http,
    )
}

async fn differences(app: &App) -> Vec<Difference> {
    let report = app.verify(|_| {}).await.unwrap();
    assert_eq!(report.count, report.differences.len());
    report.differences
}

fn shown(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A row made wrong: the statement returns the key that must be named, with this table and aspect.
struct Fault {
    table: &'static str,
    what: &'static str,
    sql: &'static str,
}

const fn fault(table: &'static str, what: &'static str, sql: &'static str) -> Fault {
    Fault { table, what, sql }
}

/// One for each thing that is compared.
const FAULTS: &[Fault] = &[
    // Counters.
    fault(
        "usage_counters",
        "quantity",
        "update usage_counters set quantity = quantity + 1 where meter = 'CALL_DURATION_SECONDS' and ctid = (select min(ctid) from usage_counters where meter = 'CALL_DURATION_SECONDS') returning meter",
    ),
    fault(
        "usage_counters",
        "events",
        "update usage_counters set events = events - 1 where ctid = (select min(ctid) from usage_counters where meter = 'API_REQUEST') returning meter",
    ),
    fault(
        "usage_counters",
        "period_end",
        "update usage_counters set period_end = period_end + interval '1 day' where ctid = (select min(ctid) from usage_counters where meter = 'API_REQUEST') returning meter",
    ),
    fault(
        "usage_counters",
        "counter",
        "delete from usage_counters where ctid = (select min(ctid) from usage_counters where meter = 'SMS_RECEIVED') returning meter",
    ),
    fault(
        "number_counters",
        "voice_seconds",
        "update number_counters set voice_seconds = voice_seconds + 1 where ctid = (select min(ctid) from number_counters) returning id::text",
    ),
    fault(
        "number_counters",
        "voice_minutes",
        "update number_counters set voice_minutes = voice_minutes - 1 where ctid = (select min(ctid) from number_counters) returning id::text",
    ),
    fault(
        "number_counters",
        "voice_calls",
        "update number_counters set voice_calls = voice_calls + 1 where ctid = (select min(ctid) from number_counters) returning id::text",
    ),
    fault(
        "number_counters",
        "sms_sent",
        "update number_counters set sms_sent = sms_sent + 1 where ctid = (select min(ctid) from number_counters) returning id::text",
    ),
    fault(
        "number_counters",
        "sms_received",
        "update number_counters set sms_received = sms_received + 1 where ctid = (select min(ctid) from number_counters) returning id::text",
    ),
    fault(
        "number_counters",
        "counter",
        "delete from number_counters where ctid = (select min(ctid) from number_counters) returning mapping_id::text",
    ),
    // Usage events.
    fault(
        "usage_events",
        "key_digest",
        "update usage_events set key_digest = '\\x00112233445566778899aabbccddeeff' where ctid = (select min(ctid) from usage_events) returning id::text",
    ),
    fault(
        "usage_events",
        "corrects_id",
        "update usage_events set corrects_id = gen_random_uuid() where ctid = (select min(ctid) from usage_events where corrects_id is not null) returning id::text",
    ),
    fault(
        "usage_events",
        "customer_id",
        "update usage_events set customer_id = gen_random_uuid() where ctid = (select min(ctid) from usage_events where meter = 'API_REQUEST') returning id::text",
    ),
    fault(
        "usage_events",
        "mapping_id",
        "update usage_events set mapping_id = gen_random_uuid() where ctid = (select min(ctid) from usage_events where meter = 'SMS_RECEIVED') returning id::text",
    ),
    fault(
        "usage_events",
        "call_id",
        "update usage_events set call_id = gen_random_uuid() where ctid = (select min(ctid) from usage_events where call_id is not null) returning id::text",
    ),
    fault(
        "usage_events",
        "meter",
        "update usage_events set meter = 'UNKNOWN' where ctid = (select min(ctid) from usage_events) returning id::text",
    ),
    // What usage is charged.
    fault(
        "usage_events",
        "charges in force of the customer",
        "delete from charges where usage_event_id = (select usage_event_id from charges where meter = 'API_REQUEST' and payer = 'customer' order by id limit 1) and payer = 'customer' returning usage_event_id::text",
    ),
    fault(
        "usage_events",
        "charges in force of the organization",
        "delete from charges where usage_event_id = (select usage_event_id from charges where payer = 'organization' and kind = 'usage' order by id limit 1) and payer = 'organization' returning usage_event_id::text",
    ),
    fault(
        "usage_events",
        "charges in force of the customer",
        "insert into charges select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'revision', c.revision + 1))).* from charges c where meter = 'API_REQUEST' and payer = 'customer' order by id limit 1 returning usage_event_id::text",
    ),
    fault(
        "usage_events",
        "charges in force of the customer",
        "delete from subscription_segments where ctid = (select min(g.ctid) from subscription_segments g join subscriptions s on s.id = g.subscription_id where s.payer = 'customer') returning (select u.id::text from usage_events u join charges c on c.usage_event_id = u.id and c.payer = 'customer' where u.meter = 'API_REQUEST' order by u.id limit 1)",
    ),
    fault(
        "usage_events",
        "quantity charged to the customer",
        "update usage_events set quantity = 2 where ctid = (select min(u.ctid) from usage_events u where meter = 'API_REQUEST') returning id::text",
    ),
    fault(
        "usage_events",
        "seconds billed to the customer",
        "update usage_events set quantity = quantity + 3600 where id = (select usage_event_id from charges where meter = 'CALL_DURATION_SECONDS' and payer = 'customer' and kind = 'overage' and reverses_id is null order by id limit 1) returning id::text",
    ),
    fault(
        "usage_events",
        "payer of the charges in force of the customer",
        "update charges set account_id = (select account_id from customers where name = 'Bob') where ctid = (select min(ctid) from charges where meter = 'API_REQUEST' and payer = 'customer') returning usage_event_id::text",
    ),
    fault(
        "rating_queue",
        "lane",
        "insert into rating_queue (lane, organization_id, account_id, usage_event_id) select (((hashtextextended(account_id::text, 0) & 63) + 1) % 64)::smallint, organization_id, account_id, usage_event_id from charges where payer = 'customer' and usage_event_id is not null order by id limit 1 returning seq::text",
    ),
    fault(
        "rating_queue",
        "account_id",
        "insert into rating_queue (lane, organization_id, account_id, usage_event_id) select (hashtextextended(b.account_id::text, 0) & 63)::smallint, u.organization_id, b.account_id, u.id from usage_events u join customers b on b.name = 'Bob' where u.meter = 'API_REQUEST' order by u.id limit 1 returning seq::text",
    ),
    // Charges.
    fault(
        "charges",
        "reverses_id",
        "update charges set quantity = quantity - 1 where ctid = (select min(ctid) from charges where reverses_id is not null) returning id::text",
    ),
    fault(
        "charges",
        "amount",
        "update charges set amount = amount + 0.000000000001 where ctid = (select min(ctid) from charges where kind = 'usage') returning id::text",
    ),
    fault(
        "charges",
        "usage_event_id",
        "update charges set call_id = gen_random_uuid() where ctid = (select min(ctid) from charges where usage_event_id is not null) returning id::text",
    ),
    fault(
        "charges",
        "period_id",
        "update charges set occurred_at = occurred_at + interval '1 day' where ctid = (select min(ctid) from charges where period_id is not null) returning id::text",
    ),
    fault(
        "charges",
        "invoice_id",
        "update charges set invoice_id = null where ctid = (select min(ctid) from charges where kind = 'usage') returning id::text",
    ),
    fault(
        "charges",
        "line_group",
        "update charges set line_group = 'other/usage' where ctid = (select min(ctid) from charges where kind = 'usage') returning id::text",
    ),
    fault(
        "charges",
        "grant_id",
        "update charges set grant_id = gen_random_uuid() where ctid = (select min(ctid) from charges where grant_id is not null) returning id::text",
    ),
    fault(
        "charges",
        "account_id",
        "update charges set account_id = (select id from accounts where payer = 'organization') where ctid = (select min(ctid) from charges where payer = 'customer') returning id::text",
    ),
    fault(
        "charges",
        "plan_version_id",
        "update charges set plan_version_id = gen_random_uuid() where ctid = (select min(ctid) from charges where kind = 'usage') returning id::text",
    ),
    fault(
        "charges",
        "amount by its trace",
        "update charges set amount_numerator = amount_numerator + 1 where ctid = (select min(ctid) from charges where kind = 'overage') returning id::text",
    ),
    fault(
        "charges",
        "amount by its trace",
        "update charges set trace = jsonb_set(trace, '{tier,after}', '\"7\"') where ctid = (select min(ctid) from charges where trace ? 'tier') returning id::text",
    ),
    fault(
        "allowance_grants",
        "used",
        "update allowance_grants set used = used - 1 where ctid = (select min(ctid) from allowance_grants where used > 0) returning id::text",
    ),
    fault(
        "allowance_grants",
        "used and forfeited",
        "update allowance_grants set forfeited = 301 where ctid = (select min(ctid) from allowance_grants) returning id::text",
    ),
    fault(
        "allowance_grants",
        "grant",
        "delete from allowance_grants where ctid = (select min(ctid) from allowance_grants where used > 0) returning id::text",
    ),
    fault(
        "tier_totals",
        "quantity",
        "update tier_totals set quantity = quantity + 1 where ctid = (select min(ctid) from tier_totals) returning price_key",
    ),
    fault(
        "tier_totals",
        "total",
        "delete from tier_totals where ctid = (select min(ctid) from tier_totals) returning price_key",
    ),
    // Documents.
    fault(
        "invoices",
        "lines, taxes and total of a draft",
        "update invoices set subtotal_minor = 5, total_minor = 5 where ctid = (select min(ctid) from invoices where state = 'draft') returning id::text",
    ),
    fault(
        "invoices",
        "paid_minor",
        "update invoices set paid_minor = 1 where ctid = (select min(ctid) from invoices where state = 'finalized') returning id::text",
    ),
    fault(
        "invoices",
        "credited_minor",
        "update invoices set credited_minor = 1 where ctid = (select min(ctid) from invoices where state = 'finalized') returning id::text",
    ),
    fault(
        "invoices",
        "state",
        "update invoices set state = 'paid' where ctid = (select min(ctid) from invoices where state = 'finalized') returning id::text",
    ),
    fault(
        "invoices",
        "number",
        "update invoices set number = number || '1' where ctid = (select min(ctid) from invoices where state = 'finalized') returning id::text",
    ),
    fault(
        "invoices",
        "number_seq",
        "update invoices set number_seq = 9 where ctid = (select max(ctid) from invoices where state = 'finalized' and payer = 'customer') returning id::text",
    ),
    fault(
        "sellers",
        "next_number",
        "update sellers set next_number = next_number + 1 where organization_id is not null returning id::text",
    ),
    fault(
        "invoices",
        "subtotal_minor",
        "update invoices set subtotal_minor = subtotal_minor + 1, total_minor = total_minor + 1 where ctid = (select min(ctid) from invoices where state = 'finalized') returning id::text",
    ),
    fault(
        "invoices",
        "tax_minor",
        "update invoices set subtotal_minor = subtotal_minor - 1, tax_minor = tax_minor + 1 where ctid = (select min(ctid) from invoices where state = 'finalized' and tax_minor > 0) returning id::text",
    ),
    fault(
        "invoice_taxes",
        "taxes of the invoice",
        "update invoice_taxes set tax_minor = tax_minor + 1 returning invoice_id::text",
    ),
    fault(
        "invoice_lines",
        "quantity",
        "update invoice_lines set quantity = quantity + 1 where ctid = (select min(ctid) from invoice_lines) returning id::text",
    ),
    fault(
        "invoice_lines",
        "exact amount",
        "update invoice_lines set amount_numerator = amount_numerator + 1 where ctid = (select min(ctid) from invoice_lines) returning id::text",
    ),
    fault(
        "invoice_lines",
        "amount_minor",
        "update invoice_lines set amount_minor = amount_minor + 1 where ctid = (select min(ctid) from invoice_lines) returning id::text",
    ),
    fault(
        "invoice_lines",
        "charges",
        "update invoice_lines set charges = charges + 1 where ctid = (select min(ctid) from invoice_lines) returning id::text",
    ),
    fault(
        "invoice_lines",
        "line",
        "delete from invoice_lines where ctid = (select min(ctid) from invoice_lines where line_group = 'requests/usage') returning line_group",
    ),
    // The ledger.
    fault(
        "ledger_entries",
        "entry",
        "delete from ledger_entries where ctid = (select min(ctid) from ledger_entries) returning document_id::text",
    ),
    fault(
        "ledger_entries",
        "document_id",
        "update ledger_entries set document_id = gen_random_uuid() where ctid = (select min(ctid) from ledger_entries) returning id::text",
    ),
    fault(
        "ledger_entries",
        "transfers",
        "delete from transfers where entry_id = (select min(id::text)::uuid from ledger_entries) returning entry_id::text",
    ),
    fault(
        "transfers",
        "sum of the entry's transfers",
        "update transfers set amount_minor = amount_minor + 1 where ctid = (select min(ctid) from transfers) returning entry_id::text",
    ),
    fault(
        "transfers",
        "accounts of the entry's transfers",
        "update ledger_accounts set customer_id = gen_random_uuid() where ctid = (select min(ctid) from ledger_accounts where kind = 'receivable' and customer_id is not null) returning (select t.entry_id::text from transfers t where t.debit_account_id = ledger_accounts.id order by t.entry_id limit 1)",
    ),
    fault(
        "ledger_accounts",
        "balance of customer",
        "delete from transfers where entry_id = (select e.id from ledger_entries e where e.payer = 'customer' order by e.id limit 1) returning debit_account_id::text",
    ),
    fault(
        "ledger_entries",
        "revenue of",
        "update transfers t set credit_account_id = o.id from ledger_accounts a join ledger_accounts o on o.payer = a.payer and o.kind = 'revenue' and o.id <> a.id where a.id = t.credit_account_id and a.kind = 'revenue' and a.payer = 'customer' and t.ctid = (select min(x.ctid) from transfers x join ledger_accounts y on y.id = x.credit_account_id and y.kind = 'revenue' and y.payer = 'customer') returning (select e.document_id::text from ledger_entries e where e.id = t.entry_id)",
    ),
    // Credit notes and payments.
    fault(
        "credit_notes",
        "invoice_id",
        "update credit_notes set invoice_id = gen_random_uuid() returning id::text",
    ),
    fault(
        "credit_notes",
        "total_minor",
        "update credit_notes set total_minor = total_minor + 1 returning id::text",
    ),
    fault(
        "ledger_entries",
        "entry",
        "delete from ledger_entries where document = 'credit_note' returning document_id::text",
    ),
    fault(
        "transfers",
        "sum of the entry's transfers",
        "update transfers set amount_minor = amount_minor + 1 where entry_id = (select id from ledger_entries where document = 'credit_note') returning entry_id::text",
    ),
    fault(
        "transfers",
        "accounts of the entry's transfers",
        "update transfers set currency = 'EUR' where entry_id = (select id from ledger_entries where document = 'credit_note') returning entry_id::text",
    ),
    fault(
        "ledger_entries",
        "entry",
        "update payments set state = 'failed' returning id::text",
    ),
    fault(
        "ledger_entries",
        "entry",
        "delete from ledger_entries where document = 'payment' returning document_id::text",
    ),
    fault(
        "transfers",
        "sum of the entry's transfers",
        "update payments set amount_minor = amount_minor + 1 returning (select e.id::text from ledger_entries e where e.document_id = payments.id)",
    ),
    fault(
        "transfers",
        "accounts of the entry's transfers",
        "update transfers set currency = 'EUR' where ctid = (select min(t.ctid) from transfers t join ledger_entries e on e.id = t.entry_id and e.document = 'payment') returning entry_id::text",
    ),
    fault(
        "payments",
        "allocations",
        "update payment_allocations set amount_minor = amount_minor + 1000 returning payment_id::text",
    ),
    fault(
        "payment_allocations",
        "invoice_id",
        "update payment_allocations set invoice_id = (select id from invoices where state = 'draft' order by id limit 1) returning id::text",
    ),
    fault(
        "invoices",
        "entry that takes it back",
        "delete from ledger_entries where document = 'void' returning document_id::text",
    ),
    fault(
        "invoices",
        "documents that gather its charges again",
        "delete from recharges returning void_invoice_id::text",
    ),
    fault(
        "ledger_entries",
        "document_id",
        "update invoices set state = 'finalized', void_reason = null where state = 'void' returning (select e.id::text from ledger_entries e where e.document = 'void' and e.document_id = invoices.id)",
    ),
    fault(
        "credit_notes",
        "sum of its lines and taxes",
        "update credit_note_lines set amount_minor = amount_minor + 1 returning credit_note_id::text",
    ),
    fault(
        "credit_notes",
        "sum of its lines and taxes",
        "delete from credit_note_taxes returning credit_note_id::text",
    ),
    fault(
        "credit_note_lines",
        "given back of line",
        "update invoice_lines l set amount_minor = 0 from credit_note_lines c where c.invoice_line_id = l.id and c.id = (select id from credit_note_lines order by id limit 1) returning c.id::text",
    ),
    fault(
        "credit_note_taxes",
        "given back of the tax of",
        "update credit_note_taxes set tax_minor = tax_minor + 100000 returning credit_note_id::text",
    ),
    fault(
        "credit_notes",
        "number",
        "update credit_notes set number = 'CN-2026-000009' returning id::text",
    ),
    fault(
        "credit_notes",
        "number_seq",
        "update credit_notes set number_seq = 7 returning id::text",
    ),
    fault(
        "sellers",
        "next_credit_note",
        "update sellers set next_credit_note = next_credit_note + 1 where organization_id is not null returning id::text",
    ),
    fault(
        "payments",
        "allocated_minor",
        "update payments set allocated_minor = allocated_minor + 1 where channel = 'transfer' returning id::text",
    ),
    fault(
        "payments",
        "allocations of what is used up",
        "update payments set amount_minor = amount_minor + 1 where channel = 'credit' returning id::text",
    ),
    fault(
        "payments",
        "allocations of what is used up",
        "update payments set allocated_minor = 40 where channel = 'check' and reverses_id is null returning id::text",
    ),
    fault(
        "payments",
        "reverses_id",
        "update payments set amount_minor = amount_minor - 1 where reverses_id is not null returning id::text",
    ),
    fault(
        "ledger_entries",
        "document_id",
        "update ledger_entries set document_id = gen_random_uuid() where document = 'allocation' returning id::text",
    ),
    fault(
        "transfers",
        "sum of the entry's transfers",
        "update transfers set debit_account_id = credit_account_id, credit_account_id = debit_account_id where entry_id = (select id from ledger_entries where document = 'allocation') returning entry_id::text",
    ),
    fault(
        "ledger_accounts",
        "credit_minor",
        "update ledger_accounts set credit_minor = credit_minor + 1 where kind = 'customer_credit' returning id::text",
    ),
    fault(
        "ledger_accounts",
        "credit of customer",
        "delete from payments where channel = 'transfer' returning (select a.id::text from ledger_accounts a where a.kind = 'customer_credit' and a.customer_id = payments.customer_id)",
    ),
    // Periods and terms.
    fault(
        "billing_periods",
        "days of the schedule",
        "update subscriptions set anchor_on = anchor_on + 1 where ctid = (select min(ctid) from subscriptions) returning (select p.id::text from billing_periods p where p.subscription_id = subscriptions.id order by p.starts_at limit 1)",
    ),
    fault(
        "billing_periods",
        "prev_end",
        "update billing_periods set ends_at = ends_at - interval '1 day' where ctid = (select min(ctid) from billing_periods where prev_end is null) returning (select id::text from billing_periods n where n.subscription_id = billing_periods.subscription_id and n.prev_end is not null order by n.starts_at limit 1)",
    ),
    fault(
        "billing_periods",
        "starts_at",
        "update billing_periods set starts_at = starts_at + interval '1 hour' where ctid = (select min(ctid) from billing_periods where prev_end is null) returning id::text",
    ),
    fault(
        "billing_periods",
        "base fee",
        "with ended as (update subscriptions s set ends_at = p.starts_at + interval '1 hour' from billing_periods p where p.subscription_id = s.id and p.prev_end is null and s.payer = 'customer' returning s.id) select p.id::text from billing_periods p join ended s on s.id = p.subscription_id where p.prev_end is null",
    ),
    fault(
        "subscription_segments",
        "ends_at",
        "update subscription_segments set ends_at = '2099-01-01' where ctid = (select min(ctid) from subscription_segments) returning id::text",
    ),
    fault(
        "subscription_segments",
        "starts_at",
        "update subscription_segments set starts_at = starts_at - interval '1 hour' where ctid = (select min(ctid) from subscription_segments) returning id::text",
    ),
    fault(
        "subscriptions",
        "terms",
        "delete from subscription_segments where ctid = (select min(ctid) from subscription_segments) returning subscription_id::text",
    ),
    fault(
        "billing_periods",
        "base fee",
        "delete from charges where ctid = (select min(ctid) from charges where period_id is not null) returning period_id::text",
    ),
    fault(
        "billing_periods",
        "base fee",
        "with paused as (insert into subscription_pauses (organization_id, id, subscription_id, starts_at, payer)
            select organization_id, gen_random_uuid(), subscription_id, starts_at + interval '3 days', payer from billing_periods order by id limit 1 returning subscription_id, starts_at)
            select p.id::text from billing_periods p join paused z using (subscription_id) where p.starts_at <= z.starts_at and z.starts_at < p.ends_at",
    ),
    fault(
        "subscription_pauses",
        "starts_at",
        "insert into subscription_pauses (organization_id, id, subscription_id, starts_at, ends_at, payer)
            select organization_id, gen_random_uuid(), id, starts_at - interval '3 days', starts_at - interval '1 day', payer from subscriptions limit 1 returning id::text",
    ),
    fault(
        "allowance_grants",
        "granted",
        "update allowance_grants set granted = granted + 1 where ctid = (select min(ctid) from allowance_grants) returning id::text",
    ),
    fault(
        "allowance_grants",
        "granted",
        "update allowance_grants set expires_at = expires_at + interval '1 day' where ctid = (select min(ctid) from allowance_grants) returning id::text",
    ),
    fault(
        "allowance_grants",
        "forfeited",
        "insert into allowance_forfeits (organization_id, grant_id, at, quantity, payer) select organization_id, id, expires_at, 1, payer from allowance_grants order by id limit 1 returning grant_id::text",
    ),
    fault(
        "allowance_grants",
        "carried into its cycle",
        "with older as (insert into allowance_grants (organization_id, id, account_id, allowance_key, granted, starts_at, expires_at, payer)
            select organization_id, gen_random_uuid(), account_id, allowance_key, 10, starts_at - interval '1 day', expires_at, payer from allowance_grants order by id limit 1)
            update allowance_grants set carried_max = 9, carried_at = now() where id = (select id from allowance_grants order by id limit 1) returning id::text",
    ),
    fault(
        "subscriptions",
        "grant of minutes",
        "delete from allowance_grants where ctid = (select min(ctid) from allowance_grants) returning subscription_id::text",
    ),
    fault(
        "spend_totals",
        "amount",
        "update spend_totals set amount = amount + 0.000000000001 where ctid = (select min(ctid) from spend_totals) returning account_id::text",
    ),
    fault(
        "spend_totals",
        "amount",
        "delete from spend_totals where ctid = (select max(ctid) from spend_totals) returning account_id::text",
    ),
    fault(
        "wallets",
        "balance",
        "update wallets set balance = balance + 1 returning id::text",
    ),
    fault(
        "wallets",
        "what is left of its lots",
        "update wallet_lots set used = used + 1 returning wallet_id::text",
    ),
    fault(
        "wallets",
        "reserved",
        "update wallets set reserved = reserved - 1 where reserved > 0 returning id::text",
    ),
    fault(
        "wallets",
        "reserved",
        "update call_reservations set state = 'settled', closed_at = now() where amount > 0 returning wallet_id::text",
    ),
    fault(
        "wallet_lots",
        "used",
        "update wallet_lots set used = used - 1 returning id::text",
    ),
    fault(
        "wallet_lots",
        "amount",
        "update wallet_lots set amount = amount + 1, used = used + 1 returning id::text",
    ),
    fault(
        "wallets",
        "unapplied",
        "update wallets set unapplied = unapplied - 1 returning id::text",
    ),
    fault(
        "wallets",
        "charged on drafts and not drawn",
        "update wallets set undrawn_numerator = undrawn_numerator + 1, undrawn_denominator = 1000000000000 returning id::text",
    ),
    fault(
        "ledger_entries",
        "entry",
        "delete from ledger_entries where document = 'wallet' returning document_id::text",
    ),
    fault(
        "ledger_accounts",
        "wallet of customer",
        "update transfers t set amount_minor = amount_minor + 1 from ledger_accounts a where a.id = t.debit_account_id and a.kind = 'wallet' returning a.id::text",
    ),
    fault(
        "invoices",
        "paid_minor",
        "update invoices set prepaid_minor = prepaid_minor + 1 where ctid = (select min(ctid) from invoices where state <> 'draft') returning id::text",
    ),
    // Communications.
    fault(
        "calls",
        "billable_seconds",
        "update calls set billable_seconds = billable_seconds + 1 where ctid = (select min(ctid) from calls where state = 'ended') returning id::text",
    ),
    fault(
        "calls",
        "usage events of the call",
        "delete from usage_events where ctid = (select min(ctid) from usage_events where meter = 'CALL_RECEIVED') returning call_id::text",
    ),
    fault(
        "calls",
        "merged_into_id",
        "update calls set merged_into_id = gen_random_uuid() where ctid = (select min(ctid) from calls) returning id::text",
    ),
    fault(
        "calls",
        "leg_count",
        "update calls set leg_count = leg_count + 1 where ctid = (select min(ctid) from calls) returning id::text",
    ),
    fault(
        "calls",
        "state",
        "update calls set state = 'in_progress' where ctid = (select min(ctid) from calls where state = 'ended') returning id::text",
    ),
    fault(
        "calls",
        "outcome",
        "update calls set outcome = 'missed' where ctid = (select min(ctid) from calls where outcome = 'answered') returning id::text",
    ),
    fault(
        "calls",
        "started_at",
        "update calls set started_at = started_at - interval '1 second' where ctid = (select min(ctid) from calls) returning id::text",
    ),
    fault(
        "calls",
        "answered_at",
        "update calls set answered_at = null where ctid = (select min(ctid) from calls where answered_at is not null) returning id::text",
    ),
    fault(
        "calls",
        "ended_at",
        "update calls set ended_at = ended_at + interval '1 second' where ctid = (select min(ctid) from calls where state = 'ended') returning id::text",
    ),
    fault(
        "search_terms",
        "terms",
        "delete from search_terms where ctid = (select min(ctid) from search_terms) returning id::text",
    ),
    fault(
        "search_terms",
        "terms",
        "insert into search_terms (organization_id, term, kind, id) select organization_id, 'nobody', 'customer', gen_random_uuid() from customers order by id limit 1 returning id::text",
    ),
    fault(
        "call_viewers",
        "user_id",
        "delete from call_viewers where ctid = (select min(ctid) from call_viewers) returning call_id::text",
    ),
    fault(
        "messages",
        "usage events of the message",
        "update messages set status = 'failed' where ctid = (select min(ctid) from messages) returning id::text",
    ),
    fault(
        "message_viewers",
        "user_id",
        "delete from message_viewers where ctid = (select min(ctid) from message_viewers) returning message_id::text",
    ),
    fault(
        "voicemails",
        "usage events of the voicemail",
        "update voicemails set sid = 'other' where ctid = (select min(ctid) from voicemails) returning id::text",
    ),
    fault(
        "voicemails",
        "viewer_ids",
        "update voicemails set viewer_ids = '{}' where ctid = (select min(ctid) from voicemails) returning id::text",
    ),
    fault(
        "voicemail_viewers",
        "user_id",
        "delete from voicemail_viewers where ctid = (select min(ctid) from voicemail_viewers) returning voicemail_id::text",
    ),
    fault(
        "recordings",
        "usage events of the recording",
        "update recordings set sid = 'other' where ctid = (select min(ctid) from recordings) returning id::text",
    ),
    fault(
        "recordings",
        "viewer_ids",
        "update recordings set viewer_ids = array[gen_random_uuid()] where ctid = (select min(ctid) from recordings) returning id::text",
    ),
    fault(
        "transcripts",
        "viewer_ids",
        "insert into transcripts (organization_id, call_id, viewer_ids) select organization_id, id, array[gen_random_uuid()] from calls order by id limit 1 returning call_id::text",
    ),
    // Webhooks.
    fault(
        "inbox",
        "meaning",
        "delete from call_legs where ctid = (select min(ctid) from call_legs) returning (select i.id::text from inbox i where position(call_legs.sid in convert_from(i.body, 'UTF8')) > 0 order by i.received_at limit 1)",
    ),
    fault(
        "inbox",
        "meaning",
        "delete from messages where ctid = (select min(ctid) from messages) returning (select i.id::text from inbox i where position(messages.sid in convert_from(i.body, 'UTF8')) > 0 order by i.received_at limit 1)",
    ),
    fault(
        "inbox_keys",
        "key and body_hash",
        "update inbox_keys set body_hash = sha256('other') where ctid = (select min(ctid) from inbox_keys) returning inbox_id::text",
    ),
    fault(
        "inbox_queue",
        "inbox_id",
        "insert into inbox_queue (lane, inbox_id, received_at) values (0, gen_random_uuid(), now()) returning seq::text",
    ),
    // What policies read.
    fault(
        "phone_numbers",
        "organization_id",
        "update phone_numbers set organization_id = null, viewer_ids = '{}' where organization_id is not null returning id::text",
    ),
    fault(
        "phone_numbers",
        "viewer_ids",
        "update phone_numbers set viewer_ids = '{}' where viewer_ids <> '{}' returning id::text",
    ),
    fault(
        "users",
        "organization_ids",
        "update users set organization_ids = '{}' where ctid = (select min(ctid) from users where organization_ids <> '{}') returning id::text",
    ),
];

/// What checks of tables themselves refuse is to be found all the same.
async fn loosen(database: &Database) {
    let mut session = PgConnection::connect(&database.superuser_url)
        .await
        .unwrap();
    let drop_checks = "do $$ declare c record; begin
        for c in select conrelid::regclass as place, conname from pg_constraint
            where contype = 'c' and conislocal and coninhcount = 0 and connamespace = 'public'::regnamespace and conrelid <> 0
        loop execute format('alter table %s drop constraint %I', c.place, c.conname); end loop; end $$";
    sqlx::raw_sql(drop_checks)
        .execute(&mut session)
        .await
        .unwrap();
    session.close().await.unwrap();
}

/// Makes a row wrong with all triggers off, foreign keys included; returns the key that is to be named.
async fn break_row(database: &Database, fault: &Fault) -> Result<String, String> {
    let mut session = PgConnection::connect(&database.superuser_url)
        .await
        .unwrap();
    sqlx::raw_sql("set session_replication_role = replica")
        .execute(&mut session)
        .await
        .unwrap();
    let rows = sqlx::query(AssertSqlSafe(fault.sql))
        .fetch_all(&mut session)
        .await
        .map_err(|error| format!("{}: {error}", fault.sql))?;
    session.close().await.unwrap();
    let row = rows
        .first()
        .ok_or_else(|| format!("nothing to make wrong: {}", fault.sql))?;
    let key: Option<String> = row.get(0);
    key.ok_or_else(|| format!("no key: {}", fault.sql))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_application_wrote_is_clean_and_each_wrong_row_is_named() {
    let filled = filled().await;
    let database = filled.database().copy().await;
    loosen(&database).await;
    let mut failures = Vec::new();
    let app = app_on(&database).await;
    let found = differences(&app).await;
    app.db.close().await;
    if !found.is_empty() {
        failures.push(format!("not clean:\n{}", shown(&found)));
    }
    // Three at a time, of different parts; if one of them is not named, each by itself.
    let third = FAULTS.len().div_ceil(3);
    let groups: Vec<Vec<&Fault>> = (0..third)
        .map(|n| FAULTS.iter().skip(n).step_by(third).collect())
        .collect();
    for groups in groups.chunks(4) {
        let looked = futures_util::future::join_all(
            groups.iter().map(|group| look_at_group(&database, group)),
        )
        .await;
        failures.extend(looked.into_iter().flatten());
    }
    let broken = database.copy().await;
    let key = break_row(&broken, &FAULTS[0]).await.unwrap();
    the_command_says_so(&broken, &key);
    broken.dispose();
    database.dispose();
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        FAULTS.len(),
        failures.join("\n\n")
    );
}

/// The command prints each difference, for people and for programs, and fails.
fn the_command_says_so(database: &Database, key: &str) {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tollbook"))
            .env_clear()
            .env("DATABASE_URL", &database.url)
            .env("TOLLBOOK_DATA_DIR", folder.path())
            .current_dir(folder.path())
            .arg("verify")
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, printed, notes) = run(&[]);
    assert_eq!(
        (code, notes.as_str()),
        (Some(1), "1 difference\n"),
        "{printed}"
    );
    assert!(
        printed.starts_with(&format!("usage_counters {key} "))
            && printed.contains(": quantity: expected "),
        "{printed}"
    );
    let (code, printed, _) = run(&["--json"]);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (code, &report["count"], &report["differences"][0]["table"]),
        (Some(1), &json!(1), &json!("usage_counters"))
    );
}

async fn look_at_group(database: &Database, group: &[&Fault]) -> Vec<String> {
    if look(database, group).await.is_empty() {
        return Vec::new();
    }
    let mut failures = Vec::new();
    for fault in group {
        failures.extend(look(database, &[fault]).await);
    }
    failures
}

/// What is wrong with what `verify` says of faults in one copy.
async fn look(database: &Database, faults: &[&Fault]) -> Vec<String> {
    let copy = database.copy().await;
    let mut keys = Vec::new();
    for fault in faults {
        keys.push(break_row(&copy, fault).await);
    }
    let app = app_on(&copy).await;
    let found = differences(&app).await;
    app.db.close().await;
    copy.dispose();
    let judged = faults.iter().zip(keys).filter_map(|(fault, key)| {
        let key = match key {
            Ok(key) => key,
            Err(error) => return Some(error),
        };
        let is_named = found.iter().any(|it| {
            it.table == fault.table && it.what.starts_with(fault.what) && it.key.contains(&key)
        });
        (!is_named).then(|| {
            format!(
                "{}: {} `{key}` is not named after {}\nbut:\n{}",
                fault.table,
                fault.what,
                fault.sql,
                shown(&found)
            )
        })
    });
    judged.collect()
}
