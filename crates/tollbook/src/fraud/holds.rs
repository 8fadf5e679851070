//! What is held, as rows: made by whoever judges a call, released and blocked again by people.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use tollbook_core::fraud::{Destination, Reason, Scope};
use tollbook_core::ids::{CallId, FraudHoldId, OrganizationId};
use tollbook_core::phone::E164;
use uuid::Uuid;

use crate::alerts::{self, AlertKind, NewAlert, Severity};
use crate::error::{Error, Result};
use crate::ids::new_id;

/// A call that is held, or that happened and should have been.
#[derive(Debug, Clone)]
pub(crate) struct NewHold<'a> {
    pub(crate) organization: OrganizationId,
    pub(crate) destination: &'a Destination,
    pub(crate) reason: Reason,
    pub(crate) external: &'a E164,
    /// The call, where it happened without being asked for: all others are held then.
    pub(crate) call: Option<CallId>,
    pub(crate) at: Timestamp,
}

impl NewHold<'_> {
    /// What is held, as it is stored: a destination, or nothing for all of them.
    fn subject(&self) -> String {
        match self.reason.scope() {
            Scope::Destination => self.destination.to_string(),
            Scope::Everything => String::new(),
        }
    }
}

/// What the caller is told of a call that is held.
pub(crate) fn refused(reason: Reason) -> Error {
    let detail = match reason {
        Reason::UnusualDestination => {
            "the call is held: nobody has called this destination lately (unusual_destination)"
        }
        Reason::CallsPerMinute => {
            "calls out are held: too many began within a minute (calls_per_minute)"
        }
        Reason::CallsPerHour => {
            "calls out are held: too many began within an hour (calls_per_hour)"
        }
        Reason::ConcurrentCalls => {
            "calls out are held: too many at the same time (concurrent_calls)"
        }
        Reason::HourlySpend => {
            "the call is held: calls to this destination cost too much within an hour (hourly_spend)"
        }
    };
    Error::conflict("fraud_guard", detail)
}

/// Holds calls from now on, and alerts people. What was released before is held again.
pub(crate) async fn hold(tx: &mut PgConnection, new: &[NewHold<'_>]) -> Result<()> {
    // A statement may touch a row once only.
    let mut news: Vec<(OrganizationId, String, &NewHold<'_>)> = new
        .iter()
        .map(|it| (it.organization, it.subject(), it))
        .collect();
    news.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    news.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
    let organizations: Vec<Uuid> = news.iter().map(|it| it.0.uuid()).collect();
    let ids: Vec<Uuid> = news.iter().map(|_| new_id()).collect();
    let subjects: Vec<&str> = news.iter().map(|it| it.1.as_str()).collect();
    let reasons: Vec<&str> = news.iter().map(|it| it.2.reason.as_str()).collect();
    let all: Vec<bool> = news
        .iter()
        .map(|it| it.1.is_empty() || it.2.call.is_some())
        .collect();
    let numbers: Vec<&str> = news.iter().map(|it| it.2.external.as_str()).collect();
    let calls: Vec<Option<Uuid>> = news.iter().map(|it| it.2.call.map(Uuid::from)).collect();
    let times: Vec<_> = news.iter().map(|it| it.2.at.to_sqlx()).collect();
    sqlx::query!(
        "insert into fraud_holds as h (organization_id, id, destination, reason, holds_all, external_e164, call_id, held_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::uuid[], $8::timestamptz[])
             as k (organization_id, id, destination, reason, holds_all, external_e164, call_id, held_at)
         order by k.organization_id, k.destination
         on conflict (organization_id, destination) do update
         set reason = excluded.reason, holds_all = excluded.holds_all or (h.state = 'held' and h.holds_all), state = 'held',
             external_e164 = excluded.external_e164, call_id = excluded.call_id, held_at = excluded.held_at, released_at = null, released_by = null",
        &organizations,
        &ids,
        &subjects as &[&str],
        &reasons as &[&str],
        &all,
        &numbers as &[&str],
        &calls as &[Option<Uuid>],
        &times,
    )
    .execute(&mut *tx)
    .await?;
    let raised: Vec<(NewAlert, Timestamp)> = news
        .iter()
        .map(|it| (alert(&it.1, it.2), it.2.at))
        .collect();
    let open = alerts::again(tx, &raised).await?;
    alerts::tell(tx, open).await
}

fn alert(subject: &str, new: &NewHold<'_>) -> NewAlert {
    NewAlert {
        organization: new.organization,
        kind: AlertKind::Fraud,
        severity: Severity::Critical,
        group_key: format!("fraud::{subject}"),
        customer: None,
        subject: subject.to_owned(),
        detail: json!({
            "reason": new.reason.as_str(),
            "number": new.external.as_str(),
            "callId": new.call.map(Uuid::from),
        }),
    }
}

/// What is held, or was.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldView {
    pub(crate) id: Uuid,
    org_id: Uuid,
    /// A country as two letters, a calling code or a number; empty: all calls out.
    pub(crate) destination: String,
    /// `unusual_destination`, `calls_per_minute`, `calls_per_hour`, `concurrent_calls` or `hourly_spend`.
    reason: String,
    /// Whether all calls out are held until it is released.
    holds_all: bool,
    /// `held` or `released`.
    pub(crate) state: String,
    phone_number: String,
    /// The call that happened without being asked for.
    call_id: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    pub(super) held_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    released_at: Option<Timestamp>,
    released_by: Option<Uuid>,
}

/// The place of a hold in the list: the latest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cursor {
    pub(super) held_at: Timestamp,
    pub(super) id: Uuid,
}

/// Which holds; all if nothing is named.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Which<'a> {
    pub(super) state: Option<&'a str>,
    pub(super) only: Option<FraudHoldId>,
    pub(super) destinations: Option<&'a [String]>,
}

/// Holds of an organization, the latest first.
pub(super) async fn holds(
    tx: &mut PgConnection,
    organization: OrganizationId,
    which: Which<'_>,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<HoldView>> {
    let rows = sqlx::query!(
        "select organization_id, id, destination, reason, holds_all, state, external_e164, call_id, held_at, released_at, released_by
         from fraud_holds
         where organization_id = $1 and ($2::text is null or state = $2) and ($3::uuid is null or id = $3)
             and ($4::text[] is null or destination = any($4))
             and ($5::timestamptz is null or (held_at, id) < ($5, $6))
         order by held_at desc, id desc limit $7",
        organization.uuid(),
        which.state,
        which.only.map(Uuid::from),
        which.destinations as Option<&[String]>,
        after.map(|after| after.held_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|after| after.id),
        rows,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| HoldView {
            id: row.id,
            org_id: row.organization_id,
            destination: row.destination,
            reason: row.reason,
            holds_all: row.holds_all,
            state: row.state,
            phone_number: row.external_e164,
            call_id: row.call_id,
            held_at: row.held_at.to_jiff(),
            released_at: row.released_at.map(jiff_sqlx::Timestamp::to_jiff),
            released_by: row.released_by,
        })
        .collect())
}

/// The holds of these destinations.
pub(crate) async fn by_destinations(
    tx: &mut PgConnection,
    organization: OrganizationId,
    destinations: &[String],
) -> Result<Vec<HoldView>> {
    if destinations.is_empty() {
        return Ok(Vec::new());
    }
    let which = Which {
        destinations: Some(destinations),
        ..Which::default()
    };
    let most = i64::try_from(destinations.len()).unwrap_or(i64::MAX);
    holds(tx, organization, which, None, most).await
}

/// One hold.
pub(super) async fn one(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: FraudHoldId,
) -> Result<HoldView> {
    let which = Which {
        only: Some(id),
        ..Which::default()
    };
    let found = holds(tx, organization, which, None, 1).await?;
    found
        .into_iter()
        .next()
        .ok_or(Error::NotFound("fraud hold"))
}

/// Releases what is held, or holds it again; returns whether that changed anything.
pub(super) async fn turn(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: FraudHoldId,
    is_released: bool,
    now: Timestamp,
) -> Result<bool> {
    let done = sqlx::query!(
        "update fraud_holds set state = case when $3 then 'released' else 'held' end, released_at = case when $3 then $4::timestamptz end,
             released_by = case when $3 then acting_user_id() end
         where organization_id = $1 and id = $2 and (state = 'released') <> $3",
        organization.uuid(),
        id.uuid(),
        is_released,
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}
