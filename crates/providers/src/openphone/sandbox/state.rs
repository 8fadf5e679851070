//! The sandbox's memory: workspaces with their records, what is planned, and what is to be delivered.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::deliver::{Delivery, Format};
use super::records::{Call, Change, Message, Number, User, Workspace};
use super::script::{Fate, ScriptedCall, ScriptedMessage, after, call_changes};
use super::{SandboxOptions, SeededWorkspace, UnknownNumber, WorkspaceSeed, json};
use crate::sandbox::{Knobs, take};
use crate::{Budget, Secret};

/// Everything, behind one lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) now: Timestamp,
    pub(super) base_url: String,
    pub(super) knobs: Knobs,
    pub(super) workspaces: Vec<Workspace>,
    pub(super) outbox: Vec<Delivery>,
    pub(super) link_ttl: SignedDuration,
    seed: u64,
    counters: BTreeMap<&'static str, u64>,
    /// Ordered by time, then by when it was planned.
    timeline: BTreeMap<(Timestamp, u64), Step>,
}

#[derive(Debug)]
struct Step {
    workspace: usize,
    what: Happening,
}

#[derive(Debug)]
enum Happening {
    /// A call begins; it is not visible before.
    Begin(Box<Call>),
    Change {
        sid: String,
        change: Change,
    },
    Write(Box<Message>),
    Deliver {
        sid: String,
        status: &'static str,
    },
}

/// One of the sandbox's own numbers.
struct Side {
    workspace: usize,
    number_sid: String,
    ours: String,
    other: String,
    is_incoming: bool,
    owner: String,
}

impl State {
    pub(super) fn new(options: &SandboxOptions) -> Self {
        Self {
            now: options.start,
            base_url: options.base_url.clone(),
            knobs: Knobs::default(),
            workspaces: Vec::new(),
            outbox: Vec::new(),
            link_ttl: options.link_ttl,
            seed: options.seed,
            counters: BTreeMap::new(),
            timeline: BTreeMap::new(),
        }
    }

    /// A new id: digits that look random, and are the same for the same seed and order.
    pub(super) fn id(&mut self, prefix: &'static str) -> String {
        let number = self.next(prefix);
        format!(
            "{prefix}{:.32}",
            hex::encode(self.digest(&format!("{prefix}{number}")))
        )
    }

    /// Bytes that only this sandbox can make.
    pub(super) fn digest(&self, of: &str) -> [u8; 32] {
        Sha256::digest(format!("{}:{of}", self.seed)).into()
    }

    pub(super) fn next(&mut self, of: &'static str) -> u64 {
        let counter = self.counters.entry(of).or_default();
        *counter += 1;
        *counter
    }

    pub(super) fn add_workspace(
        &mut self,
        seed: &WorkspaceSeed,
        requests_per_second: NonZeroU32,
    ) -> SeededWorkspace {
        let sid = self.id("OR");
        let mut users = Vec::new();
        for (place, user) in seed.users.iter().enumerate() {
            users.push(User {
                sid: self.id("US"),
                email: user.email.clone(),
                first_name: user.first_name.clone(),
                last_name: user.last_name.clone(),
                role: if place == 0 { "owner" } else { "member" },
            });
        }
        let mut numbers = Vec::new();
        for number in &seed.numbers {
            numbers.push(Number {
                sid: self.id("PN"),
                e164: number.number.to_string(),
                name: number.name.clone(),
            });
        }
        let seeded = SeededWorkspace {
            sid: sid.clone(),
            user_sids: users.iter().map(|user| user.sid.clone()).collect(),
            number_sids: numbers.iter().map(|number| number.sid.clone()).collect(),
        };
        self.workspaces.push(Workspace {
            sid,
            name: seed.name.clone(),
            api_key: seed.api_key.clone(),
            has_transcripts: seed.has_transcripts,
            users,
            numbers,
            calls: Vec::new(),
            messages: Vec::new(),
            conversations: BTreeMap::new(),
            hooks: Vec::new(),
            budget: Budget::per_second(requests_per_second),
            created_at: self.now,
            call_places: BTreeMap::new(),
            message_places: BTreeMap::new(),
        });
        seeded
    }

    pub(super) fn add_app_hook(&mut self, workspace_sid: &str, url: &str) -> Option<Secret> {
        let place = self
            .workspaces
            .iter()
            .position(|workspace| workspace.sid == workspace_sid)?;
        let events = ["call.ringing", "call.completed", "call.recording.completed"];
        let events = events
            .iter()
            .chain(&["message.received", "message.delivered"]);
        let events = events.map(|&event| event.to_owned()).collect();
        let hook = self.hook(Format::AppV3, url, events, vec!["*".to_owned()], "");
        let secret = hook.keys.first().cloned();
        self.workspaces.get_mut(place)?.hooks.push(hook);
        secret
    }

    pub(super) fn plan_call(
        &mut self,
        script: &ScriptedCall,
    ) -> Result<Vec<String>, UnknownNumber> {
        let mut sids = Vec::new();
        for side in self.sides(&script.from, &script.to)? {
            let changes = call_changes(script, side.is_incoming, &side.owner);
            let user = script.user_sid.clone();
            let call = self.new_call(&side, user, script.at);
            let sid = call.sid.clone();
            self.plan(side.workspace, script.at, Happening::Begin(Box::new(call)));
            for (at, change) in changes {
                let sid = sid.clone();
                self.plan(side.workspace, at, Happening::Change { sid, change });
            }
            sids.push(sid);
        }
        Ok(sids)
    }

    pub(super) fn start_call(
        &mut self,
        from: &str,
        to: &str,
        at: Timestamp,
    ) -> Result<Vec<String>, UnknownNumber> {
        let mut sids = Vec::new();
        for side in self.sides(from, to)? {
            let call = self.new_call(&side, None, at);
            let sid = call.sid.clone();
            sids.push(sid.clone());
            self.plan(side.workspace, at, Happening::Begin(Box::new(call)));
            let change = Change::Ring;
            self.plan(side.workspace, at, Happening::Change { sid, change });
        }
        Ok(sids)
    }

    pub(super) fn answer_call(&mut self, sid: &str, user_sid: Option<&str>, at: Timestamp) {
        for workspace in 0..self.workspaces.len() {
            let owner = self.workspaces.get(workspace).map(Workspace::owner);
            let user = user_sid.map(str::to_owned).or(owner).unwrap_or_default();
            let sid = sid.to_owned();
            let change = Change::Answer { user };
            self.plan(workspace, at, Happening::Change { sid, change });
        }
    }

    pub(super) fn end_call(&mut self, sid: &str, at: Timestamp) {
        for workspace in 0..self.workspaces.len() {
            let sid = sid.to_owned();
            let change = Change::End { status: "" };
            self.plan(workspace, at, Happening::Change { sid, change });
        }
    }

    pub(super) fn plan_message(
        &mut self,
        script: &ScriptedMessage,
    ) -> Result<Vec<String>, UnknownNumber> {
        let mut sids = Vec::new();
        for side in self.sides(&script.from, &script.to)? {
            let message = self.new_message(&side, &script.text, script.at);
            let sid = message.sid.clone();
            self.plan(
                side.workspace,
                script.at,
                Happening::Write(Box::new(message)),
            );
            if !side.is_incoming {
                self.plan_fate(side.workspace, &sid, script.at, script.fate);
            }
            sids.push(sid);
        }
        Ok(sids)
    }

    /// A message that a client sends, now.
    pub(super) fn send(
        &mut self,
        workspace: usize,
        number_sid: &str,
        to: &str,
        text: &str,
    ) -> Option<&Message> {
        let ours = self
            .workspaces
            .get(workspace)?
            .numbers
            .iter()
            .find(|number| number.sid == number_sid)?
            .e164
            .clone();
        let now = self.now;
        // If the other side is a number of the sandbox too, it receives the message.
        let sides = self.sides(&ours, to).ok()?;
        let mut sent = None;
        for side in sides {
            let message = self.new_message(&side, text, now);
            let sid = message.sid.clone();
            let place = side.workspace;
            self.write(place, message);
            if !side.is_incoming {
                self.plan_fate(place, &sid, now, Fate::Delivered);
                sent = Some((place, sid));
            }
        }
        let (place, sid) = sent?;
        self.workspaces.get(place)?.message(&sid)
    }

    fn plan_fate(&mut self, workspace: usize, sid: &str, at: Timestamp, fate: Fate) {
        let last = match fate {
            Fate::Delivered => "delivered",
            Fate::Undelivered => "undelivered",
            Fate::Failed => "failed",
        };
        for (seconds, status) in [(1, "sent"), (3, last)] {
            let sid = sid.to_owned();
            let what = Happening::Deliver { sid, status };
            self.plan(workspace, after(at, seconds), what);
        }
    }

    fn plan(&mut self, workspace: usize, at: Timestamp, what: Happening) {
        let number = self.next("step");
        self.timeline.insert((at, number), Step { workspace, what });
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let planned = self.timeline.first_key_value().map(|((at, _), _)| *at);
        let due = self.outbox.iter().map(|delivery| delivery.due_at).min();
        planned.into_iter().chain(due).min()
    }

    /// Lets everything up to and including `now` happen. The clock never goes back.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.timeline.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), step) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(at, step);
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, at: Timestamp, step: Step) {
        match step.what {
            Happening::Begin(call) => {
                if let Some(workspace) = self.workspaces.get_mut(step.workspace) {
                    workspace.touch(&call.number_sid, &call.other, &call.conversation_sid, at);
                    workspace
                        .call_places
                        .insert(call.sid.clone(), workspace.calls.len());
                    workspace.calls.push(*call);
                }
            }
            Happening::Change { sid, change } => self.change(step.workspace, &sid, change, at),
            Happening::Write(message) => self.write(step.workspace, *message),
            Happening::Deliver { sid, status } => {
                let Some(workspace) = self.workspaces.get_mut(step.workspace) else {
                    return;
                };
                let place = workspace.message_places.get(&sid);
                let Some(message) = place.and_then(|place| workspace.messages.get_mut(*place))
                else {
                    return;
                };
                message.status = status;
                message.updated_at = at;
                let kind = match status {
                    "delivered" => "message.delivered",
                    "undelivered" => "message.undelivered",
                    "failed" => "message.failed",
                    _ => return,
                };
                self.tell(step.workspace, kind, &sid, at);
            }
        }
    }

    fn change(&mut self, workspace: usize, sid: &str, change: Change, at: Timestamp) {
        let made = match &change {
            Change::LeaveVoicemail { .. } => self.id("VM"),
            Change::Record(_) => self.id("CR"),
            _ => String::new(),
        };
        let Some(place) = self.workspaces.get_mut(workspace) else {
            return;
        };
        if !place.has_transcripts && matches!(change, Change::Transcribe(_) | Change::Summarize(_))
        {
            return;
        }
        let call = place.call_places.get(sid).copied();
        let Some(call) = call.and_then(|call| place.calls.get_mut(call)) else {
            return;
        };
        if let Some(kind) = call.apply(change, made, at) {
            self.tell(workspace, kind, sid, at);
        }
    }

    fn write(&mut self, workspace: usize, message: Message) {
        let (sid, at) = (message.sid.clone(), message.created_at);
        let is_incoming = message.is_incoming;
        let Some(place) = self.workspaces.get_mut(workspace) else {
            return;
        };
        let other = if is_incoming {
            &message.from
        } else {
            &message.to
        };
        let (number, other) = (message.number_sid.clone(), other.clone());
        place.touch(&number, &other, &message.conversation_sid, at);
        place
            .message_places
            .insert(sid.clone(), place.messages.len());
        place.messages.push(message);
        if is_incoming {
            self.tell(workspace, "message.received", &sid, at);
        }
    }

    /// Queues a webhook for every hook that asked for such events of this number.
    fn tell(&mut self, workspace: usize, kind: &'static str, sid: &str, at: Timestamp) {
        let formats: Vec<(String, Format)> = self
            .workspaces
            .get(workspace)
            .map(|place| place.hooks_for(kind, sid))
            .unwrap_or_default();
        for (hook_sid, format) in formats {
            let event_sid = self.id("EV");
            let is_lost = take(&mut self.knobs.lose_webhook_next)
                || self.knobs.lose_kinds.iter().any(|lost| lost == kind);
            let Some(place) = self.workspaces.get(workspace) else {
                return;
            };
            let Some(body) = json::webhook(place, self, format, kind, &event_sid, sid, at) else {
                continue;
            };
            let number = self.next("msg");
            if is_lost {
                continue;
            }
            self.outbox.push(Delivery {
                workspace,
                hook_sid,
                sent_sid: format!(
                    "msg_{number:08}{:.16}",
                    hex::encode(self.digest(&event_sid))
                ),
                subject_sid: sid.to_owned(),
                body,
                due_at: after(at, self.knobs.delay_webhooks_seconds),
                attempts: 0,
            });
        }
    }

    /// The sides of a communication that are numbers of the sandbox; both, where two of them talk.
    fn sides(&self, from: &str, to: &str) -> Result<Vec<Side>, UnknownNumber> {
        let mut sides = Vec::new();
        for (ours, other, is_incoming) in [(from, to, false), (to, from, true)] {
            for (workspace, place) in self.workspaces.iter().enumerate() {
                let number = place.numbers.iter().find(|number| number.e164 == ours);
                sides.extend(number.map(|number| Side {
                    workspace,
                    number_sid: number.sid.clone(),
                    ours: ours.to_owned(),
                    other: other.to_owned(),
                    is_incoming,
                    owner: place.owner(),
                }));
            }
        }
        if sides.is_empty() {
            return Err(UnknownNumber {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        Ok(sides)
    }

    fn new_call(&mut self, side: &Side, user: Option<String>, at: Timestamp) -> Call {
        Call {
            sid: self.id("AC"),
            conversation_sid: self.conversation_sid(side),
            number_sid: side.number_sid.clone(),
            ours: side.ours.clone(),
            other: side.other.clone(),
            is_incoming: side.is_incoming,
            user_sid: user.unwrap_or_else(|| side.owner.clone()),
            created_at: at,
            answered_at: None,
            answered_by: None,
            completed_at: None,
            updated_at: at,
            status: "ringing",
            forwarded_to: None,
            voicemail: None,
            recordings: Vec::new(),
            transcript: None,
            summary: None,
        }
    }

    fn new_message(&mut self, side: &Side, text: &str, at: Timestamp) -> Message {
        let (from, to) = if side.is_incoming {
            (&side.other, &side.ours)
        } else {
            (&side.ours, &side.other)
        };
        Message {
            // Calls and messages share the prefix, as at the provider.
            sid: self.id("AC"),
            conversation_sid: self.conversation_sid(side),
            number_sid: side.number_sid.clone(),
            from: from.clone(),
            to: to.clone(),
            is_incoming: side.is_incoming,
            text: text.to_owned(),
            status: if side.is_incoming {
                "received"
            } else {
                "queued"
            },
            user_sid: side.owner.clone(),
            created_at: at,
            updated_at: at,
        }
    }

    fn conversation_sid(&self, side: &Side) -> String {
        let digest = self.digest(&format!("{}:{}", side.number_sid, side.other));
        format!("CN{:.32}", hex::encode(digest))
    }
}
