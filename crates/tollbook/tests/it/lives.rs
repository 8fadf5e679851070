//! The life of a subscription: it is canceled, paused, resumed, not renewed, and moved to another plan; what was charged
//! and granted follows.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Firm, NewUsage, TestApp, at, per_minute};

/// Finalized documents with their lines.
const DOCUMENTS: &str = "select format('%s %s: %s', i.kind, i.total_minor, (select string_agg(
        format('%s %s %s', l.description, trim_scale(l.quantity), l.amount_minor), ', ' order by l.position)
        from invoice_lines l where l.organization_id = i.organization_id and l.invoice_id = i.id))
    from invoices i where i.state <> 'draft' order by i.number_seq";
/// Usage in force: when, on which terms, what for, and how much.
const USAGE: &str = "select format('%s %s %s %s %s', to_char(c.occurred_at at time zone 'UTC', 'MM-DD'),
        coalesce(p.name, 'none'), c.kind, trim_scale(c.quantity), trim_scale(c.amount))
    from charges c left join plan_versions v on v.id = c.plan_version_id left join plans p on p.id = v.plan_id
    where c.usage_event_id is not null and c.reverses_id is null and not exists (select from charges r where r.reverses_id = c.id)
    order by c.occurred_at, c.part";
const GRANTS: &str = "select format('%s %s-%s used %s', trim_scale(granted), to_char(starts_at at time zone 'UTC', 'MM-DD'),
        to_char(expires_at at time zone 'UTC', 'MM-DD'), trim_scale(used)) from allowance_grants order by starts_at, id";
const FEES: &str = "select format('%s %s %s', p.name, to_char(c.occurred_at at time zone 'UTC', 'MM-DD'), trim_scale(round(c.amount, 4)))
    from charges c join plan_versions v on v.id = c.plan_version_id join plans p on p.id = v.plan_id
    where c.kind = 'fee' and c.reverses_id is null and not exists (select from charges r where r.reverses_id = c.id)
    order by c.occurred_at";

/// A firm whose customer is subscribed since 1 March, 31 a month, ten minutes included, ten cents each beyond.
pub(crate) struct Sold {
    pub(crate) app: TestApp,
    pub(crate) firm: Firm,
    basic: Uuid,
    pub(crate) id: String,
}

impl Sold {
    async fn new() -> Self {
        let more = json!({"baseFee": 31, "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600}]});
        Self::with(&per_minute("Basic", "0.10", &more)).await
    }

    /// The same on another plan.
    pub(crate) async fn with(plan: &Value) -> Self {
        let app = TestApp::quiet().await;
        let firm = app.firm_with_customer().await;
        let basic = app.plan(&firm.admin, &firm.acme, plan).await;
        let calls = per_minute("Calls", "1", &json!({"kind": "pay_per_call"}));
        let calls = app.plan(&firm.admin, &firm.acme, &calls).await;
        app.pay_per_call(&firm.acme, calls, at("2026-01-01T00:00:00Z"))
            .await;
        let sold = app
            .subscribe(&firm.admin, &firm.acme, firm.dana, basic, "2026-03-01")
            .await;
        let id = sold["id"].as_str().unwrap().to_owned();
        Self {
            app,
            firm,
            basic,
            id,
        }
    }

    /// A plan of the same firm.
    async fn plan(&self, name: &str, price: &str, more: &Value) -> Uuid {
        let plan = per_minute(name, price, more);
        self.app
            .plan(&self.firm.admin, &self.firm.acme, &plan)
            .await
    }

    pub(crate) async fn act(&self, act: &str, body: &Value) -> Value {
        let path = format!("/api/admin/org-subscriptions/{}/{act}", self.id);
        self.app.posted(&self.firm, &path, body).await.expect(200)
    }

    async fn refused(&self, act: &str, body: &Value) -> Value {
        let path = format!("/api/admin/org-subscriptions/{}/{act}", self.id);
        let answer = self.app.posted(&self.firm, &path, body).await;
        let status = answer.status;
        assert!([409, 422].contains(&status), "{status}");
        answer.expect(status)
    }

    /// The subscription as it is.
    async fn shown(&self) -> Value {
        let path = format!("/api/admin/org-subscriptions/{}", self.id);
        self.app.read(&self.firm, &path).await
    }

    /// Goes to a time, and does what is due.
    async fn until(&self, time: &str) {
        self.app.advance(at(time).duration_since(self.app.now()));
        self.app.settle().await;
    }

    /// So many minutes at noon of some days of 2026.
    async fn calls(&self, days: &[(&str, i64)]) {
        let usages = days.iter().map(|(day, minutes)| {
            NewUsage::call(
                self.firm.dana,
                60 * minutes,
                at(&format!("2026-{day}T12:00:00Z")),
            )
        });
        self.app
            .record(&self.firm.acme, &usages.collect::<Vec<_>>())
            .await;
        self.app.settle().await;
    }
}

#[tokio::test]
async fn canceled_at_the_end_of_the_period_it_ends_there_unless_that_is_taken_back() {
    let sold = Sold::new().await;
    let canceled = sold.act("cancel", &json!({})).await;
    assert_eq!(
        (
            &canceled["status"],
            &canceled["endsAt"],
            &canceled["nextBillingDate"]
        ),
        (
            &json!("canceled"),
            &json!("2026-04-01T00:00:00Z"),
            &Value::Null
        )
    );
    assert_eq!(
        sold.refused("cancel", &json!({})).await["code"],
        "subscription_state"
    );
    assert_eq!(
        sold.refused("pause", &json!({})).await["code"],
        "subscription_state"
    );
    let resumed = sold.act("resume", &json!({})).await;
    assert_eq!(
        (
            &resumed["status"],
            &resumed["endsAt"],
            &resumed["nextBillingDate"]
        ),
        (&json!("active"), &Value::Null, &json!("2026-04-01"))
    );
    // The last day of March: April is made already, with its fee and its grant.
    sold.calls(&[("03-10", 12)]).await;
    sold.until("2026-03-31T12:00:00Z").await;
    assert_eq!(
        sold.app.texts(FEES).await,
        ["Basic 03-01 31", "Basic 04-01 31"]
    );
    sold.act("cancel", &json!({})).await;
    assert_eq!(sold.app.texts(FEES).await, ["Basic 03-01 31"]);
    assert_eq!(
        sold.app.texts(GRANTS).await,
        ["600 03-01-04-01 used 600", "0 04-01-05-01 used 0"]
    );
    sold.act("resume", &json!({})).await;
    assert_eq!(
        sold.app.texts(FEES).await,
        ["Basic 03-01 31", "Basic 04-01 31"]
    );
    assert_eq!(
        sold.app.texts(GRANTS).await,
        ["600 03-01-04-01 used 600", "600 04-01-05-01 used 0"]
    );
    sold.act("cancel", &json!({})).await;
    sold.app.assert_clean().await;
    sold.until("2026-04-05T00:00:00Z").await;
    assert_eq!(sold.shown().await["status"], "ended");
    assert_eq!(
        sold.refused("resume", &json!({})).await["code"],
        "subscription_state"
    );
    // The usage up to the end is on a last document; what comes then is by the call.
    sold.calls(&[("04-02", 1)]).await;
    sold.until("2026-05-05T00:00:00Z").await;
    assert_eq!(
        sold.app.texts(DOCUMENTS).await,
        [
            "one_off 3100: Basic 31 3100",
            "period 20: Call time, included 600 0, Call time, beyond what is included 120 20",
            "period 100: Call time 60 100",
        ]
    );
    sold.app.assert_clean().await;
}

#[tokio::test]
async fn canceled_at_once_the_rest_of_the_fee_is_given_back_on_the_last_document() {
    let sold = Sold::new().await;
    sold.calls(&[("03-08", 3), ("03-11", 2)]).await;
    sold.until("2026-03-11T15:00:00Z").await;
    let path = format!(
        "/api/admin/org-subscriptions/{}/cancel?preview=true",
        sold.id
    );
    let preview = sold
        .app
        .posted(&sold.firm, &path, &json!({"at": "2026-03-10T09:00:00Z"}))
        .await
        .expect(200);
    // Nine days are kept; the call of the 11th was included, and costs two by the call.
    assert_eq!(
        preview["effect"]["totals"],
        json!([{"currency": "USD", "before": "0.00", "after": "-20.00", "difference": "-20.00"}])
    );
    assert_eq!(preview["status"], "ended");
    assert_eq!(sold.shown().await["status"], "active");
    assert_eq!(
        sold.app
            .count("select count(*) from audit_log where action = 'subscription.canceled'")
            .await,
        0
    );
    let ended = sold
        .act("cancel", &json!({"at": "2026-03-10T09:00:00Z"}))
        .await;
    assert_eq!(
        (&ended["status"], &ended["endsAt"]),
        (&json!("ended"), &json!("2026-03-10T09:00:00Z"))
    );
    sold.app.settle().await;
    assert_eq!(
        sold.app.texts(USAGE).await,
        ["03-08 Basic allowance 180 0", "03-11 Calls usage 120 2"]
    );
    assert_eq!(sold.app.texts(GRANTS).await, ["600 03-01-03-10 used 180"]);
    sold.app.assert_clean().await;
    // A new one has its own allowance, and not what the old one left.
    sold.app
        .subscribe(
            &sold.firm.admin,
            &sold.firm.acme,
            sold.firm.dana,
            sold.basic,
            "2026-03-12",
        )
        .await;
    sold.calls(&[("03-13", 11)]).await;
    assert_eq!(
        sold.app.texts(GRANTS).await,
        ["600 03-01-03-10 used 180", "600 03-12-04-12 used 600"]
    );
    sold.until("2026-04-05T00:00:00Z").await;
    assert_eq!(
        sold.app.texts(DOCUMENTS).await,
        [
            "one_off 3100: Basic 31 3100",
            "one_off 3100: Basic 31 3100",
            "period -2000: Basic -22 -2200, Call time, included 180 0, Call time 120 200",
        ]
    );
    sold.app.assert_clean().await;
}

#[tokio::test]
async fn a_pause_costs_no_fee_and_has_no_allowance() {
    let sold = Sold::new().await;
    sold.until("2026-03-11T15:00:00Z").await;
    let path = format!(
        "/api/admin/org-subscriptions/{}/pause?preview=true",
        sold.id
    );
    let preview = sold
        .app
        .posted(&sold.firm, &path, &json!({"until": "2026-03-21"}))
        .await
        .expect(200);
    assert_eq!(preview["effect"]["totals"][0]["difference"], "-10.00");
    let paused = sold.act("pause", &json!({})).await;
    assert_eq!(
        (
            &paused["status"],
            &paused["pauseStartsAt"],
            &paused["pauseEndsAt"]
        ),
        (
            &json!("paused"),
            &json!("2026-03-11T15:00:00Z"),
            &Value::Null
        )
    );
    sold.calls(&[("03-10", 1), ("03-12", 1)]).await;
    assert_eq!(
        sold.app.texts(USAGE).await,
        ["03-10 Basic allowance 60 0", "03-12 Calls usage 60 1"]
    );
    // Two whole months of it: no fee, no grant; the periods are there all the same.
    sold.until("2026-05-20T00:00:00Z").await;
    assert_eq!(sold.app.texts(FEES).await, ["Basic 03-01 10"]);
    assert_eq!(sold.app.texts(GRANTS).await, ["600 03-01-04-01 used 60"]);
    assert_eq!(
        sold.app.count("select count(*) from billing_periods").await,
        3
    );
    sold.app.assert_clean().await;
    let resumed = sold.act("resume", &json!({})).await;
    assert_eq!(resumed["status"], "active");
    sold.calls(&[("05-19", 1), ("05-21", 1)]).await;
    sold.until("2026-06-05T00:00:00Z").await;
    assert_eq!(
        sold.app.texts(FEES).await,
        ["Basic 03-01 10", "Basic 05-20 12", "Basic 06-01 31"]
    );
    assert_eq!(
        sold.app.texts(GRANTS).await,
        [
            "600 03-01-04-01 used 60",
            "600 05-01-06-01 used 60",
            "600 06-01-07-01 used 0"
        ]
    );
    assert_eq!(
        sold.app.texts(DOCUMENTS).await,
        [
            "one_off 3100: Basic 31 3100",
            "period -2000: Basic -21 -2100, Call time, included 60 0, Call time 60 100",
            "period 4400: Basic 12 1200, Basic 30 3100, Call time, included 60 0, Call time 60 100",
        ]
    );
    sold.app.assert_clean().await;
}

#[tokio::test]
async fn a_pause_may_begin_later_end_by_itself_and_be_taken_back() {
    let sold = Sold::new().await;
    let planned = sold
        .act("pause", &json!({"at": "period_end", "until": "2026-04-11"}))
        .await;
    assert_eq!(
        (
            &planned["status"],
            &planned["pauseStartsAt"],
            &planned["pauseEndsAt"]
        ),
        (
            &json!("active"),
            &json!("2026-04-01T00:00:00Z"),
            &json!("2026-04-11T00:00:00Z")
        )
    );
    assert_eq!(
        sold.refused("pause", &json!({"at": "2026-03-20"})).await["code"],
        "already_paused"
    );
    sold.act("resume", &json!({})).await;
    assert_eq!(
        sold.app
            .count("select count(*) from subscription_pauses")
            .await,
        0
    );
    sold.act("pause", &json!({"at": "period_end", "until": "2026-04-11"}))
        .await;
    sold.until("2026-04-02T00:00:00Z").await;
    assert_eq!(sold.shown().await["status"], "paused");
    assert_eq!(
        sold.app.texts(FEES).await,
        ["Basic 03-01 31", "Basic 04-11 20.6667"]
    );
    sold.until("2026-04-12T00:00:00Z").await;
    assert_eq!(sold.shown().await["status"], "active");
    sold.app.assert_clean().await;
    // Nothing is said of what is closed, of nonsense, or of what comes before the last change.
    for (body, field) in [
        (json!({"at": "2026-03-31"}), "at"),
        (json!({"at": "2026-04-01"}), "at"),
        (json!({"at": "2026-04-10"}), "at"),
        (json!({"at": "2036-04-10"}), "at"),
        (json!({"at": "soon"}), "at"),
        (json!({"until": "2026-04-11T12:00:00Z"}), "until"),
        (json!({"untli": "2026-04-11T12:00:00Z"}), "untli"),
    ] {
        let refused = sold.refused("pause", &body).await;
        let errors = refused["errors"].to_string();
        assert!(errors.contains(&format!("\"{field}\"")), "{body}: {errors}");
    }
}

#[tokio::test]
async fn without_renewal_it_ends_with_its_period_until_that_is_changed() {
    let sold = Sold::new().await;
    let once = sold.act("renewal", &json!({"autoRenew": false})).await;
    assert_eq!(
        (&once["status"], &once["autoRenew"], &once["endsAt"]),
        (
            &json!("active"),
            &json!(false),
            &json!("2026-04-01T00:00:00Z")
        )
    );
    let again = sold.act("renewal", &json!({"autoRenew": false})).await;
    assert_eq!(again, once);
    sold.until("2026-03-31T12:00:00Z").await;
    assert_eq!(
        sold.app.count("select count(*) from billing_periods").await,
        1
    );
    let renewed = sold.act("renewal", &json!({"autoRenew": true})).await;
    assert_eq!(
        (&renewed["endsAt"], &renewed["autoRenew"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(
        sold.app.texts(FEES).await,
        ["Basic 03-01 31", "Basic 04-01 31"]
    );
    sold.act("renewal", &json!({"autoRenew": false})).await;
    sold.until("2026-04-05T00:00:00Z").await;
    assert_eq!(sold.shown().await["status"], "ended");
    assert_eq!(
        sold.app.texts(DOCUMENTS).await,
        ["one_off 3100: Basic 31 3100"]
    );
    sold.app.assert_clean().await;
}

#[tokio::test]
async fn another_plan_at_once_divides_the_fee_and_takes_the_usage_from_then_on() {
    let sold = Sold::new().await;
    let more = json!({"baseFee": 62, "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 1500}]});
    let plus = sold.plan("Plus", "0.05", &more).await;
    sold.calls(&[("03-05", 8), ("03-12", 5), ("03-14", 30)])
        .await;
    sold.until("2026-03-15T15:00:00Z").await;
    assert_eq!(
        sold.app.texts(USAGE).await,
        [
            "03-05 Basic allowance 480 0",
            "03-12 Basic allowance 120 0",
            "03-12 Basic overage 180 0.3",
            "03-14 Basic overage 1800 3",
        ]
    );
    // Backdated to before the last calls: they are rated on Plus, with what it includes beyond Basic.
    let body = json!({"planId": plus, "at": "2026-03-11"});
    let path = format!(
        "/api/admin/org-subscriptions/{}/change-plan?preview=true",
        sold.id
    );
    let preview = sold.app.posted(&sold.firm, &path, &body).await.expect(200);
    // 21 of 31 days at 31 more, and the overage of 33 minutes at ten cents becomes one of 18 at five.
    assert_eq!(
        preview["effect"]["totals"],
        json!([{"currency": "USD", "before": "3.30", "after": "21.90", "difference": "18.60"}])
    );
    assert_eq!(preview["effect"]["usageLeft"], false);
    assert_eq!(preview["planName"], "Plus");
    assert_eq!(sold.shown().await["planName"], "Basic");
    let changed = sold.act("change-plan", &body).await;
    assert_eq!(
        (&changed["planName"], &changed["nextPlanAt"]),
        (&json!("Plus"), &Value::Null)
    );
    sold.app.settle().await;
    assert_eq!(
        sold.app.texts(USAGE).await,
        [
            "03-05 Basic allowance 480 0",
            "03-12 Plus allowance 120 0",
            "03-12 Plus allowance 180 0",
            "03-14 Plus allowance 720 0",
            "03-14 Plus overage 1080 0.9",
        ]
    );
    assert_eq!(
        sold.app.texts(FEES).await,
        ["Basic 03-01 10", "Plus 03-11 42"]
    );
    assert_eq!(
        sold.app.texts(GRANTS).await,
        ["600 03-01-04-01 used 600", "900 03-11-04-01 used 900"]
    );
    sold.app.assert_clean().await;
    // To and fro grants nothing twice.
    let basic = sold.basic;
    assert_eq!(
        sold.refused("change-plan", &json!({"planId": plus})).await["code"],
        "same_plan"
    );
    sold.until("2026-03-16T00:00:00Z").await;
    sold.act("change-plan", &json!({"planId": basic})).await;
    sold.until("2026-03-17T00:00:00Z").await;
    sold.act("change-plan", &json!({"planId": plus})).await;
    assert_eq!(
        sold.app
            .count("select count(*) from allowance_grants")
            .await,
        2
    );
    assert_eq!(
        sold.app.texts(FEES).await,
        [
            "Basic 03-01 10",
            "Plus 03-11 10",
            "Basic 03-16 1",
            "Plus 03-17 30"
        ]
    );
    sold.until("2026-04-05T00:00:00Z").await;
    assert_eq!(
        sold.app.texts(DOCUMENTS).await,
        [
            "one_off 3100: Basic 31 3100",
            "period 8290: Basic -20 -2000, Plus 20 4000, Plus 30 6200, Call time, included 1500 0, Call time, beyond what is included 1080 90",
        ]
    );
    sold.app.assert_clean().await;
}

#[tokio::test]
async fn another_plan_from_the_next_period_on_and_what_does_not_fit() {
    let sold = Sold::new().await;
    let more = json!({"baseFee": 10, "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 60}]});
    let mini = sold.plan("Mini", "0.50", &more).await;
    sold.until("2026-03-31T12:00:00Z").await;
    // April is made already.
    let changed = sold
        .act("change-plan", &json!({"planId": mini, "at": "period_end"}))
        .await;
    assert_eq!(
        (&changed["planName"], &changed["nextPlanAt"]),
        (&json!("Basic"), &json!("2026-04-01T00:00:00Z"))
    );
    assert_eq!(
        sold.app.texts(FEES).await,
        ["Basic 03-01 31", "Mini 04-01 10"]
    );
    assert_eq!(
        sold.app.texts(GRANTS).await,
        ["600 03-01-04-01 used 0", "60 04-01-05-01 used 0"]
    );
    // Taken back, by going on with the plan that it is on; and once more.
    sold.act("change-plan", &json!({"planId": sold.basic}))
        .await;
    assert_eq!(
        sold.app.texts(FEES).await,
        ["Basic 03-01 31", "Basic 04-01 31"]
    );
    sold.act("change-plan", &json!({"planId": mini, "at": "period_end"}))
        .await;
    sold.app.assert_clean().await;
    sold.calls(&[("03-31", 1), ("04-01", 2)]).await;
    sold.until("2026-04-05T00:00:00Z").await;
    assert_eq!(
        sold.app.texts(USAGE).await,
        [
            "03-31 Basic allowance 60 0",
            "04-01 Mini allowance 60 0",
            "04-01 Mini overage 60 0.5",
        ]
    );
    assert_eq!(
        sold.app.texts(DOCUMENTS).await,
        [
            "one_off 3100: Basic 31 3100",
            "period 1000: Mini 30 1000, Call time, included 60 0",
        ]
    );
    sold.app.assert_clean().await;
    let yearly = sold
        .plan("Yearly", "0.10", &json!({"intervalMonths": 12}))
        .await;
    let euros = sold
        .plan("Euros", "0.10", &json!({"currency": "EUR"}))
        .await;
    let calls = sold
        .plan("By call", "0.10", &json!({"kind": "pay_per_call"}))
        .await;
    for (body, field) in [
        (json!({"planId": yearly}), "planId"),
        (json!({"planId": euros}), "planId"),
        (json!({"planId": calls}), "planId"),
        (json!({"planId": Uuid::now_v7()}), "planId"),
        (json!({}), "planId"),
    ] {
        let refused = sold.refused("change-plan", &body).await;
        let errors = refused["errors"].to_string();
        assert!(errors.contains(&format!("\"{field}\"")), "{body}: {errors}");
    }
}

#[tokio::test]
async fn a_repeated_request_acts_once_and_nobody_acts_on_what_is_not_theirs() {
    let sold = Sold::new().await;
    let path = format!("/api/admin/org-subscriptions/{}/pause", sold.id);
    let ask = || {
        let ask = sold.app.post(&path).user(&sold.firm.admin);
        let ask = ask.organization(&sold.firm.acme);
        ask.header("idempotency-key", "pause").json(&json!({}))
    };
    let first = ask().send().await.expect(200);
    let again = ask().send().await.expect(200);
    assert_eq!(first, again);
    let counted = "select count(*) from audit_log where action = 'subscription.paused'";
    assert_eq!(sold.app.count(counted).await, 1);
    let (foreign, other) = sold.app.firm().await;
    let ask = sold.app.post(&path).user(&other).organization(&foreign);
    ask.json(&json!({})).send().await.expect(404);
    // The platform acts for an organization, and on its own sale; the organization does not on that.
    let boss = sold.app.platform_admin().await;
    let plan = per_minute("Pro", "0.02", &json!({"code": "pro", "baseFee": 10}));
    let plan = sold
        .app
        .post("/api/admin/billing-plans")
        .user(&boss)
        .json(&plan);
    let plan = plan.send().await.expect(201);
    let body = json!({"orgId": sold.firm.acme.id, "planId": plan["id"], "startDate": "2026-03-01"});
    let own = sold.app.post("/api/admin/org-subscriptions").user(&boss);
    let own = own.json(&body).send().await.expect(201);
    let own = format!(
        "/api/admin/org-subscriptions/{}/pause",
        own["id"].as_str().unwrap()
    );
    let refused = sold.app.posted(&sold.firm, &own, &json!({})).await;
    refused.expect(404);
    let done = sold.app.post(&own).user(&boss).json(&json!({}));
    assert_eq!(done.send().await.expect(200)["status"], "paused");
    let resume = format!(
        "/api/admin/org-subscriptions/{}/resume?orgId={}&customerId={}",
        sold.id, sold.firm.acme.id, sold.firm.dana
    );
    sold.app.advance(jiff::SignedDuration::from_secs(1));
    let done = sold.app.post(&resume).user(&boss).json(&json!({}));
    assert_eq!(done.send().await.expect(200)["status"], "active");
    sold.app.settle().await;
    sold.app.assert_clean().await;
}

#[tokio::test]
async fn usage_is_filled_up_to_the_minimum_commitment_when_its_document_closes() {
    let sold = Sold::new().await;
    let more = json!({"baseFee": 5, "minimumCommitment": 20});
    let committed = sold.plan("Committed", "0.10", &more).await;
    let other = sold.app.customer(&sold.firm.acme, "Erin").await;
    let none = sold.app.customer(&sold.firm.acme, "Nobody").await;
    for customer in [other, none] {
        sold.app
            .subscribe(
                &sold.firm.admin,
                &sold.firm.acme,
                customer,
                committed,
                "2026-03-01",
            )
            .await;
    }
    sold.app
        .change("update customers set tax_percent = 10 where name = 'Erin'")
        .await;
    // 12.35, rounded once; the draft says what it would come to now.
    let call = |minutes: i64, day: &str| NewUsage::call(other, 60 * minutes, at(day));
    sold.app
        .record(
            &sold.firm.acme,
            &[
                call(30, "2026-03-05T12:00:00Z"),
                call(93, "2026-03-06T12:00:00Z"),
            ],
        )
        .await;
    sold.app.settle().await;
    let drafts = sold
        .app
        .read(
            &sold.firm,
            &format!("/api/admin/invoices/preview?customerId={other}"),
        )
        .await;
    assert_eq!(
        drafts["data"][0]["items"][1]["description"],
        "Up to the minimum commitment"
    );
    assert_eq!(drafts["data"][0]["items"][1]["amount"], "7.70");
    sold.until("2026-04-05T00:00:00Z").await;
    let documents = "select format('%s %s+%s: %s', c.name, i.subtotal_minor, i.tax_minor, (select string_agg(
            format('%s %s', l.description, l.amount_minor), ', ' order by l.position)
            from invoice_lines l where l.organization_id = i.organization_id and l.invoice_id = i.id))
        from invoices i join customers c on c.id = i.customer_id where i.kind = 'period' and i.state <> 'draft' and c.name <> 'Dana' order by c.name, i.number_seq";
    assert_eq!(
        sold.app.texts(documents).await,
        [
            "Erin 2500+250: Committed 500, Call time 1230, Up to the minimum commitment 770",
            "Nobody 2500+0: Committed 500, Up to the minimum commitment 2000",
        ]
    );
    sold.app.assert_clean().await;
    // What comes late counts for the next document; a run again changes nothing; another charge of it is refused.
    sold.app
        .record(&sold.firm.acme, &[call(250, "2026-03-20T12:00:00Z")])
        .await;
    sold.app.settle().await;
    let again = sold.app.refusal("insert into charges select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'invoice_id',
        (select id from invoices where state = 'draft' and customer_id = c.customer_id limit 1)))).* from charges c where kind = 'commitment'".into()).await;
    assert_eq!(again, "charges_fee_key");
    sold.until("2026-05-05T00:00:00Z").await;
    assert_eq!(
        sold.app.texts(documents).await,
        [
            "Erin 2500+250: Committed 500, Call time 1230, Up to the minimum commitment 770",
            "Erin 3000+300: Committed 500, Call time 2500",
            "Nobody 2500+0: Committed 500, Up to the minimum commitment 2000",
            "Nobody 2500+0: Committed 500, Up to the minimum commitment 2000",
        ]
    );
    sold.app.assert_clean().await;
}

#[tokio::test]
async fn no_more_than_the_cap_is_carried_into_a_cycle_whenever_its_usage_comes() {
    let rollover = json!({"allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600,
        "rollover": {"cycles": 1, "cap": 240}}]});
    let sold = Sold::with(&per_minute("Basic", "0.10", &rollover)).await;
    let grants = "select format('%s: %s used, %s forfeited', to_char(starts_at at time zone 'UTC', 'MM-DD'), trim_scale(used), trim_scale(forfeited))
        from allowance_grants order by starts_at";
    sold.calls(&[("03-10", 3)]).await;
    // Made a day ahead, April takes nothing away before it begins.
    sold.until("2026-03-31T23:00:00Z").await;
    assert_eq!(
        sold.app.texts(grants).await,
        ["03-01: 180 used, 0 forfeited", "04-01: 0 used, 0 forfeited"]
    );
    sold.until("2026-04-01T00:00:00Z").await;
    assert_eq!(
        sold.app.texts(grants).await,
        [
            "03-01: 180 used, 180 forfeited",
            "04-01: 0 used, 0 forfeited"
        ]
    );
    sold.app.assert_clean().await;
    // What is carried is used first. What comes late of March is covered as if it had come in time.
    sold.calls(&[("04-02", 5)]).await;
    assert_eq!(
        sold.app.texts(grants).await,
        [
            "03-01: 420 used, 180 forfeited",
            "04-01: 60 used, 0 forfeited"
        ]
    );
    sold.calls(&[("03-31", 4)]).await;
    assert_eq!(
        sold.app.texts(grants).await,
        [
            "03-01: 600 used, 0 forfeited",
            "04-01: 120 used, 0 forfeited"
        ]
    );
    assert_eq!(
        sold.app.texts(USAGE).await,
        [
            "03-10 Basic allowance 180 0",
            "03-31 Basic allowance 240 0",
            "04-02 Basic allowance 180 0",
            "04-02 Basic allowance 120 0",
        ]
    );
    sold.app.assert_clean().await;
    // A cycle later, without any usage.
    sold.until("2026-05-02T00:00:00Z").await;
    assert_eq!(
        sold.app.texts(grants).await,
        [
            "03-01: 600 used, 0 forfeited",
            "04-01: 120 used, 240 forfeited",
            "05-01: 0 used, 0 forfeited"
        ]
    );
    sold.app.queue_again(&sold.firm.acme).await;
    sold.app.settle().await;
    assert_eq!(
        sold.app.texts(grants).await[1],
        "04-01: 120 used, 240 forfeited"
    );
    sold.app.assert_clean().await;
}

#[tokio::test]
async fn what_is_given_back_of_a_fee_that_a_wallet_paid_is_drawn_less() {
    let sold = Sold::new().await;
    let wallet = json!({"customerId": sold.firm.dana, "currency": "USD"});
    let wallet = sold.app.posted(&sold.firm, "/api/admin/wallets", &wallet);
    let wallet = wallet.await.expect(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/api/admin/wallets/{wallet}/movements");
    let credit = json!({"kind": "top_up", "amount": "50", "reference": "transfer 1"});
    sold.app
        .posted(&sold.firm, &path, &credit)
        .await
        .expect(201);
    // The fee of March was on a final document before there was a wallet; that of April is drawn, and final too when some
    // of it is given back: so the next charges are drawn less.
    let balance = "select format('%s %s', trim_scale(balance), trim_scale(round(undrawn_numerator / undrawn_denominator, 4))) from wallets";
    sold.until("2026-04-05T00:00:00Z").await;
    assert_eq!(sold.app.texts(balance).await, ["19 0"]);
    sold.act("pause", &json!({"at": "2026-04-11", "until": "2026-04-21"}))
        .await;
    assert_eq!(sold.app.texts(balance).await, ["19 -10.3333"]);
    sold.act("resume", &json!({})).await;
    assert_eq!(sold.app.texts(balance).await, ["19 0"]);
    sold.app.assert_clean().await;
}
