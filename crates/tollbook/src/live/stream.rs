//! One viewer's stream: what they missed, then what happens.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use rand::Rng as _;
use tollbook_core::actor::Actor;

use super::audience::{Audience, Form, Ticket};
use super::hub::{Hub, Seat};
use super::mark::Mark;
use super::scene::{self, Progress};
use super::store::Event;
use super::{store, tickets};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::sse::Frames;

/// Events of one step of a replay.
const REPLAY_STEP: i64 = 500;
/// A page that missed more than this is fetched again instead.
const PAGE_REPLAY_MAX: usize = 100;

/// Opens a stream that goes on after `after`; without it, from now on.
///
/// Fails with [`Error::Unauthorized`] if the right has gone meanwhile, and with [`Error::Unavailable`] when the node stops.
pub(crate) async fn open(
    app: &App,
    audience: Audience,
    ticket: Ticket,
    after: Option<Mark>,
) -> Result<impl Stream<Item = Bytes> + Send + 'static> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    if !tickets::is_valid(&mut tx, &ticket, app.clock.real()).await? {
        return Err(Error::Unauthorized("the session has ended".into()));
    }
    let present = store::present(&mut tx).await?;
    drop(tx);
    let seat = app.live.enter(audience.clone(), ticket, present);
    let seat = seat.ok_or_else(|| Error::Unavailable("the server is stopping".into()))?;
    let from = after.unwrap_or(present);
    let stage = if from.is_resumable(present) {
        Stage::Replay((from.xid, 0))
    } else {
        Stage::Resync
    };
    let viewer = Viewer {
        app: app.clone(),
        guard: Guard {
            hub: Arc::clone(&app.live),
            audience,
            id: seat.id,
        },
        seat,
        present,
        stage,
    };
    let hello = hello(after.unwrap_or(present));
    let live = stream::unfold(viewer, |mut viewer| async move {
        viewer.next().await.map(|bytes| (bytes, viewer))
    });
    Ok(stream::StreamExt::chain(stream::iter([hello]), live))
}

/// The first words: when to come back, and from where should the line be cut right away.
fn hello(mark: Mark) -> Bytes {
    let mut frames = Frames::default();
    // Spread, so that a restart does not bring everybody back in the same instant.
    frames.retry(500 + rand::rng().random_range(0..1000));
    frames.finish(mark)
}

struct Viewer {
    app: App,
    guard: Guard,
    seat: Seat,
    /// Taken before the viewer entered the hub: what is older was committed before the replay reads.
    present: Mark,
    stage: Stage,
}

/// Leaves the hub when the stream is dropped.
struct Guard {
    hub: Arc<Hub>,
    audience: Audience,
    id: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.hub.leave(&self.audience, self.id);
    }
}

enum Stage {
    /// Events after this place are still to be read.
    Replay((i64, i64)),
    /// Too much was missed.
    Resync,
    /// Everything from before was sent; the rest comes from the hub.
    Live,
}

impl Viewer {
    /// The next bytes; `None` ends the stream, and the viewer resumes by itself.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.stage {
                Stage::Live => return self.seat.receiver.recv().await,
                Stage::Resync => {
                    self.stage = Stage::Live;
                    let mut frames = Frames::default();
                    frames.event("resync", "{}");
                    return Some(frames.finish(self.present));
                }
                Stage::Replay(place) => match self.replay(place).await {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Some(bytes),
                    Err(error) => {
                        tracing::warn!(%error, "missed live events cannot be read");
                        return None;
                    }
                },
            }
        }
    }

    async fn replay(&mut self, place: (i64, i64)) -> Result<Bytes> {
        let app = &self.app;
        let Ok(_permit) = app.live.replays.acquire().await else {
            return Err(Error::Unavailable("the server is stopping".into()));
        };
        let organization = self.guard.audience.sharing.organization;
        let mut tx = app.db.begin(&Actor::system()).await?;
        let events = store::page(&mut tx, organization, place, REPLAY_STEP).await?;
        drop(tx);
        if matches!(self.guard.audience.form, Form::Page { .. })
            && subjects(&events) > PAGE_REPLAY_MAX
        {
            self.stage = Stage::Resync;
            return Ok(Bytes::new());
        }
        let is_last = i64::try_from(events.len()).unwrap_or(i64::MAX) < REPLAY_STEP;
        let last = events.last().map_or(place, |event| (event.xid, event.id));
        self.stage = if is_last {
            Stage::Live
        } else {
            Stage::Replay(last)
        };
        // What older transactions commit from here on comes from the hub, after this: no mark may pass them.
        let bound = self.present;
        let end = Mark {
            xid: if is_last {
                bound.xid
            } else {
                last.0.min(bound.xid)
            },
            at: bound.at,
        };
        let progress = Progress::Each { bound, end };
        let audiences = std::slice::from_ref(&self.guard.audience);
        let rendered = scene::render(app, organization, audiences, &events, progress).await?;
        Ok(rendered
            .into_iter()
            .next()
            .map_or_else(Bytes::new, |(_, bytes)| bytes))
    }
}

fn subjects(events: &[Event]) -> usize {
    let subjects: std::collections::HashSet<_> = events.iter().map(|event| event.subject).collect();
    subjects.len()
}
