//! What has to be rated again because something else changed.
//!
//! Usages of an account share allowances and tier totals. Where the order matters they stand in canonical order, so what
//! a corrected usage leaves or takes falls to those after it, and a usage that comes late pushes them on. Where it does
//! not, they stand in the order in which they came, so it may fall to any that shares something with it, earlier ones
//! too. All of these are rated again in canonical order and in the same transaction, so that no account is ever found in
//! between. What comes out as before is not touched.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, OrganizationId, SubscriptionId};
use tollbook_core::rating::reach;
use tollbook_core::time::{Period, TimeError, Zone};
use uuid::Uuid;

use super::books::{self, Book, Books};
use super::in_force::{InForce, Known, charged_between, in_force, latest};
use super::items::{Item, UsageKey, items};
use super::terms::{Prepared, Ready};
use crate::error::{Error, Result};

/// The usages of one billing period and account in a batch that share something with others.
#[derive(Debug)]
struct Group<'a> {
    organization: OrganizationId,
    account: AccountId,
    subscription: Option<SubscriptionId>,
    items: Vec<&'a Item>,
    /// The periods in which they count, and in which they were charged before.
    around: Period,
    /// The order of the usages changes what they cost.
    is_ordered: bool,
    /// Usages on other terms share something with these: then the order matters too.
    is_mixed: bool,
}

/// What has to be rated for a batch beside its own usages.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub(super) keys: Vec<UsageKey>,
    /// Usages on other terms lie between these: they share something with others in turn, for which to look again.
    pub(super) is_mixed: bool,
}

/// Finds everything that has to be rated for `batch` beside its own usages. `books` hold what its periods may draw on, the
/// grants that end after `since`.
pub(super) async fn extend(
    tx: &mut PgConnection,
    batch: &[Item],
    terms: &Ready,
    known: &Known,
    books: &Books,
    since: Timestamp,
) -> Result<Tail> {
    let mut groups = groups(batch, terms, known).map_err(|e| stored(&e))?;
    if groups.is_empty() {
        return Ok(Tail::default());
    }
    find_mixed(tx, &mut groups, books).await?;
    let ordered: Vec<_> = groups
        .iter()
        .filter(|group| group.is_ordered || group.is_mixed)
        .map(|group| (group.organization, group.account))
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let latest = if ordered.is_empty() {
        HashMap::new()
    } else {
        latest(tx, &ordered).await?
    };
    let mut keys: HashSet<UsageKey> = HashSet::new();
    for group in &groups {
        let book = books.get(&group.account);
        if group.disturbs(known, book, latest.get(&group.account).copied()) {
            let again = group.again(tx, book, since).await?;
            let (organization, account) = (group.organization, group.account);
            keys.extend(charged_between(tx, organization, account, again).await?);
        }
    }
    for item in batch {
        keys.remove(&item.key);
    }
    Ok(Tail {
        keys: keys.into_iter().collect(),
        is_mixed: groups.iter().any(|group| group.is_mixed),
    })
}

/// Adds the usages of `keys`, and the charges in force of them, to a batch.
pub(super) async fn load(
    tx: &mut PgConnection,
    keys: &[UsageKey],
    batch: &mut Vec<Item>,
    known: &mut Known,
) -> Result<()> {
    let tail = items(tx, keys).await?;
    known.extend(in_force(tx, &tail).await?);
    batch.extend(tail);
    batch.sort_by_key(|item| (item.occurred_at, item.key.usage, item.key.account));
    Ok(())
}

fn stored(error: &TimeError) -> Error {
    Error::Internal(format!("a stored time: {error}"))
}

fn prepared<'a>(item: &Item, terms: &'a Ready) -> Option<&'a Prepared> {
    terms.get(item.terms.as_ref()?)?.as_deref().ok()
}

/// The usages of a batch that share something, or did when they were charged, by account and billing period.
fn groups<'a>(
    batch: &'a [Item],
    terms: &Ready,
    known: &Known,
) -> Result<Vec<Group<'a>>, TimeError> {
    let mut groups: BTreeMap<(AccountId, Timestamp), Group<'a>> = BTreeMap::new();
    for item in batch {
        let (Some(prepared), Some(period)) = (prepared(item, terms), item.period) else {
            continue;
        };
        let was = known.get(&item.key).map(Vec::as_slice).unwrap_or_default();
        if !prepared.is_shared && !was.iter().any(InForce::is_drawn) {
            continue;
        }
        let group = groups
            .entry((item.key.account, period.start()))
            .or_insert(Group {
                organization: item.key.organization,
                account: item.key.account,
                subscription: item.subscription,
                items: Vec::new(),
                around: period,
                is_ordered: false,
                is_mixed: false,
            });
        let counted = counted(item, period)?;
        group.is_mixed |= counted != period
            || group.subscription != item.subscription
            || was.iter().any(|charge| !charge.is_on_terms_of(item));
        group.is_ordered |= prepared.is_ordered;
        group.around = union(group.around, counted)?;
        for charge in was.iter().filter(|charge| charge.is_drawn()) {
            group.around = union(group.around, charge.period)?;
        }
        group.items.push(item);
    }
    Ok(groups.into_values().collect())
}

/// The time over which tier totals with the start of a usage's period count. A subscription that ends within a month of
/// which it had the first day leaves the rest of it to pay per call, whose periods are months.
fn counted(item: &Item, period: Period) -> Result<Period, TimeError> {
    if item.subscription.is_none() {
        return Ok(period);
    }
    let zone: Zone = item.zone.parse()?;
    let month = zone.month(period.start())?;
    if month.start() == period.start() && month.end() > period.end() {
        Ok(month)
    } else {
        Ok(period)
    }
}

fn union(a: Period, b: Period) -> Result<Period, TimeError> {
    Period::new(a.start().min(b.start()), a.end().max(b.end()))
}

/// Finds out for which groups other terms than their own reach into what they share.
async fn find_mixed(tx: &mut PgConnection, groups: &mut [Group<'_>], books: &Books) -> Result<()> {
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for group in &*groups {
        let grants = books.get(&group.account).map(|book| book.grants.as_slice());
        let reached = reach(group.around, grants.unwrap_or_default()).map_err(|e| stored(&e))?;
        starts.push(group.around.start().to_sqlx());
        ends.push(reached.end().to_sqlx());
    }
    let organizations: Vec<Uuid> = groups.iter().map(|g| g.organization.uuid()).collect();
    let accounts: Vec<Uuid> = groups.iter().map(|g| g.account.uuid()).collect();
    let subscriptions: Vec<Option<Uuid>> = groups
        .iter()
        .map(|g| g.subscription.map(Uuid::from))
        .collect();
    let rows = sqlx::query_file!(
        "src/rating/mixed.sql",
        &organizations,
        &accounts,
        &subscriptions as &[Option<Uuid>],
        &starts,
        &ends,
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let index = usize::try_from(row.position)
            .ok()
            .and_then(|n| n.checked_sub(1));
        if let Some(group) = index.and_then(|index| groups.get_mut(index)) {
            group.is_mixed |= row.is_mixed;
        }
    }
    Ok(())
}

impl Group<'_> {
    /// Whether its usages change what others cost. `latest` is the time of the latest usage that the account was charged
    /// for.
    fn disturbs(&self, known: &Known, book: Option<&Book>, latest: Option<Timestamp>) -> bool {
        let order_matters = self.is_ordered || self.is_mixed;
        self.items.iter().any(|item| match known.get(&item.key) {
            None => order_matters && latest.is_some_and(|latest| latest >= item.occurred_at),
            Some(_) if order_matters => true,
            // As long as something is left of an allowance, nobody was charged for being beyond it.
            Some(was) => was.iter().any(|charge| {
                charge.is_counted || charge.grant.is_some_and(|id| !is_left(book, id))
            }),
        })
    }

    /// The time in which usages have to be rated again.
    async fn again(
        &self,
        tx: &mut PgConnection,
        book: Option<&Book>,
        since: Timestamp,
    ) -> Result<(Timestamp, Timestamp)> {
        let grants = book.map(|book| book.grants.as_slice()).unwrap_or_default();
        let mut reached = reach(self.around, grants).map_err(|e| stored(&e))?;
        if self.is_ordered && !self.is_mixed {
            let first = self.items.iter().map(|item| item.occurred_at).min();
            return Ok((first.unwrap_or(reached.start()), reached.end()));
        }
        let mut since = since;
        while reached.start() < since {
            since = reached.start();
            let account = [(self.organization, self.account)];
            let grants = books::grants(tx, &account, since).await?;
            reached = reach(self.around, &grants).map_err(|e| stored(&e))?;
        }
        Ok((reached.start(), reached.end()))
    }
}

fn is_left(book: Option<&Book>, id: tollbook_core::ids::GrantId) -> bool {
    let mut grants = book.into_iter().flat_map(|book| &book.grants);
    grants.any(|grant| grant.id == id && grant.left().is_ok_and(|left| !left.is_zero()))
}
