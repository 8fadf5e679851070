//! The legs that a batch is about, with those they may belong to, and the calls that all of them make up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use tollbook_core::calls::{Call, FORWARD_WINDOW_SECONDS, Leg, group};
use tollbook_core::ids::{CallId, CallLegId, IntegrationId, OrganizationId};
use tollbook_core::phone::Party;

use super::observe::{Observation, Source};
use super::store::{self, Near, StoredLeg};
use crate::error::{Error, Result};
use crate::ids::new_id;

/// Whose leg, of which account, under which provider's id.
type Place = (OrganizationId, IntegrationId, String);

/// A leg at hand.
pub(super) struct Laid {
    pub(super) source: Source,
    pub(super) leg: Leg,
    /// Its row, which may still have to be made.
    pub(super) id: CallLegId,
    /// The call that its row belongs to so far.
    pub(super) call: Option<CallId>,
    is_touched: bool,
}

/// The legs at hand.
pub(super) struct Desk {
    legs: BTreeMap<Place, Laid>,
}

/// A call as it is to be, before people and numbers are looked up.
pub(super) struct Plan {
    pub(super) organization: OrganizationId,
    pub(super) source: Source,
    pub(super) call: Call,
    /// The row it goes on, if one of its legs has one, and the rows that are no calls of their own any more.
    pub(super) known: Option<CallId>,
    pub(super) merged: Vec<CallId>,
}

impl Desk {
    /// The legs that the observations name, with all that are in a call with them.
    pub(super) async fn load(tx: &mut PgConnection, observations: &[Observation]) -> Result<Self> {
        let keys: BTreeSet<(Source, &str)> = observations
            .iter()
            .flat_map(|o| {
                let sids = std::iter::once(o.leg.sid()).chain(o.leg.parent_sid());
                sids.map(move |sid| (o.source, sid))
            })
            .collect();
        let keys: Vec<(Source, &str)> = keys.into_iter().collect();
        let mut desk = Self {
            legs: BTreeMap::new(),
        };
        desk.add(store::legs_of(tx, &keys).await?);
        Ok(desk)
    }

    fn add(&mut self, stored: Vec<StoredLeg>) {
        for stored in stored {
            let sid = stored.leg.sid().to_owned();
            let place = (stored.organization, stored.source.integration, sid);
            self.legs.entry(place).or_insert(Laid {
                source: stored.source,
                leg: stored.leg,
                id: stored.id,
                call: Some(stored.call),
                is_touched: false,
            });
        }
    }

    pub(super) fn join(&mut self, observations: &[Observation]) {
        for o in observations {
            let place = (o.organization, o.source.integration, o.leg.sid().to_owned());
            match self.legs.get_mut(&place) {
                Some(laid) => {
                    laid.leg.join(o.leg.clone());
                    laid.is_touched = true;
                }
                None => drop(self.legs.insert(
                    place,
                    Laid {
                        source: o.source,
                        leg: o.leg.clone(),
                        id: new_id(),
                        call: None,
                        is_touched: true,
                    },
                )),
            }
        }
    }

    /// A caller who is sent on leaves records that do not name each other, so the person's other calls around that
    /// time are needed too.
    pub(super) async fn load_near(&mut self, tx: &mut PgConnection) -> Result<()> {
        let window = SignedDuration::from_secs(FORWARD_WINDOW_SECONDS);
        let touched = self.legs.iter().filter(|(_, laid)| laid.is_touched);
        let near: Vec<Near> = touched
            .filter_map(|((organization, integration, _), laid)| {
                let external = laid.leg.external().and_then(Party::number)?;
                let at = laid.leg.started_at()?;
                Some(Near {
                    organization: *organization,
                    integration: *integration,
                    external_party: external.to_string(),
                    from: at.checked_sub(window).unwrap_or(Timestamp::MIN),
                    to: at.checked_add(window).unwrap_or(Timestamp::MAX),
                })
            })
            .collect();
        if !near.is_empty() {
            let stored = store::legs_near(tx, &near).await?;
            self.add(stored);
        }
        Ok(())
    }

    /// The leg of a record.
    pub(super) fn leg(
        &self,
        organization: OrganizationId,
        source: Source,
        sid: &str,
    ) -> Option<&Laid> {
        self.legs
            .get(&(organization, source.integration, sid.to_owned()))
    }

    /// The calls that the legs make up, as far as anything about them changes.
    pub(super) fn plan(&self) -> Result<Vec<Plan>> {
        let mut by_account: BTreeMap<(OrganizationId, Source), Vec<Leg>> = BTreeMap::new();
        for ((organization, _, _), laid) in &self.legs {
            let legs = by_account.entry((*organization, laid.source)).or_default();
            legs.push(laid.leg.clone());
        }
        let mut calls = Vec::new();
        for ((organization, source), legs) in by_account {
            calls.extend(
                group(legs)
                    .into_iter()
                    .map(|call| self.found(organization, source, call)),
            );
        }
        let changed: HashSet<CallId> = calls
            .iter()
            .filter(|found| found.is_changed)
            .flat_map(|found| found.rows.iter().copied())
            .collect();
        let mut plans: Vec<Plan> = calls
            .into_iter()
            // A call whose row another call of the batch was on as well loses a leg or the row.
            .filter(|found| found.is_changed || found.rows.iter().any(|id| changed.contains(id)))
            .map(|found| {
                let mut rows = found.rows.into_iter();
                Plan {
                    organization: found.organization,
                    source: found.source,
                    call: found.call,
                    known: rows.next(),
                    merged: rows.collect(),
                }
            })
            .collect();
        split_shared_rows(&mut plans)?;
        Ok(plans)
    }

    fn found(&self, organization: OrganizationId, source: Source, call: Call) -> Found {
        let laid: Vec<&Laid> = call
            .legs()
            .iter()
            .filter_map(|leg| self.leg(organization, source, leg.sid()))
            .collect();
        // The row made first stays, so that what refers to it stays right; identifiers sort by time.
        let rows: BTreeSet<CallId> = laid.iter().filter_map(|laid| laid.call).collect();
        Found {
            organization,
            source,
            is_changed: rows.len() > 1 || laid.iter().any(|laid| laid.is_touched),
            rows: rows.into_iter().collect(),
            call,
        }
    }
}

/// A call, and the rows that its legs are on, in order.
struct Found {
    organization: OrganizationId,
    source: Source,
    call: Call,
    rows: Vec<CallId>,
    is_changed: bool,
}

/// Legs that were one call and are two now (a later observation corrected what joined them): the first keeps the row.
fn split_shared_rows(plans: &mut [Plan]) -> Result<()> {
    let mut taken: HashSet<CallId> = HashSet::new();
    for plan in plans.iter_mut() {
        let rows = plan.known.iter().chain(&plan.merged).copied();
        let mut free = rows
            .filter(|id| !taken.contains(id))
            .collect::<Vec<_>>()
            .into_iter();
        plan.known = free.next();
        plan.merged = free.collect();
        taken.extend(plan.known);
        taken.extend(&plan.merged);
    }
    let mut uses: HashMap<CallId, u32> = HashMap::new();
    for id in plans.iter().flat_map(|p| p.known.iter().chain(&p.merged)) {
        *uses.entry(*id).or_default() += 1;
    }
    if uses.values().any(|uses| *uses > 1) {
        return Err(Error::Internal("two calls would be on one row".into()));
    }
    Ok(())
}
