//! The fields of a plan document.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::key::Key;
use crate::calls::Direction;
use crate::limits::Cap;
use crate::metering::MeterCode;
use crate::money::{Currency, Percent, Price, Quantity};
use crate::pricing::{BandMode, Increment, WeekCalendar};

/// A plan as it is published: what is charged, how often, and what is included.
///
/// JSON in camelCase; prices and quantities are numbers or decimal strings and are never read as floats, so the text
/// must be parsed from bytes, not from a `serde_json::Value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// For subscribers, or for customers without a subscription.
    #[serde(default)]
    pub kind: Kind,
    /// Currency of every price in the document.
    pub currency: Currency,
    /// Fee for each interval, charged in advance.
    #[serde(default, alias = "base_fee")]
    pub base_fee: Price,
    /// Length of a billing period in months, 1 to 120.
    #[serde(default = "one_month", alias = "interval_months")]
    pub interval_months: u16,
    /// How a base fee is shared when only part of a period is used.
    #[serde(default)]
    pub proration: Proration,
    /// How usage is charged; a meter without a price costs nothing.
    #[serde(default)]
    pub prices: Vec<UsagePrice>,
    /// What is included.
    #[serde(default)]
    pub allowances: Vec<Allowance>,
    /// Parts of the week with prices of their own; the organization's business hours if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<WeekCalendar>,
    /// Usage charges below this per period are filled up to it.
    #[serde(
        default,
        alias = "minimum_commitment",
        skip_serializing_if = "Option::is_none"
    )]
    pub minimum_commitment: Option<Price>,
    /// What usage of a period may cost, for payers without a cap of their own.
    #[serde(default, alias = "spend_cap", skip_serializing_if = "Option::is_none")]
    pub spend_cap: Option<Cap>,
    /// Days without a base fee at the start.
    #[serde(default, alias = "trial_days")]
    pub trial_days: u16,
    /// Sentences for people.
    #[serde(default)]
    pub features: Vec<String>,
}

fn one_month() -> u16 {
    1
}

impl Document {
    /// The price decks that its rates name, each once.
    pub fn decks(&self) -> BTreeSet<&Key> {
        let rates = self.prices.iter().flat_map(|price| {
            let bands = price.bands.iter().map(|band| &band.rate);
            std::iter::once(&price.rate).chain(bands)
        });
        let named = rates.filter_map(|rate| {
            let Rate::Deck { deck, .. } = rate else {
                return None;
            };
            Some(deck)
        });
        named.collect()
    }
}

/// Who a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Customers with a subscription.
    #[default]
    Subscription,
    /// Customers without one: no base fee and no allowances.
    PayPerCall,
}

/// How a base fee is shared when only part of a period is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    /// By local days of the full real period.
    #[default]
    Days,
    /// By seconds of the full real period.
    Seconds,
    /// Not at all: any part costs the whole.
    None,
}

/// How one meter is charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsagePrice {
    /// Stable name, under which tier totals and invoice lines are kept.
    pub key: Key,
    /// Code of the meter, such as `CALL_DURATION_SECONDS`.
    pub meter: MeterCode,
    /// Only for inbound or only for outbound usage; a price with a direction goes before one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What it costs outside the bands listed below.
    pub rate: Rate,
    /// Time is billed in these steps, `1/1` if absent.
    #[serde(default, skip_serializing_if = "Increment::is_single")]
    pub increment: Increment,
    /// The first seconds of a call that cost nothing; a call that ends within them is free.
    #[serde(default, alias = "free_seconds", skip_serializing_if = "is_zero")]
    pub free_seconds: u32,
    /// Once per usage of which something is charged, that is, not covered by an allowance.
    #[serde(
        default,
        alias = "connection_fee",
        skip_serializing_if = "Option::is_none"
    )]
    pub connection_fee: Option<Price>,
    /// The least that such a usage costs, connection fee included.
    #[serde(
        default,
        alias = "minimum_charge",
        skip_serializing_if = "Option::is_none"
    )]
    pub minimum_charge: Option<Price>,
    /// The most that a usage costs, connection fee included.
    #[serde(
        default,
        alias = "maximum_charge",
        skip_serializing_if = "Option::is_none"
    )]
    pub maximum_charge: Option<Price>,
    /// How time is divided between bands.
    #[serde(default, alias = "band_mode")]
    pub band_mode: BandMode,
    /// Prices in some bands of the calendar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<BandRate>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

/// What a usage costs in one band of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BandRate {
    /// A band of the calendar.
    pub band: Key,
    /// What it costs there.
    pub rate: Rate,
    /// Whether time in this band uses up the allowance.
    #[serde(default = "yes", alias = "draws_on_allowance")]
    pub draws_on_allowance: bool,
}

fn yes() -> bool {
    true
}

/// A price model. Quantities are in the meter's base unit; a price is for `per` of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rate {
    /// The same for each unit.
    PerUnit {
        /// Price of `per` units.
        price: Price,
        /// 60 with seconds is a price per minute.
        #[serde(default = "one")]
        per: Quantity,
    },
    /// By how long the call has lasted: the first minute, then.
    ByDuration {
        /// Units of each price.
        #[serde(default = "one")]
        per: Quantity,
        /// Ascending, the first from second 0.
        steps: Vec<DurationStep>,
    },
    /// Each unit at the price of the tier that it falls into; tiers count over a billing period.
    Graduated {
        /// Units of each price.
        #[serde(default = "one")]
        per: Quantity,
        /// Ascending, the last without end.
        tiers: Vec<Tier>,
    },
    /// All units of a billing period at the price of the tier that the last one falls into.
    Volume {
        /// Units of each price.
        #[serde(default = "one")]
        per: Quantity,
        /// Ascending, the last without end.
        tiers: Vec<Tier>,
    },
    /// Started packages of a billing period.
    Package {
        /// Price of a package.
        price: Price,
        /// Units in a package.
        size: Quantity,
    },
    /// Once per usage, however much it is.
    Flat {
        /// Price of one usage.
        price: Price,
    },
    /// The provider's own price with a mark-up.
    CostPlus {
        /// Mark-up in percent; 20 adds a fifth.
        #[serde(default)]
        percent: Percent,
        /// Added once per usage.
        #[serde(default)]
        fixed: Price,
    },
    /// By destination: the longest prefix of the number in a deck.
    Deck {
        /// Name of the deck.
        deck: Key,
        /// Units of each price of the deck.
        #[serde(default = "one")]
        per: Quantity,
    },
}

fn one() -> Quantity {
    Quantity::from_units(1)
}

/// A price from a second of the call on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DurationStep {
    /// First billed second to which it applies, from 0.
    #[serde(alias = "from_second")]
    pub from_second: u32,
    /// Price of `per` units.
    pub price: Price,
}

/// A tier: above the one before, up to and including `up_to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tier {
    /// Last quantity in the tier; the last tier has none.
    #[serde(default, alias = "up_to", skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Quantity>,
    /// Price of `per` units.
    pub price: Price,
    /// Added once when the tier is reached.
    #[serde(default, alias = "flat_fee", skip_serializing_if = "Option::is_none")]
    pub flat_fee: Option<Price>,
}

/// An included quantity. What exceeds it is charged at the meter's price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allowance {
    /// Stable name, under which grants are kept.
    pub key: Key,
    /// Codes of the meters that share it, all with the same base unit.
    pub meters: Vec<MeterCode>,
    /// Granted in base units each time.
    pub quantity: Quantity,
    /// How often it is granted.
    #[serde(default)]
    pub every: GrantCycle,
    /// Whether what is left carries over; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollover: Option<Rollover>,
    /// One quantity for all users of an organization, rather than one for each subscription.
    #[serde(default)]
    pub shared: bool,
}

/// How often an allowance is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantCycle {
    /// At the start of each billing period.
    #[default]
    Period,
    /// At the start of each year of the subscription.
    Year,
}

/// How what is left of an allowance carries over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollover {
    /// Grant cycles after its own in which a grant can still be used, 1 to 120.
    pub cycles: u16,
    /// The most that is carried into a cycle, in base units; absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Quantity>,
}
