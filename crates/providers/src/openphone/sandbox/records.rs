//! The records of a workspace, as the provider shows them at the moment, and how a call's record changes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::deliver::{Format, Hook};
use crate::{Budget, Secret};

#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) sid: String,
    pub(super) name: String,
    pub(super) api_key: Secret,
    pub(super) has_transcripts: bool,
    pub(super) users: Vec<User>,
    pub(super) numbers: Vec<Number>,
    pub(super) calls: Vec<Call>,
    pub(super) messages: Vec<Message>,
    pub(super) conversations: BTreeMap<(String, String), Conversation>,
    pub(super) hooks: Vec<Hook>,
    pub(super) budget: Budget,
    pub(super) created_at: Timestamp,
    pub(super) call_places: BTreeMap<String, usize>,
    pub(super) message_places: BTreeMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) sid: String,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) role: &'static str,
}

#[derive(Debug)]
pub(super) struct Number {
    pub(super) sid: String,
    pub(super) e164: String,
    pub(super) name: String,
}

#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) sid: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// A call record as the provider shows it at the moment.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) sid: String,
    pub(super) conversation_sid: String,
    pub(super) number_sid: String,
    pub(super) ours: String,
    pub(super) other: String,
    pub(super) is_incoming: bool,
    pub(super) user_sid: String,
    pub(super) created_at: Timestamp,
    pub(super) answered_at: Option<Timestamp>,
    pub(super) answered_by: Option<String>,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) updated_at: Timestamp,
    /// In the words of version 2026-03-30's webhooks; `ringing` and `in-progress` before the end.
    pub(super) status: &'static str,
    pub(super) forwarded_to: Option<String>,
    pub(super) voicemail: Option<Voicemail>,
    pub(super) recordings: Vec<Recording>,
    pub(super) transcript: Option<(Timestamp, Vec<Spoken>)>,
    pub(super) summary: Option<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Voicemail {
    pub(super) sid: String,
    pub(super) seconds: u32,
    pub(super) is_finished: bool,
    pub(super) transcript: Option<String>,
}

#[derive(Debug)]
pub(super) struct Recording {
    pub(super) sid: String,
    pub(super) recorded: Recorded,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded {
    pub(super) start_at: Timestamp,
    pub(super) seconds: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Spoken {
    pub(super) is_external: bool,
    pub(super) text: String,
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) sid: String,
    pub(super) conversation_sid: String,
    pub(super) number_sid: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) is_incoming: bool,
    pub(super) text: String,
    pub(super) status: &'static str,
    pub(super) user_sid: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// What happens to a call record.
#[derive(Debug)]
pub(super) enum Change {
    Ring,
    Answer { user: String },
    Miss,
    Forward { to: String },
    LeaveVoicemail { seconds: u32 },
    End { status: &'static str },
    FinishVoicemail { transcript: Option<String> },
    Record(Recorded),
    Transcribe(Vec<Spoken>),
    Summarize(Vec<String>),
}

impl Workspace {
    pub(super) fn owner(&self) -> String {
        self.users
            .first()
            .map(|user| user.sid.clone())
            .unwrap_or_default()
    }

    pub(super) fn call(&self, sid: &str) -> Option<&Call> {
        self.calls.get(*self.call_places.get(sid)?)
    }

    pub(super) fn message(&self, sid: &str) -> Option<&Message> {
        self.messages.get(*self.message_places.get(sid)?)
    }

    pub(super) fn touch(&mut self, number_sid: &str, other: &str, sid: &str, at: Timestamp) {
        let key = (number_sid.to_owned(), other.to_owned());
        let conversation = self.conversations.entry(key).or_insert(Conversation {
            sid: sid.to_owned(),
            created_at: at,
            updated_at: at,
        });
        conversation.updated_at = conversation.updated_at.max(at);
    }

    pub(super) fn hooks_for(&self, kind: &str, sid: &str) -> Vec<(String, Format)> {
        let number = match (self.call(sid), self.message(sid)) {
            (Some(call), _) => call.number_sid.as_str(),
            (None, Some(message)) => message.number_sid.as_str(),
            (None, None) => return Vec::new(),
        };
        self.hooks
            .iter()
            .filter(|hook| hook.is_enabled && hook.wants(kind, number))
            .map(|hook| (hook.sid.clone(), hook.format))
            .collect()
    }
}

impl Call {
    /// Changes the record, and names the event that tells of it.
    pub(super) fn apply(
        &mut self,
        change: Change,
        made: String,
        at: Timestamp,
    ) -> Option<&'static str> {
        self.updated_at = at;
        match change {
            Change::Ring => return Some("call.ringing"),
            Change::Answer { user } => {
                // A call that is handed on stays answered since the first.
                self.answered_at = self.answered_at.or(Some(at));
                self.answered_by = Some(user);
                self.status = "in-progress";
                return Some("call.answered");
            }
            Change::Miss => return Some("call.missed"),
            Change::Forward { to } => {
                self.forwarded_to = Some(to);
                return Some("call.forwarded");
            }
            Change::LeaveVoicemail { seconds } => {
                self.voicemail = Some(Voicemail {
                    sid: made,
                    seconds,
                    is_finished: false,
                    transcript: None,
                });
            }
            Change::End { status } => {
                if self.completed_at.is_some() {
                    return None;
                }
                self.completed_at = Some(at);
                self.status = match (status, self.answered_at) {
                    ("", Some(_)) => "answered",
                    ("", None) => "unanswered",
                    (status, _) => status,
                };
                return Some("call.completed");
            }
            Change::FinishVoicemail { transcript } => {
                let voicemail = self.voicemail.as_mut()?;
                voicemail.is_finished = true;
                voicemail.transcript = transcript;
                return Some("call.voicemail.completed");
            }
            Change::Record(recorded) => {
                self.recordings.push(Recording {
                    sid: made,
                    recorded,
                });
                return Some("call.recording.completed");
            }
            Change::Transcribe(lines) => {
                self.transcript = Some((at, lines));
                return Some("call.transcript.completed");
            }
            Change::Summarize(points) => {
                self.summary = Some(points);
                return Some("call.summary.completed");
            }
        }
        None
    }
}
