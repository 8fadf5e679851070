//! What has to be asked of the provider because an event never came, and when a call is given up.

use jiff::{SignedDuration, Timestamp};

use super::leg::Leg;
use super::names::{Outcome, Phase};
use super::state::Call;
use super::verdict::Talk;
use crate::named::named;

named! {
    /// What is not known of a record.
    Unknown("unknown") {
        /// The record itself: another one names it as its parent.
        Record = "record",
        /// When it began, in which direction, on which number.
        Start = "start",
        /// Whether and when it was answered.
        Answer = "answer",
        /// When it ended.
        End = "end",
        /// To whom it was sent on: another record may continue it.
        Forward = "forward",
        /// Who answered: only another event than that of the end may have told.
        Answerer = "answerer",
    }
}

/// A record that the provider has to be asked for, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The record.
    pub sid: String,
    /// The first thing that is not known.
    pub what: Unknown,
}

/// What to do about a call of which something is missing, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Ask the provider for these records.
    Fetch {
        /// When.
        at: Timestamp,
        /// The records.
        sids: Vec<String>,
    },
    /// Give up on these records: observe [`Leg::swept`] for each.
    Sweep {
        /// When.
        at: Timestamp,
        /// The records.
        sids: Vec<String>,
    },
}

/// A call that rings for longer has probably lost an event.
const RINGING_PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// How often the provider is asked whether a call is still on.
const TALKING_PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// The answer of an ended call follows its end within seconds, or never.
const ENDED_PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// Between two questions at most.
const PATIENCE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// After so long without a word the call is over, whatever the provider says. No provider carries a longer call.
const SWEEP_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What is not known of a call. Empty exactly when the call has ended and nothing more can change it but a correction.
pub fn missing(call: &Call) -> Vec<Missing> {
    let unseen_root = call.root().is_none().then(|| Missing {
        sid: call.root_sid().to_owned(),
        what: Unknown::Record,
    });
    let of_legs = call.legs().iter().filter_map(|leg| {
        Some(Missing {
            sid: leg.sid().to_owned(),
            what: unknown(leg)?,
        })
    });
    unseen_root.into_iter().chain(of_legs).collect()
}

fn unknown(leg: &Leg) -> Option<Unknown> {
    if leg.swept_at().is_some() {
        return None;
    }
    let is_head = leg.parent_sid().is_none();
    if leg.started_at().is_none() || (is_head && leg.direction().is_none()) {
        return Some(Unknown::Start);
    }
    if leg.phase() < Phase::Ended {
        return Some(Unknown::End);
    }
    if leg.talk() == Talk::Unknown {
        return Some(Unknown::Answer);
    }
    if leg.ended_at().is_none() {
        return Some(Unknown::End);
    }
    let is_sent_on = leg.outcome() == Some(Outcome::Forwarded);
    if is_sent_on && leg.forwarded_to().is_none() {
        return Some(Unknown::Forward);
    }
    leg.is_answerer_untold().then_some(Unknown::Answerer)
}

/// When to look after a call next, and what to do then, if nothing is heard of it until then; `None` when nothing is
/// missing. `fetches` counts how often the provider was asked since something was last heard.
pub fn next_check(call: &Call, fetches: u32) -> Option<Check> {
    let missing = missing(call);
    if missing.is_empty() {
        return None;
    }
    let last_seen = call.legs().iter().map(Leg::last_seen_at).max()?;
    let sids = missing.into_iter().map(|missing| missing.sid).collect();
    let patience = match call.phase() {
        Phase::Queued | Phase::Ringing => RINGING_PATIENCE,
        Phase::InProgress => TALKING_PATIENCE,
        Phase::Ended => ENDED_PATIENCE,
    };
    let at = later(last_seen, waited(patience, fetches));
    let sweep_at = later(last_seen, SWEEP_AFTER);
    Some(if at < sweep_at {
        Check::Fetch { at, sids }
    } else {
        Check::Sweep { at: sweep_at, sids }
    })
}

/// All the waiting until question number `fetches`: each wait is twice the one before, up to a limit.
fn waited(first: SignedDuration, fetches: u32) -> SignedDuration {
    let mut wait = first;
    let mut total = first;
    for _ in 0..fetches.min(100) {
        wait = wait.saturating_mul(2).min(PATIENCE_MAX);
        total = total.saturating_add(wait);
    }
    total
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{CallFact, Direction, Fact, ProviderEvent, group};
    use crate::time::Seconds;

    const RANG_AT: &str = "2026-01-06T15:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn leg(fact: CallFact) -> Leg {
        let event = ProviderEvent {
            key: "e".into(),
            occurred_at: at(RANG_AT),
            fact: Fact::Call(fact),
        };
        Leg::seen(&event).unwrap()
    }

    fn ringing() -> CallFact {
        CallFact {
            direction: Some(Direction::Incoming),
            started_at: Some(at(RANG_AT)),
            phase: Some(Phase::Ringing),
            ..CallFact::new("AC1")
        }
    }

    fn call(legs: impl IntoIterator<Item = Leg>) -> Call {
        group(legs).remove(0)
    }

    #[test]
    fn a_call_that_rings_too_long_is_asked_for_ever_more_rarely_and_given_up_after_a_day() {
        let call = call([leg(ringing())]);
        let times: Vec<String> = (0..40)
            .map_while(|fetches| match next_check(&call, fetches)? {
                Check::Fetch { at, sids } => Some(format!("{} {at}", sids[0])),
                Check::Sweep { .. } => None,
            })
            .collect();
        let first = [
            "15:02:00", "15:06:00", "15:14:00", "15:30:00", "16:02:00", "17:02:00",
        ];
        assert_eq!(
            times[..6],
            first.map(|time| format!("AC1 2026-01-06T{time}Z"))
        );
        let sids = vec!["AC1".to_owned()];
        let last = u32::try_from(times.len()).unwrap();
        assert_eq!(
            next_check(&call, last),
            Some(Check::Sweep {
                at: at("2026-01-07T15:00:00Z"),
                sids
            })
        );
    }

    #[test]
    fn a_swept_call_is_over_and_free_until_the_provider_says_more() {
        let swept_at = at("2026-01-07T15:00:00Z");
        let talking = CallFact {
            answered_at: Some(at("2026-01-06T15:00:10Z")),
            phase: Some(Phase::InProgress),
            ..ringing()
        };
        for (fact, outcome) in [(ringing(), Outcome::Failed), (talking, Outcome::Answered)] {
            let swept = call([leg(fact.clone()), Leg::swept("AC1", swept_at)]);
            assert_eq!((missing(&swept), next_check(&swept, 0)), (vec![], None));
            let state = swept.state();
            assert_eq!((state.phase, state.outcome), (Phase::Ended, Some(outcome)));
            assert_eq!(
                (state.billable, state.swept_at),
                (Some(Seconds::ZERO), Some(swept_at))
            );

            let late = CallFact {
                answered_at: Some(at("2026-01-06T15:00:10Z")),
                ended_at: Some(at("2026-01-06T15:01:10Z")),
                outcome: Some(Outcome::Answered),
                ..fact
            };
            let state = call([leg(late), Leg::swept("AC1", swept_at)]).state();
            assert_eq!(
                (state.billable, state.outcome),
                (Some(Seconds::new(60)), Some(Outcome::Answered))
            );
        }
    }

    #[test]
    fn who_answered_is_asked_for_once() {
        let told = |fact: CallFact| CallFact {
            answered_at: Some(at("2026-01-06T15:00:10Z")),
            ended_at: Some(at("2026-01-06T15:01:10Z")),
            outcome: Some(Outcome::Answered),
            ..fact
        };
        let completed = CallFact {
            owner_sid: Some("US1".into()),
            ..told(ringing())
        };
        let answered = CallFact {
            user_sid: Some("US2".into()),
            answered_at: Some(at("2026-01-06T15:00:10Z")),
            ..ringing()
        };
        let nobody = CallFact {
            is_whole: true,
            ..completed.clone()
        };
        let of = |facts: &[&CallFact]| {
            let call = call(facts.iter().map(|fact| leg((*fact).clone())));
            (
                missing(&call).pop().map(|it| it.what),
                call.state().user_sids,
            )
        };
        assert_eq!(
            of(&[&completed]),
            (Some(Unknown::Answerer), vec!["US1".to_owned()])
        );
        for facts in [[&completed, &answered], [&answered, &completed]] {
            assert_eq!(of(&facts), (None, vec!["US2".to_owned()]));
        }
        assert_eq!(of(&[&completed, &nobody]), (None, vec!["US1".to_owned()]));
        // Of a provider that has no such users nothing is expected.
        assert_eq!(of(&[&told(ringing())]), (None, vec![]));
    }

    #[test]
    fn a_parent_that_was_never_seen_is_asked_for() {
        let child = CallFact {
            parent_sid: Some("CA0".into()),
            outcome: Some(Outcome::Missed),
            ..ringing()
        };
        let call = call([leg(CallFact {
            ended_at: Some(at(RANG_AT)),
            ..child
        })]);
        assert_eq!((call.root_sid(), call.phase()), ("CA0", Phase::Ringing));
        assert_eq!(
            missing(&call),
            [Missing {
                sid: "CA0".into(),
                what: Unknown::Record
            }]
        );
    }
}
