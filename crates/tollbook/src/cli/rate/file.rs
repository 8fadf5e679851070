//! The account as a file of JSON: what calls are rated for, and what they leave.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tollbook_core::ids::{CallId, WalletMovementId};
use tollbook_core::invoices::{Discount, Gathering, TaxTreatment};
use tollbook_core::money::{Currency, Money, Price};
use tollbook_core::rating::{Grant, TierTotal};
use tollbook_core::time::Zone;
use tollbook_core::wallets::{Lot, Reservation, Wallet};
use uuid::Uuid;

use super::subscription::SubscriptionFile;

/// An account as JSON. Everything is optional.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AccountFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) zone: Option<Zone>,
    /// A day on which a period begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) anchor_on: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subscription: Option<SubscriptionFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tax: Option<TaxTreatment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) discount: Option<Discount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) period_start: Option<Timestamp>,
    /// What the period has so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open: Option<OpenFile>,
    #[serde(default)]
    pub(super) grants: Vec<Grant>,
    #[serde(default)]
    pub(super) tiers: Vec<TierTotal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wallet: Option<WalletFile>,
}

/// A period that calls can still be added to.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OpenFile {
    #[serde(default)]
    pub(super) gathered: Gathering,
    /// What the wallet has paid of it.
    #[serde(default)]
    pub(super) drawn: Price,
    /// When something was last charged; nothing yet if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WalletFile {
    currency: Currency,
    #[serde(default)]
    credit_limit: Price,
    lots: Vec<LotFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reservations: Vec<ReservationFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LotFile {
    left: Price,
    received_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// Credit set aside for a call that is to come with the calls of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReservationFile {
    /// The call's id.
    call: String,
    amount: Price,
    expires_at: Timestamp,
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

    /// Replaces the file in one step, so that no half of an account is ever found.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let cannot = || format!("cannot write {}", path.display());
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        std::fs::write(&beside, text).with_context(cannot)?;
        std::fs::rename(&beside, path).with_context(cannot)
    }
}

/// An amount as it stands in the file.
pub(super) fn price(money: Money) -> Result<Price> {
    Ok(money.amount().parse()?)
}

/// A wallet, and which of the file's calls its reservations are for.
#[derive(Debug)]
pub(super) struct Purse {
    pub(super) wallet: Wallet,
    calls: Vec<String>,
}

impl Purse {
    /// The wallet that the file describes, which must be in `currency`.
    pub(super) fn read(file: &WalletFile, currency: Currency) -> Result<Self> {
        let has = file.currency;
        if has != currency {
            bail!("the account's wallet has {has}, but the plan is in {currency}");
        }
        let money = |field: &str, price: Price| {
            if price.is_negative() {
                bail!("the account's `wallet.{field}` must not be negative");
            }
            Money::from_price(price, currency)
                .map_err(|error| anyhow!("the account's `wallet.{field}`: {error}"))
        };
        let mut wallet = Wallet::new(currency);
        wallet.credit_limit = money("creditLimit", file.credit_limit)?;
        for (index, lot) in file.lots.iter().enumerate() {
            wallet.lots.push(Lot {
                id: WalletMovementId::new(numbered(index)),
                left: money(&format!("lots[{index}].left"), lot.left)?,
                received_at: lot.received_at,
                expires_at: lot.expires_at,
            });
        }
        let mut calls: Vec<String> = Vec::new();
        for (index, reservation) in file.reservations.iter().enumerate() {
            let field = format!("reservations[{index}]");
            if calls.contains(&reservation.call) {
                let call = &reservation.call;
                bail!("the account's `wallet.{field}.call`: `{call}` has a reservation already");
            }
            calls.push(reservation.call.clone());
            wallet.reservations.push(Reservation {
                call_id: CallId::new(numbered(index)),
                amount: money(&format!("{field}.amount"), reservation.amount)?,
                expires_at: reservation.expires_at,
            });
        }
        Ok(Self { wallet, calls })
    }

    /// Gives back what was set aside for a call that is over.
    pub(super) fn release(&mut self, call: &str) {
        if let Some(index) = self.calls.iter().position(|known| known == call) {
            self.wallet.release(CallId::new(numbered(index)));
        }
    }

    /// The wallet as it stands in the file, without reservations that no longer count at `at`.
    pub(super) fn file(&self, at: Timestamp) -> Result<WalletFile> {
        let wallet = &self.wallet;
        let lot = |lot: &Lot| -> Result<LotFile> {
            Ok(LotFile {
                left: price(lot.left)?,
                received_at: lot.received_at,
                expires_at: lot.expires_at,
            })
        };
        let mut reservations = Vec::new();
        for (index, call) in self.calls.iter().enumerate() {
            let id = CallId::new(numbered(index));
            let counts = |it: &&Reservation| it.call_id == id && at < it.expires_at;
            if let Some(reservation) = wallet.reservations.iter().find(counts) {
                reservations.push(ReservationFile {
                    call: call.clone(),
                    amount: price(reservation.amount)?,
                    expires_at: reservation.expires_at,
                });
            }
        }
        Ok(WalletFile {
            currency: wallet.currency,
            credit_limit: price(wallet.credit_limit)?,
            lots: wallet.lots.iter().map(lot).collect::<Result<_>>()?,
            reservations,
        })
    }
}

/// An id for what has none in the file.
fn numbered(index: usize) -> Uuid {
    Uuid::from_u128(u128::try_from(index).unwrap_or(u128::MAX))
}
