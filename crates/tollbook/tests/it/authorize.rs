//! Calls are let through for as long as something is left for them: included time, credit, a credit limit. What is
//! promised is there when the call ends, whoever else calls meanwhile; and what was used is kept, whatever was promised.

use futures_util::future::join_all;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tollbook::Difference;
use tollbook_core::ids::{CustomerId, PhoneNumberId};

use crate::support::{Answer, NewCall, NewUsage, Organization, TestApp, User, at, per_minute};

pub(crate) const OURS: &str = "+12125550142";
pub(crate) const DANAS: &str = "+12025550123";
pub(crate) const NOBODYS: &str = "+12025550199";

/// A firm that sells minutes at ten cents, with a number, and a customer with another.
pub(crate) struct Firm {
    pub(crate) app: TestApp,
    pub(crate) acme: Organization,
    pub(crate) admin: User,
    pub(crate) number: PhoneNumberId,
    pub(crate) dana: CustomerId,
    pub(crate) key: String,
}

impl Firm {
    pub(crate) async fn new(app: TestApp) -> Self {
        let (acme, admin) = app.firm().await;
        app.sell_minutes(&admin, &acme).await;
        let number = app.number(&acme, OURS).await;
        let key = app.api_key(&admin, &acme, &["usage"]).await;
        let dana = app.customer(&acme, "Dana").await;
        let firm = Self {
            app,
            acme,
            admin,
            number,
            dana,
            key,
        };
        let path = format!("/api/customers/{dana}/numbers");
        let body = json!({"phoneNumber": DANAS});
        firm.post(&path, &body).await.expect(201);
        firm
    }

    /// The same on a plan with ten minutes included.
    pub(crate) async fn with_included_time() -> Self {
        let firm = Self::new(TestApp::quiet().await).await;
        firm.include("10").await;
        firm
    }

    pub(crate) async fn include(&self, minutes: &str) {
        let allowance = json!({"kind": "subscription", "allowances": [{"key": "included", "meters": ["CALL_DURATION_SECONDS"],
            "quantity": minutes.parse::<u32>().unwrap() * 60}]});
        let plan = per_minute("Included", "0.10", &allowance);
        let plan = self.app.plan(&self.admin, &self.acme, &plan).await;
        self.app
            .subscribe(&self.admin, &self.acme, self.dana, plan, "2026-03-01")
            .await;
        self.app.settle().await;
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let ask = self.app.post(path).user(&self.admin);
        ask.organization(&self.acme).json(body).send().await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let ask = self.app.get(path).user(&self.admin);
        ask.organization(&self.acme).send().await.expect(200)
    }

    /// Opens Dana's wallet with so much credit.
    pub(crate) async fn prepay(&self, amount: &str) -> String {
        let body = json!({"customerId": self.dana});
        let wallet = self.post("/api/admin/wallets", &body).await.expect(201);
        let id = wallet["id"].as_str().unwrap().to_owned();
        if amount != "0" {
            self.top_up(&id, amount).await;
        }
        id
    }

    pub(crate) async fn top_up(&self, wallet: &str, amount: &str) {
        let path = format!("/api/admin/wallets/{wallet}/movements");
        let body = json!({"kind": "top_up", "amount": amount, "reference": "transfer"});
        self.post(&path, &body).await.expect(201);
    }

    /// Balance, what is reserved, and what is available.
    pub(crate) async fn standing(&self, wallet: &str) -> [String; 3] {
        let wallet = self.get(&format!("/api/admin/wallets/{wallet}")).await;
        ["balance", "reserved", "available"].map(|it| wallet[it].as_str().unwrap().to_owned())
    }

    /// Asks for a call to Dana, as a program.
    pub(crate) async fn authorize(&self, key: &str, seconds: u32) -> Answer {
        self.authorize_on(&self.app, key, DANAS, seconds).await
    }

    pub(crate) async fn authorize_on(
        &self,
        node: &TestApp,
        key: &str,
        to: &str,
        seconds: u32,
    ) -> Answer {
        let body = json!({"key": key, "direction": "outgoing", "from": OURS, "to": to, "seconds": seconds});
        let ask = node.post("/api/calls/authorize").bearer(&self.key);
        ask.json(&body).send().await
    }

    /// Asks for a call and gets it: its id, how long it may last, and what is set aside.
    pub(crate) async fn lasts(&self, key: &str, seconds: u32) -> (String, u64, Vec<String>) {
        shown(&self.authorize(key, seconds).await.expect(201))
    }

    pub(crate) async fn extend_on(&self, node: &TestApp, id: &str, seconds: u32) -> Answer {
        let path = format!("/api/calls/authorizations/{id}/extend");
        let ask = node.post(&path).bearer(&self.key);
        ask.json(&json!({"seconds": seconds})).send().await
    }

    pub(crate) async fn extend(&self, id: &str, seconds: u32) -> (u64, Vec<String>) {
        let extended = self.extend_on(&self.app, id, seconds).await.expect(200);
        let (_, seconds, reserved) = shown(&extended);
        (seconds, reserved)
    }

    pub(crate) async fn release_on(&self, node: &TestApp, id: &str) -> Answer {
        let path = format!("/api/calls/authorizations/{id}/release");
        node.post(&path).bearer(&self.key).send().await
    }

    pub(crate) async fn one(&self, id: &str) -> Value {
        self.get(&format!("/api/calls/authorizations/{id}")).await
    }

    /// Reports how long a call lasted that was let through.
    pub(crate) async fn ended_on(&self, node: &TestApp, id: &str, seconds: u64) {
        let body = json!({"usageType": "CALL_DURATION_SECONDS", "quantity": seconds, "customerId": self.dana,
            "resourceType": "authorization", "resourceId": id, "idempotencyKey": format!("end of {id}")});
        let ask = node.post("/api/billing/usage").bearer(&self.key);
        ask.json(&body).send().await.expect(201);
    }

    pub(crate) async fn ended(&self, id: &str, seconds: u64) {
        self.ended_on(&self.app, id, seconds).await;
        self.app.settle().await;
    }

    /// What Dana was charged, in cents.
    pub(crate) async fn charged(&self) -> i64 {
        let charged =
            "select coalesce(sum(amount) * 100, 0)::bigint from charges where payer = 'customer'";
        self.app.count(charged).await
    }

    pub(crate) async fn is_clean(&self) {
        let report = self.app.app.verify(|_| {}).await.unwrap();
        // Usage that tests put there has no counters, and keys of its own.
        let is_wrong = |it: &&Difference| !it.table.starts_with("usage_");
        let found = report.differences.iter().filter(is_wrong);
        let found: Vec<String> = found.map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new());
    }
}

pub(crate) fn shown(it: &Value) -> (String, u64, Vec<String>) {
    let reserved = it["reserved"].as_array().unwrap().iter();
    let reserved = reserved.map(|it| it["amount"].as_str().unwrap().to_owned());
    let id = it["id"].as_str().unwrap().to_owned();
    (id, it["seconds"].as_u64().unwrap(), reserved.collect())
}

#[tokio::test]
async fn credit_and_its_limit_decide_how_long_a_call_may_last() {
    let firm = Firm::new(TestApp::quiet().await).await;
    // Whoever does not pay in advance is asked by an invoice.
    let (first, seconds, reserved) = firm.lasts("a", 3_600).await;
    assert_eq!((seconds, reserved), (3_600, vec![]));
    firm.release_on(&firm.app, &first).await.expect(200);
    let wallet = firm.prepay("0").await;
    assert_eq!(
        firm.authorize("b", 3_600).await.expect(409)["code"],
        "no_credit"
    );
    firm.top_up(&wallet, "0.35").await;
    // Up to the end of the last minute that is paid for.
    let (_, seconds, reserved) = firm.lasts("b", 3_600).await;
    assert_eq!((seconds, reserved), (180, vec!["0.30".to_owned()]));
    assert_eq!(firm.standing(&wallet).await, ["0.35", "0.30", "0.05"]);
    assert_eq!(
        firm.authorize("c", 1).await.expect(409)["code"],
        "no_credit"
    );
    let path = format!("/api/admin/wallets/{wallet}");
    let ask = firm.app.request(Method::PATCH, &path).user(&firm.admin);
    ask.organization(&firm.acme)
        .json(&json!({"creditLimit": "0.10"}))
        .send()
        .await
        .expect(200);
    let (_, seconds, reserved) = firm.lasts("c", 3_600).await;
    assert_eq!((seconds, reserved), (60, vec!["0.10".to_owned()]));
    assert_eq!(firm.standing(&wallet).await, ["0.35", "0.40", "0.05"]);
    firm.is_clean().await;
}

#[tokio::test]
async fn credit_that_has_expired_lets_nobody_through() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let wallet = firm.prepay("0.10").await;
    let path = format!("/api/admin/wallets/{wallet}/movements");
    let gift = json!({"kind": "top_up", "amount": "1", "reference": "gift", "expiresAt": "2026-03-03T00:00:00Z"});
    firm.post(&path, &gift).await.expect(201);
    firm.app.advance(SignedDuration::from_hours(24));
    // It was not taken out of the wallet yet.
    let (_, seconds, _) = firm.lasts("a", 3_600).await;
    assert_eq!(seconds, 60);
}

#[tokio::test]
async fn included_time_is_promised_once_and_credit_goes_on_from_there() {
    let firm = Firm::with_included_time().await;
    let wallet = firm.prepay("0").await;
    let (first, seconds, reserved) = firm.lasts("a", 3_600).await;
    assert_eq!((seconds, reserved), (600, vec!["0.00".to_owned()]));
    firm.authorize("b", 60).await.expect(409);
    firm.top_up(&wallet, "0.20").await;
    let (second, seconds, reserved) = firm.lasts("b", 3_600).await;
    assert_eq!((seconds, reserved), (120, vec!["0.20".to_owned()]));
    assert_eq!(
        firm.extend(&first, 660).await,
        (600, vec!["0.00".to_owned()])
    );
    firm.ended(&second, 30).await;
    // Whoever ends first has the included time, and the other pays: nothing that was set aside is free but the rest.
    assert_eq!(shown(&firm.one(&first).await).2, ["0.10"]);
    assert_eq!(firm.standing(&wallet).await, ["0.20", "0.10", "0.10"]);
    firm.is_clean().await;
    assert_eq!(
        firm.extend(&first, 660).await,
        (660, vec!["0.20".to_owned()])
    );
    firm.ended(&first, 660).await;
    assert_eq!(firm.charged().await, 20);
    assert_eq!(firm.standing(&wallet).await, ["0.00", "0.00", "0.00"]);
    firm.is_clean().await;
}

#[tokio::test]
async fn a_call_is_extended_as_far_as_there_is_something_left() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let wallet = firm.prepay("0.50").await;
    let (id, seconds, _) = firm.lasts("a", 60).await;
    assert_eq!(seconds, 60);
    for (wanted, seconds, amount) in [
        (180, 180, "0.30"),
        // Again, and shorter: nothing changes.
        (180, 180, "0.30"),
        (90, 180, "0.30"),
        (3_600, 300, "0.50"),
        (3_600, 300, "0.50"),
    ] {
        let extended = firm.extend(&id, wanted).await;
        assert_eq!(extended, (seconds, vec![amount.to_owned()]), "{wanted}");
        assert_eq!(firm.standing(&wallet).await[1], amount);
    }
    let call = firm.one(&id).await;
    assert_eq!(
        (&call["status"], &call["startedAt"], &call["expiresAt"]),
        (
            &json!("open"),
            &json!("2026-03-02T15:00:00Z"),
            &json!("2026-03-02T15:10:00Z")
        )
    );
    firm.is_clean().await;
    firm.ended(&id, 200).await;
    let refused = firm.extend_on(&firm.app, &id, 600).await.expect(409);
    assert_eq!(refused["code"], "authorization_closed");
    assert_eq!(firm.one(&id).await["status"], "settled");
    assert_eq!(firm.standing(&wallet).await, ["0.10", "0.00", "0.10"]);
    firm.is_clean().await;
}

#[tokio::test]
async fn the_real_end_of_a_call_settles_what_was_let_through_for_it() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let wallet = firm.prepay("1.00").await;
    let (id, ..) = firm.lasts("a", 300).await;
    let (other, ..) = firm.lasts("b", 60).await;
    assert_eq!(firm.standing(&wallet).await, ["1.00", "0.60", "0.40"]);
    firm.release_on(&firm.app, &other).await.expect(200);
    // As the provider tells it: between the same two, at that time.
    firm.app.advance(SignedDuration::from_mins(4));
    let call = NewCall {
        direction: "outgoing",
        customer: Some(firm.dana),
        number: Some(firm.number),
        ..NewCall::answered(DANAS, at("2026-03-02T15:00:10Z"), 130)
    };
    let integration = firm.app.integration(&firm.acme).await;
    let call = firm.app.call(&firm.acme, integration, &call).await;
    let usage = NewUsage {
        call: Some(call),
        ..NewUsage::call(firm.dana, 130, at("2026-03-02T15:00:10Z"))
    };
    firm.app
        .record(&firm.acme, std::slice::from_ref(&usage))
        .await;
    firm.app.settle().await;
    assert_eq!(firm.one(&id).await["status"], "settled");
    assert_eq!(firm.standing(&wallet).await, ["0.70", "0.00", "0.70"]);
    // A correction finds nothing to settle any more.
    firm.app.record(&firm.acme, &[usage.corrected(60)]).await;
    firm.app.settle().await;
    assert_eq!(firm.standing(&wallet).await, ["0.60", "0.00", "0.60"]);
    assert_eq!(firm.charged().await, 40);
}

#[tokio::test]
async fn a_call_that_did_not_happen_gives_back_what_was_set_aside() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let wallet = firm.prepay("0.50").await;
    let (id, ..) = firm.lasts("a", 300).await;
    assert_eq!(firm.standing(&wallet).await[2], "0.00");
    for _ in 0..2 {
        let released = firm.release_on(&firm.app, &id).await.expect(200);
        assert_eq!(released["status"], "released");
        assert_eq!(firm.standing(&wallet).await, ["0.50", "0.00", "0.50"]);
    }
    firm.extend_on(&firm.app, &id, 400).await.expect(409);
    let (settled, ..) = firm.lasts("b", 60).await;
    firm.ended(&settled, 60).await;
    firm.release_on(&firm.app, &settled).await.expect(409);
    // It happened all the same.
    firm.ended(&id, 60).await;
    assert_eq!(firm.standing(&wallet).await, ["0.30", "0.00", "0.30"]);
    firm.is_clean().await;
}

#[tokio::test]
async fn a_promise_that_expires_in_the_middle_keeps_the_usage_and_refuses_the_next_call() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let wallet = firm.prepay("1.00").await;
    let (id, seconds, _) = firm.lasts("a", 3_600).await;
    assert_eq!(seconds, 600);
    firm.app.advance(SignedDuration::from_mins(14));
    firm.app.settle().await;
    assert_eq!(firm.one(&id).await["status"], "open");
    assert_eq!(firm.standing(&wallet).await[1], "1.00");
    firm.app.advance(SignedDuration::from_mins(1));
    firm.app.settle().await;
    assert_eq!(firm.one(&id).await["status"], "expired");
    assert_eq!(firm.standing(&wallet).await, ["1.00", "0.00", "1.00"]);
    firm.extend_on(&firm.app, &id, 3_600).await.expect(409);
    firm.is_clean().await;
    // The call went on, and somebody else calls meanwhile.
    let (other, seconds, _) = firm.lasts("b", 300).await;
    assert_eq!(seconds, 300);
    firm.ended(&id, 1_200).await;
    assert_eq!(firm.charged().await, 200);
    assert_eq!(firm.standing(&wallet).await, ["0.00", "0.50", "-1.50"]);
    firm.is_clean().await;
    let refused = firm.authorize("c", 1).await.expect(409);
    assert_eq!(refused["code"], "no_credit");
    firm.ended(&other, 300).await;
    assert_eq!(firm.charged().await, 250);
    firm.authorize("c", 1).await.expect(409);
    firm.top_up(&wallet, "1.60").await;
    assert_eq!(firm.lasts("c", 3_600).await.1, 60);
    firm.is_clean().await;
}

#[tokio::test]
async fn what_expired_calls_held_is_there_for_the_next_one_at_once() {
    let firm = Firm::with_included_time().await;
    let wallet = firm.prepay("0.10").await;
    let (first, seconds, _) = firm.lasts("a", 3_600).await;
    assert_eq!(seconds, 660);
    firm.app.advance(SignedDuration::from_mins(17));
    // Nothing has looked after it yet.
    let (_, seconds, reserved) = firm.lasts("b", 3_600).await;
    assert_eq!((seconds, reserved), (660, vec!["0.10".to_owned()]));
    assert_eq!(firm.one(&first).await["status"], "expired");
    assert_eq!(firm.standing(&wallet).await, ["0.10", "0.10", "0.00"]);
    firm.is_clean().await;
}

#[tokio::test]
async fn whoever_else_pays_for_the_call_is_asked_too() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let boss = firm.app.platform_admin().await;
    let as_boss = async |path: &str, body: &Value| {
        let ask = firm.app.post(path).user(&boss).json(body);
        ask.send().await.expect(201)
    };
    let plan = per_minute("Wholesale", "0.02", &json!({"kind": "subscription"}));
    let plan = as_boss("/api/admin/billing-plans", &plan).await;
    let contract = json!({"orgId": firm.acme.id, "planId": plan["id"], "startDate": "2026-03-01"});
    as_boss("/api/admin/org-subscriptions", &contract).await;
    firm.app.settle().await;
    let wallet = as_boss("/api/admin/wallets", &json!({"orgId": firm.acme.id})).await;
    let path = format!(
        "/api/admin/wallets/{}/movements",
        wallet["id"].as_str().unwrap()
    );
    let credit = json!({"kind": "top_up", "amount": "0.10", "reference": "transfer"});
    as_boss(&path, &credit).await;
    // The customer could pay for ten minutes, the organization for five.
    firm.prepay("1.00").await;
    let (id, seconds, mut reserved) = firm.lasts("a", 3_600).await;
    reserved.sort();
    assert_eq!(
        (seconds, reserved),
        (300, vec!["0.10".to_owned(), "0.50".to_owned()])
    );
    firm.is_clean().await;
    firm.authorize("b", 60).await.expect(409);
    firm.ended(&id, 300).await;
    let open = "select count(*) from call_reservations where state = 'open'";
    assert_eq!(firm.app.count(open).await, 0);
    let reserved = "select count(*) from wallets where reserved <> 0";
    assert_eq!(firm.app.count(reserved).await, 0);
    firm.is_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_names_one_call_however_often_it_is_asked_for() {
    let first = TestApp::start().await;
    let nodes = [first.beside().await, first.beside().await];
    let firm = Firm::new(first).await;
    let wallet = firm.prepay("0.60").await;
    let node = |n: usize| match n % 3 {
        0 => &firm.app,
        1 => &nodes[0],
        _ => &nodes[1],
    };
    // Somebody pays, who is locked; and nobody pays, so that nothing is.
    for (key, to) in [("paid", DANAS), ("free", NOBODYS)] {
        let answers = (0..24).map(|n| firm.authorize_on(node(n), key, to, 300));
        let answers = join_all(answers).await;
        let same = answers[0].expect(201);
        for answer in &answers {
            assert_eq!(answer.expect(201), same);
        }
        let other = firm.authorize_on(&firm.app, key, to, 301).await.expect(422);
        assert_eq!(other["errors"][0]["field"], "key");
    }
    assert_eq!(firm.standing(&wallet).await, ["0.60", "0.50", "0.10"]);
    let known = "select count(*) from call_authorizations";
    assert_eq!(firm.app.count(known).await, 2);
    drop(nodes);
}

/// From now on a commit fails that leaves a wallet promising more than it has.
async fn refuse_overdrafts(app: &TestApp) {
    let check = "create function promises_too_much() returns trigger language plpgsql as $$
        begin
            perform from wallets w where w.organization_id = new.organization_id and w.id = new.id
                and (w.is_overdrawn or (w.balance + w.credit_limit - w.reserved) * w.undrawn_denominator < w.undrawn_numerator);
            if found then raise exception 'a wallet promises more than it has'; end if;
            return null;
        end $$;
        create constraint trigger promises_too_much after insert or update on wallets deferrable initially deferred
            for each row execute function promises_too_much()";
    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    sqlx::raw_sql(check).execute(&mut owner).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_on_three_nodes_never_overdraw_one_wallet() {
    let first = TestApp::start().await;
    let nodes = [first.beside().await, first.beside().await];
    let firm = Firm::new(first).await;
    firm.include("20").await;
    let wallet = firm.prepay("6.00").await;
    refuse_overdrafts(&firm.app).await;
    let node = |n: u32| match n % 3 {
        0 => &firm.app,
        1 => &nodes[0],
        _ => &nodes[1],
    };
    let caller = |n: u32| {
        let firm = &firm;
        async move {
            let (mut refused, mut used) = (0_u64, 0_u64);
            for round in 0..3 {
                let (here, there) = (node(n + round), node(n + round + 1));
                let key = format!("{n} {round}");
                let answer = firm.authorize_on(here, &key, DANAS, 60 * (1 + n % 4)).await;
                if answer.status == 409 {
                    refused += 1;
                    continue;
                }
                let (id, mut seconds, _) = shown(&answer.expect(201));
                if n.is_multiple_of(2) {
                    let longer = firm.extend_on(there, &id, 60 * (2 + n % 5)).await;
                    seconds = shown(&longer.expect(200)).1;
                }
                match n % 5 {
                    0 => drop(firm.release_on(there, &id).await.expect(200)),
                    // Shorter than it might have been.
                    1 => {
                        firm.ended_on(there, &id, 60).await;
                        used += 1;
                    }
                    _ => {
                        firm.ended_on(there, &id, seconds).await;
                        used += seconds.div_ceil(60);
                    }
                }
            }
            (refused, used)
        }
    };
    let done = join_all((0..64).map(caller)).await;
    firm.app.settle().await;
    let refused: u64 = done.iter().map(|(refused, _)| refused).sum();
    let minutes: u64 = done.iter().map(|(_, used)| used).sum();
    assert!(refused > 0, "credit came to an end");
    assert!(minutes > 20, "{minutes} minutes were used");
    let parked = "select count(*) from rating_queue where parked_at is not null";
    assert_eq!(firm.app.count(parked).await, 0);
    // Twenty minutes are included; the others are paid for from the wallet, all of them.
    let cents = i64::try_from((minutes - 20) * 10).unwrap();
    assert_eq!(firm.charged().await, cents);
    assert!(cents <= 600, "{cents} cents");
    let left = format!("{}.{:02}", (600 - cents) / 100, (600 - cents) % 100);
    let open = "select count(*) from call_reservations where state = 'open'";
    assert_eq!(firm.app.count(open).await, 0);
    assert_eq!(firm.standing(&wallet).await, [&left, "0.00", &left]);
    firm.is_clean().await;
    drop(nodes);
}

#[tokio::test]
async fn calls_are_for_those_who_may_use_the_number() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.prepay("1.00").await;
    let (id, ..) = firm.lasts("a", 60).await;
    let app = &firm.app;
    let foreign = app.organization("Foreign").await;
    let foreign_admin = app.admin(&foreign).await;
    let foreign_key = app.api_key(&foreign_admin, &foreign, &["admin"]).await;
    let body =
        json!({"key": "a", "direction": "outgoing", "from": OURS, "to": DANAS, "seconds": 60});
    let ask = app.post("/api/calls/authorize").bearer(&foreign_key);
    let refused = ask.json(&body).send().await.expect(403);
    assert_eq!(
        refused["detail"],
        "Phone number not found or not owned by user"
    );
    let one = format!("/api/calls/authorizations/{id}");
    let foreign_get = app.get(&one).bearer(&foreign_key).send().await;
    foreign_get.expect(404);
    for act in ["extend", "release"] {
        let ask = app.post(&format!("{one}/{act}")).bearer(&foreign_key);
        ask.json(&json!({"seconds": 120})).send().await.expect(404);
    }
    // A member calls from numbers that are assigned to them, and does not see what is set aside.
    let member = app.member(&firm.acme).await;
    let mut body = body;
    body["key"] = json!("of a member");
    let as_member = async || {
        let ask = app.post("/api/calls/authorize").user(&member);
        ask.organization(&firm.acme).json(&body).send().await
    };
    as_member().await.expect(403);
    let member_get = async || {
        let ask = app.get(&one).user(&member);
        ask.organization(&firm.acme).send().await
    };
    member_get().await.expect(404);
    let path = format!(
        "/api/orgs/{}/users/{}/phone-assignments",
        firm.acme.id, member.id
    );
    let numbers = json!({"phoneNumberIds": [firm.number]});
    firm.post(&path, &numbers).await.expect(200);
    let made = as_member().await.expect(201);
    assert_eq!((&made["seconds"], made.get("reserved")), (&json!(60), None));
    assert_eq!(member_get().await.expect(200)["status"], "open");
    let read_key = app.api_key(&firm.admin, &firm.acme, &["read"]).await;
    app.get(&one).bearer(&read_key).send().await.expect(200);
    let ask = app.post(&format!("{one}/release")).bearer(&read_key);
    ask.send().await.expect(403);
    let untouched = "select count(*) from call_reservations where state = 'open'";
    assert_eq!(app.count(untouched).await, 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let right =
        json!({"key": "a", "direction": "outgoing", "from": OURS, "to": DANAS, "seconds": 60});
    for (field, value) in [
        ("key", json!("")),
        ("key", json!("x".repeat(256))),
        ("direction", json!("sideways")),
        ("from", json!("2125550142")),
        ("to", json!("nobody")),
        ("seconds", json!(0)),
        ("seconds", json!(86_401)),
        ("seconds", json!("soon")),
        ("key", Value::Null),
    ] {
        let mut body = right.clone();
        body[field] = value;
        let ask = firm.app.post("/api/calls/authorize").bearer(&firm.key);
        let answer = ask.json(&body).send().await.expect(422);
        assert_eq!(answer["errors"][0]["field"], field, "{body}");
    }
    // The number of a stranger is no number of ours, whichever way it is asked.
    let mut incoming = right.clone();
    incoming["direction"] = json!("incoming");
    let ask = firm.app.post("/api/calls/authorize").bearer(&firm.key);
    ask.json(&incoming).send().await.expect(403);
    incoming["from"] = json!(DANAS);
    incoming["to"] = json!(OURS);
    let ask = firm.app.post("/api/calls/authorize").bearer(&firm.key);
    let made = ask.json(&incoming).send().await.expect(201);
    assert_eq!(made["customerId"], json!(firm.dana));
    let id = made["id"].as_str().unwrap();
    let longer = firm.extend_on(&firm.app, id, 86_401).await.expect(422);
    assert_eq!(longer["errors"][0]["field"], "seconds");
}

#[tokio::test]
async fn the_database_keeps_promises_from_being_changed() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.prepay("1.00").await;
    let (id, ..) = firm.lasts("a", 60).await;
    for (statement, constraint) in [
        (
            "update call_authorizations set seconds = 30",
            "call_authorizations_immutable",
        ),
        (
            "update call_authorizations set external_e164 = '+12025550100'",
            "call_authorizations_immutable",
        ),
        (
            "delete from call_authorizations",
            "call_authorizations_append_only",
        ),
        (
            "delete from call_reservations",
            "call_reservations_append_only",
        ),
        (
            "update call_reservations set state = 'settled'",
            "call_reservations_closed_check",
        ),
        (
            "update call_reservations set wallet_id = null",
            "call_reservations_immutable",
        ),
        (
            "update wallets set reserved = 1.01",
            "wallets_available_check",
        ),
    ] {
        let refused = firm.app.refusal(statement.to_owned()).await;
        assert_eq!(refused, constraint, "{statement}");
    }
    firm.ended(&id, 60).await;
    let again = "update call_reservations set state = 'open', closed_at = null";
    assert_eq!(
        firm.app.refusal(again.to_owned()).await,
        "call_reservations_immutable"
    );
}
