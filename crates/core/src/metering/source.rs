//! Which usage a communication amounts to. The keys are made of the provider's own ids, so that the same fact can
//! only be recorded once, whichever way it came.

use jiff::Timestamp;

use super::correction::Target;
use super::meter::BuiltInMeter;
use crate::calls::{CallState, Direction, MessageState, Phase, Provider};
use crate::money::Quantity;

/// The usage of a call: nothing until it has ended; then one call, and the time talked once that is known. The call
/// belongs to the time at which it began, the time talked to the answer, from which it is priced second by second.
pub fn call_usage(provider: Provider, call: &CallState) -> Vec<Target> {
    let (Phase::Ended, Some(direction)) = (call.phase, call.direction) else {
        return Vec::new();
    };
    let key = |what: &str| format!("{provider}:call:{}:{what}", call.root_sid);
    let (what, meter) = match direction {
        Direction::Incoming => ("received", BuiltInMeter::CallReceived),
        Direction::Outgoing => ("made", BuiltInMeter::CallMade),
    };
    let talk_began_at = call.answered_at.unwrap_or(call.started_at);
    let seconds = call.billable.map(|seconds| {
        let quantity = Quantity::from_units(seconds.get());
        target(
            key("seconds"),
            BuiltInMeter::CallDurationSeconds,
            quantity,
            talk_began_at,
        )
    });
    let call = target(key(what), meter, Quantity::from_units(1), call.started_at);
    std::iter::once(call).chain(seconds).collect()
}

/// The usage of a message: one, once it left or arrived. What the provider refused is not counted, and taken back if
/// it was counted before.
pub fn message_usage(
    provider: Provider,
    message: &MessageState,
    occurred_at: Timestamp,
) -> Vec<Target> {
    let (what, meter) = match message.direction() {
        Direction::Incoming => ("received", BuiltInMeter::SmsReceived),
        Direction::Outgoing => ("sent", BuiltInMeter::SmsSent),
    };
    let key = format!("{provider}:message:{}:{what}", message.sid());
    let quantity = Quantity::from_units(u32::from(message.is_billable()));
    vec![target(key, meter, quantity, occurred_at)]
}

/// The usage of a voicemail: one.
pub fn voicemail_usage(provider: Provider, voicemail_sid: &str, left_at: Timestamp) -> Target {
    let key = format!("{provider}:voicemail:{voicemail_sid}");
    target(
        key,
        BuiltInMeter::Voicemail,
        Quantity::from_units(1),
        left_at,
    )
}

/// The usage of a recording: one.
pub fn recording_usage(provider: Provider, recording_sid: &str, started_at: Timestamp) -> Target {
    let key = format!("{provider}:recording:{recording_sid}");
    target(
        key,
        BuiltInMeter::Recording,
        Quantity::from_units(1),
        started_at,
    )
}

/// The usage of a transcript: one per call, or per recording where the provider makes one of each.
pub fn transcript_usage(provider: Provider, of_sid: &str, created_at: Timestamp) -> Target {
    let key = format!("{provider}:transcript:{of_sid}");
    target(
        key,
        BuiltInMeter::Transcript,
        Quantity::from_units(1),
        created_at,
    )
}

fn target(key: String, meter: BuiltInMeter, quantity: Quantity, occurred_at: Timestamp) -> Target {
    Target {
        key,
        meter: meter.code(),
        quantity,
        occurred_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{CallFact, Outcome};
    use crate::calls::{Fact, Leg, MessageFact, MessageStatus, ProviderEvent, group};
    use crate::time::Seconds;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn shown(targets: &[Target]) -> Vec<String> {
        targets
            .iter()
            .map(|target| format!("{} {} {}", target.key, target.meter, target.quantity))
            .collect()
    }

    #[test]
    fn a_call_counts_once_it_has_ended_and_its_time_once_it_is_known() {
        let mut fact = CallFact {
            direction: Some(Direction::Incoming),
            started_at: Some(at("2026-01-31T23:59:50Z")),
            phase: Some(Phase::InProgress),
            ..CallFact::new("AC1")
        };
        let usage = |fact: &CallFact| {
            let event = ProviderEvent {
                key: "e".into(),
                occurred_at: at("2026-02-01T00:05:00Z"),
                fact: Fact::Call(fact.clone()),
            };
            call_usage(Provider::Openphone, &group(Leg::seen(&event))[0].state())
        };
        assert_eq!(usage(&fact), []);
        fact.outcome = Some(Outcome::Answered);
        fact.ended_at = Some(at("2026-02-01T00:01:05Z"));
        assert_eq!(
            shown(&usage(&fact)),
            ["openphone:call:AC1:received CALL_RECEIVED 1"]
        );
        fact.answered_at = Some(at("2026-02-01T00:00:04Z"));
        let both = usage(&fact);
        assert_eq!(
            shown(&both)[1],
            "openphone:call:AC1:seconds CALL_DURATION_SECONDS 61"
        );
        // The call of January, and the time talked of February.
        let times: Vec<_> = both.iter().map(|target| target.occurred_at).collect();
        assert_eq!(
            times,
            [at("2026-01-31T23:59:50Z"), at("2026-02-01T00:00:04Z")]
        );
        fact.talked = Some(Seconds::new(59));
        assert_eq!(usage(&fact)[1].quantity, Quantity::from_units(59));
    }

    #[test]
    fn a_message_counts_when_it_left_and_not_when_it_was_refused() {
        let quantity = |status| {
            let fact = MessageFact {
                sid: "AC2".into(),
                conversation_sid: None,
                number_sid: None,
                our_number: None,
                direction: Direction::Outgoing,
                from: None,
                to: vec![],
                text: None,
                media: vec![],
                status: Some(status),
                user_sid: None,
                error_code: None,
                segments: None,
                created_at: None,
                updated_at: None,
            };
            let now = at("2026-01-01T00:00:00Z");
            let usage = message_usage(Provider::Openphone, &MessageState::seen(&fact, now), now);
            assert_eq!(usage[0].key, "openphone:message:AC2:sent");
            usage[0].quantity.to_string()
        };
        let quantities = [
            MessageStatus::Queued,
            MessageStatus::Sent,
            MessageStatus::Undelivered,
            MessageStatus::Failed,
        ];
        assert_eq!(quantities.map(quantity), ["0", "1", "1", "0"]);
    }
}
