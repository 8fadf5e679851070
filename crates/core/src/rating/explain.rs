//! Reading traces: the amount that one comes to, and the same in words.
//!
//! This knows nothing of price models and calendars, only of items that add up. So it checks what rating did.

use std::fmt::Write as _;

use super::trace::{FixedFee, Item, NotChargedReason, TRACE_VERSION, Trace};
use super::usage::ProviderCost;
use crate::money::{Currency, Fraction, Overflow, Price, Quantity};
use crate::pricing::BandMode;

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// A trace that says nothing yet.
    pub fn new() -> Self {
        Self {
            version: TRACE_VERSION,
            reason: None,
            time: None,
            band: None,
            destination: None,
            tier: None,
            grant_left_before: None,
            items: Vec::new(),
        }
    }

    /// The exact sum of the items; `None` if one needs the provider's price and it is pending.
    pub fn amount(&self, cost: ProviderCost) -> Result<Option<Fraction>, Overflow> {
        let mut total = Fraction::ZERO;
        for item in &self.items {
            let Some(amount) = item_amount(item, cost)? else {
                return Ok(None);
            };
            total = total.checked_add(amount)?;
        }
        Ok(Some(total))
    }

    /// The explanation in words, a fact to a line. `unit` is the meter's base unit, such as `s`.
    pub fn explain(&self, currency: Currency, unit: &str) -> String {
        let mut text = String::new();
        for line in self.facts(unit) {
            text.push_str(&line);
            text.push('\n');
        }
        for item in &self.items {
            let sign = if takes_off(item) { '−' } else { '+' };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{sign} {}", item_text(item, currency, unit));
        }
        let sum = self.amount(ProviderCost::Pending);
        let _ = match sum {
            Ok(Some(amount)) => write!(text, "= {amount} {currency}"),
            Ok(None) => write!(text, "= the provider's price with its mark-up"),
            Err(Overflow) => write!(text, "= {Overflow}"),
        };
        text
    }

    fn facts(&self, unit: &str) -> Vec<String> {
        let mut facts = Vec::new();
        if let Some(reason) = self.reason {
            facts.push(reason_text(reason).to_owned());
        }
        if let Some(time) = self.time {
            let free = match time.free_seconds {
                0 => String::new(),
                free => format!(", {free} s free"),
            };
            facts.push(format!(
                "{} s used{free}, billed as {} s in steps of {}; this part from second {}",
                time.used_seconds, time.billed_seconds, time.increment, time.from_second
            ));
        }
        if let Some(band) = &self.band {
            let mode = match band.mode {
                BandMode::Split => "split at the second where a band ends",
                BandMode::IncrementStart => "each started increment in the band in which it starts",
            };
            facts.push(format!(
                "band `{}` from {} ({}), {mode}",
                band.band, band.starts_at, band.zone
            ));
        }
        if let Some(destination) = &self.destination {
            facts.push(format!(
                "destination +{} in deck `{}`",
                destination.prefix, destination.deck
            ));
        }
        if let Some(tier) = self.tier {
            facts.push(format!(
                "the period's total goes from {} to {} {unit}",
                tier.before, tier.after
            ));
        }
        if let Some(left) = self.grant_left_before {
            facts.push(format!(
                "covered by the allowance, which had {left} {unit} left"
            ));
        }
        facts
    }
}

fn reason_text(reason: NotChargedReason) -> &'static str {
    match reason {
        NotChargedReason::NothingUsed => {
            "nothing was used (a call that is not answered costs nothing)"
        }
        NotChargedReason::WithinFreeSeconds => "ended within the free seconds",
        NotChargedReason::NoPrice => "the plan has no price for it",
    }
}

fn takes_off(item: &Item) -> bool {
    match item {
        Item::UnitsBefore { .. } | Item::FixedBefore { .. } | Item::ChargedBefore { .. } => true,
        Item::Units { .. } | Item::Fixed { .. } | Item::Cost { .. } => false,
    }
}

fn item_amount(item: &Item, cost: ProviderCost) -> Result<Option<Fraction>, Overflow> {
    let amount = match item {
        Item::Units {
            quantity,
            price,
            per,
            ..
        } => units(*quantity, *price, *per)?,
        Item::UnitsBefore {
            quantity,
            price,
            per,
            ..
        } => units(*quantity, *price, *per)?.negated(),
        Item::Fixed { price, .. } => price.to_fraction(),
        Item::FixedBefore { price } => price.to_fraction().negated(),
        Item::ChargedBefore { amount } => amount.negated(),
        Item::Cost {
            quantity,
            of,
            percent,
        } => {
            let ProviderCost::Known(cost) = cost else {
                return Ok(None);
            };
            let share = quantity.to_fraction().checked_div(of.to_fraction())?;
            let factor = percent.to_fraction()?.checked_add(Fraction::ONE)?;
            cost.to_fraction().checked_mul(share)?.checked_mul(factor)?
        }
    };
    Ok(Some(amount))
}

fn units(quantity: Quantity, price: Price, per: Quantity) -> Result<Fraction, Overflow> {
    quantity
        .to_fraction()
        .checked_mul(price.to_fraction())?
        .checked_div(per.to_fraction())
}

fn item_text(item: &Item, currency: Currency, unit: &str) -> String {
    let one = Quantity::from_units(1);
    let product = |quantity: Quantity, price: Price, per: Quantity| {
        if per == one {
            format!("{quantity} × {price} {currency}")
        } else {
            format!("{quantity} {unit} × {price} {currency} ÷ {per} {unit}")
        }
    };
    match item {
        Item::Units {
            quantity,
            price,
            per,
            tier: None,
        } => product(*quantity, *price, *per),
        Item::Units {
            quantity,
            price,
            per,
            tier: Some(tier),
        } => {
            format!("{} (tier {tier})", product(*quantity, *price, *per))
        }
        Item::UnitsBefore {
            quantity,
            price,
            per,
            tier,
        } => {
            format!("{} (before, tier {tier})", product(*quantity, *price, *per))
        }
        Item::Fixed { fee, price } => format!("{price} {currency} ({})", fee_text(*fee)),
        Item::FixedBefore { price } => format!("{price} {currency} (tier fee before)"),
        Item::ChargedBefore { amount } => format!("{amount} {currency} (charged already)"),
        Item::Cost {
            quantity,
            of,
            percent,
        } => {
            format!("the provider's price × {quantity} ÷ {of}, plus {percent} %")
        }
    }
}

fn fee_text(fee: FixedFee) -> &'static str {
    match fee {
        FixedFee::Connection => "connection fee",
        FixedFee::Usage => "flat price",
        FixedFee::MarkUp => "fixed mark-up",
        FixedFee::Tier => "tier fee",
        FixedFee::Minimum => "minimum charge",
        FixedFee::Maximum => "maximum charge",
    }
}
