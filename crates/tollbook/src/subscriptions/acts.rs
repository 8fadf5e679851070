//! What people do to a subscription: cancel it, pause it, take either back, renew it or not, move it to another plan.
//!
//! An act writes times; from these follow fees, grants, the terms of usage and states. So an act for a later time needs
//! nobody to carry it out, and taking it back before then leaves nothing.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, PlanVersionId, SegmentId, SubscriptionId};
use tollbook_core::money::Currency;
use tollbook_core::subscriptions::{Event, State, transition};
use uuid::Uuid;

use super::contract::{self, Contract};
use super::correct::correct;
use super::moment::Moment;
use super::periods::add_periods;
use super::subscribe::offered;
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;
use crate::rating;

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// It ends: at once, or later.
    Cancel { at: Moment },
    /// It pauses, until it is resumed or until a time.
    Pause { at: Moment, until: Option<Moment> },
    /// A cancellation is taken back, or a pause ends, or does not begin.
    Resume { at: Moment },
    /// Whether it goes on when its period ends.
    Renew { auto_renew: bool },
    /// It goes on with another plan version of the same seller.
    Change { at: Moment, version: PlanVersionId },
}

impl Act {
    /// As it stands in the audit log.
    pub(super) fn deed(&self) -> &'static str {
        match self {
            Self::Cancel { .. } => "subscription.canceled",
            Self::Pause { .. } => "subscription.paused",
            Self::Resume { .. } => "subscription.resumed",
            Self::Renew { .. } => "subscription.renewal_set",
            Self::Change { .. } => "subscription.plan_changed",
        }
    }
}

/// Does it: writes what changes in the subscription's history, and puts right what follows from it.
pub(super) async fn perform(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: SubscriptionId,
    act: &Act,
    now: Timestamp,
) -> Result<Contract> {
    let contract = lock(tx, organization, id).await?;
    if contract.life.starts_at > now {
        return Err(Error::conflict(
            "not_started",
            "the subscription has not started yet",
        ));
    }
    let since = match *act {
        Act::Cancel { at } => cancel(tx, &contract, at, now).await?,
        Act::Pause { at, until } => pause(tx, &contract, at, until, now).await?,
        Act::Resume { at } => resume(tx, &contract, at, now).await?,
        Act::Renew { auto_renew } => renew(tx, &contract, auto_renew, now).await?,
        Act::Change { at, version } => change(tx, &contract, at, version, now).await?,
    };
    add_periods(tx, &[(organization, id)], now).await?;
    let contract = correct(tx, organization, id, since, now).await?;
    sqlx::query!(
        "update subscriptions set state = $3 where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
        contract.life.state_at(now).as_str(),
    )
    .execute(tx)
    .await?;
    Ok(contract)
}

/// The subscription, locked with its account.
async fn lock(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: SubscriptionId,
) -> Result<Contract> {
    let account = sqlx::query_scalar!(
        "select account_id from subscriptions where organization_id = $1 and id = $2 for no key update",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let account = account.ok_or(Error::NotFound("subscription"))?;
    rating::lock_accounts(tx, &[(organization, account.into())]).await?;
    let contracts = contract::load(tx, &[(organization, id)]).await?;
    let contract = contracts.into_iter().next();
    contract.ok_or(Error::NotFound("subscription"))
}

/// The rules of states decide whether something can happen.
fn allow(state: State, event: Event) -> Result<()> {
    transition(state, event)
        .map(drop)
        .map_err(|error| Error::conflict("subscription_state", error.to_string()))
}

async fn cancel(
    tx: &mut PgConnection,
    contract: &Contract,
    at: Moment,
    now: Timestamp,
) -> Result<Timestamp> {
    let at = at.resolve("at", contract, now)?;
    let event = if at <= now {
        Event::End
    } else {
        Event::CancelAtEnd
    };
    allow(contract.life.state_at(now), event)?;
    allow(contract.life.state_at(at), event)?;
    set_end(tx, contract, Some(at), Some(now), contract.auto_renew).await?;
    Ok(at)
}

async fn set_end(
    tx: &mut PgConnection,
    contract: &Contract,
    ends_at: Option<Timestamp>,
    canceled_at: Option<Timestamp>,
    auto_renew: bool,
) -> Result<()> {
    let time = |at: Option<Timestamp>| at.map(jiff_sqlx::ToSqlx::to_sqlx);
    sqlx::query!(
        "update subscriptions set ends_at = $3, canceled_at = $4, auto_renew = $5 where organization_id = $1 and id = $2",
        contract.organization.uuid(),
        contract.id.uuid(),
        time(ends_at) as Option<jiff_sqlx::Timestamp>,
        time(canceled_at) as Option<jiff_sqlx::Timestamp>,
        auto_renew,
    )
    .execute(tx)
    .await
    .on_constraint("subscriptions_account_id_excl", || {
        Error::conflict("already_subscribed", "another subscription begins when it would have ended")
    })?;
    Ok(())
}

async fn pause(
    tx: &mut PgConnection,
    contract: &Contract,
    at: Moment,
    until: Option<Moment>,
    now: Timestamp,
) -> Result<Timestamp> {
    let at = at.resolve("at", contract, now)?;
    let until = until
        .map(|until| until.resolve("until", contract, now))
        .transpose()?;
    allow(contract.life.state_at(at), Event::Pause)?;
    let end = contract.life.ends_at;
    if until.is_some_and(|until| until <= at || end.is_some_and(|end| end < until)) {
        let message = "must be after the start of the pause, and not after the end";
        return Err(Error::invalid("until", message));
    }
    let id: Uuid = new_id();
    sqlx::query!(
        "insert into subscription_pauses (organization_id, id, subscription_id, starts_at, ends_at) values ($1, $2, $3, $4, $5)",
        contract.organization.uuid(),
        id,
        contract.id.uuid(),
        at.to_sqlx(),
        until.map(jiff_sqlx::ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
    )
    .execute(tx)
    .await
    .on_constraint("subscription_pauses_subscription_id_excl", || {
        Error::conflict("already_paused", "there is a pause at that time already")
    })?;
    Ok(at)
}

async fn resume(
    tx: &mut PgConnection,
    contract: &Contract,
    at: Moment,
    now: Timestamp,
) -> Result<Timestamp> {
    let life = &contract.life;
    let state = life.state_at(now);
    if state == State::Canceled {
        allow(state, Event::Resume)?;
        set_end(tx, contract, None, None, true).await?;
        return Ok(now);
    }
    let at = at.resolve("at", contract, now)?;
    let (organization, id) = (contract.organization.uuid(), contract.id.uuid());
    if let Some(pause) = life.pauses.iter().find(|pause| pause.contains(at)) {
        allow(life.state_at(at), Event::Resume)?;
        let starts_at = pause.starts_at.to_sqlx();
        if pause.starts_at == at {
            forget_pause(tx, contract, pause.starts_at).await?;
            return Ok(at);
        }
        sqlx::query!(
            "update subscription_pauses set ends_at = $4 where organization_id = $1 and subscription_id = $2 and starts_at = $3",
            organization,
            id,
            starts_at,
            at.to_sqlx(),
        )
        .execute(tx)
        .await?;
        return Ok(at);
    }
    if let Some(next) = life.pauses.iter().find(|pause| at < pause.starts_at) {
        forget_pause(tx, contract, next.starts_at).await?;
        return Ok(next.starts_at);
    }
    allow(life.state_at(at), Event::Resume)?;
    Ok(at)
}

/// Takes back a pause that has not begun.
async fn forget_pause(
    tx: &mut PgConnection,
    contract: &Contract,
    starts_at: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "delete from subscription_pauses where organization_id = $1 and subscription_id = $2 and starts_at = $3",
        contract.organization.uuid(),
        contract.id.uuid(),
        starts_at.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn renew(
    tx: &mut PgConnection,
    contract: &Contract,
    auto_renew: bool,
    now: Timestamp,
) -> Result<Timestamp> {
    let state = contract.life.state_at(now);
    let ends_at = if auto_renew {
        allow(state, Event::Renew)?;
        None
    } else {
        allow(state, Event::CancelAtEnd)?;
        let known = contract.life.ends_at.filter(|_| !contract.auto_renew);
        Some(known.unwrap_or(contract.current(now)?.end()))
    };
    set_end(tx, contract, ends_at, None, auto_renew).await?;
    Ok(now)
}

async fn change(
    tx: &mut PgConnection,
    contract: &Contract,
    at: Moment,
    version: PlanVersionId,
    now: Timestamp,
) -> Result<Timestamp> {
    let at = at.resolve("at", contract, now)?;
    let state = contract.life.state_at(at);
    if state == State::Ended {
        return Err(Error::conflict(
            "subscription_state",
            "the subscription has ended by then",
        ));
    }
    let plan = contract.plan_at(at);
    let plan = plan.ok_or_else(|| Error::Internal("a subscription is on no plan".into()))?;
    check_offer(tx, contract, plan.seller, version).await?;
    let (organization, id) = (contract.organization.uuid(), contract.id.uuid());
    // What was to come later does not come.
    let forgotten = sqlx::query!(
        "delete from subscription_segments where organization_id = $1 and subscription_id = $2 and starts_at >= $3",
        organization,
        id,
        at.to_sqlx(),
    )
    .execute(&mut *tx)
    .await?;
    if plan.version == version {
        if forgotten.rows_affected() == 0 {
            return Err(Error::conflict(
                "same_plan",
                "the subscription is on this version of the plan already",
            ));
        }
        set_segment_end(tx, contract, at, None).await?;
        return Ok(at);
    }
    set_segment_end(tx, contract, at, Some(at)).await?;
    let segment: SegmentId = new_id();
    sqlx::query!(
        "insert into subscription_segments (organization_id, id, subscription_id, seller_id, plan_version_id, prev_end, starts_at)
         values ($1, $2, $3, $4, $5, $6, $6)",
        organization,
        segment.uuid(),
        id,
        plan.seller,
        version.uuid(),
        at.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(at)
}

/// Sets when the segment ends that is in force just before `at`; `None`: it is open.
async fn set_segment_end(
    tx: &mut PgConnection,
    contract: &Contract,
    at: Timestamp,
    ends_at: Option<Timestamp>,
) -> Result<()> {
    sqlx::query!(
        "update subscription_segments set ends_at = coalesce($4, 'infinity'::timestamptz)
         where organization_id = $1 and subscription_id = $2 and starts_at < $3 and ends_at >= $3",
        contract.organization.uuid(),
        contract.id.uuid(),
        at.to_sqlx(),
        ends_at.map(jiff_sqlx::ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A plan fits if it bills as often, in the same currency: a change cuts no period and makes no second document.
async fn check_offer(
    tx: &mut PgConnection,
    contract: &Contract,
    seller: Uuid,
    version: PlanVersionId,
) -> Result<()> {
    let offered = offered(tx, seller, version).await?;
    let months = contract.schedule.interval_months();
    if offered.interval_months != months {
        let own = offered.interval_months;
        return Err(Error::invalid(
            "planId",
            format!("is billed every {own} months, and the subscription every {months}"),
        ));
    }
    let plans = contract.plans.iter().map(|it| it.terms.document.currency);
    if let Some(currency) = plans.map(Currency::code).find(|it| *it != offered.currency) {
        let own = offered.currency;
        return Err(Error::invalid(
            "planId",
            format!("is sold in {own}, and the subscription in {currency}"),
        ));
    }
    Ok(())
}
