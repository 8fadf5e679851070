//! Billing increments of time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Time is billed as a first stretch and then in steps, both in seconds: 60/60, 30/6, 1/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Increment {
    initial: u32,
    step: u32,
}

/// The text is not an increment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an increment such as 60/60, each part 1 to 86400 seconds")]
pub struct InvalidIncrement(String);

impl Increment {
    /// Longest part: a day.
    const PART_MAX: u32 = 86_400;

    /// By the second.
    pub const SINGLE: Self = Self {
        initial: 1,
        step: 1,
    };
    /// By the started minute.
    pub const MINUTE: Self = Self {
        initial: 60,
        step: 60,
    };

    /// Each part is 1 to 86,400 seconds.
    pub fn new(initial: u32, step: u32) -> Result<Self, InvalidIncrement> {
        let valid = 1..=Self::PART_MAX;
        if valid.contains(&initial) && valid.contains(&step) {
            Ok(Self { initial, step })
        } else {
            Err(InvalidIncrement(format!("{initial}/{step}")))
        }
    }

    /// Seconds that are billed as soon as one is charged.
    pub fn initial(self) -> u32 {
        self.initial
    }

    /// Seconds of each further step.
    pub fn step(self) -> u32 {
        self.step
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(crate) fn is_single(&self) -> bool {
        *self == Self::SINGLE
    }

    /// Seconds billed for `seconds`: nothing for nothing, then each started stretch whole. `None` beyond 136 years.
    pub fn billed(self, seconds: u32) -> Option<u32> {
        if seconds == 0 {
            Some(0)
        } else {
            self.boundary_at_or_after(seconds)
        }
    }

    /// The first second at or after `second` at which a stretch starts or ends.
    pub(crate) fn boundary_at_or_after(self, second: u32) -> Option<u32> {
        if second == 0 {
            return Some(0);
        }
        let further = second.saturating_sub(self.initial).div_ceil(self.step);
        further.checked_mul(self.step)?.checked_add(self.initial)
    }
}

impl Default for Increment {
    fn default() -> Self {
        Self::SINGLE
    }
}

impl FromStr for Increment {
    type Err = InvalidIncrement;

    fn from_str(text: &str) -> Result<Self, InvalidIncrement> {
        let invalid = || InvalidIncrement(text.chars().take(40).collect());
        let (initial, step) = text.split_once('/').ok_or_else(invalid)?;
        Self::new(
            initial.parse().map_err(|_| invalid())?,
            step.parse().map_err(|_| invalid())?,
        )
        .map_err(|_| invalid())
    }
}

impl TryFrom<String> for Increment {
    type Error = InvalidIncrement;

    fn try_from(text: String) -> Result<Self, InvalidIncrement> {
        text.parse()
    }
}

impl From<Increment> for String {
    fn from(increment: Increment) -> Self {
        increment.to_string()
    }
}

impl fmt::Display for Increment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.initial, self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn started_stretches_count_whole() {
        let cases = [
            (
                "60/60",
                vec![(0, 0), (1, 60), (60, 60), (61, 120), (120, 120), (121, 180)],
            ),
            (
                "30/6",
                vec![(1, 30), (30, 30), (31, 36), (36, 36), (37, 42)],
            ),
            ("90/60", vec![(60, 90), (91, 150), (150, 150)]),
            ("1/1", vec![(0, 0), (1, 1), (7, 7)]),
        ];
        for (increment, seconds) in cases {
            for (used, billed) in seconds {
                assert_eq!(
                    increment.parse::<Increment>().unwrap().billed(used),
                    Some(billed),
                    "{increment} {used}"
                );
            }
        }
        assert_eq!(Increment::MINUTE.billed(u32::MAX), None);
    }

    #[test]
    fn senseless_increments_are_refused() {
        for text in [
            "0/60", "60/0", "60", "-60/60", "60/60/60", "86401/1", "", "a/b",
        ] {
            assert!(text.parse::<Increment>().is_err(), "{text}");
        }
    }
}
