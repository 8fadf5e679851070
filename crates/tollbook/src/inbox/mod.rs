//! Webhooks: checked, stored before they are answered, interpreted afterwards, as often as it takes.

mod accept;
pub(crate) mod api;
mod fetch;
mod interpret;
mod lane;
pub(crate) mod list;
mod places;
mod sql;

use tollbook_core::calls::{Provider, ProviderEvent};
use tollbook_providers::{Malformed, openphone};

pub(crate) use accept::{InboxWriter, writer};
pub(crate) use fetch::{fetch_call, hold, sync_numbers};
pub(crate) use interpret::{drain, start};

/// What a webhook's body says.
pub(crate) fn parse(provider: Provider, body: &[u8]) -> Result<Vec<ProviderEvent>, Malformed> {
    match provider {
        Provider::Openphone => openphone::parse(body),
        Provider::Twilio | Provider::Mightycall => Err(Malformed {
            what: "webhook",
            problem: format!("{provider} is not connected"),
        }),
    }
}
