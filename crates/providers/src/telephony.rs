//! What every phone provider can do for us.

use jiff::Timestamp;
use tollbook_core::calls::{MessageFact, Provider, ProviderEvent};
use tollbook_core::money::{Currency, Price};
use tollbook_core::phone::E164;

use crate::{Error, openphone, twilio};

/// A phone number at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneLine {
    /// The provider's id.
    pub sid: String,
    /// The number.
    pub number: E164,
    /// The name given to it at the provider.
    pub name: Option<String>,
    /// The provider's ids of the users who share it.
    pub user_sids: Vec<String>,
}

/// A part of what happened, and where to go on.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// The provider's records as facts, newest first. Their keys name the record and its version, so that reading the
    /// same state twice gives the same keys.
    pub events: Vec<ProviderEvent>,
    /// What they have cost, as far as the provider has said by now.
    pub costs: Vec<ProviderCost>,
    /// To be passed for the next page; `None` on the last.
    pub next: Option<String>,
}

/// What the provider charges for something. What it has not priced yet has no cost: neither zero nor an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderCost {
    /// What was charged for.
    pub of: CostOf,
    /// The provider's id of it.
    pub sid: String,
    /// The amount, never negative.
    pub price: Price,
    /// Its currency.
    pub currency: Currency,
}

/// What a provider charges for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostOf {
    /// A call record, that is, a leg.
    Call,
    /// A message.
    Message,
    /// A recording.
    Recording,
    /// A month of a number.
    Number,
}

/// A text message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The organization's number: the provider's id of it, or the number itself.
    pub from: String,
    /// To whom.
    pub to: E164,
    /// 1 to 1,600 characters.
    pub text: String,
    /// The provider's id of the user in whose name it is sent.
    pub user_sid: Option<String>,
}

/// What is known of an earlier attempt whose outcome is not: where a provider knows no idempotency keys, we look before
/// we send again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resend {
    /// When the first attempt began.
    pub first_attempt_at: Timestamp,
    /// Messages already known to be others, so that the same text sent twice on purpose is sent twice.
    pub known_sids: Vec<String>,
}

/// A provider of phone calls and messages.
pub trait Telephony {
    /// The organization's numbers.
    fn lines(&self) -> impl Future<Output = Result<Vec<PhoneLine>, Error>> + Send;

    /// Calls begun at or after `since`; `page` is `None` at first and then what the page before said.
    fn calls_since(
        &self,
        since: Timestamp,
        page: Option<&str>,
    ) -> impl Future<Output = Result<EventPage, Error>> + Send;

    /// One call with all that the provider knows by now, for an end that was missed; empty if the provider does not
    /// know it.
    fn call(&self, sid: &str) -> impl Future<Output = Result<Vec<ProviderEvent>, Error>> + Send;

    /// Sends a message, or finds the one that an earlier attempt has sent.
    fn send_message(
        &self,
        message: &NewMessage,
        earlier: Option<&Resend>,
    ) -> impl Future<Output = Result<MessageFact, Error>> + Send;
}

/// The providers of phone calls and messages: a closed set.
#[derive(Debug, Clone)]
pub enum PhoneSystem {
    /// OpenPhone.
    Openphone(openphone::Client),
    /// Twilio.
    Twilio(twilio::Client),
}

impl PhoneSystem {
    /// Which provider it is.
    pub fn provider(&self) -> Provider {
        match self {
            Self::Openphone(_) => Provider::Openphone,
            Self::Twilio(_) => Provider::Twilio,
        }
    }
}

impl Telephony for PhoneSystem {
    async fn lines(&self) -> Result<Vec<PhoneLine>, Error> {
        match self {
            Self::Openphone(client) => client.lines().await,
            Self::Twilio(client) => client.lines().await,
        }
    }

    async fn calls_since(&self, since: Timestamp, page: Option<&str>) -> Result<EventPage, Error> {
        match self {
            Self::Openphone(client) => client.calls_since(since, page).await,
            Self::Twilio(client) => client.calls_since(since, page).await,
        }
    }

    async fn call(&self, sid: &str) -> Result<Vec<ProviderEvent>, Error> {
        match self {
            Self::Openphone(client) => client.call(sid).await,
            Self::Twilio(client) => client.call(sid).await,
        }
    }

    async fn send_message(
        &self,
        message: &NewMessage,
        earlier: Option<&Resend>,
    ) -> Result<MessageFact, Error> {
        match self {
            Self::Openphone(client) => client.send_message(message, earlier).await,
            Self::Twilio(client) => client.send_message(message, earlier).await,
        }
    }
}
