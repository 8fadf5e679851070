//! The provider's webhooks: asked for, listed and removed.

use reqwest::{Method, StatusCode};

use super::client::{Client, Surface, explain};
use super::wire::{Envelope, NewWebhook, Webhook};
use crate::{Error, Malformed, Secret};

/// What we ask version 2026-03-30 to tell us.
const EVENTS: [&str; 13] = [
    "call.ringing",
    "call.answered",
    "call.completed",
    "call.missed",
    "call.forwarded",
    "call.recording.completed",
    "call.summary.completed",
    "call.transcript.completed",
    "call.voicemail.completed",
    "message.received",
    "message.delivered",
    "message.failed",
    "message.undelivered",
];
/// Version 1 has a kind of webhook for each family of events.
const FAMILIES: [(&str, &[&str]); 4] = [
    ("messages", &["message.received", "message.delivered"]),
    (
        "calls",
        &["call.ringing", "call.completed", "call.recording.completed"],
    ),
    ("call-summaries", &["call.summary.completed"]),
    ("call-transcripts", &["call.transcript.completed"]),
];

/// A webhook just made. Its secret has to be kept: version 2026-03-30 shows it this once.
#[derive(Debug, Clone)]
pub struct CreatedWebhook {
    /// The provider's id.
    pub sid: String,
    /// Where it was made, and with which signature it comes.
    pub surface: Surface,
    /// Its signing secret.
    pub secret: Secret,
}

/// A webhook that the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredWebhook {
    /// The provider's id.
    pub sid: String,
    /// Where it is listed. The two interfaces and the provider's app do not see each other's.
    pub surface: Surface,
    /// Where it delivers to.
    pub url: String,
    /// Whether it delivers.
    pub is_enabled: bool,
    /// The events it tells of.
    pub events: Vec<String>,
}

impl Client {
    /// Asks for all events of all numbers to be delivered to `url`: one webhook in version 2026-03-30, four in the
    /// first. Earlier ones to the same address are removed first, so that asking again, also after an answer was lost,
    /// leaves one set. If one cannot be made, those already made are removed.
    pub async fn create_webhooks(
        &self,
        surface: Surface,
        url: &str,
        label: &str,
    ) -> Result<Vec<CreatedWebhook>, Error> {
        for earlier in self.list_webhooks(surface).await? {
            if earlier.url == url {
                self.delete_webhook(surface, &earlier.sid).await?;
            }
        }
        let wanted: Vec<(Vec<&str>, &[&str])> = match surface {
            Surface::V2026 => vec![(vec!["webhooks"], &EVENTS)],
            Surface::V1 => FAMILIES
                .into_iter()
                .map(|(family, events)| (vec!["webhooks", family], events))
                .collect(),
        };
        let mut created = Vec::new();
        for (path, events) in wanted {
            match self
                .create_webhook(surface, &path, events, url, label)
                .await
            {
                Ok(webhook) => created.push(webhook),
                Err(error) => {
                    for webhook in &created {
                        self.delete_webhook(surface, &webhook.sid).await?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(created)
    }

    /// The webhooks of one interface.
    pub async fn list_webhooks(&self, surface: Surface) -> Result<Vec<RegisteredWebhook>, Error> {
        let request = self.request(surface, Method::GET, &["webhooks"]);
        let found: Envelope<Vec<Webhook>> = self.send(request).await?.json("webhooks", explain)?;
        Ok(found
            .data
            .into_iter()
            .map(|webhook| RegisteredWebhook {
                sid: webhook.id,
                surface,
                url: webhook.url,
                is_enabled: webhook.status.as_deref() != Some("disabled"),
                events: webhook.events,
            })
            .collect())
    }

    /// Removes a webhook; one that is already gone is no error.
    pub async fn delete_webhook(&self, surface: Surface, sid: &str) -> Result<(), Error> {
        let request = self.request(surface, Method::DELETE, &["webhooks", sid]);
        let answer = self.send(request).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        answer.success(explain).map(drop)
    }

    async fn create_webhook(
        &self,
        surface: Surface,
        path: &[&str],
        events: &[&str],
        url: &str,
        label: &str,
    ) -> Result<CreatedWebhook, Error> {
        let body = NewWebhook {
            url,
            events,
            resource_ids: ["*"],
            status: "enabled",
            label,
        };
        let request = self.request(surface, Method::POST, path).json(&body);
        let found: Envelope<Webhook> = self.send(request).await?.json("webhook", explain)?;
        let key = found.data.key.filter(|key| !key.is_empty());
        Ok(CreatedWebhook {
            sid: found.data.id,
            surface,
            secret: Secret::new(key.ok_or_else(|| Malformed::new("webhook", "it has no key"))?),
        })
    }
}
