//! The provider's JSON, as read: both interfaces and all webhook formats. One type per thing, with every spelling of a
//! field optional, since the formats differ in spelling more than in meaning.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// A list, or one thing, in its envelope.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope<T> {
    pub(crate) data: T,
    /// Version 1; null on the last page.
    pub(crate) next_page_token: Option<String>,
    /// Version 2026-03-30; null on the last page.
    pub(crate) next_cursor: Option<String>,
}

/// A refusal. Version 1 has `code` and `message`, or both nested under `error` with `key` in place of `code`; version
/// 2026-03-30 has `title` and `message`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refusal {
    pub(crate) code: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) error: Option<Box<Refusal>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhoneNumber {
    pub(crate) id: String,
    /// Called `number` in version 1.
    #[serde(rename = "phoneNumber", alias = "number")]
    pub(crate) e164: String,
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) users: Vec<UserRef>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UserRef {
    pub(crate) id: String,
}

/// A user of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The provider's id, `US…`.
    pub id: String,
    /// The address they sign in with.
    pub email: Option<String>,
    /// Their first name.
    pub first_name: Option<String>,
    /// Their last name.
    pub last_name: Option<String>,
    /// `owner`, `admin` or `member`.
    pub role: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Organization {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) subscription_status: Option<String>,
}

/// A call record, from a list, by id, or in a webhook of any format.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Call {
    pub(crate) id: Option<String>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) phone_number_id: Option<String>,
    pub(crate) direction: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) participants: Option<Vec<Participant>>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<OneOrMany>,
    pub(crate) user_id: Option<String>,
    pub(crate) actor_id: Option<String>,
    pub(crate) answered_by: Option<String>,
    pub(crate) answered_by_user_id: Option<String>,
    pub(crate) initiated_by: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
    pub(crate) duration: Option<Number>,
    pub(crate) forwarded_from: Option<String>,
    pub(crate) forwarded_to: Option<String>,
    pub(crate) has_voicemail: Option<bool>,
    pub(crate) voicemail: Option<Voicemail>,
    /// Recordings in webhooks of versions 2 to 4.
    pub(crate) media: Option<Vec<MediaItem>>,
    /// Recordings in webhooks of version 2026-03-30.
    pub(crate) recordings: Option<Vec<Recording>>,
}

/// A number alone, or a number with the user behind it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Participant {
    Number(String),
    #[serde(rename_all = "camelCase")]
    Actor {
        phone_number: Option<String>,
        actor_id: Option<String>,
    },
}

/// `to` is a text in old formats and a list in new ones.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MediaItem {
    pub(crate) url: Option<String>,
    #[serde(rename = "type")]
    pub(crate) media_type: Option<String>,
    pub(crate) duration: Option<Number>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Recording {
    pub(crate) id: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) start_time: Option<Timestamp>,
    pub(crate) duration: Option<Number>,
    pub(crate) url: Option<String>,
    #[serde(rename = "type")]
    pub(crate) media_type: Option<String>,
}

/// A voicemail: of a list, by call, in a call of any format, or as its own webhook.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Voicemail {
    pub(crate) id: Option<String>,
    #[serde(rename = "voicemailId")]
    pub(crate) own_id: Option<String>,
    pub(crate) call_id: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) duration: Option<Number>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<OneOrMany>,
    pub(crate) transcript: Option<String>,
    pub(crate) recording_url: Option<String>,
    /// In place of `recordingUrl` in old formats.
    pub(crate) url: Option<String>,
    #[serde(rename = "type")]
    pub(crate) media_type: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Transcript {
    pub(crate) call_id: Option<String>,
    pub(crate) recording_id: Option<String>,
    pub(crate) status: Option<String>,
    /// In place of `status` in webhooks of version 2026-03-30.
    pub(crate) processing_status: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) duration: Option<Number>,
    pub(crate) dialogue: Option<Vec<Utterance>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Utterance {
    pub(crate) content: Option<String>,
    /// Seconds with a fraction.
    pub(crate) start: Option<Number>,
    pub(crate) end: Option<Number>,
    pub(crate) identifier: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) actor_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Summary {
    pub(crate) call_id: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) processing_status: Option<String>,
    #[serde(rename = "summary")]
    pub(crate) points: Option<Vec<String>>,
    pub(crate) next_steps: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) phone_number_id: Option<String>,
    pub(crate) direction: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<OneOrMany>,
    pub(crate) text: Option<String>,
    /// In place of `text` in webhooks of version 3.
    pub(crate) body: Option<String>,
    pub(crate) media: Option<Vec<MediaItem>>,
    pub(crate) status: Option<String>,
    pub(crate) user_id: Option<String>,
    /// A text or a number.
    pub(crate) error_code: Option<Value>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

/// A conversation, from which version 1 learns who may have called.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conversation {
    pub(crate) phone_number_id: Option<String>,
    #[serde(default)]
    pub(crate) participants: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Webhook {
    /// A text in version 1, a numeric text in version 2026-03-30.
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) events: Vec<String>,
    /// The signing secret: always readable in version 1, shown once in version 2026-03-30.
    pub(crate) key: Option<String>,
}

/// A webhook to be created.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewWebhook<'a> {
    pub(crate) url: &'a str,
    pub(crate) events: &'a [&'a str],
    pub(crate) resource_ids: [&'a str; 1],
    pub(crate) status: &'a str,
    pub(crate) label: &'a str,
}

/// A message to be sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewMessage<'a> {
    pub(crate) content: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<&'a str>,
}

/// A webhook's body in any format.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) created_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) data: EventData,
    /// Beside `data` in drafts of version 2026-03-30.
    pub(crate) resource: Option<Value>,
    pub(crate) context: Option<Context>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct EventData {
    /// Versions 2 to 4.
    pub(crate) object: Option<Value>,
    /// Version 2026-03-30.
    pub(crate) resource: Option<Value>,
    pub(crate) context: Option<Context>,
}

/// What version 2026-03-30 tells about the surroundings of a resource.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Context {
    pub(crate) phone_number_id: Option<String>,
    pub(crate) conversation_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) participants: Option<Sides>,
    pub(crate) sender_identifier: Option<String>,
    pub(crate) recipient_identifiers: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Sides {
    pub(crate) workspace: Option<Vec<String>>,
    pub(crate) external: Option<Vec<String>>,
}

impl OneOrMany {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}
