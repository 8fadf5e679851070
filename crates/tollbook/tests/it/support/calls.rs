//! Calls as rows, for tests of what is read: how they come about is tested elsewhere.

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tollbook_core::ids::{CallId, CustomerId, PhoneNumberId, UserId};
use uuid::Uuid;

use super::app::TestApp;
use super::people::{Organization, User};

/// A call to be.
#[derive(Debug, Clone)]
pub(crate) struct NewCall {
    pub(crate) with: &'static str,
    pub(crate) direction: &'static str,
    /// `ringing`, `in_progress` or `ended`.
    pub(crate) state: &'static str,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) started_at: Timestamp,
    pub(crate) talked_seconds: i64,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) number: Option<PhoneNumberId>,
    pub(crate) answered_by: Option<UserId>,
    pub(crate) viewers: Vec<UserId>,
}

impl NewCall {
    /// Rings at this time.
    pub(crate) fn ringing(with: &'static str, started_at: Timestamp) -> Self {
        Self {
            with,
            direction: "incoming",
            state: "ringing",
            outcome: None,
            started_at,
            talked_seconds: 0,
            customer: None,
            number: None,
            answered_by: None,
            viewers: Vec::new(),
        }
    }

    /// Was answered, and is over.
    pub(crate) fn answered(with: &'static str, started_at: Timestamp, talked_seconds: i64) -> Self {
        Self {
            state: "ended",
            outcome: Some("answered"),
            talked_seconds,
            ..Self::ringing(with, started_at)
        }
    }
}

impl TestApp {
    /// The organization's account at the provider.
    pub(crate) async fn integration(&self, organization: &Organization) -> Uuid {
        let id = Uuid::now_v7();
        let mut tx = self.platform().await;
        sqlx::query(
            "insert into integrations (id, organization_id, provider) values ($1, $2, 'openphone')",
        )
        .bind(id)
        .bind(organization.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Writes a call, and who may see it.
    pub(crate) async fn call(
        &self,
        organization: &Organization,
        integration: Uuid,
        call: &NewCall,
    ) -> CallId {
        let id = CallId::new(Uuid::now_v7());
        let answered = (call.state == "in_progress" || call.outcome == Some("answered"))
            .then_some(call.started_at);
        let ended = (call.state == "ended").then(|| {
            let talked = SignedDuration::from_secs(call.talked_seconds);
            call.started_at.checked_add(talked).unwrap()
        });
        let viewers: Vec<Uuid> = call.viewers.iter().map(|user| user.uuid()).collect();
        let (ours, theirs) = ("+12125550142", call.with);
        let (from, to) = if call.direction == "incoming" {
            (theirs, ours)
        } else {
            (ours, theirs)
        };
        let mut tx = self.platform().await;
        sqlx::query(
            "with written as (
                 insert into calls (organization_id, id, provider, conversation_sid, integration_id, phone_number_id, direction, state,
                     outcome, external_party, from_party, to_party, customer_id, answered_by, started_at, answered_at, ended_at,
                     billable_seconds, viewer_ids)
                 values ($1, $2, 'openphone', $2::text, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
                 returning organization_id, id, started_at, viewer_ids)
             insert into call_viewers (organization_id, user_id, started_at, call_id)
             select organization_id, unnest(viewer_ids), started_at, id from written",
        )
        .bind(organization.id.uuid())
        .bind(id.uuid())
        .bind(integration)
        .bind(call.number.map(Uuid::from))
        .bind(call.direction)
        .bind(call.state)
        .bind(call.outcome)
        .bind(theirs)
        .bind(from)
        .bind(to)
        .bind(call.customer.map(Uuid::from))
        .bind(call.answered_by.map(Uuid::from))
        .bind(call.started_at.to_sqlx())
        .bind(answered.map(jiff_sqlx::ToSqlx::to_sqlx))
        .bind(ended.map(jiff_sqlx::ToSqlx::to_sqlx))
        .bind(call.talked_seconds)
        .bind(viewers)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Tells the viewers of a change, and returns the event's number.
    pub(crate) async fn tell(&self, organization: &Organization, kind: &str, subject: Uuid) -> i64 {
        let mut tx = self.platform().await;
        let id = sqlx::query_scalar(
            "insert into live_events (organization_id, kind, subject_id) values ($1, $2, $3) returning id",
        )
        .bind(organization.id.uuid())
        .bind(kind)
        .bind(subject)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        self.app.wake.live.notify_one();
        id
    }

    /// Lets a user use a number.
    pub(crate) async fn assign(
        &self,
        organization: &Organization,
        number: PhoneNumberId,
        user: &User,
    ) {
        let mut tx = self.platform().await;
        sqlx::query("insert into assignments (organization_id, id, phone_number_id, user_id) values ($1, $2, $3, $4)")
            .bind(organization.id.uuid())
            .bind(Uuid::now_v7())
            .bind(number.uuid())
            .bind(user.id.uuid())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

impl TestApp {
    /// Puts a file where the application keeps such files.
    pub(crate) fn put_file(&self, key: &str, bytes: &[u8]) {
        let path = self.files().join("objects").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A session of the superuser.
    pub(crate) async fn superuser(&self) -> PgConnection {
        PgConnection::connect(self.superuser_url()).await.unwrap()
    }

    /// The plan of a query as a role; `$1` is the organization.
    pub(crate) async fn query_plan(
        &self,
        role: &str,
        organization: &Organization,
        user: &User,
        sql: &str,
    ) -> String {
        let mut session = self.superuser().await;
        let sql = sql.replace("$1", &format!("'{}'::uuid", organization.id));
        let set = format!(
            "begin; set local role {role}; set local tollbook.organization_id = '{}'; set local tollbook.user_id = '{}'",
            organization.id, user.id
        );
        sqlx::raw_sql(AssertSqlSafe(set))
            .execute(&mut session)
            .await
            .unwrap();
        let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("explain {sql}")))
            .fetch_all(&mut session)
            .await
            .unwrap();
        lines.join("\n")
    }
}
