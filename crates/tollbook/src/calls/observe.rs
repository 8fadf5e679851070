//! The second stage for calls: observations become legs, legs become calls, ended calls become usage.
//!
//! The rules are those of `tollbook_core::calls`; this loads what they need, for a whole batch at a time, and writes
//! what they say. Order and repetition of observations make no difference to the rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::calls::{
    Call, Check, Direction, FORWARD_WINDOW_SECONDS, Leg, Outcome, Phase, Provider, group,
    next_check,
};
use tollbook_core::ids::{CallId, CallLegId, CustomerId, IntegrationId, OrganizationId, UserId};
use tollbook_core::metering::{Due, UsageRequest, call_usage, due};
use tollbook_core::phone::{E164, Party};
use uuid::Uuid;

use super::store::{self, CallRow, EventRow, LegRow, Near, StoredCall, StoredLeg};
use crate::customers::{self, Caller};
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::live::{self, LiveKind};
use crate::metering::{self, NewUsage};
use crate::numbers::{self, Line, LineKey};

/// The account at a provider that the observations come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) integration: IntegrationId,
    pub(crate) provider: Provider,
}

/// One observation of a leg, for an organization.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    pub(crate) organization: OrganizationId,
    pub(crate) leg: Leg,
    /// For the timeline: when, what, and in which webhook.
    pub(crate) told: Option<Told>,
}

/// What the timeline shows of an observation.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) occurred_at: Timestamp,
    pub(crate) kind: &'static str,
    pub(crate) inbox: Option<(Uuid, Timestamp)>,
}

/// Which call each leg belongs to now.
pub(crate) type CallOfSid = HashMap<String, (OrganizationId, CallId)>;

/// Takes in observations, in any order and any number of times; returns the calls of all legs concerned.
pub(crate) async fn observe(
    tx: &mut PgConnection,
    source: Source,
    observations: Vec<Observation>,
) -> Result<CallOfSid> {
    if observations.is_empty() {
        return Ok(CallOfSid::new());
    }
    let mut desk = Desk::load(tx, source, &observations).await?;
    desk.join(&observations);
    desk.load_near(tx, source).await?;
    let plans = desk.plan(&observations)?;
    let changes = Changes::resolve(tx, source, &desk, plans).await?;
    changes.write(tx, source, &desk, &observations).await?;
    Ok(changes.call_of_sid())
}

/// A leg's organization and provider id.
type Place = (OrganizationId, String);

/// The legs at hand, each with the row that it has, if it has one, and the call of that row.
struct Desk {
    legs: BTreeMap<Place, (Leg, Option<(CallLegId, CallId)>)>,
    touched: BTreeSet<Place>,
}

/// A call as it is to be, before people and numbers are looked up.
struct Plan {
    organization: OrganizationId,
    call: Call,
    /// The row it goes on, if one of its legs has one, and the rows that are no calls of their own any more.
    known: Option<CallId>,
    merged: Vec<CallId>,
}

impl Desk {
    async fn load(
        tx: &mut PgConnection,
        source: Source,
        observations: &[Observation],
    ) -> Result<Self> {
        let sids: BTreeSet<&str> = observations
            .iter()
            .flat_map(|o| std::iter::once(o.leg.sid()).chain(o.leg.parent_sid()))
            .collect();
        let sids: Vec<&str> = sids.into_iter().collect();
        let mut desk = Self {
            legs: BTreeMap::new(),
            touched: BTreeSet::new(),
        };
        desk.add(store::legs_of(tx, source.integration, &sids).await?);
        Ok(desk)
    }

    fn add(&mut self, stored: Vec<StoredLeg>) {
        for StoredLeg {
            organization,
            id,
            call,
            leg,
        } in stored
        {
            let place = (organization, leg.sid().to_owned());
            self.legs.entry(place).or_insert((leg, Some((id, call))));
        }
    }

    fn join(&mut self, observations: &[Observation]) {
        for Observation {
            organization, leg, ..
        } in observations
        {
            let place = (*organization, leg.sid().to_owned());
            self.touched.insert(place.clone());
            match self.legs.get_mut(&place) {
                Some((known, _)) => known.join(leg.clone()),
                None => drop(self.legs.insert(place, (leg.clone(), None))),
            }
        }
    }

    /// A caller who is sent on leaves records that do not name each other, so the person's other calls around that
    /// time are needed too.
    async fn load_near(&mut self, tx: &mut PgConnection, source: Source) -> Result<()> {
        let window = SignedDuration::from_secs(FORWARD_WINDOW_SECONDS);
        let near: Vec<Near> = self
            .touched
            .iter()
            .filter_map(|place| {
                let (leg, _) = self.legs.get(place)?;
                let external = leg.external().and_then(Party::number)?;
                let at = leg.started_at()?;
                Some(Near {
                    organization: place.0,
                    external_party: external.to_string(),
                    from: at.checked_sub(window).unwrap_or(Timestamp::MIN),
                    to: at.checked_add(window).unwrap_or(Timestamp::MAX),
                })
            })
            .collect();
        if !near.is_empty() {
            let stored = store::legs_near(tx, source.integration, &near).await?;
            self.add(stored);
        }
        Ok(())
    }

    /// The calls that the legs make up, as far as anything about them changes.
    fn plan(&self, observations: &[Observation]) -> Result<Vec<Plan>> {
        let organizations: BTreeSet<OrganizationId> =
            observations.iter().map(|o| o.organization).collect();
        let mut plans = Vec::new();
        for organization in organizations {
            let legs = self
                .legs
                .iter()
                .filter(|((o, _), _)| *o == organization)
                .map(|(_, (leg, _))| leg.clone());
            for call in group(legs) {
                let stored: Vec<CallId> = call
                    .legs()
                    .iter()
                    .filter_map(|leg| self.call_of(organization, leg.sid()))
                    .collect();
                let mut rows: Vec<CallId> = Vec::new();
                for id in stored {
                    if !rows.contains(&id) {
                        rows.push(id);
                    }
                }
                let is_touched = call
                    .legs()
                    .iter()
                    .any(|leg| self.touched.contains(&(organization, leg.sid().to_owned())));
                if is_touched || rows.len() > 1 {
                    // The row made first stays, so that what refers to it stays right; identifiers sort by time.
                    rows.sort_unstable();
                    let mut rows = rows.into_iter();
                    plans.push(Plan {
                        organization,
                        call,
                        known: rows.next(),
                        merged: rows.collect(),
                    });
                }
            }
        }
        split_shared_rows(&mut plans)?;
        Ok(plans)
    }

    fn call_of(&self, organization: OrganizationId, sid: &str) -> Option<CallId> {
        let (_, stored) = self.legs.get(&(organization, sid.to_owned()))?;
        stored.map(|(_, call)| call)
    }
}

/// Legs that were one call and are two now (a later observation corrected what joined them): the first keeps the row.
fn split_shared_rows(plans: &mut [Plan]) -> Result<()> {
    let mut taken: HashSet<CallId> = HashSet::new();
    for plan in plans.iter_mut() {
        if let Some(id) = plan.known
            && !taken.insert(id)
        {
            plan.known = None;
        }
        plan.merged.retain(|id| !taken.contains(id));
    }
    let kept: HashSet<CallId> = plans.iter().filter_map(|p| p.known).collect();
    if plans
        .iter()
        .flat_map(|p| &p.merged)
        .any(|id| kept.contains(id))
    {
        return Err(Error::Internal(
            "a call would be merged into another and kept".into(),
        ));
    }
    Ok(())
}

/// Everything to be written.
struct Changes {
    rows: Vec<CallRow>,
    plans: Vec<Plan>,
    before: HashMap<CallId, StoredCall>,
    users: HashMap<(OrganizationId, String), UserId>,
}

impl Changes {
    async fn resolve(
        tx: &mut PgConnection,
        source: Source,
        desk: &Desk,
        plans: Vec<Plan>,
    ) -> Result<Self> {
        let known: Vec<(OrganizationId, CallId)> = plans
            .iter()
            .flat_map(|p| {
                p.known
                    .iter()
                    .chain(&p.merged)
                    .map(|id| (p.organization, *id))
            })
            .collect();
        let before = store::calls(tx, &known).await?;
        let user_keys: Vec<(OrganizationId, String)> = plans
            .iter()
            .flat_map(|p| {
                p.call
                    .legs()
                    .iter()
                    .filter_map(|l| Some((p.organization, l.user_sid()?.to_owned())))
            })
            .collect();
        let users = store::users_by_sid(tx, &user_keys).await?;
        let line_keys: Vec<LineKey> = plans.iter().map(|p| line_key(source.provider, p)).collect();
        let lines = numbers::resolve_lines(tx, &line_keys).await?;
        let callers: Vec<Option<Caller>> = plans.iter().map(caller).collect();
        let customers = customers::recognize(tx, &callers).await?;
        let mut rows = Vec::with_capacity(plans.len());
        for ((plan, line), customer) in plans.iter().zip(lines).zip(customers) {
            let known = plan.known.and_then(|id| before.get(&id));
            let customer = known.and_then(|k| k.customer).or(customer);
            rows.push(row(source, plan, known, line.as_ref(), customer, &users));
        }
        debug_assert!(desk.legs.len() >= rows.len(), "a call has a leg");
        Ok(Self {
            rows,
            plans,
            before,
            users,
        })
    }

    async fn write(
        &self,
        tx: &mut PgConnection,
        source: Source,
        desk: &Desk,
        observations: &[Observation],
    ) -> Result<()> {
        for (plan, row) in self.plans.iter().zip(&self.rows) {
            for from in &plan.merged {
                // Before the row takes over the conversation's name.
                store::merge(tx, plan.organization, *from, row.id).await?;
            }
        }
        store::write_calls(tx, &self.rows).await?;
        store::write_legs(tx, &self.leg_rows(source, desk)).await?;
        store::write_events(tx, &self.event_rows(observations)).await?;
        store::write_viewers(tx, &self.rows).await?;
        self.write_usage(tx, source).await?;
        let told: Vec<_> = self
            .rows
            .iter()
            .map(|row| (row.organization_id, self.live_kind(row), row.id.uuid()))
            .collect();
        live::publish(tx, &told).await
    }

    fn live_kind(&self, row: &CallRow) -> LiveKind {
        match (self.before.get(&row.id).map(|b| b.phase), row.state) {
            (Some(Phase::Ended), Phase::Ended) => LiveKind::CallUpdated,
            (_, Phase::Ended) => LiveKind::CallCompleted,
            (None | Some(Phase::Queued), Phase::Queued | Phase::Ringing) => LiveKind::CallRinging,
            _ => LiveKind::CallUpdated,
        }
    }

    fn leg_rows(&self, source: Source, desk: &Desk) -> Vec<LegRow> {
        self.plans
            .iter()
            .zip(&self.rows)
            .flat_map(|(plan, row)| plan.call.legs().iter().map(move |leg| (plan, row, leg)))
            .map(|(plan, row, leg)| {
                let place = (plan.organization, leg.sid().to_owned());
                let stored = desk.legs.get(&place).and_then(|(_, stored)| *stored);
                LegRow {
                    organization_id: plan.organization,
                    id: stored.map_or_else(new_id, |(id, _)| id),
                    call_id: row.id,
                    integration_id: source.integration,
                    sid: leg.sid().to_owned(),
                    parent_sid: leg.parent_sid().map(str::to_owned),
                    phase: leg.phase(),
                    external_party: party(leg.external()),
                    our_number: leg.our_number().map(E164::to_string).unwrap_or_default(),
                    answered_by: leg
                        .user_sid()
                        .and_then(|sid| self.user(plan.organization, sid)),
                    started_at: leg.started_at(),
                    answered_at: leg.answered_at(),
                    ended_at: leg.ended_at(),
                    observed: leg.clone(),
                }
            })
            .collect()
    }

    fn event_rows(&self, observations: &[Observation]) -> Vec<EventRow> {
        let call_of_sid = self.call_of_sid();
        observations
            .iter()
            .filter_map(|o| {
                let told = o.told.as_ref()?;
                let (_, call_id) = call_of_sid.get(o.leg.sid())?;
                Some(EventRow {
                    organization_id: o.organization,
                    id: new_id(),
                    call_id: *call_id,
                    occurred_at: told.occurred_at,
                    kind: told.kind,
                    inbox_id: told.inbox.map(|(id, _)| id),
                    inbox_received_at: told.inbox.map(|(_, at)| at),
                })
            })
            .collect()
    }

    /// Records the difference between what the calls amount to and what was recorded of them, merged ones included.
    async fn write_usage(&self, tx: &mut PgConnection, source: Source) -> Result<()> {
        // An ended call that goes on keeps what was recorded until it ends again.
        let ended: Vec<(&Plan, &CallRow)> = self
            .plans
            .iter()
            .zip(&self.rows)
            .filter(|(_, row)| row.state == Phase::Ended)
            .collect();
        let keys: Vec<(OrganizationId, CallId)> = ended
            .iter()
            .map(|(plan, row)| (plan.organization, row.id))
            .collect();
        let recorded = store::usage_of(tx, &keys).await?;
        let mut usages = Vec::new();
        for (plan, row) in ended {
            let targets = call_usage(source.provider, &plan.call.state());
            let recorded = recorded.get(&row.id).map(Vec::as_slice).unwrap_or_default();
            let changes = due(&targets, recorded).map_err(|e| Error::Internal(e.to_string()))?;
            usages.extend(changes.into_iter().map(|change| usage(row, change)));
        }
        if !usages.is_empty() {
            metering::record(tx, &usages).await?;
        }
        Ok(())
    }

    fn user(&self, organization: OrganizationId, sid: &str) -> Option<UserId> {
        self.users.get(&(organization, sid.to_owned())).copied()
    }

    fn call_of_sid(&self) -> CallOfSid {
        self.plans
            .iter()
            .zip(&self.rows)
            .flat_map(|(plan, row)| {
                plan.call
                    .legs()
                    .iter()
                    .map(|leg| (leg.sid().to_owned(), (plan.organization, row.id)))
            })
            .collect()
    }
}

fn line_key(provider: Provider, plan: &Plan) -> LineKey {
    let state = plan.call.state();
    LineKey {
        provider,
        sid: state.number_sid,
        e164: state.our_number,
        at: state.started_at,
    }
}

/// Who is to be recognized: the person on the other side. Whoever calls in becomes a prospect if nobody knows them.
fn caller(plan: &Plan) -> Option<Caller> {
    let state = plan.call.state();
    let Some(Party::Number(number)) = state.external else {
        return None;
    };
    Some(Caller {
        organization: plan.organization,
        number,
        at: state.started_at,
        is_incoming: state.direction != Some(Direction::Outgoing),
    })
}

fn row(
    source: Source,
    plan: &Plan,
    known: Option<&StoredCall>,
    line: Option<&Line>,
    customer: Option<CustomerId>,
    users: &HashMap<(OrganizationId, String), UserId>,
) -> CallRow {
    let state = plan.call.state();
    let talked: Vec<UserId> = state
        .user_sids
        .iter()
        .filter_map(|sid| users.get(&(plan.organization, sid.clone())).copied())
        .collect();
    let direction = state.direction.unwrap_or(Direction::Incoming);
    let ours = state
        .our_number
        .as_ref()
        .or(line.map(|l| &l.e164))
        .map(E164::to_string)
        .unwrap_or_default();
    let external = party(state.external.as_ref());
    let (from_party, to_party) = match direction {
        Direction::Incoming => (external.clone(), ours),
        Direction::Outgoing => (ours, external.clone()),
    };
    let fetches = known.map_or(0, |k| k.fetches);
    CallRow {
        organization_id: plan.organization,
        id: known.map(|k| k.id).or(plan.known).unwrap_or_else(new_id),
        provider: source.provider,
        conversation_sid: state.root_sid.clone(),
        integration_id: source.integration,
        phone_number_id: line.map(|l| l.number),
        mapping_id: line
            .filter(|l| l.organization == plan.organization)
            .map(|l| l.mapping),
        direction,
        state: state.phase,
        outcome: state.outcome,
        external_party: external,
        from_party,
        to_party,
        customer_id: customer,
        answered_by: talked.first().copied(),
        started_at: state.started_at,
        answered_at: state.answered_at,
        ended_at: ended_at(&plan.call),
        billable_seconds: state.billable.map_or(0, |s| i64::from(s.get())),
        leg_count: plan.call.legs().len(),
        check_at: next_check(&plan.call, fetches).map(|check| match check {
            Check::Fetch { at, .. } | Check::Sweep { at, .. } => at,
        }),
        swept_at: state.swept_at,
        viewer_ids: viewers(state.phase, state.outcome, direction, talked, line),
    }
}

/// A call that was given up has no end of its own: it ends where it was last heard of.
fn ended_at(call: &Call) -> Option<Timestamp> {
    let state = call.state();
    (state.phase == Phase::Ended).then(|| {
        let end = state
            .ended_at
            .or(state.answered_at)
            .unwrap_or(state.started_at);
        state.answered_at.map_or(end, |answered| end.max(answered))
    })
}

/// Members see the calls that they made or answered, and those on their numbers that nobody has answered. While a call
/// is on, everybody on its number sees who has it.
fn viewers(
    phase: Phase,
    outcome: Option<Outcome>,
    direction: Direction,
    talked: Vec<UserId>,
    line: Option<&Line>,
) -> Vec<UserId> {
    let is_settled = phase == Phase::Ended && outcome == Some(Outcome::Answered);
    let mut viewers = talked;
    if !is_settled && direction == Direction::Incoming {
        viewers.extend(line.iter().flat_map(|l| l.users.iter().copied()));
    }
    viewers.sort_unstable();
    viewers.dedup();
    viewers
}

fn party(party: Option<&Party>) -> String {
    party.map(|p| p.as_str().to_owned()).unwrap_or_default()
}

fn usage(row: &CallRow, change: Due) -> NewUsage {
    NewUsage {
        organization: row.organization_id,
        request: UsageRequest {
            meter: change.meter,
            quantity: change.quantity,
            occurred_at: Some(change.occurred_at),
            user: row.answered_by,
            mapping: row.mapping_id,
            customer: row.customer_id,
            resource_type: Some("call".into()),
            resource_id: Some(row.conversation_sid.clone()),
            metadata: Value::Object(serde_json::Map::new()),
        },
        occurred_at: change.occurred_at,
        key: Some(change.key),
        call: Some(row.id),
        corrects: change.corrects,
    }
}
