//! Totals of a month, by meter and by phone number. They can always be made again from the events.

use jiff::Timestamp;

use super::meter::{Aggregation, BuiltInMeter};
use crate::money::{Fraction, Overflow, Quantity};
use crate::time::Period;

/// The totals of a phone number in one month, or a change of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct NumberTotals {
    /// Seconds talked.
    pub voice_seconds: i64,
    /// Sum over calls of started minutes: 61 seconds are two.
    pub voice_minutes: i64,
    /// Calls made and received.
    pub voice_calls: i64,
    /// Messages sent.
    pub sms_sent: i64,
    /// Messages received.
    pub sms_received: i64,
}

impl NumberTotals {
    /// What an event changes. `before` is what was recorded of the same call earlier, since minutes are started by
    /// calls and not by events: after 55 seconds, another 10 start one more minute, and another 5 do not.
    ///
    /// Only whole quantities are counted here, which calls and messages are.
    pub fn change(
        meter: BuiltInMeter,
        quantity: Quantity,
        before: Quantity,
    ) -> Result<Self, Overflow> {
        let whole = |quantity: Quantity| quantity.to_whole_units().ok_or(Overflow);
        let mut change = Self::default();
        match meter {
            BuiltInMeter::CallDurationSeconds => {
                let after = whole(before.checked_add(quantity)?)?;
                change.voice_seconds = whole(quantity)?;
                change.voice_minutes =
                    started_minutes(after).saturating_sub(started_minutes(whole(before)?));
            }
            BuiltInMeter::CallMade | BuiltInMeter::CallReceived => {
                change.voice_calls = whole(quantity)?;
            }
            BuiltInMeter::SmsSent => change.sms_sent = whole(quantity)?,
            BuiltInMeter::SmsReceived => change.sms_received = whole(quantity)?,
            BuiltInMeter::AiMessageGenerated
            | BuiltInMeter::AiVoiceGenerated
            | BuiltInMeter::AiTemplateCreated
            | BuiltInMeter::ContentAiGenerated
            | BuiltInMeter::CampaignLaunched
            | BuiltInMeter::JourneyLaunched
            | BuiltInMeter::ContactCreated
            | BuiltInMeter::TemplateCreated
            | BuiltInMeter::WebhookTriggered
            | BuiltInMeter::StorageUsedMb
            | BuiltInMeter::ApiRequest
            | BuiltInMeter::Voicemail
            | BuiltInMeter::Recording
            | BuiltInMeter::RecordingStorage
            | BuiltInMeter::Transcript
            | BuiltInMeter::NumberMonth => {}
        }
        Ok(change)
    }

    /// Both together.
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        let add = |a: i64, b: i64| a.checked_add(b).ok_or(Overflow);
        Ok(Self {
            voice_seconds: add(self.voice_seconds, other.voice_seconds)?,
            voice_minutes: add(self.voice_minutes, other.voice_minutes)?,
            voice_calls: add(self.voice_calls, other.voice_calls)?,
            sms_sent: add(self.sms_sent, other.sms_sent)?,
            sms_received: add(self.sms_received, other.sms_received)?,
        })
    }
}

/// Never negative seconds in all, since a call is never shorter than nothing.
fn started_minutes(seconds: i64) -> i64 {
    seconds
        .max(0)
        .unsigned_abs()
        .div_ceil(60)
        .try_into()
        .unwrap_or(i64::MAX)
}

/// The total of `events` (time and quantity, in order of time) in a period. `opening` is the level that stood when the
/// period began, for meters that measure a level.
pub fn aggregate(
    aggregation: Aggregation,
    period: &Period,
    opening: Quantity,
    events: &[(Timestamp, Quantity)],
) -> Result<Fraction, Overflow> {
    let within = || events.iter().filter(|(at, _)| period.contains(*at));
    match aggregation {
        Aggregation::Sum => Fraction::sum(within().map(|(_, quantity)| quantity.to_fraction())),
        Aggregation::Max => {
            let highest = within()
                .map(|(_, quantity)| *quantity)
                .fold(opening, Quantity::max);
            Ok(highest.to_fraction())
        }
        Aggregation::Last => Ok(within()
            .max_by_key(|(at, _)| *at)
            .map_or(opening, |(_, quantity)| *quantity)
            .to_fraction()),
        Aggregation::TimeWeighted => {
            let mut since = period.start();
            let mut level = opening;
            let mut stood = Vec::new();
            for (at, quantity) in within() {
                stood.push(level_milliseconds(level, since, *at)?);
                (since, level) = (*at, *quantity);
            }
            stood.push(level_milliseconds(level, since, period.end())?);
            let length = period.end().duration_since(period.start()).as_millis();
            Fraction::sum(stood)?.checked_div(Fraction::new(length, 1)?)
        }
    }
}

fn level_milliseconds(
    level: Quantity,
    from: Timestamp,
    to: Timestamp,
) -> Result<Fraction, Overflow> {
    level
        .to_fraction()
        .checked_mul(Fraction::new(to.duration_since(from).as_millis(), 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: i64) -> Quantity {
        Quantity::try_from_units(n).unwrap()
    }

    #[test]
    fn minutes_are_started_by_calls_not_by_events() {
        let minutes = |before, quantity| {
            NumberTotals::change(
                BuiltInMeter::CallDurationSeconds,
                seconds(quantity),
                seconds(before),
            )
            .unwrap()
            .voice_minutes
        };
        assert_eq!(
            [
                minutes(0, 55),
                minutes(55, 5),
                minutes(55, 10),
                minutes(65, -10)
            ],
            [1, 0, 1, -1]
        );
        // Three calls of 61 s are six minutes, not four.
        let calls = (0..3).map(|_| {
            NumberTotals::change(BuiltInMeter::CallDurationSeconds, seconds(61), seconds(0))
        });
        let total = calls.fold(NumberTotals::default(), |sum, call| {
            sum.checked_add(call.unwrap()).unwrap()
        });
        assert_eq!((total.voice_minutes, total.voice_seconds), (6, 183));
    }

    #[test]
    fn calls_and_messages_are_counted_and_nothing_else() {
        let change = |meter| NumberTotals::change(meter, seconds(1), seconds(0)).unwrap();
        assert_eq!(change(BuiltInMeter::CallMade).voice_calls, 1);
        assert_eq!(change(BuiltInMeter::SmsReceived).sms_received, 1);
        assert_eq!(change(BuiltInMeter::SmsSent).sms_sent, 1);
        assert_eq!(change(BuiltInMeter::Voicemail), NumberTotals::default());
        let half = "0.5".parse().unwrap();
        assert!(NumberTotals::change(BuiltInMeter::SmsSent, half, Quantity::ZERO).is_err());
    }

    #[test]
    fn levels_weigh_by_the_time_for_which_they_stood() {
        let at = |day: i8| {
            format!("2026-04-{day:02}T00:00:00Z")
                .parse::<Timestamp>()
                .unwrap()
        };
        let april = Period::new(at(1), "2026-05-01T00:00:00Z".parse().unwrap()).unwrap();
        // 10 MB for 10 days, 40 for 15, 0 for 5: (100 + 600) / 30.
        let events = [(at(11), seconds(40)), (at(26), seconds(0))];
        let total = |aggregation| aggregate(aggregation, &april, seconds(10), &events).unwrap();
        assert_eq!(
            total(Aggregation::TimeWeighted),
            Fraction::new(70, 3).unwrap()
        );
        assert_eq!(total(Aggregation::Max), Fraction::from(40));
        assert_eq!(total(Aggregation::Last), Fraction::from(0));
        assert_eq!(total(Aggregation::Sum), Fraction::from(40));
        let quiet = aggregate(Aggregation::TimeWeighted, &april, seconds(10), &[]).unwrap();
        assert_eq!(quiet, Fraction::from(10));
    }
}
