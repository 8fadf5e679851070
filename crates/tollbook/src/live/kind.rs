//! What may be told on an event stream.

use std::fmt;
use std::str::FromStr;

/// The kinds of live events: the same names in SQL, on the wire and in outgoing webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LiveKind {
    /// A call became known and nobody has answered it.
    CallRinging,
    /// Anything about a call changed: answered, passed on, priced, merged into another.
    CallUpdated,
    /// A call ended.
    CallCompleted,
    /// A message came in.
    MessageReceived,
    /// A message was sent, or its delivery went on.
    MessageUpdated,
    /// A caller left a message.
    VoicemailReceived,
    /// A threshold was passed, or something else happened that people are alerted of.
    UsageThreshold,
    /// An invoice changed its state.
    InvoiceUpdated,
    /// A synchronization went on.
    SyncProgress,
}

impl LiveKind {
    const ALL: [Self; 9] = [
        Self::CallRinging,
        Self::CallUpdated,
        Self::CallCompleted,
        Self::MessageReceived,
        Self::MessageUpdated,
        Self::VoicemailReceived,
        Self::UsageThreshold,
        Self::InvoiceUpdated,
        Self::SyncProgress,
    ];

    /// The name in SQL and on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CallRinging => "call.ringing",
            Self::CallUpdated => "call.updated",
            Self::CallCompleted => "call.completed",
            Self::MessageReceived => "message.received",
            Self::MessageUpdated => "message.updated",
            Self::VoicemailReceived => "voicemail.received",
            Self::UsageThreshold => "usage.threshold",
            Self::InvoiceUpdated => "invoice.updated",
            Self::SyncProgress => "sync.progress",
        }
    }

    /// Whether the subject is a call.
    pub(super) const fn is_call(self) -> bool {
        match self {
            Self::CallRinging | Self::CallUpdated | Self::CallCompleted => true,
            Self::MessageReceived
            | Self::MessageUpdated
            | Self::VoicemailReceived
            | Self::UsageThreshold
            | Self::InvoiceUpdated
            | Self::SyncProgress => false,
        }
    }

    /// Whether the subject is a message.
    pub(super) const fn is_text(self) -> bool {
        match self {
            Self::MessageReceived | Self::MessageUpdated => true,
            Self::CallRinging
            | Self::CallUpdated
            | Self::CallCompleted
            | Self::VoicemailReceived
            | Self::UsageThreshold
            | Self::InvoiceUpdated
            | Self::SyncProgress => false,
        }
    }
}

impl fmt::Display for LiveKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No kind of live event has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of live event `{0}`")]
pub(crate) struct UnknownKind(String);

impl FromStr for LiveKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in LiveKind::ALL {
            assert_eq!(kind.as_str().parse::<LiveKind>().unwrap(), kind);
        }
        assert!("call.lost".parse::<LiveKind>().is_err());
    }
}
