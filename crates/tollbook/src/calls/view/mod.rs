//! The pages of calls: live, communications, one call.

pub(crate) mod call;
pub(crate) mod card;
pub(crate) mod explain;
pub(crate) mod list;
pub(crate) mod live;

use crate::pages::text::Text;

/// Which way a communication went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    pub(crate) fn label(self, text: impl AsRef<Text>) -> String {
        let text = text.as_ref();
        match self {
            Self::Inbound => text.say("direction-inbound"),
            Self::Outbound => text.say("direction-outbound"),
        }
        .to_string()
    }

    pub(crate) fn icon(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// Where a communication stands or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ringing,
    InProgress,
    Completed,
    Missed,
    /// The other side did not pick up, or was busy.
    Unanswered,
    Voicemail,
    Failed,
    /// A message that reached its number.
    Delivered,
    /// A message that came in.
    Received,
    /// A message on its way.
    Sent,
}

impl Outcome {
    pub(crate) fn label(self, text: impl AsRef<Text>) -> String {
        let text = text.as_ref();
        match self {
            Self::Ringing => text.say("outcome-ringing"),
            Self::InProgress => text.say("outcome-in-progress"),
            Self::Completed => text.say("outcome-completed"),
            Self::Missed => text.say("outcome-missed"),
            Self::Unanswered => text.say("outcome-unanswered"),
            Self::Voicemail => text.say("outcome-voicemail"),
            Self::Failed => text.say("outcome-failed"),
            Self::Delivered => text.say("outcome-delivered"),
            Self::Received => text.say("outcome-received"),
            Self::Sent => text.say("outcome-sent"),
        }
        .to_string()
    }

    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::InProgress => "live",
            Self::Completed | Self::Delivered | Self::Received => "good",
            Self::Missed | Self::Failed => "bad",
            Self::Voicemail => "voice",
            Self::Unanswered | Self::Sent => "quiet",
        }
    }
}

#[cfg(test)]
mod tests;
