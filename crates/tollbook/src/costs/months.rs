//! Months in which numbers are held: each is a usage, and has a price of its own at providers that charge by the month.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, MappingId, OrganizationId, UsageEventId, UserId};
use tollbook_core::metering::{BuiltInMeter, IdempotencyKey, UsageRequest};
use tollbook_core::money::Quantity;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::metering::{self, NewUsage};

/// Mappings of one transaction.
const BATCH_MAX: i64 = 500;

/// A month of a mapping that is not recorded yet.
struct Month {
    organization: Uuid,
    mapping: Uuid,
    period_start: jiff_sqlx::Timestamp,
    period_end: jiff_sqlx::Timestamp,
    /// From when on it counts: the first month begins when the number was first seen.
    counts_at: jiff_sqlx::Timestamp,
    label: String,
    user: Option<Uuid>,
    customer: Option<Uuid>,
}

/// Records each month that has begun of each number that is held. Recording one twice changes nothing.
pub(crate) async fn record_months(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let mut tx = app.db.begin(&Actor::system()).await?;
        let due = due(&mut tx, now).await?;
        if due.is_empty() {
            return Ok(());
        }
        let usages = due.iter().map(usage).collect::<Result<Vec<_>>>()?;
        let events = metering::record(&mut tx, &usages).await?;
        write(&mut tx, &due, &events, now).await?;
        tx.commit().await?;
        app.wake.rating.notify_one();
    }
}

/// The next month of each mapping that has begun and is not recorded, the mappings locked. The owner of the number has
/// it, and who pays is the owner as a customer, where there is one.
async fn due(tx: &mut PgConnection, now: Timestamp) -> Result<Vec<Month>> {
    let rows = sqlx::query_file_as!(Month, "src/costs/months.sql", now.to_sqlx(), BATCH_MAX)
        .fetch_all(tx)
        .await?;
    Ok(rows)
}

fn usage(month: &Month) -> Result<NewUsage> {
    let key = format!("number:{}:{}", month.mapping, month.label);
    let key: IdempotencyKey = key
        .parse()
        .map_err(|e| Error::Internal(format!("the key of a number's month: {e}")))?;
    let occurred_at = month.counts_at.to_jiff();
    Ok(NewUsage {
        organization: OrganizationId::from(month.organization),
        request: UsageRequest {
            meter: BuiltInMeter::NumberMonth.into(),
            quantity: Quantity::from_units(1),
            occurred_at: Some(occurred_at),
            user: month.user.map(UserId::from),
            mapping: Some(MappingId::from(month.mapping)),
            customer: month.customer.map(CustomerId::from),
            resource_type: Some("number_month".to_owned()),
            resource_id: Some(month.label.clone()),
            metadata: serde_json::Value::Object(serde_json::Map::new()),
        },
        occurred_at,
        key: Some(key),
        call: None,
        corrects: None,
    })
}

async fn write(
    tx: &mut PgConnection,
    months: &[Month],
    events: &[UsageEventId],
    now: Timestamp,
) -> Result<()> {
    let organizations: Vec<Uuid> = months.iter().map(|m| m.organization).collect();
    let ids: Vec<Uuid> = months.iter().map(|_| new_id()).collect();
    let mappings: Vec<Uuid> = months.iter().map(|m| m.mapping).collect();
    let starts: Vec<_> = months.iter().map(|m| m.period_start).collect();
    let ends: Vec<_> = months.iter().map(|m| m.period_end).collect();
    let users: Vec<Option<Uuid>> = months.iter().map(|m| m.user).collect();
    let events: Vec<Uuid> = events.iter().map(|id| id.uuid()).collect();
    let costs: Vec<Uuid> = months.iter().map(|_| new_id()).collect();
    let times: Vec<_> = months.iter().map(|m| m.counts_at).collect();
    sqlx::query!(
        "with added as (
             insert into number_months (organization_id, id, mapping_id, period_start, period_end, user_id, usage_event_id)
             select k.organization_id, k.id, k.mapping_id, k.period_start, k.period_end, k.user_id, k.usage_event_id
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::uuid[], $7::uuid[])
                 as k (organization_id, id, mapping_id, period_start, period_end, user_id, usage_event_id)
             order by k.organization_id, k.mapping_id
             on conflict (organization_id, mapping_id, period_start) do nothing
             returning organization_id, id, mapping_id
         )
         insert into provider_costs (organization_id, id, bearer, provider, subject, subject_id, occurred_at, integration_id, sid, ask_at)
         select a.organization_id, k.id, case when i.organization_id is null then 'platform' else 'organization' end, i.provider,
             'number', a.id, k.occurred_at, i.id, n.provider_number_sid, $10
         from added a
         join unnest($2::uuid[], $8::uuid[], $9::timestamptz[]) as k (month_id, id, occurred_at) on k.month_id = a.id
         join number_mappings m on m.organization_id = a.organization_id and m.id = a.mapping_id
         join phone_numbers n on n.id = m.phone_number_id and n.provider_number_sid is not null
         join integrations i on i.id = n.integration_id
         order by a.organization_id, a.id
         on conflict (organization_id, subject, subject_id) do nothing",
        &organizations,
        &ids,
        &mappings,
        &starts as &[jiff_sqlx::Timestamp],
        &ends as &[jiff_sqlx::Timestamp],
        &users as &[Option<Uuid>],
        &events,
        &costs,
        &times as &[jiff_sqlx::Timestamp],
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}
