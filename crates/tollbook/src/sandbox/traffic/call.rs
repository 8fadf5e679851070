//! What is planned, and how long people talk.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::Serialize;
use tollbook_core::phone::{E164, Party};

use super::profile::Shares;

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Planned {
    /// A call.
    Call(PlannedCall),
    /// A message.
    Message(PlannedMessage),
}

/// A call with all that becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedCall {
    /// When it begins to ring.
    pub at: Timestamp,
    /// Whether it comes in.
    pub is_incoming: bool,
    /// The number that is called or calls.
    pub our_number: E164,
    /// The other side.
    pub external: Party,
    /// How long it rings before it is answered or given up.
    pub ring_seconds: u32,
    /// How long is talked.
    pub talk_seconds: u32,
    /// Who answers or calls, by the name that the profile gives.
    pub user: Option<String>,
    /// What becomes of it.
    pub ending: Ending,
    /// Whether it is recorded.
    pub is_recorded: bool,
    /// What is said.
    pub transcript: Vec<Line>,
    /// What it was about.
    pub summary: Vec<String>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Somebody picks up.
    Answered,
    /// Somebody picks up and hands it to a colleague.
    Transferred {
        /// The colleague.
        to: String,
        /// After so much of the time talked.
        after_seconds: u32,
    },
    /// It is sent on to another number.
    Forwarded {
        /// The number.
        to: E164,
    },
    /// Nobody picks up, and the caller leaves a message.
    Voicemail {
        /// Its length.
        seconds: u32,
        /// What is said.
        transcript: Option<String>,
    },
    /// Nobody picks up.
    Missed,
    /// The caller hangs up before anybody could pick up.
    Abandoned,
    /// It cannot be put through.
    Failed,
}

/// A line of what is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Whether the other side says it.
    pub is_external: bool,
    /// The words.
    pub text: String,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedMessage {
    /// When.
    pub at: Timestamp,
    /// Whether it comes in.
    pub is_incoming: bool,
    /// The number that writes or is written to.
    pub our_number: E164,
    /// The other side.
    pub external: Party,
    /// The text.
    pub text: String,
    /// What becomes of it, if it goes out.
    pub fate: Fate,
}

/// What becomes of an outgoing message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It arrives.
    Delivered,
    /// The carrier cannot deliver it.
    Undelivered,
    /// The provider gives up.
    Failed,
}

impl Planned {
    /// When it begins.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Call(call) => call.at,
            Self::Message(message) => message.at,
        }
    }
}

impl PlannedCall {
    /// Whether somebody of ours talks.
    pub fn is_answered(&self) -> bool {
        matches!(self.ending, Ending::Answered | Ending::Transferred { .. })
    }

    /// When it is over.
    pub fn ends_at(&self) -> Timestamp {
        let seconds = i64::from(self.ring_seconds).saturating_add(i64::from(self.talk_seconds));
        self.at
            .checked_add(SignedDuration::from_secs(seconds))
            .unwrap_or(Timestamp::MAX)
    }
}

/// Log-normal, four hours at most.
pub(super) fn talk_seconds(rng: &mut impl Rng, shares: &Shares) -> u32 {
    let deviation: f64 = rng.sample(StandardNormal);
    let seconds = shares.talk_median_seconds * (shares.talk_sigma * deviation).exp();
    let whole = Duration::try_from_secs_f64(seconds).map_or(u64::MAX, |length| length.as_secs());
    u32::try_from(whole).unwrap_or(u32::MAX).clamp(2, 14_400)
}

/// A time that was drawn, to the millisecond as providers tell it.
pub(super) fn seconds_f64(seconds: f64) -> SignedDuration {
    let exact = Duration::try_from_secs_f64(seconds.clamp(0.0, 1e9)).unwrap_or(Duration::MAX);
    let millis = i64::try_from(exact.as_millis()).unwrap_or(i64::MAX);
    SignedDuration::from_millis(millis)
}
