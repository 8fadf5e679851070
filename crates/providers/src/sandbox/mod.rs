//! What the stand-ins of all providers share: fault knobs, what became of webhooks, and a quiet tone.

mod knobs;
mod tone;

pub use knobs::{ErrorShape, Knobs};
pub(crate) use knobs::{Fault, spoil, take};
pub(crate) use tone::tone;

/// What became of webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Accepted with a status of 2xx, duplicates counted.
    pub delivered: u32,
    /// Attempts that were not accepted.
    pub refused: u32,
    /// Given up after the last attempt, or since their hook is gone.
    pub given_up: u32,
}

impl std::ops::AddAssign for Drained {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.refused += other.refused;
        self.given_up += other.given_up;
    }
}
