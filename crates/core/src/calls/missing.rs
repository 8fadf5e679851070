//! What has to be asked of the provider because an event never came, and when a call is given up.

use jiff::{SignedDuration, Timestamp};

use super::leg::Leg;
use super::names::Phase;
use super::state::Call;
use super::verdict::Talk;
use crate::named::named;

named! {
    /// What is not known of a record.
    Unknown("unknown") {
        /// The record itself: another one names it as its parent.
        Record = "record",
        /// When it began, in which direction, on which number.
        Start = "start",
        /// Whether and when it was answered.
        Answer = "answer",
        /// When it ended.
        End = "end",
    }
}

/// A record that the provider has to be asked for, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The record.
    pub sid: String,
    /// The first thing that is not known.
    pub what: Unknown,
}

/// What to do about a call of which something is missing, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Ask the provider for these records.
    Fetch {
        /// When.
        at: Timestamp,
        /// The records.
        sids: Vec<String>,
    },
    /// Give up on these records: observe [`Leg::swept`] for each.
    Sweep {
        /// When.
        at: Timestamp,
        /// The records.
        sids: Vec<String>,
    },
}

/// A call that rings for longer has probably lost an event.
const RINGING_PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// How often the provider is asked whether a call is still on.
const TALKING_PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// The answer of an ended call follows its end within seconds, or never.
const ENDED_PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// Between two questions at most.
const PATIENCE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// After so long without a word the call is over, whatever the provider says. No provider carries a longer call.
const SWEEP_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What is not known of a call. Empty exactly when the call has ended and nothing more can change it but a correction.
pub fn missing(call: &Call) -> Vec<Missing> {
    let unseen_root = call.root().is_none().then(|| Missing {
        sid: call.root_sid().to_owned(),
        what: Unknown::Record,
    });
    let of_legs = call.legs().iter().filter_map(|leg| {
        Some(Missing {
            sid: leg.sid().to_owned(),
            what: unknown(leg)?,
        })
    });
    unseen_root.into_iter().chain(of_legs).collect()
}

fn unknown(leg: &Leg) -> Option<Unknown> {
    if leg.swept_at().is_some() {
        return None;
    }
    let is_head = leg.parent_sid().is_none();
    if leg.started_at().is_none() || (is_head && leg.direction().is_none()) {
        return Some(Unknown::Start);
    }
    if leg.phase() < Phase::Ended {
        return Some(Unknown::End);
    }
    if leg.talk() == Talk::Unknown {
        return Some(Unknown::Answer);
    }
    leg.ended_at().is_none().then_some(Unknown::End)
}

/// When to look after a call next, and what to do then, if nothing is heard of it until then; `None` when nothing is
/// missing. `fetches` counts how often the provider was asked since something was last heard.
pub fn next_check(call: &Call, fetches: u32) -> Option<Check> {
    let missing = missing(call);
    if missing.is_empty() {
        return None;
    }
    let last_seen = call.legs().iter().map(Leg::last_seen_at).max()?;
    let sids = missing.into_iter().map(|missing| missing.sid).collect();
    let patience = match call.phase() {
        Phase::Queued | Phase::Ringing => RINGING_PATIENCE,
        Phase::InProgress => TALKING_PATIENCE,
        Phase::Ended => ENDED_PATIENCE,
    };
    let at = later(last_seen, waited(patience, fetches));
    let sweep_at = later(last_seen, SWEEP_AFTER);
    Some(if at < sweep_at {
        Check::Fetch { at, sids }
    } else {
        Check::Sweep { at: sweep_at, sids }
    })
}

/// All the waiting until question number `fetches`: each wait is twice the one before, up to a limit.
fn waited(first: SignedDuration, fetches: u32) -> SignedDuration {
    let mut wait = first;
    let mut total = first;
    for _ in 0..fetches.min(100) {
        wait = wait.saturating_mul(2).min(PATIENCE_MAX);
        total = total.saturating_add(wait);
    }
    total
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
