//! Plays planned traffic through the stand-ins of the phone providers.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::cast::Cast;
use super::phones::{Phones, Played};
use super::traffic::{self, Planned, PlannedCall, PlannedMessage, Profile};
use super::world::PhoneAccount;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// The same days for everybody who watches.
const SEED: u64 = 2026;
/// Nothing waits longer than this for the next thing to happen.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The stand-ins with everything that is to happen in them.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(super) phones: Phones,
    accounts: Vec<PhoneAccount>,
    cast: Cast,
    /// Days before this one are quiet.
    busy_from: Date,
    /// Calls that have been planned and are not over: when they are, and the provider's id.
    open: Vec<(Timestamp, Played)>,
}

impl Stage {
    /// A stage on which the days from `busy_from` on are full.
    pub(crate) fn new(phones: Phones, accounts: Vec<PhoneAccount>, busy_from: Date) -> Self {
        Self {
            phones,
            accounts,
            cast: Cast::default(),
            busy_from,
            open: Vec::new(),
        }
    }

    /// Plans everything that begins in `[from, to)`; returns how many calls.
    pub(crate) fn plan(&mut self, from: Timestamp, to: Timestamp) -> Result<usize> {
        self.open.retain(|(until, _)| *until > from);
        let mut planned: Vec<(usize, Planned)> = Vec::new();
        for (place, account) in self.accounts.iter().enumerate() {
            let mut date = account.zone.date(from);
            let last = account.zone.date(to);
            while date <= last {
                let seed = SEED.wrapping_add(u64::try_from(place).unwrap_or(0));
                let day = traffic::day(seed, date, &account.zone, self.profile(account, date))
                    .map_err(|error| Error::Internal(error.to_string()))?;
                let within = day.into_iter().filter(|it| from <= it.at() && it.at() < to);
                planned.extend(within.map(|it| (place, it)));
                date = date
                    .tomorrow()
                    .map_err(|error| Error::Internal(error.to_string()))?;
            }
        }
        planned.sort_by_key(|(place, it)| (it.at(), *place));
        let mut calls = 0;
        for (place, it) in planned {
            match it {
                Planned::Call(call) => calls += usize::from(self.play_call(place, call)?),
                Planned::Message(message) => self.play_message(place, &message)?,
            }
        }
        Ok(calls)
    }

    fn profile<'a>(&self, account: &'a PhoneAccount, date: Date) -> &'a Profile {
        if date < self.busy_from {
            &account.quiet
        } else {
            &account.busy
        }
    }

    fn play_call(&mut self, place: usize, call: PlannedCall) -> Result<bool> {
        let Some(account) = self.accounts.get(place) else {
            return Ok(false);
        };
        let line = account
            .busy
            .lines
            .iter()
            .find(|line| line.number == call.our_number);
        let users = line.map(|line| line.users.as_slice()).unwrap_or_default();
        let Some(call) = self.cast.fit(call, users) else {
            return Ok(false);
        };
        let played = self.phones.play(account, &call)?;
        let ends_at = call.ends_at();
        self.open.extend(played.into_iter().map(|it| (ends_at, it)));
        Ok(true)
    }

    fn play_message(&self, place: usize, message: &PlannedMessage) -> Result<()> {
        match self.accounts.get(place) {
            Some(account) => self.phones.play_message(account, message),
            None => Ok(()),
        }
    }

    /// Lets things happen when the clock says so, until it shows `to` or `stop`.
    pub(crate) async fn follow(&self, clock: &Clock, to: Timestamp, stop: &CancellationToken) {
        while clock.now() < to && !stop.is_cancelled() {
            self.phones.deliver_due(clock.now()).await;
            let next = self.phones.next_at().unwrap_or(to).min(to);
            let wait = system_time(next.duration_since(clock.now()), clock.speed());
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Everybody hangs up: the provider forgets its calls when it stops, and none should look as if it went on.
    pub(crate) async fn hang_up(&mut self, now: Timestamp) {
        for (_, call) in self.open.drain(..).filter(|(until, _)| *until > now) {
            self.phones.end_call(&call, now);
        }
        self.phones.deliver_due(now).await;
    }
}

/// How long the system's clock takes for a time of business.
fn system_time(business: SignedDuration, speed: u32) -> Duration {
    let business = Duration::try_from(business).unwrap_or(Duration::ZERO);
    (business / speed.max(1)).clamp(Duration::from_millis(1), LOOK_EVERY)
}
