//! Made-up calls: what really happened, every event that a provider would send of it, and the provider's full records.

use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use tollbook_core::calls::{
    CallFact, Direction, Fact, Outcome, Phase, Provider, ProviderEvent, VoicemailFact,
};
use tollbook_core::phone::{E164, Party};
use tollbook_core::time::Seconds;

/// What happened, in three forms.
pub(crate) struct History {
    pub(crate) provider: Provider,
    pub(crate) kind: &'static str,
    /// In the order in which it happened.
    pub(crate) events: Vec<ProviderEvent>,
    /// What the provider answers when asked for a record.
    pub(crate) records: Vec<CallFact>,
    pub(crate) truth: Truth,
}

/// What a person with a stopwatch would have written down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) direction: Direction,
    pub(crate) outcome: Outcome,
    pub(crate) seconds: u32,
    pub(crate) voicemails: u32,
    pub(crate) legs: usize,
}

const KINDS: [&str; 14] = [
    "answered",
    "missed",
    "voicemail",
    "abandoned",
    "placed",
    "placed in vain",
    "sent on while ringing",
    "transferred",
    "transferred, whole on both records",
    "sent on outside",
    "ring group",
    "voicemail after ringing out",
    "transfer between agents",
    "answered by machine",
];

/// The history of one call. One seed gives one history.
pub(crate) fn history(number: usize, rng: &mut ChaCha8Rng) -> History {
    let kind = KINDS[number % KINDS.len()];
    let mut script = Script::new(number, rng);
    let truth = match kind {
        "answered" => script.answered(Direction::Incoming),
        "placed" => script.answered(Direction::Outgoing),
        "missed" => script.unanswered(Direction::Incoming, Outcome::Missed),
        "placed in vain" => script.unanswered(Direction::Outgoing, Outcome::Missed),
        "abandoned" => script.unanswered(Direction::Incoming, Outcome::Abandoned),
        "voicemail" => script.voicemail(),
        "sent on while ringing" => script.sent_on(),
        "transferred" => script.transferred(false),
        "transferred, whole on both records" => script.transferred(true),
        "sent on outside" => script.unanswered(Direction::Incoming, Outcome::Forwarded),
        "ring group" => script.ring_group(),
        "voicemail after ringing out" => script.rung_out(),
        "transfer between agents" => script.between_agents(),
        "answered by machine" => script.unclear(),
        other => unreachable!("{other}"),
    };
    let provider = if script
        .events
        .iter()
        .any(|event| event.key.starts_with("CA"))
    {
        Provider::Twilio
    } else {
        Provider::Openphone
    };
    History {
        provider,
        kind,
        events: script.events,
        records: script.records,
        truth,
    }
}

struct Script<'a> {
    number: usize,
    rng: &'a mut ChaCha8Rng,
    now: Timestamp,
    caller: Party,
    events: Vec<ProviderEvent>,
    records: Vec<CallFact>,
}

fn ours(n: usize) -> E164 {
    format!("+1202555010{n}").parse().unwrap()
}

impl<'a> Script<'a> {
    fn new(number: usize, rng: &'a mut ChaCha8Rng) -> Self {
        let start: Timestamp = "2026-01-31T20:00:00Z".parse().unwrap();
        let now = start + SignedDuration::from_millis(rng.random_range(0..20_000_000));
        let caller = Party::read(&format!("+1303555{:04}", number % 10_000));
        Self {
            number,
            rng,
            now,
            caller,
            events: vec![],
            records: vec![],
        }
    }

    /// Lets a while pass, milliseconds included, and says which time it is then.
    fn pass(&mut self, seconds: std::ops::Range<i64>) -> Timestamp {
        self.now += SignedDuration::from_millis(
            self.rng
                .random_range(seconds.start * 1000..seconds.end * 1000),
        );
        self.now
    }

    fn sid(&self, prefix: &str, leg: usize) -> String {
        // Not in the order of time, so that nothing can rely on the order of ids.
        format!(
            "{prefix}{:03}{}",
            (self.number * 7919 + leg * 503) % 1000,
            leg
        )
    }

    fn openphone(&mut self, leg: usize, direction: Direction) -> CallFact {
        let (us, them) = (Party::from(ours(leg)), self.caller.clone());
        let (from, to) = match direction {
            Direction::Incoming => (them, us),
            Direction::Outgoing => (us, them),
        };
        CallFact {
            number_sid: Some(format!("PN000{leg}")),
            direction: Some(direction),
            from: Some(from),
            to: Some(to),
            started_at: Some(self.now),
            phase: Some(Phase::Ringing),
            ..CallFact::new(self.sid("AC", leg))
        }
    }

    fn twilio(&mut self, leg: usize, parent: Option<&str>) -> CallFact {
        let is_root = parent.is_none();
        CallFact {
            parent_sid: parent.map(str::to_owned),
            number_sid: is_root.then(|| "PN0001".into()),
            direction: is_root.then_some(Direction::Incoming),
            from: Some(self.caller.clone()),
            to: Some(if is_root {
                Party::from(ours(1))
            } else {
                Party::read(&format!("client:agent{leg}"))
            }),
            user_sid: (!is_root).then(|| format!("agent{leg}")),
            started_at: Some(self.now),
            phase: Some(Phase::Ringing),
            ..CallFact::new(self.sid("CA", leg))
        }
    }

    /// The provider sends what `fact` says now.
    fn tell(&mut self, kind: &str, mut fact: CallFact) -> CallFact {
        fact.updated_at = Some(self.now);
        let key = format!("{}:{kind}:{}", fact.sid, self.events.len());
        self.events.push(ProviderEvent {
            key,
            occurred_at: self.now,
            fact: Fact::Call(fact.clone()),
        });
        fact
    }

    fn ended(&mut self, mut fact: CallFact, outcome: Outcome) -> CallFact {
        fact.phase = Some(Phase::Ended);
        fact.ended_at = Some(self.now);
        fact.outcome = Some(outcome);
        fact.duration = Some(Seconds::between(fact.started_at.unwrap(), self.now));
        fact.has_voicemail = Some(false);
        let fact = self.tell("completed", fact);
        self.records.push(fact.clone());
        fact
    }

    fn truth(&self, direction: Direction, outcome: Outcome, seconds: Seconds) -> Truth {
        let voicemails = u32::from(outcome == Outcome::Voicemail);
        Truth {
            direction,
            outcome,
            seconds: seconds.get(),
            voicemails,
            legs: self.records.len(),
        }
    }

    fn answered(&mut self, direction: Direction) -> Truth {
        let fact = self.openphone(1, direction);
        let mut fact = self.tell("ringing", fact);
        fact.answered_at = Some(self.pass(2..20));
        fact.phase = Some(Phase::InProgress);
        fact.user_sid = Some("US0001".into());
        let fact = self.tell("answered", fact);
        self.pass(5..4000);
        let talked = Seconds::between(fact.answered_at.unwrap(), self.now);
        self.ended(fact, Outcome::Answered);
        self.truth(direction, Outcome::Answered, talked)
    }

    fn unanswered(&mut self, direction: Direction, outcome: Outcome) -> Truth {
        let fact = self.openphone(1, direction);
        let mut fact = self.tell("ringing", fact);
        self.pass(5..40);
        if outcome == Outcome::Forwarded {
            fact.forwarded_to = Some(Party::read("+14155550199"));
        } else {
            self.tell(
                "missed",
                CallFact {
                    outcome: Some(outcome),
                    ..fact.clone()
                },
            );
        }
        self.ended(fact, outcome);
        self.truth(direction, outcome, Seconds::ZERO)
    }

    fn leave_voicemail(&mut self, call: &CallFact) {
        let left_at = self.pass(3..60);
        let fact = VoicemailFact {
            sid: format!("VM{}", call.sid),
            call_sid: call.sid.clone(),
            number_sid: call.number_sid.clone(),
            from: call.from.clone(),
            to: call.to.clone(),
            duration: Some(Seconds::new(12)),
            transcript: None,
            media: None,
            left_at: Some(left_at),
            updated_at: Some(left_at),
        };
        let key = format!("{}:voicemail", call.sid);
        self.events.push(ProviderEvent {
            key,
            occurred_at: left_at,
            fact: Fact::Voicemail(fact),
        });
    }

    fn voicemail(&mut self) -> Truth {
        let fact = self.openphone(1, Direction::Incoming);
        let fact = self.tell("ringing", fact);
        self.pass(20..40);
        self.tell(
            "missed",
            CallFact {
                outcome: Some(Outcome::Missed),
                ..fact.clone()
            },
        );
        self.pass(5..60);
        let mut fact = self.ended(fact, Outcome::Missed);
        fact.has_voicemail = Some(true);
        self.records = vec![fact.clone()];
        self.leave_voicemail(&fact);
        self.truth(Direction::Incoming, Outcome::Voicemail, Seconds::ZERO)
    }

    /// The first number sends the caller on without answering: two records that do not name each other.
    fn sent_on(&mut self) -> Truth {
        let first = self.openphone(1, Direction::Incoming);
        let mut first = self.tell("ringing", first);
        self.pass(10..20);
        let second = self.openphone(2, Direction::Incoming);
        let mut second = self.tell(
            "ringing",
            CallFact {
                forwarded_from: Some(ours(1).into()),
                ..second
            },
        );
        first.forwarded_to = Some(ours(2).into());
        self.ended(first, Outcome::Forwarded);
        second.answered_at = Some(self.pass(2..10));
        second.user_sid = Some("US0002".into());
        let second = self.tell(
            "answered",
            CallFact {
                phase: Some(Phase::InProgress),
                ..second
            },
        );
        self.pass(5..2000);
        let talked = Seconds::between(second.answered_at.unwrap(), self.now);
        self.ended(second, Outcome::Answered);
        self.truth(Direction::Incoming, Outcome::Answered, talked)
    }

    /// Answered, then sent on to another number. Some providers let the first record run on.
    fn transferred(&mut self, is_first_whole: bool) -> Truth {
        let first = self.openphone(1, Direction::Incoming);
        let mut first = self.tell("ringing", first);
        first.answered_at = Some(self.pass(2..10));
        first.user_sid = Some("US0001".into());
        let mut first = self.tell(
            "answered",
            CallFact {
                phase: Some(Phase::InProgress),
                ..first
            },
        );
        let mut talked = SignedDuration::ZERO;
        self.pass(10..300);
        first.forwarded_to = Some(ours(2).into());
        if !is_first_whole {
            talked += self.now.duration_since(first.answered_at.unwrap());
            self.ended(first.clone(), Outcome::Answered);
        }
        let second = self.openphone(2, Direction::Incoming);
        let mut second = self.tell(
            "ringing",
            CallFact {
                forwarded_from: Some(ours(1).into()),
                ..second
            },
        );
        second.answered_at = Some(self.pass(1..9));
        second.user_sid = Some("US0002".into());
        let second = self.tell(
            "answered",
            CallFact {
                phase: Some(Phase::InProgress),
                ..second
            },
        );
        self.pass(5..2000);
        let from = if is_first_whole {
            first.answered_at
        } else {
            second.answered_at
        };
        talked += self.now.duration_since(from.unwrap());
        self.ended(second, Outcome::Answered);
        if is_first_whole {
            self.ended(first, Outcome::Answered);
        }
        self.truth(
            Direction::Incoming,
            Outcome::Answered,
            Seconds::from_duration(talked),
        )
    }

    /// Several phones ring for one call; one picks up, the others stop.
    fn ring_group(&mut self) -> Truth {
        let root = self.twilio(1, None);
        let mut root = self.tell("ringing", root);
        root.answered_at = Some(self.pass(1..2));
        let root = self.tell(
            "in-progress",
            CallFact {
                phase: Some(Phase::InProgress),
                ..root
            },
        );
        let children: Vec<CallFact> = (2..5)
            .map(|leg| {
                let child = self.twilio(leg, Some(&root.sid));
                self.tell("ringing", child)
            })
            .collect();
        let winner = children.choose(self.rng).unwrap().sid.clone();
        self.pass(3..15);
        let mut talking = None;
        for mut child in children {
            if child.sid == winner {
                child.answered_at = Some(self.now);
                talking = Some(self.tell(
                    "in-progress",
                    CallFact {
                        phase: Some(Phase::InProgress),
                        ..child
                    },
                ));
            } else {
                self.ended(child, Outcome::Canceled);
            }
        }
        self.pass(5..2000);
        let talked = Seconds::between(talking.as_ref().unwrap().answered_at.unwrap(), self.now);
        self.ended(
            CallFact {
                talked: Some(talked),
                ..talking.unwrap()
            },
            Outcome::Answered,
        );
        self.pass(0..2);
        self.ended(root, Outcome::Answered);
        self.truth(Direction::Incoming, Outcome::Answered, talked)
    }

    /// Picked up by the exchange, rung out at the agent, voicemail left on the outer record.
    fn rung_out(&mut self) -> Truth {
        let root = self.twilio(1, None);
        let mut root = self.tell("ringing", root);
        root.answered_at = Some(self.pass(1..2));
        let root = self.tell(
            "in-progress",
            CallFact {
                phase: Some(Phase::InProgress),
                ..root
            },
        );
        let child = self.twilio(2, Some(&root.sid));
        let child = self.tell("ringing", child);
        self.pass(20..30);
        self.ended(child, Outcome::Missed);
        self.pass(5..60);
        let mut root = self.ended(root, Outcome::Answered);
        root.has_voicemail = Some(true);
        *self.records.last_mut().unwrap() = root.clone();
        self.leave_voicemail(&root);
        self.truth(Direction::Incoming, Outcome::Voicemail, Seconds::ZERO)
    }

    /// Two agents talk one after the other; no event carries the time of answer, only the time talked.
    fn between_agents(&mut self) -> Truth {
        let root = self.twilio(1, None);
        let root = self.tell("ringing", root);
        let mut total = 0;
        for leg in 2..4 {
            self.pass(1..5);
            let child = self.twilio(leg, Some(&root.sid));
            let child = self.tell("ringing", child);
            self.pass(4..5);
            let talked = Seconds::new(self.rng.random_range(3..600));
            self.now += SignedDuration::from_secs(talked.get().into());
            self.ended(
                CallFact {
                    talked: Some(talked),
                    ..child
                },
                Outcome::Answered,
            );
            total += talked.get();
        }
        self.pass(0..2);
        self.ended(
            CallFact {
                talked: Some(Seconds::new(total + 9)),
                ..root
            },
            Outcome::Answered,
        );
        self.truth(Direction::Incoming, Outcome::Answered, Seconds::new(total))
    }

    /// The end does not say whether anybody answered; only another event, or the provider's record, does.
    fn unclear(&mut self) -> Truth {
        let fact = self.openphone(1, Direction::Incoming);
        let fact = self.tell("ringing", fact);
        let answered_at = self.pass(2..10);
        self.tell(
            "answered",
            CallFact {
                answered_at: Some(answered_at),
                ..fact.clone()
            },
        );
        self.pass(5..600);
        let talked = Seconds::between(answered_at, self.now);
        self.tell(
            "completed",
            CallFact {
                phase: Some(Phase::Ended),
                ended_at: Some(self.now),
                ..fact.clone()
            },
        );
        self.records.push(CallFact {
            phase: Some(Phase::Ended),
            answered_at: Some(answered_at),
            ended_at: Some(self.now),
            outcome: Some(Outcome::Answered),
            updated_at: Some(self.now),
            ..fact
        });
        self.truth(Direction::Incoming, Outcome::Answered, talked)
    }
}
