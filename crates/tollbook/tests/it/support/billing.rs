//! Selling and using, for tests of money.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tollbook_core::ids::{CallId, CustomerId};
use uuid::Uuid;

use super::app::TestApp;
use super::people::{Organization, User};

/// A usage to record, or a correction of one.
#[derive(Debug, Clone)]
pub(crate) struct NewUsage {
    pub(crate) id: Uuid,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) meter: &'static str,
    pub(crate) quantity: i64,
    pub(crate) occurred_at: Timestamp,
    pub(crate) corrects: Option<Uuid>,
    /// The call that it belongs to.
    pub(crate) call: Option<CallId>,
}

impl NewUsage {
    /// Seconds talked.
    pub(crate) fn call(customer: CustomerId, seconds: i64, occurred_at: Timestamp) -> Self {
        Self {
            id: Uuid::now_v7(),
            customer: Some(customer),
            meter: "CALL_DURATION_SECONDS",
            quantity: seconds,
            occurred_at,
            corrects: None,
            call: None,
        }
    }

    /// So much more of it, or less.
    pub(crate) fn corrected(&self, by: i64) -> Self {
        Self {
            id: Uuid::now_v7(),
            quantity: by,
            corrects: Some(self.id),
            ..self.clone()
        }
    }
}

impl TestApp {
    /// Publishes a plan of an organization; returns its id.
    pub(crate) async fn plan(
        &self,
        admin: &User,
        organization: &Organization,
        plan: &Value,
    ) -> Uuid {
        let answer = self
            .post("/api/admin/billing-plans")
            .user(admin)
            .organization(organization)
            .json(plan)
            .send()
            .await;
        answer.expect(201)["id"].as_str().unwrap().parse().unwrap()
    }

    /// Subscribes a customer from a day on; returns the subscription.
    pub(crate) async fn subscribe(
        &self,
        admin: &User,
        organization: &Organization,
        customer: CustomerId,
        plan: Uuid,
        start_date: &str,
    ) -> Value {
        let answer = self
            .post("/api/admin/org-subscriptions")
            .user(admin)
            .organization(organization)
            .json(&json!({"customerId": customer, "planId": plan, "startDate": start_date}))
            .send()
            .await;
        answer.expect(201)
    }

    /// Puts customers without a subscription on a plan from a time on.
    pub(crate) async fn pay_per_call(
        &self,
        organization: &Organization,
        plan: Uuid,
        from: Timestamp,
    ) {
        let mut tx = self.platform().await;
        sqlx::query("update pay_per_call_terms set ends_at = $2 where organization_id = $1 and ends_at is null")
            .bind(organization.id.uuid())
            .bind(from.to_sqlx())
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query(
            "insert into pay_per_call_terms (organization_id, id, plan_version_id, starts_at)
             select seller_id, gen_random_uuid(), id, $3 from plan_versions where seller_id = $1 and plan_id = $2",
        )
        .bind(organization.id.uuid())
        .bind(plan)
        .bind(from.to_sqlx())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// Records usage in one transaction, and queues it for each account that pays for it.
    pub(crate) async fn record(&self, organization: &Organization, usages: &[NewUsage]) {
        let mut tx = self.platform().await;
        for usage in usages {
            sqlx::query(
                "insert into usage_events (organization_id, id, meter, quantity, occurred_at, idempotency_key, key_digest, request_hash, customer_id, corrects_id, call_id)
                 values ($1, $2, $3, $4, $5, $2::uuid::text, uuid_send($2), uuid_send($2), $6, $7, $8)",
            )
            .bind(organization.id.uuid())
            .bind(usage.id)
            .bind(usage.meter)
            .bind(rust_decimal::Decimal::from(usage.quantity))
            .bind(usage.occurred_at.to_sqlx())
            .bind(usage.customer.map(Uuid::from))
            .bind(usage.corrects)
            .bind(usage.call.map(Uuid::from))
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        let ids: Vec<Uuid> = usages.iter().map(|usage| usage.id).collect();
        sqlx::query(QUEUE)
            .bind(organization.id.uuid())
            .bind(&ids)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Queues all usage again.
    pub(crate) async fn queue_again(&self, organization: &Organization) {
        let mut tx = self.platform().await;
        sqlx::query(QUEUE)
            .bind(organization.id.uuid())
            .bind(None::<Vec<Uuid>>)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

const QUEUE: &str = "insert into rating_queue (lane, organization_id, account_id, usage_event_id)
     select (hashtextextended(p.account_id::text, 0) & 63)::smallint, u.organization_id, p.account_id, u.id
     from usage_events u
     cross join lateral (
         select c.account_id from customers c where c.organization_id = u.organization_id and c.id = u.customer_id
         union all
         select a.id from accounts a where a.organization_id = u.organization_id and a.payer = 'organization'
     ) p
     where u.organization_id = $1 and ($2::uuid[] is null or u.id = any ($2))
     order by u.organization_id, u.id, p.account_id
     on conflict (organization_id, account_id, usage_event_id) do nothing";

/// A time.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A plan that sells minutes, with more fields.
pub(crate) fn per_minute(name: &str, price: &str, more: &Value) -> Value {
    let mut plan = json!({"name": name, "currency": "USD", "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS",
        "increment": "60/60", "rate": {"per_unit": {"price": price, "per": 60}}}]});
    for (field, value) in more.as_object().unwrap() {
        plan[field] = value.clone();
    }
    plan
}

impl TestApp {
    /// A firm with an admin.
    pub(crate) async fn firm(&self) -> (Organization, User) {
        let acme = self.organization("Acme").await;
        let admin = self.admin(&acme).await;
        (acme, admin)
    }

    /// The first column of each row as text, as the platform.
    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        let mut tx = self.platform().await;
        sqlx::query_scalar(query).fetch_all(&mut *tx).await.unwrap()
    }

    pub(crate) async fn change(&self, statement: &'static str) {
        let mut tx = self.platform().await;
        sqlx::raw_sql(statement).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Runs a statement as the owner of everything; returns the name of the constraint that refuses it.
    pub(crate) async fn refusal(&self, statement: String) -> String {
        let mut owner = PgConnection::connect(self.superuser_url()).await.unwrap();
        let mut tx = owner.begin().await.unwrap();
        match sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut *tx)
            .await
        {
            Ok(done) => format!("{} rows", done.rows_affected()),
            Err(error) => {
                let error = error.into_database_error().unwrap();
                error.constraint().unwrap_or_default().to_owned()
            }
        }
    }

    /// Until a session waits for another one's lock.
    pub(crate) async fn somebody_waits(&self) {
        // What other sessions wait for, only the superuser sees.
        self.eventually("a session waits for a lock", async || {
            let mut owner = PgConnection::connect(self.superuser_url()).await.unwrap();
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
            )
            .fetch_one(&mut owner)
            .await
            .unwrap();
            waiting >= 1
        })
        .await;
    }

    /// Sells minutes by the call, at ten cents each.
    pub(crate) async fn sell_minutes(&self, admin: &User, organization: &Organization) {
        let plan = per_minute("Basic", "0.10", &json!({"kind": "pay_per_call"}));
        let plan = self.plan(admin, organization, &plan).await;
        self.pay_per_call(organization, plan, at("2026-01-01T00:00:00Z"))
            .await;
    }

    /// The newest draft, and its address.
    pub(crate) async fn draft(&self, admin: &User, organization: &Organization) -> (String, Value) {
        let get = async |path: &str| {
            let ask = self.get(path).user(admin).organization(organization);
            ask.send().await.expect(200)
        };
        let drafts = get("/api/admin/invoices?status=draft").await;
        let id = drafts["data"][0]["id"].as_str().unwrap();
        let path = format!("/api/admin/invoices/{id}");
        let draft = get(&path).await;
        (path, draft)
    }
}
