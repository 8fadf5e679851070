//! The provider-neutral vocabulary: each provider event becomes one of these facts.
//!
//! A fact is a *partial observation*: it says what one event knows, and leaves everything else `None`. Facts may come
//! in any order, twice, late or not at all; what they amount to is decided by the call state machine alone.

use std::fmt;

use jiff::Timestamp;

use super::names::{Direction, MessageStatus, Outcome, Phase, ProcessingState};
use crate::phone::{E164, Party};
use crate::time::Seconds;

/// What one provider event, or one record fetched from a provider, says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// The key under which the event is deduplicated, unique within an integration.
    pub key: String,
    /// When the provider made the event; for a fetched record, when the provider last changed it.
    pub occurred_at: Timestamp,
    /// What it says.
    pub fact: Fact,
}

/// A partial observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// About a call leg.
    Call(CallFact),
    /// About a recording.
    Recording(RecordingFact),
    /// About a voicemail.
    Voicemail(VoicemailFact),
    /// About a transcript.
    Transcript(TranscriptFact),
    /// About a summary.
    Summary(SummaryFact),
    /// About a message.
    Message(MessageFact),
    /// Understood, and of no interest.
    Ignored {
        /// The provider's name of the event.
        kind: String,
    },
}

/// What one event knows about a call leg, that is, about one call record of the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFact {
    /// The provider's id of the record.
    pub sid: String,
    /// The record that this one is a leg of, where the provider says so.
    pub parent_sid: Option<String>,
    /// The provider's id of the thread between two parties.
    pub conversation_sid: Option<String>,
    /// The provider's id of the organization's phone number.
    pub number_sid: Option<String>,
    /// The organization's phone number.
    pub our_number: Option<E164>,
    /// Seen from the organization.
    pub direction: Option<Direction>,
    /// Who calls.
    pub from: Option<Party>,
    /// Who is called.
    pub to: Option<Party>,
    /// The provider's id of the user who answered or placed the call.
    pub user_sid: Option<String>,
    /// The provider's id of the user in whose name the record is kept. Somebody else may have answered.
    pub owner_sid: Option<String>,
    /// The furthest phase that the event proves.
    pub phase: Option<Phase>,
    /// When the call began, by the provider's clock.
    pub started_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended, only where the event says so beyond doubt.
    pub outcome: Option<Outcome>,
    /// The provider's own length of the call, for display: it may include ringing.
    pub duration: Option<Seconds>,
    /// The time talked, only where the provider measures exactly that (Twilio's `CallDuration`).
    pub talked: Option<Seconds>,
    /// Who sent the call on to us.
    pub forwarded_from: Option<Party>,
    /// To whom it was sent on.
    pub forwarded_to: Option<Party>,
    /// Whether the caller left a message.
    pub has_voicemail: Option<bool>,
    /// Whether this is all that the provider knows of a call that is over: to ask for the rest would be of no use.
    pub is_whole: bool,
    /// When the provider last changed the record. Of two observations the later one wins.
    pub updated_at: Option<Timestamp>,
}

/// What one event knows about a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingFact {
    /// The provider's id.
    pub sid: String,
    /// The call record it belongs to.
    pub call_sid: String,
    /// How far it is.
    pub state: ProcessingState,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Its length.
    pub duration: Option<Seconds>,
    /// Where the bytes are.
    pub media: Option<Media>,
    /// When the provider last changed it.
    pub updated_at: Option<Timestamp>,
}

/// What one event knows about a voicemail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoicemailFact {
    /// The provider's id of the voicemail; where it has none of its own, that of the call.
    pub sid: String,
    /// The call record it belongs to.
    pub call_sid: String,
    /// The provider's id of the organization's phone number.
    pub number_sid: Option<String>,
    /// Who called.
    pub from: Option<Party>,
    /// Who was called.
    pub to: Option<Party>,
    /// Its length.
    pub duration: Option<Seconds>,
    /// What was said, as text.
    pub transcript: Option<String>,
    /// Where the bytes are.
    pub media: Option<Media>,
    /// When it was left.
    pub left_at: Option<Timestamp>,
    /// When the provider last changed it.
    pub updated_at: Option<Timestamp>,
}

/// What one event knows about a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptFact {
    /// The call record it belongs to.
    pub call_sid: String,
    /// The recording it was made from, where transcripts are per recording.
    pub recording_sid: Option<String>,
    /// How far it is.
    pub state: ProcessingState,
    /// What was said, in order.
    pub lines: Vec<TranscriptLine>,
    /// The length of what was transcribed.
    pub duration: Option<Seconds>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// One utterance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TranscriptLine {
    /// Who spoke.
    pub speaker: Option<Party>,
    /// The provider's id of the user who spoke, if one of ours.
    pub user_sid: Option<String>,
    /// What was said.
    pub text: String,
    /// From the start of the call or recording, in milliseconds.
    pub start_ms: u64,
    /// From the start of the call or recording, in milliseconds.
    pub end_ms: u64,
}

/// What one event knows about a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryFact {
    /// The call record it belongs to.
    pub call_sid: String,
    /// How far it is.
    pub state: ProcessingState,
    /// The summary, a point each.
    pub points: Vec<String>,
    /// What to do next, a point each.
    pub next_steps: Vec<String>,
}

/// What one event knows about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFact {
    /// The provider's id.
    pub sid: String,
    /// The provider's id of the thread.
    pub conversation_sid: Option<String>,
    /// The provider's id of the organization's phone number.
    pub number_sid: Option<String>,
    /// The organization's phone number.
    pub our_number: Option<E164>,
    /// Seen from the organization.
    pub direction: Direction,
    /// Who wrote.
    pub from: Option<Party>,
    /// To whom: several in a group.
    pub to: Vec<Party>,
    /// The text.
    pub text: Option<String>,
    /// What was attached.
    pub media: Vec<Media>,
    /// How far it is.
    pub status: Option<MessageStatus>,
    /// The provider's id of the user who wrote it.
    pub user_sid: Option<String>,
    /// The provider's code of why it failed.
    pub error_code: Option<String>,
    /// The number of parts that a carrier counts, where the provider says so.
    pub segments: Option<u32>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When the provider last changed it.
    pub updated_at: Option<Timestamp>,
}

/// Something to fetch and keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where it is, usually for a short time only.
    pub url: MediaUrl,
    /// Its media type, such as `audio/mpeg`.
    pub media_type: Option<String>,
}

/// An address that is a secret, since whoever has it can listen. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaUrl(String);

impl MediaUrl {
    /// Keeps an address.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The address, for the one request that fetches it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MediaUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MediaUrl(…)")
    }
}

impl ProviderEvent {
    /// The call record that the event is about: events of one call are interpreted one after another.
    pub fn call_sid(&self) -> Option<&str> {
        match &self.fact {
            Fact::Call(fact) => Some(&fact.sid),
            Fact::Recording(fact) => Some(&fact.call_sid),
            Fact::Voicemail(fact) => Some(&fact.call_sid),
            Fact::Transcript(fact) => Some(&fact.call_sid),
            Fact::Summary(fact) => Some(&fact.call_sid),
            Fact::Message(_) | Fact::Ignored { .. } => None,
        }
    }

    /// The provider's id of the organization's phone number, from which the organization follows.
    pub fn number_sid(&self) -> Option<&str> {
        match &self.fact {
            Fact::Call(fact) => fact.number_sid.as_deref(),
            Fact::Voicemail(fact) => fact.number_sid.as_deref(),
            Fact::Message(fact) => fact.number_sid.as_deref(),
            Fact::Recording(_) | Fact::Transcript(_) | Fact::Summary(_) | Fact::Ignored { .. } => {
                None
            }
        }
    }
}

impl CallFact {
    /// A fact that knows nothing but its record.
    pub fn new(sid: impl Into<String>) -> Self {
        Self {
            sid: sid.into(),
            ..Self::default()
        }
    }

    /// The other side, as far as the event knows it.
    pub fn external(&self) -> Option<&Party> {
        match self.direction? {
            Direction::Incoming => self.from.as_ref(),
            Direction::Outgoing => self.to.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_lets_one_listen_is_never_printed() {
        let media = Media {
            url: MediaUrl::new("https://files.example.test/a?sig=secret"),
            media_type: None,
        };
        assert!(!format!("{media:?}").contains("secret"));
        assert!(media.url.reveal().ends_with("secret"));
    }

    #[test]
    fn the_other_side_is_the_caller_or_the_called() {
        let mut fact = CallFact::new("AC1");
        (fact.from, fact.to) = (Some(Party::Anonymous), Some(Party::read("+12025550100")));
        assert_eq!(fact.external(), None);
        fact.direction = Some(Direction::Incoming);
        assert_eq!(fact.external(), Some(&Party::Anonymous));
        fact.direction = Some(Direction::Outgoing);
        assert_eq!(fact.external(), fact.to.as_ref());
    }
}
