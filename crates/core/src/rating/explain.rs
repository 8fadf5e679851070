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
        NotChargedReason::Waived => "it is not billed",
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

/// `quantity × price ÷ per` in words.
pub(crate) fn product_text(
    quantity: Quantity,
    price: Price,
    per: Quantity,
    currency: Currency,
    unit: &str,
) -> String {
    if per == Quantity::from_units(1) {
        format!("{quantity} × {price} {currency}")
    } else {
        format!("{quantity} {unit} × {price} {currency} ÷ {per} {unit}")
    }
}

fn item_text(item: &Item, currency: Currency, unit: &str) -> String {
    let product = |quantity: Quantity, price: Price, per: Quantity| {
        product_text(quantity, price, per, currency, unit)
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

/// What a fixed amount is for, in words.
pub(crate) fn fee_text(fee: FixedFee) -> &'static str {
    match fee {
        FixedFee::Connection => "connection fee",
        FixedFee::Usage => "flat price",
        FixedFee::MarkUp => "fixed mark-up",
        FixedFee::Tier => "tier fee",
        FixedFee::Minimum => "minimum charge",
        FixedFee::Maximum => "maximum charge",
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ids::{GrantId, UsageEventId};
    use crate::plans::Offer;
    use crate::rating::{Grant, State, Surroundings, Terms, Usage, rate};

    const PLAN: &str = r#"{"currency":"USD",
        "calendar":{"zone":"America/New_York","otherwise":"night","rules":[{"band":"day","days":["mon"],"from":"09:00","to":"17:00"}]},
        "prices":[{"key":"calls","meter":"CALL_DURATION_SECONDS","increment":"60/60","freeSeconds":10,"connectionFee":"0.25","minimumCharge":"9",
            "rate":{"graduated":{"per":60,"tiers":[{"upTo":60,"price":"1.2"},{"price":"0.9"}]}},
            "bands":[{"band":"night","rate":{"per_unit":{"price":"3","per":60}},"drawsOnAllowance":false}]}],
        "allowances":[{"key":"hours","meters":["CALL_DURATION_SECONDS"],"quantity":30}]}"#;

    fn explained(seconds: u32) -> String {
        let terms = Terms::new(
            &Offer::read(PLAN.as_bytes()).unwrap().document,
            &Surroundings::default(),
        )
        .unwrap();
        // 22:00Z on Monday 2026-01-05 is 17:00 in New York.
        let at = "2026-01-05T21:57:00Z".parse().unwrap();
        let mut state = State::new(at);
        state.grants.push(Grant {
            id: GrantId::new(Uuid::nil()),
            allowance_key: "hours".parse().unwrap(),
            granted: Quantity::from_units(30),
            used: Quantity::ZERO,
            forfeited: Quantity::ZERO,
            starts_at: at,
            expires_at: "2026-02-01T00:00:00Z".parse().unwrap(),
        });
        let usage = Usage {
            id: UsageEventId::new(Uuid::nil()),
            meter: "CALL_DURATION_SECONDS".parse().unwrap(),
            quantity: Quantity::from_units(seconds),
            occurred_at: at,
            is_time: true,
            direction: None,
            destination: None,
            provider_cost: ProviderCost::Pending,
        };
        let rated = rate(&usage, &terms, &state).unwrap();
        let parts = rated.parts.iter().map(|part| {
            format!(
                "{}:\n{}\n",
                part.kind,
                part.trace.explain(Currency::USD, "s")
            )
        });
        parts.collect()
    }

    #[test]
    fn every_cent_is_explained() {
        insta::assert_snapshot!(explained(200), @r"
        allowance:
        200 s used, 10 s free, billed as 240 s in steps of 60/60; this part from second 0
        band `day` from 2026-01-05T21:57:10Z (America/New_York), split at the second where a band ends
        covered by the allowance, which had 30 s left
        = 0 USD
        overage:
        200 s used, 10 s free, billed as 240 s in steps of 60/60; this part from second 30
        band `day` from 2026-01-05T21:57:40Z (America/New_York), split at the second where a band ends
        the period's total goes from 0 to 140 s
        + 60 s × 1.2 USD ÷ 60 s (tier 1)
        + 80 s × 0.9 USD ÷ 60 s (tier 2)
        = 2.4 USD
        usage:
        200 s used, 10 s free, billed as 240 s in steps of 60/60; this part from second 170
        band `night` from 2026-01-05T22:00:00Z (America/New_York), split at the second where a band ends
        + 70 s × 3 USD ÷ 60 s
        = 3.5 USD
        connection:
        + 0.25 USD (connection fee)
        = 0.25 USD
        minimum:
        + 9 USD (minimum charge)
        − 6.15 USD (charged already)
        = 2.85 USD
        ");
    }

    #[test]
    fn nothing_is_explained_too() {
        insta::assert_snapshot!(explained(0), @r"
        not_charged:
        nothing was used (a call that is not answered costs nothing)
        = 0 USD
        ");
        insta::assert_snapshot!(explained(10), @r"
        not_charged:
        ended within the free seconds
        = 0 USD
        ");
    }

    #[test]
    fn a_trace_is_the_same_json_for_good() {
        let trace = Trace {
            items: vec![Item::Cost {
                quantity: Quantity::from_units(30),
                of: Quantity::from_units(60),
                percent: "20".parse().unwrap(),
            }],
            ..Trace::new()
        };
        let json = r#"{"v":1,"items":[{"cost":{"quantity":"30","of":"60","percent":"20"}}]}"#;
        assert_eq!(serde_json::to_string(&trace).unwrap(), json);
        assert_eq!(trace.amount(ProviderCost::Pending).unwrap(), None);
        let known = trace
            .amount(ProviderCost::Known("0.05".parse().unwrap()))
            .unwrap();
        assert_eq!(known, Some(Fraction::new(3, 100).unwrap()));
        assert_eq!(
            trace.explain(Currency::USD, "s"),
            "+ the provider's price × 30 ÷ 60, plus 20 %\n= the provider's price with its mark-up"
        );
    }
}
