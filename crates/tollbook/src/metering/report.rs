//! What an organization has used: totals by type, and the events behind them.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use tollbook_core::metering::{MeterCode, resolve};
use tollbook_core::money::Quantity;
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::OrgAdmin;
use crate::http::csv::{self, Chunk};
use crate::http::input::{Params, Path};
use crate::http::list::Paging;
use crate::http::span;
use crate::organizations;

/// The time that a report is about, and what its totals are told apart by.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    /// An instant, or the first day in the organization's zone; the current month if absent.
    from: Option<String>,
    /// The first instant that is too late, or the last day.
    to: Option<String>,
    #[serde(default)]
    group_by: GroupBy,
}

/// What totals are told apart by, beside the type.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum GroupBy {
    #[default]
    Type,
    User,
    Customer,
    Resource,
}

/// What was used in a time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    data: Vec<Total>,
}

/// The total of one type, perhaps of one user, customer or resource.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Total {
    usage_type: String,
    name: String,
    /// What the quantity counts.
    unit: String,
    /// A decimal, corrections included.
    quantity: String,
    /// Events, without corrections.
    events: i64,
    user_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    resource_type: Option<String>,
    resource_id: Option<String>,
}

/// `GET /api/billing/usage`: totals by type.
pub(crate) async fn summary(
    State(app): State<App>,
    admin: OrgAdmin,
    Params(filter): Params<Filter>,
) -> Result<Json<Summary>> {
    let mut tx = app.db.begin(&admin.actor).await?;
    let zone = organizations::business(&mut tx, admin.organization)
        .await?
        .zone;
    let period = filter.period(&zone, app.clock.now())?;
    let data = totals(&mut tx, admin.organization, period, filter.group_by).await?;
    Ok(Json(Summary {
        from: period.start(),
        to: period.end(),
        data,
    }))
}

/// A usage event.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    id: Uuid,
    usage_type: String,
    /// A decimal in the meter's base unit; of a correction the difference.
    quantity: String,
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    idempotency_key: String,
    user_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    call_id: Option<Uuid>,
    resource_type: Option<String>,
    resource_id: Option<String>,
    #[schema(value_type = Object)]
    metadata: Value,
    /// The event that this one corrects.
    corrects_id: Option<Uuid>,
}

/// The place of an event in the list: the latest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    occurred_at: Timestamp,
    id: Uuid,
}

/// Which events.
#[derive(Debug, Clone)]
struct Which {
    organization: OrganizationId,
    meter: MeterCode,
    period: Period,
}

/// `GET /api/billing/usage/{usageType}`: the events of one type, also as CSV.
pub(crate) async fn events(
    State(app): State<App>,
    admin: OrgAdmin,
    headers: HeaderMap,
    paging: Paging,
    Path(usage_type): Path<String>,
    Params(filter): Params<Filter>,
) -> Result<Response> {
    let (meter, _) =
        resolve(&usage_type, Quantity::ZERO).map_err(|_| Error::NotFound("usage type"))?;
    let mut tx = app.db.begin(&admin.actor).await?;
    let zone = organizations::business(&mut tx, admin.organization)
        .await?
        .zone;
    let which = Which {
        organization: admin.organization,
        meter,
        period: filter.period(&zone, app.clock.now())?,
    };
    if csv::is_wanted(&headers) {
        drop(tx);
        return as_csv(app, admin, which).await;
    }
    let events = read(&mut tx, &which, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(events, Event::place)?).into_response())
}

async fn as_csv(app: App, admin: OrgAdmin, which: Which) -> Result<Response> {
    const COLUMNS: [&str; 10] = [
        "id",
        "occurred_at",
        "usage_type",
        "quantity",
        "user_id",
        "customer_id",
        "call_id",
        "resource_type",
        "resource_id",
        "corrects_id",
    ];
    let name = format!("usage-{}", which.meter);
    csv::stream(&name, &COLUMNS, move |after: Option<Cursor>| {
        let (app, which) = (app.clone(), which.clone());
        async move {
            let mut tx = app.db.begin(&admin.actor).await?;
            let events = read(&mut tx, &which, after, csv::CHUNK).await?;
            Ok(Chunk::new(&events, Event::place, Event::cells))
        }
    })
    .await
}

async fn read(
    tx: &mut PgConnection,
    which: &Which,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<Event>> {
    let rows = sqlx::query!(
        "select id, meter, quantity, occurred_at, received_at, idempotency_key, user_id, customer_id, call_id, resource_type,
             resource_id, metadata, corrects_id
         from usage_events
         where organization_id = $1 and meter = $2 and occurred_at >= $3 and occurred_at < $4
             and ($5::timestamptz is null or (occurred_at, id) < ($5, $6))
         order by occurred_at desc, id desc limit $7",
        which.organization.uuid(),
        which.meter.as_str(),
        which.period.start().to_sqlx(),
        which.period.end().to_sqlx(),
        after.map(|after| after.occurred_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|after| after.id),
        rows,
    )
    .fetch_all(tx)
    .await?;
    let events = rows.into_iter().map(|row| Event {
        id: row.id,
        usage_type: row.meter,
        quantity: plain(row.quantity),
        occurred_at: row.occurred_at.to_jiff(),
        received_at: row.received_at.to_jiff(),
        idempotency_key: row.idempotency_key,
        user_id: row.user_id,
        customer_id: row.customer_id,
        call_id: row.call_id,
        resource_type: row.resource_type,
        resource_id: row.resource_id,
        metadata: row.metadata,
        corrects_id: row.corrects_id,
    });
    Ok(events.collect())
}

impl Event {
    fn place(&self) -> Cursor {
        Cursor {
            occurred_at: self.occurred_at,
            id: self.id,
        }
    }

    fn cells(&self) -> Vec<String> {
        let text = |it: Option<&String>| it.cloned().unwrap_or_default();
        let id = |it: Option<Uuid>| it.map(|it| it.to_string()).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.occurred_at.to_string(),
            self.usage_type.clone(),
            self.quantity.clone(),
            id(self.user_id),
            id(self.customer_id),
            id(self.call_id),
            text(self.resource_type.as_ref()),
            text(self.resource_id.as_ref()),
            id(self.corrects_id),
        ]
    }
}

async fn totals(
    tx: &mut PgConnection,
    organization: OrganizationId,
    period: Period,
    group_by: GroupBy,
) -> Result<Vec<Total>> {
    let group = match group_by {
        GroupBy::Type => "type",
        GroupBy::User => "user",
        GroupBy::Customer => "customer",
        GroupBy::Resource => "resource",
    };
    // Meter by meter, so that each goes by the index.
    let rows = sqlx::query!(
        r#"select m.code as "code!", m.name as "name!", m.base_unit as "base_unit!", t.quantity as "quantity!", t.events as "events!", t.user_id as "user_id?",
             t.customer_id as "customer_id?", t.resource_type as "resource_type?", t.resource_id as "resource_id?"
         from (
             select distinct on (code) code, name, base_unit from meters
             where organization_id is null or organization_id = $1 order by code, organization_id nulls last
         ) m
         cross join lateral (
             select sum(u.quantity) as quantity, count(*) filter (where u.corrects_id is null) as events, g.*
             from usage_events u
             cross join lateral (
                 select case $4 when 'user' then u.user_id end as user_id, case $4 when 'customer' then u.customer_id end as customer_id,
                     case $4 when 'resource' then u.resource_type end as resource_type, case $4 when 'resource' then u.resource_id end as resource_id
             ) g
             where u.organization_id = $1 and u.meter = m.code and u.occurred_at >= $2 and u.occurred_at < $3
             group by g.user_id, g.customer_id, g.resource_type, g.resource_id
         ) t
         order by m.code, t.quantity desc, t.user_id, t.customer_id, t.resource_type, t.resource_id"#,
        organization.uuid(),
        period.start().to_sqlx(),
        period.end().to_sqlx(),
        group,
    )
    .fetch_all(tx)
    .await?;
    let total = rows.into_iter().map(|row| Total {
        usage_type: row.code,
        name: row.name,
        unit: row.base_unit,
        quantity: plain(row.quantity),
        events: row.events,
        user_id: row.user_id,
        customer_id: row.customer_id,
        resource_type: row.resource_type,
        resource_id: row.resource_id,
    });
    Ok(total.collect())
}

fn plain(decimal: Decimal) -> String {
    decimal.normalize().to_string()
}

impl Filter {
    fn period(&self, zone: &Zone, now: Timestamp) -> Result<Period> {
        span::period(self.from.as_deref(), self.to.as_deref(), zone, now)
    }
}
