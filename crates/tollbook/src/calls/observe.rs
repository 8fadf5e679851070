//! The second stage for calls: observations become legs, legs become calls, ended calls become usage.
//!
//! The rules are those of `tollbook_core::calls`; this loads what they need, for a whole batch at a time, and writes
//! what they say. Order and repetition of observations make no difference to the rows.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::{Leg, Provider};
use tollbook_core::ids::{CallId, CallLegId, IntegrationId, OrganizationId};
use tollbook_core::phone::{E164, Party};
use uuid::Uuid;

use super::changes::Changes;
use super::desk::Desk;
use super::effects::Effects;
use crate::customers;
use crate::error::Result;

/// The account at a provider that something is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) integration: IntegrationId,
    pub(crate) provider: Provider,
}

/// One observation of a leg, for an organization.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    pub(crate) source: Source,
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

/// A provider's record of a call or of a part of it: the account, and the provider's id.
pub(crate) type RecordKey = (IntegrationId, String);

/// Where a record belongs now.
#[derive(Debug, Clone)]
pub(crate) struct LegOfCall {
    pub(crate) organization: OrganizationId,
    pub(crate) leg: CallLegId,
    pub(crate) call: CallId,
    /// When it began.
    pub(crate) started_at: Option<Timestamp>,
    /// The other side: whose calls around the same time may belong to the same call.
    pub(crate) external_party: String,
}

/// Which call each record belongs to now.
pub(crate) type CallOfRecord = HashMap<RecordKey, LegOfCall>;

/// Takes in observations of any accounts, in any order and any number of times. Also holds back others who are about to
/// change the calls of `known` records or to write for the persons `writing`, until the transaction ends. Returns the
/// calls of all records concerned, and what is still to be written.
pub(crate) async fn observe(
    tx: &mut PgConnection,
    observations: &[Observation],
    known: &CallOfRecord,
    writing: &[(OrganizationId, E164)],
) -> Result<(CallOfRecord, Effects)> {
    hold_persons(tx, observations, known, writing).await?;
    if observations.is_empty() {
        return Ok((CallOfRecord::new(), Effects::default()));
    }
    let mut desk = Desk::load(tx, observations).await?;
    desk.join(observations);
    desk.load_near(tx).await?;
    let plans = desk.plan()?;
    let changes = Changes::resolve(tx, &desk, plans).await?;
    let effects = changes.write(tx, &desk, observations).await?;
    Ok((changes.call_of_record(&desk), effects))
}

/// Two records of the same person may turn out to be one call, and they may be with two workers at the same time. So
/// whoever looks at a person's calls keeps others from them, all persons of a batch in one order.
async fn hold_persons(
    tx: &mut PgConnection,
    observations: &[Observation],
    known: &CallOfRecord,
    writing: &[(OrganizationId, E164)],
) -> Result<()> {
    let told = observations.iter().filter_map(|o| {
        let number = o.leg.external().and_then(Party::number)?;
        Some((o.organization, number.as_str()))
    });
    let stored = known
        .values()
        .filter(|leg| !leg.external_party.is_empty())
        .map(|leg| (leg.organization, leg.external_party.as_str()));
    let writing = writing.iter().map(|(o, number)| (*o, number.as_str()));
    customers::hold(tx, &told.chain(stored).chain(writing).collect()).await
}
