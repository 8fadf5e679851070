//! What is communicated beside calls, and what belongs to calls: messages, voicemails, recordings, transcripts.

pub(crate) mod api;
mod csv;
mod filter;
mod give;
mod list;
mod places;
mod query;
mod read;
mod sql;
mod uses;
pub(crate) mod web;
mod write;

pub(crate) use filter::{Filter, Kind};
pub(crate) use give::{HeldMessage, give_messages, held_messages, parties_of_messages};
pub(crate) use list::items;
pub(crate) use places::places;
pub(crate) use read::{Message, Voicemail, messages_by_id, voicemails_by_id};
pub(crate) use web::row;
pub(crate) use write::{Extra, persons, write};
