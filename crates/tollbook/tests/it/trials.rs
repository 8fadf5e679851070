//! Trials: days at the start of a subscription for which no base fee is due.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{NewUsage, Organization, TestApp, User, at, per_minute};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Finalized documents with their lines.
const DOCUMENTS: &str = "select format('%s %s: %s', i.kind, i.total_minor, (select string_agg(
        format('%s %s %s', l.description, trim_scale(l.quantity), to_char(l.starts_at at time zone 'UTC', 'MM-DD')), ', ' order by l.position)
        from invoice_lines l where l.organization_id = i.organization_id and l.invoice_id = i.id))
    from invoices i where i.state <> 'draft' order by i.number_seq";

impl TestApp {
    async fn subscription(&self, admin: &User, acme: &Organization) -> Value {
        let ask = self.get("/api/admin/org-subscriptions");
        let list = ask.user(admin).organization(acme).send().await.expect(200);
        list["data"][0].clone()
    }
}

#[tokio::test]
async fn the_fee_is_for_the_days_behind_the_trial() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    let plan = per_minute("Basic", "0.10", &json!({"baseFee": 31, "trialDays": 10}));
    let plan = app.plan(&admin, &acme, &plan).await;
    let customer = app.customer(&acme, "Dana").await;
    app.subscribe(&admin, &acme, customer, plan, "2026-03-01")
        .await;
    let shown = app.subscription(&admin, &acme).await;
    assert_eq!(
        (&shown["status"], &shown["trialEndsAt"]),
        (&json!("trial"), &json!("2026-03-11T00:00:00Z"))
    );
    // Usage is charged from the first day.
    let usage = NewUsage::call(customer, 60, at("2026-03-03T09:00:00Z"));
    app.record(&acme, &[usage]).await;
    app.settle().await;
    app.advance(DAY * 8);
    app.settle().await;
    assert_eq!(app.texts(DOCUMENTS).await, [""; 0]);
    assert_eq!(app.subscription(&admin, &acme).await["status"], "trial");
    app.advance(DAY);
    app.settle().await;
    assert_eq!(app.subscription(&admin, &acme).await["status"], "active");
    // 21 of 31 days.
    let first = "one_off 2100: Basic 21 03-11";
    assert_eq!(app.texts(DOCUMENTS).await, [first]);
    app.advance(DAY * 23);
    app.settle().await;
    let march = "period 3110: Basic 30 04-01, Call time 60 03-01";
    assert_eq!(app.texts(DOCUMENTS).await, [first, march]);
    app.assert_clean().await;
}

#[tokio::test]
async fn a_trial_that_is_longer_than_a_period_costs_nothing_in_it() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    let plan = per_minute("Basic", "0.10", &json!({"baseFee": 30, "trialDays": 46}));
    let plan = app.plan(&admin, &acme, &plan).await;
    let customer = app.customer(&acme, "Dana").await;
    app.subscribe(&admin, &acme, customer, plan, "2026-03-01")
        .await;
    // One that has been over for long is no trial any more.
    let late = app.customer(&acme, "Late").await;
    app.subscribe(&admin, &acme, late, plan, "2026-01-01").await;
    let shown = app.subscription(&admin, &acme).await;
    assert_eq!(
        (&shown["status"], &shown["trialEndsAt"]),
        (&json!("active"), &json!("2026-02-16T00:00:00Z"))
    );
    let of_dana = "select format('%s %s', trim_scale(c.quantity), trim_scale(c.amount)) from charges c join customers u on u.id = c.customer_id
        where c.kind = 'fee' and u.name = 'Dana' order by c.occurred_at";
    assert_eq!(app.texts(of_dana).await, [""; 0]);
    app.advance(DAY * 62);
    app.settle().await;
    // The trial ends on 16 April: 15 of 30 days, then whole months.
    assert_eq!(app.texts(of_dana).await, ["15 15", "31 30"]);
    let of_late = "select format('%s %s', trim_scale(c.quantity), trim_scale(c.amount)) from charges c join customers u on u.id = c.customer_id
        where c.kind = 'fee' and u.name = 'Late' order by c.occurred_at limit 2";
    assert_eq!(app.texts(of_late).await, ["13 13.928571428571", "31 30"]);
    app.assert_clean().await;
}
