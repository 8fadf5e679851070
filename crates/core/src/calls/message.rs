//! A message, as the join of everything observed of it: order and repetition of events make no difference.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::MessageFact;
use super::latest::Latest;
use super::names::{Direction, MessageStatus};
use crate::phone::{E164, Party};

/// Everything observed of one message. Its media are kept apart, since they have to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageState {
    sid: String,
    direction: Direction,
    conversation_sid: Latest<String>,
    number_sid: Latest<String>,
    our_number: Latest<E164>,
    from: Latest<Party>,
    to: Latest<Vec<Party>>,
    text: Latest<String>,
    status: Latest<MessageStatus>,
    user_sid: Latest<String>,
    error_code: Latest<String>,
    segments: Latest<u32>,
    created_at: Latest<Timestamp>,
}

impl MessageState {
    /// What one event says; `occurred_at` is the time of the event.
    pub fn seen(fact: &MessageFact, occurred_at: Timestamp) -> Self {
        let at = fact.updated_at.unwrap_or(occurred_at);
        Self {
            sid: fact.sid.clone(),
            direction: fact.direction,
            conversation_sid: Latest::seen(at, fact.conversation_sid.as_ref()),
            number_sid: Latest::seen(at, fact.number_sid.as_ref()),
            our_number: Latest::seen(at, fact.our_number.as_ref()),
            from: Latest::seen(at, fact.from.as_ref()),
            to: Latest::seen(at, (!fact.to.is_empty()).then_some(&fact.to)),
            text: Latest::seen(at, fact.text.as_ref()),
            status: Latest::seen(at, fact.status.as_ref()),
            user_sid: Latest::seen(at, fact.user_sid.as_ref()),
            error_code: Latest::seen(at, fact.error_code.as_ref()),
            segments: Latest::seen(at, fact.segments.as_ref()),
            created_at: Latest::seen(at, fact.created_at.as_ref()),
        }
    }

    /// Takes in what else was observed of the same message.
    pub fn join(&mut self, other: Self) {
        self.conversation_sid.join(other.conversation_sid);
        self.number_sid.join(other.number_sid);
        self.our_number.join(other.our_number);
        self.from.join(other.from);
        self.to.join(other.to);
        self.text.join(other.text);
        self.status.join(other.status);
        self.user_sid.join(other.user_sid);
        self.error_code.join(other.error_code);
        self.segments.join(other.segments);
        self.created_at.join(other.created_at);
    }

    /// Whether it counts as sent or received: it left, whether it arrived or not. What the provider refused does not.
    pub fn is_billable(&self) -> bool {
        match self.status() {
            Some(
                MessageStatus::Sent
                | MessageStatus::Delivered
                | MessageStatus::Received
                | MessageStatus::Undelivered,
            ) => true,
            Some(MessageStatus::Queued | MessageStatus::Failed) | None => false,
        }
    }

    /// The provider's id.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Seen from the organization.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The provider's id of the thread.
    pub fn conversation_sid(&self) -> Option<&str> {
        self.conversation_sid.get().map(String::as_str)
    }

    /// The provider's id of the organization's phone number.
    pub fn number_sid(&self) -> Option<&str> {
        self.number_sid.get().map(String::as_str)
    }

    /// The organization's phone number: as told, else our side of the message.
    pub fn our_number(&self) -> Option<&E164> {
        self.our_number.get().or_else(|| match self.direction {
            Direction::Incoming => self.to().first()?.number(),
            Direction::Outgoing => self.from.get()?.number(),
        })
    }

    /// The other side; in a group, the first of them.
    pub fn external(&self) -> Option<&Party> {
        match self.direction {
            Direction::Incoming => self.from.get(),
            Direction::Outgoing => self.to().first(),
        }
    }

    /// Who wrote.
    pub fn from(&self) -> Option<&Party> {
        self.from.get()
    }

    /// To whom.
    pub fn to(&self) -> &[Party] {
        self.to.get().map_or(&[], Vec::as_slice)
    }

    /// The text.
    pub fn text(&self) -> Option<&str> {
        self.text.get().map(String::as_str)
    }

    /// How far it is.
    pub fn status(&self) -> Option<MessageStatus> {
        self.status.get().copied()
    }

    /// The provider's id of the user who wrote it.
    pub fn user_sid(&self) -> Option<&str> {
        self.user_sid.get().map(String::as_str)
    }

    /// The provider's code of why it failed.
    pub fn error_code(&self) -> Option<&str> {
        self.error_code.get().map(String::as_str)
    }

    /// The number of parts that a carrier counts.
    pub fn segments(&self) -> Option<u32> {
        self.segments.get().copied()
    }

    /// When it was made.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.created_at.get().copied()
    }
}
