//! What is counted, in which unit, and how the counts of a period become one figure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::{Overflow, Quantity};
use crate::named::named;

named! {
    /// How the events of a period become its total.
    Aggregation("aggregation") {
        /// Everything added up.
        Sum = "sum",
        /// The highest level.
        Max = "max",
        /// The last level.
        Last = "last",
        /// The average level, each weighted by the time for which it stood.
        TimeWeighted = "time_weighted",
    }
}

named! {
    /// The meters that every organization has.
    BuiltInMeter("meter") {
        /// Messages sent.
        SmsSent = "SMS_SENT",
        /// Messages received.
        SmsReceived = "SMS_RECEIVED",
        /// Calls placed, answered or not.
        CallMade = "CALL_MADE",
        /// Calls that came in, answered or not.
        CallReceived = "CALL_RECEIVED",
        /// Time talked.
        CallDurationSeconds = "CALL_DURATION_SECONDS",
        /// Messages written by a model.
        AiMessageGenerated = "AI_MESSAGE_GENERATED",
        /// Speech made by a model.
        AiVoiceGenerated = "AI_VOICE_GENERATED",
        /// Templates made by a model.
        AiTemplateCreated = "AI_TEMPLATE_CREATED",
        /// Other content made by a model.
        ContentAiGenerated = "CONTENT_AI_GENERATED",
        /// Campaigns started.
        CampaignLaunched = "CAMPAIGN_LAUNCHED",
        /// Journeys started.
        JourneyLaunched = "JOURNEY_LAUNCHED",
        /// Contacts made.
        ContactCreated = "CONTACT_CREATED",
        /// Templates made.
        TemplateCreated = "TEMPLATE_CREATED",
        /// Webhooks sent.
        WebhookTriggered = "WEBHOOK_TRIGGERED",
        /// Storage in use.
        StorageUsedMb = "STORAGE_USED_MB",
        /// Requests to the API.
        ApiRequest = "API_REQUEST",
        /// Voicemails left.
        Voicemail = "voicemail",
        /// Recordings made.
        Recording = "recording",
        /// Recordings kept.
        RecordingStorage = "recording_storage",
        /// Transcripts made.
        Transcript = "transcript",
        /// Phone numbers held, by the month.
        NumberMonth = "number_month",
    }
}

impl BuiltInMeter {
    /// The code, as usage events carry it.
    pub fn code(self) -> MeterCode {
        MeterCode(self.as_str().into())
    }

    /// What one unit of quantity is.
    pub const fn base_unit(self) -> &'static str {
        match self {
            Self::SmsSent | Self::SmsReceived => "message",
            Self::CallMade | Self::CallReceived => "call",
            Self::CallDurationSeconds => "second",
            Self::StorageUsedMb | Self::RecordingStorage => "megabyte",
            Self::ApiRequest => "request",
            Self::Voicemail => "voicemail",
            Self::Recording => "recording",
            Self::Transcript => "transcript",
            Self::NumberMonth => "number",
            Self::AiMessageGenerated
            | Self::AiVoiceGenerated
            | Self::AiTemplateCreated
            | Self::ContentAiGenerated
            | Self::CampaignLaunched
            | Self::JourneyLaunched
            | Self::ContactCreated
            | Self::TemplateCreated
            | Self::WebhookTriggered => "action",
        }
    }

    /// How its events become a total.
    pub const fn aggregation(self) -> Aggregation {
        match self {
            Self::StorageUsedMb => Aggregation::Max,
            Self::RecordingStorage => Aggregation::TimeWeighted,
            Self::SmsSent
            | Self::SmsReceived
            | Self::CallMade
            | Self::CallReceived
            | Self::CallDurationSeconds
            | Self::ApiRequest
            | Self::Voicemail
            | Self::Recording
            | Self::Transcript
            | Self::NumberMonth
            | Self::AiMessageGenerated
            | Self::AiVoiceGenerated
            | Self::AiTemplateCreated
            | Self::ContentAiGenerated
            | Self::CampaignLaunched
            | Self::JourneyLaunched
            | Self::ContactCreated
            | Self::TemplateCreated
            | Self::WebhookTriggered => Aggregation::Sum,
        }
    }
}

/// The code of a meter, built in or made by an organization: a letter, then letters, digits and `_`, 63 at most.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MeterCode(Box<str>);

/// The text cannot be the code of a meter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a meter code: a letter, then letters, digits and `_`, at most 63")]
pub struct InvalidMeter(String);

impl MeterCode {
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The built-in meter of this code, if it is one.
    pub fn built_in(&self) -> Option<BuiltInMeter> {
        self.0.parse().ok()
    }
}

impl FromStr for MeterCode {
    type Err = InvalidMeter;

    fn from_str(text: &str) -> Result<Self, InvalidMeter> {
        let is_code = text.len() <= 63
            && text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_code {
            return Err(InvalidMeter(text.chars().take(80).collect()));
        }
        // `sms_sent` is not another meter than `SMS_SENT`.
        let built_in = BuiltInMeter::ALL
            .iter()
            .find(|meter| meter.as_str().eq_ignore_ascii_case(text));
        Ok(Self(built_in.map_or(text, |meter| meter.as_str()).into()))
    }
}

impl TryFrom<String> for MeterCode {
    type Error = InvalidMeter;

    fn try_from(text: String) -> Result<Self, InvalidMeter> {
        text.parse()
    }
}

impl From<MeterCode> for String {
    fn from(code: MeterCode) -> Self {
        code.0.into()
    }
}

impl From<BuiltInMeter> for MeterCode {
    fn from(meter: BuiltInMeter) -> Self {
        meter.code()
    }
}

impl fmt::Display for MeterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for MeterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a usage type and quantity cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Not a code.
    #[error(transparent)]
    Meter(#[from] InvalidMeter),
    /// Too much.
    #[error("the quantity is too large")]
    TooLarge(#[from] Overflow),
}

/// The meter that a caller means by `usage_type`, and the quantity in its base unit. Beside the codes there are four
/// everyday names (S0.12): `minutes` of 60 seconds, `sms`, `voicemails` and `api_calls`.
pub fn resolve(
    usage_type: &str,
    quantity: Quantity,
) -> Result<(MeterCode, Quantity), ResolveError> {
    let (meter, units) = match usage_type {
        "minutes" => (BuiltInMeter::CallDurationSeconds, 60),
        "sms" => (BuiltInMeter::SmsSent, 1),
        "voicemails" => (BuiltInMeter::Voicemail, 1),
        "api_calls" => (BuiltInMeter::ApiRequest, 1),
        code => return Ok((code.parse()?, quantity)),
    };
    Ok((meter.code(), quantity.checked_mul_units(units)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(usage_type: &str, quantity: &str) -> String {
        match resolve(usage_type, quantity.parse().unwrap()) {
            Ok((code, quantity)) => format!("{code} {quantity}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn everyday_names_become_meters_in_base_units() {
        assert_eq!(resolved("minutes", "2.5"), "CALL_DURATION_SECONDS 150");
        assert_eq!(resolved("sms", "3"), "SMS_SENT 3");
        assert_eq!(resolved("voicemails", "1"), "voicemail 1");
        assert_eq!(resolved("api_calls", "10"), "API_REQUEST 10");
        assert_eq!(
            resolved("call_duration_seconds", "61"),
            "CALL_DURATION_SECONDS 61"
        );
        assert_eq!(resolved("faxes_sent", "1"), "faxes_sent 1");
        assert_eq!(
            resolved("minutes", "999999999999999"),
            "the quantity is too large"
        );
    }

    #[test]
    fn a_custom_code_is_checked() {
        let long = "a".repeat(64);
        for code in ["", "1st", "_x", "a-b", "a b", "größe", long.as_str()] {
            assert!(
                resolved(code, "1").contains("is not a meter code"),
                "{code}"
            );
        }
        assert!("a".repeat(63).parse::<MeterCode>().is_ok());
    }

    #[test]
    fn the_sixteen_types_and_five_of_our_own() {
        let upper = BuiltInMeter::ALL
            .iter()
            .filter(|meter| meter.as_str().starts_with(char::is_uppercase));
        assert_eq!((upper.count(), BuiltInMeter::ALL.len()), (16, 21));
        for meter in BuiltInMeter::ALL {
            assert_eq!(meter.code().built_in(), Some(*meter));
        }
    }
}
