//! A sandbox with one workspace, and a receiver of webhooks, each on a port of its own.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tollbook_core::calls::ProviderEvent;
use tollbook_providers::openphone::sandbox::{
    NumberSeed, Sandbox, SandboxOptions, SeededWorkspace, UserSeed, WorkspaceSeed,
};
use tollbook_providers::openphone::{self, Client, SignatureError, Surface, Verified};
use tollbook_providers::{Budget, Http, Secret, Timeouts};

/// The workspace's numbers, and someone outside.
pub(crate) const SALES: &str = "+12025550100";
pub(crate) const SUPPORT: &str = "+12025550101";
pub(crate) const CALLER: &str = "+12025550123";
pub(crate) const KEY: &str = "key-of-the-workspace";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) url: String,
    pub(crate) workspace: SeededWorkspace,
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The minute in which tests begin.
pub(crate) fn start() -> Timestamp {
    at("2026-01-06T15:00:00Z")
}

pub(crate) fn later(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

pub(crate) fn http() -> Http {
    Http::new(Timeouts::default()).unwrap()
}

/// Requests are not slowed down where the budget is not what a test is about.
pub(crate) fn fast() -> NonZeroU32 {
    NonZeroU32::new(100_000).unwrap()
}

pub(crate) fn options() -> SandboxOptions {
    SandboxOptions {
        seed: 7,
        start: start(),
        requests_per_second: fast(),
        ..SandboxOptions::default()
    }
}

pub(crate) fn workspace() -> WorkspaceSeed {
    let user = |first_name: &str| UserSeed {
        email: format!("{}@example.test", first_name.to_lowercase()),
        first_name: first_name.to_owned(),
        last_name: "Example".to_owned(),
    };
    let number = |number: &str, name: &str| NumberSeed {
        number: number.parse().unwrap(),
        name: name.to_owned(),
    };
    WorkspaceSeed {
        name: "Example Support".to_owned(),
        api_key: Secret::new(KEY),
        users: vec![user("Ada"), user("Ben")],
        numbers: vec![number(SALES, "Sales"), number(SUPPORT, "Support")],
        has_transcripts: true,
    }
}

pub(crate) async fn world() -> World {
    world_with(options(), &workspace()).await
}

pub(crate) async fn world_with(mut options: SandboxOptions, seed: &WorkspaceSeed) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    options.base_url.clone_from(&url);
    let sandbox = Sandbox::new(options).unwrap();
    let workspace = sandbox.add_workspace(seed);
    serve(listener, sandbox.router());
    World {
        sandbox,
        url,
        workspace,
    }
}

pub(crate) fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await });
}

impl World {
    pub(crate) fn client(&self) -> Client {
        self.client_with_key(KEY)
    }

    pub(crate) fn client_with_key(&self, key: &str) -> Client {
        let client = Client::new(&http(), &self.url, Secret::new(key)).unwrap();
        client.with_budget(Budget::per_second(fast()))
    }

    /// A receiver told of everything through one interface.
    pub(crate) async fn receiver(&self, surface: Surface) -> Receiver {
        let mut receiver = Receiver::start().await;
        let created = self
            .client()
            .create_webhooks(surface, &receiver.url, "test")
            .await
            .unwrap();
        receiver.secrets = created.into_iter().map(|one| one.secret).collect();
        receiver
    }

    /// A receiver told in the words of hooks made in the provider's app.
    pub(crate) async fn app_receiver(&self) -> Receiver {
        let mut receiver = Receiver::start().await;
        let secret = self
            .sandbox
            .add_app_hook(&self.workspace.sid, &receiver.url);
        receiver.secrets = vec![secret.unwrap()];
        receiver
    }
}

/// What was received, in order.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Default)]
struct Inner {
    received: Vec<Received>,
    answers: VecDeque<u16>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) secrets: Vec<Secret>,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let shared = Arc::clone(&inner);
        let handler = move |headers: HeaderMap, body: Bytes| async move {
            let mut inner = shared.lock().unwrap();
            inner.received.push(Received { headers, body });
            let status = inner.answers.pop_front().unwrap_or(204);
            StatusCode::from_u16(status).unwrap()
        };
        serve(listener, Router::new().route("/hook", post(handler)));
        Self {
            url,
            secrets: Vec::new(),
            inner,
        }
    }

    /// The statuses of the next answers; 204 after them.
    pub(crate) fn answer_with(&self, statuses: &[u16]) {
        self.inner.lock().unwrap().answers.extend(statuses);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.inner.lock().unwrap().received.clone()
    }

    pub(crate) fn verify(
        &self,
        one: &Received,
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        openphone::verify(&one.headers, &one.body, &self.secrets, now)
    }

    /// The facts of everything received, each signature checked.
    pub(crate) fn events(&self, now: Timestamp) -> Vec<ProviderEvent> {
        let read = |one: Received| {
            self.verify(&one, now).unwrap();
            openphone::parse(&one.body).unwrap()
        };
        self.received().into_iter().flat_map(read).collect()
    }

    /// The kinds of what was received.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let kind = |one: Received| {
            let body: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
            body["type"].as_str().unwrap().to_owned()
        };
        self.received().into_iter().map(kind).collect()
    }
}
