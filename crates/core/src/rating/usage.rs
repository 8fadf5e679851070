//! What is rated.

use jiff::Timestamp;

use crate::calls::Direction;
use crate::ids::UsageEventId;
use crate::metering::MeterCode;
use crate::money::{Price, Quantity};
use crate::phone::E164;

/// One usage event, as rating sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The event.
    pub id: UsageEventId,
    /// Code of its meter.
    pub meter: MeterCode,
    /// In the meter's base unit; a begun second of time counts whole.
    pub quantity: Quantity,
    /// When it happened; for time, when the first second began (the call was answered).
    pub occurred_at: Timestamp,
    /// Whether the quantity is seconds that ran from `occurred_at` on.
    pub is_time: bool,
    /// Which way a call or message went.
    pub direction: Option<Direction>,
    /// The number that was called or written to, for prices by destination.
    pub destination: Option<E164>,
    /// What the provider charges for it, for prices on top of that.
    pub provider_cost: ProviderCost,
}

/// What a provider charges for a usage. Not known is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProviderCost {
    /// Not known yet; it will be fetched.
    #[default]
    Pending,
    /// Known, in the currency of the terms.
    Known(Price),
}
