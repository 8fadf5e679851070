//! Everything outside: one folder per provider, each with the provider's wire format, webhooks, client and sandbox.
//!
//! Nothing here knows the database. A provider's words are translated at this border into the vocabulary of
//! `tollbook_core`, so that no other crate meets a provider's JSON.

mod error;
mod http;
pub mod openphone;
mod secret;
mod telephony;

pub use error::{Error, Malformed};
pub use http::{Budget, Download, Http, Timeouts};
pub use secret::Secret;
pub use telephony::{EventPage, NewMessage, PhoneLine, PhoneSystem, Resend, Telephony};
