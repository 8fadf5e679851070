//! The tasks of a node: they tell other nodes, hear of theirs, and serve this node's viewers.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;

use super::audience::{Audience, Form};
use super::scene::{self, Progress};
use super::store::{self, Event, News};
use super::{refresh, tickets};
use crate::app::App;
use crate::db::{Connection, Listener, Notifier};
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
    tasks.spawn(tell(app.clone(), connection.clone(), stop.clone()));
    tasks.spawn(hear(app.clone(), connection.clone(), stop.clone()));
    tasks.spawn(serve(app.clone(), stop.clone()));
    tasks.spawn(refresh::run(app.clone(), stop.clone()));
}

/// Tells the other nodes once for all that was committed meanwhile.
async fn tell(app: App, connection: Connection, stop: CancellationToken) {
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
                notifier = Some(Notifier::connect(&connection).await?);
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
async fn hear(app: App, connection: Connection, stop: CancellationToken) {
    let listen = async {
        loop {
            if let Err(error) = listen(&app, &connection).await {
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

async fn listen(app: &App, connection: &Connection) -> sqlx::Result<()> {
    let mut listener = Listener::connect(connection, &[CHANNEL]).await?;
    loop {
        // After a reconnection anything may have been missed: reading once more is always right.
        listener.next().await?;
        app.live.news.notify_one();
    }
}

/// Serves the viewers of this node.
async fn serve(app: App, stop: CancellationToken) {
    let mut beat_at = Instant::now() + HEARTBEAT;
    loop {
        let is_doubted = tokio::select! {
            () = stop.cancelled() => return app.live.close(),
            () = app.live.news.notified() => false,
            () = app.live.doubt.notified() => true,
            () = tokio::time::sleep(POLL) => false,
        };
        if let Err(error) = deliver(&app).await {
            tracing::warn!(%error, "live events cannot be delivered");
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
    let Some(mark) = app.live.position() else {
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

/// Reads what is new and hands it out.
pub(super) async fn deliver(app: &App) -> Result<()> {
    let Some(position) = app.live.position() else {
        return Ok(());
    };
    let mut tx = app.db.begin_work(&Actor::system()).await?;
    let News { mark, events } = store::since(&mut tx, position.xid).await?;
    let unseen = app.live.unseen(events.iter().map(|event| event.id));
    let above = events.iter().filter(|event| event.xid >= mark.xid);
    let above: HashSet<i64> = above.map(|event| event.id).collect();
    let events: Vec<Event> = events
        .into_iter()
        .filter(|event| unseen.contains(&event.id))
        .collect();
    if events.is_empty() {
        app.live.move_to(mark, above);
        return Ok(());
    }
    drop(tx);
    let concerned: HashSet<_> = events.iter().map(|event| event.organization).collect();
    let mut audiences: HashMap<OrganizationId, Vec<Audience>> = HashMap::new();
    for (sharing, same) in app.live.audiences() {
        if concerned.contains(&sharing.organization) {
            let all = audiences.entry(sharing.organization).or_default();
            all.extend(same);
        }
    }
    let events = &events;
    stream::iter(audiences)
        .for_each_concurrent(READS_MAX, |(organization, audiences)| async move {
            let progress = Progress::AtEnd(mark);
            match scene::render(app, organization, &audiences, events, progress).await {
                Ok(rendered) => app.live.hand_out(&rendered),
                Err(error) => {
                    tracing::warn!(%error, "viewers cannot be served and are let go");
                    app.live.dismiss(&audiences);
                }
            }
        })
        .await;
    app.live.move_to(mark, above);
    app.live.stir(concerned);
    Ok(())
}
