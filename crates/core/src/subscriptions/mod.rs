//! A customer's contract in time: billing periods, terms segments, and exact shares of a period.

mod life;
mod lifecycle;
mod periods;
mod proration;
mod segments;

pub use life::{InvalidLife, Life, Pause};
pub use lifecycle::{Event, IllegalTransition, State, transition};
pub use periods::{BillingPeriod, InvalidSchedule, Schedule};
pub use proration::{Share, share};
pub use segments::{Segment, paid_within, trial_end, within};
