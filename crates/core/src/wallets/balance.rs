//! Lots of credit, drawn in the order in which they expire.

use jiff::Timestamp;

use crate::ids::{CallId, WalletMovementId};
use crate::money::{Currency, Fraction, Money, MoneyError, Overflow};

/// A top-up and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// The movement that brought it.
    pub id: WalletMovementId,
    /// Not drawn yet.
    pub left: Money,
    /// When it was brought.
    pub received_at: Timestamp,
    /// First instant at which it is lost; never if absent.
    pub expires_at: Option<Timestamp>,
}

/// Credit set aside for a call in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// The call.
    pub call_id: CallId,
    /// What it may cost.
    pub amount: Money,
    /// First instant at which it no longer counts, should the end of the call be lost.
    pub expires_at: Timestamp,
}

/// A wallet in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    /// Currency of everything in it.
    pub currency: Currency,
    /// Top-ups in any order.
    pub lots: Vec<Lot>,
    /// Set aside.
    pub reservations: Vec<Reservation>,
    /// How far below nothing it may go.
    pub credit_limit: Money,
}

/// An amount taken from a lot, by a document or by expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The lot.
    pub lot_id: WalletMovementId,
    /// Above zero.
    pub amount: Money,
}

/// What a wallet covers of an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// From which lots.
    pub draws: Vec<Draw>,
    /// What remains to be invoiced.
    pub rest: Money,
}

/// Why a wallet cannot do what is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// Currencies or size.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A top-up or reservation of nothing, or less.
    #[error("the amount must be more than zero")]
    NotPositive,
    /// The same top-up or reservation a second time.
    #[error("it is in the wallet already")]
    Twice,
    /// A draw on a lot that has less, or does not exist.
    #[error("the lot does not have {0}")]
    LotTooSmall(Money),
    /// More than there is.
    #[error("{wanted} are wanted, {available} are available")]
    Insufficient {
        /// What was to be set aside.
        wanted: Money,
        /// Exact, in major units.
        available: Fraction,
    },
}

impl Wallet {
    /// An empty wallet without credit.
    pub fn new(currency: Currency) -> Self {
        Self {
            currency,
            lots: Vec::new(),
            reservations: Vec::new(),
            credit_limit: Money::zero(currency),
        }
    }

    /// Brings a lot in; more than nothing, once, in the wallet's currency.
    pub fn top_up(&mut self, lot: Lot) -> Result<(), WalletError> {
        self.check(lot.left)?;
        if self.lots.iter().any(|known| known.id == lot.id) {
            return Err(WalletError::Twice);
        }
        self.lots.push(lot);
        Ok(())
    }

    /// Books draws, as a document or an expiry makes them: all of them, or none.
    pub fn book(&mut self, draws: &[Draw]) -> Result<(), WalletError> {
        let mut lots = self.lots.clone();
        for draw in draws {
            self.check(draw.amount)?;
            let lot = lots
                .iter_mut()
                .find(|lot| lot.id == draw.lot_id && lot.left.minor() >= draw.amount.minor())
                .ok_or(WalletError::LotTooSmall(draw.amount))?;
            lot.left = lot.left.checked_sub(draw.amount)?;
        }
        self.lots = lots;
        Ok(())
    }

    /// Sets credit aside for a call, no more than is available at `at`. `not_drawn` is what was charged but not drawn
    /// yet.
    pub fn reserve(
        &mut self,
        reservation: Reservation,
        not_drawn: Fraction,
        at: Timestamp,
    ) -> Result<(), WalletError> {
        self.check(reservation.amount)?;
        let of_call = |known: &Reservation| known.call_id == reservation.call_id;
        if self.reservations.iter().any(of_call) {
            return Err(WalletError::Twice);
        }
        let available = self.available(not_drawn, at)?;
        if reservation.amount.to_fraction() > available {
            return Err(WalletError::Insufficient {
                wanted: reservation.amount,
                available,
            });
        }
        self.reservations.push(reservation);
        Ok(())
    }

    /// Gives back what was set aside for a call, once it is over; how much that was, if anything.
    pub fn release(&mut self, call_id: CallId) -> Option<Money> {
        let of_call = |known: &Reservation| known.call_id == call_id;
        let index = self.reservations.iter().position(of_call)?;
        Some(self.reservations.swap_remove(index).amount)
    }

    fn check(&self, amount: Money) -> Result<(), WalletError> {
        // Refuses another currency.
        self.credit_limit.checked_add(amount)?;
        if amount.minor() > 0 {
            Ok(())
        } else {
            Err(WalletError::NotPositive)
        }
    }

    /// Covers as much of an amount as there is credit at `at`; the lot that expires first is drawn first, one that
    /// never expires last. The wallet itself is not changed.
    pub fn draw(&self, amount: Money, at: Timestamp) -> Result<Drawn, MoneyError> {
        let mut lots: Vec<&Lot> = self.lots.iter().filter(|lot| is_usable(lot, at)).collect();
        lots.sort_unstable_by_key(|lot| {
            (
                lot.expires_at.unwrap_or(Timestamp::MAX),
                lot.received_at,
                lot.id,
            )
        });
        let mut rest = amount;
        let mut draws = Vec::new();
        for lot in lots {
            let part = Money::from_minor(lot.left.minor().min(rest.minor()), amount.currency());
            if part.minor() > 0 {
                rest = rest.checked_sub(part)?;
                // Refuses a lot of another currency.
                lot.left.checked_sub(part)?;
                draws.push(Draw {
                    lot_id: lot.id,
                    amount: part,
                });
            }
        }
        Ok(Drawn { draws, rest })
    }

    /// What is lost by `at`: the rest of each lot that has expired.
    pub fn expired(&self, at: Timestamp) -> Vec<Draw> {
        let is_expired =
            |lot: &&Lot| lot.left.minor() > 0 && lot.expires_at.is_some_and(|end| end <= at);
        self.lots
            .iter()
            .filter(is_expired)
            .map(|lot| Draw {
                lot_id: lot.id,
                amount: lot.left,
            })
            .collect()
    }

    /// The credit that is left at `at`, reservations aside.
    pub fn balance(&self, at: Timestamp) -> Result<Money, MoneyError> {
        let usable = self.lots.iter().filter(|lot| is_usable(lot, at));
        usable
            .map(|lot| lot.left)
            .try_fold(Money::zero(self.currency), Money::checked_add)
    }

    /// What a new call may cost: balance and credit limit, less what is reserved and what was charged but not drawn yet.
    /// Exact in major units; below zero if already overdrawn.
    pub fn available(&self, not_drawn: Fraction, at: Timestamp) -> Result<Fraction, MoneyError> {
        let mut available = self.balance(at)?.checked_add(self.credit_limit)?;
        for reservation in self
            .reservations
            .iter()
            .filter(|reservation| at < reservation.expires_at)
        {
            available = available.checked_sub(reservation.amount)?;
        }
        Ok(available
            .to_fraction()
            .checked_sub(not_drawn)
            .map_err(|Overflow| Overflow)?)
    }
}

fn is_usable(lot: &Lot, at: Timestamp) -> bool {
    lot.left.minor() > 0 && lot.received_at <= at && lot.expires_at.is_none_or(|end| at < end)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn dollars(minor: i64) -> Money {
        Money::from_minor(minor, Currency::USD)
    }

    fn lot(id: u128, left: i64, received_at: &str, expires_at: Option<&str>) -> Lot {
        Lot {
            id: WalletMovementId::new(Uuid::from_u128(id)),
            left: dollars(left),
            received_at: at(received_at),
            expires_at: expires_at.map(at),
        }
    }

    fn wallet() -> Wallet {
        Wallet {
            currency: Currency::USD,
            lots: vec![
                lot(1, 1000, "2026-01-01T00:00:00Z", None),
                lot(2, 500, "2026-01-02T00:00:00Z", Some("2026-03-01T00:00:00Z")),
                lot(3, 200, "2026-01-03T00:00:00Z", Some("2026-02-01T00:00:00Z")),
                lot(4, 900, "2026-06-01T00:00:00Z", None),
            ],
            reservations: vec![Reservation {
                call_id: CallId::new(Uuid::from_u128(9)),
                amount: dollars(300),
                expires_at: at("2026-01-10T02:00:00Z"),
            }],
            credit_limit: dollars(50),
        }
    }

    fn draws(wallet: &Wallet, minor: i64, time: &str) -> (Vec<(u128, i64)>, i64) {
        let Drawn { draws, rest } = wallet.draw(dollars(minor), at(time)).unwrap();
        let draws = draws
            .iter()
            .map(|draw| (draw.lot_id.uuid().as_u128(), draw.amount.minor()));
        (draws.collect(), rest.minor())
    }

    #[test]
    fn the_lot_that_expires_first_is_drawn_first() {
        assert_eq!(
            draws(&wallet(), 650, "2026-01-10T00:00:00Z"),
            (vec![(3, 200), (2, 450)], 0)
        );
        assert_eq!(
            draws(&wallet(), 9999, "2026-02-01T00:00:00Z"),
            (vec![(2, 500), (1, 1000)], 8499)
        );
        assert_eq!(draws(&wallet(), 0, "2026-01-10T00:00:00Z"), (vec![], 0));
    }

    #[test]
    fn what_has_expired_is_lost_once() {
        let mut wallet = wallet();
        let now = at("2026-02-01T00:00:00Z");
        let lost = wallet.expired(now);
        assert_eq!(
            lost,
            [Draw {
                lot_id: WalletMovementId::new(Uuid::from_u128(3)),
                amount: dollars(200)
            }]
        );
        wallet.lots[2].left = dollars(0);
        assert_eq!(wallet.expired(now), []);
        assert_eq!(wallet.balance(now).unwrap(), dollars(1500));
    }

    #[test]
    fn a_reservation_counts_until_it_expires() {
        let charged = Fraction::new(1, 3).unwrap();
        let before = wallet()
            .available(charged, at("2026-01-10T01:59:59Z"))
            .unwrap();
        assert_eq!(
            before,
            Fraction::new(1450, 100)
                .unwrap()
                .checked_sub(charged)
                .unwrap()
        );
        let after = wallet()
            .available(Fraction::ZERO, at("2026-01-10T02:00:00Z"))
            .unwrap();
        assert_eq!(after, Fraction::new(1750, 100).unwrap());
    }

    #[test]
    fn what_is_set_aside_is_there_once() {
        let mut wallet = wallet();
        let now = at("2026-01-10T00:00:00Z");
        let reservation = |call: u128, minor| Reservation {
            call_id: CallId::new(Uuid::from_u128(call)),
            amount: dollars(minor),
            expires_at: at("2026-01-10T03:00:00Z"),
        };
        // 17.00 and 0.50 of credit, less 3.00.
        let error = wallet.reserve(reservation(1, 1451), Fraction::ZERO, now);
        assert!(matches!(error, Err(WalletError::Insufficient { .. })));
        wallet
            .reserve(reservation(1, 1450), Fraction::ZERO, now)
            .unwrap();
        assert_eq!(
            wallet.reserve(reservation(1, 1), Fraction::ZERO, now),
            Err(WalletError::Twice)
        );
        assert!(
            wallet
                .reserve(reservation(2, 1), Fraction::ZERO, now)
                .is_err()
        );
        let call = reservation(1, 1).call_id;
        assert_eq!(wallet.release(call), Some(dollars(1450)));
        assert_eq!(wallet.release(call), None);
        assert!(
            wallet
                .reserve(reservation(2, 1450), Fraction::ZERO, now)
                .is_ok()
        );
    }

    #[test]
    fn draws_are_booked_together_or_not_at_all() {
        let mut wallet = wallet();
        let now = at("2026-01-10T00:00:00Z");
        let drawn = wallet.draw(dollars(650), now).unwrap();
        wallet.book(&drawn.draws).unwrap();
        assert_eq!(wallet.balance(now).unwrap(), dollars(1050));
        let before = wallet.clone();
        assert!(matches!(
            wallet.book(&drawn.draws),
            Err(WalletError::LotTooSmall(_))
        ));
        assert_eq!(wallet, before);
        let top_up = lot(9, 0, "2026-01-10T00:00:00Z", None);
        assert_eq!(wallet.top_up(top_up), Err(WalletError::NotPositive));
        let again = lot(1, 5, "2026-01-10T00:00:00Z", None);
        assert_eq!(wallet.top_up(again), Err(WalletError::Twice));
    }

    #[test]
    fn currencies_do_not_mix() {
        let mut wallet = wallet();
        wallet.lots[0].left = Money::from_minor(5, Currency::EUR);
        wallet.lots.truncate(1);
        assert!(wallet.draw(dollars(5), at("2026-01-10T00:00:00Z")).is_err());
        assert!(wallet.balance(at("2026-01-10T00:00:00Z")).is_err());
    }
}
