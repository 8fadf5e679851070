//! A wallet beside the documents that it pays: what is charged is drawn at once, what a correction takes back is given
//! back, and a document names what was drawn for it.

use jiff::Timestamp;

use super::balance::{Lot, WalletError};
use super::promise::{Hold, share};
use crate::ids::WalletMovementId;
use crate::money::{Currency, Fraction, Money, MoneyError, Overflow};

/// A lot, and what was taken of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptLot {
    /// What is left of it, and until when.
    pub lot: Lot,
    /// Taken of it so far: what can be given back to it.
    pub used: Money,
}

/// What a lot gains, or loses if it is below zero. Never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The lot.
    pub lot_id: WalletMovementId,
    /// What it gains.
    pub amount: Money,
}

/// A wallet as it is kept. Draws are whole minor units, charges are exact: what is less than one is drawn with the next
/// charge, or with the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Currency of everything in it.
    pub currency: Currency,
    /// In any order; lots that are empty and were never used may be missing.
    pub lots: Vec<KeptLot>,
    /// Charged on open documents less what was drawn for them, exact, in major units. More than a minor unit is usage that
    /// was kept although there was no credit for it.
    pub not_drawn: Fraction,
    /// Drawn, and named by no document yet. Never below zero.
    pub unapplied: Money,
    /// Set aside for calls in progress.
    pub reserved: Money,
    /// How far below nothing it may go.
    pub credit_limit: Money,
}

impl Kept {
    /// A wallet in which there is nothing.
    pub fn new(currency: Currency, credit_limit: Money) -> Self {
        let nothing = Money::zero(currency);
        Self {
            currency,
            lots: Vec::new(),
            not_drawn: Fraction::ZERO,
            unapplied: nothing,
            reserved: nothing,
            credit_limit,
        }
    }

    /// What is left of all lots, those included that have expired and were not taken yet.
    pub fn balance(&self) -> Result<Money, MoneyError> {
        self.lots
            .iter()
            .try_fold(Money::zero(self.currency), |sum, kept| {
                sum.checked_add(kept.lot.left)
            })
    }

    /// What may be promised: balance and credit limit less what is reserved and what was charged but not drawn. Exact, in
    /// major units; below zero if usage was kept that there was no credit for.
    pub fn available(&self) -> Result<Fraction, MoneyError> {
        let credit = self.balance()?.checked_add(self.credit_limit)?;
        let free = credit.checked_sub(self.reserved)?.to_fraction();
        Ok(free.checked_sub(self.not_drawn)?)
    }

    /// The same in whole minor units of what has not expired at `at`; never below zero.
    pub fn spare(&self, at: Timestamp) -> Result<Money, MoneyError> {
        let mut available = self.available()?;
        for kept in &self.lots {
            if has_expired(&kept.lot, at) {
                available = available.checked_sub(kept.lot.left.to_fraction())?;
            }
        }
        let whole = whole_minor(available, self.currency)?;
        Ok(Money::from_minor(whole.minor().max(0), self.currency))
    }

    /// Charges an exact amount for usage at `used_at`, or takes one back if it is below zero. Credit that had not expired
    /// when it was used pays, the oldest expiring first; what there is no credit for stays charged.
    pub fn charge(
        &mut self,
        amount: Fraction,
        used_at: Timestamp,
    ) -> Result<Vec<Change>, WalletError> {
        self.not_drawn = self
            .not_drawn
            .checked_add(amount)
            .map_err(MoneyError::from)?;
        let whole = whole_minor(self.not_drawn, self.currency)?;
        if whole.minor() >= 0 {
            let changes = self.take(whole, used_at)?;
            self.drawn(&changes)?;
            return Ok(changes);
        }
        let wanted = whole.checked_neg()?.minor().min(self.unapplied.minor());
        let changes = self.give_back(Money::from_minor(wanted, self.currency))?;
        self.drawn(&changes)?;
        Ok(changes)
    }

    /// Pays a document: `exact` is what its charges come to, `total` what it asks for. What was drawn before pays first,
    /// then what may be spent without touching what calls in progress hold. Returns what is paid, and what changed.
    pub fn pay(
        &mut self,
        exact: Fraction,
        total: Money,
        at: Timestamp,
    ) -> Result<(Money, Vec<Change>), WalletError> {
        self.not_drawn = self
            .not_drawn
            .checked_sub(exact)
            .map_err(MoneyError::from)?;
        let from_before = total.minor().clamp(0, self.unapplied.minor());
        let mut paid = Money::from_minor(from_before, self.currency);
        self.unapplied = self.unapplied.checked_sub(paid)?;
        self.not_drawn = self
            .not_drawn
            .checked_add(paid.to_fraction())
            .map_err(MoneyError::from)?;
        let missing = total.checked_sub(paid)?.minor();
        let missing = missing.clamp(0, self.spare(at)?.minor());
        let mut changes = self.take(Money::from_minor(missing, self.currency), at)?;
        for change in &changes {
            paid = paid.checked_sub(change.amount)?;
        }
        changes.extend(self.charge(Fraction::ZERO, at)?);
        Ok((paid, changes))
    }

    /// Takes `amount` out, as a refund does: all of it, or nothing.
    pub fn withdraw(&mut self, amount: Money, at: Timestamp) -> Result<Vec<Change>, WalletError> {
        if amount.minor() <= 0 {
            return Err(WalletError::NotPositive);
        }
        let available = self.spare(at)?;
        let mut after = self.clone();
        let changes = after.take(amount, at)?;
        let taken: i64 = changes.iter().map(|change| change.amount.minor()).sum();
        if taken.checked_neg() != Some(amount.minor()) || available.minor() < amount.minor() {
            return Err(WalletError::Insufficient {
                wanted: amount,
                available: available.to_fraction(),
            });
        }
        *self = after;
        Ok(changes)
    }

    /// Sets aside what calls in progress may come to, as far as there is credit; returns how much that is for each, in
    /// order.
    pub fn hold(&mut self, holds: &[Hold]) -> Result<Vec<Money>, WalletError> {
        let amounts = share(holds, self.available()?, self.currency).map_err(MoneyError::from)?;
        for (hold, amount) in holds.iter().zip(&amounts) {
            self.reserved = self
                .reserved
                .checked_sub(hold.aside)?
                .checked_add(*amount)?;
        }
        Ok(amounts)
    }

    /// Takes what has expired by `at`, but not what a call in progress holds: that is lost when the call has ended.
    pub fn expire(&mut self, at: Timestamp) -> Result<Vec<Change>, WalletError> {
        let free = whole_minor(self.available()?, self.currency)?;
        let mut rest = free.minor().max(0);
        let mut changes = Vec::new();
        for index in self.order(|kept| has_expired(&kept.lot, at)) {
            rest = rest.saturating_sub(self.take_from(index, rest, &mut changes)?);
        }
        Ok(changes)
    }

    /// Books draws of changes as drawn for documents to come.
    fn drawn(&mut self, changes: &[Change]) -> Result<(), MoneyError> {
        for change in changes {
            self.unapplied = self.unapplied.checked_sub(change.amount)?;
            let gained = change.amount.to_fraction();
            self.not_drawn = self.not_drawn.checked_add(gained)?;
        }
        Ok(())
    }

    /// Takes as much of `amount` as lots have that had not expired at `used_at`.
    fn take(&mut self, amount: Money, used_at: Timestamp) -> Result<Vec<Change>, MoneyError> {
        let mut rest = amount.minor();
        let mut changes = Vec::new();
        for index in self.order(|kept| !has_expired(&kept.lot, used_at)) {
            rest = rest.saturating_sub(self.take_from(index, rest, &mut changes)?);
        }
        Ok(changes)
    }

    /// Takes at most `rest` of a lot; returns how much.
    fn take_from(
        &mut self,
        index: usize,
        rest: i64,
        changes: &mut Vec<Change>,
    ) -> Result<i64, MoneyError> {
        let Some(kept) = self.lots.get_mut(index) else {
            return Ok(0);
        };
        let part = Money::from_minor(kept.lot.left.minor().clamp(0, rest.max(0)), self.currency);
        if part.minor() > 0 {
            kept.lot.left = kept.lot.left.checked_sub(part)?;
            kept.used = kept.used.checked_add(part)?;
            changes.push(Change {
                lot_id: kept.lot.id,
                amount: part.checked_neg()?,
            });
        }
        Ok(part.minor())
    }

    /// Gives back to the lots that expire last, which were drawn last.
    fn give_back(&mut self, amount: Money) -> Result<Vec<Change>, MoneyError> {
        let mut rest = amount.minor();
        let mut changes = Vec::new();
        for index in self.order(|_| true).into_iter().rev() {
            let Some(kept) = self.lots.get_mut(index) else {
                continue;
            };
            let part = Money::from_minor(kept.used.minor().clamp(0, rest), self.currency);
            if part.minor() > 0 {
                rest = rest.saturating_sub(part.minor());
                kept.lot.left = kept.lot.left.checked_add(part)?;
                kept.used = kept.used.checked_sub(part)?;
                changes.push(Change {
                    lot_id: kept.lot.id,
                    amount: part,
                });
            }
        }
        Ok(changes)
    }

    /// The places of the lots that are wanted, the oldest expiring first.
    fn order(&self, is_wanted: impl Fn(&KeptLot) -> bool) -> Vec<usize> {
        let mut wanted: Vec<(usize, &KeptLot)> = self
            .lots
            .iter()
            .enumerate()
            .filter(|(_, kept)| is_wanted(kept))
            .collect();
        wanted.sort_unstable_by_key(|(_, kept)| {
            let expires_at = kept.lot.expires_at.unwrap_or(Timestamp::MAX);
            (expires_at, kept.lot.received_at, kept.lot.id)
        });
        wanted.into_iter().map(|(index, _)| index).collect()
    }
}

fn has_expired(lot: &Lot, at: Timestamp) -> bool {
    lot.expires_at.is_some_and(|end| end <= at)
}

/// An exact amount in whole minor units: never more than it is.
pub fn whole_minor(amount: Fraction, currency: Currency) -> Result<Money, MoneyError> {
    let minor = amount.checked_mul(Fraction::from_whole(currency.minor_per_major()))?;
    let minor = i64::try_from(minor.floor()).map_err(|_| Overflow)?;
    Ok(Money::from_minor(minor, currency))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cents(minor: i64) -> Money {
        Money::from_minor(minor, Currency::USD)
    }

    fn exact(numerator: i128, denominator: i128) -> Fraction {
        Fraction::new(numerator, denominator).unwrap()
    }

    /// 10.00 for ever, and 5.00 until March.
    fn wallet() -> Kept {
        let lot = |id: u128, left, expires_at: Option<&str>| KeptLot {
            lot: Lot {
                id: WalletMovementId::new(Uuid::from_u128(id)),
                left: cents(left),
                received_at: at("2026-01-01T00:00:00Z"),
                expires_at: expires_at.map(at),
            },
            used: cents(0),
        };
        Kept {
            lots: vec![
                lot(1, 1000, None),
                lot(2, 500, Some("2026-03-01T00:00:00Z")),
            ],
            ..Kept::new(Currency::USD, cents(0))
        }
    }

    fn shown(changes: &[Change]) -> Vec<(u128, i64)> {
        let shown = changes
            .iter()
            .map(|it| (it.lot_id.uuid().as_u128(), it.amount.minor()));
        shown.collect()
    }

    const FEBRUARY: &str = "2026-02-01T00:00:00Z";
    const APRIL: &str = "2026-04-01T00:00:00Z";

    #[test]
    fn whole_cents_are_drawn_and_the_rest_waits_for_the_next_charge() {
        let mut wallet = wallet();
        let first = wallet.charge(exact(601, 100), at(FEBRUARY)).unwrap();
        assert_eq!(shown(&first), [(2, -500), (1, -101)]);
        assert_eq!(wallet.charge(exact(1, 300), at(FEBRUARY)).unwrap(), []);
        assert_eq!(wallet.not_drawn, exact(1, 300));
        let third = wallet.charge(exact(2, 300), at(FEBRUARY)).unwrap();
        assert_eq!(shown(&third), [(1, -1)]);
        assert_eq!(
            (wallet.not_drawn, wallet.unapplied),
            (Fraction::ZERO, cents(602))
        );
    }

    #[test]
    fn credit_pays_for_what_was_used_before_it_expired() {
        let mut wallet = wallet();
        let late = wallet.charge(exact(1, 1), at("2026-02-28T23:59:59Z"));
        assert_eq!(shown(&late.unwrap()), [(2, -100)]);
        let after = wallet.charge(exact(1, 1), at("2026-03-01T00:00:00Z"));
        assert_eq!(shown(&after.unwrap()), [(1, -100)]);
    }

    #[test]
    fn usage_without_credit_is_kept_and_paid_by_the_next_top_up() {
        let mut wallet = wallet();
        wallet.charge(exact(20, 1), at(FEBRUARY)).unwrap();
        assert_eq!(wallet.available().unwrap(), exact(-5, 1));
        assert_eq!(wallet.spare(at(FEBRUARY)).unwrap(), cents(0));
        let mut lot = wallet.lots[0];
        lot.lot.id = WalletMovementId::new(Uuid::from_u128(3));
        (lot.lot.left, lot.used) = (cents(800), cents(0));
        wallet.lots.push(lot);
        let drawn = wallet.charge(Fraction::ZERO, at(FEBRUARY)).unwrap();
        assert_eq!(shown(&drawn), [(3, -500)]);
        assert_eq!(wallet.available().unwrap(), exact(3, 1));
    }

    #[test]
    fn what_is_taken_back_returns_to_where_it_came_from() {
        let mut wallet = wallet();
        wallet.charge(exact(7, 1), at(FEBRUARY)).unwrap();
        let back = wallet.charge(exact(-605, 100), at(FEBRUARY)).unwrap();
        assert_eq!(shown(&back), [(1, 200), (2, 405)]);
        // What a document has named does not return: it is the document that is corrected.
        wallet.pay(exact(95, 100), cents(95), at(FEBRUARY)).unwrap();
        assert_eq!(wallet.charge(exact(-1, 1), at(FEBRUARY)).unwrap(), []);
        assert_eq!(wallet.not_drawn, exact(-1, 1));
    }

    #[test]
    fn a_document_names_what_was_drawn_and_takes_its_tax() {
        let mut wallet = wallet();
        wallet.charge(exact(10_006, 1_000), at(FEBRUARY)).unwrap();
        let (paid, changes) = wallet
            .pay(exact(10_006, 1_000), cents(1_191), at(FEBRUARY))
            .unwrap();
        assert_eq!((paid, shown(&changes)), (cents(1_191), vec![(1, -191)]));
        assert_eq!(
            (wallet.not_drawn, wallet.unapplied),
            (Fraction::ZERO, cents(0))
        );
        // Lines that were rounded down ask for less than was drawn.
        wallet.charge(exact(108, 100), at(FEBRUARY)).unwrap();
        let (paid, changes) = wallet
            .pay(exact(108, 100), cents(100), at(FEBRUARY))
            .unwrap();
        assert_eq!((paid, shown(&changes)), (cents(100), vec![(1, 8)]));
        // And one below zero asks for nothing.
        assert_eq!(wallet.charge(exact(-1, 1), at(FEBRUARY)).unwrap(), []);
        let (paid, changes) = wallet.pay(exact(-1, 1), cents(-100), at(FEBRUARY)).unwrap();
        assert_eq!((paid, changes), (cents(0), vec![]));
    }

    #[test]
    fn what_calls_may_come_to_is_set_aside_as_far_as_there_is_credit() {
        let mut wallet = wallet();
        wallet.reserved = cents(500);
        let hold = |aside, cost: Option<Fraction>| Hold {
            aside: cents(aside),
            cost,
        };
        // One has ended, one may come to more than there is, and of one the price is not known.
        let holds = [
            hold(300, Some(Fraction::ZERO)),
            hold(100, Some(exact(20_001, 1_000))),
            hold(100, None),
        ];
        let amounts = wallet.hold(&holds).unwrap();
        assert_eq!(amounts, [cents(0), cents(1_400), cents(100)]);
        assert_eq!(wallet.reserved, cents(1_500));
        assert_eq!(wallet.available().unwrap(), Fraction::ZERO);
        // Nobody loses what they need because too much was used.
        wallet.charge(exact(5, 1), at(FEBRUARY)).unwrap();
        let holds = [
            hold(1_400, Some(exact(16, 1))),
            hold(100, Some(exact(1, 2))),
        ];
        assert_eq!(wallet.hold(&holds).unwrap(), [cents(1_400), cents(50)]);
        assert_eq!(wallet.available().unwrap(), exact(-9, 2));
    }

    #[test]
    fn what_calls_hold_is_neither_paid_out_nor_lost() {
        let mut wallet = wallet();
        wallet.reserved = cents(1_200);
        let refused = wallet.withdraw(cents(301), at(FEBRUARY));
        assert!(matches!(refused, Err(WalletError::Insufficient { .. })));
        assert_eq!(
            wallet.withdraw(cents(0), at(FEBRUARY)),
            Err(WalletError::NotPositive)
        );
        assert_eq!(shown(&wallet.expire(at(APRIL)).unwrap()), [(2, -300)]);
        let (paid, _) = wallet.pay(Fraction::ZERO, cents(50), at(APRIL)).unwrap();
        assert_eq!(paid, cents(0));
        wallet.reserved = cents(0);
        assert_eq!(shown(&wallet.expire(at(APRIL)).unwrap()), [(2, -200)]);
        assert_eq!(wallet.expire(at(APRIL)).unwrap(), []);
        let paid_out = wallet.withdraw(cents(1_000), at(APRIL)).unwrap();
        assert_eq!(shown(&paid_out), [(1, -1_000)]);
    }
}
