//! How long a call may last on what its payers have left, and what each of them then holds for it.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::WalletId;
use tollbook_core::limits::{Limiter, binding, left_under};
use tollbook_core::money::{Currency, Fraction, Money};
use tollbook_core::payer::PayerKind;
use tollbook_core::rating::{Error as Unrated, State, Usage, rate};
use tollbook_core::wallets::{InProgress, Promise, promise};

use super::store::{Other, OtherPart, Part, Standing, stored};
use crate::error::{Error, Result};
use crate::rating::{Dialed, Prepared, Ready, TermsCache, add_decks};
use crate::wallets::money;

/// A call that is asked for, and for how long.
pub(super) struct Asked {
    /// What is called, and when.
    pub(super) call: Usage,
    /// How long it is to last, from its start.
    pub(super) seconds: u32,
    /// The field that names the other side.
    pub(super) external_field: &'static str,
    pub(super) now: Timestamp,
}

/// How long a call may last, and what is held for it.
pub(super) struct Planned {
    /// Up to what is asked; 0 if it may not begin, and then nothing is held.
    pub(super) seconds: u32,
    /// What each payer holds.
    pub(super) parts: Vec<Part>,
    /// Whose cap does not let it begin, where it is not credit that is missing.
    pub(super) capped: Option<PayerKind>,
}

/// The longest that the call may last for all who pay for it, and what each then holds.
pub(super) async fn plan(
    tx: &mut PgConnection,
    cache: &TermsCache,
    standings: Vec<Standing>,
    asked: &Asked,
) -> Result<Planned> {
    let own = standings.iter().filter_map(|it| it.terms.clone());
    let others = standings.iter().flat_map(|it| &it.calls);
    let mut keys: Vec<_> = own.chain(others.filter_map(Other::terms)).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut terms = cache.get(tx, &keys).await?;
    let new = standings.iter().filter_map(|it| {
        Some(Dialed {
            terms: it.terms.clone()?,
            number: asked.call.destination.as_ref()?,
            at: asked.call.occurred_at,
        })
    });
    let open = standings.iter().flat_map(|it| &it.calls);
    let open = open.filter_map(Other::dialed);
    add_decks(tx, &mut terms, new.chain(open)).await?;
    let accounts = standings
        .into_iter()
        .map(|standing| Account::new(standing, &terms, asked))
        .collect::<Result<Vec<_>>>()?;
    let mut seconds = asked.seconds;
    for account in &accounts {
        if let Some(promise) = account.promise(asked, seconds, &terms)? {
            seconds = promise.seconds;
        }
        if seconds == 0 {
            let limiter = account.limit.map(|limit| limit.limiter);
            return Ok(Planned {
                seconds,
                parts: Vec::new(),
                capped: (limiter == Some(Limiter::Cap)).then_some(account.standing.payer),
            });
        }
    }
    let parts = accounts
        .into_iter()
        .map(|account| account.part(asked, seconds, &terms))
        .collect::<Result<_>>()?;
    Ok(Planned {
        seconds,
        parts,
        capped: None,
    })
}

/// What a call may come to, and where that is held.
#[derive(Clone, Copy)]
struct Limit {
    /// `None`: under a cap alone.
    wallet: Option<WalletId>,
    currency: Currency,
    /// Neither spent nor set aside, with what expired calls held; exact, in major units.
    available: Fraction,
    limiter: Limiter,
    is_capped: bool,
}

/// An account, and what its other calls leave of it.
struct Account {
    standing: Standing,
    prepared: Option<Arc<Prepared>>,
    limit: Option<Limit>,
    /// Calls that share the wallet, or the cap.
    beside: Vec<Other>,
    /// Those of them that have expired.
    over: Vec<Other>,
    /// Once calls without credit have what they may use of included time.
    state: State,
}

impl Account {
    fn new(mut standing: Standing, terms: &Ready, asked: &Asked) -> Result<Self> {
        let prepared = match standing.terms.as_ref().and_then(|key| terms.get(key)) {
            Some(Ok(prepared)) => Some(Arc::clone(prepared)),
            Some(Err(why)) => return Err(unpriced(why)),
            None => None,
        };
        let mut credit = standing.credit;
        if let Some(own) = &standing.own {
            // Who paid by invoice when the call began does so to its end.
            credit = credit.filter(|credit| own.wallet == Some(credit.wallet));
        }
        let wallet = credit.map(|credit| credit.wallet);
        let cap = hard_cap(&standing, prepared.as_deref())?;
        let is_limited = wallet.is_some() || cap.is_some();
        let shares = |call: &Other| {
            let is_held = call.wallet.is_some() || call.cap_currency.is_some();
            is_limited && is_held && call.wallet == wallet
        };
        let calls = std::mem::take(&mut standing.calls);
        let under_cap = cap
            .map(|cap| left(&standing, cap, &calls, asked))
            .transpose()?;
        let (over, open): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .partition(|call| call.expires_at <= asked.now);
        let over: Vec<Other> = over.into_iter().filter(shares).collect();
        let (beside, apart): (Vec<_>, Vec<_>) = open.into_iter().partition(shares);
        if let Some(credit) = &mut credit {
            for call in &over {
                let aside = call.aside(credit.currency)?.to_fraction();
                let available = credit.available.checked_add(aside);
                credit.available = available.map_err(|e| stored(&e))?;
            }
        }
        let bound = binding(credit.map(|credit| credit.available), under_cap);
        let limit = bound
            .zip(prepared.as_ref())
            .map(|((available, limiter), prepared)| Limit {
                wallet,
                currency: prepared.terms.currency(),
                available,
                limiter,
                is_capped: cap.is_some(),
            });
        let is_shared = prepared.as_ref().is_some_and(|it| it.is_shared);
        let mut state = standing.state.clone();
        for call in apart.iter().filter(|_| is_shared && is_limited) {
            use_up(&mut state, call, terms)?;
        }
        Ok(Self {
            beside: if is_shared { beside } else { Vec::new() },
            standing,
            prepared,
            limit,
            over,
            state,
        })
    }

    /// How long the call may last for this account; `None` where nobody sells calls to it.
    fn promise(&self, asked: &Asked, seconds: u32, terms: &Ready) -> Result<Option<Promise>> {
        let Some(prepared) = &self.prepared else {
            return Ok(None);
        };
        let currency = prepared.terms.currency();
        let aside = match (&self.standing.own, self.limit) {
            (Some(own), Some(_)) => money(own.amount, currency)?,
            _ => Money::zero(currency),
        };
        let call = InProgress {
            call: asked.call.clone(),
            terms: &prepared.terms,
            period_start: self.standing.state.period_start,
            aside,
        };
        let open = self
            .beside
            .iter()
            .map(|other| {
                let prepared = prepared_of(other, terms)?;
                other.in_progress(&prepared.terms, currency)
            })
            .collect::<Result<Vec<_>>>()?;
        let available: Option<Fraction> = self.limit.map(|limit| limit.available);
        promise(&call, seconds, &open, &self.state, available)
            .map(Some)
            .map_err(|error| unrated(&error, asked.external_field))
    }

    /// What the account holds for a call of so many seconds.
    fn part(self, asked: &Asked, seconds: u32, terms: &Ready) -> Result<Part> {
        let promised = self.promise(asked, seconds, terms)?.zip(self.limit);
        let mut part = Part {
            account: self.standing.account,
            payer: self.standing.payer,
            terms: self.standing.terms,
            zone: self.standing.zone,
            period_start: self.standing.state.period_start,
            wallet: promised.as_ref().and_then(|(_, limit)| limit.wallet),
            amount: promised.as_ref().map(|(promise, _)| promise.amount),
            cap_currency: promised
                .as_ref()
                .and_then(|(_, limit)| limit.is_capped.then_some(limit.currency)),
            others: Vec::new(),
            change: None,
        };
        let Some((promise, Limit { currency, .. })) = promised else {
            return Ok(part);
        };
        let mut change = promise.amount;
        if let Some(own) = &self.standing.own {
            change = less(change, money(own.amount, currency)?)?;
        }
        let others = self.beside.iter().zip(promise.others);
        let open = others.map(|(other, amount)| (other, amount, false));
        let over = self
            .over
            .iter()
            .map(|other| (other, Money::zero(currency), true));
        for (other, amount, is_over) in open.chain(over) {
            let before = other.aside(currency)?;
            change = less(change, less(before, amount)?)?;
            if is_over || amount != before {
                part.others.push(OtherPart {
                    authorization: other.authorization,
                    amount,
                    is_over,
                });
            }
        }
        part.change = Some(change);
        Ok(part)
    }
}

/// What usage of the period may cost at most, where no call is let through beyond it.
fn hard_cap(standing: &Standing, prepared: Option<&Prepared>) -> Result<Option<Money>> {
    let Some(prepared) = prepared else {
        return Ok(None);
    };
    match standing.cap {
        Some(own) if own.is_hard => money(own.amount, prepared.terms.currency()).map(Some),
        Some(_) => Ok(None),
        None => Ok(prepared
            .cap
            .filter(|(_, is_hard)| *is_hard)
            .map(|(cap, _)| cap)),
    }
}

/// What is left under a cap beside the calls in progress of the same period, and beside what the call has already.
fn left(standing: &Standing, cap: Money, calls: &[Other], asked: &Asked) -> Result<Fraction> {
    let (currency, period) = (cap.currency(), standing.state.period_start);
    let spent = standing.totals.iter().find(|it| it.period_start == period);
    let spent = spent.map_or(Fraction::ZERO, |it| it.amount.to_fraction());
    let counts = |call: &&Other| {
        let is_under = call.cap_currency == Some(currency) && call.period_start == period;
        is_under && call.expires_at > asked.now
    };
    let held = calls.iter().filter(counts).map(|call| call.aside(currency));
    let mut held = held.collect::<Result<Vec<Money>>>()?;
    if let Some(own) = &standing.own {
        held.push(money(own.amount, currency)?);
    }
    left_under(cap, spent, held).map_err(|e| stored(&e))
}

fn less(amount: Money, by: Money) -> Result<Money> {
    amount.checked_sub(by).map_err(|e| stored(&e))
}

fn prepared_of<'a>(other: &Other, terms: &'a Ready) -> Result<&'a Prepared> {
    match other.terms().and_then(|key| terms.get(&key)) {
        Some(Ok(prepared)) => Ok(prepared),
        Some(Err(why)) => Err(unpriced(why)),
        None => Err(stored(&"a call with credit and without terms")),
    }
}

/// Takes from the state what a call may use of it.
fn use_up(state: &mut State, call: &Other, terms: &Ready) -> Result<()> {
    let Some(Ok(prepared)) = call.terms().and_then(|key| terms.get(&key).cloned()) else {
        return Ok(());
    };
    let mut own = State {
        period_start: call.period_start,
        ..state.clone()
    };
    let usage = call.in_progress(&prepared.terms, prepared.terms.currency())?;
    if let Ok(rated) = rate(&usage.call, &prepared.terms, &own) {
        own.apply(&rated).map_err(|e| stored(&e))?;
        (state.grants, state.tiers) = (own.grants, own.tiers);
    }
    Ok(())
}

fn unpriced(why: &str) -> Error {
    Error::conflict("not_priced", format!("the call cannot be priced: {why}"))
}

fn unrated(error: &Unrated, external_field: &str) -> Error {
    match error {
        Unrated::NoDestination(_) => Error::invalid(external_field, error.to_string()),
        Unrated::Negative | Unrated::Overflow(_) => stored(error),
    }
}
