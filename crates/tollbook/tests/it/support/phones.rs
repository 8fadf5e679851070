//! The phone provider's stand-in, served over HTTP. Its webhooks go straight to an application, or are caught for a test
//! that delivers them itself: later, twice, in another order.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tollbook::sandbox::{Provider, connect_workspace};
use tollbook_core::ids::IntegrationId;
use tollbook_providers::openphone::Surface;
use tollbook_providers::openphone::sandbox::{
    NumberSeed, Sandbox, SandboxOptions, SeededWorkspace, UserSeed, WorkspaceSeed,
};
use tollbook_providers::{Http, Secret, Timeouts};
use uuid::Uuid;

use super::app::TestApp;
use super::people::Organization;

/// Requests that a test has under way at a time.
const POSTS_AT_ONCE: usize = 16;

/// The stand-in, and where it is reached.
pub(crate) struct Phones {
    pub(crate) sandbox: Sandbox,
    url: String,
    catcher_url: String,
    caught: Caught,
}

/// A webhook on its way.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    /// With the integration's id at its end.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

type Caught = Arc<Mutex<Vec<Posted>>>;

impl Posted {
    /// The kind of event.
    pub(crate) fn kind(&self) -> String {
        self.field(&["type"])
    }

    /// The provider's id of the call or message.
    pub(crate) fn subject(&self) -> String {
        let candidates = [
            ["data", "resource", "callId"],
            ["data", "object", "callId"],
            ["data", "resource", "id"],
            ["data", "object", "id"],
        ];
        let mut found = candidates.iter().map(|path| self.field(path));
        found.find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn field(&self, path: &[&str]) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let value = path.iter().fold(&body, |value, name| &value[*name]);
        value.as_str().unwrap_or_default().to_owned()
    }
}

impl Phones {
    /// Serves a stand-in whose clock starts when the application's does.
    pub(crate) async fn start(app: &TestApp) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sandbox = Sandbox::new(SandboxOptions {
            seed: 7,
            start: app.now() - jiff::SignedDuration::from_hours(6),
            base_url: url.clone(),
            requests_per_second: NonZeroU32::new(1_000_000).unwrap(),
            lanes: 4,
            ..SandboxOptions::default()
        })
        .unwrap();
        serve(listener, sandbox.router());
        let caught = Caught::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let catcher_url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(catch)
            .with_state(Arc::clone(&caught));
        serve(listener, router);
        Self {
            sandbox,
            url,
            catcher_url,
            caught,
        }
    }

    /// A workspace with two users and these numbers, opened by the key `key`.
    pub(crate) fn workspace(&self, key: &str, numbers: &[&str]) -> SeededWorkspace {
        self.sandbox.add_workspace(&WorkspaceSeed {
            name: key.to_owned(),
            api_key: Secret::new(key.to_owned()),
            users: ["Ann", "Bob"]
                .map(|name| UserSeed {
                    email: format!("{name}@{key}.example"),
                    first_name: name.to_owned(),
                    last_name: "Test".to_owned(),
                })
                .into(),
            numbers: numbers
                .iter()
                .map(|number| NumberSeed {
                    number: number.parse().unwrap(),
                    name: "Line".to_owned(),
                })
                .collect(),
            has_transcripts: true,
        })
    }

    /// Connects a workspace to an organization; its webhooks are caught.
    pub(crate) async fn connect(
        &self,
        app: &TestApp,
        organization: &Organization,
        key: &str,
        surface: Surface,
    ) -> IntegrationId {
        self.connect_to(&self.catcher_url, app, organization, key, surface)
            .await
    }

    /// Connects a workspace to an organization; its webhooks go to the application.
    pub(crate) async fn connect_straight(
        &self,
        app: &TestApp,
        organization: &Organization,
        key: &str,
        surface: Surface,
    ) -> IntegrationId {
        self.connect_to(&app.base, app, organization, key, surface)
            .await
    }

    async fn connect_to(
        &self,
        our_url: &str,
        app: &TestApp,
        organization: &Organization,
        key: &str,
        surface: Surface,
    ) -> IntegrationId {
        let provider = Provider {
            sandbox: self.sandbox.clone(),
            url: self.url.clone(),
            our_url: our_url.to_owned(),
            http: Http::new(Timeouts::default()).unwrap(),
        };
        let id = organization.id;
        connect_workspace(&app.app, &provider, id, key, key, surface)
            .await
            .unwrap()
    }

    /// Lets time pass, at the provider's and at the application: what is told is told in its time, and taken in before
    /// more time passes.
    pub(crate) async fn pass(&self, app: &TestApp, minutes: u32) {
        for _ in 0..minutes {
            app.advance(jiff::SignedDuration::from_mins(1));
            self.sandbox.drain(app.now()).await;
            app.settle().await;
        }
    }

    /// The webhooks caught for an integration so far, in the order in which they were sent.
    pub(crate) fn caught(&self, integration: IntegrationId) -> Vec<Posted> {
        let ending = integration.to_string();
        let caught = self.caught.lock().unwrap();
        caught
            .iter()
            .filter(|posted| posted.path.ends_with(&ending))
            .cloned()
            .collect()
    }
}

fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await });
}

async fn catch(
    State(caught): State<Caught>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let path = uri.path().to_owned();
    caught.lock().unwrap().push(Posted {
        path,
        headers,
        body,
    });
    StatusCode::OK
}

impl TestApp {
    /// Delivers a caught webhook, as the provider would; the status of the answer.
    pub(crate) async fn redeliver(&self, posted: &Posted) -> u16 {
        let mut headers = posted.headers.clone();
        for name in ["host", "content-length"] {
            headers.remove(name);
        }
        let request = self
            .client
            .post(format!("{}{}", self.base, posted.path))
            .headers(headers);
        let answer = request.body(posted.body.clone()).send().await.unwrap();
        answer.status().as_u16()
    }

    /// Delivers webhooks in this order, several at a time; every one has to be taken.
    pub(crate) async fn deliver_all(&self, posted: &[Posted]) {
        let statuses = futures_util::stream::iter(posted)
            .map(|posted| self.redeliver(posted))
            .buffered(POSTS_AT_ONCE);
        let refused = statuses
            .filter(|status| std::future::ready(*status != 204))
            .count()
            .await;
        assert_eq!(refused, 0, "every webhook is taken");
    }

    /// Makes a member answer at the provider under this id.
    pub(crate) async fn link_user(&self, organization: &Organization, user: Uuid, sid: &str) {
        let mut tx = self.platform().await;
        sqlx::query("update memberships set provider_user_sid = $3 where organization_id = $1 and user_id = $2")
            .bind(organization.id.uuid())
            .bind(user)
            .bind(sid)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}
