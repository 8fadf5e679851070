//! A stand-in for the provider: its own paths, its own signatures, legs, prices that come later, and faults.
//!
//! As with every sandbox here, the state lives in memory and the times come from the caller alone. It does not execute
//! the instructions (`TwiML`) that a voice address answers with: what becomes of a call is scripted, and the callbacks
//! that such instructions would name are named when the account is set up.

mod flow;
mod json;
mod post;
mod records;
mod rest;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use jiff::Timestamp;
use tollbook_core::phone::E164;

pub use flow::{Ending, Fate, ScriptedCall, ScriptedMessage};
use state::State;

pub use crate::sandbox::{Drained, Knobs};
use crate::{Error, Http, Secret, Timeouts};

/// How a sandbox behaves; its knobs are apart, since they change while it runs.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Gives the ids: the same seed and the same script give the same bytes.
    pub seed: u64,
    /// The clock at first.
    pub start: Timestamp,
    /// So long after its end, a call or message gets its price.
    pub price_after_seconds: u32,
    /// Numbers that can be bought.
    pub pool: Vec<E164>,
    /// The sandbox's own address, for links to recordings.
    pub base_url: String,
}

/// An account to be set up.
#[derive(Debug, Clone)]
pub struct AccountSeed {
    /// Its name.
    pub name: String,
    /// The token that opens it and signs its webhooks.
    pub auth_token: Secret,
    /// Its numbers.
    pub numbers: Vec<E164>,
    /// Where its webhooks go, on all of its numbers.
    pub hooks: FlowHooks,
}

/// Where webhooks go. An empty address gets none.
#[derive(Debug, Clone, Default)]
pub struct FlowHooks {
    /// Somebody calls.
    pub voice_url: String,
    /// The call itself is over.
    pub status_url: String,
    /// How far the dialled legs and the calls that we ask for are.
    pub leg_status_url: String,
    /// What became of the dialled leg.
    pub dial_action_url: String,
    /// A recording is done.
    pub recording_status_url: String,
    /// A message comes in.
    pub sms_url: String,
    /// How far a message of ours is.
    pub sms_status_url: String,
}

/// The ids of an account that was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededAccount {
    /// `AC…`
    pub sid: String,
    /// `PN…`, in the order of the seed.
    pub number_sids: Vec<String>,
}

/// Neither side of a call or message is a number of any account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither `{from}` nor `{to}` is a number of the sandbox")]
pub struct UnknownNumber {
    /// Who called or wrote.
    pub from: String,
    /// To whom.
    pub to: String,
}

/// The sandbox. Clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    http: Http,
    /// Held while webhooks are delivered, so that two deliverers keep the order.
    delivering: tokio::sync::Mutex<()>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            start: Timestamp::UNIX_EPOCH,
            price_after_seconds: 120,
            pool: Vec::new(),
            base_url: "https://api.twilio.com".to_owned(),
        }
    }
}

impl Sandbox {
    /// An empty sandbox. `Unavailable` if the HTTP client cannot be set up.
    pub fn new(options: &SandboxOptions) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(options)),
                http: Http::new(Timeouts::default())?,
                delivering: tokio::sync::Mutex::new(()),
            }),
        })
    }

    /// The provider's paths, and `/_sandbox/twilio/knobs`.
    pub fn router(&self) -> Router {
        rest::router(self)
    }

    /// Sets up an account.
    pub fn add_account(&self, seed: &AccountSeed) -> SeededAccount {
        self.state().add_account(seed)
    }

    /// Sends the webhooks of an account elsewhere, those of its numbers included.
    pub fn set_hooks(&self, account_sid: &str, hooks: &FlowHooks) {
        self.state().set_hooks(account_sid, hooks);
    }

    /// Everybody in the call of that id, the id of its first leg, hangs up at `at`.
    pub fn end_call(&self, sid: &str, at: Timestamp) {
        self.state().end_call(sid, at);
    }

    /// Plans a call. Nothing happens before the clock reaches it. The id of its first leg.
    pub fn play(&self, call: &ScriptedCall) -> Result<String, UnknownNumber> {
        self.state().plan_call(call)
    }

    /// Plans a message. Its id.
    pub fn play_message(&self, message: &ScriptedMessage) -> Result<String, UnknownNumber> {
        self.state().plan_message(message)
    }

    /// What becomes of the next call that a client asks for; without one it is answered after 5 seconds, for 30.
    pub fn expect_dial(&self, ending: Ending, ring_seconds: u32, talk_seconds: u32) {
        let expected = flow::Expected {
            ending,
            ring_seconds,
            talk_seconds,
        };
        self.state().expected.push_back(expected);
    }

    /// The fault knobs as they are.
    pub fn knobs(&self) -> Knobs {
        self.state().knobs.clone()
    }

    /// Sets the fault knobs.
    pub fn set_knobs(&self, knobs: Knobs) {
        self.state().knobs = knobs;
    }

    /// When the next planned thing happens or the next webhook is due.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.state().next_at()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while holding it has left plain data behind.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
