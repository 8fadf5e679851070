//! What providers charge for communications: pending until they say, asked for until they do. Never 0 for unknown.
//!
//! Only Twilio charges by call and message; webhooks carry no price, so each is asked for after the end. A day after it
//! became known it is asked for once more: what the provider corrected is a new row, and what was rated on the price before
//! is rated again.

pub(crate) mod api;
mod ask;
mod days;
mod months;
mod prices;
mod read;
mod sql;
mod usage;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{CallId, IntegrationId, OrganizationId};
use uuid::Uuid;

use crate::calls::{CallOfRecord, Observation, Source};
use crate::error::Result;
use crate::ids::new_id;

pub(crate) use ask::ask_due;
pub(crate) use days::post_days;
pub(crate) use months::record_months;
pub(crate) use read::bearer;
pub(crate) use usage::{Cost, of_usage};

/// What has a price of its own beside a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Message,
    Recording,
    Voicemail,
}

impl Subject {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Recording => "recording",
            Self::Voicemail => "voicemail",
        }
    }
}

/// A record whose price is to be expected.
#[derive(Debug)]
pub(crate) struct Priced {
    pub(crate) source: Source,
    pub(crate) subject: Subject,
    pub(crate) organization: OrganizationId,
    /// The provider's id of it.
    pub(crate) sid: String,
}

/// Expects the prices of ended calls that `observations` were about, and of other records that have just been written.
/// Expecting one twice changes nothing.
pub(crate) async fn expect(
    tx: &mut PgConnection,
    observations: &[Observation],
    of_records: &CallOfRecord,
    others: &[Priced],
) -> Result<()> {
    let observed: HashSet<IntegrationId> = observations
        .iter()
        .filter(|it| it.source.provider == Provider::Twilio)
        .map(|it| it.source.integration)
        .collect();
    let calls: BTreeSet<(OrganizationId, CallId)> = of_records
        .iter()
        .filter(|((integration, _), _)| observed.contains(integration))
        .map(|(_, leg)| (leg.organization, leg.call))
        .collect();
    let calls: Vec<_> = calls.into_iter().collect();
    sql::expect_calls(tx, &calls, &ids(calls.len())).await?;
    let mut by_kind: BTreeMap<(Source, Subject), BTreeSet<(OrganizationId, &str)>> =
        BTreeMap::new();
    for other in others {
        if other.source.provider == Provider::Twilio {
            let of_kind = by_kind.entry((other.source, other.subject)).or_default();
            of_kind.insert((other.organization, &other.sid));
        }
    }
    for ((source, subject), records) in by_kind {
        let records: Vec<_> = records.into_iter().collect();
        sql::expect_others(tx, source, subject, &records, &ids(records.len())).await?;
    }
    Ok(())
}

fn ids(count: usize) -> Vec<Uuid> {
    (0..count).map(|_| new_id()).collect()
}
