//! Plays planned traffic through the sandbox of the phone provider.

use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tollbook_providers::openphone::sandbox::{
    self as provider, Sandbox, ScriptedCall, ScriptedMessage,
};

use super::cast::Cast;
use super::traffic::{self, Ending, Fate, Planned, PlannedCall, PlannedMessage, Profile};
use super::world::PhoneAccount;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// The same days for everybody who watches.
const SEED: u64 = 2026;
/// Nothing waits longer than this for the next thing to happen.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The sandbox with everything that is to happen in it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(super) sandbox: Sandbox,
    accounts: Vec<PhoneAccount>,
    cast: Cast,
    /// Days before this one are quiet.
    busy_from: Date,
    /// Calls that have been planned and are not over: when they are, and the provider's id.
    open: Vec<(Timestamp, String)>,
}

impl Stage {
    /// A stage on which the days from `busy_from` on are full.
    pub(crate) fn new(sandbox: Sandbox, accounts: Vec<PhoneAccount>, busy_from: Date) -> Self {
        Self {
            sandbox,
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
                Planned::Message(message) => self.play_message(&message)?,
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
        let sids = self
            .sandbox
            .play(&script(&call, account))
            .map_err(|error| nobodys(&error))?;
        let ends_at = call.ends_at();
        self.open.extend(sids.into_iter().map(|sid| (ends_at, sid)));
        Ok(true)
    }

    fn play_message(&self, message: &PlannedMessage) -> Result<()> {
        let (ours, theirs) = (
            message.our_number.to_string(),
            message.external.as_str().to_owned(),
        );
        let (from, to) = if message.is_incoming {
            (theirs, ours)
        } else {
            (ours, theirs)
        };
        let script = ScriptedMessage {
            from,
            to,
            text: message.text.clone(),
            at: message.at,
            fate: match message.fate {
                Fate::Delivered => provider::Fate::Delivered,
                Fate::Undelivered => provider::Fate::Undelivered,
                Fate::Failed => provider::Fate::Failed,
            },
        };
        self.sandbox
            .play_message(&script)
            .map_err(|error| nobodys(&error))?;
        Ok(())
    }

    /// Lets things happen when the clock says so, until it shows `to` or `stop`.
    pub(crate) async fn follow(&self, clock: &Clock, to: Timestamp, stop: &CancellationToken) {
        while clock.now() < to && !stop.is_cancelled() {
            self.sandbox.deliver_due(clock.now()).await;
            let next = self.sandbox.next_at().unwrap_or(to).min(to);
            let wait = system_time(next.duration_since(clock.now()), clock.speed());
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Everybody hangs up: the provider forgets its calls when it stops, and none should look as if it went on.
    pub(crate) async fn hang_up(&mut self, now: Timestamp) {
        for (_, sid) in self.open.drain(..).filter(|(until, _)| *until > now) {
            self.sandbox.end_call(&sid, now);
        }
        self.sandbox.deliver_due(now).await;
    }
}

/// How long the system's clock takes for a time of business.
fn system_time(business: SignedDuration, speed: u32) -> Duration {
    let business = Duration::try_from(business).unwrap_or(Duration::ZERO);
    (business / speed.max(1)).clamp(Duration::from_millis(1), LOOK_EVERY)
}

fn nobodys(error: &provider::UnknownNumber) -> Error {
    Error::Internal(error.to_string())
}

fn script(call: &PlannedCall, account: &PhoneAccount) -> ScriptedCall {
    let sid = |mail: &String| account.user_sids.get(mail).cloned();
    let (ours, theirs) = (
        call.our_number.to_string(),
        call.external.as_str().to_owned(),
    );
    let (from, to) = if call.is_incoming {
        (theirs, ours)
    } else {
        (ours, theirs)
    };
    ScriptedCall {
        from,
        to,
        at: call.at,
        ring_seconds: call.ring_seconds,
        talk_seconds: call.talk_seconds,
        ending: match &call.ending {
            Ending::Answered => provider::Ending::Answered,
            Ending::Transferred { to, after_seconds } => match sid(to) {
                Some(to_user_sid) => provider::Ending::Transferred {
                    to_user_sid,
                    after_seconds: *after_seconds,
                },
                None => provider::Ending::Answered,
            },
            Ending::Forwarded { to } => provider::Ending::Forwarded { to: to.to_string() },
            Ending::Voicemail {
                seconds,
                transcript,
            } => provider::Ending::Voicemail {
                seconds: *seconds,
                transcript: transcript.clone(),
            },
            Ending::Missed => provider::Ending::Missed,
            Ending::Abandoned => provider::Ending::Abandoned,
            Ending::Failed => provider::Ending::Failed,
        },
        user_sid: call.user.as_ref().and_then(sid),
        is_recorded: call.is_recorded,
        transcript: call
            .transcript
            .iter()
            .map(|line| provider::Line {
                is_external: line.is_external,
                text: line.text.clone(),
            })
            .collect(),
        summary: call.summary.clone(),
    }
}
