//! Corrections by chance: whatever people move, merge, waive and undo, in open periods and in closed ones, what is charged is
//! what a fresh rating of the final state says, and no cent is charged or given back twice.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tollbook_core::ids::CustomerId;
use uuid::Uuid;

use crate::corrections::Office;
use crate::support::{Firm, NewUsage, at, per_minute};

/// What money depends on: charges in force, documents, credit notes, and what is left of allowances.
const EVERYTHING: &str = "select format('%s %s %s %s', to_char(occurred_at, 'YYYY-MM-DD HH24:MI:SS'), customer_id, kind, amount) from charges
    where payer = 'customer' and kind <> 'not_charged' and reverses_id is null and not exists (select from charges r where r.reverses_id = charges.id)
    union all select format('%s %s %s %s', number, state, total_minor, credited_minor) from invoices where state <> 'draft'
    union all select format('%s %s', granted, used) from allowance_grants
    union all select format('%s %s', kind, undoes_id) from corrections
    order by 1";

/// What usage comes to by customer's name, exactly.
const CHARGED: &str = "select format('%s %s', k.name, trim_scale(sum(c.amount))) from charges c join customers k on k.organization_id = c.organization_id and k.id = c.customer_id
    where c.organization_id = $1 and c.usage_event_id is not null and c.reverses_id is null
        and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)
    group by k.name having sum(c.amount) <> 0 order by 1";

/// By how much what documents ask for differs from what is charged, in cents, where that is more than rounding explains: half
/// a cent for each line.
const OFF: &str = "select format('%s: documents %s, charged %s', k.name, d.minor, round(c.minor, 4)) from customers k
    cross join lateral (select coalesce(sum(c.amount), 0) * 100 as minor from charges c where c.organization_id = k.organization_id and c.customer_id = k.id
        and c.kind <> 'not_charged' and c.reverses_id is null
        and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)) c
    cross join lateral (select
        coalesce((select sum(i.total_minor - i.credited_minor) from invoices i
            where i.organization_id = k.organization_id and i.customer_id = k.id and i.state <> 'draft'), 0)
        + coalesce((select sum(c.amount) * 100 from charges c join invoices i on i.organization_id = c.organization_id and i.id = c.invoice_id
            where i.organization_id = k.organization_id and i.customer_id = k.id and i.state = 'draft'), 0) as minor,
        (select count(*) from invoice_lines l join invoices i on i.organization_id = l.organization_id and i.id = l.invoice_id
            where i.organization_id = k.organization_id and i.customer_id = k.id) as lines) d
    where abs(d.minor - c.minor) > 0.5 * d.lines";

/// A firm's office with a customer more, and one of the three on a plan with ten minutes a month.
struct World {
    office: Office,
    fay: CustomerId,
    /// Corrections that are not undone.
    done: Vec<Value>,
    calls: Vec<Uuid>,
}

impl World {
    async fn new() -> Self {
        let office = Office::new().await;
        let fay = office.app.customer(&office.firm.acme, "Fay").await;
        subscribe(&office, &office.firm).await;
        Self {
            office,
            fay,
            done: Vec::new(),
            calls: Vec::new(),
        }
    }

    async fn everything(&self) -> Vec<String> {
        self.office.app.texts(EVERYTHING).await
    }

    /// Corrects, and asks for the same again: that changes nothing.
    async fn correct(&mut self, mut body: Value) {
        body["reason"] = json!("chance");
        let (app, firm) = (&self.office.app, &self.office.firm);
        let key = Uuid::now_v7().to_string();
        let post = async || {
            let ask = app.post("/api/admin/corrections");
            let ask = ask.user(&firm.admin).organization(&firm.acme);
            ask.header("idempotency-key", &key).json(&body).send().await
        };
        let answer = post().await;
        app.settle().await;
        assert!(
            [201, 409].contains(&answer.status),
            "{body}: {}",
            answer.text
        );
        if answer.status == 201 {
            let after = self.everything().await;
            let again = post().await.expect(201);
            app.settle().await;
            assert_eq!(self.everything().await, after, "{body}");
            self.done.push(again);
        }
    }

    async fn step(&mut self, random: &mut StdRng) {
        let customers = [self.office.firm.dana, self.office.eli, self.fay];
        let any = |random: &mut StdRng| customers[random.random_range(0..3)];
        match random.random_range(0..10) {
            0..=2 => {
                let now = self.office.app.now();
                let ago = SignedDuration::from_hours(random.random_range(1..40 * 24));
                let day = (now - ago).max(at("2026-03-01T00:00:00Z"));
                let day = day.strftime("%m-%d").to_string();
                let customer = any(random);
                let minutes = random.random_range(1..9);
                let call = self.office.call(customer, &day, minutes).await;
                self.calls.push(call.uuid());
            }
            3..=5 if !self.calls.is_empty() => {
                let call = self.calls[random.random_range(0..self.calls.len())];
                let body = json!({"kind": "move_call", "callId": call, "customerId": any(random)});
                self.correct(body).await;
            }
            6 if !self.calls.is_empty() => {
                let call = self.calls[random.random_range(0..self.calls.len())];
                self.correct(json!({"kind": "waive", "callId": call})).await;
            }
            7 => {
                let body = json!({"kind": "merge_customers", "fromCustomerId": self.office.eli, "intoCustomerId": self.fay});
                self.correct(body).await;
            }
            8 if !self.done.is_empty() => {
                let place = random.random_range(0..self.done.len());
                let answer = self.office.undo(&self.done[place]).await;
                assert!([201, 409].contains(&answer.status), "{}", answer.text);
                if answer.status == 201 {
                    self.done.remove(place);
                }
            }
            _ => {
                let days = random.random_range(2..12);
                self.office
                    .app
                    .advance(SignedDuration::from_hours(24 * days));
                self.office.app.settle().await;
            }
        }
    }

    /// Rated again, nothing changes; documents ask for what is charged; all that is derived agrees.
    async fn assert_right(&self) {
        let app = &self.office.app;
        let before = self.everything().await;
        app.queue_again(&self.office.firm.acme).await;
        app.settle().await;
        assert_eq!(self.everything().await, before);
        assert_eq!(app.texts(OFF).await, Vec::<String>::new());
        self.office.assert_clean().await;
    }

    /// What another firm charges that is told of the final state alone.
    async fn assert_fresh(&self) {
        let app = &self.office.app;
        let (beta, admin) = app.firm().await;
        let plan = per_minute("Calls", "0.125", &json!({"kind": "pay_per_call"}));
        let plan = app.plan(&admin, &beta, &plan).await;
        app.pay_per_call(&beta, plan, at("2026-01-01T00:00:00Z"))
            .await;
        let mut twins = BTreeMap::new();
        for name in ["Dana", "Eli", "Fay"] {
            twins.insert(name.to_owned(), app.customer(&beta, name).await);
        }
        let firm = Firm {
            acme: beta,
            admin,
            dana: twins["Dana"],
        };
        subscribe(&self.office, &firm).await;
        let rows: Vec<(String, jiff_sqlx::Timestamp, i64)> = {
            let mut tx = app.platform().await;
            sqlx::query_as(
                "select k.name, c.started_at, c.billable_seconds from calls c join customers k on k.organization_id = c.organization_id and k.id = c.customer_id
                 where c.organization_id = $1 and not exists (select from usage_waivers w where w.organization_id = c.organization_id and w.call_id = c.id)",
            )
            .bind(self.office.firm.acme.id.uuid())
            .fetch_all(&mut *tx)
            .await
            .unwrap()
        };
        let usages: Vec<NewUsage> = rows
            .iter()
            .map(|(name, time, seconds)| NewUsage::call(twins[name], *seconds, time.to_jiff()))
            .collect();
        app.record(&firm.acme, &usages).await;
        app.settle().await;
        let charged = async |firm: &Firm| -> Vec<String> {
            let mut tx = app.platform().await;
            sqlx::query_scalar(CHARGED)
                .bind(firm.acme.id.uuid())
                .fetch_all(&mut *tx)
                .await
                .unwrap()
        };
        assert_eq!(charged(&self.office.firm).await, charged(&firm).await);
    }
}

async fn subscribe(office: &Office, firm: &Firm) {
    let more = json!({"baseFee": "5", "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 600}]});
    let basic = per_minute("Basic", "0.0875", &more);
    let basic = office.app.plan(&firm.admin, &firm.acme, &basic).await;
    office
        .app
        .subscribe(&firm.admin, &firm.acme, firm.dana, basic, "2026-03-01")
        .await;
}

/// Returns how many lines of final documents were corrected.
async fn live(seed: u64) -> i64 {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new().await;
    for _ in 0..45 {
        world.step(&mut random).await;
        if random.random_bool(0.25) {
            world.assert_right().await;
        }
    }
    world.assert_right().await;
    assert!(world.calls.len() > 5, "seed {seed}: too little happened");
    world.assert_fresh().await;
    let app = &world.office.app;
    app.count("select count(*) from correction_credits").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_corrected_comes_to_a_fresh_rating_of_how_it_ends() {
    let mut closed = 0;
    for seed in 0..3 {
        closed += live(seed).await;
    }
    assert!(closed > 0, "in closed periods too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_does_by_other_chances() {
    let mut closed = 0;
    for seed in 3..6 {
        closed += live(seed).await;
    }
    assert!(closed > 0, "in closed periods too");
}
