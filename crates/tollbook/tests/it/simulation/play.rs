//! Plays a script on two nodes of one database. What the script leaves open is drawn from a seed of its own: which node
//! hears of what, in which order, how often, and when a node dies.

use std::time::Duration;

use futures_util::StreamExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tollbook::{BillingRun, Work};
use tollbook_core::ids::CustomerId;
use uuid::Uuid;

use super::expected::Outcome;
use super::provider::Provider;
use super::script::{Act, Deed, Script, Step, What};
use crate::support::{Incoming, Line, Organization, TestApp, User, Webhook};

/// Requests under way at a time.
const AT_ONCE: usize = 6;
const RUN: BillingRun = BillingRun {
    until: None,
    organization: None,
    is_trial: false,
};

/// Something on its way to a node.
#[derive(Clone)]
enum Sent {
    Webhook(usize, Webhook),
    Report(usize, Value),
}

struct Firm {
    organization: Organization,
    admin: User,
    key: String,
    line: Line,
    plans: Vec<Uuid>,
}

/// A script under way.
pub(super) struct Play<'a> {
    script: &'a Script,
    rng: ChaCha8Rng,
    /// They come and go; before the database does.
    nodes: [TestApp; 2],
    work: Work,
    /// Has the database.
    pub(super) keeper: TestApp,
    provider: Provider,
    firms: Vec<Firm>,
    /// Who publishes what the platform sells, and what that is.
    boss: User,
    platform: Vec<Uuid>,
    /// Those who are known by name.
    customers: Vec<Option<CustomerId>>,
    /// What has been told already.
    past: Vec<Sent>,
    /// How often a node died.
    pub(super) deaths: usize,
}

impl<'a> Play<'a> {
    pub(super) async fn new(script: &'a Script, schedule: u64) -> Self {
        let (keeper, provider) = (TestApp::quiet().await, Provider::start().await);
        let mut firms = Vec::new();
        for firm in &script.firms {
            firms.push(Firm::new(&keeper, firm, &provider.url).await);
        }
        let boss = keeper.platform_admin().await;
        let mut platform = Vec::new();
        for plan in &script.platform {
            let ask = keeper.post("/api/admin/billing-plans").user(&boss);
            let made = ask.json(&plan.document).send().await.expect(201);
            platform.push(made["id"].as_str().unwrap().parse().unwrap());
        }
        let mut customers = Vec::new();
        for payer in &script.payers {
            let customer = async || {
                let firm = &firms[payer.firm];
                let body = json!({"name": payer.name, "phoneNumbers": [payer.phone]});
                let made = firm
                    .post(&keeper, "/api/customers", &body)
                    .await
                    .expect(201);
                let id: Uuid = made["id"].as_str().unwrap().parse().unwrap();
                if let Some((percent, is_inclusive)) = payer.tax {
                    set_tax(&keeper, id, percent, is_inclusive).await;
                }
                CustomerId::from(id)
            };
            customers.push(if payer.name.is_empty() {
                None
            } else {
                Some(customer().await)
            });
        }
        // Workers of their own gather for a while, which takes time; without them both do what is due when they are told.
        let work = if schedule % 4 == 3 {
            Work::All
        } else {
            Work::Web
        };
        Self {
            script,
            rng: ChaCha8Rng::seed_from_u64(schedule),
            nodes: [keeper.twin(work).await, keeper.twin(work).await],
            work,
            keeper,
            provider,
            firms,
            boss,
            platform,
            customers,
            past: Vec::new(),
            deaths: 0,
        }
    }

    /// Lets time come to a step, and does what is due by then.
    pub(super) async fn come_to(&mut self, step: &Step) {
        self.keeper
            .advance(step.at.duration_since(self.keeper.now()));
        if step
            .deeds
            .iter()
            .any(|deed| matches!(deed.what, What::Close))
        {
            self.close().await;
        }
        self.settle().await;
    }

    /// A billing run on both nodes at once; some are stopped on the way.
    async fn close(&mut self) {
        for _ in 0..self.rng.random_range(0..4) {
            let [one, two] =
                [(); 2].map(|()| Duration::from_micros(self.rng.random_range(500..60_000)));
            let [first, second] = &self.nodes;
            // What is dropped has done what it committed, as if its process had been killed. Some ends may be errors.
            let _ = tokio::join!(
                tokio::time::timeout(one, first.app.billing_run(RUN, |_| {})),
                tokio::time::timeout(two, second.app.billing_run(RUN, |_| {})),
            );
        }
        let [first, second] = &self.nodes;
        let (one, two) = tokio::join!(
            first.app.billing_run(RUN, |_| {}),
            second.app.billing_run(RUN, |_| {})
        );
        one.unwrap();
        two.unwrap();
    }

    /// Both nodes do what is to be done; now and then one dies over it.
    async fn settle(&mut self) {
        if self.rng.random_bool(0.08) {
            let time = Duration::from_micros(self.rng.random_range(500..40_000));
            let [first, second] = &self.nodes;
            let both = async { tokio::join!(first.app.settle(), second.app.settle()) };
            let _ = tokio::time::timeout(time, both).await;
            self.die().await;
        }
        let [first, second] = &self.nodes;
        tokio::join!(first.settle(), second.settle());
    }

    /// A node is gone from one moment to the next, and another takes its place.
    async fn die(&mut self) {
        let node = self.rng.random_range(0..2);
        self.nodes[node] = self.keeper.twin(self.work).await;
        self.deaths += 1;
    }

    /// What happens at a step.
    pub(super) async fn happen(&mut self, step: &Step, outcomes: &[Outcome]) {
        let mut sent = Vec::new();
        for (deed, outcome) in step.deeds.iter().zip(outcomes) {
            self.prepare(deed, &mut sent);
            self.act(deed, outcome).await;
        }
        let twice: Vec<Sent> = sent
            .iter()
            .filter(|_| self.rng.random_bool(0.2))
            .cloned()
            .collect();
        if !sent.is_empty() {
            let past = self.rng.random_range(0..3);
            let past: Vec<Sent> = self
                .past
                .choose_multiple(&mut self.rng, past)
                .cloned()
                .collect();
            self.past.extend(sent.iter().cloned());
            sent.extend(twice.into_iter().chain(past));
            sent.shuffle(&mut self.rng);
            if self.rng.random_bool(0.08) {
                let time = Duration::from_micros(self.rng.random_range(500..30_000));
                let some = self.send_all(&sent);
                let _ = tokio::time::timeout(time, some).await;
                self.die().await;
                // Who was not answered sends it again, and who was does no harm.
                sent.shuffle(&mut self.rng);
            }
            self.send_all(&sent).await;
        }
        self.settle().await;
    }

    async fn send_all(&self, sent: &[Sent]) {
        let sending = sent
            .iter()
            .enumerate()
            .map(|(n, it)| self.send(&self.nodes[n % 2], it));
        let sending: Vec<_> = sending.collect();
        futures_util::stream::iter(sending)
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }

    async fn send(&self, node: &TestApp, sent: &Sent) {
        let answer = match sent {
            Sent::Webhook(firm, webhook) => node.deliver(&self.firms[*firm].line, webhook).await,
            Sent::Report(firm, usage) => {
                let ask = node
                    .post("/api/billing/usage")
                    .bearer(&self.firms[*firm].key);
                ask.json(usage).send().await
            }
        };
        assert!([200, 201, 204].contains(&answer.status), "{}", answer.text);
    }

    /// What is told of a deed.
    fn prepare(&mut self, deed: &Deed, sent: &mut Vec<Sent>) {
        let number = self.script.payers[deed.payer].firm;
        let line = &self.firms[number].line;
        let from = self.script.payers[deed.payer].phone.clone();
        let mut webhook = |webhook: Webhook| sent.push(Sent::Webhook(number, webhook));
        match &deed.what {
            What::Missed(call) | What::Talked(call, _) | What::Lost(call, _) => {
                let (sid, at) = (&call.sid, call.at);
                let call = Incoming {
                    sid,
                    from: &from,
                    at,
                };
                webhook(call.ringing(line));
                match &deed.what {
                    What::Missed(_) => webhook(call.missed(line)),
                    What::Talked(_, seconds) => webhook(call.answered(line, *seconds)),
                    What::Lost(_, seconds) => {
                        self.provider.knows(sid, &call.answered(line, *seconds));
                    }
                    _ => {}
                }
            }
            What::Texted(sid, at) => webhook(Webhook::message(line, sid, &from, *at)),
            What::Reported(key, at, quantity) => {
                let customer = self.customers[deed.payer].unwrap();
                let usage = json!({"usageType": "API_REQUEST", "quantity": quantity, "occurredAt": at, "customerId": customer, "idempotencyKey": key});
                sent.push(Sent::Report(number, usage));
            }
            What::Act(_) | What::Pay | What::Void | What::Close => {}
        }
    }

    async fn act(&mut self, deed: &Deed, outcome: &Outcome) {
        let of = &self.script.payers[deed.payer];
        let (firm, customer) = (&self.firms[of.firm], self.customers[deed.payer]);
        let node = self.nodes.choose(&mut self.rng).unwrap();
        let (path, body) = match (&deed.what, outcome) {
            (What::Pay, Outcome::On(at, total)) => {
                let invoice = self.document(customer, *at).await;
                let digits = self.script.firm(deed.payer).digits;
                let amount = rust_decimal::Decimal::new(*total, digits).to_string();
                let body = json!({"customerId": customer, "channel": "check", "amount": amount, "invoices": [{"invoiceId": invoice, "amount": amount}]});
                ("/api/admin/payments".to_owned(), body)
            }
            (What::Void, Outcome::On(at, _)) => {
                let invoice = self.document(customer, *at).await;
                (
                    format!("/api/admin/invoices/{invoice}/void"),
                    json!({"reason": "to be done again"}),
                )
            }
            (What::Act(act), _) => {
                let Some(asked) = self.asked(deed, act).await else {
                    return;
                };
                asked
            }
            _ => return,
        };
        let answer = if of.is_firm {
            node.post(&path).user(&self.boss).json(&body).send().await
        } else {
            firm.post(node, &path, &body).await
        };
        let is_done = *outcome != Outcome::Refused;
        let expected: &[u16] = if is_done { &[200, 201] } else { &[409, 422] };
        assert!(
            expected.contains(&answer.status),
            "{deed:?}, {path} {body}: {outcome:?}, and {} {}",
            answer.status,
            answer.text
        );
    }

    /// The request for an act; none if there is no subscription to do it to.
    async fn asked(&self, deed: &Deed, act: &Act) -> Option<(String, Value)> {
        let of = &self.script.payers[deed.payer];
        let (firm, customer) = (&self.firms[of.firm], self.customers[deed.payer]);
        let organization = firm.organization.id;
        let (plans, mut whose) = (&firm.plans, json!({"customerId": customer}));
        let (plans, query) = if of.is_firm {
            whose = json!({"orgId": organization});
            (&self.platform, format!("?orgId={organization}"))
        } else {
            (plans, String::new())
        };
        let when = |is_at_end: &bool| if *is_at_end { "period_end" } else { "now" };
        let (name, body) = match act {
            Act::Subscribe {
                plan,
                day,
                days_ago,
            } => {
                let mut body = whose;
                body["planId"] = json!(plans[*plan]);
                body["billingCycleDay"] = json!(day);
                if let Some(days) = days_ago {
                    let zone = jiff::tz::TimeZone::get(self.script.firm(deed.payer).zone).unwrap();
                    let today = self.keeper.now().to_zoned(zone).date();
                    let day = today.checked_sub(jiff::Span::new().days(*days)).unwrap();
                    body["startDate"] = json!(day.to_string());
                }
                return Some(("/api/admin/org-subscriptions".to_owned(), body));
            }
            Act::Change { plan, is_at_end } => (
                "change-plan",
                json!({"planId": plans[*plan], "at": when(is_at_end)}),
            ),
            Act::Pause { until: None } => ("pause", json!({})),
            Act::Pause { until } => ("pause", json!({"until": until})),
            Act::Resume => ("resume", json!({})),
            Act::Cancel { is_at_end } => ("cancel", json!({"at": when(is_at_end)})),
        };
        let mut tx = self.keeper.platform().await;
        let id: Option<Uuid> = sqlx::query_scalar(
            "select id from subscriptions where organization_id = $1 and customer_id is not distinct from $2
             order by starts_at desc limit 1",
        )
        .bind(organization.uuid())
        .bind(customer.map(Uuid::from))
        .fetch_optional(&mut *tx)
        .await
        .unwrap();
        let path = format!("/api/admin/org-subscriptions/{}/{name}{query}", id?);
        Some((path, body))
    }

    async fn document(&self, customer: Option<CustomerId>, at: jiff::Timestamp) -> Uuid {
        let mut tx = self.keeper.platform().await;
        sqlx::query_scalar("select id from invoices where customer_id = $1 and finalized_at = $2")
            .bind(customer.map(Uuid::from))
            .bind(jiff_sqlx::ToSqlx::to_sqlx(at))
            .fetch_one(&mut *tx)
            .await
            .unwrap()
    }

    /// Everything is queued and rated again.
    pub(super) async fn again(&mut self) {
        for firm in &self.firms {
            self.keeper.queue_again(&firm.organization).await;
        }
        self.close().await;
        self.settle().await;
    }
}

impl Firm {
    async fn new(app: &TestApp, firm: &super::script::Firm, provider: &str) -> Self {
        let organization = app.organization(&firm.name).await;
        let admin = app.admin(&organization).await;
        sqlx::query(
            "update organizations set zone = $2, currency = $3, rounding = $4, invoice_grace = make_interval(hours => $5), pay_per_call_invoicing = $6
             where id = $1",
        )
        .bind(organization.id.uuid())
        .bind(firm.zone)
        .bind(firm.currency)
        .bind(if firm.is_half_even { "half_even" } else { "half_up" })
        .bind(i32::try_from(firm.grace.as_hours()).unwrap())
        .bind(if firm.is_per_call { "per_call" } else { "monthly" })
        .execute(&mut app.superuser().await)
        .await
        .unwrap();
        let line = app.line(&organization, &admin, &firm.line).await;
        sqlx::query("update integrations set base_url = $2 where organization_id = $1")
            .bind(organization.id.uuid())
            .bind(provider)
            .execute(&mut app.superuser().await)
            .await
            .unwrap();
        let mut plans = Vec::new();
        for plan in &firm.plans {
            plans.push(app.plan(&admin, &organization, &plan.document).await);
        }
        let begin = "2026-01-01T00:00:00Z".parse().unwrap();
        app.pay_per_call(&organization, plans[0], begin).await;
        let key = app.api_key(&admin, &organization, &["usage"]).await;
        Self {
            organization,
            admin,
            key,
            line,
            plans,
        }
    }

    async fn post(&self, app: &TestApp, path: &str, body: &Value) -> crate::support::Answer {
        let ask = app
            .post(path)
            .user(&self.admin)
            .organization(&self.organization);
        ask.json(body).send().await
    }
}

async fn set_tax(app: &TestApp, customer: Uuid, percent: &str, is_inclusive: bool) {
    sqlx::query("update customers set tax_percent = $2::numeric, tax_inclusive = $3 where id = $1")
        .bind(customer)
        .bind(percent)
        .bind(is_inclusive)
        .execute(&mut app.superuser().await)
        .await
        .unwrap();
}
