//! What is to happen: calls with their legs, and messages.

use jiff::{SignedDuration, Timestamp};

/// A recording is done so long after what it records.
const RECORDING_SECONDS: u32 = 5;

/// A planned call. It is incoming where `to` is a number of the sandbox, and outgoing where `from` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedCall {
    /// Who calls: a number, or `anonymous`.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// When it begins to ring.
    pub at: Timestamp,
    /// How long the dialled leg rings before it is answered or given up.
    pub ring_seconds: u32,
    /// How long is talked, if it is answered.
    pub talk_seconds: u32,
    /// What becomes of it.
    pub ending: Ending,
    /// Whom an incoming call is put through to: a number, or `client:…`.
    pub agent: String,
    /// Whether the talk is recorded.
    pub is_recorded: bool,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Somebody picks up.
    Answered,
    /// Nobody picks up.
    NoAnswer,
    /// The line is busy.
    Busy,
    /// It cannot be put through.
    Failed,
    /// Nobody picks up, and the caller leaves a message; for incoming calls.
    Voicemail {
        /// Its length.
        seconds: u32,
    },
}

/// A planned message, with its direction as for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedMessage {
    /// Who writes.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The text.
    pub text: String,
    /// When.
    pub at: Timestamp,
    /// What becomes of it, if it is outgoing.
    pub fate: Fate,
}

/// What becomes of an outgoing message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    #[default]
    Delivered,
    /// The carrier cannot deliver it.
    Undelivered,
    /// The provider gives up.
    Failed,
}

/// What becomes of a call that a client asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) ending: Ending,
    pub(super) ring_seconds: u32,
    pub(super) talk_seconds: u32,
}

/// What happens to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The number's owner is asked what to do.
    AskVoice,
    /// The leg gets a status and tells of it, if it has where to.
    Status(&'static str),
    /// The provider picked up; nobody is told.
    PickUp,
    /// The leg that was dialled is over; the call asks how to go on.
    DialDone,
    /// What was recorded since then is done.
    Recorded {
        since: Timestamp,
        seconds: u32,
        source: &'static str,
    },
    /// The price is known.
    Price,
}

/// Whose change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    First,
    Dialled,
}

pub(super) type Plan = Vec<(Timestamp, Leg, Change)>;

/// An incoming call: the provider picks up and dials somebody.
pub(super) fn incoming(script: &ScriptedCall, price_after: u32) -> Plan {
    let at = script.at;
    let answer_at = after(at, script.ring_seconds);
    let mut plan = vec![
        (at, Leg::First, Change::AskVoice),
        (at, Leg::First, Change::PickUp),
        (at, Leg::Dialled, Change::Status("initiated")),
        (at, Leg::Dialled, Change::Status("ringing")),
    ];
    let (last, dial_end, end) = match script.ending {
        Ending::Answered => {
            plan.push((answer_at, Leg::Dialled, Change::Status("in-progress")));
            let end = after(answer_at, script.talk_seconds);
            ("completed", end, end)
        }
        Ending::NoAnswer => ("no-answer", answer_at, answer_at),
        Ending::Busy => ("busy", answer_at, answer_at),
        Ending::Failed => ("failed", answer_at, answer_at),
        Ending::Voicemail { seconds } => ("no-answer", answer_at, after(answer_at, seconds)),
    };
    plan.push((dial_end, Leg::Dialled, Change::Status(last)));
    plan.push((dial_end, Leg::First, Change::DialDone));
    plan.push((end, Leg::First, Change::Status("completed")));
    let recorded = |seconds, source| Change::Recorded {
        since: answer_at,
        seconds,
        source,
    };
    let done_at = after(end, RECORDING_SECONDS);
    match script.ending {
        Ending::Voicemail { seconds } => {
            plan.push((done_at, Leg::First, recorded(seconds, "RecordVerb")));
        }
        Ending::Answered if script.is_recorded => {
            plan.push((
                done_at,
                Leg::First,
                recorded(script.talk_seconds, "DialVerb"),
            ));
        }
        Ending::Answered | Ending::NoAnswer | Ending::Busy | Ending::Failed => {}
    }
    let priced_at = after(end, price_after);
    plan.push((priced_at, Leg::First, Change::Price));
    plan.push((priced_at, Leg::Dialled, Change::Price));
    plan
}

/// A call that we ask for: one leg.
pub(super) fn outgoing(at: Timestamp, expected: Expected, price_after: u32) -> Plan {
    let answer_at = after(at, expected.ring_seconds);
    let mut plan = vec![
        (at, Leg::First, Change::Status("initiated")),
        (at, Leg::First, Change::Status("ringing")),
    ];
    let (last, end) = match expected.ending {
        Ending::Answered => {
            plan.push((answer_at, Leg::First, Change::Status("in-progress")));
            ("completed", after(answer_at, expected.talk_seconds))
        }
        Ending::NoAnswer | Ending::Voicemail { .. } => ("no-answer", answer_at),
        Ending::Busy => ("busy", answer_at),
        Ending::Failed => ("failed", answer_at),
    };
    plan.push((end, Leg::First, Change::Status(last)));
    plan.push((after(end, price_after), Leg::First, Change::Price));
    plan
}

pub(super) fn after(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(i64::from(seconds)))
        .unwrap_or(Timestamp::MAX)
}

impl Default for Expected {
    fn default() -> Self {
        Self {
            ending: Ending::Answered,
            ring_seconds: 5,
            talk_seconds: 30,
        }
    }
}
