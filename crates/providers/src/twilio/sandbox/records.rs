//! The records of an account, as the provider shows them at the moment.

use jiff::Timestamp;

use super::FlowHooks;
use crate::Secret;

#[derive(Debug)]
pub(super) struct Account {
    pub(super) sid: String,
    pub(super) name: String,
    pub(super) auth_token: Secret,
    pub(super) hooks: FlowHooks,
    pub(super) numbers: Vec<Number>,
    pub(super) calls: Vec<Call>,
    pub(super) recordings: Vec<Recording>,
    pub(super) messages: Vec<Message>,
    pub(super) created_at: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) sid: String,
    pub(super) e164: String,
    pub(super) name: String,
    pub(super) voice_url: String,
    pub(super) status_url: String,
    pub(super) sms_url: String,
    pub(super) created_at: Timestamp,
}

/// A leg.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) sid: String,
    pub(super) parent_sid: Option<String>,
    pub(super) number_sid: Option<String>,
    pub(super) from: String,
    pub(super) to: String,
    /// `inbound`, `outbound-api` or `outbound-dial`.
    pub(super) direction: &'static str,
    pub(super) status: &'static str,
    pub(super) created_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) seconds: Option<u32>,
    pub(super) updated_at: Timestamp,
    pub(super) is_priced: bool,
    /// Where it tells how far it is, and how often it has.
    pub(super) status_url: String,
    pub(super) sequence: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Recording {
    pub(super) sid: String,
    pub(super) call_sid: String,
    pub(super) source: &'static str,
    pub(super) started_at: Timestamp,
    pub(super) seconds: u32,
    pub(super) is_priced: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) sid: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) body: String,
    /// `inbound` or `outbound-api`.
    pub(super) direction: &'static str,
    pub(super) status: &'static str,
    pub(super) created_at: Timestamp,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) updated_at: Timestamp,
    pub(super) status_url: String,
    pub(super) is_priced: bool,
}

impl Account {
    pub(super) fn call(&self, sid: &str) -> Option<&Call> {
        self.calls.iter().find(|call| call.sid == sid)
    }

    pub(super) fn call_mut(&mut self, sid: &str) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.sid == sid)
    }

    pub(super) fn message_mut(&mut self, sid: &str) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.sid == sid)
    }
}

impl Message {
    /// Parts of 160 characters of the small alphabet or 70 of any, shorter ones where there are several.
    pub(super) fn segments(&self) -> usize {
        let is_small = self.body.is_ascii();
        let length = if is_small {
            self.body.len()
        } else {
            self.body.encode_utf16().count()
        };
        let (single, part) = if is_small { (160, 153) } else { (70, 67) };
        if length <= single {
            1
        } else {
            length.div_ceil(part)
        }
    }

    pub(super) fn error_code(&self) -> Option<u32> {
        match self.status {
            "undelivered" => Some(30_003),
            "failed" => Some(30_008),
            _ => None,
        }
    }
}
