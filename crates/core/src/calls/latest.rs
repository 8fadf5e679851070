//! A value of which several observations may exist: the one with the latest time wins, whatever the order of arrival.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The latest observation of something, or none yet.
///
/// Joining is commutative, associative and idempotent: of two observations the later one stays, and of two made at the
/// same time the greater value, which is arbitrary and always the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Latest<T>(Option<(Timestamp, T)>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Ord + Clone> Latest<T> {
    /// What was seen at `at`, if anything.
    pub(super) fn seen(at: Timestamp, value: Option<&T>) -> Self {
        Self(value.map(|value| (at, value.clone())))
    }

    /// Takes in another observation.
    pub(super) fn join(&mut self, other: Self) {
        // `None` is less than any observation.
        if other.0 > self.0 {
            self.0 = other.0;
        }
    }

    /// The value.
    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, value)| value)
    }
}
