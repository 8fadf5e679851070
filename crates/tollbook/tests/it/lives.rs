//! The life of a subscription: it is canceled, paused, resumed, not renewed, and moved to another plan; what was charged
//! and granted follows.

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Firm, NewUsage, TestApp, at, per_minute};

const DAY: SignedDuration = SignedDuration::from_hours(24);
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
struct Sold {
    app: TestApp,
    firm: Firm,
    basic: Uuid,
    id: String,
}

impl Sold {
    async fn new() -> Self {
        let app = TestApp::quiet().await;
        let firm = app.firm_with_customer().await;
        let more = json!({"baseFee": 31, "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600}]});
        let basic = per_minute("Basic", "0.10", &more);
        let basic = app.plan(&firm.admin, &firm.acme, &basic).await;
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

    async fn act(&self, act: &str, body: &Value) -> Value {
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
    assert_eq!(sold.app.texts(FEES).await, ["Basic 03-01 31", "Basic 04-01 31"]);
    sold.act("cancel", &json!({})).await;
    assert_eq!(sold.app.texts(FEES).await, ["Basic 03-01 31"]);
    assert_eq!(
        sold.app.texts(GRANTS).await,
        ["600 03-01-04-01 used 600", "0 04-01-05-01 used 0"]
    );
    sold.act("resume", &json!({})).await;
    assert_eq!(sold.app.texts(FEES).await, ["Basic 03-01 31", "Basic 04-01 31"]);
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
    let path = format!("/api/admin/org-subscriptions/{}/cancel?preview=true", sold.id);
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
    assert_eq!(sold.app.count("select count(*) from audit_log where action = 'subscription.canceled'").await, 0);
    let ended = sold.act("cancel", &json!({"at": "2026-03-10T09:00:00Z"})).await;
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
    let path = format!("/api/admin/org-subscriptions/{}/pause?preview=true", sold.id);
    let preview = sold
        .app
        .posted(&sold.firm, &path, &json!({"until": "2026-03-21"}))
        .await
        .expect(200);
    assert_eq!(preview["effect"]["totals"][0]["difference"], "-10.00");
    let paused = sold.act("pause", &json!({})).await;
    assert_eq!(
        (&paused["status"], &paused["pauseStartsAt"], &paused["pauseEndsAt"]),
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
    assert_eq!(sold.app.count("select count(*) from billing_periods").await, 3);
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
        (&planned["status"], &planned["pauseStartsAt"], &planned["pauseEndsAt"]),
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
    assert_eq!(sold.app.count("select count(*) from subscription_pauses").await, 0);
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
    assert_eq!(sold.app.count("select count(*) from billing_periods").await, 1);
    let renewed = sold.act("renewal", &json!({"autoRenew": true})).await;
    assert_eq!(
        (&renewed["endsAt"], &renewed["autoRenew"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(sold.app.texts(FEES).await, ["Basic 03-01 31", "Basic 04-01 31"]);
    sold.act("renewal", &json!({"autoRenew": false})).await;
    sold.until("2026-04-05T00:00:00Z").await;
    assert_eq!(sold.shown().await["status"], "ended");
    assert_eq!(
        sold.app.texts(DOCUMENTS).await,
        ["one_off 3100: Basic 31 3100"]
    );
    sold.app.assert_clean().await;
}
