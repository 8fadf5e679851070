//! What is used by the parts of calls: voicemails, recordings and transcripts. It goes where the call goes, whichever of
//! the two was heard of first.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::OrganizationId;
use tollbook_core::metering::Due;

use super::store;
use crate::error::Result;
use crate::metering::{Attribution, Known, NewUsage, given};

/// A record whose call is attributed otherwise than before.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub(super) organization: OrganizationId,
    pub(super) provider: Provider,
    pub(super) sid: String,
    pub(super) to: Attribution,
    /// When the record began: the time at which its parts count.
    pub(super) started_at: Option<Timestamp>,
}

/// Takes with these records what was recorded of their parts.
pub(super) async fn follow(tx: &mut PgConnection, moved: &[Moved]) -> Result<Vec<NewUsage>> {
    if moved.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<_> = moved
        .iter()
        .map(|it| (it.organization, it.provider, it.sid.as_str()))
        .collect();
    let recorded = usage_of_parts(tx, &keys).await?;
    let mut usages = Vec::new();
    for record in moved {
        let Some(known) = recorded.get(&(record.organization, record.sid.clone())) else {
            continue;
        };
        let changes = given(known, record.to, record.started_at)?;
        let usage = |change| part_usage(record.organization, &record.sid, change);
        usages.extend(changes.into_iter().map(usage));
    }
    Ok(usages)
}

/// What has been recorded of the parts of these records.
pub(crate) async fn usage_of_parts(
    tx: &mut PgConnection,
    records: &[(OrganizationId, Provider, &str)],
) -> Result<HashMap<(OrganizationId, String), Vec<Known>>> {
    let mut recorded = store::usage_of_records(tx, records).await?;
    for (organization, provider, sid) in records {
        // Other services may report usage of calls as well.
        let ours = ["voicemail", "recording", "transcript"].map(|it| format!("{provider}:{it}:"));
        if let Some(known) = recorded.get_mut(&(*organization, (*sid).to_owned())) {
            known.retain(|it| ours.iter().any(|start| it.chain.key.starts_with(start)));
        }
    }
    Ok(recorded)
}

/// The event that records a difference in what the parts of a record amount to.
pub(crate) fn part_usage(
    organization: OrganizationId,
    sid: &str,
    change: (Due, Attribution),
) -> NewUsage {
    // What a call's own recount compares with is only the call itself, so its parts do not name it.
    NewUsage::change(organization, ("call", sid), None, change)
}
