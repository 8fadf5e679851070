//! Twilio: numbers to search, buy and release, calls with their legs, recordings, messages, and what each has cost.

mod client;
mod dial;
mod events;
mod facts;
mod leg;
mod numbers;
mod prices;

pub mod sandbox;
mod voice;
mod webhook;
mod wire;

use tollbook_core::calls::MessageStatus;

pub use client::{AccountInfo, Client, Credentials};
pub use dial::NewCall;
pub use events::parse;
pub use numbers::{NumberHooks, NumberKind, Offer, Search};
pub use voice::{Answer, Asked, asked};
pub use webhook::{Request, SignatureError, verify};

/// The provider's words for how far a message is.
fn message_status(status: &str) -> Option<MessageStatus> {
    match status {
        "accepted" | "scheduled" | "queued" | "sending" => Some(MessageStatus::Queued),
        "sent" => Some(MessageStatus::Sent),
        "delivered" | "read" | "partially_delivered" => Some(MessageStatus::Delivered),
        "received" | "receiving" => Some(MessageStatus::Received),
        "undelivered" => Some(MessageStatus::Undelivered),
        "failed" | "canceled" => Some(MessageStatus::Failed),
        _ => None,
    }
}
