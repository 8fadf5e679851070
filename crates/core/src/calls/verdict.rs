//! What the observations of a leg amount to: its phase, its outcome and the time talked.

use jiff::{SignedDuration, Timestamp};

use super::leg::Leg;
use super::names::{Direction, Outcome, Phase};

/// The time that a leg adds to the time talked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// Nobody talked, or not yet.
    None,
    /// Somebody talked, or may have, and the provider has not yet said from when to when.
    Unknown,
    /// Somebody talks.
    Running {
        /// When it was answered.
        since: Timestamp,
    },
    /// Somebody talked; `start` is before `end`.
    Done {
        /// When it was answered.
        start: Timestamp,
        /// When it ended.
        end: Timestamp,
    },
}

impl Leg {
    /// How far the leg is.
    pub fn phase(&self) -> Phase {
        let is_ended = self.ended_at().is_some()
            || self.observed_outcome().is_some()
            || self.swept_at().is_some();
        let proven = if is_ended {
            Phase::Ended
        } else if self.answered_at().is_some() {
            Phase::InProgress
        } else {
            Phase::Queued
        };
        self.observed_phase()
            .map_or(proven, |observed| observed.max(proven))
    }

    /// Whether somebody answered, once that is known.
    pub fn is_answered(&self) -> Option<bool> {
        let is_timed = self.answered_at().is_some()
            || self.observed_talk().is_some_and(|talked| talked.get() > 0);
        match self.observed_outcome() {
            Some(Outcome::Answered) => Some(true),
            Some(
                Outcome::Voicemail
                | Outcome::Missed
                | Outcome::Abandoned
                | Outcome::Busy
                | Outcome::Failed
                | Outcome::Canceled,
            ) => Some(false),
            Some(Outcome::Forwarded) => Some(is_timed),
            None if is_timed => Some(true),
            None if self.has_voicemail()
                || self.forwarded_to().is_some()
                || self.swept_at().is_some() =>
            {
                Some(false)
            }
            None => None,
        }
    }

    /// How the leg ended; `None` while it lasts, or while the provider has not said.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.phase() < Phase::Ended {
            return None;
        }
        let observed = self.observed_outcome();
        if observed == Some(Outcome::Forwarded) {
            return observed;
        }
        if self.is_answered()? {
            return Some(Outcome::Answered);
        }
        if self.has_voicemail() && self.direction() != Some(Direction::Outgoing) {
            return Some(Outcome::Voicemail);
        }
        let guess = if self.forwarded_to().is_some() {
            Outcome::Forwarded
        } else {
            Outcome::Failed
        };
        Some(observed.unwrap_or(guess))
    }

    /// From when to when somebody talked.
    ///
    /// OpenPhone's duration is the length of the whole call, ringing and voicemail included, so only the times of
    /// answer and end count there. Twilio's is the time talked, and its callbacks carry no time of answer.
    pub fn talk(&self) -> Talk {
        if self.phase() < Phase::Ended {
            return self
                .answered_at()
                .map_or(Talk::None, |since| Talk::Running { since });
        }
        match self.is_answered() {
            Some(false) => Talk::None,
            Some(true) => match self.talked_from_to() {
                Some((start, end)) if start < end => Talk::Done { start, end },
                Some(_) => Talk::None,
                // Nobody is billed for a time that nobody measured.
                None if self.swept_at().is_some() => Talk::None,
                None => Talk::Unknown,
            },
            None => Talk::Unknown,
        }
    }

    /// When it began: as told, else the time of the first event.
    pub fn start(&self) -> Timestamp {
        self.started_at().unwrap_or_else(|| self.first_seen_at())
    }

    /// When it ended, supposing that it did: as told, else when the talk was over, else the time of the last event.
    pub fn end(&self) -> Timestamp {
        let talk_end = match self.talk() {
            Talk::Done { end, .. } => Some(end),
            Talk::None | Talk::Unknown | Talk::Running { .. } => None,
        };
        self.ended_at()
            .or(talk_end)
            .unwrap_or_else(|| self.last_seen_at())
    }

    fn talked_from_to(&self) -> Option<(Timestamp, Timestamp)> {
        let answered_at = self.answered_at();
        let ended_at = self.ended_at();
        let Some(talked) = self.observed_talk() else {
            return Some((answered_at?, ended_at?));
        };
        let talked = SignedDuration::from_secs(talked.get().into());
        match (answered_at, ended_at) {
            (Some(start), _) => Some((start, start.checked_add(talked).ok()?)),
            (None, Some(end)) => Some((end.checked_sub(talked).ok()?, end)),
            (None, None) => {
                let start = self.started_at()?;
                Some((start, start.checked_add(talked).ok()?))
            }
        }
    }
}
