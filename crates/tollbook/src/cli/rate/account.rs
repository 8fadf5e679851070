//! The account that calls are rated for: its file, its periods, its allowance, and its wallet.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tollbook_core::ids::WalletMovementId;
use tollbook_core::invoices::{Conditions, Gathering, Preview, TaxTreatment};
use tollbook_core::money::{Currency, Money, Price, Rounding};
use tollbook_core::plans::Document;
use tollbook_core::rating::{self, Cycles, Grant, Rated, State, Terms, TierTotal, Usage};
use tollbook_core::subscriptions::Schedule;
use tollbook_core::time::{Period, Zone};
use tollbook_core::wallets::{Lot, Wallet};
use uuid::Uuid;

use super::calls::Metered;

/// An account as JSON. Everything is optional.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AccountFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Zone>,
    /// A day on which a period begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor_on: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period_start: Option<Timestamp>,
    #[serde(default)]
    grants: Vec<Grant>,
    #[serde(default)]
    tiers: Vec<TierTotal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wallet: Option<WalletFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WalletFile {
    currency: Currency,
    lots: Vec<LotFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LotFile {
    left: Price,
    received_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl AccountFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        let mut reader = serde_json::Deserializer::from_slice(&text);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let field = error.path().to_string();
            anyhow!("{name}: `{field}`: {}", error.into_inner())
        })
    }

    pub(super) fn zone(&self) -> Option<&Zone> {
        self.zone.as_ref()
    }
}

impl WalletFile {
    fn of(wallet: &Wallet) -> Result<Self> {
        let lot = |lot: &Lot| -> Result<LotFile> {
            Ok(LotFile {
                left: lot.left.amount().parse()?,
                received_at: lot.received_at,
                expires_at: lot.expires_at,
            })
        };
        Ok(Self {
            currency: wallet.currency,
            lots: wallet.lots.iter().map(lot).collect::<Result<_>>()?,
        })
    }

    fn wallet(&self) -> Result<Wallet> {
        let mut wallet = Wallet::new(self.currency);
        for (lot, number) in self.lots.iter().zip(1_u128..) {
            wallet.lots.push(Lot {
                id: WalletMovementId::new(Uuid::from_u128(number)),
                left: Money::from_price(lot.left, self.currency)?,
                received_at: lot.received_at,
                expires_at: lot.expires_at,
            });
        }
        Ok(wallet)
    }
}

/// An account while calls are rated.
pub(super) struct Account<'a> {
    terms: &'a Terms,
    schedule: Schedule,
    cycles: Cycles<'a>,
    state: State,
    wallet: Option<Wallet>,
    conditions: Conditions,
    period: Open,
    /// Credit that was lost, in minor units.
    expired: i64,
    unrated: u32,
}

/// The period that is being filled.
#[derive(Default)]
struct Open {
    gathering: Gathering,
    /// What the wallet has paid of it.
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

impl<'a> Account<'a> {
    pub(super) fn new(
        document: &'a Document,
        terms: &'a Terms,
        file: AccountFile,
        zone: Zone,
        first_at: Option<Timestamp>,
        rounding: Rounding,
    ) -> Result<Self> {
        let first_at = file.period_start.or(first_at).unwrap_or_default();
        let anchor_on = file
            .anchor_on
            .unwrap_or_else(|| zone.date(first_at).first_of_month());
        let schedule = Schedule::new(anchor_on, document.interval_months.into(), zone)?;
        let period = schedule.period(schedule.index_at(first_at)?)?;
        if file
            .period_start
            .is_some_and(|start| start != period.start())
        {
            bail!(
                "the account's `periodStart` is no start of a period; the period at that time starts at {}",
                period.start()
            );
        }
        let wallet = file.wallet.as_ref().map(WalletFile::wallet).transpose()?;
        if let Some(wallet) = wallet.as_ref().filter(|it| it.currency != terms.currency()) {
            let (has, wanted) = (wallet.currency, terms.currency());
            bail!("the account's wallet has {has}, but the plan is in {wanted}");
        }
        Ok(Self {
            terms,
            cycles: Cycles::new(document, schedule.clone())?,
            schedule,
            state: State {
                period_start: period.start(),
                grants: file.grants,
                tiers: file.tiers,
            },
            wallet,
            conditions: Conditions {
                currency: terms.currency(),
                rounding,
                tax: TaxTreatment::Exempt,
                discount: None,
                minimum_commitment: None,
            },
            period: Open::default(),
            expired: 0,
            unrated: 0,
        })
    }

    /// Goes to the period of a usage; gives the one before, if that is over.
    pub(super) fn enter(&mut self, metered: &Metered) -> Result<Option<Closed>> {
        let at = metered.usage.occurred_at;
        if at < self.state.period_start {
            let (line, start) = (metered.line, self.state.period_start);
            bail!("line {line}: {at} is before the account's period, which starts at {start}");
        }
        let closed = if self.current()?.contains(at) {
            None
        } else {
            self.close()?
        };
        self.cycles.advance(&mut self.state, at)?;
        self.expire(at)?;
        Ok(closed)
    }

    /// Rates a usage and books it. One that cannot be rated is counted, and changes nothing.
    pub(super) fn rate(&mut self, usage: &Usage) -> Result<Rated, rating::Error> {
        let rated = rating::rate(usage, self.terms, &self.state).and_then(|rated| {
            self.state.apply(&rated)?;
            for part in &rated.parts {
                self.period.gathering.add(part)?;
            }
            Ok(rated)
        });
        self.period.last_at = Some(usage.occurred_at);
        if rated.is_err() {
            self.unrated = self.unrated.saturating_add(1);
        }
        rated
    }

    pub(super) fn unrated(&self) -> u32 {
        self.unrated
    }

    /// Adds up the period so far; `None` if nothing was used in it.
    pub(super) fn close(&mut self) -> Result<Option<Closed>> {
        if self.period.last_at.is_none() {
            return Ok(None);
        }
        self.settle()?;
        let open = std::mem::take(&mut self.period);
        let drawn = Money::from_minor(open.drawn, self.conditions.currency);
        Ok(Some(Closed {
            period: self.current()?,
            preview: open.gathering.preview(&self.conditions)?,
            drawn: self.wallet.as_ref().map(|_| drawn),
        }))
    }

    fn current(&self) -> Result<Period> {
        let index = self.schedule.index_at(self.state.period_start)?;
        Ok(self.schedule.period(index)?)
    }

    /// Takes expired credit out of the wallet, once what was used before is paid with it.
    fn expire(&mut self, at: Timestamp) -> Result<()> {
        let has_expired = |wallet: &Wallet| !wallet.expired(at).is_empty();
        if !self.wallet.as_ref().is_some_and(has_expired) {
            return Ok(());
        }
        self.settle()?;
        if let Some(wallet) = &mut self.wallet {
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
        self.wallet.as_ref().map(|_| lost)
    }

    /// Draws from the wallet what the period comes to so far, as of its last usage.
    fn settle(&mut self) -> Result<()> {
        let (Some(wallet), Some(at)) = (&mut self.wallet, self.period.last_at) else {
            return Ok(());
        };
        let total = self
            .period
            .gathering
            .preview(&self.conditions)?
            .totals
            .total;
        let wanted = total.minor().saturating_sub(self.period.drawn);
        if wanted > 0 {
            let wanted = Money::from_minor(wanted, wallet.currency);
            let drawn = wallet.draw(wanted, at)?;
            wallet.book(&drawn.draws)?;
            let paid = wanted.checked_sub(drawn.rest)?.minor();
            self.period.drawn = self.period.drawn.saturating_add(paid);
        }
        Ok(())
    }

    /// The account as it is now.
    pub(super) fn file(&self) -> Result<AccountFile> {
        Ok(AccountFile {
            zone: Some(self.schedule.zone().clone()),
            anchor_on: Some(self.schedule.anchor_on()),
            period_start: Some(self.state.period_start),
            grants: self.state.grants.clone(),
            tiers: self.state.tiers.clone(),
            wallet: self.wallet.as_ref().map(WalletFile::of).transpose()?,
        })
    }

    /// Replaces the file in one step, so that no half of an account is ever found.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let cannot = || format!("cannot write {}", path.display());
        let mut text = serde_json::to_string_pretty(&self.file()?)?;
        text.push('\n');
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        std::fs::write(&beside, text).with_context(cannot)?;
        std::fs::rename(&beside, path).with_context(cannot)
    }
}
