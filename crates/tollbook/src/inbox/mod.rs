//! Webhooks: checked, stored before they are answered, interpreted afterwards, as often as it takes.

mod accept;
pub(crate) mod api;
mod fetch;
mod interpret;
mod lane;
pub(crate) mod list;
mod places;
mod sql;
pub(crate) mod twilio;

use jiff::Timestamp;
use tollbook_core::calls::{Provider, ProviderEvent};
use tollbook_providers::{Malformed, openphone, twilio as by_twilio};

pub(crate) use accept::{InboxWriter, writer};
pub(crate) use fetch::{fetch_call, hold, sync_numbers};
pub(crate) use interpret::{drain, start};

/// What a webhook's body says. `received_at` stands in where the provider does not say when.
pub(crate) fn parse(
    provider: Provider,
    body: &[u8],
    received_at: Timestamp,
) -> Result<Vec<ProviderEvent>, Malformed> {
    match provider {
        Provider::Openphone => openphone::parse(body),
        Provider::Twilio => by_twilio::parse(body, received_at),
        Provider::Mightycall => Err(Malformed {
            what: "webhook",
            problem: format!("{provider} is not connected"),
        }),
    }
}
