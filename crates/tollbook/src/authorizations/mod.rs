//! Calls that are let through: for how many seconds, on what is left of included time and credit, and what is set aside
//! for each until it has ended.
//!
//! Everybody who pays for the call is asked: the customer, and the organization where the platform sells to it. What an
//! account holds is written by who has the account, and each time it is looked at again, all of its calls are. Usage is
//! never refused: a call that lasts longer than it was promised is charged like any other.

pub(crate) mod api;
mod expire;
mod ops;
mod plan;
mod settle;
mod store;

use jiff::{SignedDuration, Timestamp};
use tollbook_core::calls::Direction;
use tollbook_core::ids::UsageEventId;
use tollbook_core::metering::BuiltInMeter;
use tollbook_core::money::Quantity;
use tollbook_core::phone::E164;
use tollbook_core::rating::{ProviderCost, Usage};
use uuid::Uuid;

pub(crate) use expire::expire_due;
pub(crate) use settle::{Aside, Ended, EndedCall, Open, keep, look_again, open};

/// What rings before a call begins, and what has to be told and charged after its end, is done within this time.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// First instant at which nothing is held any more for a call that was let through at `at` for so many seconds.
fn expires_at(at: Timestamp, seconds: u32) -> Timestamp {
    let held = SignedDuration::from_secs(seconds.into()).saturating_add(GRACE);
    at.checked_add(held).unwrap_or(Timestamp::MAX)
}

/// A call as it is charged once it has lasted so long.
fn usage(direction: Direction, external: &E164, at: Timestamp, seconds: u32) -> Usage {
    Usage {
        id: UsageEventId::new(Uuid::nil()),
        meter: BuiltInMeter::CallDurationSeconds.into(),
        quantity: Quantity::from_units(seconds),
        occurred_at: at,
        is_time: true,
        direction: Some(direction),
        destination: (direction == Direction::Outgoing).then(|| external.clone()),
        provider_cost: ProviderCost::Pending,
    }
}
