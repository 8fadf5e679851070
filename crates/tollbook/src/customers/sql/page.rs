//! Statements behind the page of a customer.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId, SubscriptionId};
use tollbook_core::money::{Currency, Money};
use tollbook_core::time::{Period, Zone};

use super::super::page::OrganizationFacts;
use crate::db::types::Text;

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

pub(in super::super) async fn organization(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> sqlx::Result<OrganizationFacts> {
    let row = sqlx::query!(
        r#"select country, currency as "currency: Text<Currency>", zone as "zone: Text<Zone>" from organizations where id = $1"#,
        organization.uuid()
    )
    .fetch_one(tx)
    .await?;
    Ok(OrganizationFacts {
        country: row.country,
        currency: row.currency.0,
        zone: row.zone.0,
    })
}

/// The plan document of a subscription as JSON. It is read as text, since its numbers must not become floats.
pub(in super::super) async fn document(
    tx: &mut PgConnection,
    organization: OrganizationId,
    subscription: SubscriptionId,
    now: Timestamp,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        r#"select v.document::text as "document!" from subscription_segments g
         join plan_versions v on v.seller_id = g.seller_id and v.id = g.plan_version_id
         where g.organization_id = $1 and g.subscription_id = $2 and g.starts_at <= $3
         order by g.starts_at desc limit 1"#,
        organization.uuid(),
        subscription.uuid(),
        now.to_sqlx() as _,
    )
    .fetch_optional(tx)
    .await
}

/// When the first call with the customer began that the reader may see.
pub(in super::super) async fn first_call_at(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> sqlx::Result<Option<Timestamp>> {
    let at = sqlx::query_scalar!(
        "select started_at from calls where organization_id = $1 and customer_id = $2 and merged_into_id is null
         order by started_at limit 1",
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(at.map(jiff_sqlx::Timestamp::to_jiff))
}

/// Seconds talked by local day, from `from` on.
pub(in super::super) async fn talked(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    from: Timestamp,
    zone: &str,
) -> sqlx::Result<HashMap<Date, u64>> {
    let rows = sqlx::query!(
        r#"select (started_at at time zone $4)::date as "day!", sum(billable_seconds)::bigint as "seconds!" from calls
         where organization_id = $1 and customer_id = $2 and started_at >= $3 and merged_into_id is null
         group by 1"#,
        organization.uuid(),
        customer.uuid(),
        from.to_sqlx() as _,
        zone,
    )
    .fetch_all(tx)
    .await?;
    let seconds = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(rows
        .into_iter()
        .map(|row| (row.day.to_jiff(), seconds(row.seconds)))
        .collect())
}

/// An invoice in the list of a customer's.
pub(in super::super) struct Invoice {
    pub(in super::super) id: InvoiceId,
    pub(in super::super) number: Option<String>,
    pub(in super::super) state: String,
    pub(in super::super) zone: Zone,
    pub(in super::super) period: Period,
    pub(in super::super) finalized_at: Option<Timestamp>,
    pub(in super::super) due_at: Option<Timestamp>,
    pub(in super::super) total: Money,
    pub(in super::super) open: Money,
}

/// The newest invoices of a customer, drafts included.
pub(in super::super) async fn invoices(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    let rows = sqlx::query!(
        r#"select id, number, state, zone as "zone: Text<Zone>", period_start, period_end, finalized_at, due_at,
             currency as "currency: Text<Currency>", total_minor,
             case state when 'finalized' then total_minor - paid_minor - credited_minor else 0 end as "open_minor!"
         from invoices where organization_id = $1 and customer_id = $2 and payer = 'customer'
         order by period_start desc, id desc limit $3"#,
        organization.uuid(),
        customer.uuid(),
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let Text(currency) = row.currency;
            Ok(Invoice {
                id: row.id.into(),
                number: row.number,
                state: row.state,
                zone: row.zone.0,
                period: Period::new(row.period_start.to_jiff(), row.period_end.to_jiff())
                    .map_err(decode)?,
                finalized_at: row.finalized_at.map(jiff_sqlx::Timestamp::to_jiff),
                due_at: row.due_at.map(jiff_sqlx::Timestamp::to_jiff),
                total: Money::from_minor(row.total_minor, currency),
                open: Money::from_minor(row.open_minor, currency),
            })
        })
        .collect()
}
