//! Lanes of the queue: what is told of one call is interpreted by one worker at a time, in the order in which it came.
//!
//! Calls may still turn out to belong together across lanes. For that, whoever interprets also holds the persons on the
//! line: see `calls::observe`.

use sha2::{Digest as _, Sha256};
use tollbook_core::calls::{Fact, ProviderEvent};
use tollbook_core::ids::IntegrationId;

/// As many as the queue has.
const LANES: u8 = 64;

/// What events are about: the record that their call begins with, as far as they say, or a message.
pub(super) fn subject(events: &[ProviderEvent]) -> Option<&str> {
    events.iter().find_map(|event| match &event.fact {
        Fact::Call(fact) => Some(fact.parent_sid.as_deref().unwrap_or(&fact.sid)),
        Fact::Message(fact) => Some(&fact.sid),
        Fact::Voicemail(_)
        | Fact::Recording(_)
        | Fact::Transcript(_)
        | Fact::Summary(_)
        | Fact::Ignored { .. } => event.call_sid(),
    })
}

/// The lane of what an account tells of a subject: the same on every node, whatever the version.
pub(super) fn of(integration: IntegrationId, subject: &str) -> i16 {
    let mut hash = Sha256::new();
    hash.update(integration.uuid().as_bytes());
    hash.update(subject.as_bytes());
    let [first, ..] = <[u8; 32]>::from(hash.finalize());
    i16::from(first % LANES)
}
