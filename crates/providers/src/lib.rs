//! Everything outside: one folder per provider, each with the provider's wire format, webhooks, client and sandbox.
//!
//! Nothing here knows the database. A provider's words are translated at this border into the vocabulary of
//! `tollbook_core`, so that no other crate meets a provider's JSON.

mod error;
mod http;
pub mod openphone;
pub mod sandbox;
mod secret;
mod telephony;
pub mod twilio;

pub use error::{Error, Malformed};
pub use http::{Budget, Download, Http, Timeouts};
pub use secret::Secret;
pub use telephony::{
    CostOf, EventPage, NewMessage, PhoneLine, PhoneSystem, ProviderCost, Resend, Telephony,
};

/// The debug form of events without the fields that are `None`, for snapshots.
#[cfg(test)]
fn without_unknown(mut text: String) -> String {
    let unknown = |text: &str| {
        let start = text.find(": None")?;
        let name = text.get(..start)?.rfind([' ', '{'])? + 1;
        let end = start + ": None".len();
        let is_followed = text.get(end..)?.starts_with(", ");
        Some(name..if is_followed { end + 2 } else { end })
    };
    while let Some(range) = unknown(&text) {
        text.replace_range(range, "");
    }
    text.replace("is_whole: false, ", "").replace(",  }", " }")
}
