//! Charges are exact, whatever the order in which usage comes, however often it is corrected, and however many nodes rate:
//! they always equal a fresh rating of what was used in the end.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tollbook_core::ids::{CustomerId, GrantId, UsageEventId};
use tollbook_core::money::{Fraction, Quantity};
use tollbook_core::plans::Offer;
use tollbook_core::rating::{
    Grant, ProviderCost, State, Surroundings, Terms, TierTotal, Usage, rate,
};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use crate::support::{NewUsage, Organization, TestApp, User, at};

/// When subscriptions of these tests begin; the clock shows the second of March.
const START: &str = "2026-01-10";

fn terms(plan: &Value) -> Terms {
    let offer = Offer::read(plan.to_string().as_bytes()).unwrap();
    let surroundings = Surroundings {
        zone: Some(Zone::UTC),
        ..Surroundings::default()
    };
    Terms::new(&offer.document, &surroundings).unwrap()
}

/// Someone who pays, and on which terms from when on.
struct Payer {
    customer: Option<CustomerId>,
    account: Uuid,
    terms: Vec<(Timestamp, Terms)>,
}

/// What was charged, or should have been: the sum, what each grant was used for, what each price counted in each period.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Books {
    total: Fraction,
    used: BTreeMap<Uuid, Quantity>,
    counted: BTreeMap<(String, Timestamp), Quantity>,
}

async fn rows(
    app: &TestApp,
    query: &'static str,
    organization: &Organization,
    id: Uuid,
) -> Vec<PgRow> {
    let mut tx = app.platform().await;
    let found = sqlx::query(query)
        .bind(organization.id.uuid())
        .bind(id)
        .fetch_all(&mut *tx);
    found.await.unwrap()
}

fn time(row: &PgRow, column: usize) -> Timestamp {
    row.get::<jiff_sqlx::Timestamp, _>(column).to_jiff()
}

fn quantity(row: &PgRow, column: usize) -> Quantity {
    Quantity::try_from(row.get::<rust_decimal::Decimal, _>(column)).unwrap()
}

async fn grants(app: &TestApp, acme: &Organization, account: Uuid) -> Vec<Grant> {
    let query =
        "select id, allowance_key, granted, used, starts_at, expires_at from allowance_grants
        where organization_id = $1 and account_id = $2";
    rows(app, query, acme, account)
        .await
        .iter()
        .map(|row| Grant {
            id: GrantId::new(row.get(0)),
            allowance_key: row.get::<&str, _>(1).parse().unwrap(),
            granted: quantity(row, 2),
            used: quantity(row, 3),
            forfeited: Quantity::ZERO,
            starts_at: time(row, 4),
            expires_at: time(row, 5),
        })
        .collect()
}

/// What all usage of a payer comes to when it is rated afresh in canonical order.
async fn fresh(app: &TestApp, acme: &Organization, payer: &Payer) -> Books {
    let mut grants = grants(app, acme, payer.account).await;
    for grant in &mut grants {
        grant.used = Quantity::ZERO;
    }
    let periods = "select b.starts_at, b.ends_at from billing_periods b
        join subscriptions s on s.organization_id = b.organization_id and s.id = b.subscription_id
        where b.organization_id = $1 and s.account_id = $2 order by b.starts_at";
    let periods: Vec<Period> = rows(app, periods, acme, payer.account)
        .await
        .iter()
        .map(|row| Period::new(time(row, 0), time(row, 1)).unwrap())
        .collect();
    let used = "select u.id, u.meter, u.occurred_at, u.quantity + coalesce((select sum(c.quantity) from usage_events c
            where c.organization_id = u.organization_id and c.corrects_id = u.id), 0)
        from usage_events u where u.organization_id = $1 and u.corrects_id is null
            and (u.customer_id = $2 or $2 = '00000000-0000-0000-0000-000000000000') order by u.occurred_at, u.id";
    let customer = payer.customer.map_or(Uuid::nil(), Uuid::from);
    let (mut total, mut tiers) = (Fraction::ZERO, Vec::<TierTotal>::new());
    for row in rows(app, used, acme, customer).await {
        let usage = Usage {
            id: UsageEventId::new(row.get(0)),
            meter: row.get::<&str, _>(1).parse().unwrap(),
            quantity: quantity(&row, 3),
            occurred_at: time(&row, 2),
            is_time: row.get::<&str, _>(1) == "CALL_DURATION_SECONDS",
            direction: None,
            destination: None,
            provider_cost: ProviderCost::Pending,
        };
        let in_force = payer
            .terms
            .iter()
            .rfind(|(from, _)| *from <= usage.occurred_at);
        let Some((_, terms)) = in_force else { continue };
        let period = periods
            .iter()
            .find(|period| period.contains(usage.occurred_at));
        let month = Zone::UTC.month(usage.occurred_at).unwrap();
        let mut state = State {
            period_start: period.unwrap_or(&month).start(),
            grants,
            tiers,
        };
        let rated = rate(&usage, terms, &state).unwrap();
        state.apply(&rated).unwrap();
        total = total.checked_add(rated.total().unwrap().unwrap()).unwrap();
        (grants, tiers) = (state.grants, state.tiers);
    }
    books(
        total,
        &grants,
        tiers.into_iter().map(|tier| {
            (
                (tier.price_key.to_string(), tier.period_start),
                tier.quantity,
            )
        }),
    )
}

fn books(
    total: Fraction,
    grants: &[Grant],
    tiers: impl Iterator<Item = ((String, Timestamp), Quantity)>,
) -> Books {
    let used = grants.iter().map(|grant| (grant.id.uuid(), grant.used));
    Books {
        total,
        used: used.filter(|(_, used)| !used.is_zero()).collect(),
        counted: tiers.filter(|(_, counted)| !counted.is_zero()).collect(),
    }
}

/// What the charges in force of a payer come to, after checking that grants and tier totals agree with them.
async fn charged(app: &TestApp, acme: &Organization, payer: &Payer) -> Books {
    let in_force = "select c.amount_numerator, c.amount_denominator, c.grant_id, c.quantity, c.price_key, jsonb_exists(c.trace, 'tier')
        from charges c where c.organization_id = $1 and c.account_id = $2 and c.usage_event_id is not null and c.reverses_id is null
            and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)";
    let (mut total, mut used) = (Fraction::ZERO, BTreeMap::<Uuid, Quantity>::new());
    let mut counted = BTreeMap::<String, Quantity>::new();
    let add = |sum: &mut Quantity, more| *sum = sum.checked_add(more).unwrap();
    for row in rows(app, in_force, acme, payer.account).await {
        let amount = Fraction::from_decimals(row.get(0), row.get(1)).unwrap();
        total = total.checked_add(amount).unwrap();
        if let Some(grant) = row.get::<Option<Uuid>, _>(2) {
            add(used.entry(grant).or_default(), quantity(&row, 3));
        }
        if row.get(5) {
            add(counted.entry(row.get(4)).or_default(), quantity(&row, 3));
        }
    }
    let tiers = "select price_key, period_start, quantity from tier_totals where organization_id = $1 and account_id = $2";
    let tiers: Vec<_> = rows(app, tiers, acme, payer.account)
        .await
        .iter()
        .map(|row| ((row.get::<String, _>(0), time(row, 1)), quantity(row, 2)))
        .collect();
    let grants = grants(app, acme, payer.account).await;
    let books = books(total, &grants, tiers.into_iter());
    assert_eq!(books.used, used, "grants and the charges that draw on them");
    let mut by_price = BTreeMap::<String, Quantity>::new();
    for ((price, _), quantity) in &books.counted {
        add(by_price.entry(price.clone()).or_default(), *quantity);
    }
    assert_eq!(by_price, counted, "tier totals and the charges that count");
    books
}

async fn check(app: &TestApp, acme: &Organization, payers: &[Payer], when: &str) {
    let parked = app.count("select count(*) from rating_queue").await;
    assert_eq!(parked, 0, "{when}: all usage is rated");
    for (index, payer) in payers.iter().enumerate() {
        let (charged, fresh) = (
            charged(app, acme, payer).await,
            fresh(app, acme, payer).await,
        );
        assert_eq!(charged, fresh, "{when}: payer {index}, {:#?}", payer.terms);
    }
}

/// Rates everything again: nothing may come of it.
async fn check_again(app: &TestApp, acme: &Organization) {
    let charges = "select count(*) from charges";
    let before = app.count(charges).await;
    app.queue_again(acme).await;
    app.settle().await;
    assert_eq!(
        app.count(charges).await,
        before,
        "rating again changes nothing"
    );
}

fn pick<T: Copy>(random: &mut StdRng, items: &[T]) -> T {
    items[random.random_range(0..items.len())]
}

fn random_rate(random: &mut StdRng) -> Value {
    let price = |random: &mut StdRng| pick(random, &["0.01", "0.07", "0.123456789", "1", "0"]);
    let per = pick(random, &["1", "7", "60"]);
    let mut tiers = vec![
        json!({"upTo": pick(random, &["60", "90.5", "300"]), "price": price(random)}),
        json!({"upTo": "1000", "price": price(random), "flatFee": price(random)}),
    ];
    tiers.push(json!({"price": price(random)}));
    match random.random_range(0..4) {
        0 => json!({"per_unit": {"price": price(random), "per": per}}),
        1 => json!({"graduated": {"per": per, "tiers": tiers}}),
        2 => json!({"volume": {"per": per, "tiers": tiers}}),
        _ => {
            json!({"package": {"price": price(random), "size": pick(random, &["10", "60", "600"])}})
        }
    }
}

fn random_price(random: &mut StdRng, key: &str, meter: &str) -> Value {
    let mut price = json!({"key": key, "meter": meter, "rate": random_rate(random)});
    if meter == "CALL_DURATION_SECONDS" {
        price["increment"] = json!(pick(random, &["1/1", "60/60", "30/6"]));
        price["freeSeconds"] = json!(pick(random, &[0, 0, 5]));
    }
    for (fee, amounts) in [
        ("connectionFee", ["0.05", "1"]),
        ("minimumCharge", ["0.1", "0.5"]),
        ("maximumCharge", ["0.5", "2"]),
    ] {
        if random.random_range(0..6) == 0 {
            price[fee] = json!(pick(random, &amounts));
        }
    }
    if random.random_range(0..3) == 0 {
        let draws = random.random_range(0..2) == 0;
        price["bands"] =
            json!([{"band": "night", "rate": random_rate(random), "drawsOnAllowance": draws}]);
    }
    price
}

/// A plan of any of the models, with any of what can be included.
fn random_plan(random: &mut StdRng, kind: &str) -> Value {
    let prices = [
        random_price(random, "calls", "CALL_DURATION_SECONDS"),
        random_price(random, "sms", "SMS_SENT"),
        random_price(random, "replies", "SMS_RECEIVED"),
    ];
    let quantity = pick(random, &[120, 300, 900]);
    let allowances = match random.random_range(0..6) {
        _ if kind == "pay_per_call" => json!([]),
        0 => {
            json!([{"key": "pool", "meters": ["SMS_SENT", "SMS_RECEIVED"], "quantity": quantity}])
        }
        1 => {
            json!([{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": quantity, "rollover": {"cycles": 1}}])
        }
        2 => {
            json!([{"key": "year", "meters": ["CALL_DURATION_SECONDS"], "quantity": quantity, "every": "year"}])
        }
        3 | 4 => {
            json!([{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": quantity}])
        }
        _ => json!([]),
    };
    let calendar = json!({"rules": [{"band": "day", "days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "20:00"}], "otherwise": "night"});
    let name = format!("Plan {}", Uuid::now_v7());
    json!({"name": name, "kind": kind, "currency": "USD", "prices": prices, "allowances": allowances, "calendar": calendar})
}

/// An organization with customers on random plans, itself a customer of the platform.
struct Market {
    acme: Organization,
    admin: User,
    payers: Vec<Payer>,
    random: StdRng,
    used: Vec<(NewUsage, i64)>,
}

impl Market {
    async fn open(app: &TestApp, seed: u64, customers: usize) -> Self {
        let acme = app.organization("Acme").await;
        let admin = app.admin(&acme).await;
        let mut market = Self {
            acme,
            admin,
            payers: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            used: Vec::new(),
        };
        let shared = random_plan(&mut market.random, "pay_per_call");
        let plan = app.plan(&market.admin, &market.acme, &shared).await;
        app.pay_per_call(&market.acme, plan, at("2025-12-01T00:00:00Z"))
            .await;
        for number in 0..customers {
            let customer = app.customer(&market.acme, "Dana").await;
            let mut offered = shared.clone();
            if number % 4 != 0 {
                offered = random_plan(&mut market.random, "subscription");
                let plan = app.plan(&market.admin, &market.acme, &offered).await;
                app.subscribe(&market.admin, &market.acme, customer, plan, START)
                    .await;
            }
            market.add(app, Some(customer), &offered).await;
        }
        market.buy_from_platform(app).await;
        market
    }

    async fn buy_from_platform(&mut self, app: &TestApp) {
        let boss = app.platform_admin().await;
        let offered = json!({"name": "Platform", "currency": "USD", "prices": [
            {"key": "calls", "meter": "CALL_DURATION_SECONDS", "increment": "60/60", "rate": {"graduated": {"per": "60", "tiers": [
                {"upTo": "3000", "price": "0.03"}, {"price": "0.011"}]}}}],
            "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 6000}]});
        let plan = app
            .post("/api/admin/billing-plans")
            .user(&boss)
            .json(&offered)
            .send()
            .await
            .expect(201);
        let body = json!({"orgId": self.acme.id, "planId": plan["id"], "startDate": "2026-01-01", "billingCycleDay": 1});
        app.post("/api/admin/org-subscriptions")
            .user(&boss)
            .json(&body)
            .send()
            .await
            .expect(201);
        self.add(app, None, &offered).await;
    }

    async fn add(&mut self, app: &TestApp, customer: Option<CustomerId>, offered: &Value) {
        let query = match customer {
            Some(_) => "select account_id from customers where organization_id = $1 and id = $2",
            None => {
                "select id from accounts where organization_id = $1 and payer = 'organization' and $2::uuid is not null"
            }
        };
        let found = rows(
            app,
            query,
            &self.acme,
            customer.map_or(Uuid::nil(), Uuid::from),
        )
        .await;
        self.payers.push(Payer {
            customer,
            account: found[0].get(0),
            terms: vec![(Timestamp::MIN, terms(offered))],
        });
    }

    /// New usage and corrections, also of usage that comes with them, in any order.
    fn next(&mut self) -> Vec<NewUsage> {
        let mut batch = Vec::new();
        let customers: Vec<CustomerId> = self
            .payers
            .iter()
            .filter_map(|payer| payer.customer)
            .collect();
        for customer in customers {
            for _ in 0..self.random.random_range(0..4) {
                let minutes = self.random.random_range(0..50 * 24 * 60);
                let occurred_at = at("2026-01-10T00:00:00Z") + SignedDuration::from_mins(minutes);
                let mut usage =
                    NewUsage::call(customer, self.random.random_range(0..400), occurred_at);
                if self.random.random_range(0..4) == 0 {
                    usage.meter = pick(&mut self.random, &["SMS_SENT", "SMS_RECEIVED"]);
                }
                self.used.push((usage.clone(), usage.quantity));
                batch.push(usage);
            }
        }
        for _ in 0..self.used.len() / 5 {
            let index = self.random.random_range(0..self.used.len());
            let to = match self.random.random_range(0..4) {
                0 => 0,
                _ => self.random.random_range(0..500),
            };
            let (usage, quantity) = &mut self.used[index];
            if to != *quantity {
                batch.push(usage.corrected(to - *quantity));
                *quantity = to;
            }
        }
        batch
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charges_equal_a_fresh_rating_whatever_comes_in_whatever_order() {
    let app = TestApp::quiet().await;
    for seed in 0..3 {
        let mut market = Market::open(&app, seed, 16).await;
        for round in 0..5 {
            let batch = market.next();
            // Sometimes in two transactions, with a rating in between.
            let (first, second) = batch.split_at(if round % 2 == 0 { 0 } else { batch.len() / 2 });
            for part in [first, second] {
                app.record(&market.acme, part).await;
                app.settle().await;
                check(
                    &app,
                    &market.acme,
                    &market.payers,
                    &format!("seed {seed}, round {round}"),
                )
                .await;
            }
        }
        check_again(&app, &market.acme).await;
    }
}

/// Two customers' worth of numbers that a person can check: 10 units at 1, then at 2.
#[tokio::test]
async fn what_a_correction_leaves_falls_to_usage_that_came_later_but_occurred_earlier() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let tiers = json!({"name": "Tiers", "currency": "USD", "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS",
        "rate": {"graduated": {"tiers": [{"upTo": "10", "price": "1"}, {"price": "2"}]}}}]});
    let included = json!({"name": "Included", "currency": "USD", "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 10}],
        "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS", "rate": {"per_unit": {"price": "2"}}}]});
    // Later, 10; then earlier, 5: f(15) - f(10) = 10 of tiers, 5 × 2 = 10 beyond what is included.
    for (plan, before, after) in [(&tiers, "20", "7"), (&included, "10", "0")] {
        let id = app.plan(&admin, &acme, plan).await;
        let customer = app.customer(&acme, "Dana").await;
        app.subscribe(&admin, &acme, customer, id, START).await;
        let later = NewUsage::call(customer, 10, at("2026-02-20T12:00:00Z"));
        app.record(&acme, std::slice::from_ref(&later)).await;
        app.settle().await;
        let earlier = NewUsage::call(customer, 5, at("2026-02-15T12:00:00Z"));
        app.record(&acme, &[earlier]).await;
        app.settle().await;
        assert_eq!(total(&app, customer).await, before);
        app.record(&acme, &[later.corrected(-8)]).await;
        app.settle().await;
        assert_eq!(total(&app, customer).await, after);
    }
}

/// What a customer's usage costs.
async fn total(app: &TestApp, customer: CustomerId) -> String {
    let mut tx = app.platform().await;
    let total: rust_decimal::Decimal = sqlx::query_scalar(
        "select coalesce(sum(amount), 0) from charges where customer_id = $1 and usage_event_id is not null",
    )
    .bind(customer.uuid())
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    total.normalize().to_string()
}

#[tokio::test]
async fn terms_that_change_within_a_month_share_its_tiers() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let plan = |name: &str, price: &str| {
        json!({"name": name, "kind": "pay_per_call", "currency": "USD", "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS",
            "rate": {"graduated": {"tiers": [{"upTo": "100", "price": price}, {"price": "3"}]}}}]})
    };
    let (old, new) = (plan("Old", "1"), plan("New", "2"));
    let change = at("2026-02-15T00:00:00Z");
    let id = app.plan(&admin, &acme, &old).await;
    app.pay_per_call(&acme, id, at("2026-01-01T00:00:00Z"))
        .await;
    let id = app.plan(&admin, &acme, &new).await;
    app.pay_per_call(&acme, id, change).await;
    let customer = app.customer(&acme, "Dana").await;
    let found = rows(
        &app,
        "select account_id from customers where organization_id = $1 and id = $2",
        &acme,
        customer.uuid(),
    )
    .await;
    let payer = [Payer {
        customer: Some(customer),
        account: found[0].get(0),
        terms: vec![(Timestamp::MIN, terms(&old)), (change, terms(&new))],
    }];
    let mut random = StdRng::seed_from_u64(7);
    let mut used: Vec<NewUsage> = Vec::new();
    for round in 0..30 {
        let day = SignedDuration::from_hours(random.random_range(0..28 * 24));
        let usage = NewUsage::call(
            customer,
            random.random_range(1..40),
            at("2026-02-01T00:00:00Z") + day,
        );
        let mut batch = vec![usage.clone()];
        if round % 3 == 0 && !used.is_empty() {
            let index = random.random_range(0..used.len());
            let corrected = used.remove(index);
            batch.push(corrected.corrected(-corrected.quantity));
        }
        used.push(usage);
        app.record(&acme, &batch).await;
        app.settle().await;
        check(&app, &acme, &payer, &format!("round {round}")).await;
    }
}

/// Whether anything waits to be rated.
async fn is_rated(app: &TestApp) -> bool {
    app.count("select count(*) from rating_queue where parked_at is null")
        .await
        == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_rate_as_one_does() {
    let app = TestApp::start().await;
    let beside = app.beside().await;
    let mut market = Market::open(&app, 11, 12).await;
    for round in 0..4 {
        let batch = market.next();
        // Corrections are recorded at the other node, while usage is still being rated.
        let (corrections, usages): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|it| it.corrects.is_some());
        app.record(&market.acme, &usages).await;
        for (index, correction) in corrections.iter().enumerate() {
            let node = if index % 2 == 0 { &app } else { &beside };
            node.record(&market.acme, std::slice::from_ref(correction))
                .await;
            node.app.wake.rating.notify_waiters();
        }
        let both = (
            app.eventually("the first node is done", async || is_rated(&app).await),
            beside.eventually("the second node is done", async || is_rated(&beside).await),
        );
        let ((), ()) = tokio::join!(both.0, both.1);
        check(
            &app,
            &market.acme,
            &market.payers,
            &format!("round {round}"),
        )
        .await;
    }
    let deadlocks = app
        .count("select deadlocks from pg_stat_database where datname = current_database()")
        .await;
    assert_eq!(deadlocks, 0);
    drop(beside);
}
