//! Rates the usages of a batch, account by account: pure, given what was loaded.
//!
//! A usage is rated as a whole: its first event with all corrections. What is in force and equal stays; what differs is
//! reversed, to the last digit, and charged anew.

use std::collections::HashMap;
use std::sync::Arc;

use tollbook_core::ids::{AccountId, GrantId, UsageEventId};
use tollbook_core::money::Quantity;
use tollbook_core::plans::Key;
use tollbook_core::rating::{
    ChargePart, Grant, GrantDraw, ProviderCost, Rated, State, Terms, TierDelta, TierTotal, Usage,
    rate,
};

use super::load::{InForce, Item};
use super::terms::TermsKey;

/// What an account has used, over all of its periods.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) grants: Vec<Grant>,
    pub(super) tiers: Vec<TierTotal>,
}

/// What is to be written of one usage.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) item: &'a Item,
    pub(super) reverse: Vec<InForce>,
    pub(super) charge: Vec<ChargePart>,
    pub(super) revision: i32,
    pub(super) currency: String,
}

impl Change<'_> {
    /// Whether there is anything to pay.
    pub(super) fn costs(&self) -> bool {
        self.charge
            .iter()
            .any(|part| part.amount.is_some_and(|amount| !amount.is_zero()))
    }
}

/// Why a usage was not rated; it stays in the queue, visible.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) usage: UsageEventId,
    pub(super) account: AccountId,
    pub(super) why: String,
}

/// The outcome of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome<'a> {
    pub(super) changes: Vec<Change<'a>>,
    pub(super) refused: Vec<Refused>,
}

/// Rates `items`, in canonical order, on the books of their accounts.
pub(super) fn rate_all<'a>(
    items: &'a [Item],
    terms: &HashMap<TermsKey, Arc<Terms>>,
    in_force: &HashMap<(UsageEventId, AccountId), Vec<InForce>>,
    books: &mut HashMap<AccountId, Book>,
) -> Outcome<'a> {
    let mut outcome = Outcome::default();
    for item in items {
        // Nobody sells it: nothing to charge.
        let Some(terms) = item.terms.as_ref().and_then(|key| terms.get(key)) else {
            continue;
        };
        let known = in_force
            .get(&(item.usage, item.account))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let book = books.entry(item.account).or_default();
        match rate_one(item, terms, known, book) {
            Ok(Some(change)) => outcome.changes.push(change),
            Ok(None) => {}
            Err(why) => outcome.refused.push(Refused {
                usage: item.usage,
                account: item.account,
                why,
            }),
        }
    }
    outcome
}

fn rate_one<'a>(
    item: &'a Item,
    terms: &Terms,
    known: &[InForce],
    book: &mut Book,
) -> Result<Option<Change<'a>>, String> {
    let period_start = item
        .contract
        .map_or_else(|| month_start(item), |contract| contract.starts_at);
    let mut state = State {
        period_start,
        grants: book.grants.clone(),
        tiers: book.tiers.clone(),
    };
    for (period_start, before) in drawn_before(known, &state) {
        state.period_start = period_start;
        state.revert(&before).map_err(|e| e.to_string())?;
    }
    state.period_start = period_start;
    let rated = rate(&usage(item), terms, &state).map_err(|e| e.to_string())?;
    if rated.is_pending() {
        return Err("the provider's price is not known yet".into());
    }
    if same(known, &rated) {
        return Ok(None);
    }
    state.apply(&rated).map_err(|e| e.to_string())?;
    (book.grants, book.tiers) = (state.grants, state.tiers);
    Ok(Some(Change {
        item,
        reverse: known.to_vec(),
        revision: known.iter().map(|c| c.revision).max().unwrap_or(0) + 1,
        currency: terms.currency().to_string(),
        charge: rated.parts,
    }))
}

/// Without a subscription, tiers count by calendar month.
fn month_start(item: &Item) -> jiff::Timestamp {
    let zone: Result<tollbook_core::time::Zone, _> = item.zone.parse();
    zone.ok()
        .and_then(|zone| zone.month(item.occurred_at).ok())
        .map_or(item.occurred_at, |month| month.start())
}

fn usage(item: &Item) -> Usage {
    let is_time =
        item.meter.built_in() == Some(tollbook_core::metering::BuiltInMeter::CallDurationSeconds);
    Usage {
        id: item.usage,
        meter: item.meter.clone(),
        quantity: item.quantity,
        occurred_at: item.began_at,
        is_time,
        direction: item.direction,
        destination: item.destination.clone(),
        provider_cost: ProviderCost::Pending,
    }
}

/// What charges in force drew from grants and counted under tiers, by period.
fn drawn_before(known: &[InForce], state: &State) -> HashMap<jiff::Timestamp, Rated> {
    let mut before: HashMap<jiff::Timestamp, Rated> = HashMap::new();
    for charge in known {
        let rated = before.entry(charge.period_start).or_default();
        if let Some(grant_id) = charge.grant {
            rated.grant_draws.push(GrantDraw {
                grant_id,
                quantity: charge.quantity,
            });
        }
        let key = charge
            .price_key
            .as_deref()
            .and_then(|key| Key::from_stored(key).ok());
        let is_counted = matches!(charge.kind.as_str(), "usage" | "overage");
        if let Some(price_key) = key.filter(|_| is_counted)
            && state
                .tiers
                .iter()
                .any(|t| t.price_key == price_key && t.period_start == charge.period_start)
        {
            rated.tier_deltas.push(TierDelta {
                price_key,
                quantity: charge.quantity,
            });
        }
    }
    before
}

/// Whether a rating says exactly what is in force.
fn same(known: &[InForce], rated: &Rated) -> bool {
    type Said<'a> = (
        i32,
        String,
        Option<&'a str>,
        Option<GrantId>,
        Quantity,
        Option<tollbook_core::money::Fraction>,
    );
    let known: Vec<Said<'_>> = known
        .iter()
        .map(|c| {
            (
                c.part,
                c.kind.clone(),
                c.price_key.as_deref(),
                c.grant,
                c.quantity,
                Some(c.amount),
            )
        })
        .collect();
    let rated: Vec<Said<'_>> = rated
        .parts
        .iter()
        .map(|p| {
            (
                i32::from(p.part),
                p.kind.to_string(),
                p.price_key.as_ref().map(Key::as_str),
                p.grant_id,
                p.quantity,
                p.amount,
            )
        })
        .collect();
    known == rated
}
