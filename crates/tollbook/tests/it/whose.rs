//! Saying whose a call is: its usage goes with it, and is rated anew on whoever pays.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tollbook_core::ids::CustomerId;
use tollbook_providers::openphone::Surface;
use tollbook_providers::openphone::sandbox::ScriptedCall;
use uuid::Uuid;

use crate::support::{NewCall, Organization, Phones, TestApp, User};

const LINE: &str = "+12125550101";
const CALLER: &str = "+13035550100";

struct Desk {
    app: TestApp,
    phones: Phones,
    acme: Organization,
    ann: User,
    bob: User,
}

impl Desk {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let acme = app.organization("Acme").await;
        app.sell_per_call(&acme).await;
        let (ann, bob) = (app.admin(&acme).await, app.member(&acme).await);
        let phones = Phones::start(&app).await;
        let seeded = phones.workspace("acme", &[LINE]);
        phones
            .connect_straight(&app, &acme, "acme", Surface::V2026)
            .await;
        app.link_user(&acme, bob.id.uuid(), &seeded.user_sids[0])
            .await;
        Self {
            app,
            phones,
            acme,
            ann,
            bob,
        }
    }

    /// Somebody calls, talks for a minute with Bob, and is recorded; the call's id.
    async fn call(&self, from: &str) -> Uuid {
        let call = ScriptedCall {
            is_recorded: true,
            ..ScriptedCall::answered(from, LINE, self.app.now(), 60)
        };
        self.phones.sandbox.play(&call).unwrap();
        self.phones.pass(&self.app, 4).await;
        self.settle().await;
        let mut tx = self.app.platform().await;
        sqlx::query_scalar(
            "select id from calls where external_party = $1 order by started_at desc limit 1",
        )
        .bind(from)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
    }

    async fn settle(&self) {
        let waiting = "select (select count(*) from inbox_queue) + (select count(*) from rating_queue) + (select count(*) from jobs)";
        self.app
            .eventually("all is rated", async || {
                self.app.app.settle().await.unwrap();
                self.app.count(waiting).await == 0
            })
            .await;
    }

    async fn say(&self, user: &User, call: Uuid, whose: Value) -> crate::support::Answer {
        let ask = self.app.post(&format!("/api/calls/{call}/customer"));
        ask.user(user)
            .organization(&self.acme)
            .json(&whose)
            .send()
            .await
    }

    /// What each customer is charged and was recorded of them, by name.
    async fn books(&self) -> Vec<String> {
        let mut tx = self.app.platform().await;
        sqlx::query_scalar(
            "select concat_ws(' ', nullif(k.name, ''), k.kind, case when k.merged_into_id is not null then 'merged' end,
                 (select string_agg(m.meter || '=' || m.quantity, ',' order by m.meter) from (
                     select u.meter, trim_scale(sum(u.quantity)) as quantity from usage_events u where u.customer_id = k.id
                     group by u.meter having sum(u.quantity) <> 0) m),
                 (select trim_scale(sum(c.amount)) from charges c where c.customer_id = k.id having sum(c.amount) <> 0))
             from customers k order by 1",
        )
        .fetch_all(&mut *tx)
        .await
        .unwrap()
    }

    async fn counters(&self) -> String {
        let mut tx = self.app.platform().await;
        sqlx::query_scalar(
            "select concat_ws(' ', voice_seconds, voice_minutes, voice_calls) from number_counters where voice_seconds > 0",
        )
        .fetch_one(&mut *tx)
        .await
        .unwrap()
    }
}

const ALL: &str = "CALL_DURATION_SECONDS=60,CALL_RECEIVED=1,recording=1 1.95";

#[tokio::test]
async fn an_unknown_caller_gets_a_name_from_whoever_answers_without_script() {
    let desk = Desk::new().await;
    let call = desk.call(CALLER).await;
    assert_eq!(desk.books().await, [format!("prospect {ALL}")]);
    let (cookie, csrf) = desk.app.sign_in(&desk.bob).await;
    let path = format!("/calls/{call}/customer");
    let form = |name: &'static str, referer: &'static str| {
        let ask = desk
            .app
            .post(&path)
            .cookie(&cookie)
            .browser()
            .header("referer", referer);
        ask.form(&[("csrf", &csrf), ("name", name)]).send()
    };
    let answer = form("Dana Whitfield", "http://127.0.0.1/").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    assert_eq!(
        desk.books().await,
        [format!("Dana Whitfield customer {ALL}")]
    );
    let empty = form("  ", "http://127.0.0.1/").await;
    assert_eq!(empty.status, 422);
    // It is a customer now; only who runs the organization gives the call to another.
    assert_eq!(form("Somebody Else", "").await.status, 403);
    let ask = desk.app.post(&path).cookie(&cookie).browser();
    assert_eq!(ask.form(&[("name", "No token")]).send().await.status, 403);
    let page = desk
        .app
        .get(&format!("/calls/{call}"))
        .cookie(&cookie)
        .browser()
        .send()
        .await;
    assert!(page.text.contains("Dana Whitfield"));
    assert_eq!(
        desk.app
            .count("select count(*) from audit_log where action = 'call.attributed'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_call_linked_to_a_customer_is_charged_to_them_and_so_are_the_next() {
    let desk = Desk::new().await;
    let northwind = desk.app.customer(&desk.acme, "Northwind").await;
    let call = desk.call(CALLER).await;
    let counters = desk.counters().await;
    let answer = desk
        .say(&desk.bob, call, json!({"customerId": northwind}))
        .await
        .expect(200);
    assert_eq!(answer["customer"]["name"], "Northwind");
    desk.settle().await;
    assert_eq!(
        desk.books().await,
        [
            format!("Northwind customer {ALL}"),
            "prospect merged".to_owned()
        ]
    );
    assert_eq!(
        desk.counters().await,
        counters,
        "what the numbers did is as it was"
    );
    // Saying it again changes nothing; neither does hearing again of what was recorded.
    desk.say(&desk.bob, call, json!({"customer_id": northwind}))
        .await
        .expect(200);
    let mut tx = desk.app.platform().await;
    sqlx::query("insert into inbox_queue (lane, inbox_id, received_at) select 1, id, received_at from inbox")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    desk.app.app.wake.inbox.notify_one();
    desk.settle().await;
    assert_eq!(desk.books().await[0], format!("Northwind customer {ALL}"));
    // The number is theirs from now on.
    desk.call(CALLER).await;
    let twice = "CALL_DURATION_SECONDS=120,CALL_RECEIVED=2,recording=2 3.9";
    assert_eq!(desk.books().await[0], format!("Northwind customer {twice}"));
}

#[tokio::test]
async fn one_of_several_is_chosen_and_a_known_customers_call_is_moved_by_an_admin() {
    let desk = Desk::new().await;
    let (one, two) = (
        desk.app.customer(&desk.acme, "One").await,
        desk.app.customer(&desk.acme, "Two").await,
    );
    for id in [one, two] {
        let ask = desk
            .app
            .post(&format!("/api/customers/{id}/numbers"))
            .user(&desk.ann)
            .organization(&desk.acme);
        let answer = ask.json(&json!({"phoneNumber": CALLER})).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let call = desk.call(CALLER).await;
    assert_eq!(
        desk.books().await,
        ["One customer", "Two customer"],
        "nobody is charged before somebody says who it was"
    );
    desk.say(&desk.bob, call, json!({"customerId": two}))
        .await
        .expect(200);
    desk.settle().await;
    assert_eq!(
        desk.books().await,
        ["One customer".to_owned(), format!("Two customer {ALL}")]
    );
    assert_eq!(
        desk.say(&desk.bob, call, json!({"customerId": one}))
            .await
            .status,
        403
    );
    desk.say(&desk.ann, call, json!({"customerId": one}))
        .await
        .expect(200);
    desk.settle().await;
    assert_eq!(
        desk.books().await,
        [format!("One customer {ALL}"), "Two customer".to_owned()]
    );
    desk.say(&desk.ann, call, json!({"customerId": two}))
        .await
        .expect(200);
    desk.settle().await;
    assert_eq!(
        desk.books().await,
        ["One customer".to_owned(), format!("Two customer {ALL}")]
    );
    assert_eq!(desk.counters().await, "60 1 1");
}

#[tokio::test]
async fn a_call_is_read_with_its_timeline_its_legs_its_charge_and_its_cost_by_who_may() {
    let desk = Desk::new().await;
    let call = desk.call(CALLER).await;
    let read = async |user: &User, organization: &Organization| {
        let ask = desk.app.get(&format!("/api/calls/{call}"));
        ask.user(user).organization(organization).send().await
    };
    let seen = read(&desk.ann, &desk.acme).await.expect(200);
    let kinds: Vec<&str> = seen["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["ringing", "answered", "ended", "ended"],
        "the last one tells of the recording"
    );
    assert_eq!(seen["legs"].as_array().unwrap().len(), 1);
    let charge = &seen["charges"][0];
    assert_eq!(
        (&charge["amount"], &charge["currency"], &charge["plan"]),
        (&json!("1.950000000000"), &json!("USD"), &json!("Per call"))
    );
    assert!(!charge["explanation"].as_array().unwrap().is_empty());
    assert!(charge["parts"][0]["trace"].is_object());
    assert!(seen.get("providerCost").is_none(), "not known is not zero");
    for (bearer, is_shown) in [("platform", false), ("organization", true)] {
        // Who bears a cost does not change: it is made anew, as nobody may.
        let mut owner = PgConnection::connect(desk.app.superuser_url())
            .await
            .unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!(
            "set session_replication_role = replica; delete from provider_prices; delete from provider_costs;
             insert into provider_costs (organization_id, id, bearer, provider, subject, subject_id, amount, currency, occurred_at, known_at, revision)
             values ('{0}', '{1}', '{bearer}', 'openphone', 'call', '{1}', 0.02, 'USD', now(), now(), 1);
             insert into provider_prices (organization_id, id, cost_id, bearer, revision, source, amount, change, currency, known_at)
             values ('{0}', '{1}', '{1}', '{bearer}', 1, 'asked', 0.02, 0.02, 'USD', now())",
            desk.acme.id, call
        )))
        .execute(&mut owner)
        .await
        .unwrap();
        let seen = read(&desk.ann, &desk.acme).await.expect(200);
        assert_eq!(seen.get("providerCost").is_some(), is_shown, "{bearer}");
    }
    let members = read(&desk.bob, &desk.acme).await.expect(200);
    assert!(
        members.get("providerCost").is_none() && members["charges"].as_array().unwrap().is_empty()
    );
    assert_eq!(members["timeline"].as_array().unwrap().len(), 3);
    let other = desk.app.member(&desk.acme).await;
    assert_eq!(read(&other, &desk.acme).await.status, 404, "not their call");
    let elsewhere = desk.app.organization("Elsewhere").await;
    let stranger = desk.app.admin(&elsewhere).await;
    assert_eq!(read(&stranger, &elsewhere).await.status, 404);
    for (whose, field) in [
        (json!({}), "customerId"),
        (json!({"name": ""}), "name"),
        (
            json!({"name": "A", "customerId": CustomerId::from(Uuid::now_v7())}),
            "name",
        ),
    ] {
        let refused = desk.say(&desk.ann, call, whose).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field);
    }
    let nobody = json!({"customerId": CustomerId::from(Uuid::now_v7())});
    assert_eq!(desk.say(&desk.ann, call, nobody).await.status, 404);
}

#[tokio::test]
async fn a_call_without_a_charge_says_why() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    let (cookie, _) = app.sign_in(&admin).await;
    let (cookie_of_member, _) = app.sign_in(&member).await;
    let customer = app.customer(&acme, "Dana Whitfield").await;
    let integration = app.integration(&acme).await;
    let of_nobody = NewCall {
        viewers: vec![member.id],
        ..NewCall::answered("anonymous", app.now(), 60)
    };
    let going_on = NewCall {
        state: "in_progress",
        outcome: None,
        customer: Some(customer),
        ..NewCall::answered("+12125550100", app.now(), 0)
    };
    let missed = NewCall {
        outcome: Some("missed"),
        ..NewCall::answered("+12125550100", app.now(), 0)
    };
    let mut said = Vec::new();
    for (call, cookie) in [
        (&of_nobody, &cookie),
        (&of_nobody, &cookie_of_member),
        (&going_on, &cookie),
        (&missed, &cookie),
    ] {
        let id = app.call(&acme, integration, call).await;
        let page = app.get(&format!("/calls/{id}")).browser().cookie(cookie);
        let page = page.send().await;
        assert_eq!(page.status, 200, "{}", page.text);
        let reason = page.text.split("<p class=\"empty\">").nth(1).unwrap();
        said.push(reason.split('<').next().unwrap().to_owned());
    }
    assert_eq!(
        said,
        [
            "Nobody is charged: it is not known which customer this is.",
            "Only administrators see charges.",
            "Charged when the call is over.",
            "Nothing is charged for this call.",
        ]
    );
}
