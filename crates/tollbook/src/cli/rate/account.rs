//! The account that calls are rated for: its periods, its allowance, and its wallet.

use anyhow::{Result, bail};
use jiff::Timestamp;
use tollbook_core::calls::Direction;
use tollbook_core::ids::UsageEventId;
use tollbook_core::invoices::{Conditions, Gathering, Preview, TaxTreatment};
use tollbook_core::metering::BuiltInMeter;
use tollbook_core::money::{Fraction, Money, Quantity, Rounding};
use tollbook_core::phone::E164;
use tollbook_core::plans::Document;
use tollbook_core::rating::{self, Cycles, ProviderCost, Rated, State, Terms, Usage};
use tollbook_core::subscriptions::Schedule;
use tollbook_core::time::{Period, Zone};
use tollbook_core::wallets::longest_call;
use uuid::Uuid;

use super::calls::Metered;
use super::file::{AccountFile, OpenFile, Purse, price};
use super::subscription::{Subscription, SubscriptionFile};

/// An account while calls are rated.
#[derive(Debug)]
pub(super) struct Account<'a> {
    document: &'a Document,
    terms: &'a Terms,
    schedule: Schedule,
    subscription: Subscription,
    cycles: Cycles<'a>,
    state: State,
    purse: Option<Purse>,
    /// With the plan's commitment.
    conditions: Conditions,
    /// `None` until it is known when the account begins.
    open: Option<Open>,
    /// Credit that was lost, in minor units.
    expired: i64,
    unrated: u32,
}

/// The period that is being filled.
#[derive(Debug, Default)]
struct Open {
    gathering: Gathering,
    /// What the wallet has paid of it, in minor units.
    drawn: i64,
    last_at: Option<Timestamp>,
}

/// A period as the calls leave it.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) period: Period,
    pub(super) preview: Preview,
    /// What the wallet pays of it, if there is a wallet.
    pub(super) drawn: Option<Money>,
}

/// Why a usage has no charge.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unrated {
    #[error(transparent)]
    Rating(#[from] rating::Error),
    #[error("the subscription is not in force at that time")]
    NotInForce,
}

impl<'a> Account<'a> {
    pub(super) fn new(
        document: &'a Document,
        terms: &'a Terms,
        file: AccountFile,
        zone: Zone,
        first_at: Option<Timestamp>,
        rounding: Rounding,
    ) -> Result<Self> {
        let currency = terms.currency();
        let starts_at = file.subscription.as_ref().map(|it| it.starts_at);
        let begins = file.period_start.or(starts_at).or(first_at);
        let anchor_on = file.anchor_on.unwrap_or_else(|| match starts_at {
            Some(at) => zone.date(at),
            None => zone.date(begins.unwrap_or_default()).first_of_month(),
        });
        let schedule = Schedule::new(anchor_on, document.interval_months.into(), zone.clone())?;
        let period = schedule.period(schedule.index_at(begins.unwrap_or_default())?)?;
        if file
            .period_start
            .is_some_and(|start| start != period.start())
        {
            bail!(
                "the account's `periodStart` is no start of a period; the period at that time starts at {}",
                period.start()
            );
        }
        let subscription = file.subscription.unwrap_or(SubscriptionFile {
            starts_at: period.start(),
            ends_at: None,
            pauses: Vec::new(),
        });
        let subscription = Subscription::new(subscription, document, zone)?;
        let purse = file.wallet.as_ref();
        let commitment = document.minimum_commitment;
        let mut account = Self {
            document,
            terms,
            cycles: Cycles::new(document, schedule.clone())?.in_force(subscription.in_force()),
            schedule,
            subscription,
            state: State {
                period_start: period.start(),
                grants: file.grants,
                tiers: file.tiers,
            },
            purse: purse.map(|it| Purse::read(it, currency)).transpose()?,
            conditions: Conditions {
                currency,
                rounding,
                tax: file.tax.unwrap_or(TaxTreatment::Exempt),
                discount: file.discount,
                minimum_commitment: commitment
                    .map(|price| Money::from_price(price, currency))
                    .transpose()?,
            },
            open: None,
            expired: 0,
            unrated: 0,
        };
        match file.open {
            Some(open) => {
                account.cycles.advance(&mut account.state, period.start())?;
                account.open = Some(Open {
                    gathering: open.gathered,
                    drawn: Money::from_price(open.drawn, currency)?.minor(),
                    last_at: open.last_at,
                });
            }
            None if begins.is_some() => account.begin(&period)?,
            None => {}
        }
        // Nothing can be said of a discount or tax that is none, however little it is of.
        account.preview(&Gathering::default(), true)?;
        Ok(account)
    }

    /// Goes to the period of a usage; gives those before, which are over.
    pub(super) fn enter(&mut self, metered: &Metered) -> Result<Vec<Closed>> {
        let at = metered.usage.occurred_at;
        if at < self.state.period_start {
            let (line, start) = (metered.line, self.state.period_start);
            bail!("line {line}: {at} is before the account's period, which starts at {start}");
        }
        let mut closed = Vec::new();
        loop {
            let period = self.current()?;
            if period.contains(at) {
                break;
            }
            closed.extend(self.add_up()?);
            let next = self.schedule.index_at(period.end())?;
            self.begin(&self.schedule.period(next)?)?;
        }
        self.cycles.advance(&mut self.state, at)?;
        self.expire(at)?;
        Ok(closed)
    }

    /// Begins a period with what is due in advance.
    fn begin(&mut self, period: &Period) -> Result<()> {
        self.cycles.advance(&mut self.state, period.start())?;
        let mut open = Open::default();
        for (due_at, fee) in self.subscription.fees(period, self.document, self.terms)? {
            open.gathering.add(&fee)?;
            open.last_at = open.last_at.or(Some(due_at));
        }
        self.open = Some(open);
        match self.open.as_ref().and_then(|it| it.last_at) {
            Some(due_at) => self.expire(due_at),
            None => Ok(()),
        }
    }

    /// Rates a usage and books it. One that cannot be rated is counted, and changes nothing.
    pub(super) fn rate(&mut self, metered: &Metered) -> Result<Rated, Unrated> {
        let rated = self.book(&metered.usage);
        if let Some(purse) = &mut self.purse {
            purse.release(&metered.id);
        }
        if rated.is_err() {
            self.unrated = self.unrated.saturating_add(1);
        }
        rated
    }

    fn book(&mut self, usage: &Usage) -> Result<Rated, Unrated> {
        if !self.subscription.is_in_force(usage.occurred_at) {
            return Err(Unrated::NotInForce);
        }
        let rated = rating::rate(usage, self.terms, &self.state)?;
        self.state.apply(&rated).map_err(rating::Error::from)?;
        let open = self.open.get_or_insert_default();
        for part in &rated.parts {
            open.gathering.add(part).map_err(rating::Error::from)?;
        }
        open.last_at = Some(usage.occurred_at);
        Ok(rated)
    }

    pub(super) fn unrated(&self) -> u32 {
        self.unrated
    }

    /// Adds up the period as if it were over; `None` if there is nothing in it.
    pub(super) fn add_up(&mut self) -> Result<Option<Closed>> {
        self.settle(true)?;
        let Some(open) = &self.open else {
            return Ok(None);
        };
        let preview = self.preview(&open.gathering, true)?;
        let is_empty = preview.lines.is_empty() && preview.commitment.is_none();
        if is_empty && preview.pending == 0 && open.last_at.is_none() {
            return Ok(None);
        }
        let drawn = Money::from_minor(open.drawn, self.conditions.currency);
        Ok(Some(Closed {
            period: self.current()?,
            preview,
            drawn: self.purse.as_ref().map(|_| drawn),
        }))
    }

    fn preview(&self, gathering: &Gathering, is_over: bool) -> Result<Preview> {
        let is_due = is_over && self.subscription.is_paid(&self.current()?);
        let commitment = self.conditions.minimum_commitment.filter(|_| is_due);
        Ok(gathering.preview(&Conditions {
            minimum_commitment: commitment,
            ..self.conditions.clone()
        })?)
    }

    fn current(&self) -> Result<Period> {
        let index = self.schedule.index_at(self.state.period_start)?;
        Ok(self.schedule.period(index)?)
    }

    /// Takes expired credit out of the wallet, once what was used before is paid with it.
    fn expire(&mut self, at: Timestamp) -> Result<()> {
        let has_expired = |purse: &Purse| !purse.wallet.expired(at).is_empty();
        if !self.purse.as_ref().is_some_and(has_expired) {
            return Ok(());
        }
        self.settle(false)?;
        if let Some(Purse { wallet, .. }) = &mut self.purse {
            let lost = wallet.expired(at);
            wallet.book(&lost)?;
            let lost: i64 = lost.iter().map(|draw| draw.amount.minor()).sum();
            self.expired = self.expired.saturating_add(lost);
        }
        Ok(())
    }

    /// What was lost of the wallet, if there is one.
    pub(super) fn expired(&self) -> Option<Money> {
        let lost = Money::from_minor(self.expired, self.conditions.currency);
        self.purse.as_ref().map(|_| lost)
    }

    /// Draws from the wallet what the period comes to, as of the last charge in it.
    fn settle(&mut self, is_over: bool) -> Result<()> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let total = self.preview(&open.gathering, is_over)?.totals.total;
        let at = open.last_at.unwrap_or(self.state.period_start);
        if let (Some(Purse { wallet, .. }), Some(open)) = (&mut self.purse, &mut self.open) {
            let wanted = total.minor().saturating_sub(open.drawn);
            if wanted > 0 {
                let wanted = Money::from_minor(wanted, wallet.currency);
                let drawn = wallet.draw(wanted, at)?;
                wallet.book(&drawn.draws)?;
                let paid = wanted.checked_sub(drawn.rest)?.minor();
                open.drawn = open.drawn.saturating_add(paid);
            }
        }
        Ok(())
    }

    /// When something was last charged, or the period began.
    fn last_at(&self) -> Timestamp {
        let last_at = self.open.as_ref().and_then(|it| it.last_at);
        last_at.unwrap_or(self.state.period_start)
    }

    /// What another call may cost after `last`, the period so far; `None` without a wallet.
    pub(super) fn available(&self, last: Option<&Closed>) -> Result<Option<Fraction>> {
        let Some(Purse { wallet, .. }) = &self.purse else {
            return Ok(None);
        };
        let mut not_drawn = Fraction::ZERO;
        if let Some(Closed { preview, drawn, .. }) = last {
            let drawn = drawn.unwrap_or(Money::zero(wallet.currency));
            not_drawn = preview.totals.total.checked_sub(drawn)?.to_fraction();
        }
        Ok(Some(wallet.available(not_drawn, self.last_at())?))
    }

    /// How many seconds a call that begins now may last; without a wallet, as long as it costs nothing.
    pub(super) fn longest_call(&self, to: E164, last: Option<&Closed>) -> Result<u32> {
        let occurred_at = self.last_at();
        if !self.subscription.is_in_force(occurred_at) {
            return Ok(0);
        }
        let call = Usage {
            id: UsageEventId::new(Uuid::nil()),
            meter: BuiltInMeter::CallDurationSeconds.code(),
            quantity: Quantity::ZERO,
            occurred_at,
            is_time: true,
            direction: Some(Direction::Outgoing),
            destination: Some(to),
            provider_cost: ProviderCost::Pending,
        };
        let available = self.available(last)?.unwrap_or(Fraction::ZERO);
        Ok(longest_call(&call, self.terms, &self.state, available)?)
    }

    /// The account as it is now.
    pub(super) fn file(&self) -> Result<AccountFile> {
        let currency = self.conditions.currency;
        let open = |open: &Open| -> Result<OpenFile> {
            Ok(OpenFile {
                gathered: open.gathering.clone(),
                drawn: price(Money::from_minor(open.drawn, currency))?,
                last_at: open.last_at,
            })
        };
        let has_begun = self.open.is_some();
        let purse = self.purse.as_ref();
        Ok(AccountFile {
            zone: Some(self.schedule.zone().clone()),
            anchor_on: has_begun.then(|| self.schedule.anchor_on()),
            subscription: has_begun.then(|| self.subscription.file().clone()),
            tax: Some(self.conditions.tax.clone()).filter(|tax| *tax != TaxTreatment::Exempt),
            discount: self.conditions.discount,
            period_start: has_begun.then_some(self.state.period_start),
            open: self.open.as_ref().map(open).transpose()?,
            grants: self.state.grants.clone(),
            tiers: self.state.tiers.clone(),
            wallet: purse.map(|it| it.file(self.last_at())).transpose()?,
        })
    }
}
