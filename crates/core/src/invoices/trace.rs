//! The explanation of an invoice line as data and in words: what its charges add up to, and how that was rounded.

use serde::{Deserialize, Serialize};

use crate::money::{
    Currency, Fraction, Money, Overflow, Percent, Price, Quantity, Rounding, round_to_minor,
};
use crate::rating::{ChargePart, FixedFee, Item, fee_text, product_text};

/// Version of the trace's form. Readers know every version that was ever written.
pub const LINE_TRACE_VERSION: i16 = 1;

/// How the amount of one line came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LineTrace {
    /// Version of this form.
    #[serde(rename = "v")]
    pub version: i16,
    /// How many charges are on the line; none on one that is worked out from other lines.
    pub charges: u32,
    /// The exact amount is the sum of these.
    pub items: Vec<LineItem>,
    /// In major units.
    pub exact: Fraction,
    /// What happened to half a minor unit.
    pub rounding: Rounding,
    /// As printed.
    pub amount: Money,
    /// Exact minus printed.
    pub remainder: Fraction,
}

/// One summand of a line: what several charges have in common, added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LineItem {
    /// `quantity × price ÷ per`.
    Units {
        /// Units or packages of all charges.
        quantity: Quantity,
        /// Price of `per` of them.
        price: Price,
        /// Units that the price is for.
        per: Quantity,
        /// The tier or step, counted from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<u32>,
    },
    /// The same, taken off: what the period had cost before at another tier.
    UnitsBefore {
        /// Units of all charges.
        quantity: Quantity,
        /// Price of `per` of them.
        price: Price,
        /// Units that the price is for.
        per: Quantity,
        /// The tier, counted from 1.
        tier: u32,
    },
    /// `times × price`.
    Fixed {
        /// How often it is charged.
        times: u32,
        /// What it is.
        fee: FixedFee,
        /// How much each time.
        price: Price,
    },
    /// `times × price`, taken off: tiers' fees that the period had cost before.
    FixedBefore {
        /// How often.
        times: u32,
        /// How much each time.
        price: Price,
    },
    /// Shares of providers' prices with their mark-up. The prices are kept apart, where only those who bear them see
    /// them.
    Cost {
        /// Of how many charges.
        times: u32,
        /// Their sum.
        amount: Fraction,
    },
    /// What other parts of usages come to, taken off to reach a minimum or maximum.
    ChargedBefore {
        /// Of how many charges.
        times: u32,
        /// Their sum.
        amount: Fraction,
    },
    /// What is missing to a minimum commitment: `minimum − usage`.
    Commitment {
        /// In major units.
        minimum: Fraction,
        /// The usage lines as printed, in major units.
        usage: Fraction,
    },
    /// A discount: `percent` of `of`, taken off.
    PercentOff {
        /// Of the sum.
        percent: Percent,
        /// All lines as printed, in major units.
        of: Fraction,
    },
    /// A discount: `price`, but no more than `of`, taken off.
    AmountOff {
        /// In major units.
        price: Price,
        /// All lines as printed, in major units.
        of: Fraction,
    },
    /// A tax: `percent` of `net`.
    Tax {
        /// Such as `VAT`.
        name: String,
        /// Of the net amount.
        percent: Percent,
        /// Exact net amount in major units; with an inclusive rate, what is left of the price without the tax.
        net: Fraction,
    },
}

/// Adds up charges into the trace of a line.
#[derive(Debug, Clone, Default)]
pub(super) struct Tracer {
    charges: u32,
    items: Vec<LineItem>,
    exact: Fraction,
}

impl Tracer {
    /// Goes on where another tracer stopped.
    pub(super) fn resume(charges: u32, items: Vec<LineItem>) -> Result<Self, Overflow> {
        let mut exact = Fraction::ZERO;
        for item in &items {
            exact = exact.checked_add(item.amount()?)?;
        }
        Ok(Self {
            charges,
            items,
            exact,
        })
    }

    /// Charges so far, and what they have in common.
    pub(super) fn into_parts(self) -> (u32, Vec<LineItem>) {
        (self.charges, self.items)
    }

    /// Adds a charge of which the amount is known.
    pub(super) fn add(&mut self, part: &ChargePart, amount: Fraction) -> Result<(), Overflow> {
        self.charges = self.charges.checked_add(1).ok_or(Overflow)?;
        self.exact = self.exact.checked_add(amount)?;
        let mut rest = amount;
        let mut has_cost = false;
        for item in &part.trace.items {
            has_cost |= matches!(item, Item::Cost { .. });
            if let Some(item) = line_item(item) {
                rest = rest.checked_sub(item.amount()?)?;
                self.merge(item)?;
            }
        }
        if has_cost {
            // All but the provider's share is known item by item.
            self.merge(LineItem::Cost {
                times: 1,
                amount: rest,
            })?;
        }
        Ok(())
    }

    fn merge(&mut self, item: LineItem) -> Result<(), Overflow> {
        for known in &mut self.items {
            if known.absorb(&item)? {
                return Ok(());
            }
        }
        self.items.push(item);
        Ok(())
    }

    /// The trace of the line; the sum is rounded here, once.
    pub(super) fn finish(
        self,
        currency: Currency,
        rounding: Rounding,
    ) -> Result<LineTrace, Overflow> {
        let rounded = round_to_minor(self.exact, currency, rounding)?;
        Ok(LineTrace {
            version: LINE_TRACE_VERSION,
            charges: self.charges,
            items: self.items,
            exact: self.exact,
            rounding,
            amount: rounded.money,
            remainder: rounded.remainder,
        })
    }
}

/// An item of a charge as one of a line; a share of a provider's price has no amount of its own.
fn line_item(item: &Item) -> Option<LineItem> {
    Some(match item.clone() {
        Item::Units {
            quantity,
            price,
            per,
            tier,
        } => LineItem::Units {
            quantity,
            price,
            per,
            tier,
        },
        Item::UnitsBefore {
            quantity,
            price,
            per,
            tier,
        } => LineItem::UnitsBefore {
            quantity,
            price,
            per,
            tier,
        },
        Item::Fixed { fee, price } => LineItem::Fixed {
            times: 1,
            fee,
            price,
        },
        Item::FixedBefore { price } => LineItem::FixedBefore { times: 1, price },
        Item::ChargedBefore { amount } => LineItem::ChargedBefore { times: 1, amount },
        Item::Cost { .. } => return None,
    })
}

impl LineItem {
    /// What it adds to the line; below zero where it is taken off.
    pub fn amount(&self) -> Result<Fraction, Overflow> {
        let units = |quantity: Quantity, price: Price, per: Quantity| {
            quantity
                .to_fraction()
                .checked_mul(price.to_fraction())?
                .checked_div(per.to_fraction())
        };
        let fixed = |times: u32, price: Price| {
            Fraction::from_whole(times.into()).checked_mul(price.to_fraction())
        };
        match self {
            Self::Units {
                quantity,
                price,
                per,
                ..
            } => units(*quantity, *price, *per),
            Self::UnitsBefore {
                quantity,
                price,
                per,
                ..
            } => Ok(units(*quantity, *price, *per)?.negated()),
            Self::Fixed { times, price, .. } => fixed(*times, *price),
            Self::FixedBefore { times, price } => Ok(fixed(*times, *price)?.negated()),
            Self::Cost { amount, .. } => Ok(*amount),
            Self::ChargedBefore { amount, .. } => Ok(amount.negated()),
            Self::Commitment { minimum, usage } => minimum.checked_sub(*usage),
            Self::PercentOff { percent, of } => {
                Ok(of.checked_mul(percent.to_fraction()?)?.negated())
            }
            Self::AmountOff { price, of } => Ok(price.to_fraction().min(*of).negated()),
            Self::Tax { percent, net, .. } => net.checked_mul(percent.to_fraction()?),
        }
    }

    /// Takes in another item of the same price; `false` if it is of another.
    fn absorb(&mut self, other: &Self) -> Result<bool, Overflow> {
        if self.price_alone() != other.price_alone() {
            return Ok(false);
        }
        match (self, other) {
            (
                Self::Units { quantity, .. } | Self::UnitsBefore { quantity, .. },
                Self::Units { quantity: q, .. } | Self::UnitsBefore { quantity: q, .. },
            ) => *quantity = quantity.checked_add(*q)?,
            (
                Self::Fixed { times, .. } | Self::FixedBefore { times, .. },
                Self::Fixed { times: t, .. } | Self::FixedBefore { times: t, .. },
            ) => *times = times.checked_add(*t).ok_or(Overflow)?,
            (
                Self::Cost { times, amount } | Self::ChargedBefore { times, amount },
                Self::Cost {
                    times: t,
                    amount: a,
                }
                | Self::ChargedBefore {
                    times: t,
                    amount: a,
                },
            ) => {
                *times = times.checked_add(*t).ok_or(Overflow)?;
                *amount = amount.checked_add(*a)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The item without how much or how often: what two items must share to be one.
    fn price_alone(&self) -> Self {
        let mut alone = self.clone();
        match &mut alone {
            Self::Units { quantity, .. } | Self::UnitsBefore { quantity, .. } => {
                *quantity = Quantity::ZERO;
            }
            Self::Fixed { times, .. } | Self::FixedBefore { times, .. } => *times = 0,
            Self::Cost { times, amount } | Self::ChargedBefore { times, amount } => {
                (*times, *amount) = (0, Fraction::ZERO);
            }
            // Each stands on a line of its own.
            Self::Commitment { .. }
            | Self::PercentOff { .. }
            | Self::AmountOff { .. }
            | Self::Tax { .. } => {}
        }
        alone
    }

    fn text(&self, currency: Currency, unit: &str) -> String {
        match self {
            Self::Units {
                quantity,
                price,
                per,
                tier: None,
            } => product_text(*quantity, *price, *per, currency, unit),
            Self::Units {
                quantity,
                price,
                per,
                tier: Some(tier),
            } => {
                let product = product_text(*quantity, *price, *per, currency, unit);
                format!("{product} (tier {tier})")
            }
            Self::UnitsBefore {
                quantity,
                price,
                per,
                tier,
            } => {
                let product = product_text(*quantity, *price, *per, currency, unit);
                format!("{product} (before, tier {tier})")
            }
            Self::Fixed { times, fee, price } => {
                format!("{times} × {price} {currency} ({})", fee_text(*fee))
            }
            Self::FixedBefore { times, price } => {
                format!("{times} × {price} {currency} (tier fee before)")
            }
            Self::Cost { times, amount } => {
                format!("{amount} {currency} (providers' prices with mark-up, {times} times)")
            }
            Self::ChargedBefore { times, amount } => {
                format!("{amount} {currency} (charged already, {times} times)")
            }
            Self::Commitment { minimum, usage } => {
                format!("{minimum} {currency} (minimum commitment) − {usage} {currency} (usage)")
            }
            Self::PercentOff { percent, of } => {
                format!("{percent} % of {of} {currency} (discount)")
            }
            Self::AmountOff { price, of } => {
                format!("{price} {currency}, at most {of} {currency} (discount)")
            }
            Self::Tax { name, percent, net } => {
                format!("{percent} % of {net} {currency} ({name})")
            }
        }
    }

    fn takes_off(&self) -> bool {
        match self {
            Self::UnitsBefore { .. }
            | Self::FixedBefore { .. }
            | Self::ChargedBefore { .. }
            | Self::PercentOff { .. }
            | Self::AmountOff { .. } => true,
            Self::Units { .. }
            | Self::Fixed { .. }
            | Self::Cost { .. }
            | Self::Commitment { .. }
            | Self::Tax { .. } => false,
        }
    }
}

impl LineTrace {
    /// The trace of a line that is worked out from other lines; its amount is rounded here, once.
    pub(super) fn of(
        item: LineItem,
        currency: Currency,
        rounding: Rounding,
    ) -> Result<Self, Overflow> {
        let exact = item.amount()?;
        let tracer = Tracer {
            charges: 0,
            items: vec![item],
            exact,
        };
        tracer.finish(currency, rounding)
    }

    /// The explanation in words, a summand to a line. `unit` is the meter's base unit, such as `s`.
    pub fn explain(&self, unit: &str) -> String {
        let currency = self.amount.currency();
        let summand = |item: &LineItem| {
            let sign = if item.takes_off() { '−' } else { '+' };
            format!("{sign} {}\n", item.text(currency, unit))
        };
        let items: String = self.items.iter().map(summand).collect();
        let charges = match self.charges {
            0 => String::new(),
            1 => "1 charge\n".to_owned(),
            charges => format!("{charges} charges\n"),
        };
        let sum = format!("{charges}{items}= {} {currency}", self.exact);
        if self.remainder.is_zero() {
            return sum;
        }
        let half = match self.rounding {
            Rounding::HalfUp => "half up",
            Rounding::HalfEven => "half to even",
        };
        format!(
            "{sum}\nrounded {half} to {}, which leaves {} {currency}",
            self.amount, self.remainder
        )
    }
}
