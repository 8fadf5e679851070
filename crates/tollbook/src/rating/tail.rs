//! What has to be rated again because something earlier changed.
//!
//! Usages of an account share allowances and tier totals. When one of them is corrected, what it leaves or takes falls
//! to those after it; where the order decides which of them the allowance covers, a usage that arrives after a later
//! one does the same. Then everything from the earliest such usage on is rated again, in canonical order and in the
//! same transaction, so that no account is ever found in between. What comes out as before is not touched.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, OrganizationId};

use super::in_force::{Known, charged_between, in_force, latest};
use super::items::{Item, UsageKey, items};
use super::terms::{Prepared, Ready};
use crate::error::Result;

/// From when on an account is rated again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tail {
    organization: OrganizationId,
    from: Timestamp,
    /// `None`: to the end.
    until: Option<Timestamp>,
}

/// The keys of everything that has to be rated for `batch`: its own usages, and the tails behind them.
pub(super) async fn extend(
    tx: &mut PgConnection,
    batch: &[Item],
    terms: &Ready,
    known: &Known,
) -> Result<Vec<UsageKey>> {
    let ordered: Vec<(OrganizationId, AccountId)> = batch
        .iter()
        .filter(|item| prepared(item, terms).is_some_and(|p| p.is_ordered))
        .map(|item| (item.key.organization, item.key.account))
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let latest = if ordered.is_empty() {
        HashMap::new()
    } else {
        latest(tx, &ordered).await?
    };
    let mut keys: HashSet<UsageKey> = HashSet::new();
    for (account, tail) in tails(batch, terms, known, &latest) {
        let charged = charged_between(tx, tail.organization, account, tail.from, tail.until);
        keys.extend(charged.await?);
    }
    for item in batch {
        keys.remove(&item.key);
    }
    Ok(keys.into_iter().collect())
}

/// Adds the usages of `keys`, and the charges in force of them, to a batch.
pub(super) async fn load(
    tx: &mut PgConnection,
    keys: &[UsageKey],
    batch: &mut Vec<Item>,
    known: &mut Known,
) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let tail = items(tx, keys).await?;
    known.extend(in_force(tx, &tail).await?);
    batch.extend(tail);
    batch.sort_by_key(|item| (item.occurred_at, item.key.usage, item.key.account));
    Ok(())
}

fn prepared<'a>(item: &Item, terms: &'a Ready) -> Option<&'a Prepared> {
    terms.get(item.terms.as_ref()?)?.as_deref().ok()
}

/// The accounts that are rated again, by what is rated now, what was charged of it before, and the latest charge.
fn tails(
    batch: &[Item],
    terms: &Ready,
    known: &Known,
    latest: &HashMap<AccountId, Timestamp>,
) -> HashMap<AccountId, Tail> {
    let mut earliest: HashMap<AccountId, Timestamp> = HashMap::new();
    for item in batch {
        let at = earliest.entry(item.key.account).or_insert(item.occurred_at);
        *at = (*at).min(item.occurred_at);
    }
    let mut tails: HashMap<AccountId, Tail> = HashMap::new();
    for item in batch {
        let Some(prepared) = prepared(item, terms) else {
            continue;
        };
        let is_corrected = prepared.is_shared && known.contains_key(&item.key);
        let is_late = prepared.is_ordered
            && latest
                .get(&item.key.account)
                .is_some_and(|latest| *latest >= item.occurred_at);
        if !is_corrected && !is_late {
            continue;
        }
        let until = item
            .period
            .filter(|_| !prepared.is_carried)
            .map(|period| period.end());
        let from = earliest
            .get(&item.key.account)
            .copied()
            .unwrap_or(item.occurred_at);
        let tail = tails.entry(item.key.account).or_insert(Tail {
            organization: item.key.organization,
            from,
            until,
        });
        tail.until = tail.until.zip(until).map(|(a, b)| a.max(b));
    }
    tails
}
