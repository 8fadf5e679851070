//! Made-up calls of every kind, and what a person with a stopwatch would have written down. One seed gives one day.

use jiff::{SignedDuration, Timestamp};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tollbook_providers::openphone::sandbox::{
    Ending, Fate, Line, ScriptedCall, ScriptedMessage, SeededWorkspace,
};

use crate::support::Phones;

/// The keys of the two workspaces: the first is told of by webhooks of the current version, the second of the first.
pub(super) const KEYS: [&str; 2] = ["current", "first"];

const LINES: [&[&str]; 2] = [
    &["+12125550101", "+12125550102", "+12125550103"],
    &["+16465550101", "+16465550102", "+16465550103"],
];

pub(super) struct Workspace {
    pub(super) seeded: SeededWorkspace,
    pub(super) lines: &'static [&'static str],
}

/// What really happened.
#[derive(Default)]
pub(super) struct Truth {
    pub(super) calls: i64,
    pub(super) talked_seconds: i64,
}

pub(super) fn workspaces(phones: &Phones) -> Vec<Workspace> {
    KEYS.iter()
        .zip(LINES)
        .map(|(key, lines)| Workspace {
            seeded: phones.workspace(key, lines),
            lines,
        })
        .collect()
}

/// Plans so many calls, and a message for every fifth, in the hour before `now`: all are over, long enough for the provider
/// to be asked what it has not told, and the links to their recordings still work.
pub(super) fn play(
    phones: &Phones,
    workspaces: &[Workspace],
    calls: usize,
    now: Timestamp,
) -> Truth {
    let mut rng = ChaCha8Rng::seed_from_u64(2026);
    let mut truth = Truth::default();
    for number in 0..calls {
        let workspace = &workspaces[number % workspaces.len()];
        let at = now - SignedDuration::from_millis(rng.random_range(1_200_000..3_000_000));
        let mut player = Player {
            phones,
            workspace,
            at,
            // Most callers call once, some again and again.
            other: format!(
                "+1303555{:04}",
                rng.random_range(0..calls).min(rng.random_range(0..calls))
            ),
            rng: &mut rng,
        };
        truth.talked_seconds += player.call(number / workspaces.len());
        truth.calls += 1;
        if number % 5 == 0 {
            player.message();
        }
    }
    truth
}

struct Player<'a> {
    phones: &'a Phones,
    workspace: &'a Workspace,
    at: Timestamp,
    other: String,
    rng: &'a mut ChaCha8Rng,
}

impl Player<'_> {
    /// Plans one conversation; returns how many seconds are talked.
    fn call(&mut self, number: usize) -> i64 {
        let ours = *self.workspace.lines.choose(self.rng).unwrap();
        let talk_seconds = self.rng.random_range(5..900);
        let mut call = ScriptedCall {
            ring_seconds: self.rng.random_range(2..30),
            user_sid: self.workspace.seeded.user_sids.choose(self.rng).cloned(),
            is_recorded: self.rng.random_bool(0.4),
            ..ScriptedCall::answered(&self.other, ours, self.at, talk_seconds)
        };
        if call.is_recorded {
            let line = |is_external, text: &str| Line {
                is_external,
                text: text.to_owned(),
            };
            call.transcript = vec![line(false, "Support, hello."), line(true, "It is broken.")];
            call.summary = vec!["Something is broken.".to_owned()];
        }
        match number % 9 {
            0 | 1 => {}
            2 => {
                call.from = ours.to_owned();
                call.to = called(&self.other);
            }
            3 => call.ending = Ending::Missed,
            4 => {
                let transcript = self
                    .rng
                    .random_bool(0.5)
                    .then(|| "Please call back.".to_owned());
                call.ending = Ending::Voicemail {
                    seconds: 20,
                    transcript,
                };
            }
            5 => call.ending = Ending::Abandoned,
            6 => {
                let to_user_sid = self.workspace.seeded.user_sids[1].clone();
                call.user_sid = Some(self.workspace.seeded.user_sids[0].clone());
                call.ending = Ending::Transferred {
                    to_user_sid,
                    after_seconds: talk_seconds / 2,
                };
            }
            7 => {
                call.from = "anonymous".to_owned();
            }
            _ => return self.sent_on(call, ours),
        }
        let is_talked = matches!(call.ending, Ending::Answered | Ending::Transferred { .. });
        self.phones.sandbox.play(&call).unwrap();
        if is_talked { talk_seconds.into() } else { 0 }
    }

    /// From one number to another, where somebody picks up or a message is left: two records, one call.
    fn sent_on(&mut self, mut call: ScriptedCall, ours: &str) -> i64 {
        let others: Vec<&&str> = self
            .workspace
            .lines
            .iter()
            .filter(|line| **line != ours)
            .collect();
        let next = **others.choose(self.rng).unwrap();
        let after = SignedDuration::from_secs(call.ring_seconds.into());
        let mut second = ScriptedCall {
            to: next.to_owned(),
            at: self.at + after,
            ring_seconds: self.rng.random_range(2..10),
            ..call.clone()
        };
        if self.rng.random_bool(0.3) {
            let transcript = Some("I was sent on.".to_owned());
            second.ending = Ending::Voicemail {
                seconds: 9,
                transcript,
            };
        }
        // Nobody else may take this caller's other calls for the one that was sent on.
        call.from = format!("+1702555{:04}", self.rng.random_range(0..10_000));
        second.from.clone_from(&call.from);
        call.ending = Ending::Forwarded {
            to: next.to_owned(),
        };
        let talked = match second.ending {
            Ending::Answered => second.talk_seconds.into(),
            _ => 0,
        };
        self.phones.sandbox.play(&call).unwrap();
        self.phones.sandbox.play(&second).unwrap();
        talked
    }

    fn message(&mut self) {
        let ours = *self.workspace.lines.choose(self.rng).unwrap();
        let fate = *[Fate::Delivered, Fate::Undelivered, Fate::Failed]
            .choose(self.rng)
            .unwrap();
        let (mut from, mut to) = (self.other.clone(), ours.to_owned());
        if self.rng.random_bool(0.5) {
            (from, to) = (to, called(&self.other));
        }
        let text = "See you at nine.".to_owned();
        let message = ScriptedMessage {
            from,
            to,
            text,
            at: self.at,
            fate,
        };
        self.phones.sandbox.play_message(&message).unwrap();
    }
}

/// Somebody whom we call and who never calls: who they are does not depend on what was heard of first.
fn called(caller: &str) -> String {
    caller.replace("+1303", "+1404")
}
