//! What is to happen: calls and messages with all that becomes of them.

use jiff::{SignedDuration, Timestamp};

use super::records::{Change, Recorded, Spoken};

/// The provider needs so long for a recording, a voicemail, a transcript and a summary.
const RECORDING_SECONDS: u32 = 20;
const VOICEMAIL_SECONDS: u32 = 15;
const TRANSCRIPT_SECONDS: u32 = 90;
const SUMMARY_SECONDS: u32 = 100;

/// A planned call. It is incoming where `to` is a number of the sandbox, and outgoing where `from` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedCall {
    /// Who calls: a number, or `anonymous`.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// When it begins to ring.
    pub at: Timestamp,
    /// How long it rings before it is answered or given up.
    pub ring_seconds: u32,
    /// How long is talked, if it is answered.
    pub talk_seconds: u32,
    /// What becomes of it.
    pub ending: Ending,
    /// The provider's id of the user who answers or calls; the owner of the workspace without one.
    pub user_sid: Option<String>,
    /// Whether it is recorded, if it is answered.
    pub is_recorded: bool,
    /// What is said, if the recording is transcribed.
    pub transcript: Vec<Line>,
    /// What it was about, if that is summarized.
    pub summary: Vec<String>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Somebody picks up.
    Answered,
    /// Nobody picks up.
    Missed,
    /// The caller hangs up.
    Abandoned,
    /// It cannot be put through.
    Failed,
    /// Nobody picks up, and the caller leaves a message.
    Voicemail {
        /// Its length.
        seconds: u32,
        /// What is said.
        transcript: Option<String>,
    },
    /// It is sent on to another number.
    Forwarded {
        /// The number.
        to: String,
    },
    /// Somebody picks up and hands it to a colleague. The provider is taken to keep one record and to tell of the
    /// second person as of the first; its documents do not say.
    Transferred {
        /// The colleague.
        to_user_sid: String,
        /// After so much of `talk_seconds`.
        after_seconds: u32,
    },
}

/// A line of what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whether the other side says it.
    pub is_external: bool,
    /// The words.
    pub text: String,
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

impl ScriptedCall {
    /// An answered call, with everything else at its plainest.
    pub fn answered(from: &str, to: &str, at: Timestamp, talk_seconds: u32) -> Self {
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            at,
            ring_seconds: 5,
            talk_seconds,
            ending: Ending::Answered,
            user_sid: None,
            is_recorded: false,
            transcript: Vec::new(),
            summary: Vec::new(),
        }
    }
}

/// The changes that a call goes through, and when. `owner` answers where the script names nobody.
pub(super) fn call_changes(
    script: &ScriptedCall,
    is_incoming: bool,
    owner: &str,
) -> Vec<(Timestamp, Change)> {
    let user = script.user_sid.clone().unwrap_or_else(|| owner.to_owned());
    let answer_at = after(script.at, script.ring_seconds);
    let mut changes = vec![(script.at, Change::Ring)];
    let end = |status, seconds| (after(answer_at, seconds), Change::End { status });
    match &script.ending {
        Ending::Answered => {
            changes.push((answer_at, Change::Answer { user }));
            changes.push(end("answered", script.talk_seconds));
        }
        Ending::Transferred {
            to_user_sid,
            after_seconds,
        } => {
            let seconds = (*after_seconds).min(script.talk_seconds);
            changes.push((answer_at, Change::Answer { user }));
            let user = to_user_sid.clone();
            changes.push((after(answer_at, seconds), Change::Answer { user }));
            changes.push(end("answered", script.talk_seconds));
        }
        Ending::Missed => {
            changes.extend(is_incoming.then_some((answer_at, Change::Miss)));
            changes.push(end("unanswered", 0));
        }
        Ending::Abandoned => changes.push(end("abandoned", 0)),
        Ending::Failed => changes.push(end("failed", 0)),
        Ending::Forwarded { to } => {
            changes.push((answer_at, Change::Forward { to: to.clone() }));
            changes.push(end("forwarded", 0));
        }
        Ending::Voicemail {
            seconds,
            transcript,
        } => {
            changes.extend(is_incoming.then_some((answer_at, Change::Miss)));
            changes.push((
                after(answer_at, *seconds),
                Change::LeaveVoicemail { seconds: *seconds },
            ));
            changes.push(end("unanswered", *seconds));
            let transcript = transcript.clone();
            let at = after(answer_at, seconds.saturating_add(VOICEMAIL_SECONDS));
            changes.push((at, Change::FinishVoicemail { transcript }));
        }
    }
    changes.extend(afterwards(script, answer_at));
    changes
}

/// What the provider makes of a call that was talked.
fn afterwards(script: &ScriptedCall, answer_at: Timestamp) -> Vec<(Timestamp, Change)> {
    if !matches!(script.ending, Ending::Answered | Ending::Transferred { .. }) {
        return Vec::new();
    }
    let end_at = after(answer_at, script.talk_seconds);
    let recorded = Recorded {
        start_at: answer_at,
        seconds: script.talk_seconds,
    };
    let mut changes = Vec::new();
    if script.is_recorded {
        changes.push((after(end_at, RECORDING_SECONDS), Change::Record(recorded)));
    }
    if !script.transcript.is_empty() {
        let lines = spoken(&script.transcript, script.talk_seconds);
        changes.push((after(end_at, TRANSCRIPT_SECONDS), Change::Transcribe(lines)));
    }
    if !script.summary.is_empty() {
        let points = script.summary.clone();
        changes.push((after(end_at, SUMMARY_SECONDS), Change::Summarize(points)));
    }
    changes
}

/// The lines share the time talked evenly.
fn spoken(lines: &[Line], talk_seconds: u32) -> Vec<Spoken> {
    let count = u64::try_from(lines.len()).unwrap_or(1).max(1);
    let each_ms = u64::from(talk_seconds) * 1000 / count;
    (0_u64..)
        .zip(lines)
        .map(|(place, line)| Spoken {
            is_external: line.is_external,
            text: line.text.clone(),
            start_ms: place * each_ms,
            end_ms: (place + 1) * each_ms,
        })
        .collect()
}

pub(super) fn after(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(i64::from(seconds)))
        .unwrap_or(Timestamp::MAX)
}
