//! What the subscriptions of an account come to in a time: read by who tries other terms on it.

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, OrganizationId, SubscriptionId};
use tollbook_core::money::Fraction;
use tollbook_core::time::Period;

use super::contract::{self, Contract};
use crate::error::{Error, Result};
use crate::rating::too_large;

/// The subscriptions of an account that are in force at some time of a period, in order of time: one at a time.
pub(crate) async fn overlapping(
    tx: &mut PgConnection,
    organization: OrganizationId,
    account: AccountId,
    time: &Period,
) -> Result<Vec<Contract>> {
    let ids = sqlx::query_scalar!(
        "select id from subscriptions
         where organization_id = $1 and account_id = $2 and starts_at < $4 and (ends_at is null or ends_at > $3)
         order by starts_at",
        organization.uuid(),
        account.uuid(),
        time.start().to_sqlx(),
        time.end().to_sqlx(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let keys: Vec<_> = ids
        .into_iter()
        .map(|id| (organization, SubscriptionId::from(id)))
        .collect();
    contract::load(tx, &keys).await
}

/// The sum of the base fees that are charged for a time, exact.
pub(crate) async fn fees_charged(
    tx: &mut PgConnection,
    contract: &Contract,
    time: &Period,
) -> Result<Fraction> {
    let rows = sqlx::query!(
        "select c.amount_numerator, c.amount_denominator
         from billing_periods p
         join charges c on c.organization_id = $1 and c.period_id = p.id and c.kind = 'fee' and c.reverses_id is null
         where p.organization_id = $1 and p.subscription_id = $2 and p.starts_at < $4 and p.ends_at > $3
             and c.occurred_at >= $3 and c.occurred_at < $4
             and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id)",
        contract.organization.uuid(),
        contract.id.uuid(),
        time.start().to_sqlx(),
        time.end().to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let mut sum = Fraction::ZERO;
    for row in rows {
        let amount = Fraction::from_decimals(row.amount_numerator, row.amount_denominator)
            .map_err(|e| Error::Internal(format!("a stored charge: {e}")))?;
        sum = sum.checked_add(amount).map_err(too_large)?;
    }
    Ok(sum)
}

impl Contract {
    /// The sum of the base fees that are due in a time, of the periods that are there, exact.
    pub(crate) fn fees_within(&self, time: &Period) -> Result<Fraction> {
        let Some(last) = self.last else {
            return Ok(Fraction::ZERO);
        };
        let periods = self
            .schedule
            .periods(self.life.starts_at, None, last.end())
            .map_err(|e| Error::Internal(format!("subscription {}: {e}", self.id)))?;
        let mut sum = Fraction::ZERO;
        for period in periods
            .into_iter()
            .filter(|it| it.billed.intersect(time).is_some())
        {
            let fees = self.fees(&period.full)?;
            let due = fees.iter().filter(|fee| time.contains(fee.due_at));
            for amount in due.filter_map(|fee| fee.part.amount) {
                sum = sum.checked_add(amount).map_err(too_large)?;
            }
        }
        Ok(sum)
    }
}
