//! The tasks of a node: they tell other nodes, hear of theirs, and serve this node's viewers.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;

use super::audience::Form;
use super::mark::Mark;
use super::scene::{self, Progress};
use super::store::{self, Event, News};
use super::{refresh, tickets};
use crate::app::App;
use crate::db::{Connection, Heard, Listener, Notifier};
use crate::error::Result;
use crate::http::sse::Frames;

const CHANNEL: &str = "tollbook_live";
/// A notification may be lost; nothing waits longer than this.
const POLL: Duration = Duration::from_secs(1);
/// How often every stream hears something, and is checked for its right to go on.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After a lost connection.
const RETRY: Duration = Duration::from_secs(1);
/// Organizations that are read for at a time.
const READS_MAX: usize = 4;

/// Starts this node's part. The tasks end after `stop`, and with them all streams.
pub(crate) fn start(
    app: &App,
    connection: &Connection,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    let ours = Arc::new(AtomicU32::new(0));
    let telling = tell(
        app.clone(),
        connection.clone(),
        Arc::clone(&ours),
        stop.clone(),
    );
    tasks.spawn(telling);
    tasks.spawn(hear(app.clone(), connection.clone(), ours, stop.clone()));
    tasks.spawn(serve(app.clone(), stop.clone()));
    tasks.spawn(refresh::run(app.clone(), stop.clone()));
}

/// Tells the other nodes once for all that was committed meanwhile. `ours` is the session that tells them.
async fn tell(app: App, connection: Connection, ours: Arc<AtomicU32>, stop: CancellationToken) {
    let mut notifier = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.wake.live.notified() => {}
        }
        // This node needs no round trip to know.
        app.live.news.notify_one();
        let told = async {
            if notifier.is_none() {
                let connected = Notifier::connect(&connection).await?;
                ours.store(connected.process(), Ordering::Relaxed);
                notifier = Some(connected);
            }
            match &mut notifier {
                Some(notifier) => notifier.notify(CHANNEL).await,
                None => Ok(()),
            }
        };
        if let Err(error) = told.await {
            tracing::warn!(%error, "other nodes cannot be told of live events");
            notifier = None;
        }
    }
}

/// Hears of what other nodes wrote.
async fn hear(app: App, connection: Connection, ours: Arc<AtomicU32>, stop: CancellationToken) {
    let listen = async {
        loop {
            if let Err(error) = listen(&app, &connection, &ours).await {
                tracing::warn!(%error, "live events of other nodes cannot be heard");
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = listen => {}
    }
}

async fn listen(app: &App, connection: &Connection, ours: &AtomicU32) -> sqlx::Result<()> {
    let mut listener = Listener::connect(connection, &[CHANNEL]).await?;
    loop {
        // Of its own news this node knows. After a reconnection anything may have been missed: reading once more is
        // always right.
        match listener.next().await? {
            Heard::From(process) if process == ours.load(Ordering::Relaxed) => {}
            Heard::From(_) | Heard::Reconnected => app.live.news.notify_one(),
        }
    }
}

/// Serves the viewers of this node.
async fn serve(app: App, stop: CancellationToken) {
    let mut beat_at = Instant::now() + HEARTBEAT;
    let mut deliveries = Deliveries::default();
    loop {
        let is_doubted = tokio::select! {
            () = stop.cancelled() => return app.live.close(),
            () = deliveries.one_is_done(&app) => continue,
            () = app.live.news.notified() => false,
            () = app.live.doubt.notified() => true,
            () = tokio::time::sleep(POLL) => false,
        };
        if let Err(error) = read_news(&app, &mut deliveries).await {
            tracing::warn!(%error, "live events cannot be read");
        }
        let is_time = Instant::now() >= beat_at;
        if (is_time || is_doubted)
            && let Err(error) = tickets::check(&app).await
        {
            tracing::warn!(%error, "the rights of open streams cannot be checked");
        }
        if is_time {
            beat_at = Instant::now() + HEARTBEAT;
            beat(&app);
        }
    }
}

/// Every stream hears how far it is, so that a quiet one can be resumed too.
fn beat(app: &App) {
    let Some(mark) = app.live.told() else {
        return;
    };
    let now = app.clock.now().as_millisecond().to_string();
    app.live.hand_to_all(|form| {
        let mut frames = Frames::default();
        match form {
            Form::Json => {}
            Form::Page { .. } => frames.event("beat", &now),
        }
        frames.finish(mark)
    });
}

/// Reads what is new and gives it to those who hand it out.
async fn read_news(app: &App, deliveries: &mut Deliveries) -> Result<()> {
    let Some(position) = app.live.position() else {
        return Ok(());
    };
    let mut tx = app.db.begin_work(&Actor::system()).await?;
    let News { mark, events } = store::since(&mut tx, position.xid).await?;
    drop(tx);
    let unseen = app.live.unseen(events.iter().map(|event| event.id));
    let above = events.iter().filter(|event| event.xid >= mark.xid);
    let above: HashSet<i64> = above.map(|event| event.id).collect();
    let mut by_organization: HashMap<OrganizationId, Vec<Event>> = HashMap::new();
    for event in events {
        if unseen.contains(&event.id) {
            let same = by_organization.entry(event.organization).or_default();
            same.push(event);
        }
    }
    let reading = app.live.move_to(mark, above, by_organization.len());
    for (organization, events) in by_organization {
        let batch = Batch {
            events,
            mark,
            readings: vec![reading],
        };
        deliveries.add(app, organization, batch);
    }
    Ok(())
}

/// Events of one organization that are not yet handed out.
struct Batch {
    events: Vec<Event>,
    mark: Mark,
    /// The readings that they come from.
    readings: Vec<u64>,
}

/// What is being handed out: for one organization in order, for several beside each other.
struct Deliveries {
    tasks: JoinSet<()>,
    busy: HashMap<task::Id, (OrganizationId, Vec<u64>)>,
    /// What came for an organization while it is served.
    waiting: HashMap<OrganizationId, Batch>,
    reads: Arc<Semaphore>,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            busy: HashMap::new(),
            waiting: HashMap::new(),
            reads: Arc::new(Semaphore::new(READS_MAX)),
        }
    }
}

impl Deliveries {
    fn add(&mut self, app: &App, organization: OrganizationId, batch: Batch) {
        if self.busy.values().any(|(busy, _)| *busy == organization) {
            match self.waiting.entry(organization) {
                Entry::Vacant(place) => drop(place.insert(batch)),
                Entry::Occupied(mut place) => {
                    let waiting = place.get_mut();
                    waiting.events.extend(batch.events);
                    waiting.mark = batch.mark;
                    waiting.readings.extend(batch.readings);
                }
            }
            return;
        }
        let (app, reads) = (app.clone(), Arc::clone(&self.reads));
        let Batch {
            events,
            mark,
            readings,
        } = batch;
        let task = self.tasks.spawn(async move {
            // It is never closed; were it, one more reads.
            let _permit = reads.acquire().await;
            deliver(&app, organization, &events, mark).await;
        });
        self.busy.insert(task.id(), (organization, readings));
    }

    /// Waits until an organization is served, and goes on with what came for it meanwhile. Never, if none is.
    async fn one_is_done(&mut self, app: &App) {
        let (task, is_served) = match self.tasks.join_next_with_id().await {
            Some(Ok((task, ()))) => (task, true),
            Some(Err(error)) => {
                tracing::error!(%error, "viewers were not served and are let go");
                (error.id(), false)
            }
            None => return std::future::pending().await,
        };
        let Some((organization, readings)) = self.busy.remove(&task) else {
            return;
        };
        if !is_served {
            app.live.dismiss(&app.live.audiences_of(organization));
        }
        app.live.handed_out(&readings);
        // The figures follow what they count.
        app.live.stir([organization]);
        if let Some(batch) = self.waiting.remove(&organization) {
            self.add(app, organization, batch);
        }
    }
}

/// Hands events out to those who watch the organization.
async fn deliver(app: &App, organization: OrganizationId, events: &[Event], mark: Mark) {
    let audiences = app.live.audiences_of(organization);
    match scene::render(app, organization, &audiences, events, Progress::AtEnd(mark)).await {
        Ok(rendered) => app.live.hand_out(&rendered),
        Err(error) => {
            tracing::warn!(%error, "viewers cannot be served and are let go");
            app.live.dismiss(&audiences);
        }
    }
}
