//! What a call would cost if it ended now, by the same rules as its charge. Nothing of it is stored.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::calls::Direction;
use tollbook_core::ids::{
    AccountId, CallId, CustomerId, OrganizationId, PlanVersionId, UsageEventId,
};
use tollbook_core::metering::BuiltInMeter;
use tollbook_core::money::{Currency, Fraction, Overflow, Quantity};
use tollbook_core::phone::E164;
use tollbook_core::rating::{ProviderCost, State, Terms, Usage, rate};
use tollbook_core::time::{Seconds, Zone};
use uuid::Uuid;

use super::books;
use super::destinations::{Dialed, add_decks};
use super::terms::{Prepared, Ready, TermsCache, TermsKey};
use crate::error::{Error, Result};

/// Digits after the point of an estimate; more would suggest a precision that it has not.
const DIGITS: usize = 4;

/// A call in progress.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) call: CallId,
    pub(crate) customer: CustomerId,
    pub(crate) direction: Direction,
    /// Whom we called.
    pub(crate) destination: Option<E164>,
    pub(crate) answered_at: Timestamp,
}

/// What a call has cost so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Estimate {
    /// All of it was covered by included time.
    Included,
    /// In major units, as a plain decimal. What concurrent calls use of the same allowance is not taken into account.
    Amount { plain: String, currency: Currency },
}

/// What these calls have cost at `now`; those that nobody pays for yet, or whose terms have no price, are missing.
pub(crate) async fn estimates(
    tx: &mut PgConnection,
    cache: &TermsCache,
    organization: OrganizationId,
    running: &[Running],
    now: Timestamp,
) -> Result<HashMap<CallId, Estimate>> {
    if running.is_empty() {
        return Ok(HashMap::new());
    }
    let customers: Vec<Uuid> = running.iter().map(|call| call.customer.uuid()).collect();
    let mut standings = standings(tx, cache, organization, &customers, now).await?;
    add_destinations(tx, &mut standings, running).await?;
    let keys: Vec<_> = standings
        .values()
        .map(|standing| (organization, standing.account))
        .collect();
    let since = standings
        .values()
        .map(|it| it.period_start)
        .min()
        .unwrap_or(now);
    let books = books::load(tx, &keys, now, since).await?;
    let mut states: HashMap<CustomerId, State> = HashMap::new();
    for (customer, standing) in &standings {
        // Several customers may share an account.
        let book = books.get(&standing.account).cloned().unwrap_or_default();
        let state = State {
            period_start: standing.period_start,
            grants: book.grants,
            tiers: book.tiers,
        };
        states.insert(*customer, state);
    }
    let mut found = HashMap::new();
    for call in running {
        if let (Some(standing), Some(state)) =
            (standings.get(&call.customer), states.get(&call.customer))
            && let Some(estimate) = estimate(call, &standing.prepared.terms, state, now)
        {
            found.insert(call.call, estimate);
        }
    }
    Ok(found)
}

/// What a minute costs somebody without a subscription who calls the organization now; `None` if no price is set.
pub(crate) async fn minute_price(
    tx: &mut PgConnection,
    cache: &TermsCache,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Option<(String, Currency)>> {
    let row = sqlx::query!(
        "select t.plan_version_id, o.zone from organizations o
         join pay_per_call_terms t on t.organization_id = o.id and t.starts_at <= $2 and (t.ends_at is null or $2 < t.ends_at)
         where o.id = $1",
        organization.uuid(),
        now.to_sqlx() as _,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let key = TermsKey {
        seller: organization.uuid(),
        version: row.plan_version_id.into(),
        zone: row.zone,
    };
    let terms = cache.get(tx, std::slice::from_ref(&key)).await?;
    let minute = Running {
        call: CallId::new(Uuid::nil()),
        customer: CustomerId::new(Uuid::nil()),
        direction: Direction::Incoming,
        destination: None,
        answered_at: now,
    };
    let price = terms.get(&key).and_then(|prepared| {
        let terms = &prepared.as_ref().ok()?.terms;
        let rated = rate(&usage(&minute, Seconds::new(60)), terms, &State::new(now)).ok()?;
        let total = rated.total().ok()??;
        (!total.is_zero()).then(|| Some((plain(total).ok()?, terms.currency())))?
    });
    Ok(price)
}

/// What a customer's usage falls under.
struct Standing {
    account: AccountId,
    key: TermsKey,
    prepared: Arc<Prepared>,
    period_start: Timestamp,
}

async fn standings(
    tx: &mut PgConnection,
    cache: &TermsCache,
    organization: OrganizationId,
    customers: &[Uuid],
    now: Timestamp,
) -> Result<HashMap<CustomerId, Standing>> {
    let rows = sqlx::query_file!(
        "src/rating/estimate.sql",
        organization.uuid(),
        customers,
        now.to_sqlx() as _
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows {
        let (Some(seller), Some(version)) = (row.seller_id, row.plan_version_id) else {
            continue;
        };
        let key = TermsKey {
            seller,
            version: PlanVersionId::from(version),
            zone: row.zone.clone(),
        };
        let period_start = match row.period_starts_at {
            Some(at) => at.to_jiff(),
            None => month_start(&row.zone, now)?,
        };
        keyed.push((
            CustomerId::from(row.customer_id),
            AccountId::from(row.account_id),
            key,
            period_start,
        ));
    }
    let keys: Vec<TermsKey> = keyed.iter().map(|(_, _, key, _)| key.clone()).collect();
    let terms = cache.get(tx, &keys).await?;
    Ok(keyed
        .into_iter()
        .filter_map(|(customer, account, key, period_start)| {
            let prepared = Arc::clone(terms.get(&key)?.as_ref().ok()?);
            Some((
                customer,
                Standing {
                    account,
                    key,
                    prepared,
                    period_start,
                },
            ))
        })
        .collect())
}

/// Puts in what price decks say of the numbers that are called.
async fn add_destinations(
    tx: &mut PgConnection,
    standings: &mut HashMap<CustomerId, Standing>,
    running: &[Running],
) -> Result<()> {
    let mut ready: Ready = standings
        .values()
        .map(|it| (it.key.clone(), Ok(Arc::clone(&it.prepared))))
        .collect();
    let dialed = running.iter().filter_map(|call| {
        Some(Dialed {
            terms: standings.get(&call.customer)?.key.clone(),
            number: call.destination.as_ref()?,
            at: call.answered_at,
        })
    });
    add_decks(tx, &mut ready, dialed).await?;
    for standing in standings.values_mut() {
        if let Some(Ok(prepared)) = ready.get(&standing.key) {
            standing.prepared = Arc::clone(prepared);
        }
    }
    Ok(())
}

/// Pay-per-call usage is totalled by calendar month.
pub(crate) fn month_start(zone: &str, now: Timestamp) -> Result<Timestamp> {
    let wrong =
        |e: &dyn std::fmt::Display| Error::Internal(format!("the month cannot be told: {e}"));
    let zone: Zone = zone.parse().map_err(|e| wrong(&e))?;
    Ok(zone.month(now).map_err(|e| wrong(&e))?.start())
}

fn usage(call: &Running, elapsed: Seconds) -> Usage {
    Usage {
        id: UsageEventId::new(Uuid::nil()),
        meter: BuiltInMeter::CallDurationSeconds.into(),
        quantity: Quantity::from_units(elapsed.get()),
        occurred_at: call.answered_at,
        is_time: true,
        direction: Some(call.direction),
        destination: call.destination.clone(),
        provider_cost: ProviderCost::Pending,
    }
}

fn estimate(call: &Running, terms: &Terms, state: &State, now: Timestamp) -> Option<Estimate> {
    let elapsed = Seconds::between(call.answered_at, now);
    let rated = rate(&usage(call, elapsed), terms, state).ok()?;
    let total = rated.total().ok()??;
    if total.is_zero() && !rated.grant_draws.is_empty() {
        return Some(Estimate::Included);
    }
    Some(Estimate::Amount {
        plain: plain(total).ok()?,
        currency: terms.currency(),
    })
}

/// A plain decimal, cut off: an estimate never says more than what is owed.
fn plain(amount: Fraction) -> Result<String, Overflow> {
    let scale = i64::pow(10, u32::try_from(DIGITS).unwrap_or(0));
    let scaled = amount.checked_mul(Fraction::from_whole(scale))?.floor();
    let digits = format!("{:0>width$}", scaled.unsigned_abs(), width = DIGITS + 1);
    let (whole, fraction) = digits.split_at(digits.len() - DIGITS);
    let sign = if scaled < 0 { "-" } else { "" };
    Ok(format!("{sign}{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_cut_off_after_four_digits() {
        let shown = |n, d| plain(Fraction::new(n, d).unwrap()).unwrap();
        assert_eq!(shown(1, 3), "0.3333");
        assert_eq!(shown(21, 20), "1.0500");
        assert_eq!(shown(0, 1), "0.0000");
        assert_eq!(shown(1234, 1), "1234.0000");
    }
}
