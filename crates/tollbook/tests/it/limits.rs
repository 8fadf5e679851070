//! Caps on spending: people are told on the way there, and under a hard cap no call is let through beyond it. What was used
//! all the same is kept and charged.

use futures_util::future::join_all;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::authorize::{DANAS, Firm, shown};
use crate::support::{Answer, NewUsage, TestApp, at, per_minute};

impl Firm {
    /// Sets Dana's cap.
    pub(crate) async fn cap(&self, amount: &str, is_hard: bool) -> Value {
        let body = json!({"customerId": self.dana, "amount": amount, "isHard": is_hard});
        self.put("/api/admin/spend-caps", &body).await.expect(200)
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        let ask = self.app.request(Method::PUT, path).user(&self.admin);
        ask.organization(&self.acme).json(body).send().await
    }

    async fn delete(&self, path: &str) -> Answer {
        let ask = self.app.request(Method::DELETE, path).user(&self.admin);
        ask.organization(&self.acme).send().await
    }

    /// What is held for calls in progress, in cents.
    async fn held(&self) -> i64 {
        let held = "select coalesce(sum(amount) * 100, 0)::bigint from call_reservations where state = 'open'";
        self.app.count(held).await
    }

    /// Alerts, the oldest threshold first: kind, severity, and percent.
    async fn told(&self) -> Vec<String> {
        self.app
            .texts(
                "select concat_ws(' ', kind, severity, subject, detail->>'percent', count) from alerts
                 order by kind, (detail->>'percent')::integer, subject",
            )
            .await
    }

    async fn talk(&self, seconds: i64, time: &str) -> NewUsage {
        let usage = NewUsage::call(self.dana, seconds, at(time));
        let usages = std::slice::from_ref(&usage);
        self.app.record(&self.acme, usages).await;
        self.app.settle().await;
        usage
    }
}

#[tokio::test]
async fn a_hard_cap_shortens_a_call_to_what_is_left_and_then_refuses() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let cap = firm.cap("0.55", true).await;
    assert_eq!(
        (&cap["amount"], &cap["isHard"], &cap["spent"]),
        (&json!("0.55"), &json!(true), &json!("0.00"))
    );
    // Without a wallet, and yet what is promised is held.
    let (first, seconds, reserved) = firm.lasts("a", 120).await;
    assert_eq!((seconds, reserved), (120, vec!["0.20".to_owned()]));
    let (second, seconds, reserved) = firm.lasts("b", 3_600).await;
    assert_eq!((seconds, reserved), (180, vec!["0.30".to_owned()]));
    let refused = firm.authorize("c", 1).await.expect(409);
    assert_eq!(refused["code"], "spend_cap");
    // One goes on as far as the other leaves something.
    assert_eq!(firm.extend(&first, 600).await.0, 120);
    firm.release_on(&firm.app, &second).await.expect(200);
    assert_eq!(
        firm.extend(&first, 600).await,
        (300, vec!["0.50".to_owned()])
    );
    firm.ended(&first, 61).await;
    assert_eq!((firm.charged().await, firm.held().await), (20, 0));
    let (_, seconds, _) = firm.lasts("d", 3_600).await;
    assert_eq!(seconds, 180);
    firm.is_clean().await;
}

#[tokio::test]
async fn usage_beyond_the_cap_is_kept_and_the_next_period_begins_anew() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.cap("1.00", true).await;
    let (id, seconds, _) = firm.lasts("a", 300).await;
    assert_eq!(seconds, 300);
    // It went on, whatever was promised.
    firm.ended(&id, 1_200).await;
    assert_eq!(firm.charged().await, 200);
    assert_eq!(
        firm.authorize("b", 1).await.expect(409)["code"],
        "spend_cap"
    );
    let cap = firm
        .get(&format!("/api/admin/spend-caps?customerId={}", firm.dana))
        .await;
    assert_eq!(cap["data"][0]["spent"], "2.00");
    firm.app.advance(SignedDuration::from_hours(24 * 31));
    let (_, seconds, _) = firm.lasts("c", 3_600).await;
    assert_eq!(seconds, 600);
    firm.is_clean().await;
}

#[tokio::test]
async fn the_tighter_of_credit_and_cap_decides_and_says_which_it_is() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let wallet = firm.prepay("5.00").await;
    firm.cap("0.30", true).await;
    let (id, seconds, reserved) = firm.lasts("a", 3_600).await;
    assert_eq!((seconds, reserved), (180, vec!["0.30".to_owned()]));
    assert_eq!(firm.standing(&wallet).await, ["5.00", "0.30", "4.70"]);
    assert_eq!(
        firm.authorize("b", 1).await.expect(409)["code"],
        "spend_cap"
    );
    firm.release_on(&firm.app, &id).await.expect(200);
    firm.cap("9.00", true).await;
    let (_, seconds, _) = firm.lasts("c", 6_000).await;
    assert_eq!(seconds, 3_000);
    assert_eq!(
        firm.authorize("d", 1).await.expect(409)["code"],
        "no_credit"
    );
    firm.is_clean().await;
}

#[tokio::test]
async fn a_soft_cap_tells_and_a_plans_cap_holds_for_who_has_none() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let more = json!({"kind": "subscription", "spendCap": {"amount": "0.50", "isHard": true}});
    let plan = per_minute("Capped", "0.10", &more);
    let plan = firm.app.plan(&firm.admin, &firm.acme, &plan).await;
    firm.app
        .subscribe(&firm.admin, &firm.acme, firm.dana, plan, "2026-03-01")
        .await;
    firm.app.settle().await;
    let (id, seconds, _) = firm.lasts("a", 3_600).await;
    assert_eq!(seconds, 300);
    firm.release_on(&firm.app, &id).await.expect(200);
    // The payer's own comes before that of the plan.
    firm.cap("0.20", false).await;
    let (id, seconds, reserved) = firm.lasts("b", 3_600).await;
    assert_eq!((seconds, reserved), (3_600, vec![]));
    firm.release_on(&firm.app, &id).await.expect(200);
    firm.talk(60, "2026-03-02T14:00:00Z").await;
    assert_eq!(firm.told().await, [""; 0]);
    firm.talk(60, "2026-03-02T14:05:00Z").await;
    assert_eq!(
        firm.told().await,
        ["cap warning USD 80 1", "cap critical USD 100 1"]
    );
    let path = format!("/api/admin/spend-caps?customerId={}", firm.dana);
    assert_eq!(firm.delete(&path).await.status, 204);
    firm.delete(&path).await.expect(404);
    let (_, seconds, _) = firm.lasts("c", 3_600).await;
    assert_eq!(seconds, 180);
    firm.is_clean().await;
}

#[tokio::test]
async fn calls_that_share_included_time_hold_what_they_need_under_the_cap() {
    let firm = Firm::with_included_time().await;
    firm.cap("0.30", true).await;
    let (first, seconds, reserved) = firm.lasts("a", 600).await;
    assert_eq!((seconds, reserved), (600, vec!["0.00".to_owned()]));
    let (second, seconds, reserved) = firm.lasts("b", 3_600).await;
    assert_eq!((seconds, reserved), (180, vec!["0.30".to_owned()]));
    // Whoever ends first has the included time: what the other needs is held for it then.
    firm.ended(&second, 60).await;
    assert_eq!(shown(&firm.one(&first).await).2, ["0.10"]);
    assert_eq!((firm.charged().await, firm.held().await), (0, 10));
    let (_, seconds, _) = firm.lasts("c", 3_600).await;
    assert_eq!(seconds, 120);
    firm.ended(&first, 600).await;
    assert_eq!(firm.charged().await, 10);
    firm.is_clean().await;
}

/// From now on a commit fails that lets a call through beyond a cap.
async fn refuse_beyond_the_cap(app: &TestApp) {
    let check = "create function promises_beyond() returns trigger language plpgsql as $$
        begin
            perform from spend_caps s
            join customers c on c.organization_id = s.organization_id and c.id = s.customer_id
            where s.amount < (select coalesce(sum(t.amount), 0) from spend_totals t where t.account_id = c.account_id)
                + (select coalesce(sum(r.amount), 0) from call_reservations r where r.account_id = c.account_id and r.state = 'open');
            if found then raise exception 'more is promised than the cap'; end if;
            return null;
        end $$;
        create constraint trigger promises_beyond after insert or update on call_reservations deferrable initially deferred
            for each row execute function promises_beyond()";
    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    sqlx::raw_sql(check).execute(&mut owner).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_on_three_nodes_never_pass_one_cap() {
    let first = TestApp::start().await;
    let nodes = [first.beside().await, first.beside().await];
    let firm = Firm::new(first).await;
    firm.cap("6.00", true).await;
    refuse_beyond_the_cap(&firm.app).await;
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
                    assert_eq!(answer.expect(409)["code"], "spend_cap");
                    refused += 1;
                    continue;
                }
                let (id, mut seconds, _) = shown(&answer.expect(201));
                if n.is_multiple_of(2) {
                    let longer = firm.extend_on(there, &id, 60 * (2 + n % 5)).await;
                    seconds = shown(&longer.expect(200)).1;
                }
                if n.is_multiple_of(5) {
                    firm.release_on(there, &id).await.expect(200);
                } else {
                    firm.ended_on(there, &id, seconds).await;
                    used += seconds.div_ceil(60);
                }
            }
            (refused, used)
        }
    };
    let done = join_all((0..64).map(caller)).await;
    firm.app.settle().await;
    let refused: u64 = done.iter().map(|(refused, _)| refused).sum();
    let minutes: u64 = done.iter().map(|(_, used)| used).sum();
    assert!(refused > 0, "the cap was reached");
    let cents = i64::try_from(minutes * 10).unwrap();
    assert_eq!(firm.charged().await, cents);
    assert!((200..=600).contains(&cents), "{cents} cents");
    assert_eq!(firm.held().await, 0);
    let parked = "select count(*) from rating_queue where parked_at is not null";
    assert_eq!(firm.app.count(parked).await, 0);
    // Each threshold once, whoever passed it.
    let caps = "select count(*) from alerts where kind = 'cap' and count = 1";
    let passed = [480, 600].iter().filter(|at| **at <= cents).count();
    assert_eq!(firm.app.count(caps).await, i64::try_from(passed).unwrap());
    firm.is_clean().await;
    drop(nodes);
}

#[tokio::test]
async fn thresholds_are_told_once_in_a_period_with_a_live_event() {
    let firm = Firm::with_included_time().await;
    firm.talk(420, "2026-03-02T12:00:00Z").await;
    assert_eq!(firm.told().await, [""; 0]);
    // From 70 to 100 percent at once.
    let last = firm.talk(180, "2026-03-02T12:10:00Z").await;
    let told = [
        "allowance warning included 80 1",
        "allowance critical included 100 1",
    ];
    assert_eq!(firm.told().await, told);
    let events = "select count(*) from live_events e join alerts a on a.id = e.subject_id where e.kind = 'usage.threshold'";
    assert_eq!(firm.app.count(events).await, 2);
    // Taken back and used again, it is the same threshold of the same period.
    firm.app.record(&firm.acme, &[last.corrected(-180)]).await;
    firm.app.settle().await;
    firm.talk(180, "2026-03-02T12:20:00Z").await;
    assert_eq!(firm.told().await, told);
    firm.app.advance(SignedDuration::from_hours(24 * 31));
    firm.app.settle().await;
    firm.talk(540, "2026-04-02T12:00:00Z").await;
    assert_eq!(firm.told().await.len(), 3);
    firm.is_clean().await;
}

#[tokio::test]
async fn thresholds_of_ones_own_stand_in_place_of_the_usual_ones() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.cap("1.00", false).await;
    let path = "/api/admin/usage-thresholds";
    let own = json!({"customerId": firm.dana, "kind": "cap", "at": 50});
    let own = firm.post(path, &own).await.expect(201);
    let wallet = json!({"kind": "wallet", "at": "2.50"});
    firm.post(path, &wallet).await.expect(201);
    firm.post(path, &wallet).await.expect(409);
    for (body, field) in [
        (json!({"kind": "cap", "at": "50.5"}), "at"),
        (json!({"kind": "cap", "at": 0}), "at"),
        (json!({"kind": "allowance", "at": 1_001}), "at"),
        (json!({"kind": "meter", "at": 5}), "meter"),
        (
            json!({"kind": "meter", "meter": "no such meter!", "at": 5}),
            "meter",
        ),
        (
            json!({"kind": "wallet", "meter": "SMS_SENT", "at": 5}),
            "meter",
        ),
        (json!({"kind": "other", "at": 5}), "kind"),
    ] {
        let refused = firm.post(path, &body).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    let meter = json!({"kind": "meter", "meter": "CALL_DURATION_SECONDS", "at": 600});
    firm.post(path, &meter).await.expect(201);
    let wallet = firm.prepay("3.00").await;
    firm.app.settle().await;
    assert_eq!(firm.told().await, [""; 0]);
    let (id, ..) = firm.lasts("a", 600).await;
    firm.ended(&id, 599).await;
    // All of the cap is spent, and nobody is told of 80 percent.
    assert_eq!(
        firm.told().await,
        ["cap warning USD 50 1", "wallet warning USD 1"]
    );
    assert_eq!(firm.standing(&wallet).await[0], "2.00");
    let (id, ..) = firm.lasts("b", 60).await;
    firm.ended(&id, 1).await;
    let meters = "select count(*) from alerts where kind = 'meter' and severity = 'info' and subject = 'CALL_DURATION_SECONDS'";
    assert_eq!(firm.app.count(meters).await, 1);
    let list = firm.get(&format!("{path}?customerId={}", firm.dana)).await;
    assert_eq!(list["data"], json!([own]));
    let id = own["id"].as_str().unwrap();
    assert_eq!(firm.delete(&format!("{path}/{id}")).await.status, 204);
    firm.delete(&format!("{path}/{id}")).await.expect(404);
}

#[tokio::test]
async fn what_is_wrong_with_a_cap_is_named_and_the_platform_caps_organizations() {
    let firm = Firm::new(TestApp::quiet().await).await;
    for (body, field) in [
        (json!({"customerId": firm.dana, "amount": "-1"}), "amount"),
        (
            json!({"customerId": firm.dana, "amount": "1.005"}),
            "amount",
        ),
        (json!({"amount": "1"}), "customerId"),
    ] {
        let refused = firm.put("/api/admin/spend-caps", &body).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    let nobody = json!({"customerId": uuid::Uuid::now_v7(), "amount": "1"});
    firm.put("/api/admin/spend-caps", &nobody).await.expect(404);
    let platform = firm.app.platform_admin().await;
    let ask = firm.app.request(Method::PUT, "/api/admin/spend-caps");
    let body = json!({"orgId": firm.acme.id, "amount": "10", "isHard": true});
    let set = ask.user(&platform).json(&body).send().await.expect(200);
    assert_eq!(
        (&set["customerId"], &set["amount"]),
        (&Value::Null, &json!("10.00"))
    );
    // Who is capped does not see it among the caps that they set, nor takes it away.
    let own = firm.get("/api/admin/spend-caps").await;
    assert_eq!(own["data"], json!([]));
    let audited = "select count(*) from audit_log where action = 'spend_cap.set'";
    assert_eq!(firm.app.count(audited).await, 1);
    let said = firm.app.refusal("insert into spend_caps (organization_id, id, payer, customer_id, currency, amount, is_hard)
        select organization_id, gen_random_uuid(), payer, customer_id, currency, amount, is_hard from spend_caps".to_owned());
    assert_eq!(said.await, "spend_caps_payer_key");
}
