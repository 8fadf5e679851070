//! The clock is a value: the system's, a faster one for the demo, or one that a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// What time it is in the business. Receipt times of webhooks and usage are the database's own instead.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's.
    System,
    /// Runs `speed` times as fast as the system's, from `start` on.
    Scaled {
        /// When the clock began, by both clocks.
        start: Timestamp,
        /// Seconds of business per second of the system.
        speed: u32,
    },
    /// Stands still until it is set: milliseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that shows `now` until it is set.
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.as_millisecond())))
    }

    /// A clock that runs `speed` times as fast as the system's, from now on.
    pub fn scaled(speed: u32) -> Self {
        Self::Scaled {
            start: Timestamp::now(),
            speed: speed.max(1),
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Scaled { start, speed } => {
                let passed = Timestamp::now().duration_since(*start);
                let speed = i32::try_from(*speed).unwrap_or(i32::MAX);
                start
                    .checked_add(passed.saturating_mul(speed))
                    .unwrap_or(Timestamp::MAX)
            }
            Self::Manual(millis) => Timestamp::from_millisecond(millis.load(Ordering::SeqCst))
                .unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    /// The time that credentials and limits go by: never faster than the system's.
    pub fn real(&self) -> Timestamp {
        match self {
            Self::System | Self::Scaled { .. } => Timestamp::now(),
            Self::Manual(_) => self.now(),
        }
    }

    /// Seconds of business per second of the system: what a page's ticking times need to know.
    pub fn speed(&self) -> u32 {
        match self {
            Self::Scaled { speed, .. } => *speed,
            Self::System | Self::Manual(_) => 1,
        }
    }

    /// Moves a manual clock on; the others go by themselves.
    pub fn advance(&self, by: SignedDuration) {
        if let Self::Manual(millis) = self {
            let by = i64::try_from(by.as_millis()).unwrap_or(0);
            millis.fetch_add(by, Ordering::SeqCst);
        }
    }
}
