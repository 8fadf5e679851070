//! What a batch used up: allowances and caps, as far as people may have to be told.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::AccountId;
use tollbook_core::money::{Fraction, Overflow, Quantity};
use tollbook_core::plans::Key;
use tollbook_core::time::Period;

use super::books::{Book, Books};
use super::items::Item;
use super::terms::Ready;
use crate::error::{Error, Result};
use crate::limits::{self, Allowance, Total};

/// A batch, with the books of its accounts before and after.
pub(super) struct Passed<'a> {
    pub(super) batch: &'a [Item],
    pub(super) terms: &'a Ready,
    pub(super) before: &'a Books,
    pub(super) after: &'a Books,
}

/// What is there of an allowance, and how much of it was used.
#[derive(Debug, Clone, Copy)]
struct Use {
    period_start: Timestamp,
    granted: Quantity,
    used: Quantity,
}

impl Passed<'_> {
    /// Tells of the thresholds that were passed.
    pub(super) async fn tell(
        &self,
        tx: &mut PgConnection,
        totals: &[Total],
        now: Timestamp,
    ) -> Result<()> {
        let allowances = self.allowances(now).map_err(|e| {
            Error::Internal(format!(
                "what was used of an allowance cannot be added up: {e}"
            ))
        })?;
        let cap_of = |total: &Total| self.cap_of(total);
        limits::tell(tx, &allowances, totals, cap_of, now).await
    }

    /// The cap of the plan that the latest usage of a total was charged on.
    fn cap_of(&self, total: &Total) -> Option<Fraction> {
        let is_of = |item: &&Item| {
            let period = item.period.as_ref().map(Period::start);
            item.key.account == total.account && period == Some(total.period_start)
        };
        let item = self.batch.iter().rev().find(is_of)?;
        let prepared = self.terms.get(item.terms.as_ref()?)?.as_ref().ok()?;
        let (amount, _) = prepared.cap?;
        (amount.currency() == total.currency).then(|| amount.to_fraction())
    }

    fn allowances(&self, now: Timestamp) -> Result<Vec<Allowance>, Overflow> {
        let of: HashMap<AccountId, &Item> = self
            .batch
            .iter()
            .map(|item| (item.key.account, item))
            .collect();
        let nothing = Book::default();
        let mut allowances = Vec::new();
        for (account, book) in self.after {
            let Some(item) = of.get(account) else {
                continue;
            };
            let before = in_use(self.before.get(account).unwrap_or(&nothing), now)?;
            for (key, after) in in_use(book, now)? {
                let used = before.get(key).map_or(Quantity::ZERO, |it| it.used);
                allowances.push(Allowance {
                    organization: item.key.organization,
                    account: *account,
                    customer: item.customer,
                    key: key.as_str().to_owned(),
                    period_start: after.period_start,
                    granted: after.granted,
                    before: used,
                    after: after.used,
                });
            }
        }
        Ok(allowances)
    }
}

/// The grants of an account that are in force, added up by allowance. The cycle is the one that began last.
fn in_use(book: &Book, now: Timestamp) -> Result<BTreeMap<&Key, Use>, Overflow> {
    let mut uses: BTreeMap<&Key, Use> = BTreeMap::new();
    let in_force = book.grants.iter();
    for grant in in_force.filter(|it| it.starts_at <= now && now < it.expires_at) {
        let sum = uses.entry(&grant.allowance_key).or_insert(Use {
            period_start: grant.starts_at,
            granted: Quantity::ZERO,
            used: Quantity::ZERO,
        });
        sum.period_start = sum.period_start.max(grant.starts_at);
        sum.granted = sum
            .granted
            .checked_add(grant.granted)?
            .checked_sub(grant.forfeited)?;
        sum.used = sum.used.checked_add(grant.used)?;
    }
    Ok(uses)
}
