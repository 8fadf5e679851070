//! What an account has used so far: the unit that is locked while its usage is rated.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::charge::Rated;
use crate::ids::GrantId;
use crate::money::{Overflow, Quantity};
use crate::plans::Key;

/// An included quantity as it was granted once, and what became of it.
///
/// `used + forfeited` never exceeds `granted`; what is left at `expires_at` is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// The grant.
    pub id: GrantId,
    /// The allowance of the plan that it came from.
    pub allowance_key: Key,
    /// In the base unit of the allowance's meters.
    pub granted: Quantity,
    /// Drawn so far.
    pub used: Quantity,
    /// Taken away when a cycle began with more than the rollover's cap.
    #[serde(default)]
    pub forfeited: Quantity,
    /// First instant at which usage may draw on it.
    pub starts_at: Timestamp,
    /// First instant at which usage no longer may.
    pub expires_at: Timestamp,
}

impl Grant {
    /// What can still be drawn, expiry aside.
    pub fn left(&self) -> Result<Quantity, Overflow> {
        self.granted
            .checked_sub(self.used)?
            .checked_sub(self.forfeited)
    }

    /// Whether usage at `at` may draw on it.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.starts_at <= at && at < self.expires_at
    }
}

/// How much of a price with tiers or packages was charged in a billing period, allowances aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TierTotal {
    /// The price, with its band if it is a price of a band.
    pub price_key: Key,
    /// Start of the billing period.
    pub period_start: Timestamp,
    /// In the meter's base unit.
    pub quantity: Quantity,
}

/// An account's state for the billing period in which the usage occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    /// Start of that billing period; tier totals of other periods are not looked at.
    pub period_start: Timestamp,
    /// Grants of the account, in any order.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Tier totals of the account, in any order.
    #[serde(default)]
    pub tiers: Vec<TierTotal>,
}

impl State {
    /// Nothing granted, nothing used.
    pub fn new(period_start: Timestamp) -> Self {
        Self {
            period_start,
            grants: Vec::new(),
            tiers: Vec::new(),
        }
    }

    /// The total of a price in this period.
    pub fn tier_total(&self, price_key: &Key) -> Quantity {
        let own = |tier: &&TierTotal| {
            tier.period_start == self.period_start && tier.price_key == *price_key
        };
        self.tiers
            .iter()
            .find(own)
            .map_or(Quantity::ZERO, |tier| tier.quantity)
    }

    /// Books what a rated usage drew and counted.
    pub fn apply(&mut self, rated: &Rated) -> Result<(), Overflow> {
        self.book(rated, Quantity::checked_add)
    }

    /// Takes back what a rated usage drew and counted, before it is rated anew.
    pub fn revert(&mut self, rated: &Rated) -> Result<(), Overflow> {
        self.book(rated, Quantity::checked_sub)
    }

    fn book(
        &mut self,
        rated: &Rated,
        change: impl Fn(Quantity, Quantity) -> Result<Quantity, Overflow>,
    ) -> Result<(), Overflow> {
        for draw in &rated.grant_draws {
            if let Some(grant) = self
                .grants
                .iter_mut()
                .find(|grant| grant.id == draw.grant_id)
            {
                grant.used = change(grant.used, draw.quantity)?;
            }
        }
        for delta in &rated.tier_deltas {
            let period_start = self.period_start;
            let own = |tier: &&mut TierTotal| {
                tier.period_start == period_start && tier.price_key == delta.price_key
            };
            if let Some(tier) = self.tiers.iter_mut().find(own) {
                tier.quantity = change(tier.quantity, delta.quantity)?;
            } else {
                let quantity = change(Quantity::ZERO, delta.quantity)?;
                self.tiers.push(TierTotal {
                    price_key: delta.price_key.clone(),
                    period_start,
                    quantity,
                });
            }
        }
        Ok(())
    }
}
