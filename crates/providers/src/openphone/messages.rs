//! Messages: sent once, although the provider knows no idempotency keys.

use jiff::SignedDuration;
use reqwest::Method;
use tollbook_core::calls::{Direction, MessageFact};

use super::client::{Client, Surface, explain};
use super::facts;
use super::wire::{Context, Envelope, Message, NewMessage as NewMessageBody};
use crate::{Error, Malformed, NewMessage, Resend, Telephony};

/// How far the provider's clock may be behind ours when we look for a message.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(1);

impl Client {
    /// Sends a message, unless an earlier attempt turns out to have sent it.
    pub(super) async fn send_or_find(
        &self,
        message: &NewMessage,
        earlier: Option<&Resend>,
    ) -> Result<MessageFact, Error> {
        if let Some(earlier) = earlier
            && let Some(sent) = self.find_sent(message, earlier).await?
        {
            return Ok(sent);
        }
        let body = NewMessageBody {
            content: &message.text,
            from: &message.from,
            to: [message.to.as_str()],
            user_id: message.user_sid.as_deref(),
        };
        // Only version 1 sends.
        let request = self
            .request(Surface::V1, Method::POST, &["messages"])
            .json(&body);
        let sent: Envelope<Message> = self.send(request).await?.json("message", explain)?;
        facts::message(sent.data, &Context::default())
            .ok_or_else(|| Malformed::new("message", "it has no id or no direction").into())
    }

    /// The message that an earlier attempt sent, if it did: the oldest of that text that is not known to be another.
    async fn find_sent(
        &self,
        message: &NewMessage,
        earlier: &Resend,
    ) -> Result<Option<MessageFact>, Error> {
        let lines = self.lines().await?;
        let line = lines
            .iter()
            .find(|line| line.sid == message.from || line.number.as_str() == message.from);
        let Some(line) = line else {
            return Ok(None);
        };
        let since = earlier
            .first_attempt_at
            .checked_sub(CLOCK_SKEW_MAX)
            .unwrap_or(earlier.first_attempt_at)
            .to_string();
        let (number, other) = (line.sid.as_str(), message.to.as_str());
        let query = match self.surface {
            Surface::V1 => [
                ("phoneNumberId", number),
                ("participants", other),
                ("createdAfter", &since),
            ],
            Surface::V2026 => [
                ("phoneNumberId", number),
                ("to", other),
                ("createdAt[gt]", &since),
            ],
        };
        let records: Vec<Message> = self.all("messages", &["messages"], &query).await?;
        Ok(records
            .into_iter()
            .filter_map(|record| facts::message(record, &Context::default()))
            .filter(|fact| {
                fact.direction == Direction::Outgoing
                    && fact.text.as_deref().map(str::trim) == Some(message.text.trim())
                    && !earlier.known_sids.contains(&fact.sid)
            })
            .min_by_key(|fact| fact.created_at))
    }
}
