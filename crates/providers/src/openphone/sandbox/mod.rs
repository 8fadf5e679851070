//! A stand-in for the provider: its own paths, its own signatures, and the ways in which it fails.
//!
//! The state lives in memory. Times come from the caller alone: calls are planned with [`Sandbox::play`], and
//! [`Sandbox::drain`] or [`Sandbox::deliver_due`] move the sandbox's clock, let what is due happen, and deliver the
//! webhooks by real HTTP. So a test decides when everything happens, and a demonstration runs at any speed.

mod deliver;
mod http;
mod json;
mod media;
mod records;
mod rest_2026;
mod rest_v1;
mod script;
mod state;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use tollbook_core::phone::E164;

pub use script::{Ending, Fate, Line, ScriptedCall, ScriptedMessage};
use state::State;

pub use crate::sandbox::{Drained, ErrorShape, Knobs};

use crate::{Error, Http, Secret, Timeouts};

/// How a sandbox behaves; its knobs are apart, since they change while it runs.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Gives the ids: the same seed and the same script give the same bytes.
    pub seed: u64,
    /// The clock at first.
    pub start: Timestamp,
    /// Where the sandbox is reached, without a slash at the end; recordings are linked there.
    pub base_url: String,
    /// The provider's limit per key; beyond it the answer is 429.
    pub requests_per_second: NonZeroU32,
    /// How many webhooks are delivered at the same time. Those of one call always follow each other.
    pub lanes: usize,
    /// By how much the waits between attempts to deliver are divided.
    pub speed: NonZeroU32,
    /// How long links to recordings and voicemails work.
    pub link_ttl: SignedDuration,
}

/// A workspace to be set up.
#[derive(Debug, Clone)]
pub struct WorkspaceSeed {
    /// Its name.
    pub name: String,
    /// The key that opens it.
    pub api_key: Secret,
    /// Its users; the first owns it.
    pub users: Vec<UserSeed>,
    /// Its numbers.
    pub numbers: Vec<NumberSeed>,
    /// Whether its plan has transcripts and summaries.
    pub has_transcripts: bool,
}

/// A user to be set up.
#[derive(Debug, Clone)]
pub struct UserSeed {
    /// The address they sign in with.
    pub email: String,
    /// Their first name.
    pub first_name: String,
    /// Their last name.
    pub last_name: String,
}

/// A number to be set up, shared by all users of the workspace.
#[derive(Debug, Clone)]
pub struct NumberSeed {
    /// The number.
    pub number: E164,
    /// The name given to it.
    pub name: String,
}

/// The ids of a workspace that was set up, in the order of its seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededWorkspace {
    /// `OR…`
    pub sid: String,
    /// `US…`
    pub user_sids: Vec<String>,
    /// `PN…`
    pub number_sids: Vec<String>,
}

/// Neither side of a call or message is a number of any workspace.
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
    options: SandboxOptions,
    /// Held while webhooks are delivered, so that two deliverers keep the order.
    delivering: tokio::sync::Mutex<()>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            start: Timestamp::UNIX_EPOCH,
            base_url: "http://127.0.0.1".to_owned(),
            requests_per_second: NonZeroU32::MIN.saturating_add(9),
            lanes: 1,
            speed: NonZeroU32::MIN,
            link_ttl: SignedDuration::from_hours(1),
        }
    }
}

impl Sandbox {
    /// An empty sandbox. `Unavailable` if the HTTP client cannot be set up.
    pub fn new(options: SandboxOptions) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(&options)),
                http: Http::new(Timeouts::default())?,
                options,
                delivering: tokio::sync::Mutex::new(()),
            }),
        })
    }

    /// The provider's paths, and `/_sandbox/knobs`. To be mounted where `base_url` says.
    pub fn router(&self) -> Router {
        http::router(self)
    }

    /// Sets up a workspace.
    pub fn add_workspace(&self, seed: &WorkspaceSeed) -> SeededWorkspace {
        let limit = self.shared.options.requests_per_second;
        self.state().add_workspace(seed, limit)
    }

    /// Plans a call. Nothing happens before the clock reaches it. The ids of its records: one for each side that is a
    /// number of the sandbox.
    pub fn play(&self, call: &ScriptedCall) -> Result<Vec<String>, UnknownNumber> {
        self.state().plan_call(call)
    }

    /// Plans a message; its ids as for a call.
    pub fn play_message(&self, message: &ScriptedMessage) -> Result<Vec<String>, UnknownNumber> {
        self.state().plan_message(message)
    }

    /// Lets a phone ring at `at`, with no end planned: see [`Sandbox::answer_call`] and [`Sandbox::end_call`].
    pub fn start_call(
        &self,
        from: &str,
        to: &str,
        at: Timestamp,
    ) -> Result<Vec<String>, UnknownNumber> {
        self.state().start_call(from, to, at)
    }

    /// A user picks up the call of that id at `at`; the owner of the workspace without one.
    pub fn answer_call(&self, sid: &str, user_sid: Option<&str>, at: Timestamp) {
        self.state().answer_call(sid, user_sid, at);
    }

    /// The call of that id ends at `at`.
    pub fn end_call(&self, sid: &str, at: Timestamp) {
        self.state().end_call(sid, at);
    }

    /// Delivers webhooks of the format of hooks made in the provider's app long ago (version 3, legacy signature) to
    /// `url`. The signing secret.
    pub fn add_app_hook(&self, workspace_sid: &str, url: &str) -> Option<Secret> {
        self.state().add_app_hook(workspace_sid, url)
    }

    /// The fault knobs as they are.
    pub fn knobs(&self) -> Knobs {
        self.state().knobs.clone()
    }

    /// Sets the fault knobs.
    pub fn set_knobs(&self, knobs: Knobs) {
        self.state().knobs = knobs;
    }

    /// When the next planned thing happens or the next webhook is due: how long a player may sleep.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.state().next_at()
    }

    /// How many webhooks wait to be delivered, retries included.
    pub fn pending(&self) -> usize {
        self.state().outbox.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while holding it has left plain data behind.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
