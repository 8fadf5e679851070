//! What a node remembers of its callers for a short time: API keys, and how often a sign-in was tried.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::http::caller::KeyHolder;

/// A key that is revoked on another node still works here for so long.
const KEY_TIME: SignedDuration = SignedDuration::from_secs(10);
/// So many keys are remembered at most.
const KEYS_MAX: usize = 10_000;
/// Tries of one address of mail at once, and then one every half minute.
const TRIES_PER_MAIL: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
/// Tries from one network address at once, and then one every half minute.
const TRIES_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(50).expect("not zero");
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// So many callers are remembered before those are forgotten who may try again anyway.
const CALLERS_MAX: usize = 10_000;
/// Each hashing of a password takes 19 MiB of memory and a core for some time.
const HASHINGS_MAX: usize = 2;

/// Holders by the digest of their key, and until when they are remembered.
type Keys = HashMap<[u8; 32], (Timestamp, Arc<KeyHolder>)>;

/// What a node remembers.
#[derive(Debug)]
pub(crate) struct Recent {
    keys: Mutex<Keys>,
    mails: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    /// Bounds how many passwords are hashed at once.
    pub(super) hashings: Arc<Semaphore>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            keys: Mutex::default(),
            mails: RateLimiter::keyed(quota(TRIES_PER_MAIL)),
            addresses: RateLimiter::keyed(quota(TRIES_PER_ADDRESS)),
            hashings: Arc::new(Semaphore::new(HASHINGS_MAX)),
        }
    }
}

fn quota(burst: NonZeroU32) -> Quota {
    // The period is not zero, which is the only reason for the fallback.
    Quota::with_period(TRY_AGAIN)
        .unwrap_or_else(|| Quota::per_minute(burst))
        .allow_burst(burst)
}

impl Recent {
    /// The holder of a key that was looked up a moment ago.
    pub(super) fn key(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<KeyHolder>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, holder) = keys.get(digest)?;
        (now < *until).then(|| Arc::clone(holder))
    }

    /// Remembers the holder of a key.
    pub(super) fn remember_key(&self, digest: [u8; 32], holder: &Arc<KeyHolder>, now: Timestamp) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.retain(|_, (until, _)| now < *until);
        }
        if keys.len() < KEYS_MAX {
            let until = now.checked_add(KEY_TIME).unwrap_or(now);
            keys.insert(digest, (until, Arc::clone(holder)));
        }
    }

    /// Forgets all keys: one was revoked.
    pub(super) fn forget_keys(&self) {
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Counts a try to sign in; fails when there were too many for this mail address or from this network address.
    pub(super) fn count_try(&self, mail: &str, address: Option<IpAddr>) -> Result<()> {
        if self.mails.len() + self.addresses.len() > CALLERS_MAX {
            self.mails.retain_recent();
            self.addresses.retain_recent();
        }
        let now = DefaultClock::default().now();
        let refuse = |retry_after| Error::RateLimited { retry_after };
        if let Some(address) = address {
            self.addresses
                .check_key(&address)
                .map_err(|until| refuse(until.wait_time_from(now)))?;
        }
        self.mails
            .check_key(&mail.to_lowercase())
            .map_err(|until| refuse(until.wait_time_from(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_by_mail_whatever_its_case() {
        let recent = Recent::default();
        for _ in 0..10 {
            recent.count_try("Ann@example.com", None).unwrap();
        }
        assert!(matches!(
            recent.count_try("ann@EXAMPLE.com", None),
            Err(Error::RateLimited { retry_after }) if retry_after <= TRY_AGAIN
        ));
        assert!(recent.count_try("bob@example.com", None).is_ok());
    }

    #[test]
    fn tries_are_counted_by_address_whatever_the_mail() {
        let recent = Recent::default();
        let address = Some("192.0.2.1".parse().unwrap());
        for n in 0..50 {
            recent
                .count_try(&format!("{n}@example.com"), address)
                .unwrap();
        }
        assert!(recent.count_try("x@example.com", address).is_err());
    }
}
