//! Caps of rollover: when a cycle begins, what is left of older grants beyond the cap is taken away.
//!
//! How much that is depends on all usage before, so it belongs into the order in which usage is rated: whoever rates a
//! usage sees to the cycles that have begun by then first, and usage that comes late opens those behind it again. A cycle
//! that begins with no usage to rate is seen to by the schedule.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, GrantId, OrganizationId};
use tollbook_core::money::{Overflow, Quantity};
use tollbook_core::plans::Key;
use tollbook_core::rating::carried_beyond;
use uuid::Uuid;

use super::books::{self, Book, Books};
use super::queue::lock_accounts;
use crate::app::App;
use crate::error::{Error, Result};

/// Grants that are seen to in one transaction.
const BATCH_MAX: i64 = 400;

/// A cycle that begins with at most so much of older grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cap {
    pub(super) key: Key,
    pub(super) at: Timestamp,
    pub(super) max: Quantity,
}

/// What was taken away of a grant when a cycle began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forfeited {
    pub(super) grant: GrantId,
    pub(super) at: Timestamp,
    pub(super) quantity: Quantity,
}

impl Book {
    /// Whether anything of it is carried over up to a cap.
    pub(super) fn is_capped(&self) -> bool {
        !self.caps.is_empty()
    }

    /// Gives back what was taken away after `at`: usage from then on is rated again.
    pub(super) fn reopen(&mut self, at: Timestamp) -> Result<(), Overflow> {
        for forfeited in self.forfeits.iter().filter(|it| at < it.at) {
            let own = |grant: &&mut tollbook_core::rating::Grant| grant.id == forfeited.grant;
            if let Some(grant) = self.grants.iter_mut().find(own) {
                grant.forfeited = grant.forfeited.checked_sub(forfeited.quantity)?;
            }
        }
        self.forfeits.retain(|it| it.at <= at);
        self.carried_until = None;
        Ok(())
    }

    /// Sees to the cycles that have begun by `at`, in order. To see to one again changes nothing, as long as nothing
    /// before it does.
    pub(super) fn carry(&mut self, at: Timestamp) -> Result<(), Overflow> {
        let after = self.carried_until.unwrap_or(Timestamp::MIN);
        if at <= after {
            return Ok(());
        }
        let begun = self
            .caps
            .iter()
            .filter(|cap| after < cap.at && cap.at <= at);
        for cap in begun {
            for forfeit in carried_beyond(&cap.key, cap.max, &self.grants, cap.at)? {
                let own = |grant: &&mut tollbook_core::rating::Grant| grant.id == forfeit.grant_id;
                if let Some(grant) = self.grants.iter_mut().find(own) {
                    grant.forfeited = grant.forfeited.checked_add(forfeit.quantity)?;
                }
                self.forfeits.push(Forfeited {
                    grant: forfeit.grant_id,
                    at: cap.at,
                    quantity: forfeit.quantity,
                });
            }
        }
        self.carried_until = Some(at);
        Ok(())
    }
}

/// Sees to the cycles that have begun and that nobody has seen to.
pub(crate) async fn carry_due(app: &App) -> Result<()> {
    let now = app.clock.now();
    loop {
        let mut tx = app.db.begin_background(&Actor::system()).await?;
        let rows = sqlx::query!(
            "select g.organization_id, g.account_id, g.starts_at from allowance_grants g
             where g.carried_max is not null and g.carried_at is null and g.starts_at <= $1
             -- all organizations: the schedule is the platform's
             order by g.starts_at limit $2",
            now.to_sqlx(),
            BATCH_MAX,
        )
        .fetch_all(&mut *tx)
        .await?;
        let Some(since) = rows.first().map(|row| row.starts_at.to_jiff()) else {
            return Ok(());
        };
        let mut accounts: Vec<(OrganizationId, AccountId)> = rows
            .iter()
            .map(|row| (row.organization_id.into(), row.account_id.into()))
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        lock_accounts(&mut tx, &accounts).await?;
        let mut books = books::load(&mut tx, &accounts, since, Timestamp::MAX).await?;
        let before = books.clone();
        for book in books.values_mut() {
            book.carry(now)
                .map_err(|e| Error::Internal(format!("what is carried over: {e}")))?;
        }
        let organizations = accounts.iter().map(|(o, a)| (*a, *o)).collect();
        books::write(&mut tx, &organizations, &books, &before).await?;
        seen_to(&mut tx, &accounts, now).await?;
        tx.commit().await?;
    }
}

async fn seen_to(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
    now: Timestamp,
) -> Result<()> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        accounts.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    sqlx::query!(
        "update allowance_grants g set carried_at = $3
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         where g.organization_id = k.organization_id and g.account_id = k.id
             and g.carried_max is not null and g.carried_at is null and g.starts_at <= $3",
        &organizations,
        &ids,
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What was taken away of these grants.
pub(super) async fn load(
    tx: &mut PgConnection,
    grants: &[(OrganizationId, GrantId)],
) -> Result<Vec<Forfeited>> {
    let (organizations, ids) = columns(grants);
    let rows = sqlx::query!(
        "select f.grant_id, f.at, f.quantity
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join allowance_forfeits f on f.organization_id = k.organization_id and f.grant_id = k.id
         order by f.at, f.grant_id",
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let quantity = Quantity::try_from(row.quantity);
            Ok(Forfeited {
                grant: row.grant_id.into(),
                at: row.at.to_jiff(),
                quantity: quantity
                    .map_err(|e| Error::Internal(format!("a stored quantity: {e}")))?,
            })
        })
        .collect()
}

fn columns(grants: &[(OrganizationId, GrantId)]) -> (Vec<Uuid>, Vec<Uuid>) {
    grants.iter().map(|(o, id)| (o.uuid(), id.uuid())).unzip()
}

/// Writes what changed of what was taken away.
pub(super) async fn write(
    tx: &mut PgConnection,
    organizations: &HashMap<AccountId, OrganizationId>,
    books: &Books,
    before: &Books,
) -> Result<()> {
    let nothing = Book::default();
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for (account, book) in books {
        let Some(organization) = organizations.get(account) else {
            continue;
        };
        let old = before.get(account).unwrap_or(&nothing);
        let is_gone = |it: &&Forfeited| !book.forfeits.contains(it);
        gone.extend(
            old.forfeits
                .iter()
                .filter(is_gone)
                .map(|it| (*organization, it)),
        );
        let is_new = |it: &&Forfeited| !old.forfeits.contains(it);
        new.extend(
            book.forfeits
                .iter()
                .filter(is_new)
                .map(|it| (*organization, it)),
        );
    }
    delete(tx, &gone).await?;
    insert(tx, &new).await
}

async fn delete(tx: &mut PgConnection, gone: &[(OrganizationId, &Forfeited)]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = gone.iter().map(|(o, it)| (*o, it.grant)).collect();
    let (organizations, grants) = columns(&keys);
    let times: Vec<_> = gone.iter().map(|(_, it)| it.at.to_sqlx()).collect();
    sqlx::query!(
        "delete from allowance_forfeits f using unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as k (organization_id, grant_id, at)
         where f.organization_id = k.organization_id and f.grant_id = k.grant_id and f.at = k.at",
        &organizations,
        &grants,
        &times,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert(tx: &mut PgConnection, new: &[(OrganizationId, &Forfeited)]) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = new.iter().map(|(o, it)| (*o, it.grant)).collect();
    let (organizations, grants) = columns(&keys);
    let times: Vec<_> = new.iter().map(|(_, it)| it.at.to_sqlx()).collect();
    let quantities: Vec<_> = new.iter().map(|(_, it)| it.quantity.to_decimal()).collect();
    sqlx::query!(
        "insert into allowance_forfeits (organization_id, grant_id, at, quantity)
         select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::numeric[]) as k order by 1, 2, 3",
        &organizations,
        &grants,
        &times,
        &quantities,
    )
    .execute(tx)
    .await?;
    Ok(())
}
