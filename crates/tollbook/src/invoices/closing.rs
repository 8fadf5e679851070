//! Whether a period is complete: what was told, recorded and rated of it, counted when it is closed.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, OrganizationId};
use uuid::Uuid;

use crate::error::Result;

/// What there was of a document's period when it was closed. What is missing between `usages` and the other two was on
/// its way, and goes on the next document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Closing {
    /// What the organization's own accounts told in the period.
    pub(super) webhooks: i64,
    /// Those that nobody could understand.
    pub(super) webhooks_parked: i64,
    /// Usage of the payer that occurred in the period.
    pub(super) usages: i64,
    /// How much of it had its charges.
    pub(super) usages_rated: i64,
    /// How much of it could not be rated.
    pub(super) usages_parked: i64,
}

/// A stretch of time of an organization.
type Stretch = (OrganizationId, Timestamp, Timestamp);

/// Webhooks by the time in which they came, counted once for all documents of the same period.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<Stretch, i64>);

/// Counts what there is of the periods of documents; nothing for those that are not of a period.
pub(super) async fn count(
    tx: &mut PgConnection,
    organization: OrganizationId,
    documents: &[InvoiceId],
    told: &mut Told,
) -> Result<HashMap<InvoiceId, Closing>> {
    let ids: Vec<Uuid> = documents.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_file!("src/invoices/closing.sql", organization.uuid(), &ids)
        .fetch_all(&mut *tx)
        .await?;
    let stretch = |start: jiff_sqlx::Timestamp, end: jiff_sqlx::Timestamp| {
        (organization, start.to_jiff(), end.to_jiff())
    };
    let stretches: BTreeSet<Stretch> = rows
        .iter()
        .map(|row| stretch(row.period_start, row.period_end))
        .collect();
    told.count(tx, organization, &stretches).await?;
    let parked = parked(tx, organization, &stretches).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let stretch = stretch(row.period_start, row.period_end);
            let closing = Closing {
                webhooks: told.0.get(&stretch).copied().unwrap_or_default(),
                webhooks_parked: parked.get(&stretch).copied().unwrap_or_default(),
                usages: row.usages,
                usages_rated: row.rated,
                usages_parked: row.parked,
            };
            (row.id.into(), closing)
        })
        .collect())
}

impl Told {
    async fn count(
        &mut self,
        tx: &mut PgConnection,
        organization: OrganizationId,
        stretches: &BTreeSet<Stretch>,
    ) -> Result<()> {
        let new: Vec<&Stretch> = stretches
            .iter()
            .filter(|it| !self.0.contains_key(*it))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let starts: Vec<_> = new.iter().map(|(_, start, _)| start.to_sqlx()).collect();
        let ends: Vec<_> = new.iter().map(|(.., end)| end.to_sqlx()).collect();
        let rows = sqlx::query!(
            r#"select k.starts_at as "starts_at!", k.ends_at as "ends_at!", n.count as "count!"
             from unnest($2::timestamptz[], $3::timestamptz[]) as k (starts_at, ends_at)
             cross join lateral (
                 select count(*) from inbox w
                 where w.organization_id = $1 and w.received_at >= k.starts_at and w.received_at < k.ends_at
             ) n"#,
            organization.uuid(),
            &starts,
            &ends,
        )
        .fetch_all(tx)
        .await?;
        self.0.extend(rows.into_iter().map(|row| {
            let stretch = (organization, row.starts_at.to_jiff(), row.ends_at.to_jiff());
            (stretch, row.count)
        }));
        Ok(())
    }
}

async fn parked(
    tx: &mut PgConnection,
    organization: OrganizationId,
    stretches: &BTreeSet<Stretch>,
) -> Result<HashMap<Stretch, i64>> {
    let starts: Vec<_> = stretches
        .iter()
        .map(|(_, start, _)| start.to_sqlx())
        .collect();
    let ends: Vec<_> = stretches.iter().map(|(.., end)| end.to_sqlx()).collect();
    let rows = sqlx::query!(
        r#"select k.starts_at as "starts_at!", k.ends_at as "ends_at!", count(*) as "count!"
         from inbox_queue q
         join inbox w on w.received_at = q.received_at and w.id = q.inbox_id
         join unnest($2::timestamptz[], $3::timestamptz[]) as k (starts_at, ends_at)
             on q.received_at >= k.starts_at and q.received_at < k.ends_at
         where q.parked_at is not null and w.organization_id = $1
         group by k.starts_at, k.ends_at"#,
        organization.uuid(),
        &starts,
        &ends,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let stretch = (organization, row.starts_at.to_jiff(), row.ends_at.to_jiff());
            (stretch, row.count)
        })
        .collect())
}
