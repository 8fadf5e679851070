//! What happens on the phone, whatever the provider: the vocabulary of events and the rules that turn them into calls.

mod event;

pub use event::{
    CallFact, Direction, Fact, Media, MediaUrl, MessageFact, MessageStatus, Outcome, Phase,
    ProcessingState, Provider, ProviderEvent, RecordingFact, SummaryFact, TranscriptFact,
    TranscriptLine, VoicemailFact,
};
