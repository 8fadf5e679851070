//! The sandbox's memory: accounts with their records, what is planned, and what is to be posted.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tollbook_core::time::Seconds;

use super::flow::{self, Change, Expected, Fate, Leg, ScriptedCall, ScriptedMessage, after};
use super::post::{self, Post};
use super::records::{Account, Call, Message, Number, Recording};
use super::{AccountSeed, SandboxOptions, SeededAccount, UnknownNumber};
use crate::sandbox::{Knobs, take};

/// Everything, behind one lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) now: Timestamp,
    pub(super) knobs: Knobs,
    pub(super) accounts: Vec<Account>,
    pub(super) pool: Vec<String>,
    pub(super) outbox: Vec<Post>,
    pub(super) expected: VecDeque<Expected>,
    pub(super) price_after: u32,
    base_url: String,
    seed: u64,
    counters: BTreeMap<&'static str, u64>,
    /// Ordered by time, then by when it was planned.
    timeline: BTreeMap<(Timestamp, u64), Step>,
}

#[derive(Debug)]
struct Step {
    account: usize,
    what: Happening,
}

#[derive(Debug)]
enum Happening {
    Begin(Box<Call>),
    Change { sid: String, change: Change },
    Write(Box<Message>),
    Deliver { sid: String, status: &'static str },
    PriceMessage { sid: String },
}

/// What a leg or message is made of.
struct Sides<'a> {
    from: &'a str,
    to: &'a str,
    direction: &'static str,
    status_url: String,
}

impl State {
    pub(super) fn new(options: &SandboxOptions) -> Self {
        Self {
            now: options.start,
            knobs: Knobs::default(),
            accounts: Vec::new(),
            pool: options.pool.iter().map(ToString::to_string).collect(),
            outbox: Vec::new(),
            expected: VecDeque::new(),
            price_after: options.price_after_seconds,
            base_url: options.base_url.clone(),
            seed: options.seed,
            counters: BTreeMap::new(),
            timeline: BTreeMap::new(),
        }
    }

    /// A new id: digits that look random, and are the same for the same seed and order.
    pub(super) fn id(&mut self, prefix: &'static str) -> String {
        let number = self.next(prefix);
        let digest = Sha256::digest(format!("{}:{prefix}{number}", self.seed));
        format!("{prefix}{:.32}", hex::encode(digest))
    }

    pub(super) fn next(&mut self, of: &'static str) -> u64 {
        let counter = self.counters.entry(of).or_default();
        *counter += 1;
        *counter
    }

    pub(super) fn add_account(&mut self, seed: &AccountSeed) -> SeededAccount {
        let sid = self.id("AC");
        let mut numbers = Vec::new();
        for number in &seed.numbers {
            numbers.push(Number {
                sid: self.id("PN"),
                e164: number.to_string(),
                name: number.to_string(),
                voice_url: seed.hooks.voice_url.clone(),
                status_url: seed.hooks.status_url.clone(),
                sms_url: seed.hooks.sms_url.clone(),
                created_at: self.now,
            });
        }
        let seeded = SeededAccount {
            sid: sid.clone(),
            number_sids: numbers.iter().map(|number| number.sid.clone()).collect(),
        };
        self.accounts.push(Account {
            sid,
            name: seed.name.clone(),
            auth_token: seed.auth_token.clone(),
            hooks: seed.hooks.clone(),
            numbers,
            calls: Vec::new(),
            recordings: Vec::new(),
            messages: Vec::new(),
            created_at: self.now,
        });
        seeded
    }

    pub(super) fn set_hooks(&mut self, account_sid: &str, hooks: &super::FlowHooks) {
        let mut accounts = self.accounts.iter_mut();
        if let Some(account) = accounts.find(|account| account.sid == account_sid) {
            account.hooks = hooks.clone();
            for number in &mut account.numbers {
                number.voice_url.clone_from(&hooks.voice_url);
                number.status_url.clone_from(&hooks.status_url);
                number.sms_url.clone_from(&hooks.sms_url);
            }
        }
    }

    /// The dialled leg ends before the call that dialled it. What is planned for either later does not happen.
    pub(super) fn end_call(&mut self, sid: &str, at: Timestamp) {
        let Some(place) = self.accounts.iter().position(|it| it.call(sid).is_some()) else {
            return;
        };
        self.timeline.retain(|_, step| match &step.what {
            Happening::Change { sid: of, change } => of != sid || matches!(change, Change::Price),
            _ => true,
        });
        let Some(account) = self.accounts.get_mut(place) else {
            return;
        };
        let legs = account.calls.iter();
        let children = legs.filter(|leg| leg.parent_sid.as_deref() == Some(sid));
        let sids: Vec<String> = children
            .map(|leg| leg.sid.clone())
            .chain([sid.to_owned()])
            .collect();
        let mut posts = Vec::new();
        for sid in &sids {
            let Some(leg) = account.call_mut(sid).filter(|leg| leg.ended_at.is_none()) else {
                continue;
            };
            let is_talk = leg.started_at.is_some();
            set_status(leg, if is_talk { "completed" } else { "canceled" }, at);
            posts.extend(post::call_status(place, account, sid, at));
        }
        if sids.len() > 1 {
            posts.extend(post::dial_done(place, account, sid));
        }
        for post in posts {
            self.queue(post, at);
        }
    }

    pub(super) fn plan_call(&mut self, script: &ScriptedCall) -> Result<String, UnknownNumber> {
        if let Some(account) = self.holder(&script.to) {
            let first = self.leg(
                account,
                script.at,
                sides(script, "inbound", String::new()),
                None,
            );
            let url = self.hook(account, |hooks| &hooks.leg_status_url);
            let dialled = Sides {
                from: &script.from,
                to: &script.agent,
                direction: "outbound-dial",
                status_url: url,
            };
            let dialled = self.leg(account, script.at, dialled, Some(first.clone()));
            let plan = flow::incoming(script, self.price_after);
            self.plan_legs(account, plan, &first, &dialled);
            return Ok(first);
        }
        let account = self.holder(&script.from).ok_or_else(|| UnknownNumber {
            from: script.from.clone(),
            to: script.to.clone(),
        })?;
        let expected = Expected {
            ending: script.ending,
            ring_seconds: script.ring_seconds,
            talk_seconds: script.talk_seconds,
        };
        let url = self.hook(account, |hooks| &hooks.leg_status_url);
        let first = self.leg(account, script.at, sides(script, "outbound-api", url), None);
        let plan = flow::outgoing(script.at, expected, self.price_after);
        self.plan_legs(account, plan, &first, "");
        Ok(first)
    }

    /// A call that a client asks for, now.
    pub(super) fn dial(
        &mut self,
        account: usize,
        from: &str,
        to: &str,
        status_url: &str,
    ) -> String {
        let now = self.now;
        let expected = self.expected.pop_front().unwrap_or_default();
        let sides = Sides {
            from,
            to,
            direction: "outbound-api",
            status_url: status_url.to_owned(),
        };
        let call = self.new_leg(account, now, sides, None);
        let sid = call.sid.clone();
        if let Some(place) = self.accounts.get_mut(account) {
            place.calls.push(call);
        }
        let plan = flow::outgoing(now, expected, self.price_after);
        self.plan_legs(account, plan, &sid, "");
        sid
    }

    pub(super) fn plan_message(
        &mut self,
        script: &ScriptedMessage,
    ) -> Result<String, UnknownNumber> {
        let (account, direction) = match (self.holder(&script.to), self.holder(&script.from)) {
            (Some(account), _) => (account, "inbound"),
            (None, Some(account)) => (account, "outbound-api"),
            (None, None) => {
                return Err(UnknownNumber {
                    from: script.from.clone(),
                    to: script.to.clone(),
                });
            }
        };
        let url = self.hook(account, |hooks| &hooks.sms_status_url);
        let sides = Sides {
            from: &script.from,
            to: &script.to,
            direction,
            status_url: url,
        };
        let message = self.new_message(sides, &script.text, script.at);
        let sid = message.sid.clone();
        self.plan(account, script.at, Happening::Write(Box::new(message)));
        if direction == "outbound-api" {
            self.plan_fate(account, &sid, script.at, script.fate);
        } else {
            let priced = Happening::PriceMessage { sid: sid.clone() };
            self.plan(account, after(script.at, self.price_after), priced);
        }
        Ok(sid)
    }

    /// A message that a client sends, now.
    pub(super) fn send(&mut self, account: usize, from: &str, to: &str, body: &str) -> Message {
        let now = self.now;
        let status_url = self.hook(account, |hooks| &hooks.sms_status_url);
        let sides = Sides {
            from,
            to,
            direction: "outbound-api",
            status_url,
        };
        let message = self.new_message(sides, body, now);
        if let Some(place) = self.accounts.get_mut(account) {
            place.messages.push(message.clone());
        }
        self.plan_fate(account, &message.sid, now, Fate::Delivered);
        message
    }

    fn plan_fate(&mut self, account: usize, sid: &str, at: Timestamp, fate: Fate) {
        let last = match fate {
            Fate::Delivered => "delivered",
            Fate::Undelivered => "undelivered",
            Fate::Failed => "failed",
        };
        for (seconds, status) in [(1, "sent"), (3, last)] {
            let sid = sid.to_owned();
            self.plan(
                account,
                after(at, seconds),
                Happening::Deliver { sid, status },
            );
        }
        let sid = sid.to_owned();
        let at = after(at, self.price_after.saturating_add(3));
        self.plan(account, at, Happening::PriceMessage { sid });
    }

    fn leg(
        &mut self,
        account: usize,
        at: Timestamp,
        sides: Sides<'_>,
        parent: Option<String>,
    ) -> String {
        let call = self.new_leg(account, at, sides, parent);
        let sid = call.sid.clone();
        self.plan(account, at, Happening::Begin(Box::new(call)));
        sid
    }

    fn new_leg(
        &mut self,
        account: usize,
        at: Timestamp,
        sides: Sides<'_>,
        parent_sid: Option<String>,
    ) -> Call {
        let ours = if sides.direction == "inbound" {
            sides.to
        } else {
            sides.from
        };
        let numbers = self.accounts.get(account).map(|account| &account.numbers);
        let mut numbers = numbers.into_iter().flatten();
        let number_sid = numbers
            .find(|number| number.e164 == ours)
            .map(|number| number.sid.clone());
        Call {
            sid: self.id("CA"),
            number_sid: number_sid.filter(|_| parent_sid.is_none()),
            parent_sid,
            from: sides.from.to_owned(),
            to: sides.to.to_owned(),
            direction: sides.direction,
            status: if sides.direction == "inbound" {
                "ringing"
            } else {
                "queued"
            },
            created_at: at,
            started_at: None,
            ended_at: None,
            seconds: None,
            updated_at: at,
            is_priced: false,
            status_url: sides.status_url,
            sequence: 0,
        }
    }

    fn new_message(&mut self, sides: Sides<'_>, body: &str, at: Timestamp) -> Message {
        let is_incoming = sides.direction == "inbound";
        Message {
            sid: self.id("SM"),
            from: sides.from.to_owned(),
            to: sides.to.to_owned(),
            body: body.to_owned(),
            direction: sides.direction,
            status: if is_incoming { "received" } else { "queued" },
            created_at: at,
            sent_at: is_incoming.then_some(at),
            updated_at: at,
            status_url: sides.status_url,
            is_priced: false,
        }
    }

    fn plan_legs(&mut self, account: usize, plan: flow::Plan, first: &str, dialled: &str) {
        for (at, leg, change) in plan {
            let sid = match leg {
                Leg::First => first.to_owned(),
                Leg::Dialled => dialled.to_owned(),
            };
            self.plan(account, at, Happening::Change { sid, change });
        }
    }

    fn plan(&mut self, account: usize, at: Timestamp, what: Happening) {
        let number = self.next("step");
        self.timeline.insert((at, number), Step { account, what });
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let planned = self.timeline.first_key_value().map(|((at, _), _)| *at);
        let due = self.outbox.iter().map(|post| post.due_at).min();
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
            let posts = self.happen(at, step);
            for post in posts.into_iter().flatten() {
                self.queue(post, at);
            }
        }
        self.now = self.now.max(now);
    }

    fn queue(&mut self, mut post: Post, at: Timestamp) {
        let is_lost = take(&mut self.knobs.lose_webhook_next)
            || self.knobs.lose_kinds.iter().any(|kind| *kind == post.kind);
        if !is_lost && !post.url.is_empty() {
            post.due_at = after(at, self.knobs.delay_webhooks_seconds);
            self.outbox.push(post);
        }
    }

    fn happen(&mut self, at: Timestamp, step: Step) -> Vec<Option<Post>> {
        let recording_sid = match &step.what {
            Happening::Change {
                change: Change::Recorded { .. },
                ..
            } => self.id("RE"),
            _ => String::new(),
        };
        let place = step.account;
        let Some(account) = self.accounts.get_mut(place) else {
            return Vec::new();
        };
        match step.what {
            Happening::Begin(call) => {
                account.calls.push(*call);
                Vec::new()
            }
            Happening::Change { sid, change } => {
                let made = (recording_sid, self.base_url.as_str());
                vec![change_leg(place, account, &sid, change, at, made)]
            }
            Happening::Write(message) => {
                let post = post::message_came(place, account, &message);
                account.messages.push(*message);
                vec![post]
            }
            Happening::Deliver { sid, status } => {
                if let Some(message) = account.message_mut(&sid) {
                    message.status = status;
                    message.updated_at = at;
                    message.sent_at = message.sent_at.or(Some(at));
                }
                vec![post::message_status(place, account, &sid)]
            }
            Happening::PriceMessage { sid } => {
                if let Some(message) = account.message_mut(&sid) {
                    message.is_priced = true;
                    message.updated_at = at;
                }
                Vec::new()
            }
        }
    }

    /// The account that holds a number.
    pub(super) fn holder(&self, number: &str) -> Option<usize> {
        self.accounts
            .iter()
            .position(|account| account.numbers.iter().any(|held| held.e164 == number))
    }

    fn hook(&self, account: usize, url: fn(&super::FlowHooks) -> &String) -> String {
        let account = self.accounts.get(account);
        account
            .map(|account| url(&account.hooks).clone())
            .unwrap_or_default()
    }
}

fn sides<'a>(script: &'a ScriptedCall, direction: &'static str, status_url: String) -> Sides<'a> {
    Sides {
        from: &script.from,
        to: &script.to,
        direction,
        status_url,
    }
}

/// Changes a leg, and makes the webhook that tells of it, if there is one.
fn change_leg(
    place: usize,
    account: &mut Account,
    sid: &str,
    change: Change,
    at: Timestamp,
    (recording_sid, base_url): (String, &str),
) -> Option<Post> {
    let call = account.call_mut(sid)?;
    if call.ended_at.is_some() && matches!(change, Change::Status(_) | Change::PickUp) {
        // It was hung up before.
        return None;
    }
    match change {
        Change::AskVoice => return post::voice(place, account, sid),
        Change::PickUp => {
            call.status = "in-progress";
            call.started_at = Some(at);
            call.updated_at = at;
        }
        Change::Status(status) => {
            set_status(call, status, at);
            return post::call_status(place, account, sid, at);
        }
        Change::DialDone => return post::dial_done(place, account, sid),
        Change::Price => {
            call.is_priced = true;
            call.updated_at = at;
            for recording in &mut account.recordings {
                recording.is_priced |= recording.call_sid == sid;
            }
        }
        Change::Recorded {
            since,
            seconds,
            source,
        } => {
            let recording = Recording {
                sid: recording_sid,
                call_sid: sid.to_owned(),
                source,
                started_at: since,
                seconds,
                is_priced: false,
            };
            let post = post::recorded(place, account, &recording, base_url);
            account.recordings.push(recording);
            return Some(post);
        }
    }
    None
}

pub(super) fn set_status(call: &mut Call, status: &'static str, at: Timestamp) {
    call.status = status;
    call.updated_at = at;
    match status {
        "in-progress" => call.started_at = call.started_at.or(Some(at)),
        "completed" | "busy" | "no-answer" | "failed" | "canceled" => {
            call.ended_at = Some(at);
            let talked = call
                .started_at
                .map(|start| Seconds::between(start, at).get());
            call.seconds = Some(talked.unwrap_or(0));
        }
        _ => {}
    }
}
