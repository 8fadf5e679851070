//! The billing run: what it makes, what it holds back, and that stopping it or starting it twice changes nothing.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::process::Command;
use tollbook::{BillingRun, RunProgress, RunReport};

use crate::support::{Incoming, NewUsage, Organization, TestApp, User, at, per_minute};

const TRIAL: BillingRun = BillingRun {
    until: None,
    organization: None,
    is_trial: true,
};
const ALL: BillingRun = BillingRun {
    is_trial: false,
    ..TRIAL
};
const DRAFTS: &str = "select count(*) from invoices where state = 'draft'";

impl TestApp {
    async fn bill(&self, run: BillingRun) -> RunReport {
        self.app.billing_run(run, |_| {}).await.unwrap()
    }

    /// Customers on a plan of an organization since 1 March, each with a call in its first days.
    async fn customers_with_calls(&self, acme: &Organization, admin: &User, count: i64) {
        let plan = per_minute("Basic", "0.10", &json!({"baseFee": 5}));
        let plan = self.plan(admin, acme, &plan).await;
        for n in 0..count {
            let customer = self.customer(acme, &format!("Customer {n:02}")).await;
            self.subscribe(admin, acme, customer, plan, "2026-03-01")
                .await;
            let at = at("2026-03-02T09:00:00Z") + SignedDuration::from_mins(n);
            self.record(acme, &[NewUsage::call(customer, 60 * (n + 1), at)])
                .await;
        }
    }
}

/// Amounts by currency, empty drafts, and who is held back by what.
fn summary(report: &RunReport) -> String {
    let issued = report
        .issued
        .iter()
        .map(|it| format!("{} of {} {}; ", it.documents, it.total, it.currency));
    let held = report.held.iter().map(|it| {
        format!(
            "{} {}: {} held, {} periods, {} usages, {} webhooks; ",
            it.name,
            it.payer,
            it.drafts,
            it.periods_waiting,
            it.usages_waiting,
            it.webhooks_waiting
        )
    });
    issued
        .chain(held)
        .collect::<String>()
        .trim_end_matches("; ")
        .to_owned()
}

#[tokio::test]
async fn a_trial_says_what_the_run_then_makes() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    app.customers_with_calls(&acme, &admin, 3).await;
    app.settle().await;
    // First fees, each on a document of its own, are there; the drafts of March are not due.
    assert_eq!(summary(&app.bill(TRIAL).await), "");
    app.advance(SignedDuration::from_hours(29 * 24));
    // A day before its end the fees of April join them.
    app.settle().await;
    app.advance(SignedDuration::from_hours(2 * 24));
    let before = app.count(DRAFTS).await;
    assert_eq!(summary(&app.bill(TRIAL).await), "3 of 15.60 USD");
    assert_eq!(app.count(DRAFTS).await, before);
    let mut told = Vec::new();
    let report = app
        .app
        .billing_run(ALL, |progress| told.push(progress))
        .await
        .unwrap();
    assert_eq!(summary(&report), "3 of 15.60 USD");
    let progress = |done| RunProgress { done, total: 3 };
    assert_eq!(told, [progress(0), progress(3)]);
    // Again: nothing.
    assert_eq!(summary(&app.bill(ALL).await), "");
    assert_eq!(
        app.texts(
            "select number from invoices where kind = 'period' and state <> 'draft' order by number"
        )
        .await
        .len(),
        3
    );
}

#[tokio::test]
async fn only_what_was_due_by_then_and_of_one_organization() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    app.customers_with_calls(&acme, &admin, 1).await;
    let other = app.organization("Other").await;
    let other_admin = app.admin(&other).await;
    app.customers_with_calls(&other, &other_admin, 2).await;
    app.settle().await;
    app.advance(SignedDuration::from_hours(31 * 24));
    let early = BillingRun {
        until: Some(at("2026-04-01T00:00:00Z")),
        ..ALL
    };
    assert_eq!(summary(&app.bill(early).await), "");
    let of_acme = BillingRun {
        organization: Some(acme.id),
        ..ALL
    };
    assert_eq!(summary(&app.bill(of_acme).await), "1 of 5.10 USD");
    assert_eq!(summary(&app.bill(ALL).await), "2 of 10.30 USD");
}

#[tokio::test]
async fn what_waits_holds_a_period_open_and_what_it_had_is_kept() {
    let app = TestApp::quiet().await;
    let (acme, admin) = app.firm().await;
    let line = app.line(&acme, &admin, "+12125550142").await;
    app.customers_with_calls(&acme, &admin, 1).await;
    app.settle().await;
    let customer = app.customer(&acme, "Idle").await;
    app.advance(SignedDuration::from_hours(31 * 24));
    // Usage of March that is told now and not rated yet, and a webhook that waits for its next try.
    let late = NewUsage::call(customer, 30, at("2026-03-20T09:00:00Z"));
    app.record(&acme, &[late]).await;
    let first =
        sqlx::query_scalar::<_, uuid::Uuid>("select id from customers where name = 'Customer 00'");
    let mut tx = app.platform().await;
    let first = first.fetch_one(&mut *tx).await.unwrap();
    tx.rollback().await.unwrap();
    let late = NewUsage::call(first.into(), 120, at("2026-03-21T09:00:00Z"));
    app.record(&acme, &[late]).await;
    assert_eq!(
        summary(&app.bill(TRIAL).await),
        "Acme customer: 1 held, 1 periods, 2 usages, 0 webhooks"
    );
    let call = Incoming {
        sid: "ACwaits",
        from: "+12025550101",
        at: app.now(),
    };
    app.deliver(&line, &call.missed(&line)).await.expect(204);
    // Webhooks that have just come hold nothing back; one that has waited for two minutes does.
    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    let age = "set session_replication_role = replica;
        update inbox_queue set run_at = run_at + interval '1 hour';
        update inbox set received_at = received_at - interval '2 minutes';
        update inbox_keys set received_at = received_at - interval '2 minutes';
        update inbox_queue set received_at = received_at - interval '2 minutes'";
    sqlx::raw_sql(age).execute(&mut owner).await.unwrap();
    assert_eq!(
        summary(&app.bill(ALL).await),
        "Acme customer: 1 held, 0 periods, 0 usages, 1 webhooks"
    );
    let answer = app
        .get("/api/admin/invoices?status=draft")
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(200);
    assert_eq!(answer["data"][0]["closing"], json!(null));
    app.change("update inbox_queue set parked_at = now()").await;
    assert_eq!(summary(&app.bill(ALL).await), "1 of 5.30 USD");
    let kept = "select format('%s %s, %s %s %s', webhooks, webhooks_parked, usages, usages_rated, usages_parked)
        from invoices where kind = 'period' and state <> 'draft'";
    // The webhook is not of March.
    assert_eq!(app.texts(kept).await, ["0 0, 2 2 0"]);
    // What was counted stays.
    let refused = app
        .refusal("update invoices set usages = 9 where number is not null".to_owned())
        .await;
    assert_eq!(refused, "invoices_immutable");
    let closing = app
        .get("/api/admin/invoices?status=finalized")
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(200)["data"][0]["closing"]
        .clone();
    assert_eq!(
        closing,
        json!({"webhooks": 0, "webhooksParked": 0, "usages": 2, "usagesRated": 2, "usagesParked": 0})
    );
}

/// Everybody's documents, without what differs between two databases.
const BILLS: &str = "select format('%s, %s: %s from %s %s, lines %s', o.name, c.name, i.kind, i.period_start, i.total_minor,
        (select string_agg(l.description || ' ' || l.quantity::text || ' ' || l.amount_minor, '; ' order by l.position)
            from invoice_lines l where l.organization_id = i.organization_id and l.invoice_id = i.id))
    from invoices i join organizations o on o.id = i.organization_id join customers c on c.organization_id = i.organization_id and c.id = i.customer_id
    where i.state <> 'draft' order by 1";
/// Sellers whose numbers are not one after the other.
const GAPS: &str =
    "select seller_id::text from invoices where number is not null group by seller_id, number_year
    having max(number_seq) <> count(*) or min(number_seq) <> 1";

async fn world() -> TestApp {
    let app = TestApp::quiet().await;
    for name in ["Acme", "Bolt", "Core", "Dune", "Echo"] {
        let organization = app.organization(name).await;
        let admin = app.admin(&organization).await;
        app.customers_with_calls(&organization, &admin, 4).await;
    }
    app
}

#[tokio::test]
async fn runs_at_once_that_are_stopped_make_the_same_as_one() {
    let (whole, broken) = (world().await, world().await);
    let other = broken.beside().await;
    for app in [&whole, &broken] {
        app.advance(SignedDuration::from_hours(62 * 24));
    }
    // The other node's clock is its own.
    other.advance(SignedDuration::from_hours(62 * 24));
    whole.settle().await;
    let mut random = StdRng::seed_from_u64(7);
    let mut stopped = 0;
    for _ in 0..20 {
        let time = |random: &mut StdRng| Duration::from_micros(random.random_range(500..60_000));
        let (one, two) = (time(&mut random), time(&mut random));
        // A run that is dropped has done what it committed, as if its process had been killed.
        let (one, two) = tokio::join!(
            tokio::time::timeout(one, broken.app.billing_run(ALL, |_| {})),
            tokio::time::timeout(two, other.app.billing_run(ALL, |_| {})),
        );
        stopped += u32::from(one.is_err()) + u32::from(two.is_err());
    }
    assert!(stopped > 0, "no run was stopped");
    broken.settle().await;
    let bills = broken.texts(BILLS).await;
    assert_eq!(bills, whole.texts(BILLS).await);
    // First fee, March with April's fee, April with May's.
    assert_eq!(bills.len(), 5 * 4 * 3);
    assert_eq!(broken.texts(GAPS).await, [""; 0]);
    broken.assert_clean().await;
}

/// `tollbook billing run` for what was due by then, on the database of an application whose clock stands still.
fn command(app: &TestApp, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbook"));
    command
        .env_clear()
        .env("DATABASE_URL", &app.database().url)
        .env("TOLLBOOK_DATA_DIR", folder)
        .current_dir(folder)
        .args(["billing", "run", "--at", "2026-05-02T00:00:00Z"]);
    command
}

#[tokio::test]
async fn a_command_that_is_killed_ten_times_makes_the_same_as_one_that_is_left_alone() {
    let (whole, broken) = (world().await, world().await);
    let folder = tempfile::tempdir().unwrap();
    let output = command(&whole, folder.path()).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut random = StdRng::seed_from_u64(11);
    // How many documents there are when a run is killed; with none of them, it has hardly begun.
    let mut moments: Vec<i64> = (0..10).map(|_| random.random_range(0..55)).collect();
    moments.sort_unstable();
    let made = async || {
        broken
            .count("select count(*) from invoices where state <> 'draft'")
            .await
    };
    let mut between = 0;
    for moment in moments {
        let mut run = command(&broken, folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while made().await < moment && run.try_wait().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        if run.try_wait().unwrap().is_none() {
            run.kill().await.unwrap();
        }
        let made = made().await;
        between += u32::from(0 < made && made < 60);
    }
    assert!(between > 0, "no run was killed halfway");
    let output = command(&broken, folder.path()).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let bills = broken.texts(BILLS).await;
    assert_eq!(bills, whole.texts(BILLS).await);
    assert_eq!(bills.len(), 5 * 4 * 3);
    assert_eq!(broken.texts(GAPS).await, [""; 0]);
    broken.assert_clean().await;
}
