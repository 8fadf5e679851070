//! What was earned beside what it cost, for who bears the cost and nobody else; and what users are billed.

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::costs::Call;
use crate::support::{Organization, TestApp, User, at, per_minute};

/// A firm with two customers and a call of each, sold by the minute; the platform sells to the firm on top of what it pays.
struct Firm {
    app: TestApp,
    acme: Organization,
    admin: User,
    boss: User,
    plan: Uuid,
    platform_plan: Uuid,
    /// The firm's own account.
    own: Call,
    /// The platform's.
    platforms: Call,
}

impl Firm {
    async fn new() -> Self {
        let app = TestApp::quiet().await;
        let (acme, admin) = app.firm().await;
        let boss = app.platform_admin().await;
        let plan = per_minute("Basic", "0.10", &json!({"kind": "pay_per_call"}));
        let plan = app.plan(&admin, &acme, &plan).await;
        app.pay_per_call(&acme, plan, at("2026-01-01T00:00:00Z"))
            .await;
        let offer = json!({"name": "Platform", "currency": "USD", "baseFee": "5", "prices": [
            {"key": "calls", "meter": "CALL_DURATION_SECONDS", "rate": {"cost_plus": {"percent": "20"}}}]});
        let answer = app
            .post("/api/admin/billing-plans")
            .user(&boss)
            .json(&offer);
        let platform_plan: Uuid = answer.send().await.expect(201)["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let body = json!({"orgId": acme.id, "planId": platform_plan, "startDate": "2026-03-01"});
        let answer = app
            .post("/api/admin/org-subscriptions")
            .user(&boss)
            .json(&body);
        answer.send().await.expect(201);
        let (ann, bob) = (
            app.customer(&acme, "Ann").await,
            app.customer(&acme, "Bob").await,
        );
        let began = at("2026-03-02T09:00:00Z");
        let own = app.priced_call(&acme, ann, 61, began, "organization").await;
        let later = began + SignedDuration::from_mins(5);
        let platforms = app.priced_call(&acme, bob, 30, later, "platform").await;
        Self {
            app,
            acme,
            admin,
            boss,
            plan,
            platform_plan,
            own,
            platforms,
        }
    }

    async fn priced() -> Self {
        let firm = Self::new().await;
        let (app, acme) = (&firm.app, &firm.acme);
        app.set_price(&firm.admin, acme, firm.own.cost, "0.045")
            .await
            .expect(200);
        app.set_price(&firm.boss, acme, firm.platforms.cost, "0.02")
            .await
            .expect(200);
        app.settle().await;
        firm
    }

    async fn margin(&self, user: &User, query: &str) -> Value {
        let path = format!("/api/admin/margin?from=2026-03-01&to=2026-03-31&{query}");
        let ask = self.app.get(&path).user(user).organization(&self.acme);
        ask.send().await.expect(200)
    }
}

/// The rows of a margin: name, amounts, pending.
fn rows(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let amounts = |row: &Value| -> Vec<String> {
        let amounts = row["amounts"].as_array().unwrap().iter();
        amounts
            .map(|it| {
                [&it["currency"], &it["revenue"], &it["cost"], &it["margin"]]
                    .map(text)
                    .join(" ")
            })
            .collect()
    };
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|row| {
        format!(
            "{}: {}; {} pending",
            text(&row["name"]),
            amounts(row).join(", "),
            row["pendingCosts"]
        )
    })
    .collect()
}

#[tokio::test]
async fn what_was_earned_stands_beside_what_it_cost_in_the_sale_of_who_bears_it() {
    let firm = Firm::priced().await;
    let (admin, boss) = (&firm.admin, &firm.boss);
    // The firm sells both calls, and pays a provider for one of them.
    let calls = [
        "+12025550123: USD 0.1 0 0.1; 0 pending",
        "+12025550123: USD 0.2 0.045 0.155; 0 pending",
    ];
    let list = firm.margin(admin, "by=call").await;
    assert_eq!(rows(&list), calls);
    assert_eq!(list["data"][1]["id"], json!(firm.own.id));
    assert_eq!(list["data"][1]["startedAt"], "2026-03-02T09:00:00Z");
    assert_eq!(
        rows(&firm.margin(admin, "by=customer").await),
        [
            "Ann: USD 0.2 0.045 0.155; 0 pending",
            "Bob: USD 0.1 0 0.1; 0 pending"
        ]
    );
    let plans = firm.margin(admin, "by=plan").await;
    assert_eq!(rows(&plans), ["Basic: USD 0.3 0.045 0.255; 0 pending"]);
    assert_eq!(plans["data"][0]["id"], json!(firm.plan));
    assert_eq!(
        rows(&firm.margin(admin, "by=organization").await),
        ["Acme: USD 0.3 0.045 0.255; 0 pending"]
    );
    // The platform sells on top of what it pays, and has no price for what the firm pays itself.
    let of_acme = format!("orgId={}", firm.acme.id);
    let calls = [
        "+12025550123: USD 0.024 0.02 0.004; 0 pending",
        "+12025550123: ; 0 pending",
    ];
    assert_eq!(
        rows(&firm.margin(boss, &format!("by=call&{of_acme}")).await),
        calls
    );
    // Its fee for the month is earned too.
    let plans = firm.margin(boss, "by=plan").await;
    assert_eq!(rows(&plans), ["Platform: USD 5.024 0.02 5.004; 0 pending"]);
    assert_eq!(plans["data"][0]["id"], json!(firm.platform_plan));
    assert_eq!(
        rows(&firm.margin(boss, "by=organization").await),
        ["Acme: USD 5.024 0.02 5.004; 0 pending"]
    );
    // Nothing of it is of another time.
    let ask = firm
        .app
        .get("/api/admin/margin?by=plan&from=2026-04-01&to=2026-04-30");
    let april = ask.user(admin).organization(&firm.acme).send().await;
    assert_eq!(rows(&april.expect(200)), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_pending_is_counted_and_currencies_stay_apart() {
    let firm = Firm::new().await;
    let (app, admin) = (&firm.app, &firm.admin);
    app.settle().await;
    let pending = "+12025550123: USD 0.2 - -; 1 pending";
    assert_eq!(rows(&firm.margin(admin, "by=call").await)[1], pending);
    assert_eq!(
        rows(&firm.margin(admin, "by=plan").await),
        ["Basic: USD 0.3 - -; 1 pending"]
    );
    // A price in euros is beside what was earned in dollars, and not taken off.
    let path = format!("/api/admin/costs/{}/price", firm.own.cost);
    let ask = app.post(&path).user(admin).organization(&firm.acme);
    let body = json!({"amount": "0.04", "currency": "EUR"});
    ask.json(&body).send().await.expect(200);
    assert_eq!(
        rows(&firm.margin(admin, "by=call").await)[1],
        "+12025550123: EUR 0 0.04 -0.04, USD 0.2 0 0.2; 0 pending"
    );
    assert_eq!(
        rows(&firm.margin(admin, "by=customer").await)[0],
        "Ann: EUR 0 0.04 -0.04, USD 0.2 0 0.2; 0 pending"
    );
}

#[tokio::test]
async fn margins_come_in_pages_and_as_csv() {
    let firm = Firm::priced().await;
    let admin = &firm.admin;
    for by in ["call", "customer"] {
        let all = rows(&firm.margin(admin, &format!("by={by}")).await);
        let first = firm.margin(admin, &format!("by={by}&limit=1")).await;
        let cursor = first["nextCursor"].as_str().unwrap();
        let second = firm
            .margin(admin, &format!("by={by}&limit=1&cursor={cursor}"))
            .await;
        assert_eq!([rows(&first), rows(&second)].concat(), all, "{by}");
        assert_eq!(second["nextCursor"], Value::Null);
    }
    let path = "/api/admin/margin?by=call&from=2026-03-01&to=2026-03-31";
    let ask = firm.app.get(path).user(admin).organization(&firm.acme);
    let csv = ask.header("accept", "text/csv").send().await;
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"margin-by-call.csv\""
    );
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(
        lines,
        [
            "id,name,started_at,currency,revenue,cost,margin,pending_costs",
            &format!(
                "{},+12025550123,2026-03-02T09:05:00Z,USD,0.1,0,0.1,0",
                firm.platforms.id
            ),
            &format!(
                "{},+12025550123,2026-03-02T09:00:00Z,USD,0.2,0.045,0.155,0",
                firm.own.id
            ),
        ]
    );
}

#[tokio::test]
async fn nobody_sees_a_margin_who_does_not_bear_the_cost() {
    let firm = Firm::priced().await;
    let (app, acme) = (&firm.app, &firm.acme);
    let other = app.organization("Other").await;
    let (member, stranger) = (app.member(acme).await, app.admin(&other).await);
    let status = async |user: &User, query: &str| {
        let ask = app
            .get(&format!("/api/admin/margin?{query}"))
            .user(user)
            .organization(acme);
        ask.send().await
    };
    assert_eq!(status(&member, "by=plan").await.status, 403);
    assert_eq!(status(&stranger, "by=plan").await.status, 404);
    let theirs = app
        .get("/api/admin/margin?by=plan")
        .user(&stranger)
        .organization(&other);
    assert_eq!(rows(&theirs.send().await.expect(200)), Vec::<String>::new());
    // Even with the platform's price known, the firm's margin on that call knows nothing of it.
    let mine = firm.margin(&firm.admin, "by=call").await;
    assert!(!mine.to_string().contains("0.02\""), "{mine}");
    for (user, query, field) in [
        (&firm.admin, "from=2026-03-01", "by"),
        (&firm.admin, "by=color", "by"),
        (&firm.admin, "by=plan&from=2025-01-01&to=2026-12-31", "to"),
        (&firm.admin, "by=plan&from=x", "from"),
        (&firm.boss, "by=customer", "by"),
        (&firm.admin, "by=call&cursor=x", "cursor"),
    ] {
        let refused = status(user, query).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field, "{query}");
    }
    let everywhere = app
        .get("/api/admin/margin?by=call")
        .user(&firm.boss)
        .send()
        .await;
    assert_eq!(everywhere.expect(422)["errors"][0]["field"], "orgId");
}

#[tokio::test]
async fn messages_recordings_and_numbers_have_their_cost_too() {
    let firm = Firm::priced().await;
    let (app, acme, admin) = (&firm.app, &firm.acme, &firm.admin);
    let number = app.number(acme, "+12125550142").await;
    let mut tx = app.platform().await;
    // A recording of the first call, a message, and a month of a number, each with its price; both on the number.
    sqlx::query(
        "with c as (
             update calls set phone_number_id = $2 where id = $3 returning integration_id, customer_id
         ), r as (
             insert into recordings (organization_id, id, call_id, provider, sid, occurred_at) values ($1, $4, $3, 'twilio', 'RE1', '2026-03-02T09:01Z')
         ), m as (
             insert into messages (organization_id, id, provider, sid, integration_id, phone_number_id, direction, status, customer_id, occurred_at, observed)
             select $1, $5, 'twilio', 'SM1', c.integration_id, $2, 'outgoing', 'sent', c.customer_id, '2026-03-03Z', '{}' from c
         )
         insert into provider_costs (organization_id, id, bearer, provider, subject, subject_id, sid, occurred_at) values
             ($1, $4, 'organization', 'twilio', 'recording', $4, 'RE1', '2026-03-02T09:02Z'),
             ($1, $5, 'organization', 'twilio', 'message', $5, 'SM1', '2026-03-03Z')",
    )
    .bind(acme.id.uuid())
    .bind(number.uuid())
    .bind(firm.own.id.uuid())
    .bind(Uuid::now_v7())
    .bind(Uuid::now_v7())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let costs = app
        .texts("select id::text from provider_costs where subject <> 'call' order by subject")
        .await;
    for (cost, price) in costs.iter().zip(["0.0075", "0.0025"]) {
        app.set_price(admin, acme, cost.parse().unwrap(), price)
            .await
            .expect(200);
    }
    // The recording is the call's.
    assert_eq!(
        rows(&firm.margin(admin, "by=call").await)[1],
        "+12025550123: USD 0.2 0.0475 0.1525; 0 pending"
    );
    let numbers = rows(&firm.margin(admin, "by=number").await);
    assert!(
        numbers.contains(&"+12125550142: USD 0 0.055 -0.055; 0 pending".to_owned()),
        "{numbers:?}"
    );
    assert_eq!(
        rows(&firm.margin(admin, "by=customer").await)[0],
        "Ann: USD 0.2 0.055 0.145; 0 pending"
    );
}
