//! What the provider charges for the usage that is rated on it.

use std::collections::HashMap;

use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, ProviderCostId, ProviderPriceId, UsageEventId};
use tollbook_core::money::{Currency, Price};
use tollbook_core::payer::PayerKind;
use uuid::Uuid;

use super::read::bearer;
use crate::error::{Error, Result};

/// What a provider charges for a usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// It has not said yet.
    Pending(ProviderCostId),
    /// It has said.
    Known {
        price: Price,
        currency: Currency,
        id: ProviderPriceId,
    },
}

/// A usage of an organization, named by its first event, in one of the two sales.
pub(crate) type Sold = (OrganizationId, UsageEventId, PayerKind);

/// What providers charge the sellers of usages for it; none for what they do not. A price that somebody else bears is
/// nobody's to put anything on: the charge would tell what it is. The costs are held until the end of the transaction:
/// whoever learns a price finds out who rates or waits without it.
pub(crate) async fn of_usage(
    tx: &mut PgConnection,
    usages: &[Sold],
) -> Result<HashMap<(UsageEventId, PayerKind), Cost>> {
    if usages.is_empty() {
        return Ok(HashMap::new());
    }
    let organizations: Vec<Uuid> = usages.iter().map(|(o, ..)| o.uuid()).collect();
    let ids: Vec<Uuid> = usages.iter().map(|(_, usage, _)| usage.uuid()).collect();
    let bearers: Vec<&str> = usages.iter().map(|(.., payer)| bearer(*payer)).collect();
    let found = sqlx::query_file!(
        "src/costs/usage.sql",
        &organizations,
        &ids,
        &bearers as &[&str]
    )
    .fetch_all(&mut *tx)
    .await?;
    let organizations: Vec<Uuid> = found.iter().map(|row| row.organization_id).collect();
    let costs: Vec<Uuid> = found.iter().map(|row| row.cost_id).collect();
    sqlx::query!(
        "select p.id from provider_costs p
         join (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)) k
             on p.organization_id = k.organization_id and p.id = k.id
         order by p.organization_id, p.id for share of p",
        &organizations,
        &costs,
    )
    .fetch_all(&mut *tx)
    .await?;
    // A statement of its own: it sees what whoever held them before wrote.
    let held = sqlx::query!(
        r#"select p.id, p.amount, p.currency, r.id as "price_id?"
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join provider_costs p on p.organization_id = k.organization_id and p.id = k.id
         left join provider_prices r on r.organization_id = p.organization_id and r.cost_id = p.id and r.revision = p.revision"#,
        &organizations,
        &costs,
    )
    .fetch_all(tx)
    .await?;
    let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored price: {e}"));
    let mut of_cost = HashMap::new();
    for row in held {
        let cost = match (row.amount, row.currency, row.price_id) {
            (Some(amount), Some(currency), Some(id)) => Cost::Known {
                price: Price::try_from(amount).map_err(|e| stored(&e))?,
                currency: currency.parse().map_err(|e| stored(&e))?,
                id: id.into(),
            },
            _ => Cost::Pending(row.id.into()),
        };
        of_cost.insert(row.id, cost);
    }
    let of_sale = found.into_iter().filter_map(|row| {
        let index = usize::try_from(row.position).ok()?.checked_sub(1)?;
        let (_, usage, payer) = usages.get(index)?;
        Some(((*usage, *payer), *of_cost.get(&row.cost_id)?))
    });
    Ok(of_sale.collect())
}
