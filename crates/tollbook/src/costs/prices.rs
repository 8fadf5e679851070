//! Prices become known, and known anew: each is a row that stays, and the last one counts.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, ProviderCostId};
use tollbook_core::money::{Currency, Price};
use tollbook_providers::ProviderCost;
use uuid::Uuid;

use super::sql::Asked;
use crate::error::{Error, Result};
use crate::ids::new_id;

/// Where a price comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PriceSource {
    /// The provider was asked.
    Asked,
    /// Somebody wrote it down.
    ByHand,
    /// The call is a part of another, in whose price it is.
    Merged,
}

impl PriceSource {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::ByHand => "by_hand",
            Self::Merged => "merged",
        }
    }
}

/// A price as it is known now.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) organization: OrganizationId,
    pub(super) cost: ProviderCostId,
    pub(super) source: PriceSource,
    pub(super) amount: Price,
    pub(super) currency: Currency,
    pub(super) parts: Vec<Part>,
}

/// What a price consists of: a leg of a call, mostly.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    /// The provider's id of it.
    sid: String,
    /// A decimal.
    amount: String,
}

impl Part {
    pub(super) fn new(cost: &ProviderCost) -> Self {
        Self {
            sid: cost.sid.clone(),
            amount: cost.price.to_string(),
        }
    }
}

impl Known {
    /// Nothing, since it is in the price of another call.
    pub(super) fn merged(asked: &Asked) -> Self {
        Self {
            organization: asked.organization,
            cost: asked.id,
            source: PriceSource::Merged,
            amount: Price::ZERO,
            currency: asked.currency,
            parts: Vec::new(),
        }
    }
}

/// Writes prices, in the order of their costs, where they are new or others than before. Usage that waited for them goes
/// on; usage that was rated on the price before is rated again. A price keeps its first currency.
pub(super) async fn record(tx: &mut PgConnection, known: &[Known], now: Timestamp) -> Result<u64> {
    if known.is_empty() {
        return Ok(0);
    }
    let organizations: Vec<Uuid> = known.iter().map(|k| k.organization.uuid()).collect();
    let costs: Vec<Uuid> = known.iter().map(|k| k.cost.uuid()).collect();
    let ids: Vec<Uuid> = known.iter().map(|_| new_id()).collect();
    let sources: Vec<&str> = known.iter().map(|k| k.source.as_str()).collect();
    let amounts: Vec<_> = known.iter().map(|k| k.amount.to_decimal()).collect();
    let currencies: Vec<&str> = known.iter().map(|k| k.currency.code()).collect();
    let parts = known
        .iter()
        .map(|k| serde_json::to_value(&k.parts))
        .collect::<serde_json::Result<Vec<_>>>()
        .map_err(|e| Error::Internal(format!("a price cannot be written: {e}")))?;
    // First: what is rated on these prices meanwhile waits, and then sees the new ones.
    sqlx::query!(
        "select p.id from provider_costs p
         join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id) on p.organization_id = k.organization_id and p.id = k.id
         order by p.organization_id, p.id for no key update of p",
        &organizations,
        &costs,
    )
    .fetch_all(&mut *tx)
    .await?;
    let changed = sqlx::query_file!(
        "src/costs/record.sql",
        &organizations,
        &costs,
        &ids,
        &sources as &[&str],
        &amounts,
        &currencies as &[&str],
        &parts,
        now.to_sqlx(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let organizations: Vec<Uuid> = changed.iter().map(|row| row.organization_id).collect();
    let costs: Vec<Uuid> = changed.iter().map(|row| row.id).collect();
    wake(tx, &organizations, &costs).await?;
    rate_again(tx, &organizations, &costs).await?;
    Ok(u64::try_from(changed.len()).unwrap_or(u64::MAX))
}

/// Lets usage go on that waited for these prices. A row that somebody has at the moment is tried again by itself.
async fn wake(tx: &mut PgConnection, organizations: &[Uuid], costs: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "update rating_queue w set parked_at = null
         from (
             select q.organization_id, q.account_id, q.usage_event_id
             from unnest($1::uuid[], $2::uuid[]) as k (organization_id, cost_id)
             join rating_queue q on q.organization_id = k.organization_id and q.cost_id = k.cost_id
             where q.parked_at is not null
             for update of q skip locked
         ) q
         where w.organization_id = q.organization_id and w.account_id = q.account_id and w.usage_event_id = q.usage_event_id",
        organizations,
        costs,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Queues usage whose charges in force were computed from an earlier price.
async fn rate_again(tx: &mut PgConnection, organizations: &[Uuid], costs: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "insert into rating_queue (lane, organization_id, account_id, usage_event_id)
         select distinct (hashtextextended(c.account_id::text, 0) & 63)::smallint, c.organization_id, c.account_id, c.usage_event_id
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, cost_id)
         join provider_costs p on p.organization_id = k.organization_id and p.id = k.cost_id
         join provider_prices b on b.organization_id = p.organization_id and b.cost_id = p.id and b.revision < p.revision
         join charges c on c.organization_id = b.organization_id and c.provider_price_id = b.id
         where c.reverses_id is null and c.usage_event_id is not null
             and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)
         order by c.organization_id, c.account_id, c.usage_event_id
         on conflict (organization_id, account_id, usage_event_id) do nothing",
        organizations,
        costs,
    )
    .execute(tx)
    .await?;
    Ok(())
}
