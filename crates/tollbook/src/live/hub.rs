//! One hub per node: it reads what is new once, and hands each class of viewers what was rendered for it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::audience::{Audience, Form, Sharing, Ticket};
use super::mark::Mark;
use tollbook_core::ids::OrganizationId;

/// Batches that may wait for a slow viewer; one more, and they are disconnected and resume by themselves.
pub(super) const BACKLOG_MAX: usize = 256;
/// Replays at a time: a restart makes everybody resume at once.
const REPLAYS_MAX: usize = 4;

/// The viewers of this node, and how far they were told.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// There may be something new.
    pub(super) news: Notify,
    /// Organizations in which something happened since the figures were refreshed.
    restless: Mutex<HashSet<OrganizationId>>,
    stir: Notify,
    /// A right may have ended.
    pub(super) doubt: Notify,
    pub(super) replays: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    is_closed: bool,
    /// Where to read on. `None` while nobody looks: then nothing is read.
    position: Option<Mark>,
    /// Events at or above the position that were read already.
    read: HashSet<i64>,
    /// Readings of which something is not yet handed out: where each began, and for how many organizations it is open.
    open: BTreeMap<u64, (Mark, usize)>,
    next_reading: u64,
    audiences: HashMap<Audience, HashMap<u64, Viewer>>,
}

#[derive(Debug)]
struct Viewer {
    sender: mpsc::Sender<Bytes>,
    ticket: Ticket,
}

/// The receiving end of a viewer. Dropping it leaves the hub.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) receiver: mpsc::Receiver<Bytes>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            news: Notify::new(),
            restless: Mutex::default(),
            stir: Notify::new(),
            doubt: Notify::new(),
            replays: Semaphore::new(REPLAYS_MAX),
        }
    }
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; were it so, the registry would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat. `present` was read before: if the hub was idle, it reads on from there. `None` when the node stops.
    pub(super) fn enter(&self, audience: Audience, ticket: Ticket, present: Mark) -> Option<Seat> {
        let mut state = self.state();
        if state.is_closed {
            return None;
        }
        let (sender, receiver) = mpsc::channel(BACKLOG_MAX);
        state.next_id += 1;
        let id = state.next_id;
        state.position.get_or_insert(present);
        let viewers = state.audiences.entry(audience).or_default();
        viewers.insert(id, Viewer { sender, ticket });
        Some(Seat { id, receiver })
    }

    /// Leaves.
    pub(super) fn leave(&self, audience: &Audience, id: u64) {
        let mut state = self.state();
        if let Some(viewers) = state.audiences.get_mut(audience) {
            viewers.remove(&id);
        }
        state.tidy();
    }

    /// Where to read on; `None` while nobody looks.
    pub(super) fn position(&self) -> Option<Mark> {
        self.state().position
    }

    /// Everything before this was handed out; `None` while nobody looks.
    pub(super) fn told(&self) -> Option<Mark> {
        let state = self.state();
        let oldest = state.open.first_key_value();
        let position = state.position?;
        Some(oldest.map_or(position, |(_, (from, _))| *from))
    }

    /// Those of these events that were not read already.
    pub(super) fn unseen(&self, ids: impl Iterator<Item = i64>) -> HashSet<i64> {
        let state = self.state();
        ids.filter(|id| !state.read.contains(id)).collect()
    }

    /// The audiences, by whose rights they see.
    pub(super) fn audiences(&self) -> HashMap<Sharing, Vec<Audience>> {
        let mut by_sharing: HashMap<Sharing, Vec<Audience>> = HashMap::new();
        for audience in self.state().audiences.keys() {
            by_sharing
                .entry(audience.sharing)
                .or_default()
                .push(audience.clone());
        }
        by_sharing
    }

    /// The audiences of an organization.
    pub(super) fn audiences_of(&self, organization: OrganizationId) -> Vec<Audience> {
        let state = self.state();
        let audiences = state.audiences.keys();
        audiences
            .filter(|audience| audience.sharing.organization == organization)
            .cloned()
            .collect()
    }

    /// Hands out what was rendered. A viewer whose backlog is full, or who left, is let go.
    pub(super) fn hand_out(&self, rendered: &[(Audience, Bytes)]) {
        let mut state = self.state();
        for (audience, bytes) in rendered {
            if let Some(viewers) = state.audiences.get_mut(audience) {
                viewers.retain(|_, viewer| viewer.sender.try_send(bytes.clone()).is_ok());
            }
        }
        state.tidy();
    }

    /// Hands the same to everybody who takes the same form.
    pub(super) fn hand_to_all(&self, bytes: impl Fn(&Form) -> Bytes) {
        let mut state = self.state();
        for (audience, viewers) in &mut state.audiences {
            let bytes = bytes(&audience.form);
            viewers.retain(|_, viewer| viewer.sender.try_send(bytes.clone()).is_ok());
        }
        state.tidy();
    }

    /// Moves on after everything before `mark` was read; `above` are the events beyond it that were, too. The reading is
    /// open until it is handed out for so many organizations.
    pub(super) fn move_to(&self, mark: Mark, above: HashSet<i64>, organizations: usize) -> u64 {
        let mut state = self.state();
        state.next_reading += 1;
        let reading = state.next_reading;
        if let Some(position) = state.position {
            if organizations > 0 {
                state.open.insert(reading, (position, organizations));
            }
            state.position = Some(mark);
            state.read = above;
        }
        reading
    }

    /// What came from these readings was handed out for one organization.
    pub(super) fn handed_out(&self, readings: &[u64]) {
        let mut state = self.state();
        for reading in readings {
            if let Some((_, organizations)) = state.open.get_mut(reading) {
                *organizations -= 1;
                if *organizations == 0 {
                    state.open.remove(reading);
                }
            }
        }
    }

    /// Lets audiences go that could not be served; they resume by themselves, without loss.
    pub(super) fn dismiss(&self, audiences: &[Audience]) {
        let mut state = self.state();
        for audience in audiences {
            state.audiences.remove(audience);
        }
        state.tidy();
    }

    /// By which rights the streams were opened.
    pub(super) fn tickets(&self) -> Vec<(Audience, u64, Ticket)> {
        let state = self.state();
        state
            .audiences
            .iter()
            .flat_map(|(audience, viewers)| {
                viewers
                    .iter()
                    .map(|(id, viewer)| (audience.clone(), *id, viewer.ticket.clone()))
            })
            .collect()
    }

    /// Something happened in these organizations.
    pub(super) fn stir(&self, organizations: impl IntoIterator<Item = OrganizationId>) {
        let mut restless = self.restless.lock().unwrap_or_else(PoisonError::into_inner);
        restless.extend(organizations);
        self.stir.notify_one();
    }

    /// Waits until something happens, and tells in which organizations it did.
    pub(super) async fn stirred(&self) -> HashSet<OrganizationId> {
        self.stir.notified().await;
        let mut restless = self.restless.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *restless)
    }

    /// A session, key or membership ended: the streams of this node that were opened by it end now, those of other nodes
    /// at the next heartbeat.
    pub(crate) fn recheck(&self) {
        self.doubt.notify_one();
    }

    /// Ends all streams and takes no new ones.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.audiences.clear();
        state.tidy();
    }
}

impl State {
    fn tidy(&mut self) {
        self.audiences.retain(|_, viewers| !viewers.is_empty());
        if self.audiences.is_empty() {
            self.position = None;
            self.read.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use tollbook_core::ids::{OrganizationId, UserId};
    use uuid::Uuid;

    use super::super::audience::Standing;
    use super::*;

    fn audience(organization: u128) -> Audience {
        Audience {
            sharing: Sharing {
                organization: OrganizationId::new(Uuid::from_u128(organization)),
                member: None,
            },
            form: Form::Json,
        }
    }

    fn enter(hub: &Hub, audience: &Audience) -> Seat {
        let ticket = Ticket {
            organization: audience.sharing.organization,
            standing: Standing::Admin(UserId::new(Uuid::nil())),
            session: None,
            expires_at: None,
        };
        hub.enter(audience.clone(), ticket, Mark { xid: 5, at: 0 })
            .unwrap()
    }

    #[tokio::test]
    async fn a_slow_viewer_is_let_go_with_what_they_have_and_holds_up_nobody() {
        let (hub, audience) = (Hub::default(), audience(1));
        let (mut slow, mut quick) = (enter(&hub, &audience), enter(&hub, &audience));
        for n in 0..BACKLOG_MAX + 50 {
            hub.hand_out(&[(audience.clone(), Bytes::from(n.to_string()))]);
            assert_eq!(quick.receiver.recv().await.unwrap(), n.to_string());
        }
        let mut heard = 0;
        while let Some(bytes) = slow.receiver.recv().await {
            assert_eq!(bytes, heard.to_string());
            heard += 1;
        }
        // In order and without a gap, up to where it goes on after the next connection.
        assert_eq!(heard, BACKLOG_MAX);
        assert_eq!(hub.tickets().len(), 1);
    }

    #[tokio::test]
    async fn only_the_audience_hears_what_was_rendered_for_it() {
        let hub = Hub::default();
        let (mut one, mut other) = (enter(&hub, &audience(1)), enter(&hub, &audience(2)));
        hub.hand_out(&[(audience(1), Bytes::from("for one"))]);
        hub.hand_out(&[(audience(2), Bytes::from("for the other"))]);
        assert_eq!(one.receiver.recv().await.unwrap(), "for one");
        assert_eq!(other.receiver.recv().await.unwrap(), "for the other");
    }

    #[tokio::test]
    async fn nothing_is_read_while_nobody_looks() {
        let (hub, audience) = (Hub::default(), audience(1));
        assert_eq!(hub.position(), None);
        let seat = enter(&hub, &audience);
        assert_eq!(hub.position(), Some(Mark { xid: 5, at: 0 }));
        hub.leave(&audience, seat.id);
        assert_eq!(hub.position(), None);
        // What was read meanwhile does not make it begin again.
        hub.move_to(Mark { xid: 9, at: 0 }, HashSet::new(), 1);
        assert_eq!(hub.position(), None);
    }

    #[tokio::test]
    async fn nobody_is_told_a_mark_before_what_is_below_it_was_handed_out() {
        let hub = Hub::default();
        let _seat = enter(&hub, &audience(1));
        let mark = |xid| Mark { xid, at: 0 };
        let first = hub.move_to(mark(7), HashSet::new(), 2);
        let second = hub.move_to(mark(9), HashSet::new(), 1);
        hub.move_to(mark(11), HashSet::new(), 0);
        assert_eq!(hub.position(), Some(mark(11)));
        assert_eq!(hub.told(), Some(mark(5)));
        hub.handed_out(&[first]);
        hub.handed_out(&[second]);
        assert_eq!(hub.told(), Some(mark(5)));
        hub.handed_out(&[first]);
        assert_eq!(hub.told(), Some(mark(11)));
    }

    #[tokio::test]
    async fn a_node_that_stops_ends_all_streams_and_opens_none() {
        let (hub, audience) = (Hub::default(), audience(1));
        let mut seat = enter(&hub, &audience);
        hub.close();
        assert_eq!(seat.receiver.recv().await, None);
        let again = hub.enter(audience, hub_ticket(), Mark { xid: 5, at: 0 });
        assert!(again.is_none());
    }

    fn hub_ticket() -> Ticket {
        Ticket {
            organization: OrganizationId::new(Uuid::nil()),
            standing: Standing::Service,
            session: None,
            expires_at: None,
        }
    }
}
