//! The explanation of a charge as data: enough to check its amount by hand, years later.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::money::{Fraction, Percent, Price, Quantity};
use crate::plans::Key;
use crate::pricing::{BandMode, Increment};
use crate::time::Zone;

/// Version of the trace's form. Readers know every version that was ever written.
pub const TRACE_VERSION: i16 = 1;

/// How the amount of one charge part came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trace {
    /// Version of this form.
    #[serde(rename = "v")]
    pub version: i16,
    /// Why nothing is charged, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<NotChargedReason>,
    /// How time became billed time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeTrace>,
    /// The band of the calendar that priced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<BandTrace>,
    /// The destination that priced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationTrace>,
    /// What the billing period had counted before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierTrace>,
    /// What was left in the grant before it was drawn on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_left_before: Option<Quantity>,
    /// The amount is the sum of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// Why a usage costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotChargedReason {
    /// No billable quantity: the call was not answered.
    NothingUsed,
    /// It ended within the free seconds.
    WithinFreeSeconds,
    /// The plan has no price for the meter.
    NoPrice,
    /// People have said that the payer is not billed for it.
    Waived,
}

/// How time became billed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeTrace {
    /// As metered.
    pub used_seconds: u32,
    /// Taken off at the start.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub free_seconds: u32,
    /// Steps of billing.
    pub increment: Increment,
    /// After rounding up to a step.
    pub billed_seconds: u32,
    /// First billed second that this part is about, counted from 0.
    pub from_second: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

/// The band of the calendar in which the part lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BandTrace {
    /// Its name.
    pub band: Key,
    /// How time is divided between bands.
    pub mode: BandMode,
    /// The clock it goes by.
    pub zone: Zone,
    /// When the part begins.
    pub starts_at: Timestamp,
}

/// The destination that priced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationTrace {
    /// The price deck.
    pub deck: Key,
    /// The longest prefix that matches the number, without `+`.
    pub prefix: String,
}

/// What the billing period had counted under the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TierTrace {
    /// Before this part.
    pub before: Quantity,
    /// With it.
    pub after: Quantity,
}

/// One summand of an amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Item {
    /// `quantity × price ÷ per`.
    Units {
        /// Units, or packages.
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
        /// Units.
        quantity: Quantity,
        /// Price of `per` of them.
        price: Price,
        /// Units that the price is for.
        per: Quantity,
        /// The tier, counted from 1.
        tier: u32,
    },
    /// A fixed amount.
    Fixed {
        /// What it is.
        fee: FixedFee,
        /// How much.
        price: Price,
    },
    /// A fixed amount, taken off: a tier's fee that the period had cost before.
    FixedBefore {
        /// How much.
        price: Price,
    },
    /// The provider's price for the usage, times `quantity ÷ of`, with a mark-up. The price itself is kept apart,
    /// where only those who bear it see it.
    Cost {
        /// Share of the usage that is charged.
        quantity: Quantity,
        /// All of the usage.
        of: Quantity,
        /// Mark-up in percent.
        percent: Percent,
    },
    /// What the usage's other parts come to, taken off.
    ChargedBefore {
        /// Their exact sum.
        amount: Fraction,
    },
}

/// What a fixed amount is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FixedFee {
    /// The connection.
    Connection,
    /// One usage, however much it is.
    Usage,
    /// The fixed part of a mark-up.
    MarkUp,
    /// Reaching a tier.
    Tier,
    /// The minimum charge.
    Minimum,
    /// The maximum charge.
    Maximum,
}
