//! What is communicated beside calls, and what belongs to calls: messages, voicemails, recordings, transcripts.

mod read;

pub(crate) use read::{Message, Voicemail, messages_by_id, voicemails_by_id};
