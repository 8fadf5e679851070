//! The clock is a value: the system's, a faster one for the demo, or one that a test sets.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// What time it is in the business. Receipt times of webhooks and usage are the database's own instead.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's.
    System,
    /// Runs faster than the system's, and can be set: for the demo.
    Scaled(Arc<Mutex<Pace>>),
    /// Stands still until it is set: milliseconds since 1970.
    Manual(Arc<AtomicI64>),
}

/// How a scaled clock goes since it was last set.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// What the system's clock showed then.
    system: Timestamp,
    /// What this clock showed then.
    business: Timestamp,
    /// Seconds of business per second of the system; 0 stands still.
    speed: u32,
}

impl Pace {
    fn now(&self) -> Timestamp {
        let passed = Timestamp::now().duration_since(self.system);
        let speed = i32::try_from(self.speed).unwrap_or(i32::MAX);
        self.business
            .checked_add(passed.saturating_mul(speed))
            .unwrap_or(Timestamp::MAX)
    }
}

fn locked(pace: &Mutex<Pace>) -> MutexGuard<'_, Pace> {
    // Plain values: whole whatever happened to who held it.
    pace.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock {
    /// A clock that shows `now` until it is set.
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.as_millisecond())))
    }

    /// A clock that shows `now` and runs `speed` times as fast as the system's; 0 stands still.
    pub fn scaled(now: Timestamp, speed: u32) -> Self {
        Self::Scaled(Arc::new(Mutex::new(Pace {
            system: Timestamp::now(),
            business: now,
            speed,
        })))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Scaled(pace) => locked(pace).now(),
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
            Self::Scaled(pace) => locked(pace).speed,
            Self::System | Self::Manual(_) => 1,
        }
    }

    /// Sets a scaled clock to `now`, running `speed` times as fast as the system's from here on; the others stay. It
    /// never goes back.
    pub fn set(&self, now: Timestamp, speed: u32) {
        if let Self::Scaled(pace) = self {
            let mut pace = locked(pace);
            *pace = Pace {
                system: Timestamp::now(),
                business: now.max(pace.now()),
                speed,
            };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_stands_still_at_speed_zero_and_never_goes_back() {
        let noon: Timestamp = "2026-01-06T12:00:00Z".parse().unwrap();
        let hour = SignedDuration::from_hours(1);
        let clock = Clock::scaled(noon, 0);
        assert_eq!(clock.now(), noon);
        clock.set(noon + hour, 0);
        assert_eq!(clock.now(), noon + hour);
        clock.set(noon, 0);
        assert_eq!(clock.now(), noon + hour);
        clock.set(noon, 10);
        assert!(clock.now() >= noon + hour && clock.speed() == 10);
    }
}
