//! What happens on the phone, whatever the provider: the vocabulary of events and the rules that turn them into calls.

mod event;
mod forward;
mod latest;
mod leg;
mod message;
mod missing;
mod names;
mod notice;
mod state;
mod verdict;

pub use event::{
    CallFact, Fact, Media, MediaUrl, MessageFact, ProviderEvent, RecordingFact, SummaryFact,
    TranscriptFact, TranscriptLine, VoicemailFact,
};
pub use forward::FORWARD_WINDOW_SECONDS;
pub use leg::Leg;
pub use message::MessageState;
pub use missing::{Check, Missing, Unknown, missing, next_check};
pub use names::{Direction, MessageStatus, Outcome, Phase, ProcessingState, Provider};
pub use notice::{Notice, Subscriber, notice};
pub use state::{Call, CallState, group};
pub use verdict::Talk;
