//! What a batch changes: calls with everything that was looked up for them, written a table at a time.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use tollbook_core::calls::{Direction, Phase};
use tollbook_core::ids::{CallId, CallLegId, OrganizationId, UserId};
use tollbook_core::metering::call_usage;
use tollbook_core::phone::{E164, Party};

use super::desk::{Desk, Laid, Plan};
use super::effects::Effects;
use super::observe::{CallOfRecord, LegOfCall, Observation};
use super::parts::{self, Moved};
use super::row::{Found, attribution, caller, line_key, party, row};
use super::store::{self, CallRow, EventRow, LegRow, StoredCall};
use crate::customers;
use crate::error::Result;
use crate::fraud::Outgoing;
use crate::ids::new_id;
use crate::live::LiveKind;
use crate::metering::{Aim, NewUsage, owed};
use crate::numbers;

/// Everything to be written.
pub(super) struct Changes {
    rows: Vec<CallRow>,
    plans: Vec<Plan>,
    before: HashMap<CallId, StoredCall>,
    users: HashMap<(OrganizationId, String), UserId>,
}

impl Changes {
    /// Looks up who and what the calls are about.
    pub(super) async fn resolve(
        tx: &mut PgConnection,
        desk: &Desk,
        plans: Vec<Plan>,
    ) -> Result<Self> {
        let known = known_calls(desk, &plans);
        let before = if known.is_empty() {
            HashMap::new()
        } else {
            store::calls(tx, &known).await?
        };
        let users = store::users_by_sid(tx, &user_keys(&plans)).await?;
        let lines: Vec<_> = plans.iter().map(line_key).collect();
        let lines = numbers::resolve_lines(tx, &lines).await?;
        let callers: Vec<_> = plans.iter().map(caller).collect();
        let customers = customers::recognize(tx, &callers).await?;
        let rows = plans
            .iter()
            .zip(lines)
            .zip(customers)
            .map(|((plan, line), customer)| {
                let known = plan.known.and_then(|id| before.get(&id));
                row(&Found {
                    plan,
                    known,
                    line: line.as_ref(),
                    customer: known.and_then(|k| k.attribution.customer).or(customer),
                    users: &users,
                })
            })
            .collect();
        Ok(Self {
            rows,
            plans,
            before,
            users,
        })
    }

    /// Writes the rows; returns what follows.
    pub(super) async fn write(
        &self,
        tx: &mut PgConnection,
        desk: &Desk,
        observations: &[Observation],
    ) -> Result<Effects> {
        let merged = self.merged();
        if !merged.is_empty() {
            store::lock_calls(tx, &self.known_calls()).await?;
            // Before the rows that stay take over the names of the others.
            store::merge(tx, &merged).await?;
        }
        store::write_calls(tx, &self.rows).await?;
        let seen_anew = self.seen_anew();
        if !seen_anew.is_empty() {
            store::follow_viewers(tx, &seen_anew).await?;
        }
        store::write_legs(tx, &self.leg_rows(desk)).await?;
        let moved = self.moved_legs(desk);
        if !moved.is_empty() {
            store::move_parts(tx, &moved).await?;
        }
        store::write_events(tx, &self.event_rows(desk, observations)).await?;
        let mut usages = self.usages(tx).await?;
        usages.extend(parts::follow(tx, &self.moved(desk)).await?);
        let told = self.rows.iter();
        let told = told.map(|row| (row.organization_id, self.live_kind(row), row.id.uuid()));
        Ok(Effects {
            jobs: Vec::new(),
            told: told.collect(),
            usages,
            outgoing: self.outgoing(),
        })
    }

    /// The calls out that were not known before, to numbers.
    fn outgoing(&self) -> Vec<Outgoing> {
        let is_new = |row: &&CallRow| {
            row.direction == Direction::Outgoing && !self.before.contains_key(&row.id)
        };
        let outgoing = self.rows.iter().filter(is_new).filter_map(|row| {
            Some(Outgoing {
                organization: row.organization_id,
                call: row.id,
                external: row.external_party.parse().ok()?,
                started_at: row.started_at,
            })
        });
        outgoing.collect()
    }

    /// Every call that is there already, those that are none any more included.
    fn known_calls(&self) -> Vec<(OrganizationId, CallId)> {
        let calls = self.plans.iter().flat_map(|plan| {
            let ids = plan.known.iter().chain(&plan.merged);
            ids.map(|id| (plan.organization, *id))
        });
        calls.collect()
    }

    /// Calls that others may see than before, or that began at another time.
    fn seen_anew(&self) -> Vec<(OrganizationId, CallId)> {
        let pairs = self.plans.iter().zip(&self.rows);
        pairs
            .filter(|(plan, row)| match self.before.get(&row.id) {
                Some(before) => {
                    before.viewers != row.viewer_ids || before.started_at != row.started_at
                }
                None => plan.known.is_some(),
            })
            .map(|(_, row)| (row.organization_id, row.id))
            .collect()
    }

    fn merged(&self) -> Vec<(OrganizationId, CallId, CallId)> {
        let pairs = self.plans.iter().zip(&self.rows);
        pairs
            .flat_map(|(plan, row)| {
                plan.merged
                    .iter()
                    .map(move |from| (plan.organization, *from, row.id))
            })
            .collect()
    }

    fn live_kind(&self, row: &CallRow) -> LiveKind {
        match (self.before.get(&row.id).map(|b| b.phase), row.state) {
            (Some(Phase::Ended), Phase::Ended) => LiveKind::CallUpdated,
            (_, Phase::Ended) => LiveKind::CallCompleted,
            (None | Some(Phase::Queued), Phase::Queued | Phase::Ringing) => LiveKind::CallRinging,
            _ => LiveKind::CallUpdated,
        }
    }

    /// All legs of the calls, each with its call.
    fn legs<'a>(&'a self, desk: &'a Desk) -> impl Iterator<Item = (&'a CallRow, &'a Laid)> {
        let pairs = self.plans.iter().zip(&self.rows);
        pairs.flat_map(move |(plan, row)| {
            let legs = plan.call.legs().iter();
            legs.filter_map(move |leg| {
                Some((row, desk.leg(plan.organization, plan.source, leg.sid())?))
            })
        })
    }

    fn leg_rows(&self, desk: &Desk) -> Vec<LegRow> {
        let leg_row = |(row, laid): (&CallRow, &Laid)| {
            let leg = &laid.leg;
            let user = |sid: &str| self.users.get(&(row.organization_id, sid.to_owned()));
            LegRow {
                organization_id: row.organization_id,
                id: laid.id,
                call_id: row.id,
                integration_id: row.integration_id,
                sid: leg.sid().to_owned(),
                parent_sid: leg.parent_sid().map(str::to_owned),
                phase: leg.phase(),
                external_party: party(leg.external()),
                our_number: leg.our_number().map(E164::to_string).unwrap_or_default(),
                answered_by: leg.user_sid().and_then(user).copied(),
                started_at: leg.started_at(),
                answered_at: leg.answered_at(),
                ended_at: leg.ended_at(),
                observed: leg.clone(),
            }
        };
        self.legs(desk).map(leg_row).collect()
    }

    /// The legs that were in another call before.
    fn moved_legs(&self, desk: &Desk) -> Vec<(OrganizationId, CallLegId)> {
        self.legs(desk)
            .filter(|(row, laid)| laid.call.is_some_and(|before| before != row.id))
            .map(|(row, laid)| (row.organization_id, laid.id))
            .collect()
    }

    /// The records whose calls are attributed otherwise than those that they were in before.
    fn moved(&self, desk: &Desk) -> Vec<Moved> {
        let moved = |(row, laid): (&CallRow, &Laid)| {
            let before = self.before.get(&laid.call?)?;
            let to = attribution(row);
            (before.attribution != to).then(|| Moved {
                organization: row.organization_id,
                provider: row.provider,
                sid: laid.leg.sid().to_owned(),
                to,
                started_at: laid.leg.started_at(),
            })
        };
        self.legs(desk).filter_map(moved).collect()
    }

    fn event_rows(&self, desk: &Desk, observations: &[Observation]) -> Vec<EventRow> {
        let call_of_record = self.call_of_record(desk);
        let event_row = |o: &Observation| {
            let told = o.told.as_ref()?;
            let key = (o.source.integration, o.leg.sid().to_owned());
            let leg = call_of_record.get(&key)?;
            Some(EventRow {
                organization_id: o.organization,
                id: new_id(),
                call_id: leg.call,
                leg_id: leg.leg,
                occurred_at: told.occurred_at,
                kind: told.kind,
                inbox_id: told.inbox.map(|(id, _)| id),
                inbox_received_at: told.inbox.map(|(_, at)| at),
            })
        };
        observations.iter().filter_map(event_row).collect()
    }

    /// The difference between what the calls amount to and what was recorded of them, merged ones included.
    async fn usages(&self, tx: &mut PgConnection) -> Result<Vec<NewUsage>> {
        // An ended call that goes on keeps what was recorded until it ends again; one that loses a leg does not.
        let ended: Vec<(&Plan, &CallRow)> = self
            .plans
            .iter()
            .zip(&self.rows)
            .filter(|(_, row)| row.state == Phase::Ended)
            .collect();
        let keys: Vec<(OrganizationId, CallId)> = ended
            .iter()
            .filter(|(plan, _)| plan.known.is_some())
            .map(|(_, row)| (row.organization_id, row.id))
            .collect();
        let recorded = if keys.is_empty() {
            HashMap::new()
        } else {
            store::usage_of(tx, &keys).await?
        };
        let mut usages = Vec::new();
        for (plan, row) in ended {
            let targets = call_usage(plan.source.provider, &plan.call.state());
            let aim = |target| Aim {
                target,
                attribution: attribution(row),
            };
            let aims: Vec<Aim> = targets.into_iter().map(aim).collect();
            let recorded = recorded.get(&row.id).map(Vec::as_slice).unwrap_or_default();
            let changes = owed(&aims, recorded)?.into_iter();
            usages.extend(changes.map(|change| {
                let resource = ("call", row.conversation_sid.as_str());
                NewUsage::change(row.organization_id, resource, Some(row.id), change)
            }));
        }
        Ok(usages)
    }

    /// Which call each leg belongs to now.
    pub(super) fn call_of_record(&self, desk: &Desk) -> CallOfRecord {
        let leg_of_call = |(row, laid): (&CallRow, &Laid)| {
            let of = LegOfCall {
                organization: row.organization_id,
                leg: laid.id,
                call: row.id,
                started_at: laid.leg.started_at(),
                external_party: external_number(laid),
            };
            ((row.integration_id, laid.leg.sid().to_owned()), of)
        };
        self.legs(desk).map(leg_of_call).collect()
    }
}

/// The calls that the legs of the plans are in so far, and those whose rows the plans go on.
fn known_calls(desk: &Desk, plans: &[Plan]) -> Vec<(OrganizationId, CallId)> {
    let known = plans.iter().flat_map(|plan| {
        let legs = plan.call.legs().iter();
        let laid = legs.filter_map(|leg| desk.leg(plan.organization, plan.source, leg.sid())?.call);
        let calls = laid.chain(plan.known);
        calls.map(|call| (plan.organization, call))
    });
    let known: HashSet<_> = known.collect();
    known.into_iter().collect()
}

fn external_number(laid: &Laid) -> String {
    let number = laid.leg.external().and_then(Party::number);
    number.map(E164::to_string).unwrap_or_default()
}

fn user_keys(plans: &[Plan]) -> Vec<(OrganizationId, String)> {
    let keys: HashSet<(OrganizationId, String)> = plans
        .iter()
        .flat_map(|p| {
            let legs = p.call.legs().iter();
            legs.filter_map(move |l| Some((p.organization, l.user_sid()?.to_owned())))
        })
        .collect();
    keys.into_iter().collect()
}
