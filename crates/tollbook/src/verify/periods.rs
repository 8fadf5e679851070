//! Periods, base fees and grants of subscriptions against their history, from which they are made again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use tollbook_core::ids::{OrganizationId, SubscriptionId};
use tollbook_core::money::Fraction;
use tollbook_core::time::Period;
use uuid::Uuid;

use super::charges::fraction;
use super::chunks::{Chunk, last};
use super::counters::difference;
use super::ops::Difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::subscriptions::{self, Contract};

/// Subscriptions of one chunk: a century of months has 1,200 periods.
pub(super) const CHUNK: i64 = 100;

/// A stored period.
type StoredPeriod = (Uuid, Timestamp, Timestamp);

/// A base fee in force, without the plan's price, which is in its trace.
struct Fee {
    version: Option<Uuid>,
    due_at: Timestamp,
    quantity: Decimal,
    amount: Fraction,
}

struct Grant {
    subscription_id: Option<Uuid>,
    id: Uuid,
    allowance_key: String,
    granted: Decimal,
    gone: Decimal,
    starts_at: jiff_sqlx::Timestamp,
    expires_at: jiff_sqlx::Timestamp,
}

/// What is stored of some subscriptions.
struct Stored {
    /// By subscription, in order of time.
    periods: BTreeMap<Uuid, Vec<StoredPeriod>>,
    /// By period.
    fees: BTreeMap<Uuid, Vec<Fee>>,
    /// By subscription.
    grants: BTreeMap<Uuid, Vec<Grant>>,
}

/// Makes the periods of an organization's subscriptions again, with their base fees and grants.
pub(super) async fn chunk(
    app: &App,
    organization: OrganizationId,
    after: Option<Uuid>,
) -> Result<Chunk> {
    let after = after.unwrap_or_default();
    let mut tx = snapshot(app).await?;
    let ids = sqlx::query_scalar!(
        "select id from subscriptions where organization_id = $1 and id > $2 order by id limit $3",
        organization.uuid(),
        after,
        CHUNK,
    )
    .fetch_all(&mut *tx)
    .await?;
    let keys: Vec<_> = ids
        .iter()
        .map(|id| (organization, SubscriptionId::from(*id)))
        .collect();
    let contracts = subscriptions::load(&mut tx, &keys).await?;
    let stored = stored(&mut tx, organization, &ids).await?;
    drop(tx);
    let mut notes = Notes {
        organization,
        differences: Vec::new(),
    };
    for contract in &contracts {
        let id = contract.id.uuid();
        let periods = stored.periods.get(&id).map_or(&[][..], Vec::as_slice);
        check_periods(contract, periods, &mut notes)?;
        check_fees(contract, periods, &stored.fees, &mut notes)?;
        let grants = stored.grants.get(&id).map_or(&[][..], Vec::as_slice);
        check_grants(contract, grants, &mut notes)?;
    }
    Ok((last(&ids, CHUNK, |id| *id), notes.differences))
}

async fn stored(tx: &mut Tx, organization: OrganizationId, ids: &[Uuid]) -> Result<Stored> {
    let rows = sqlx::query!(
        "select subscription_id, id, starts_at, ends_at from billing_periods
         where organization_id = $1 and subscription_id = any ($2) order by subscription_id, starts_at",
        organization.uuid(),
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut periods: BTreeMap<Uuid, Vec<StoredPeriod>> = BTreeMap::new();
    for row in rows {
        let period = (row.id, row.starts_at.to_jiff(), row.ends_at.to_jiff());
        periods.entry(row.subscription_id).or_default().push(period);
    }
    let rows = sqlx::query!(
        r#"select c.period_id as "period_id!", c.plan_version_id, c.occurred_at, c.quantity, c.amount_numerator, c.amount_denominator
         from billing_periods p
         join charges c on c.organization_id = $1 and c.period_id = p.id and c.kind = 'fee' and c.reverses_id is null
         where p.organization_id = $1 and p.subscription_id = any ($2)
             and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id)
         order by c.period_id, c.occurred_at"#,
        organization.uuid(),
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut fees: BTreeMap<Uuid, Vec<Fee>> = BTreeMap::new();
    for row in rows {
        fees.entry(row.period_id).or_default().push(Fee {
            version: row.plan_version_id,
            due_at: row.occurred_at.to_jiff(),
            quantity: row.quantity,
            amount: fraction(row.amount_numerator, row.amount_denominator)?,
        });
    }
    let rows = sqlx::query_as!(
        Grant,
        r#"select subscription_id, id, allowance_key, granted, used + forfeited as "gone!", starts_at, expires_at
         from allowance_grants where organization_id = $1 and subscription_id = any ($2) order by subscription_id, starts_at, id"#,
        organization.uuid(),
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut grants: BTreeMap<Uuid, Vec<Grant>> = BTreeMap::new();
    for row in rows {
        let subscription = row.subscription_id.unwrap_or_default();
        grants.entry(subscription).or_default().push(row);
    }
    Ok(Stored {
        periods,
        fees,
        grants,
    })
}

struct Notes {
    organization: OrganizationId,
    differences: Vec<Difference>,
}

impl Notes {
    fn compare(&mut self, table: &str, key: Uuid, what: &str, expected: String, found: String) {
        if expected != found {
            let key = key.to_string();
            let difference = difference(self.organization, table, key, what, expected, found);
            self.differences.push(difference);
        }
    }
}

/// The first periods of the schedule are those that are stored, whole, whenever the subscription ends.
fn check_periods(contract: &Contract, stored: &[StoredPeriod], notes: &mut Notes) -> Result<()> {
    let until = stored.iter().map(|(_, _, end)| *end).max();
    let Some(until) = until else {
        return Ok(());
    };
    let expected = contract
        .schedule
        .periods(contract.life.starts_at, None, until)
        .map_err(|e| Error::Internal(format!("subscription {}: {e}", contract.id)))?;
    let mut expected = expected.into_iter().map(|it| it.billed);
    for (id, start, end) in stored {
        let (expected, found) = (shown(expected.next()), format!("{start} to {end}"));
        let what = "days of the schedule";
        notes.compare("billing_periods", *id, what, expected, found);
    }
    Ok(())
}

fn shown(period: Option<Period>) -> String {
    period.map_or_else(
        || "none".to_owned(),
        |it| format!("{} to {}", it.start(), it.end()),
    )
}

/// Each period has the base fees of the stretches that are paid for, on the plans that are in force then.
fn check_fees(
    contract: &Contract,
    periods: &[StoredPeriod],
    stored: &BTreeMap<Uuid, Vec<Fee>>,
    notes: &mut Notes,
) -> Result<()> {
    let shown = |version: String, due_at: Timestamp, quantity: Decimal, amount: String| {
        let quantity = quantity.normalize();
        format!("{amount} for {quantity} from {due_at} on {version}")
    };
    for (id, start, _) in periods {
        let due = contract.fees(&contract.full(*start)?)?;
        let expected = due.iter().map(|it| {
            let version = it.terms.version.to_string();
            let amount = it.part.amount.unwrap_or(Fraction::ZERO).to_string();
            shown(version, it.due_at, it.part.quantity.to_decimal(), amount)
        });
        let found = stored.get(id).into_iter().flatten().map(|it| {
            let version = it.version.map(|it| it.to_string()).unwrap_or_default();
            shown(version, it.due_at, it.quantity, it.amount.to_string())
        });
        let list = |fees: Vec<String>| match fees.as_slice() {
            [] => "none".to_owned(),
            fees => fees.join("; "),
        };
        let (expected, found) = (list(expected.collect()), list(found.collect()));
        notes.compare("billing_periods", *id, "base fee", expected, found);
    }
    Ok(())
}

/// Each grant is one of those that the history says, and none of them is missing.
fn check_grants(contract: &Contract, stored: &[Grant], notes: &mut Notes) -> Result<()> {
    let Some(last) = contract.last else {
        return Ok(());
    };
    let mut due: BTreeMap<(String, Timestamp), String> = BTreeMap::new();
    for grant in contract.grants(contract.life.starts_at, last.end())? {
        let key = (grant.allowance_key.as_str().to_owned(), grant.starts_at);
        let granted = grant.granted.to_decimal().normalize();
        due.insert(key, format!("{granted} until {}", grant.expires_at));
    }
    for grant in stored {
        let key = (grant.allowance_key.clone(), grant.starts_at.to_jiff());
        let (granted, expires_at) = (grant.granted.normalize(), grant.expires_at.to_jiff());
        let found = format!("{granted} until {expires_at}");
        let Some(expected) = due.remove(&key) else {
            // Of a cycle that it turned out not to have.
            if grant.granted != grant.gone {
                let none = "none".to_owned();
                notes.compare("allowance_grants", grant.id, "granted", none, found);
            }
            continue;
        };
        notes.compare("allowance_grants", grant.id, "granted", expected, found);
    }
    for ((key, starts_at), expected) in due {
        let what = format!("grant of {key}");
        let (expected, none) = (format!("{expected} from {starts_at}"), "none".to_owned());
        notes.compare("subscriptions", contract.id.uuid(), &what, expected, none);
    }
    Ok(())
}
