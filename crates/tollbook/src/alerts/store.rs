//! Alerts as rows: raised once, or counted on.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{AlertId, CustomerId, OrganizationId};
use uuid::Uuid;

use super::kind::{AlertKind, Severity};
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::live::{self, LiveKind};

/// Something to look at.
#[derive(Debug, Clone)]
pub(crate) struct NewAlert {
    pub(crate) organization: OrganizationId,
    pub(crate) kind: AlertKind,
    pub(crate) severity: Severity,
    /// What is the same alert.
    pub(crate) group_key: String,
    pub(crate) customer: Option<CustomerId>,
    /// What it is about.
    pub(crate) subject: String,
    pub(crate) detail: Value,
}

/// Something that happened so often.
#[derive(Debug, Clone)]
pub(super) struct Repeated {
    pub(super) alert: NewAlert,
    pub(super) count: i64,
    pub(super) first_seen_at: Timestamp,
    pub(super) last_seen_at: Timestamp,
}

/// How a count goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// So many more. It is open again.
    More,
    /// So many at the same time. It is open again if they are more than ever.
    AtOnce,
}

/// Raises each alert unless it was raised before; returns those that are new.
pub(crate) async fn raise(
    tx: &mut PgConnection,
    alerts: &[NewAlert],
    now: Timestamp,
) -> Result<Vec<(OrganizationId, AlertId)>> {
    if alerts.is_empty() {
        return Ok(Vec::new());
    }
    let columns = Columns::of(alerts.iter());
    let rows = sqlx::query!(
        "insert into alerts (organization_id, id, kind, severity, group_key, customer_id, subject, detail, count, first_seen_at, last_seen_at)
         select k.organization_id, k.id, k.kind, k.severity, k.group_key, k.customer_id, k.subject, k.detail, 1, $9::timestamptz, $9::timestamptz
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::jsonb[])
             as k (organization_id, id, kind, severity, group_key, customer_id, subject, detail)
         order by k.organization_id, k.group_key
         on conflict (organization_id, group_key) do nothing
         returning organization_id, id",
        &columns.organizations,
        &columns.ids,
        &columns.kinds as &[&str],
        &columns.severities as &[&str],
        &columns.group_keys as &[&str],
        &columns.customers as &[Option<Uuid>],
        &columns.subjects as &[&str],
        &columns.details as &[&Value],
        now.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id.into(), row.id.into()))
        .collect())
}

/// Raises each alert, or counts it once more; it is open then. Returns all of them.
pub(crate) async fn again(
    tx: &mut PgConnection,
    alerts: &[(NewAlert, Timestamp)],
) -> Result<Vec<(OrganizationId, AlertId)>> {
    let repeated = alerts.iter().map(|(alert, at)| Repeated {
        alert: alert.clone(),
        count: 1,
        first_seen_at: *at,
        last_seen_at: *at,
    });
    repeat(tx, &repeated.collect::<Vec<_>>(), Counting::More).await
}

/// Counts what happened on, or raises it; returns the alerts that are open for it now.
pub(super) async fn repeat(
    tx: &mut PgConnection,
    repeated: &[Repeated],
    counting: Counting,
) -> Result<Vec<(OrganizationId, AlertId)>> {
    if repeated.is_empty() {
        return Ok(Vec::new());
    }
    let columns = Columns::of(repeated.iter().map(|it| &it.alert));
    let counts: Vec<i64> = repeated.iter().map(|it| it.count).collect();
    let first: Vec<_> = repeated
        .iter()
        .map(|it| it.first_seen_at.to_sqlx())
        .collect();
    let last: Vec<_> = repeated
        .iter()
        .map(|it| it.last_seen_at.to_sqlx())
        .collect();
    let rows = sqlx::query!(
        "insert into alerts as a (organization_id, id, kind, severity, group_key, customer_id, subject, detail, count, first_seen_at, last_seen_at)
         select k.organization_id, k.id, k.kind, k.severity, k.group_key, k.customer_id, k.subject, k.detail, k.count, k.first_seen_at, k.last_seen_at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::jsonb[], $9::bigint[],
             $10::timestamptz[], $11::timestamptz[])
             as k (organization_id, id, kind, severity, group_key, customer_id, subject, detail, count, first_seen_at, last_seen_at)
         -- Whoever may name any organization may name one that is not there.
         join organizations o on o.id = k.organization_id
         order by k.organization_id, k.group_key
         on conflict (organization_id, group_key) do update
         set count = case when $12 then a.count + excluded.count else excluded.count end, detail = a.detail || excluded.detail,
             last_seen_at = greatest(a.last_seen_at, excluded.last_seen_at), first_seen_at = least(a.first_seen_at, excluded.first_seen_at),
             state = 'open', acknowledged_at = null, acknowledged_by = null
         where $12 or excluded.count > a.count
         returning organization_id, id",
        &columns.organizations,
        &columns.ids,
        &columns.kinds as &[&str],
        &columns.severities as &[&str],
        &columns.group_keys as &[&str],
        &columns.customers as &[Option<Uuid>],
        &columns.subjects as &[&str],
        &columns.details as &[&Value],
        &counts,
        &first,
        &last,
        counting == Counting::More,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id.into(), row.id.into()))
        .collect())
}

/// Tells the live pages of alerts, and the programs that listen. After the commit the writer wakes `App::wake.live`.
pub(crate) async fn tell(
    tx: &mut PgConnection,
    alerts: Vec<(OrganizationId, AlertId)>,
) -> Result<()> {
    let told: Vec<_> = alerts
        .into_iter()
        .map(|(organization, id)| (organization, LiveKind::UsageThreshold, id.uuid()))
        .collect();
    live::publish(tx, &told).await
}

/// Somebody has seen to it. Once more, it changes nothing.
pub(super) async fn acknowledge(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: AlertId,
    now: Timestamp,
) -> Result<bool> {
    let known = sqlx::query_scalar!(
        "select state from alerts where organization_id = $1 and id = $2 for no key update",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let state = known.ok_or(Error::NotFound("alert"))?;
    if state == "acknowledged" {
        return Ok(false);
    }
    sqlx::query!(
        "update alerts set state = 'acknowledged', acknowledged_at = $3, acknowledged_by = acting_user_id()
         where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(true)
}

/// Alerts as the arrays that a statement takes.
struct Columns<'a> {
    organizations: Vec<Uuid>,
    ids: Vec<Uuid>,
    kinds: Vec<&'static str>,
    severities: Vec<&'static str>,
    group_keys: Vec<&'a str>,
    customers: Vec<Option<Uuid>>,
    subjects: Vec<&'a str>,
    details: Vec<&'a Value>,
}

impl<'a> Columns<'a> {
    fn of(alerts: impl Iterator<Item = &'a NewAlert> + Clone) -> Self {
        Self {
            organizations: alerts.clone().map(|it| it.organization.uuid()).collect(),
            ids: alerts.clone().map(|_| new_id()).collect(),
            kinds: alerts.clone().map(|it| it.kind.as_str()).collect(),
            severities: alerts.clone().map(|it| it.severity.as_str()).collect(),
            group_keys: alerts.clone().map(|it| it.group_key.as_str()).collect(),
            customers: alerts
                .clone()
                .map(|it| it.customer.map(Uuid::from))
                .collect(),
            subjects: alerts.clone().map(|it| it.subject.as_str()).collect(),
            details: alerts.map(|it| &it.detail).collect(),
        }
    }
}
