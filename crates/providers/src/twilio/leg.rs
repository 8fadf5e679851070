//! What a leg is within its call. The provider has one record per leg, and its words mean different things on each.

use tollbook_core::calls::{Direction, Outcome, Phase};
use tollbook_core::phone::Party;

/// The part that a leg plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Somebody calls one of our numbers. The provider picks up and follows our instructions: that it is "in
    /// progress" or "completed" does not mean that a person answered.
    Incoming,
    /// A browser of ours calls the provider, which then dials somebody. Not the talk itself either.
    Browser,
    /// The provider calls somebody because we asked.
    Outgoing,
    /// Dialled to connect an incoming call or a browser: the talk itself.
    Child,
}

/// Browsers and apps are named like this.
const CLIENT_PREFIX: &str = "client:";

impl Role {
    pub(super) fn of(direction: &str, from: &str, has_parent: bool) -> Self {
        match direction {
            _ if has_parent => Self::Child,
            "outbound-dial" => Self::Child,
            "inbound" if from.starts_with(CLIENT_PREFIX) => Self::Browser,
            "inbound" | "trunking-originating" => Self::Incoming,
            _ => Self::Outgoing,
        }
    }

    /// The call's direction; a child does not decide it.
    pub(super) fn direction(self) -> Option<Direction> {
        match self {
            Self::Incoming => Some(Direction::Incoming),
            Self::Browser | Self::Outgoing => Some(Direction::Outgoing),
            Self::Child => None,
        }
    }

    /// Whether the leg's own time is time talked.
    pub(super) fn is_talk(self) -> bool {
        matches!(self, Self::Outgoing | Self::Child)
    }

    pub(super) fn phase(self, status: &str) -> Option<Phase> {
        match status {
            "queued" | "initiated" => Some(Phase::Queued),
            "in-progress" | "answered" if self.is_talk() => Some(Phase::InProgress),
            "ringing" | "in-progress" | "answered" => Some(Phase::Ringing),
            "completed" | "busy" | "no-answer" | "failed" | "canceled" => Some(Phase::Ended),
            _ => None,
        }
    }

    /// How the leg ended, where its status leaves no doubt.
    pub(super) fn outcome(self, status: &str) -> Option<Outcome> {
        match status {
            "completed" | "answered" => self.is_talk().then_some(Outcome::Answered),
            "busy" => Some(Outcome::Busy),
            "failed" => Some(Outcome::Failed),
            "no-answer" => Some(Outcome::Missed),
            // An incoming call is canceled by the caller, any other by us.
            "canceled" if self == Self::Incoming => Some(Outcome::Abandoned),
            "canceled" => Some(Outcome::Canceled),
            _ => None,
        }
    }
}

/// The user behind a browser or app.
pub(super) fn user(party: &str) -> Option<String> {
    party.strip_prefix(CLIENT_PREFIX).map(str::to_owned)
}

/// The number of a party that has one.
pub(super) fn number(party: &str) -> Option<tollbook_core::phone::E164> {
    Party::read(party).number().cloned()
}
