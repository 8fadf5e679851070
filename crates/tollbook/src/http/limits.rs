//! How much one caller may ask: per user, per API key, and per address for those without credentials.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::caller::{Caller, Principal};
use super::context;
use crate::config::Settings;
use crate::error::Error;

/// As many seconds' worth may come at once.
const BURST_SECONDS: u32 = 10;
/// So many callers are remembered before those are forgotten who have their full quota again.
const CALLERS_MAX: usize = 10_000;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// The quotas of a node.
#[derive(Debug)]
pub(crate) struct Limits {
    users: Limiter<String>,
    keys: Limiter<String>,
    addresses: Limiter<IpAddr>,
}

/// The state of a caller's quota after a request.
pub(crate) struct Standing {
    limit: u32,
    remaining: u32,
    /// Until the quota is whole again, or until the next request may come when there is nothing left.
    reset: Duration,
    is_exceeded: bool,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            users: limiter(settings.rate_limit_user),
            keys: limiter(settings.rate_limit_key),
            addresses: limiter(settings.rate_limit_address),
        }
    }

    /// Counts a request, and says where its caller stands. The platform's own service has no limit.
    pub(crate) fn standing(&self, request: &Request) -> Option<Standing> {
        let address = context::current().and_then(|it| it.address);
        self.count(request.extensions().get::<Caller>(), address)
    }

    fn count(&self, caller: Option<&Caller>, address: Option<IpAddr>) -> Option<Standing> {
        let anonymous = || address.map(|it| check(&self.addresses, &it));
        let Some(caller) = caller else {
            return anonymous();
        };
        match &caller.principal {
            Principal::Nobody(_) => anonymous(),
            Principal::User(user) => Some(check(&self.users, &user.id.to_string())),
            Principal::Key(key) => Some(check(&self.keys, &key.id.to_string())),
            Principal::Service => None,
        }
    }
}

fn limiter<K: Eq + std::hash::Hash + Clone>(per_second: NonZeroU32) -> Limiter<K> {
    let burst = per_second.saturating_mul(NonZeroU32::new(BURST_SECONDS).unwrap_or(per_second));
    RateLimiter::dashmap(Quota::per_second(per_second).allow_burst(burst))
        .with_middleware::<StateInformationMiddleware>()
}

fn check<K: Eq + std::hash::Hash + Clone>(limiter: &Limiter<K>, key: &K) -> Standing {
    if limiter.len() > CALLERS_MAX {
        limiter.retain_recent();
    }
    match limiter.check_key(key) {
        Ok(state) => Standing {
            limit: state.quota().burst_size().get(),
            remaining: state.remaining_burst_capacity(),
            reset: until_whole(&state),
            is_exceeded: false,
        },
        Err(refusal) => Standing {
            limit: refusal.quota().burst_size().get(),
            remaining: 0,
            reset: refusal.wait_time_from(DefaultClock::default().now()),
            is_exceeded: true,
        },
    }
}

fn until_whole(state: &StateSnapshot) -> Duration {
    let used = state
        .quota()
        .burst_size()
        .get()
        .saturating_sub(state.remaining_burst_capacity());
    state.quota().replenish_interval().saturating_mul(used)
}

impl Standing {
    /// Why the request is not answered, if it exceeds the quota.
    pub(crate) fn refusal(&self) -> Option<Error> {
        let retry_after = Duration::from_secs(self.reset_seconds());
        self.is_exceeded
            .then_some(Error::RateLimited { retry_after })
    }

    /// Tells the caller where they stand.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset_seconds()));
    }

    /// In whole seconds, never too early.
    fn reset_seconds(&self) -> u64 {
        self.reset.as_secs() + u64::from(self.reset.subsec_nanos() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_is_counted_down_and_then_refused() {
        let limiter: Limiter<u8> = limiter(NonZeroU32::MIN);
        for remaining in (0..10).rev() {
            let standing = check(&limiter, &1);
            assert_eq!(
                (standing.remaining, standing.limit, standing.is_exceeded),
                (remaining, 10, false)
            );
        }
        let refused = check(&limiter, &1);
        assert!(refused.is_exceeded && refused.reset <= Duration::from_secs(1));
        assert!(
            !check(&limiter, &2).is_exceeded,
            "another caller is not concerned"
        );
    }
}
