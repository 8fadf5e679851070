//! The application of one test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use tokio::net::TcpListener;
use tollbook::{App, Clock, Db, Masked, Node, Secrets, Settings, Tx, Work};
use tollbook_core::actor::Actor;
use tollbook_providers::{Http, Timeouts};

use super::answer::Ask;
use super::cluster::Database;

/// What the tokens of Supabase users are signed with.
pub(crate) const JWT_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
/// The key of the platform's own service.
pub(crate) const SERVICE_KEY: &str = "sb_secret_test-service-key";
/// Waiting for a condition ends with an error after so long.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// A clock that stands still where tests begin.
fn start() -> Clock {
    Clock::manual("2026-03-02T15:00:00Z".parse().unwrap())
}

/// A running application. When it is dropped, no job may have been given up.
pub(crate) struct TestApp {
    pub(crate) app: App,
    /// `http://127.0.0.1:…`
    pub(crate) base: String,
    pub(super) client: reqwest::Client,
    node: Option<Node>,
    /// Whether the database goes with it.
    owns: bool,
    database: Arc<Database>,
    /// Recordings and the like.
    files: Arc<tempfile::TempDir>,
}

impl TestApp {
    /// Starts everything.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let files = Arc::new(tempfile::tempdir().unwrap());
        let database = Arc::new(Database::new().await);
        Self::run(database, true, files, Work::All, start(), change).await
    }

    /// Starts only the HTTP service: what happens behind it happens when the test settles it.
    pub(crate) async fn quiet() -> Self {
        let files = Arc::new(tempfile::tempdir().unwrap());
        let database = Arc::new(Database::new().await);
        Self::run(database, true, files, Work::Web, start(), |_| {}).await
    }

    /// Starts everything anew on a copy of the database of an application that has been closed.
    pub(crate) async fn copy(&self) -> Self {
        let files = Arc::new(tempfile::tempdir().unwrap());
        let database = Arc::new(self.database.copy().await);
        Self::run(database, true, files, Work::All, start(), |_| {}).await
    }

    /// Ends everything but the database.
    pub(crate) async fn close(&mut self) {
        self.stop().await;
        self.app.db.close().await;
    }

    /// Another node on the same database.
    pub(crate) async fn beside(&self) -> Self {
        let (database, files) = (Arc::clone(&self.database), Arc::clone(&self.files));
        Self::run(database, false, files, Work::All, start(), |_| {}).await
    }

    /// Another node on the same database that goes by the same clock, for some work.
    pub(crate) async fn twin(&self, work: Work) -> Self {
        let (database, files) = (Arc::clone(&self.database), Arc::clone(&self.files));
        let clock = self.app.clock.clone();
        Self::run(database, false, files, work, clock, |_| {}).await
    }

    /// Does everything that is due.
    pub(crate) async fn settle(&self) {
        self.app.settle().await.unwrap();
    }

    async fn run(
        database: Arc<Database>,
        owns: bool,
        files: Arc<tempfile::TempDir>,
        work: Work,
        clock: Clock,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = Settings {
            server_url: Some(format!("http://{}", listener.local_addr().unwrap())),
            data_dir: Some(files.path().to_owned()),
            supabase_jwt_secret: Some(Masked::from(JWT_SECRET.to_owned())),
            supabase_service_key: Some(Masked::from(SERVICE_KEY.to_owned())),
            ..Settings::defaults()
        };
        change(&mut settings);
        let db = Db::connect(&database.connection, 10).await.unwrap();
        let secrets = Secrets::new("a secret key of the tests, long enough");
        let http = Http::new(Timeouts::default()).unwrap().hurried();
        let app = App::new(db, clock, settings, secrets, http);
        let node = Node::start(app.clone(), &database.connection, work, listener).unwrap();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(WAIT_MAX)
            .build()
            .unwrap();
        Self {
            app,
            base: format!("http://{}", node.address.unwrap()),
            client,
            node: Some(node),
            owns,
            database,
            files,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Where recordings and the like are kept.
    pub(super) fn files(&self) -> &std::path::Path {
        self.files.path()
    }

    /// Moves the clock on.
    pub(crate) fn advance(&self, by: SignedDuration) {
        self.app.clock.advance(by);
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Ask<'_> {
        Ask::new(self, method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Ask<'_> {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Ask<'_> {
        self.request(Method::POST, path)
    }

    /// A transaction of the platform, to look and to arrange.
    pub(crate) async fn platform(&self) -> Tx {
        self.app.db.begin(&Actor::system()).await.unwrap()
    }

    /// Its database.
    pub(crate) fn database(&self) -> Arc<Database> {
        Arc::clone(&self.database)
    }

    /// As the superuser, for what no role of the application may do.
    pub(crate) fn superuser_url(&self) -> &str {
        &self.database.superuser_url
    }

    /// The number that a query returns, as the platform.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        let mut tx = self.platform().await;
        sqlx::query_scalar(query).fetch_one(&mut *tx).await.unwrap()
    }

    /// Asks again until the condition holds.
    pub(crate) async fn eventually(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + WAIT_MAX;
        while !condition().await {
            assert!(Instant::now() < deadline, "in time: {what}");
            tokio::task::yield_now().await;
        }
    }

    /// Stops the application as a signal would.
    pub(crate) async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.app.stop.cancel();
        self.node.take();
        if !self.owns {
            return;
        }
        let dead = self.database.dispose();
        if !std::thread::panicking() {
            assert_eq!(dead, 0, "no job was given up");
        }
    }
}
