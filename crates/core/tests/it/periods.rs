//! A second, naive account in time: periods from one date to the next, grants and their rollover, and a wallet that
//! pays each period. It shares nothing with the account that it checks.

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use num_bigint::BigInt;
use serde_json::Value;
use tollbook_core::ids::WalletMovementId;
use tollbook_core::money::{Currency, Fraction, Money, Rounding, round_to_minor};
use tollbook_core::plans::Offer;
use tollbook_core::rating::{Cycles, State, rate};
use tollbook_core::subscriptions::Schedule;
use tollbook_core::wallets::{Lot, Wallet};
use uuid::Uuid;

use crate::agreement;
use crate::naive::{self, Account, NaiveGrant};
use crate::random::{Random, ZONES};
use crate::ratio::Ratio;
use crate::tally::{Seen, note};

/// Monthly periods, counted from that of January 2026.
struct Months {
    zone: TimeZone,
    day: i8,
    /// The one that has begun last.
    current: Option<i16>,
}

impl Months {
    fn start(&self, month: i16) -> Timestamp {
        let number = i8::try_from(month.rem_euclid(12) + 1).unwrap();
        let first = date(2026 + month.div_euclid(12), number, 1);
        let day = self.day.min(first.days_in_month());
        let begins_on = first.with().day(day).build().unwrap();
        begins_on.to_zoned(self.zone.clone()).unwrap().timestamp()
    }

    /// Begins every period up to the one that holds `at`.
    fn advance(&mut self, at: Timestamp, plan: &Value, account: &mut Account, seen: &mut Seen) {
        let mut next = self.current.map_or(0, |month| month + 1);
        while self.start(next) <= at {
            self.begin(next, plan, account, seen);
            self.current = Some(next);
            next += 1;
        }
    }

    fn begin(&self, month: i16, plan: &Value, account: &mut Account, seen: &mut Seen) {
        let mut met = |label: &str| *seen.entry(label.to_owned()).or_default() += 1;
        let now = self.start(month);
        if !account.counted.is_empty() {
            met("tiers begin anew");
        }
        account.counted.clear();
        for allowance in plan["allowances"].as_array().unwrap() {
            let months = if allowance["every"] == "year" { 12 } else { 1 };
            if month % months != 0 {
                continue;
            }
            let key = allowance["key"].as_str().unwrap();
            let rollover = allowance.get("rollover");
            if let Some(cap) = rollover.and_then(|it| it.get("cap")) {
                let cap = Ratio::decimal(cap.as_str().unwrap());
                if take_beyond(&mut account.grants, key, now, &cap) {
                    met("rollover is capped");
                }
            }
            let cycles = rollover.map_or(0, |it| it["cycles"].as_i64().unwrap());
            let carried = i16::try_from(cycles).unwrap();
            account.grants.push(NaiveGrant {
                allowance: key.to_owned(),
                left: Ratio::whole(allowance["quantity"].as_i64().unwrap()),
                starts: now,
                expires: self.start(month + months * (carried + 1)),
            });
        }
    }
}

/// Takes what is carried beyond the cap, unit by unit of what expires first.
fn take_beyond(grants: &mut [NaiveGrant], key: &str, now: Timestamp, cap: &Ratio) -> bool {
    let carried = |grant: &&mut NaiveGrant| grant.allowance == key && grant.expires > now;
    let mut carried: Vec<_> = grants.iter_mut().filter(carried).collect();
    carried.sort_by_key(|grant| grant.expires);
    let sum = |sum: Ratio, grant: &&mut NaiveGrant| sum.plus(&grant.left);
    let mut excess = carried.iter().fold(Ratio::whole(0), sum).minus(cap);
    let mut has_taken = false;
    for grant in carried {
        if excess <= Ratio::whole(0) {
            break;
        }
        let part = if grant.left < excess {
            grant.left.clone()
        } else {
            excess.clone()
        };
        has_taken |= part != Ratio::whole(0);
        grant.left = grant.left.minus(&part);
        excess = excess.minus(&part);
    }
    has_taken
}

/// Credit in cents: received, expires, left.
type NaiveLot = (Timestamp, Option<Timestamp>, i64);

/// Both wallets.
struct Purse {
    wallet: Wallet,
    lots: Vec<NaiveLot>,
}

impl Purse {
    /// With some top-ups in the year.
    fn new(random: &mut Random) -> Self {
        let begin: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        let days = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        let (mut wallet, mut lots) = (Wallet::new(Currency::USD), Vec::new());
        for number in 0..random.below(6) {
            let received_at = begin + days(random.below(300));
            let expires_at =
                (random.below(3) > 0).then(|| received_at + days(5 + random.below(120)));
            let cents = i64::from(1 + random.below(3_000));
            lots.push((received_at, expires_at, cents));
            let lot = Lot {
                id: WalletMovementId::new(Uuid::from_u128(number.into())),
                left: Money::from_minor(cents, Currency::USD),
                received_at,
                expires_at,
            };
            wallet.top_up(lot).unwrap();
        }
        Self { wallet, lots }
    }

    /// Pays a period that ends at `end`: as much as there is, of what expires first.
    fn pay(&mut self, core: Fraction, naive: &Ratio, end: Timestamp, seen: &mut Seen) {
        let mut met = |label: &str| *seen.entry(label.to_owned()).or_default() += 1;
        let lost = self.wallet.expired(end);
        self.wallet.book(&lost).unwrap();
        for lot in &mut self.lots {
            if lot.1.is_some_and(|expires| expires <= end) && lot.2 > 0 {
                met("credit expires");
                lot.2 = 0;
            }
        }
        let amount = round_to_minor(core, Currency::USD, Rounding::HalfUp)
            .unwrap()
            .money;
        let mut cents = cents(naive);
        assert_eq!(amount.minor(), cents);
        if cents > 0 {
            let drawn = self.wallet.draw(amount, end).unwrap();
            self.wallet.book(&drawn.draws).unwrap();
            let mut usable: Vec<_> = self.lots.iter_mut().filter(|lot| lot.0 <= end).collect();
            usable.sort_by_key(|lot| (lot.1.is_none(), lot.1, lot.0));
            for lot in usable {
                let part = lot.2.min(cents);
                lot.2 -= part;
                cents -= part;
            }
            assert_eq!(drawn.rest.minor(), cents);
            met(if cents == 0 {
                "wallet pays"
            } else {
                "wallet falls short"
            });
        }
        let left: Vec<i64> = self
            .wallet
            .lots
            .iter()
            .map(|lot| lot.left.minor())
            .collect();
        let expected: Vec<i64> = self.lots.iter().map(|lot| lot.2).collect();
        assert_eq!(left, expected);
    }
}

/// Half up, as nobody else does it: the whole cents of the amount and half a cent.
fn cents(amount: &Ratio) -> i64 {
    let half = Ratio::whole(1).over(&Ratio::whole(2));
    let is_negative = *amount < Ratio::whole(0);
    let size = if is_negative {
        Ratio::whole(0).minus(amount)
    } else {
        amount.clone()
    };
    let raised = size.times(&Ratio::whole(100)).plus(&half);
    let up: BigInt = raised.ceil();
    let whole = if Ratio::from(up.clone()) == raised {
        up
    } else {
        up - 1
    };
    let whole = i64::try_from(whole).unwrap();
    if is_negative { -whole } else { whole }
}

/// Leads an account of a random plan through its periods, both ways; returns how many usages were compared.
pub(crate) fn agree_through_periods(seed: usize, count: usize, tally: &mut Seen) -> usize {
    let mut random = Random::new(u64::try_from(seed).unwrap());
    let (plan, decks) = (random.plan(), random.decks());
    let terms = agreement::terms(&plan, &decks);
    let document = Offer::read(&serde_json::to_vec(&plan).unwrap())
        .unwrap()
        .document;
    let (zone, day) = (random.pick(&ZONES), random.pick(&[1, 15, 29, 31]));
    let schedule = Schedule::new(date(2026, 1, day), 1, zone.parse().unwrap()).unwrap();
    let mut state = State::new(schedule.period(0).unwrap().start());
    let mut cycles = Cycles::new(&document, schedule).unwrap();
    let (zone, mut account) = (TimeZone::get(zone).unwrap(), Account::default());
    let mut months = Months {
        zone,
        day,
        current: None,
    };
    let mut purse = Purse::new(&mut random);
    let mut drawn: Vec<_> = (0..count).map(|_| random.usage()).collect();
    drawn.sort_by_key(|usage| usage.at);
    let (mut exact, mut sum) = (Fraction::ZERO, Ratio::whole(0));
    for (id, usage) in (0_u128..).zip(&drawn) {
        let before = state.period_start;
        cycles.advance(&mut state, usage.at).unwrap();
        months.advance(usage.at, &plan, &mut account, tally);
        if before != state.period_start {
            purse.pay(exact, &sum, state.period_start, tally);
            (exact, sum) = (Fraction::ZERO, Ratio::whole(0));
        }
        let event = agreement::usage(usage, id);
        let rated = rate(&event, &terms, &state).unwrap();
        state.apply(&rated).unwrap();
        let expected = naive::rate(&plan, &decks, usage, &mut account);
        let actual = rated.total().unwrap();
        assert_eq!(
            actual.map(Ratio::of),
            expected,
            "seed {seed}, usage {id}: {usage:?}\n{plan}"
        );
        if let (Some(actual), Some(expected)) = (actual, expected) {
            exact = exact.checked_add(actual).unwrap();
            sum = sum.plus(&expected);
        }
        let left = state
            .grants
            .iter()
            .map(|grant| Ratio::of(grant.left().unwrap().to_fraction()));
        let naive_left = account.grants.iter().map(|grant| grant.left.clone());
        assert!(
            left.eq(naive_left),
            "seed {seed}, usage {id}: {plan}\n{:#?}\n{account:#?}",
            state.grants
        );
        let is_carried = |draw: &tollbook_core::rating::GrantDraw| {
            let of_grant = |grant: &&tollbook_core::rating::Grant| grant.id == draw.grant_id;
            state.grants.iter().find(of_grant).unwrap().starts_at < state.period_start
        };
        if rated.grant_draws.iter().any(is_carried) {
            *tally
                .entry("drawn from an earlier grant".to_owned())
                .or_default() += 1;
        }
        note(&plan, &decks, &event, &rated, tally);
    }
    purse.pay(exact, &sum, "2027-06-01T00:00:00Z".parse().unwrap(), tally);
    drawn.len()
}
