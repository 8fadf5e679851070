//! What providers charge: pending until it is known, corrected by rows of its own, and what is rated on it.

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tollbook::{BillingRun, Difference};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CallId, CustomerId};
use tollbook_core::money::{Fraction, Price};
use tollbook_core::plans::Offer;
use tollbook_core::rating::{ProviderCost, State, Surroundings, Terms, Usage, rate};
use uuid::Uuid;

use crate::support::{Answer, NewUsage, Organization, TestApp, User, at};

/// A call and what the provider charges for it.
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) cost: Uuid,
    pub(crate) usage: NewUsage,
}

impl TestApp {
    /// A call that was talked for so many seconds, with its usage, and its price pending: borne by `bearer`.
    pub(crate) async fn priced_call(
        &self,
        organization: &Organization,
        customer: CustomerId,
        seconds: i64,
        started_at: Timestamp,
        bearer: &str,
    ) -> Call {
        let (call, cost) = (CallId::from(Uuid::now_v7()), Uuid::now_v7());
        let mut tx = self.platform().await;
        sqlx::query(
            "with i as (
                 insert into integrations (id, organization_id, provider) values ($2, case $7 when 'organization' then $1::uuid end, 'twilio')
             ), c as (
                 insert into calls (organization_id, id, provider, conversation_sid, integration_id, direction, state, outcome, external_party,
                     started_at, answered_at, ended_at, billable_seconds, customer_id)
                 values ($1, $3, 'twilio', 'CA' || $3::uuid, $2, 'incoming', 'ended', 'answered', '+12025550123', $4, $4, $5, $8, $6)
             )
             insert into provider_costs (organization_id, id, bearer, provider, subject, subject_id, occurred_at)
             values ($1, $9, $7, 'twilio', 'call', $3, $4)",
        )
        .bind(organization.id.uuid())
        .bind(Uuid::now_v7())
        .bind(call.uuid())
        .bind(started_at.to_sqlx())
        .bind((started_at + SignedDuration::from_secs(seconds)).to_sqlx())
        .bind(customer.uuid())
        .bind(bearer)
        .bind(seconds)
        .bind(cost)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let usage = NewUsage {
            call: Some(call),
            ..NewUsage::call(customer, seconds, started_at)
        };
        self.record(organization, std::slice::from_ref(&usage))
            .await;
        Call {
            id: call,
            cost,
            usage,
        }
    }

    /// Writes down what a provider charges.
    pub(crate) async fn set_price(
        &self,
        user: &User,
        organization: &Organization,
        cost: Uuid,
        amount: &str,
    ) -> Answer {
        self.post(&format!("/api/admin/costs/{cost}/price"))
            .user(user)
            .organization(organization)
            .json(&json!({"orgId": organization.id, "amount": amount, "currency": "USD"}))
            .send()
            .await
    }

    /// That everything that is derived agrees with what it is derived from, but for calls, which are written without legs here.
    async fn assert_costs_clean(&self) {
        let mut report = self.app.verify(|_| {}).await.unwrap();
        let of_tests = |it: &Difference| {
            ["usage_counters", "calls"].contains(&it.table.as_str()) || it.what == "key_digest"
        };
        report.differences.retain(|it| !of_tests(it));
        assert!(report.differences.is_empty(), "{:#?}", report.differences);
    }

    /// The amounts of all charges, reversals too, in the order in which they were written.
    async fn charged(&self) -> Vec<String> {
        self.texts(
            "select trim_scale(amount)::text from charges where kind <> 'not_charged' order by id",
        )
        .await
    }
}

/// A fifth and a cent on top of what a call costs, and texts at their own price.
fn on_top(more: &Value) -> Value {
    let mut plan = json!({"name": "On top", "kind": "pay_per_call", "currency": "USD", "prices": [
        {"key": "calls", "meter": "CALL_DURATION_SECONDS", "rate": {"cost_plus": {"percent": "20", "fixed": "0.01"}}},
        {"key": "texts", "meter": "SMS_SENT", "rate": {"per_unit": {"price": "0.05"}}}]});
    for (field, value) in more.as_object().unwrap() {
        plan[field] = value.clone();
    }
    plan
}

/// A firm that sells calls on top of what they cost, with a customer.
async fn firm(app: &TestApp, plan: &Value) -> (Organization, User, CustomerId) {
    let (acme, admin) = app.firm().await;
    let plan = app.plan(&admin, &acme, plan).await;
    app.pay_per_call(&acme, plan, at("2026-01-01T00:00:00Z"))
        .await;
    let dana = app.customer(&acme, "Dana").await;
    (acme, admin, dana)
}

const WAITING: &str = "select concat_ws(' ', last_error, '/', cost_id is not null, parked_at is not null) from rating_queue";

#[tokio::test]
async fn usage_on_top_of_a_price_waits_for_it_and_its_draft_does_too() {
    let app = TestApp::quiet().await;
    let (acme, admin, dana) = firm(&app, &on_top(&json!({}))).await;
    let call = app
        .priced_call(&acme, dana, 61, at("2026-03-02T09:00:00Z"), "organization")
        .await;
    let text = NewUsage {
        meter: "SMS_SENT",
        ..NewUsage::call(dana, 1, at("2026-03-02T10:00:00Z"))
    };
    app.record(&acme, &[text]).await;
    app.settle().await;
    assert_eq!(app.charged().await, ["0.05"]);
    assert_eq!(
        app.texts(WAITING).await,
        ["the provider's price is not known yet / t t"]
    );
    // A month later the draft is due, and waits; nobody can finalize it by hand either.
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    let report = app
        .app
        .billing_run(BillingRun::default(), |_| {})
        .await
        .unwrap();
    assert_eq!(report.issued.len(), 0);
    let held = &report.held[0];
    assert_eq!(
        (held.drafts, held.usages_waiting, held.prices_waiting),
        (1, 0, 1)
    );
    // Known: it is charged, and the draft becomes an invoice.
    let known = app
        .set_price(&admin, &acme, call.cost, "0.045")
        .await
        .expect(200);
    assert_eq!(
        (
            &known["status"],
            &known["amount"],
            &known["source"],
            &known["corrections"]
        ),
        (
            &json!("known"),
            &json!("0.045"),
            &json!("by_hand"),
            &json!(0)
        )
    );
    app.settle().await;
    // 0.045 × 1.2 + 0.01.
    assert_eq!(app.charged().await, ["0.05", "0.064"]);
    assert_eq!(app.count("select count(*) from rating_queue").await, 0);
    let totals = app
        .texts("select total_minor::text from invoices where state = 'finalized'")
        .await;
    assert_eq!(totals, ["11"]);
    // Once more, and rated once more: nothing changes.
    app.set_price(&admin, &acme, call.cost, "0.0450")
        .await
        .expect(200);
    app.queue_again(&acme).await;
    app.settle().await;
    assert_eq!(app.charged().await, ["0.05", "0.064"]);
    assert_eq!(app.count("select count(*) from provider_prices").await, 1);
    assert_eq!(
        app.count("select count(*) from audit_log where action = 'cost.priced'")
            .await,
        1
    );
    app.assert_costs_clean().await;
}

#[tokio::test]
async fn a_corrected_price_is_a_new_row_and_what_was_rated_on_it_is_rated_again() {
    let app = TestApp::quiet().await;
    let (acme, admin, dana) = firm(&app, &on_top(&json!({}))).await;
    let call = app
        .priced_call(&acme, dana, 61, at("2026-03-02T09:00:00Z"), "organization")
        .await;
    app.set_price(&admin, &acme, call.cost, "0.045")
        .await
        .expect(200);
    app.settle().await;
    let corrected = app
        .set_price(&admin, &acme, call.cost, "0.05")
        .await
        .expect(200);
    assert_eq!(corrected["corrections"], 1);
    app.settle().await;
    assert_eq!(app.charged().await, ["0.064", "-0.064", "0.07"]);
    let prices = "select concat_ws(' ', revision, trim_scale(amount), trim_scale(change)) from provider_prices order by revision";
    assert_eq!(app.texts(prices).await, ["1 0.045 0.045", "2 0.05 0.005"]);
    // What is invoiced stays; what a later correction adds goes on the next document.
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    app.set_price(&admin, &acme, call.cost, "0.5")
        .await
        .expect(200);
    app.settle().await;
    let invoices = "select concat_ws(' ', i.state, sum(c.amount)::numeric(9, 3)) from charges c join invoices i on i.id = c.invoice_id
        group by i.id, i.state order by i.state desc";
    assert_eq!(
        app.texts(invoices).await,
        ["finalized 0.070", "draft 0.540"]
    );
    // Two corrections that come to nothing together are both followed.
    let other = app
        .priced_call(&acme, dana, 5, at("2026-04-02T09:00:00Z"), "organization")
        .await;
    app.set_price(&admin, &acme, other.cost, "0.2")
        .await
        .expect(200);
    app.settle().await;
    app.set_price(&admin, &acme, other.cost, "0.3")
        .await
        .expect(200);
    app.set_price(&admin, &acme, call.cost, "0.4")
        .await
        .expect(200);
    app.settle().await;
    let in_force = "select trim_scale(amount)::text from charges c where reverses_id is null
        and not exists (select from charges r where r.reverses_id = c.id) order by occurred_at";
    assert_eq!(app.texts(in_force).await, ["0.49", "0.37"]);
    app.assert_costs_clean().await;
    // Nothing that was known is forgotten.
    for statement in [
        "update provider_prices set amount = 1",
        "delete from provider_prices",
    ] {
        assert_eq!(
            app.refusal(statement.to_owned()).await,
            "provider_prices_append_only"
        );
    }
    let refused = app.refusal("update provider_costs set revision = 9".to_owned());
    assert_eq!(refused.await, "provider_costs_revision_fkey");
    let refused =
        app.refusal("update provider_costs set amount = null, known_at = null".to_owned());
    assert_eq!(refused.await, "provider_costs_revision_check");
}

#[tokio::test]
async fn charges_on_top_of_prices_are_those_of_the_rules() {
    let app = TestApp::quiet().await;
    let plan = json!({"name": "On top", "kind": "pay_per_call", "currency": "USD", "prices": [
        {"key": "calls", "meter": "CALL_DURATION_SECONDS", "increment": "60/60", "minimumCharge": "0.02", "maximumCharge": "0.5",
            "connectionFee": "0.003", "rate": {"cost_plus": {"percent": "33.3", "fixed": "0.001"}}}]});
    let (acme, admin, dana) = firm(&app, &plan).await;
    let offer = Offer::read(plan.to_string().as_bytes()).unwrap();
    let terms = Terms::new(&offer.document, &Surroundings::default()).unwrap();
    let prices = [
        "0",
        "0.0001",
        "0.0125",
        "0.013",
        "0.0466",
        "0.3333333333",
        "0.9",
    ];
    let mut expected = Vec::new();
    for (n, price) in (1_i64..).zip(prices) {
        let began = at("2026-03-02T09:00:00Z") + SignedDuration::from_mins(n);
        let call = app
            .priced_call(&acme, dana, 37 * n, began, "organization")
            .await;
        app.set_price(&admin, &acme, call.cost, price)
            .await
            .expect(200);
        let usage = Usage {
            id: call.usage.id.into(),
            meter: "CALL_DURATION_SECONDS".parse().unwrap(),
            quantity: call.usage.quantity.to_string().parse().unwrap(),
            occurred_at: began,
            is_time: true,
            direction: None,
            destination: None,
            provider_cost: ProviderCost::Known(price.parse::<Price>().unwrap()),
        };
        let state = State {
            period_start: Timestamp::MIN,
            grants: Vec::new(),
            tiers: Vec::new(),
        };
        let rated = rate(&usage, &terms, &state).unwrap();
        let amounts = rated.parts.iter().map(|part| part.amount.unwrap());
        expected.extend(amounts.map(|it: Fraction| (it.numerator(), it.denominator())));
    }
    app.settle().await;
    let stored = app
        .texts("select concat_ws(' ', amount_numerator, amount_denominator) from charges order by occurred_at, part")
        .await;
    let expected: Vec<String> = expected.iter().map(|(n, d)| format!("{n} {d}")).collect();
    assert_eq!(stored, expected);
    app.assert_costs_clean().await;
}

#[tokio::test]
async fn what_no_provider_charges_for_or_in_another_currency_holds_nothing_back() {
    let app = TestApp::quiet().await;
    let (acme, admin, dana) = firm(&app, &on_top(&json!({"currency": "EUR"}))).await;
    // Reported by hand, of no call.
    let by_hand = NewUsage::call(dana, 60, at("2026-03-02T08:00:00Z"));
    app.record(&acme, &[by_hand]).await;
    let call = app
        .priced_call(&acme, dana, 61, at("2026-03-02T09:00:00Z"), "organization")
        .await;
    app.set_price(&admin, &acme, call.cost, "0.045")
        .await
        .expect(200);
    app.settle().await;
    let mut waiting = app.texts(WAITING).await;
    waiting.sort_unstable();
    assert_eq!(
        waiting,
        [
            "no provider charges the seller for it by itself / f t",
            "the provider's price is in USD, and the plan in EUR / f t"
        ]
    );
    let text = NewUsage {
        meter: "SMS_SENT",
        ..NewUsage::call(dana, 1, at("2026-03-02T10:00:00Z"))
    };
    app.record(&acme, &[text]).await;
    app.settle().await;
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    assert_eq!(
        app.count("select count(*) from invoices where state = 'finalized'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_price_that_becomes_known_while_its_usage_is_rated_is_seen() {
    let app = TestApp::start().await;
    let (acme, _, dana) = firm(&app, &on_top(&json!({}))).await;
    // Somebody is about to write the price down.
    let call = app
        .priced_call(&acme, dana, 61, at("2026-03-02T09:00:00Z"), "organization")
        .await;
    let mut tx = app.platform().await;
    sqlx::query("delete from rating_queue")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = app.platform().await;
    sqlx::query("select from provider_costs where id = $1 for no key update")
        .bind(call.cost)
        .execute(&mut *tx)
        .await
        .unwrap();
    app.queue_again(&acme).await;
    app.somebody_waits().await;
    sqlx::raw_sql(
        "insert into provider_prices (organization_id, id, cost_id, bearer, revision, source, amount, change, currency, known_at)
             select organization_id, gen_random_uuid(), id, bearer, 1, 'asked', 0.045, 0.045, 'USD', '2026-03-02Z' from provider_costs;
         update provider_costs set amount = 0.045, currency = 'USD', revision = 1, known_at = '2026-03-02Z'",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    app.eventually("the call is charged", async || {
        app.count("select count(*) from charges where amount = 0.064")
            .await
            == 1
    })
    .await;
}

#[tokio::test]
async fn only_who_bears_a_cost_sees_it_and_says_what_it_is() {
    let app = TestApp::quiet().await;
    let (acme, admin, dana) = firm(&app, &on_top(&json!({}))).await;
    let (member, boss) = (app.member(&acme).await, app.platform_admin().await);
    let other = app.organization("Other").await;
    let stranger = app.admin(&other).await;
    let began = at("2026-03-02T09:00:00Z");
    let own = app
        .priced_call(&acme, dana, 61, began, "organization")
        .await;
    let platforms = app.priced_call(&acme, dana, 61, began, "platform").await;
    let list = async |user: &User, more: &str| {
        let path = format!(
            "/api/admin/costs?orgId={}&from=2026-03-01&to=2026-03-31{more}",
            acme.id
        );
        let ask = app.get(&path);
        ask.user(user).organization(&acme).send().await
    };
    let ids = |list: Value| -> Vec<String> {
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        ids(list(&admin, "").await.expect(200)),
        [own.cost.to_string()]
    );
    assert_eq!(
        ids(list(&boss, "").await.expect(200)),
        [platforms.cost.to_string()]
    );
    assert_eq!(list(&member, "").await.status, 403);
    assert_eq!(list(&stranger, "").await.status, 404);
    let set = async |user: &User, cost| app.set_price(user, &acme, cost, "0.1").await.status;
    assert_eq!(set(&admin, platforms.cost).await, 404);
    assert_eq!(set(&boss, own.cost).await, 404);
    assert_eq!(set(&member, own.cost).await, 403);
    assert_eq!(set(&stranger, own.cost).await, 404);
    assert_eq!(set(&boss, platforms.cost).await, 200);
    assert_eq!(set(&admin, own.cost).await, 200);
    assert!(ids(list(&admin, "&pending=true").await.expect(200)).is_empty());
    assert_eq!(
        ids(list(&admin, "&pending=false").await.expect(200)).len(),
        1
    );
    // Bad input is named.
    let path = format!("/api/admin/costs/{}/price", own.cost);
    for (body, field) in [
        (json!({"amount": -1, "currency": "USD"}), "amount"),
        (json!({"amount": "a", "currency": "USD"}), "amount"),
        (json!({"amount": 1, "currency": "EUR"}), "currency"),
        (json!({"amount": 1, "currency": "XX"}), "currency"),
        (json!({"amount": 1}), "currency"),
    ] {
        let ask = app.post(&path).user(&admin).organization(&acme).json(&body);
        let refused = ask.send().await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
}

#[tokio::test]
async fn costs_are_posted_by_day_and_nothing_that_is_rounded_away_is_lost() {
    let app = TestApp::quiet().await;
    let (acme, admin, dana) = firm(&app, &on_top(&json!({}))).await;
    let boss = app.platform_admin().await;
    // Three days with 0.4 cents each: 0, then 1, then 0 of them.
    for day in 0..3 {
        let began = app.now();
        let own = app
            .priced_call(&acme, dana, 61, began, "organization")
            .await;
        app.set_price(&admin, &acme, own.cost, "0.004")
            .await
            .expect(200);
        if day == 1 {
            let platforms = app.priced_call(&acme, dana, 61, began, "platform").await;
            app.set_price(&boss, &acme, platforms.cost, "2")
                .await
                .expect(200);
        }
        app.settle().await;
        app.advance(SignedDuration::from_hours(24));
    }
    app.settle().await;
    app.settle().await;
    let days = "select concat_ws(' ', day, bearer, meter, trim_scale(amount), trim_scale(total), amount_minor) from provider_cost_days order by bearer, day";
    assert_eq!(
        app.texts(days).await,
        [
            "2026-03-02 organization CALL_DURATION_SECONDS 0.004 0.004 0",
            "2026-03-03 organization CALL_DURATION_SECONDS 0.004 0.008 1",
            "2026-03-04 organization CALL_DURATION_SECONDS 0.004 0.012 0",
            "2026-03-03 platform CALL_DURATION_SECONDS 2 2 200",
        ]
    );
    let entries = "select concat_ws(' ', e.payer, e.occurred_at at time zone 'UTC', t.amount_minor, d.kind, d.meter, c.kind)
        from ledger_entries e join transfers t on t.entry_id = e.id join ledger_accounts d on d.id = t.debit_account_id
        join ledger_accounts c on c.id = t.credit_account_id where e.document = 'cost' order by 1";
    assert_eq!(
        app.texts(entries).await,
        [
            "customer 2026-03-03 00:00:00 1 provider_cost CALL_DURATION_SECONDS provider_payable",
            "organization 2026-03-03 00:00:00 200 provider_cost CALL_DURATION_SECONDS provider_payable",
        ]
    );
    // The organization's admin sees its own, and nothing of the platform's.
    let actor = Actor::Admin {
        organization: acme.id,
        user: Some(admin.id),
    };
    for (table, own) in [
        ("ledger_entries where document = 'cost'", 1_i64),
        ("transfers where is_cost", 1),
        (
            "ledger_accounts where kind in ('provider_cost', 'provider_payable')",
            2,
        ),
        ("provider_cost_days", 3),
        ("provider_prices", 3),
    ] {
        let mut tx = app.app.db.begin(&actor).await.unwrap();
        let query = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let seen: i64 = sqlx::query_scalar(query).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(seen, own, "{table}");
    }
    app.assert_costs_clean().await;
    // No price becomes known on a day that is posted.
    let refused = app.refusal(
        "insert into provider_prices (organization_id, id, cost_id, bearer, revision, source, amount, change, currency, known_at)
         select organization_id, gen_random_uuid(), id, bearer, 2, 'asked', 1, 0, 'USD', '2026-03-04T12:00Z' from provider_costs"
            .to_owned(),
    );
    assert_eq!(refused.await, "provider_prices_day_posted");
    // Each row that is made wrong is named.
    for (wrong, named) in [
        (
            "update provider_costs set amount = amount + 1",
            "provider_costs",
        ),
        (
            "update provider_prices set revision = 2, change = change + 1",
            "provider_prices",
        ),
        (
            "update provider_cost_days set amount = amount + 1",
            "provider_cost_days",
        ),
        (
            "update provider_cost_days set total = total + 1",
            "provider_cost_days",
        ),
        (
            "update provider_cost_days set prices = prices + 1",
            "provider_cost_days",
        ),
        (
            "update provider_cost_days set amount_minor = amount_minor + 1",
            "provider_cost_days",
        ),
        (
            "update transfers set amount_minor = amount_minor + 1 where is_cost",
            "ledger_entries",
        ),
        (
            "delete from provider_cost_days where bearer = 'platform'",
            "provider_prices",
        ),
    ] {
        let copy = app.database();
        let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
        drop(copy);
        // Made wrong, looked at, and made right again.
        sqlx::raw_sql("drop table if exists kept_costs, kept_prices, kept_days, kept_transfers; create table kept_costs as table provider_costs; create table kept_prices as table provider_prices;
            create table kept_days as table provider_cost_days; create table kept_transfers as table transfers")
            .execute(&mut owner).await.unwrap();
        let spoil = format!("set session_replication_role = replica; {wrong}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(spoil))
            .execute(&mut owner)
            .await
            .unwrap();
        let report = app.app.verify(|_| {}).await.unwrap();
        let tables: Vec<&str> = report
            .differences
            .iter()
            .map(|it| it.table.as_str())
            .collect();
        assert!(tables.contains(&named), "{wrong}: {tables:?}");
        sqlx::raw_sql("delete from transfers; delete from provider_cost_days; delete from provider_prices; delete from provider_costs;
            insert into provider_costs table kept_costs; insert into provider_prices table kept_prices;
            insert into provider_cost_days table kept_days; insert into transfers table kept_transfers; drop table kept_costs, kept_prices, kept_days, kept_transfers")
            .execute(&mut owner).await.unwrap();
    }
    app.assert_costs_clean().await;
}

#[tokio::test]
async fn nobody_puts_anything_on_a_price_that_somebody_else_bears() {
    let app = TestApp::quiet().await;
    let (acme, _, dana) = firm(&app, &on_top(&json!({}))).await;
    let boss = app.platform_admin().await;
    let plan = app.post("/api/admin/billing-plans").user(&boss);
    let plan = plan.json(&on_top(&json!({"kind": "subscription"})));
    let plan = plan.send().await.expect(201)["id"].clone();
    let body = json!({"orgId": acme.id, "planId": plan, "startDate": "2026-03-01"});
    let ask = app.post("/api/admin/org-subscriptions").user(&boss);
    ask.json(&body).send().await.expect(201);
    let began = at("2026-03-02T09:00:00Z");
    let call = app.priced_call(&acme, dana, 61, began, "platform").await;
    app.set_price(&boss, &acme, call.cost, "0.045")
        .await
        .expect(200);
    app.settle().await;
    let charges = "select concat_ws(' ', payer, trim_scale(amount)) from charges where usage_event_id is not null order by 1";
    assert_eq!(app.texts(charges).await, ["organization 0.064"]);
    assert_eq!(
        app.texts(WAITING).await,
        ["no provider charges the seller for it by itself / f t"]
    );
}
