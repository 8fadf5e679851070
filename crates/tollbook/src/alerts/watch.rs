//! What waits in vain is seen by looking at the queues, so that nothing is missed whoever put it aside, and when.

use jiff::Timestamp;
use serde_json::json;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use uuid::Uuid;

use super::kind::{AlertKind, Severity};
use super::store::{Counting, NewAlert, Repeated, repeat, tell};
use crate::app::App;
use crate::error::Result;
use crate::limits;

/// Alerts of one look at most: the largest.
const GROUPS_MAX: i64 = 1_000;

/// Looks at usage and webhooks that wait for people, and at the thresholds of meters and wallets.
pub(crate) async fn watch(app: &App) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app.db.begin(&Actor::system()).await?;
    let mut waiting = usage(&mut tx).await?;
    waiting.extend(webhooks(&mut tx).await?);
    let open = repeat(&mut tx, &waiting, Counting::AtOnce).await?;
    tell(&mut tx, open).await?;
    limits::watch(&mut tx, now).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok(())
}

struct Waiting {
    organization_id: Uuid,
    /// Why, without the numbers that tell one from another.
    reason: String,
    example: String,
    count: i64,
    first_seen_at: jiff_sqlx::Timestamp,
    last_seen_at: jiff_sqlx::Timestamp,
}

impl Waiting {
    fn repeated(self, kind: AlertKind) -> Repeated {
        let (first, last): (Timestamp, Timestamp) =
            (self.first_seen_at.to_jiff(), self.last_seen_at.to_jiff());
        Repeated {
            alert: NewAlert {
                organization: self.organization_id.into(),
                kind,
                severity: Severity::Critical,
                group_key: format!("{kind}:{}", self.reason),
                customer: None,
                subject: self.reason,
                detail: json!({ "example": self.example }),
            },
            count: self.count,
            first_seen_at: first,
            last_seen_at: last,
        }
    }
}

/// Usage that cannot be charged as things are. What only waits for a provider's price is no alert.
async fn usage(tx: &mut PgConnection) -> Result<Vec<Repeated>> {
    let rows = sqlx::query_as!(
        Waiting,
        r#"select q.organization_id, regexp_replace(left(coalesce(q.last_error, ''), 200), '\+?[0-9][0-9a-f-]*', '#', 'g') as "reason!",
             min(coalesce(q.last_error, '')) as "example!", count(*) as "count!", min(q.parked_at) as "first_seen_at!",
             max(q.parked_at) as "last_seen_at!"
         from rating_queue q
         where q.parked_at is not null and q.cost_id is null -- all organizations: the queue is the platform's
         group by 1, 2 order by 4 desc, 1, 2 limit $1"#,
        GROUPS_MAX,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| it.repeated(AlertKind::UsageParked))
        .collect())
}

/// Webhooks that nobody could read or place, of organizations' own accounts at providers.
async fn webhooks(tx: &mut PgConnection) -> Result<Vec<Repeated>> {
    let rows = sqlx::query_as!(
        Waiting,
        r#"select coalesce(i.organization_id, g.organization_id) as "organization_id!",
             regexp_replace(left(coalesce(q.last_error, ''), 200), '\+?[0-9][0-9a-f-]*', '#', 'g') as "reason!",
             min(coalesce(q.last_error, '')) as "example!", count(*) as "count!", min(q.parked_at) as "first_seen_at!",
             max(q.parked_at) as "last_seen_at!"
         from inbox_queue q
         join inbox i on i.received_at = q.received_at and i.id = q.inbox_id
         join integrations g on g.id = i.integration_id
         where q.parked_at is not null -- all organizations: the queue is the platform's
             and coalesce(i.organization_id, g.organization_id) is not null
         group by 1, 2 order by 4 desc, 1, 2 limit $1"#,
        GROUPS_MAX,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| it.repeated(AlertKind::WebhookParked))
        .collect())
}
