//! What every part of the running application shares.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tollbook_providers::Http;

use crate::alerts::Tally;
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Db;
use crate::identity::{Jwks, Recent};
use crate::inbox::InboxWriter;
use crate::integrations::Accounts;
use crate::live::Hub;
use crate::metering::UsageWriter;
use crate::objects::Folder;
use crate::rating::TermsCache;
use crate::secrets::Secrets;
use crate::{inbox, metering};

/// A handle on the running application. Every request clones it several times: one count goes up, whatever it holds.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What the application is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// What time it is in the business.
    pub clock: Clock,
    /// Wakes this node's workers.
    pub wake: Arc<Wake>,
    /// How it is set up.
    pub settings: Arc<Settings>,
    /// Seals credentials and signs tokens.
    pub secrets: Arc<Secrets>,
    /// Cancelled when this node stops: streams end, workers return their work.
    pub stop: CancellationToken,
    /// What must finish before this node has stopped.
    pub tasks: TaskTracker,
    /// Who called recently.
    pub(crate) recent: Arc<Recent>,
    /// What proves the tokens of Supabase's users.
    pub(crate) jwks: Arc<Jwks>,
    /// The viewers of this node.
    pub(crate) live: Arc<Hub>,
    /// Accounts at providers.
    pub(crate) accounts: Arc<Accounts>,
    /// Takes in webhooks.
    pub(crate) inbox: InboxWriter,
    /// Takes in usage.
    pub(crate) usage: UsageWriter,
    /// Fetches files from providers.
    pub(crate) http: Http,
    /// Recordings and other files.
    pub(crate) objects: Folder,
    /// Plan versions made ready for rating.
    pub(crate) terms: Arc<TermsCache>,
    /// What failed and left no row.
    pub(crate) tally: Tally,
}

impl App {
    /// Puts the parts together.
    pub fn new(db: Db, clock: Clock, settings: Settings, secrets: Secrets, http: Http) -> Self {
        let data_dir = settings.data_dir.clone();
        let data_dir = data_dir.or_else(tollbook_postgres::default_state_dir);
        let objects = data_dir.unwrap_or_else(std::env::temp_dir).join("objects");
        let wake: Arc<Wake> = Arc::default();
        Self(Arc::new(Parts {
            inbox: inbox::writer(db.clone(), Arc::clone(&wake)),
            usage: metering::writer(db.clone(), Arc::clone(&wake)),
            db,
            clock,
            wake,
            jwks: Arc::new(Jwks::new(settings.supabase_url.as_deref())),
            settings: Arc::new(settings),
            secrets: Arc::new(secrets),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            recent: Arc::default(),
            live: Arc::default(),
            accounts: Arc::new(Accounts::new(http.clone())),
            http,
            objects: Folder::new(objects),
            terms: Arc::default(),
            tally: Tally::default(),
        }))
    }
}

/// Wakes the workers of this node the moment there is work. Other nodes hear of it by notification, and all poll.
#[derive(Debug, Default)]
pub struct Wake {
    /// A webhook was stored.
    pub inbox: Notify,
    /// A webhook was stored that tells of a call that rings.
    pub rings: Notify,
    /// Usage was stored.
    pub rating: Notify,
    /// A job was enqueued.
    pub jobs: Notify,
    /// A live event was committed.
    pub live: Notify,
}
