//! A wallet keeps what it is told: nothing is made, nothing is lost, whatever is charged, taken back, paid and refunded.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tollbook_core::ids::WalletMovementId;
use tollbook_core::money::{Currency, Fraction, Money};
use tollbook_core::wallets::{Change, Kept, KeptLot, Lot, WalletError};
use uuid::Uuid;

use crate::properties::{dollars, holds};

#[derive(Debug, Clone)]
enum Step {
    TopUp { minor: i64, lasts: Option<i64> },
    Charge { numerator: i64, denominator: i64 },
    Reserve { minor: i64 },
    Document { exact: i64, total: i64 },
    Withdraw { minor: i64 },
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_i64..30_000, prop::option::of(1_i64..40))
            .prop_map(|(minor, lasts)| Step::TopUp { minor, lasts }),
        (
            -2_000_i64..2_500,
            prop::sample::select(vec![60_i64, 100, 300, 700, 3_600])
        )
            .prop_map(|(numerator, denominator)| Step::Charge {
                numerator,
                denominator
            }),
        (0_i64..3_000).prop_map(|minor| Step::Reserve { minor }),
        (-500_i64..4_000, -500_i64..4_000)
            .prop_map(|(exact, total)| Step::Document { exact, total }),
        (1_i64..3_000).prop_map(|minor| Step::Withdraw { minor }),
        Just(Step::Expire),
    ]
}

fn exact(numerator: i64, denominator: i64) -> Fraction {
    Fraction::new(numerator.into(), denominator.into()).unwrap()
}

fn gained(changes: &[Change]) -> i64 {
    changes.iter().map(|it| it.amount.minor()).sum()
}

/// Everything that a wallet was told, added up beside it.
#[derive(Default)]
struct Told {
    brought: i64,
    paid_out: i64,
    lost: i64,
    paid: i64,
    charged: Option<Fraction>,
}

impl Told {
    fn charge(&mut self, amount: Fraction) {
        let before = self.charged.unwrap_or(Fraction::ZERO);
        self.charged = Some(before.checked_add(amount).unwrap());
    }
}

fn do_step(wallet: &mut Kept, told: &mut Told, step: &Step, at: Timestamp, id: u128) {
    match *step {
        Step::TopUp { minor, lasts } => {
            wallet.lots.push(KeptLot {
                lot: Lot {
                    id: WalletMovementId::new(Uuid::from_u128(id)),
                    left: dollars(minor),
                    received_at: at,
                    expires_at: lasts.map(|hours| at + SignedDuration::from_hours(hours)),
                },
                used: dollars(0),
            });
            told.brought += minor;
            wallet.charge(Fraction::ZERO, at).unwrap();
        }
        Step::Charge {
            numerator,
            denominator,
        } => {
            let amount = exact(numerator, denominator);
            wallet.charge(amount, at).unwrap();
            told.charge(amount);
        }
        Step::Reserve { minor } => wallet.reserved = dollars(minor),
        Step::Document {
            exact: hundredths,
            total,
        } => {
            let amount = exact(hundredths, 100);
            let unspent = wallet.unapplied.minor() + wallet.spare(at).unwrap().minor();
            let (paid, _) = wallet.pay(amount, dollars(total), at).unwrap();
            assert!(paid.minor() >= 0 && paid.minor() <= total.max(0));
            // What the document's own charges were held against is free again by then.
            assert!(paid.minor() <= unspent + hundredths.max(0) + 1);
            told.paid += paid.minor();
            told.charge(amount.negated());
        }
        Step::Withdraw { minor } => {
            let before = wallet.clone();
            match wallet.withdraw(dollars(minor), at) {
                Ok(changes) => {
                    assert_eq!(gained(&changes), -minor);
                    assert!(!wallet.available().unwrap().is_negative());
                    told.paid_out += minor;
                }
                Err(WalletError::Insufficient { .. }) => assert_eq!(*wallet, before),
                Err(error) => panic!("{error}"),
            }
        }
        Step::Expire => {
            let was_free = !wallet.available().unwrap().is_negative();
            told.lost -= gained(&wallet.expire(at).unwrap());
            assert!(!was_free || !wallet.available().unwrap().is_negative());
        }
    }
}

#[test]
fn credit_is_neither_made_nor_lost() {
    let (short, back) = (Cell::new(0), Cell::new(0));
    holds(1_000, prop::collection::vec(step(), 1..40), |steps| {
        let mut wallet = Kept::new(Currency::USD, dollars(0));
        let mut told = Told::default();
        let mut at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (id, step) in (1..).zip(&steps) {
            at += SignedDuration::from_hours(3);
            let before = wallet.balance().unwrap();
            do_step(&mut wallet, &mut told, step, at, id);
            let balance = wallet.balance().unwrap();
            for kept in &wallet.lots {
                prop_assert!(kept.lot.left.minor() >= 0 && kept.used.minor() >= 0);
            }
            prop_assert!(wallet.unapplied.minor() >= 0);
            // Where it came from and where it went.
            let gone = told.paid_out + told.lost + told.paid + wallet.unapplied.minor();
            prop_assert_eq!(balance.minor(), told.brought - gone);
            let open = told.charged.unwrap_or(Fraction::ZERO);
            let drawn = wallet.unapplied.to_fraction();
            prop_assert_eq!(wallet.not_drawn, open.checked_sub(drawn).unwrap());
            // Usage waits only where nothing is left that it could draw on.
            if wallet.not_drawn >= exact(1, 100) {
                let is_usable = |kept: &KeptLot| {
                    kept.lot.left.minor() > 0 && kept.lot.expires_at.is_none_or(|end| at < end)
                };
                prop_assert!(!wallet.lots.iter().any(is_usable));
                short.set(short.get() + 1);
            }
            let is_back = matches!(step, Step::Charge { .. }) && balance.minor() > before.minor();
            back.set(back.get() + usize::from(is_back));
        }
        Ok(())
    });
    assert!(short.get() > 500, "{} times short of credit", short.get());
    assert!(back.get() > 125, "{} times given back", back.get());
}

#[test]
fn how_charges_are_cut_changes_nothing() {
    let parts = prop::collection::vec((1_i64..900, 1_i64..60), 1..30);
    holds(1_000, (parts, 0_i64..20_000), |(parts, credit)| {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut apart = Kept::new(Currency::USD, Money::zero(Currency::USD));
        apart.lots.push(KeptLot {
            lot: Lot {
                id: WalletMovementId::new(Uuid::nil()),
                left: dollars(credit),
                received_at: at,
                expires_at: None,
            },
            used: dollars(0),
        });
        let mut together = apart.clone();
        let mut sum = Fraction::ZERO;
        for (numerator, denominator) in parts {
            let part = exact(numerator, denominator);
            sum = sum.checked_add(part).unwrap();
            apart.charge(part, at).unwrap();
        }
        together.charge(sum, at).unwrap();
        prop_assert_eq!(apart, together);
        Ok(())
    });
}
