//! What is communicated beside calls, and what belongs to calls: messages, voicemails, recordings, transcripts.

mod filter;
mod places;
mod read;
mod sql;
mod write;

pub(crate) use filter::{Filter, Kind, people};
pub(crate) use places::{Place, places};
pub(crate) use read::{Message, Voicemail, messages_by_id, voicemails_by_id};
pub(crate) use write::{Extra, write};
