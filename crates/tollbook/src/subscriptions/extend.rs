//! Extends subscriptions whose periods run out.

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, OrganizationId, SubscriptionId};
use uuid::Uuid;

use super::periods::{add_periods, horizon};
use crate::app::App;
use crate::error::{Error, Result};
use crate::rating;

/// Subscriptions extended in one transaction.
const BATCH_MAX: i64 = 400;

/// A subscription by its key.
type Key = (OrganizationId, SubscriptionId);

/// Makes the next periods of every subscription that needs them, sets the states whose time has come, and sees to what is
/// carried into cycles that have begun.
///
/// One that cannot be extended does not hold up the others; the first error is returned when all have had their turn.
pub(crate) async fn extend_due(app: &App) -> Result<()> {
    let nil = (Uuid::nil().into(), Uuid::nil().into());
    let (mut after, mut failure) = (nil, None);
    loop {
        let now = app.clock.now();
        let due = due(app, now, after).await?;
        let Some(last) = due.last() else { break };
        after = *last;
        if extend_all(app, &due, now).await.is_ok() {
            continue;
        }
        for one in &due {
            if let Err(error) = extend_all(app, std::slice::from_ref(one), now).await {
                tracing::error!(subscription = %one.1, %error, "a subscription cannot be extended");
                failure = failure.or(Some((one.1, error)));
            }
        }
    }
    turn_due(app).await?;
    rating::carry_due(app).await?;
    match failure {
        None => Ok(()),
        Some((id, error)) => Err(Error::Internal(format!(
            "subscription {id} cannot be extended: {error}"
        ))),
    }
}

async fn due(app: &App, now: Timestamp, after: Key) -> Result<Vec<Key>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let rows = sqlx::query!(
        "select s.organization_id, s.id from subscriptions s
         cross join lateral (
             select max(p.ends_at) as until from billing_periods p
             where p.organization_id = s.organization_id and p.subscription_id = s.id
         ) p
         where (s.organization_id, s.id) > ($2, $3) and s.state <> 'ended'
             and coalesce(p.until, s.starts_at) < $1 and (s.ends_at is null or coalesce(p.until, s.starts_at) < s.ends_at)
         -- all organizations: the schedule is the platform's
         order by s.organization_id, s.id limit $4",
        horizon(now).to_sqlx(),
        after.0.uuid(),
        after.1.uuid(),
        BATCH_MAX,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.organization_id.into(), row.id.into()))
        .collect())
}

/// Extends subscriptions in one transaction. Those that another node has at the moment are left to it.
async fn extend_all(app: &App, keys: &[Key], now: Timestamp) -> Result<()> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, s)| (o.uuid(), s.uuid())).unzip();
    let mut tx = app.db.begin_background(&Actor::system()).await?;
    let rows = sqlx::query!(
        "select s.organization_id, s.id, s.account_id
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join subscriptions s on s.organization_id = k.organization_id and s.id = k.id
         order by s.organization_id, s.id for no key update of s skip locked",
        &organizations,
        &ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    let accounts: Vec<(OrganizationId, AccountId)> = rows
        .iter()
        .map(|row| (row.organization_id.into(), row.account_id.into()))
        .collect();
    rating::lock_accounts(&mut tx, &accounts).await?;
    let held: Vec<Key> = rows
        .iter()
        .map(|row| (row.organization_id.into(), row.id.into()))
        .collect();
    add_periods(&mut tx, &held, now).await?;
    tx.commit().await?;
    // Usage may have waited for its period.
    app.wake.rating.notify_one();
    Ok(())
}

/// Sets the states that follow from times that have come. Charges go by the times, so nothing waits for this.
async fn turn_due(app: &App) -> Result<()> {
    let now = app.clock.now().to_sqlx();
    let mut tx = app.db.begin(&Actor::system()).await?;
    sqlx::query!(
        "update subscriptions set state = 'ended' where (organization_id, id) in (
             select s.organization_id, s.id from subscriptions s where s.state <> 'ended' and s.ends_at <= $1
             -- all organizations: the schedule is the platform's
             order by s.organization_id, s.id for no key update skip locked)",
        now,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update subscriptions set state = 'active' where (organization_id, id) in (
             select s.organization_id, s.id from subscriptions s where s.state = 'trial' and s.trial_ends_at <= $1
             -- all organizations: the schedule is the platform's
             order by s.organization_id, s.id for no key update skip locked)",
        now,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update subscriptions set state = 'paused' where (organization_id, id) in (
             select s.organization_id, s.id from subscription_pauses z
             join subscriptions s on s.organization_id = z.organization_id and s.id = z.subscription_id
             where s.state in ('active', 'canceled') and z.starts_at <= $1 and (z.ends_at is null or z.ends_at > $1)
             -- all organizations: the schedule is the platform's
             order by s.organization_id, s.id for no key update of s skip locked)",
        now,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update subscriptions set state = case when canceled_at is null then 'active' else 'canceled' end where (organization_id, id) in (
             select s.organization_id, s.id from subscriptions s
             where s.state = 'paused' and not exists (select from subscription_pauses z
                 where z.organization_id = s.organization_id and z.subscription_id = s.id
                     and z.starts_at <= $1 and (z.ends_at is null or z.ends_at > $1))
             -- all organizations: the schedule is the platform's
             order by s.organization_id, s.id for no key update skip locked)",
        now,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// A period is made this long before it begins, so that nothing waits for it at midnight.
pub(super) const AHEAD: SignedDuration = SignedDuration::from_hours(24);
