//! What every part of the running application shares.

use std::sync::Arc;

use tokio::sync::Notify;
use tollbook_providers::Http;

use crate::clock::Clock;
use crate::db::Db;
use crate::inbox::InboxWriter;
use crate::integrations::Accounts;
use crate::live::Hub;
use crate::metering::UsageWriter;
use crate::rating::TermsCache;
use crate::secrets::Secrets;
use crate::{inbox, metering};

/// A handle on the running application; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The database.
    pub db: Db,
    /// What time it is in the business.
    pub clock: Clock,
    /// Wakes this node's workers.
    pub wake: Arc<Wake>,
    /// The viewers of this node.
    pub(crate) live: Arc<Hub>,
    /// Seals credentials and signs tokens.
    pub(crate) secrets: Arc<Secrets>,
    /// Accounts at providers.
    pub(crate) accounts: Arc<Accounts>,
    /// Takes in webhooks.
    pub(crate) inbox: InboxWriter,
    /// Takes in usage.
    pub(crate) usage: UsageWriter,
    /// Plan versions made ready for rating.
    pub(crate) terms: Arc<TermsCache>,
}

impl App {
    /// Puts the parts together.
    pub fn new(db: Db, clock: Clock, secrets: Secrets, http: Http) -> Self {
        let wake: Arc<Wake> = Arc::default();
        Self {
            inbox: inbox::writer(db.clone(), Arc::clone(&wake)),
            usage: metering::writer(db.clone(), Arc::clone(&wake)),
            db,
            clock,
            wake,
            live: Arc::default(),
            secrets: Arc::new(secrets),
            accounts: Arc::new(Accounts::new(http)),
            terms: Arc::default(),
        }
    }
}

/// Wakes the workers of this node the moment there is work. Other nodes hear of it by notification, and all poll.
#[derive(Debug, Default)]
pub struct Wake {
    /// A webhook was stored.
    pub inbox: Notify,
    /// Usage was stored.
    pub rating: Notify,
    /// A job was enqueued.
    pub jobs: Notify,
    /// A live event was committed.
    pub live: Notify,
}
