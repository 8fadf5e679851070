//! Documents, wallets and the ledger: what is printed can be recomputed from its explanation, and nothing is lost.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tollbook_core::ids::{CustomerId, WalletMovementId};
use tollbook_core::invoices::{Conditions, Discount, Gathering, LineTrace, TaxRate, TaxTreatment};
use tollbook_core::ledger::{
    AccountKind, Entry, FEE, apply_credit, balances, cost, credit_note, invoice, payment, refund,
    wallet_draw, wallet_expiry, wallet_refund, wallet_top_up,
};
use tollbook_core::money::{Currency, Fraction, Rounding};
use tollbook_core::payer::{Payer, PayerKind};
use tollbook_core::rating::{State, rate};
use tollbook_core::wallets::{Lot, Wallet};
use uuid::Uuid;

use crate::agreement;
use crate::properties::{dollars, holds};
use crate::random::Random;
use crate::ratio::Ratio;
use crate::reader::recompute_line;

fn conditions(random: &mut Random) -> Conditions {
    let rate = |name: &str, percent: &str, inclusive| TaxRate {
        name: name.to_owned(),
        percent: percent.parse().unwrap(),
        inclusive,
    };
    let tax = match random.below(5) {
        0 => TaxTreatment::Exempt,
        1 => TaxTreatment::ReverseCharge,
        2 => TaxTreatment::Rates(vec![rate("VAT", "19", false)]),
        3 => TaxTreatment::Rates(vec![rate("VAT", "20", true)]),
        _ => TaxTreatment::Rates(vec![rate("GST", "5", false), rate("QST", "9.975", false)]),
    };
    let discount = match random.below(3) {
        0 => None,
        1 => Some(Discount::Percent(
            random.below(101).to_string().parse().unwrap(),
        )),
        _ => Some(Discount::Amount(
            random.below(50).to_string().parse().unwrap(),
        )),
    };
    Conditions {
        currency: Currency::USD,
        rounding: if random.below(2) == 0 {
            Rounding::HalfUp
        } else {
            Rounding::HalfEven
        },
        tax,
        discount,
        minimum_commitment: (random.below(3) == 0).then(|| dollars(i64::from(random.below(9_000)))),
    }
}

/// Reads a line's trace by itself, and compares; exact and printed amount, the latter in minor units.
fn check_line(trace: &LineTrace) -> Result<(Ratio, i64), TestCaseError> {
    let (exact, printed) = recompute_line(&serde_json::to_value(trace).unwrap());
    prop_assert_eq!(&exact, &Ratio::of(trace.exact));
    prop_assert_eq!(printed, trace.amount.minor().into());
    let remainder = exact.minus(&Ratio::of(trace.amount.to_fraction()));
    prop_assert_eq!(remainder, Ratio::of(trace.remainder));
    let total = format!("= {}", trace.exact);
    prop_assert!(trace.explain("s").contains(&total));
    let stored = serde_json::to_vec(trace).unwrap();
    prop_assert_eq!(
        &serde_json::from_slice::<LineTrace>(&stored).unwrap(),
        trace
    );
    Ok((exact, trace.amount.minor()))
}

fn printed_on(line: Option<&LineTrace>) -> Result<i64, TestCaseError> {
    line.map_or(Ok(0), |line| Ok(check_line(line)?.1))
}

#[test]
fn a_previewed_document_can_be_recomputed_from_its_lines_alone() {
    holds(1_000, any::<u64>(), |seed| {
        let mut random = Random::new(seed);
        let (plan, decks) = (random.plan(), random.decks());
        let terms = agreement::terms(&plan, &decks);
        let mut state: State = agreement::state(&random.grants());
        let mut gathering = Gathering::default();
        let (mut exact, mut pending) = (Fraction::ZERO, 0);
        for id in 0..20 {
            let rated = rate(&agreement::usage(&random.usage(), id), &terms, &state).unwrap();
            state.apply(&rated).unwrap();
            for part in &rated.parts {
                gathering.add(part).unwrap();
                match part.amount {
                    Some(amount) => exact = exact.checked_add(amount).unwrap(),
                    None => pending += 1,
                }
            }
        }
        let conditions = conditions(&mut random);
        let preview = gathering.preview(&conditions).unwrap();
        prop_assert_eq!(preview.pending, pending);
        let (mut sum, mut printed) = (Ratio::whole(0), 0);
        for line in &preview.lines {
            let (line_exact, line_printed) = check_line(&line.trace)?;
            sum = sum.plus(&line_exact);
            printed += line_printed;
        }
        prop_assert_eq!(sum, Ratio::of(exact));
        let usage = printed;
        let commitment = printed_on(preview.commitment.as_ref())?;
        let net = usage + commitment + printed_on(preview.discount.as_ref())?;
        if let Some(minimum) = conditions.minimum_commitment {
            prop_assert_eq!(usage + commitment, usage.max(minimum.minor()));
        }
        let mut added = 0;
        prop_assert_eq!(preview.taxes.len(), preview.totals.taxes.len());
        for (tax, trace) in preview.totals.taxes.iter().zip(&preview.taxes) {
            check_line(trace)?;
            prop_assert_eq!(trace.amount, tax.tax);
            if !tax.rate.inclusive {
                added += tax.tax.minor();
                // It is on all that is printed above it.
                prop_assert_eq!(tax.net, dollars(net).to_fraction());
            }
        }
        prop_assert_eq!(preview.totals.total.minor(), net + added);
        Ok(())
    });
}

#[test]
fn what_was_topped_up_is_drawn_or_expired_or_left() {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let step = (
        0..3_u8,
        1..5_000_i64,
        1..400_i64,
        prop::option::of(1..2_000_i64),
    );
    holds(1_000, prop::collection::vec(step, 1..40), |steps| {
        let mut wallet = Wallet::new(Currency::USD);
        let (mut topped_up, mut drawn, mut expired) = (0, 0, 0);
        let mut now = start;
        for ((kind, amount, hours, life), number) in steps.into_iter().zip(1_u128..) {
            now += SignedDuration::from_hours(hours);
            let gone = wallet.expired(now);
            expired += gone.iter().map(|draw| draw.amount.minor()).sum::<i64>();
            wallet.book(&gone).unwrap();
            prop_assert_eq!(wallet.expired(now), vec![]);
            if kind == 0 {
                let lot = Lot {
                    id: WalletMovementId::new(Uuid::from_u128(number)),
                    left: dollars(amount),
                    received_at: now,
                    expires_at: life.map(|hours| now + SignedDuration::from_hours(hours)),
                };
                wallet.top_up(lot).unwrap();
                topped_up += amount;
                continue;
            }
            let balance = wallet.balance(now).unwrap().minor();
            let cover = wallet.draw(dollars(amount), now).unwrap();
            // Nothing is left of a lot that expires before one that is drawn.
            let ends = |id| {
                let lot = wallet.lots.iter().find(|lot| lot.id == id).unwrap();
                (lot.expires_at.unwrap_or(Timestamp::MAX), lot.received_at)
            };
            prop_assert!(cover.draws.is_sorted_by_key(|draw| ends(draw.lot_id)));
            prop_assert_eq!(cover.rest.minor(), (amount - balance).max(0));
            wallet.book(&cover.draws).unwrap();
            drawn += amount - cover.rest.minor();
            prop_assert_eq!(
                wallet.balance(now).unwrap().minor(),
                balance.min(balance - amount).max(0)
            );
        }
        let left: i64 = wallet.lots.iter().map(|lot| lot.left.minor()).sum();
        prop_assert_eq!(topped_up, drawn + expired + left);
        Ok(())
    });
}

const PAYER: Payer = Payer::Customer(CustomerId::new(Uuid::from_u128(1)));

/// What a payer stands at, beside the ledger.
#[derive(Default)]
struct Standing {
    open: i64,
    credit: i64,
    wallet: i64,
    cost: i64,
}

impl Standing {
    /// The entry of a document of a kind, if there can be one.
    fn document(&mut self, kind: u8, amount: i64, other: i64) -> Option<Entry> {
        let entry = match kind {
            0 => {
                self.open += amount + other;
                invoice(
                    PAYER,
                    &[("SMS_SENT", dollars(amount)), (FEE, dollars(0))],
                    dollars(other),
                )
            }
            1 => {
                let open = self.open.max(0);
                let beyond = (amount + other - open).max(0);
                self.open -= amount + other - beyond;
                self.credit += beyond;
                credit_note(
                    PAYER,
                    &[(FEE, dollars(amount))],
                    dollars(other),
                    dollars(open),
                )
            }
            2 => {
                let allocated = amount.min(self.open.max(0));
                self.open -= allocated;
                self.credit += amount - allocated;
                payment(PAYER, dollars(amount), dollars(allocated))
            }
            3 if amount <= self.credit => {
                self.credit -= amount;
                refund(PAYER, dollars(amount), dollars(self.credit + amount))
            }
            4 if amount <= self.credit.min(self.open) => {
                self.credit -= amount;
                self.open -= amount;
                apply_credit(PAYER, dollars(amount), dollars(self.credit + amount))
            }
            5 => {
                self.wallet += amount;
                wallet_top_up(PAYER, dollars(amount))
            }
            6 if amount <= self.wallet => {
                self.wallet -= amount;
                self.open -= amount;
                wallet_draw(PAYER, dollars(amount))
            }
            7 if amount <= self.wallet => {
                self.wallet -= amount;
                wallet_refund(PAYER, dollars(amount))
            }
            8 if amount <= self.wallet => {
                self.wallet -= amount;
                wallet_expiry(PAYER, dollars(amount))
            }
            9 => {
                self.cost += amount - other;
                cost(PayerKind::Customer, "SMS_SENT", dollars(amount - other))
            }
            _ => return None,
        };
        Some(entry.unwrap())
    }
}

#[test]
fn the_books_balance_after_any_documents() {
    let document = (0..10_u8, 1..100_000_i64, 0..10_000_i64);
    holds(1_000, prop::collection::vec(document, 1..60), |documents| {
        let mut standing = Standing::default();
        let entries: Vec<Entry> = documents
            .into_iter()
            .filter_map(|(kind, amount, other)| standing.document(kind, amount, other))
            .collect();
        for entry in &entries {
            prop_assert!(
                entry
                    .transfers()
                    .iter()
                    .all(|transfer| transfer.amount.minor() > 0)
            );
        }
        let sums = balances(&entries).unwrap();
        prop_assert_eq!(sums.values().map(|sum| sum.minor()).sum::<i64>(), 0);
        let on = |kind| {
            let of_kind = sums.iter().filter(|(account, _)| account.kind == kind);
            of_kind.map(|(_, sum)| sum.minor()).sum::<i64>()
        };
        prop_assert_eq!(on(AccountKind::Receivable), standing.open);
        prop_assert_eq!(on(AccountKind::CustomerCredit), -standing.credit);
        prop_assert_eq!(on(AccountKind::Wallet), -standing.wallet);
        prop_assert_eq!(on(AccountKind::ProviderCost), standing.cost);
        // Taking everything back leaves nothing.
        let reversed: Vec<Entry> = entries.iter().map(Entry::reversal).collect();
        let nothing = balances(entries.iter().chain(&reversed)).unwrap();
        prop_assert!(nothing.values().all(|sum| sum.is_zero()));
        Ok(())
    });
}
