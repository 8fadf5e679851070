//! One provider record of a call, as the join of everything observed of it.
//!
//! Provider events overtake each other, come twice or not at all. So a leg is not moved by events: each event is an
//! observation, observations are joined, and the join does not depend on their order. What the leg *is* (its phase,
//! outcome, time talked) is computed from the join and therefore does not depend on the order either.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{CallFact, Fact, ProviderEvent, VoicemailFact};
use super::latest::Latest;
use super::names::{Direction, Outcome, Phase};
use crate::phone::{E164, Party};
use crate::time::Seconds;

/// Everything observed of one provider record. Kept as it is (serde), since the times of the observations decide
/// which of two wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    sid: String,
    #[serde(default)]
    parent_sid: Latest<String>,
    #[serde(default)]
    conversation_sid: Latest<String>,
    #[serde(default)]
    number_sid: Latest<String>,
    #[serde(default)]
    our_number: Latest<E164>,
    #[serde(default)]
    direction: Latest<Direction>,
    #[serde(default)]
    from: Latest<Party>,
    #[serde(default)]
    to: Latest<Party>,
    #[serde(default)]
    user_sid: Latest<String>,
    #[serde(default)]
    owner_sid: Latest<String>,
    #[serde(default)]
    phase: Option<Phase>,
    #[serde(default)]
    started_at: Latest<Timestamp>,
    #[serde(default)]
    answered_at: Latest<Timestamp>,
    #[serde(default)]
    ended_at: Latest<Timestamp>,
    #[serde(default)]
    outcome: Latest<Outcome>,
    #[serde(default)]
    duration: Latest<Seconds>,
    #[serde(default)]
    talked: Latest<Seconds>,
    #[serde(default)]
    forwarded_from: Latest<Party>,
    #[serde(default)]
    forwarded_to: Latest<Party>,
    #[serde(default)]
    has_voicemail: bool,
    #[serde(default)]
    is_whole: bool,
    #[serde(default)]
    swept_at: Option<Timestamp>,
    first_seen_at: Timestamp,
    last_seen_at: Timestamp,
}

impl Leg {
    /// What an event says about a leg, if it says anything.
    pub fn seen(event: &ProviderEvent) -> Option<Self> {
        match &event.fact {
            Fact::Call(fact) => Some(Self::seen_call(fact, event.occurred_at)),
            Fact::Voicemail(fact) => Some(Self::seen_voicemail(fact, event.occurred_at)),
            Fact::Recording(_)
            | Fact::Transcript(_)
            | Fact::Summary(_)
            | Fact::Message(_)
            | Fact::Ignored { .. } => None,
        }
    }

    /// The leg is given up: nothing was heard of it for long, and the provider knows nothing more. Anything that the
    /// provider says later still counts.
    pub fn swept(sid: &str, at: Timestamp) -> Self {
        Self {
            swept_at: Some(at),
            ..Self::unknown(sid, at)
        }
    }

    fn unknown(sid: &str, seen_at: Timestamp) -> Self {
        Self {
            sid: sid.to_owned(),
            parent_sid: Latest::default(),
            conversation_sid: Latest::default(),
            number_sid: Latest::default(),
            our_number: Latest::default(),
            direction: Latest::default(),
            from: Latest::default(),
            to: Latest::default(),
            user_sid: Latest::default(),
            owner_sid: Latest::default(),
            phase: None,
            started_at: Latest::default(),
            answered_at: Latest::default(),
            ended_at: Latest::default(),
            outcome: Latest::default(),
            duration: Latest::default(),
            talked: Latest::default(),
            forwarded_from: Latest::default(),
            forwarded_to: Latest::default(),
            has_voicemail: false,
            is_whole: false,
            swept_at: None,
            first_seen_at: seen_at,
            last_seen_at: seen_at,
        }
    }

    fn seen_call(fact: &CallFact, occurred_at: Timestamp) -> Self {
        let at = fact.updated_at.unwrap_or(occurred_at);
        Self {
            parent_sid: Latest::seen(at, fact.parent_sid.as_ref()),
            conversation_sid: Latest::seen(at, fact.conversation_sid.as_ref()),
            number_sid: Latest::seen(at, fact.number_sid.as_ref()),
            our_number: Latest::seen(at, fact.our_number.as_ref()),
            direction: Latest::seen(at, fact.direction.as_ref()),
            from: Latest::seen(at, fact.from.as_ref()),
            to: Latest::seen(at, fact.to.as_ref()),
            user_sid: Latest::seen(at, fact.user_sid.as_ref()),
            owner_sid: Latest::seen(at, fact.owner_sid.as_ref()),
            phase: fact.phase,
            started_at: Latest::seen(at, fact.started_at.as_ref()),
            answered_at: Latest::seen(at, fact.answered_at.as_ref()),
            ended_at: Latest::seen(at, fact.ended_at.as_ref()),
            outcome: Latest::seen(at, fact.outcome.as_ref()),
            duration: Latest::seen(at, fact.duration.as_ref()),
            talked: Latest::seen(at, fact.talked.as_ref()),
            forwarded_from: Latest::seen(at, fact.forwarded_from.as_ref()),
            forwarded_to: Latest::seen(at, fact.forwarded_to.as_ref()),
            has_voicemail: fact.has_voicemail == Some(true),
            is_whole: fact.is_whole,
            ..Self::unknown(&fact.sid, at)
        }
    }

    fn seen_voicemail(fact: &VoicemailFact, occurred_at: Timestamp) -> Self {
        let at = fact.updated_at.unwrap_or(occurred_at);
        Self {
            number_sid: Latest::seen(at, fact.number_sid.as_ref()),
            from: Latest::seen(at, fact.from.as_ref()),
            to: Latest::seen(at, fact.to.as_ref()),
            has_voicemail: true,
            ..Self::unknown(&fact.call_sid, at)
        }
    }

    /// Takes in what else was observed of the same record. Order and repetition make no difference.
    pub fn join(&mut self, other: Self) {
        self.parent_sid.join(other.parent_sid);
        self.conversation_sid.join(other.conversation_sid);
        self.number_sid.join(other.number_sid);
        self.our_number.join(other.our_number);
        self.direction.join(other.direction);
        self.from.join(other.from);
        self.to.join(other.to);
        self.user_sid.join(other.user_sid);
        self.owner_sid.join(other.owner_sid);
        self.phase = self.phase.max(other.phase);
        self.started_at.join(other.started_at);
        self.answered_at.join(other.answered_at);
        self.ended_at.join(other.ended_at);
        self.outcome.join(other.outcome);
        self.duration.join(other.duration);
        self.talked.join(other.talked);
        self.forwarded_from.join(other.forwarded_from);
        self.forwarded_to.join(other.forwarded_to);
        self.has_voicemail |= other.has_voicemail;
        self.is_whole |= other.is_whole;
        self.swept_at = match (self.swept_at, other.swept_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.first_seen_at = self.first_seen_at.min(other.first_seen_at);
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
    }

    /// The provider's id of the record.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The record that this one is a leg of, where the provider says so.
    pub fn parent_sid(&self) -> Option<&str> {
        self.parent_sid.get().map(String::as_str)
    }

    /// The provider's id of the thread between two parties.
    pub fn conversation_sid(&self) -> Option<&str> {
        self.conversation_sid.get().map(String::as_str)
    }

    /// The provider's id of the organization's phone number.
    pub fn number_sid(&self) -> Option<&str> {
        self.number_sid.get().map(String::as_str)
    }

    /// The organization's phone number: as told, else our side of the call.
    pub fn our_number(&self) -> Option<&E164> {
        self.our_number
            .get()
            .or_else(|| match self.direction.get()? {
                Direction::Incoming => self.to.get()?.number(),
                Direction::Outgoing => self.from.get()?.number(),
            })
    }

    /// Seen from the organization.
    pub fn direction(&self) -> Option<Direction> {
        self.direction.get().copied()
    }

    /// Who calls.
    pub fn from(&self) -> Option<&Party> {
        self.from.get()
    }

    /// Who is called.
    pub fn to(&self) -> Option<&Party> {
        self.to.get()
    }

    /// The other side.
    pub fn external(&self) -> Option<&Party> {
        match self.direction.get()? {
            Direction::Incoming => self.from.get(),
            Direction::Outgoing => self.to.get(),
        }
    }

    /// The provider's id of the user who answered or placed the call: as told, else, if somebody did, of the user in
    /// whose name the record is kept. Who was named always goes before who was not, whichever was told later.
    pub fn user_sid(&self) -> Option<&str> {
        let is_somebodys =
            self.direction() == Some(Direction::Outgoing) || self.answered_at().is_some();
        let owner = self.owner_sid.get().filter(|_| is_somebodys);
        self.user_sid.get().or(owner).map(String::as_str)
    }

    /// Whether the provider knows who answered and has not been heard to say so.
    pub(super) fn is_answerer_untold(&self) -> bool {
        self.direction() != Some(Direction::Outgoing)
            && self.answered_at().is_some()
            && self.user_sid.get().is_none()
            && self.owner_sid.get().is_some()
            && !self.is_whole
    }

    /// When it began, by the provider's clock.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at.get().copied()
    }

    /// When it was answered, as told.
    pub fn answered_at(&self) -> Option<Timestamp> {
        self.answered_at.get().copied()
    }

    /// When it ended, as told.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at.get().copied()
    }

    /// The provider's own length of the call, for display.
    pub fn duration(&self) -> Option<Seconds> {
        self.duration.get().copied()
    }

    /// Who sent the call on to us.
    pub fn forwarded_from(&self) -> Option<&Party> {
        self.forwarded_from.get()
    }

    /// To whom it was sent on.
    pub fn forwarded_to(&self) -> Option<&Party> {
        self.forwarded_to.get()
    }

    /// Whether the caller left a message.
    pub fn has_voicemail(&self) -> bool {
        self.has_voicemail
    }

    /// The furthest phase that an event named.
    pub(super) fn observed_phase(&self) -> Option<Phase> {
        self.phase
    }

    /// How it ended, as told.
    pub(super) fn observed_outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }

    /// The time talked, as told.
    pub(super) fn observed_talk(&self) -> Option<Seconds> {
        self.talked.get().copied()
    }

    /// When it was given up.
    pub fn swept_at(&self) -> Option<Timestamp> {
        self.swept_at
    }

    /// The time of the first observation, by the provider's clock.
    pub fn first_seen_at(&self) -> Timestamp {
        self.first_seen_at
    }

    /// The time of the last observation, by the provider's clock.
    pub fn last_seen_at(&self) -> Timestamp {
        self.last_seen_at
    }
}
