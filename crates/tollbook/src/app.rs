//! What every part of the running application shares.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::db::Db;
use crate::live::Hub;

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
}

impl App {
    /// Puts the parts together.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self {
            db,
            clock,
            wake: Arc::default(),
            live: Arc::default(),
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
