//! Alerts as programs and pages see them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{AlertId, CustomerId, OrganizationId};
use uuid::Uuid;

use super::kind::AlertKind;
use crate::db::types::Text;
use crate::error::{Error, Result};

/// An alert.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertView {
    pub(crate) id: Uuid,
    /// `allowance`, `cap`, `wallet`, `meter`, `cap_refused`, `usage_refused`, `usage_parked`, `webhook_parked` or `fraud`.
    #[schema(value_type = String)]
    pub(super) kind: Kind,
    /// `info`, `warning` or `critical`.
    pub(super) severity: String,
    pub(super) customer_id: Option<Uuid>,
    /// What it is about: an allowance, a meter, a destination, a reason.
    pub(super) subject: String,
    /// Numbers, by the kind of alert.
    #[schema(value_type = Object)]
    pub(super) detail: Value,
    /// How often it happened.
    pub(super) count: i64,
    #[schema(value_type = String, format = DateTime)]
    pub(super) first_seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(super) last_seen_at: Timestamp,
    /// `open` or `acknowledged`.
    pub(super) state: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) acknowledged_at: Option<Timestamp>,
    pub(super) acknowledged_by: Option<Uuid>,
    /// The customer's name; for pages.
    #[serde(skip)]
    pub(super) customer_name: Option<String>,
}

/// A kind, by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind(pub(super) AlertKind);

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// The place of an alert in the list: the latest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cursor {
    pub(super) last_seen_at: Timestamp,
    pub(super) id: Uuid,
}

/// Which alerts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Which {
    /// `open` or `acknowledged`; both if absent.
    pub(super) state: Option<&'static str>,
    pub(super) kind: Option<AlertKind>,
    pub(super) customer: Option<CustomerId>,
}

struct Row {
    id: Uuid,
    kind: Text<AlertKind>,
    severity: String,
    customer_id: Option<Uuid>,
    subject: String,
    detail: Value,
    count: i64,
    first_seen_at: jiff_sqlx::Timestamp,
    last_seen_at: jiff_sqlx::Timestamp,
    state: String,
    acknowledged_at: Option<jiff_sqlx::Timestamp>,
    acknowledged_by: Option<Uuid>,
    customer_name: Option<String>,
}

impl Row {
    fn view(self) -> AlertView {
        AlertView {
            id: self.id,
            kind: Kind(self.kind.0),
            severity: self.severity,
            customer_id: self.customer_id,
            subject: self.subject,
            detail: self.detail,
            count: self.count,
            first_seen_at: self.first_seen_at.to_jiff(),
            last_seen_at: self.last_seen_at.to_jiff(),
            state: self.state,
            acknowledged_at: self.acknowledged_at.map(jiff_sqlx::Timestamp::to_jiff),
            acknowledged_by: self.acknowledged_by,
            customer_name: self.customer_name,
        }
    }
}

/// Alerts of an organization, the latest first.
pub(super) async fn alerts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    which: Which,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<AlertView>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select a.id, a.kind as "kind: Text<AlertKind>", a.severity, a.customer_id, a.subject, a.detail, a.count, a.first_seen_at, a.last_seen_at,
             a.state, a.acknowledged_at, a.acknowledged_by, c.name as "customer_name?"
         from alerts a left join customers c on c.organization_id = a.organization_id and c.id = a.customer_id
         where a.organization_id = $1 and ($2::text is null or a.state = $2) and ($3::text is null or a.kind = $3)
             and ($4::uuid is null or a.customer_id = $4)
             and ($5::timestamptz is null or (a.last_seen_at, a.id) < ($5, $6))
         order by a.last_seen_at desc, a.id desc limit $7"#,
        organization.uuid(),
        which.state,
        which.kind.map(AlertKind::as_str),
        which.customer.map(Uuid::from),
        after.map(|after| after.last_seen_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|after| after.id),
        rows,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(Row::view).collect())
}

/// These alerts of an organization.
pub(crate) async fn by_ids(
    tx: &mut PgConnection,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<AlertView>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select a.id, a.kind as "kind: Text<AlertKind>", a.severity, a.customer_id, a.subject, a.detail, a.count, a.first_seen_at, a.last_seen_at,
             a.state, a.acknowledged_at, a.acknowledged_by, c.name as "customer_name?"
         from alerts a left join customers c on c.organization_id = a.organization_id and c.id = a.customer_id
         where a.organization_id = $1 and a.id = any($2)"#,
        organization.uuid(),
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(Row::view).collect())
}

/// One alert.
pub(super) async fn one(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: AlertId,
) -> Result<AlertView> {
    let found = by_ids(tx, organization, &[id.uuid()]).await?;
    found.into_iter().next().ok_or(Error::NotFound("alert"))
}

/// The latest open alerts of a customer.
pub(crate) async fn of_customer(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    rows: i64,
) -> Result<Vec<AlertView>> {
    let which = Which {
        state: Some("open"),
        customer: Some(customer),
        ..Which::default()
    };
    alerts(tx, organization, which, None, rows).await
}

/// More open alerts than these are as many.
const OPEN_MAX: i64 = 99;

/// How many alerts are open.
pub(crate) async fn open_count(tx: &mut PgConnection, organization: OrganizationId) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
             select from alerts where organization_id = $1 and state = 'open' order by last_seen_at desc limit $2) a"#,
        organization.uuid(),
        OPEN_MAX,
    );
    Ok(count.fetch_one(tx).await?)
}
