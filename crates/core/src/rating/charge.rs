//! What rating gives back.

use super::trace::Trace;
use crate::ids::GrantId;
use crate::money::{Currency, Fraction, Overflow, Price, Quantity};
use crate::named::named;
use crate::plans::Key;

named! {
    /// What a part of a charge is for.
    PartKind ("charge kind") {
        /// Covered by an allowance; costs nothing.
        Allowance = "allowance",
        /// Charged, on a meter without an allowance.
        Usage = "usage",
        /// Charged because the allowance is used up.
        Overage = "overage",
        /// The fee for the connection.
        Connection = "connection",
        /// What is missing to the minimum charge.
        Minimum = "minimum",
        /// What exceeds the maximum charge, below zero.
        Maximum = "maximum",
        /// The base fee of a billing period, or a share of it.
        Fee = "fee",
        /// Nothing to charge: not answered, within the free seconds, or without a price.
        NotCharged = "not_charged",
    }
}

/// One part of what a usage costs. The parts of a usage are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargePart {
    /// Number within the usage.
    pub part: u16,
    /// What it is for.
    pub kind: PartKind,
    /// The price, with its band if the price is one of a band; `None` for the base fee and for a meter without a price.
    pub price_key: Option<Key>,
    /// The band of the calendar, if the price has bands.
    pub band: Option<Key>,
    /// Charged or covered, in the meter's base unit; zero for fees.
    pub quantity: Quantity,
    /// Price of `divisor` units, if there is a single one.
    pub unit_price: Option<Price>,
    /// Units that the unit price is for.
    pub divisor: Option<Quantity>,
    /// Exact, in major units; `None` while the provider's price is pending.
    pub amount: Option<Fraction>,
    /// Currency of price and amount.
    pub currency: Currency,
    /// The grant that covers it.
    pub grant_id: Option<GrantId>,
    /// How the amount came about.
    pub trace: Trace,
}

impl ChargePart {
    /// Parts with the same group stand on one invoice line: same price, band and kind.
    pub fn line_group(&self) -> String {
        let price = self.price_key.as_ref().map_or("base", Key::as_str);
        format!("{price}/{}", self.kind)
    }
}

/// A quantity drawn from a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantDraw {
    /// The grant.
    pub grant_id: GrantId,
    /// In base units, above zero.
    pub quantity: Quantity,
}

/// A quantity counted under a price with tiers or packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierDelta {
    /// The price, with its band if it is a price of a band.
    pub price_key: Key,
    /// In base units, above zero.
    pub quantity: Quantity,
}

/// A rated usage: its parts, and what they change in the account's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rated {
    /// At least one, in order of time; fees after what they are for.
    pub parts: Vec<ChargePart>,
    /// One for each grant that was drawn on.
    pub grant_draws: Vec<GrantDraw>,
    /// One for each price with tiers or packages.
    pub tier_deltas: Vec<TierDelta>,
}

impl Rated {
    /// Whether an amount waits for the provider's price.
    pub fn is_pending(&self) -> bool {
        self.parts.iter().any(|part| part.amount.is_none())
    }

    /// The exact sum of all parts; `None` while an amount is pending.
    pub fn total(&self) -> Result<Option<Fraction>, Overflow> {
        let mut total = Fraction::ZERO;
        for part in &self.parts {
            let Some(amount) = part.amount else {
                return Ok(None);
            };
            total = total.checked_add(amount)?;
        }
        Ok(Some(total))
    }
}
