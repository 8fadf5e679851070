//! What subscribers would have paid on another plan: their usage is rated again by the code that charges it, with the
//! allowances and base fees of that plan, and nothing is written.

use std::sync::Arc;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId, PlanId, PlanVersionId};
use tollbook_core::money::Fraction;
use tollbook_core::plans::{Document, Kind};
use tollbook_core::rating::{DueGrant, reach};
use tollbook_core::time::Period;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::rating::{self, Compared, On, Reached, Replay, Replayed, too_large, unused_grants};
use crate::subscriptions::{self, Contract, Plan};

/// Payers of one trial.
const PAYERS_MAX: usize = 500;
/// Usages of one payer, those before the time included that share an allowance with it.
const USAGES_MAX: usize = 100_000;
/// Usages of all payers.
const USAGES_OF_ALL_MAX: usize = 500_000;

/// Who is looked at.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Everybody who is on a version of this plan at some time of it.
    SubscribersOf(PlanId),
    /// These customers.
    Customers(Vec<CustomerId>),
}

/// What is tried.
#[derive(Debug)]
pub(super) struct WhatIf {
    /// Whose plan it is: the platform (nil), or an organization.
    pub(super) seller: Uuid,
    pub(super) document: Document,
    pub(super) who: Who,
    pub(super) time: Period,
}

/// What it comes to for one payer.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) organization: OrganizationId,
    pub(super) customer: Option<CustomerId>,
    pub(super) name: String,
    /// Usages that were looked at.
    pub(super) usages: usize,
    /// Those that are not charged yet; they are in what comes after only.
    pub(super) waiting: usize,
    /// Those that the plan could not charge; they are in what was before only.
    pub(super) unpriced: usize,
    /// Why not, of one of them.
    pub(super) why: Option<String>,
    pub(super) fees: Compared,
    pub(super) usage: Compared,
}

/// A payer.
struct Payer {
    organization: OrganizationId,
    account: AccountId,
    customer: Option<CustomerId>,
    name: String,
}

/// Tries a plan. `actor` says which payers may be seen.
pub(super) async fn run(app: &App, actor: &Actor, what_if: &WhatIf) -> Result<Vec<Line>> {
    if what_if.document.kind == Kind::PayPerCall {
        return Err(Error::invalid("kind", "must be `subscription`"));
    }
    let mut tx = app.db.begin(actor).await?;
    let payers = payers(&mut tx, what_if).await?;
    drop(tx);
    let mut left = USAGES_OF_ALL_MAX;
    let mut lines = Vec::with_capacity(payers.len());
    for payer in payers {
        let line = one(app, what_if, payer, left.min(USAGES_MAX)).await?;
        left = left.saturating_sub(line.usages);
        lines.push(line);
    }
    Ok(lines)
}

async fn payers(tx: &mut PgConnection, what_if: &WhatIf) -> Result<Vec<Payer>> {
    let (plan, customers) = match &what_if.who {
        Who::SubscribersOf(plan) => (Some(plan.uuid()), None),
        Who::Customers(ids) => {
            known(tx, what_if.seller, ids).await?;
            let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
            (None, Some(ids))
        }
    };
    let limit = i64::try_from(PAYERS_MAX).unwrap_or(i64::MAX);
    let rows = sqlx::query_file!(
        "src/plans/what_if_payers.sql",
        what_if.seller,
        what_if.time.start().to_sqlx(),
        what_if.time.end().to_sqlx(),
        plan,
        customers.as_deref(),
        limit.saturating_add(1),
    )
    .fetch_all(tx)
    .await?;
    if rows.len() > PAYERS_MAX {
        let message = format!("name at most {PAYERS_MAX}: the plan has more subscribers");
        return Err(Error::invalid("customerIds", message));
    }
    let payers = rows.into_iter().map(|row| Payer {
        organization: row.organization_id.into(),
        account: row.account_id.into(),
        customer: row.customer_id.map(CustomerId::from),
        name: row.name,
    });
    Ok(payers.collect())
}

/// Refuses customers that the seller does not have.
async fn known(tx: &mut PgConnection, seller: Uuid, ids: &[CustomerId]) -> Result<()> {
    if ids.len() > PAYERS_MAX {
        let message = format!("must be at most {PAYERS_MAX}");
        return Err(Error::invalid("customerIds", message));
    }
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let found = sqlx::query_scalar!(
        "select id from customers where organization_id = $1 and id = any ($2)",
        seller,
        &wanted,
    )
    .fetch_all(tx)
    .await?;
    match wanted.iter().position(|id| !found.contains(id)) {
        Some(index) => Err(Error::invalid(
            format!("customerIds[{index}]"),
            "is not a customer",
        )),
        None => Ok(()),
    }
}

/// Exact sums, and what they are of.
#[derive(Default)]
struct Sums {
    before: Fraction,
    after: Fraction,
    usages: usize,
    waiting: usize,
    unpriced: usize,
    why: Option<String>,
}

impl Sums {
    fn add(&mut self, usage: &Replayed<'_>) -> Result<()> {
        self.usages = self.usages.saturating_add(1);
        match usage.before {
            Some(amount) => self.before = sum(self.before, amount)?,
            None => self.waiting = self.waiting.saturating_add(1),
        }
        match usage.after {
            Ok(parts) => {
                for amount in parts.iter().filter_map(|part| part.amount) {
                    self.after = sum(self.after, amount)?;
                }
            }
            Err(why) => {
                self.unpriced = self.unpriced.saturating_add(1);
                self.why.get_or_insert_with(|| why.to_owned());
            }
        }
        Ok(())
    }
}

fn sum(one: Fraction, other: Fraction) -> Result<Fraction> {
    one.checked_add(other).map_err(too_large)
}

/// What a payer is granted and owes in fees, before and after, and from when on usage shares anything with the time.
struct Standing {
    fees_before: Fraction,
    fees_after: Fraction,
    grants: Vec<DueGrant>,
    since: Timestamp,
}

async fn one(app: &App, what_if: &WhatIf, payer: Payer, usages_max: usize) -> Result<Line> {
    let currency = what_if.document.currency;
    let Standing {
        fees_before,
        fees_after,
        grants,
        since,
    } = standing(app, what_if, &payer).await?;
    let time = Period::new(since, what_if.time.end())
        .map_err(|e| Error::Internal(format!("the time of usage: {e}")))?;
    let replay = Replay {
        organization: payer.organization,
        account: payer.account,
        time,
        from: what_if.time.start(),
        grants,
        on: On::Plan {
            seller: what_if.seller,
            document: &what_if.document,
        },
        usages_max,
    };
    let mut sums = Sums::default();
    let reached = rating::replay(app, &replay, |usage| sums.add(&usage)).await?;
    if reached == Reached::Limit {
        let message = format!(
            "must be later: `{}` has more than {usages_max} usages since then, with those that share an allowance with them",
            payer.name
        );
        return Err(Error::invalid("from", message));
    }
    Ok(Line {
        organization: payer.organization,
        customer: payer.customer,
        name: payer.name,
        usages: sums.usages,
        waiting: sums.waiting,
        unpriced: sums.unpriced,
        why: sums.why,
        fees: Compared::new(fees_before, fees_after, currency)?,
        usage: Compared::new(sums.before, sums.after, currency)?,
    })
}

async fn standing(app: &App, what_if: &WhatIf, payer: &Payer) -> Result<Standing> {
    let time = &what_if.time;
    let mut tx = app.db.begin(&Actor::system()).await?;
    let contracts =
        subscriptions::overlapping(&mut tx, payer.organization, payer.account, time).await?;
    let mut standing = Standing {
        fees_before: Fraction::ZERO,
        fees_after: Fraction::ZERO,
        grants: Vec::new(),
        since: time.start(),
    };
    for contract in contracts {
        fits(what_if, payer, &contract)?;
        let charged = subscriptions::fees_charged(&mut tx, &contract, time).await?;
        standing.fees_before = sum(standing.fees_before, charged)?;
        let (seller, version) = (what_if.seller, PlanVersionId::new(Uuid::nil()));
        let document = what_if.document.clone();
        let plan = Plan::new(seller, version, document, contract.schedule.zone())
            .map_err(|e| Error::invalid("document", e.to_string()))?;
        let contract = contract.on(Arc::new(plan));
        standing.fees_after = sum(standing.fees_after, contract.fees_within(time)?)?;
        let starts_at = contract.life.starts_at;
        standing
            .grants
            .extend(contract.grants(starts_at, time.end())?);
        let first = contract.full(time.start().max(starts_at))?.start();
        standing.since = standing.since.min(first.max(starts_at));
    }
    drop(tx);
    let around = Period::new(standing.since, time.end());
    let reached = around.and_then(|around| reach(around, &unused_grants(&standing.grants)));
    let reached = reached.map_err(|e| Error::Internal(format!("the time of usage: {e}")))?;
    standing.since = reached.start();
    Ok(standing)
}

/// Only a plan that a subscription could be changed to can be tried on it.
fn fits(what_if: &WhatIf, payer: &Payer, contract: &Contract) -> Result<()> {
    let own = i64::from(what_if.document.interval_months);
    let months = contract.schedule.interval_months();
    if own != months {
        let name = &payer.name;
        let message =
            format!("is {own}, and the subscription of `{name}` is billed every {months} months");
        return Err(Error::invalid("intervalMonths", message));
    }
    let own = what_if.document.currency;
    if let Some(other) = contract.currencies().find(|it| *it != own) {
        let name = &payer.name;
        let message = format!("is {own}, and the subscription of `{name}` is in {other}");
        return Err(Error::invalid("currency", message));
    }
    Ok(())
}
