//! Rates the usages of a batch, account by account: pure, given what was loaded.
//!
//! A usage is rated as a whole: its first event with all corrections. What is in force and equal stays; what differs is
//! reversed, to the last digit, and charged anew.

use jiff::Timestamp;
use tollbook_core::money::{Currency, Overflow, Quantity};
use tollbook_core::rating::{ChargePart, NotChargedReason, PartKind, Rated, State, rate, waive};
use tollbook_core::time::Period;

use super::books::{Book, Books};
use super::in_force::{InForce, Known, drawn};
use super::items::Item;
use super::queue::{Refusal, Refusals};
use super::terms::{Prepared, Ready};
use super::unchanged::leave_unchanged;
use crate::costs::Cost;

/// What is to be written of one usage.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) item: &'a Item,
    pub(super) reverse: &'a [InForce],
    pub(super) charge: Vec<ChargePart>,
    pub(super) revision: i32,
    pub(super) currency: String,
}

impl Change<'_> {
    /// Whether there is anything to pay.
    pub(super) fn costs(&self) -> bool {
        let costs = |part: &ChargePart| part.amount.is_some_and(|amount| !amount.is_zero());
        self.charge.iter().any(costs)
    }

    /// Whether there is anything to print.
    pub(super) fn is_printed(&self) -> bool {
        self.charge
            .iter()
            .any(|part| part.kind != PartKind::NotCharged)
    }
}

/// The outcome of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome<'a> {
    pub(super) changes: Vec<Change<'a>>,
    pub(super) refused: Refusals,
    /// Usages that nobody sells to their payer.
    pub(super) unpriced: u64,
}

/// What to do with one usage.
enum Step<'a> {
    Rate(&'a Prepared, Period),
    /// Its price was given with it, and it has not changed since.
    Keep,
    /// Nobody sells it: nothing to charge.
    Unpriced,
    /// The customer is not billed for it.
    Waive(&'a Prepared),
    Refuse(String),
}

/// Rates `items`, in canonical order, on the books of their accounts. What they drew before is taken back first, so
/// that each is rated on what came before it; so is what was taken away of grants since, and what is carried into cycles
/// is seen to in its place among them, up to `now`.
pub(super) fn rate_all<'a>(
    items: &'a [Item],
    terms: &Ready,
    known: &'a Known,
    books: &mut Books,
    now: Timestamp,
) -> Result<Outcome<'a>, Overflow> {
    let known_of = |item: &Item| known.get(&item.key).map(Vec::as_slice).unwrap_or_default();
    let steps: Vec<Step<'_>> = items
        .iter()
        .map(|item| step(item, terms, known_of(item)))
        .collect::<Result<_, _>>()?;
    for (item, step) in items.iter().zip(&steps) {
        if step.takes_back() {
            book(books, item, known_of(item), State::revert)?;
        }
    }
    let rated = items.iter().zip(&steps);
    for (item, _) in rated.filter(|(_, step)| step.takes_back()) {
        let book = books.entry(item.key.account).or_default();
        if book.is_capped() {
            book.reopen(item.occurred_at)?;
        }
    }
    let mut outcome = Outcome::default();
    for (item, step) in items.iter().zip(steps) {
        let refusal = match step {
            Step::Keep => None,
            Step::Unpriced => {
                outcome.unpriced += 1;
                None
            }
            Step::Refuse(why) => Some(why.into()),
            Step::Waive(prepared) => {
                outcome
                    .changes
                    .extend(waived(item, prepared, known_of(item)));
                None
            }
            Step::Rate(prepared, period) => {
                let book = books.entry(item.key.account).or_default();
                book.carry(item.occurred_at)?;
                match rate_one(item, prepared, period, known_of(item), book) {
                    Ok(change) => {
                        outcome.changes.extend(change);
                        None
                    }
                    Err(why) => {
                        // What it was charged stays in force, and so does what it drew.
                        self::book(books, item, known_of(item), State::apply)?;
                        Some(why)
                    }
                }
            }
        };
        if let Some(why) = refusal {
            outcome.refused.insert(item.key, why);
        }
    }
    for book in books.values_mut().filter(|it| it.is_capped()) {
        book.carry(now)?;
    }
    leave_unchanged(&mut outcome.changes)?;
    Ok(outcome)
}

impl Step<'_> {
    /// Whether what a usage drew before is taken back.
    fn takes_back(&self) -> bool {
        match self {
            Step::Rate(..) | Step::Waive(_) => true,
            Step::Keep | Step::Unpriced | Step::Refuse(_) => false,
        }
    }
}

fn step<'a>(item: &Item, terms: &'a Ready, known: &[InForce]) -> Result<Step<'a>, Overflow> {
    if known.iter().any(InForce::is_manual) {
        let mut charged = Quantity::ZERO;
        for charge in known {
            charged = charged.checked_add(charge.quantity)?;
        }
        return Ok(if charged == item.quantity {
            Step::Keep
        } else {
            Step::Refuse("it was priced by hand, so its correction has to be too".into())
        });
    }
    let ready = item.terms.as_ref().and_then(|key| terms.get(key));
    Ok(match (ready, item.period) {
        (None, _) => Step::Unpriced,
        (Some(Err(why)), _) => Step::Refuse(why.clone()),
        (Some(Ok(_)), None) => Step::Refuse("the billing period is not made yet".into()),
        (Some(Ok(prepared)), Some(_)) if item.is_waived => Step::Waive(prepared),
        (Some(Ok(prepared)), Some(period)) => Step::Rate(prepared, period),
    })
}

/// Takes back from an account's book what charges drew, or puts it there.
fn book(
    books: &mut Books,
    item: &Item,
    charges: &[InForce],
    change: impl Fn(&mut State, &Rated) -> Result<(), Overflow>,
) -> Result<(), Overflow> {
    let book = books.entry(item.key.account).or_default();
    for (period_start, rated) in drawn(charges) {
        on(book, period_start, |state| change(state, &rated))?;
    }
    Ok(())
}

/// Does something on the state of an account in one period.
fn on<T>(book: &mut Book, period_start: jiff::Timestamp, act: impl FnOnce(&mut State) -> T) -> T {
    let mut state = State {
        period_start,
        grants: std::mem::take(&mut book.grants),
        tiers: std::mem::take(&mut book.tiers),
    };
    let outcome = act(&mut state);
    (book.grants, book.tiers) = (state.grants, state.tiers);
    outcome
}

fn rate_one<'a>(
    item: &'a Item,
    prepared: &Prepared,
    period: Period,
    known: &'a [InForce],
    book: &mut Book,
) -> Result<Option<Change<'a>>, Refusal> {
    let currency = prepared.terms.currency();
    let rated = on(book, period.start(), |state| -> Result<Rated, Refusal> {
        let wrong = |e: &dyn std::fmt::Display| Refusal::from(e.to_string());
        let rated = rate(&item.usage(currency), &prepared.terms, state).map_err(|e| wrong(&e))?;
        if rated.is_pending() {
            return Err(no_price(item, currency));
        }
        state.apply(&rated).map_err(|e| wrong(&e))?;
        Ok(rated)
    })?;
    if same(item, known, &rated) {
        return Ok(None);
    }
    Ok(Some(change(item, known, currency, rated.parts)))
}

/// Whether a part says that the usage is not billed.
pub(super) fn is_waived(part: &ChargePart) -> bool {
    part.trace.reason == Some(NotChargedReason::Waived)
}

/// What changes of a usage that is not billed.
fn waived<'a>(item: &'a Item, prepared: &Prepared, known: &'a [InForce]) -> Option<Change<'a>> {
    let currency = prepared.terms.currency();
    let rated = waive(&item.usage(currency), &prepared.terms);
    let is_same = same(item, known, &rated);
    (!is_same).then(|| change(item, known, currency, rated.parts))
}

fn change<'a>(
    item: &'a Item,
    known: &'a [InForce],
    currency: Currency,
    charge: Vec<ChargePart>,
) -> Change<'a> {
    Change {
        item,
        reverse: known,
        revision: known.iter().map(|c| c.revision).max().unwrap_or(0) + 1,
        currency: currency.to_string(),
        charge,
    }
}

/// Why a usage cannot be rated on what the provider charges for it.
fn no_price(item: &Item, currency: Currency) -> Refusal {
    match item.cost {
        None => Refusal::from("no provider charges the seller for it by itself".to_owned()),
        Some(Cost::Known {
            currency: other, ..
        }) => Refusal::from(format!(
            "the provider's price is in {other}, and the plan in {currency}"
        )),
        Some(Cost::Pending(cost)) => Refusal {
            why: "the provider's price is not known yet".to_owned(),
            awaits: Some(cost),
        },
    }
}

/// Whether a rating says exactly what is in force.
fn same(item: &Item, known: &[InForce], rated: &Rated) -> bool {
    let same_part = |(before, now): (&InForce, &ChargePart)| {
        before.is_on_terms_of(item)
            && before.part == i32::from(now.part)
            && before.kind == now.kind.as_str()
            && before.price_key == now.price_key
            && before.grant == now.grant_id
            && before.quantity == now.quantity
            && before.is_waived == is_waived(now)
            && Some(before.amount) == now.amount
    };
    known.len() == rated.parts.len() && known.iter().zip(&rated.parts).all(same_part)
}
