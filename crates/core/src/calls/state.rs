//! A call: one conversation, whatever the number of provider records that it consists of.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::leg::Leg;
use super::names::{Direction, Outcome, Phase};
use super::verdict::Talk;
use crate::phone::{E164, Party};
use crate::time::Seconds;

/// The legs of one conversation, and what they amount to. Made by [`super::group`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    root_sid: String,
    legs: Vec<Leg>,
}

/// The row that a call is: everything that its legs amount to. The same legs give the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallState {
    /// The provider's id by which the call is known: that of the record at the root of its legs.
    pub root_sid: String,
    /// How far the call is. It moves forward only, except that a leg to which the caller is sent on after the others
    /// have ended continues the call.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Seen from the organization.
    pub direction: Option<Direction>,
    /// The provider's id of the organization's phone number.
    pub number_sid: Option<String>,
    /// The organization's phone number.
    pub our_number: Option<E164>,
    /// The other side.
    pub external: Option<Party>,
    /// The provider's ids of the users who talked, in order; of the one who placed the call, if it is outgoing.
    pub user_sids: Vec<String>,
    /// When it began, by the provider's clock; until that is known, the time of the first event.
    pub started_at: Timestamp,
    /// When it was first answered.
    pub answered_at: Option<Timestamp>,
    /// When its last leg ended; present exactly when the call has ended, and not before it was answered.
    pub ended_at: Option<Timestamp>,
    /// The time talked in whole seconds, a begun one not counting. `None` until the call has ended and the provider
    /// has said from when to when.
    pub billable: Option<Seconds>,
    /// The provider's own length of the root record, for display.
    pub duration: Option<Seconds>,
    /// Who sent the call on to us.
    pub forwarded_from: Option<Party>,
    /// To whom it was sent on.
    pub forwarded_to: Option<Party>,
    /// Whether the caller left a message.
    pub has_voicemail: bool,
    /// When a part of it was given up, so that a person may look.
    pub swept_at: Option<Timestamp>,
}

impl Call {
    /// `legs` sorted by start and id, without two of the same id.
    pub(super) fn new(root_sid: String, mut legs: Vec<Leg>) -> Self {
        legs.sort_by(|a, b| start_order(a).cmp(&start_order(b)));
        Self { root_sid, legs }
    }

    /// The provider's id of the record at the root, which may itself not have been seen yet.
    pub fn root_sid(&self) -> &str {
        &self.root_sid
    }

    /// The legs by start.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The record at the root, once seen.
    pub fn root(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.sid() == self.root_sid)
    }

    /// The legs on which people talk: those that no other leg names as its parent. A record that other records are
    /// legs of is the bridge between them, and its time contains theirs.
    pub fn talking_legs(&self) -> impl Iterator<Item = &Leg> {
        let parents: BTreeSet<&str> = self.legs.iter().filter_map(Leg::parent_sid).collect();
        self.legs
            .iter()
            .filter(move |leg| !parents.contains(leg.sid()))
    }

    /// How far the call is: ended when every leg is, and its root has been seen.
    pub fn phase(&self) -> Phase {
        let is_ended =
            self.root().is_some() && self.legs.iter().all(|leg| leg.phase() == Phase::Ended);
        if is_ended {
            return Phase::Ended;
        }
        let underway = |leg: &Leg| match leg.phase() {
            Phase::Ended if leg.is_answered() == Some(true) => Phase::InProgress,
            Phase::Ended => Phase::Ringing,
            phase @ (Phase::Queued | Phase::Ringing | Phase::InProgress) => phase,
        };
        self.legs
            .iter()
            .map(underway)
            .max()
            .unwrap_or(Phase::Queued)
    }

    /// How the call ended: the first in the order of [`Outcome`] that applies to a leg on which people talk, or a
    /// voicemail left on any leg.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.phase() < Phase::Ended {
            return None;
        }
        let outcomes: Vec<Option<Outcome>> = self.talking_legs().map(Leg::outcome).collect();
        if outcomes.contains(&Some(Outcome::Answered)) {
            return Some(Outcome::Answered);
        }
        if outcomes.contains(&None) {
            return None;
        }
        let is_incoming = self.root().and_then(Leg::direction) != Some(Direction::Outgoing);
        if is_incoming && self.legs.iter().any(Leg::has_voicemail) {
            return Some(Outcome::Voicemail);
        }
        outcomes.into_iter().flatten().min()
    }

    /// The time talked so far: what is done, and what runs, until `now`. For the cost of a call in progress.
    pub fn talked_until(&self, now: Timestamp) -> Seconds {
        self.talked(Some(now)).unwrap_or(Seconds::ZERO)
    }

    /// The time talked, once the call has ended and all of it is known.
    ///
    /// Legs may overlap, as when a call is sent on and both records show the whole of it: each moment counts once.
    pub fn billable(&self) -> Option<Seconds> {
        if self.phase() < Phase::Ended {
            None
        } else {
            self.talked(None)
        }
    }

    fn talked(&self, now: Option<Timestamp>) -> Option<Seconds> {
        let mut spans = Vec::new();
        for leg in self.talking_legs() {
            match leg.talk() {
                Talk::None => {}
                Talk::Done { start, end } => spans.push((start, end)),
                Talk::Running { since } => {
                    let now = now?;
                    spans.push((since, now.max(since)));
                }
                Talk::Unknown if now.is_some() => {}
                Talk::Unknown => return None,
            }
        }
        Some(covered(spans))
    }

    /// The row.
    pub fn state(&self) -> CallState {
        let root = self.root();
        // What the root does not know, a leg that is not of another record may.
        let heads = || {
            root.into_iter()
                .chain(self.legs.iter().filter(|leg| leg.parent_sid().is_none()))
        };
        let answered_at = self.talking_legs().filter_map(answered_at).min();
        let ended_at = self.legs.iter().map(Leg::end).max().max(answered_at);
        CallState {
            root_sid: self.root_sid.clone(),
            phase: self.phase(),
            outcome: self.outcome(),
            direction: heads().find_map(Leg::direction),
            number_sid: heads().find_map(|leg| leg.number_sid().map(str::to_owned)),
            our_number: heads().find_map(|leg| leg.our_number().cloned()),
            external: heads().find_map(|leg| leg.external().cloned()),
            user_sids: self.user_sids(),
            started_at: self
                .legs
                .iter()
                .map(Leg::start)
                .min()
                .unwrap_or(Timestamp::MIN),
            answered_at,
            ended_at: ended_at.filter(|_| self.phase() == Phase::Ended),
            billable: self.billable(),
            duration: root.and_then(Leg::duration),
            forwarded_from: heads().find_map(|leg| leg.forwarded_from().cloned()),
            forwarded_to: self.legs.iter().find_map(|leg| leg.forwarded_to().cloned()),
            has_voicemail: self.legs.iter().any(Leg::has_voicemail),
            swept_at: self.legs.iter().filter_map(Leg::swept_at).min(),
        }
    }

    fn user_sids(&self) -> Vec<String> {
        let mut users: Vec<String> = Vec::new();
        let placed_by = self
            .root()
            .filter(|root| root.direction() == Some(Direction::Outgoing));
        let talked = self
            .talking_legs()
            .filter(|leg| leg.is_answered() == Some(true));
        for user in placed_by
            .into_iter()
            .chain(talked)
            .filter_map(Leg::user_sid)
        {
            if !users.iter().any(|known| known == user) {
                users.push(user.to_owned());
            }
        }
        users
    }
}

/// Legs in the order in which they began; one whose start is not known comes last.
pub(super) fn start_order(leg: &Leg) -> (Timestamp, &str) {
    (leg.started_at().unwrap_or(Timestamp::MAX), leg.sid())
}

fn answered_at(leg: &Leg) -> Option<Timestamp> {
    match leg.talk() {
        Talk::Running { since } => Some(since),
        Talk::Done { start, .. } => Some(start),
        Talk::Unknown => leg.answered_at(),
        Talk::None => None,
    }
}

/// Whole seconds covered by at least one of the spans.
fn covered(mut spans: Vec<(Timestamp, Timestamp)>) -> Seconds {
    spans.sort_unstable();
    let mut total = SignedDuration::ZERO;
    let mut reached = Timestamp::MIN;
    for (start, end) in spans {
        let from = start.max(reached);
        if from < end {
            total = total.saturating_add(end.duration_since(from));
            reached = end;
        }
    }
    Seconds::from_duration(total)
}

/// The conversations that `legs` of one integration make up, in the order in which they began.
///
/// Two records belong together when one names the other as its parent, or when the same person is sent on from one of
/// the organization's numbers to another (then the provider keeps two records that do not name each other).
pub fn group(legs: impl IntoIterator<Item = Leg>) -> Vec<Call> {
    let mut by_sid: BTreeMap<String, Leg> = BTreeMap::new();
    for leg in legs {
        match by_sid.get_mut(leg.sid()) {
            Some(known) => known.join(leg),
            None => drop(by_sid.insert(leg.sid().to_owned(), leg)),
        }
    }
    let parents = super::forward::parents(&by_sid);
    let mut calls: BTreeMap<String, Vec<Leg>> = BTreeMap::new();
    for (sid, leg) in by_sid {
        calls.entry(root_of(&sid, &parents)).or_default().push(leg);
    }
    let mut calls: Vec<Call> = calls
        .into_iter()
        .map(|(root_sid, legs)| Call::new(root_sid, legs))
        .collect();
    calls.sort_by(|a, b| {
        a.legs
            .first()
            .map(start_order)
            .cmp(&b.legs.first().map(start_order))
    });
    calls
}

/// Follows the parents upwards. Records that name each other in a circle have the least of them as their root.
fn root_of(sid: &str, parents: &BTreeMap<String, String>) -> String {
    let mut path = vec![sid];
    let mut at = sid;
    while let Some(parent) = parents.get(at) {
        if let Some(position) = path.iter().position(|seen| seen == parent) {
            let circle = path.get(position..).unwrap_or_default();
            return circle
                .iter()
                .min()
                .map_or_else(|| at.to_owned(), |least| (*least).to_owned());
        }
        path.push(parent);
        at = parent;
    }
    at.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{CallFact, Fact, ProviderEvent};

    fn at(time: &str) -> Timestamp {
        format!("2026-01-06T{time}Z").parse().unwrap()
    }

    fn leg(sid: &str, ours: &str, started: &str, more: impl FnOnce(&mut CallFact)) -> Leg {
        let mut fact = CallFact {
            direction: Some(Direction::Incoming),
            from: Some(Party::read("+13035550100")),
            to: Some(Party::read(ours)),
            started_at: Some(at(started)),
            ..CallFact::new(sid)
        };
        more(&mut fact);
        let event = ProviderEvent {
            key: sid.into(),
            occurred_at: at(started),
            fact: Fact::Call(fact),
        };
        Leg::seen(&event).unwrap()
    }

    fn grouped(legs: impl IntoIterator<Item = Leg>) -> Vec<Vec<String>> {
        let sids = |call: &Call| call.legs().iter().map(|leg| leg.sid().to_owned()).collect();
        group(legs).iter().map(sids).collect()
    }

    #[test]
    fn a_call_in_progress_grows_by_the_second() {
        let leg = leg("AC1", "+12025550101", "15:00:00", |fact| {
            fact.answered_at = Some(at("15:00:09.5"));
        });
        let call = group([leg]).remove(0);
        let talked = ["15:00:05", "15:00:09.5", "15:00:10.4", "15:01:10"]
            .map(|now| call.talked_until(at(now)).get());
        assert_eq!(talked, [0, 0, 0, 60]);
        assert_eq!((call.billable(), call.phase()), (None, Phase::InProgress));
    }

    #[test]
    fn a_caller_is_sent_on_from_the_nearest_call_that_began_before() {
        let first = |sid: &str, started: &str| {
            leg(sid, "+12025550101", started, |fact| {
                fact.forwarded_to = Some(Party::read("+12025550102"));
            })
        };
        let second = |sid: &str, started: &str| leg(sid, "+12025550102", started, |_| {});
        let calls = grouped([
            second("B2", "17:00:05"),
            first("A1", "15:00:00"),
            second("B1", "15:00:05"),
            first("A2", "17:00:00"),
            second("B3", "22:00:00"),
        ]);
        // Five hours after the last call to the other number, it is a call of its own.
        assert_eq!(calls, [vec!["A1", "B1"], vec!["A2", "B2"], vec!["B3"]]);
    }

    #[test]
    fn callers_who_cannot_be_told_apart_are_not_taken_for_one() {
        let anonymous = |sid: &str, ours: &str, started: &str, to: Option<&str>| {
            leg(sid, ours, started, |fact| {
                fact.from = Some(Party::Anonymous);
                fact.forwarded_to = to.map(Party::read);
            })
        };
        let calls = grouped([
            anonymous("A", "+12025550101", "15:00:00", Some("+12025550102")),
            anonymous("B", "+12025550102", "15:00:05", None),
        ]);
        assert_eq!(calls, [vec!["A"], vec!["B"]]);
    }

    #[test]
    fn records_that_name_each_other_in_a_circle_are_one_call() {
        let of = |sid: &str, parent: &str| {
            leg(sid, "+12025550101", "15:00:00", |fact| {
                fact.parent_sid = Some(parent.into());
            })
        };
        let calls = group([of("C", "A"), of("A", "B"), of("B", "C"), of("D", "D")]);
        let roots: Vec<(&str, usize)> = calls
            .iter()
            .map(|call| (call.root_sid(), call.legs().len()))
            .collect();
        assert_eq!(roots, [("A", 3), ("D", 1)]);
    }
}
