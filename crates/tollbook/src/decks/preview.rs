//! What an import would change: in the deck, and in money on the usage of the last thirty days.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, OrganizationId};
use tollbook_core::money::{Currency, Fraction};
use tollbook_core::pricing::{Deck, DeckEntry, changes};
use tollbook_core::rating::{ChargePart, reach};
use tollbook_core::time::Period;
use uuid::Uuid;

use super::again::payers;
use super::import::Import;
use super::read;
use crate::app::App;
use crate::error::{Error, Result};
use crate::rating::{
    self, Compared, ComparedView, On, Reached, Replay, Replayed, too_large, unused_grants,
};
use crate::subscriptions;

/// The usage that is tried.
const DAYS: i64 = 30;
/// Tier totals count over a period before that at most; grants are looked at by themselves.
const PERIOD: SignedDuration = SignedDuration::from_hours(24 * 31);
/// Entries of each list.
const LISTED_MAX: usize = 500;
/// Accounts that are found at a time.
const ACCOUNTS: i64 = 50;
/// Usages that are rated at most, all accounts together.
const USAGES_MAX: usize = 300_000;

/// What an import would change.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Preview {
    pub(crate) deck: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) effective_from: Timestamp,
    pub(crate) entries: usize,
    /// How many there are; at most 500 of each are listed.
    pub(crate) added_count: usize,
    pub(crate) removed_count: usize,
    pub(crate) changed_count: usize,
    #[schema(value_type = Vec<Object>)]
    pub(crate) added: Vec<DeckEntry>,
    #[schema(value_type = Vec<Object>)]
    pub(crate) removed: Vec<DeckEntry>,
    pub(crate) changed: Vec<Changed>,
    pub(crate) usage: UsageView,
}

/// An entry that changes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changed {
    pub(crate) prefix: String,
    #[schema(value_type = Object)]
    pub(crate) before: DeckEntry,
    #[schema(value_type = Object)]
    pub(crate) after: DeckEntry,
}

/// What the usage of the last thirty days would have cost by the deck that is in force, and by the new one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UsageView {
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    /// Calls that it has a price for, or had.
    pub(crate) count: usize,
    /// False: there is more usage than is tried, and the figures are of a part of it.
    pub(crate) is_complete: bool,
    /// Calls that have no price, and would have none.
    pub(crate) unpriced_before: usize,
    pub(crate) unpriced_after: usize,
    pub(crate) totals: Vec<TotalView>,
    /// Those that change most first; at most 500.
    pub(crate) prefixes: Vec<PrefixView>,
}

/// In one currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TotalView {
    pub(crate) currency: String,
    #[serde(flatten)]
    pub(crate) amounts: ComparedView,
}

/// Of the calls to one destination: by whichever prefix each deck has for it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PrefixView {
    pub(crate) prefix: String,
    pub(crate) currency: String,
    #[serde(flatten)]
    pub(crate) amounts: ComparedView,
}

/// What would change if a deck were imported; nothing is written. Who may see the deck was decided by who asks.
pub(crate) async fn preview(
    app: &App,
    actor: &Actor,
    import: &Import<'_>,
    now: Timestamp,
) -> Result<Preview> {
    import.count()?;
    let mut tx = app.db.begin(actor).await?;
    let old = read::whole(&mut tx, import.seller(), import.key, import.effective_from).await?;
    drop(tx);
    let usage = usage(app, import, &old, now).await?;
    let differing = changes(&old, import.deck);
    let listed = |entries: &[&DeckEntry]| {
        let entries = entries.iter().take(LISTED_MAX);
        entries.map(|it| DeckEntry::clone(it)).collect::<Vec<_>>()
    };
    let changed = differing.changed.iter().take(LISTED_MAX);
    Ok(Preview {
        deck: import.key.to_string(),
        effective_from: import.effective_from,
        entries: import.deck.entries().len(),
        added_count: differing.added.len(),
        removed_count: differing.removed.len(),
        changed_count: differing.changed.len(),
        added: listed(&differing.added),
        removed: listed(&differing.removed),
        changed: changed
            .map(|(before, after)| Changed {
                prefix: after.prefix.clone(),
                before: DeckEntry::clone(before),
                after: DeckEntry::clone(after),
            })
            .collect(),
        usage,
    })
}

/// Exact amounts by the old deck and by the new one.
#[derive(Debug, Default, Clone, Copy)]
struct Amounts {
    old: Fraction,
    new: Fraction,
}

/// Which of the two decks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

#[derive(Debug, Default)]
struct Tally {
    by_prefix: BTreeMap<(Currency, String), Amounts>,
    priced: [usize; 2],
    unpriced: [usize; 2],
}

async fn usage(app: &App, import: &Import<'_>, old: &Deck, now: Timestamp) -> Result<UsageView> {
    let from = now
        .checked_sub(SignedDuration::from_hours(24 * DAYS))
        .unwrap_or(Timestamp::MIN);
    let time = Period::new(from, now).map_err(|e| Error::Internal(e.to_string()))?;
    let (old, new) = (Arc::new(old.clone()), Arc::new(import.deck.clone()));
    let mut tally = Tally::default();
    let (mut left, mut is_complete) = (USAGES_MAX, true);
    let mut after = (
        OrganizationId::new(Uuid::nil()),
        AccountId::new(Uuid::nil()),
    );
    'all: loop {
        let mut tx = app.db.begin(&Actor::system()).await?;
        let accounts = payers(&mut tx, import.seller(), import.key, from, after, ACCOUNTS).await?;
        drop(tx);
        let Some(last) = accounts.last() else { break };
        after = *last;
        for (organization, account) in accounts {
            let mut tx = app.db.begin(&Actor::system()).await?;
            let mut replay = base(&mut tx, import, (organization, account), &time).await?;
            drop(tx);
            replay.usages_max = left;
            for (side, deck) in [(Side::Old, &old), (Side::New, &new)] {
                replay.on = On::Deck {
                    seller: import.seller(),
                    key: import.key,
                    deck: Arc::clone(deck),
                };
                let reached =
                    rating::replay(app, &replay, |it| tally.add(&it, side, import)).await?;
                match reached {
                    Reached::End(count) if side == Side::New => left = left.saturating_sub(count),
                    Reached::End(_) => {}
                    Reached::Limit => {
                        is_complete = false;
                        break 'all;
                    }
                }
            }
        }
    }
    tally.view(&time, is_complete)
}

/// How the usage of an account is rated: with what its subscriptions grant, from where nothing is shared with what is told.
async fn base<'a>(
    tx: &mut PgConnection,
    import: &'a Import<'_>,
    (organization, account): (OrganizationId, AccountId),
    time: &Period,
) -> Result<Replay<'a>> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("the time of usage: {e}"));
    let mut grants = Vec::new();
    for contract in subscriptions::overlapping(tx, organization, account, time).await? {
        grants.extend(contract.grants(contract.life.starts_at, time.end())?);
    }
    let since = time.start().checked_sub(PERIOD).unwrap_or(Timestamp::MIN);
    let around = Period::new(since, time.end()).map_err(|e| wrong(&e))?;
    Ok(Replay {
        organization,
        account,
        time: reach(around, &unused_grants(&grants))
            .and_then(|reached| Period::new(reached.start(), time.end()))
            .map_err(|e| wrong(&e))?,
        from: time.start(),
        grants,
        on: On::Deck {
            seller: import.seller(),
            key: import.key,
            deck: Arc::default(),
        },
        usages_max: 0,
    })
}

impl Tally {
    /// A usage by one of the decks; what it has no price for is counted apart.
    fn add(&mut self, usage: &Replayed<'_>, side: Side, import: &Import<'_>) -> Result<()> {
        let index = usize::from(side == Side::New);
        let Ok(parts) = usage.after else {
            if let Some(count) = self.unpriced.get_mut(index) {
                *count = count.saturating_add(1);
            }
            return Ok(());
        };
        let Some((currency, prefix)) = destination(parts, import) else {
            return Ok(());
        };
        if let Some(count) = self.priced.get_mut(index) {
            *count = count.saturating_add(1);
        }
        let amount = Fraction::sum(parts.iter().filter_map(|part| part.amount));
        let amount = amount.map_err(too_large)?;
        let amounts = self.by_prefix.entry((currency, prefix)).or_default();
        let own = match side {
            Side::Old => &mut amounts.old,
            Side::New => &mut amounts.new,
        };
        *own = own.checked_add(amount).map_err(too_large)?;
        Ok(())
    }

    fn view(self, time: &Period, is_complete: bool) -> Result<UsageView> {
        let mut totals: BTreeMap<Currency, Amounts> = BTreeMap::new();
        let mut prefixes = Vec::with_capacity(self.by_prefix.len());
        for ((currency, prefix), amounts) in self.by_prefix {
            let total = totals.entry(currency).or_default();
            let sum = |a: Fraction, b| a.checked_add(b).map_err(too_large);
            (total.old, total.new) = (sum(total.old, amounts.old)?, sum(total.new, amounts.new)?);
            let compared = Compared::new(amounts.old, amounts.new, currency)?;
            prefixes.push((currency, prefix, compared));
        }
        prefixes.sort_by_key(|(.., compared)| std::cmp::Reverse(compared.size()));
        let totals = totals.into_iter().map(|(currency, amounts)| {
            Ok(TotalView {
                currency: currency.to_string(),
                amounts: Compared::new(amounts.old, amounts.new, currency)?.view()?,
            })
        });
        let prefixes = prefixes.into_iter().take(LISTED_MAX);
        let [priced_before, priced_after] = self.priced;
        let [unpriced_before, unpriced_after] = self.unpriced;
        Ok(UsageView {
            from: time.start(),
            to: time.end(),
            count: priced_before.max(priced_after),
            is_complete,
            unpriced_before,
            unpriced_after,
            totals: totals.collect::<Result<_>>()?,
            prefixes: prefixes
                .map(|(currency, prefix, compared)| {
                    Ok(PrefixView {
                        prefix,
                        currency: currency.to_string(),
                        amounts: compared.view()?,
                    })
                })
                .collect::<Result<_>>()?,
        })
    }
}

/// The currency and the prefix of the first part that the deck priced.
fn destination(parts: &[ChargePart], import: &Import<'_>) -> Option<(Currency, String)> {
    parts.iter().find_map(|part| {
        let destination = part.trace.destination.as_ref()?;
        (destination.deck == *import.key).then(|| (part.currency, destination.prefix.clone()))
    })
}
