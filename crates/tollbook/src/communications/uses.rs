//! What is used by messages and by the parts of calls, and the difference to what was recorded.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{CallId, OrganizationId};
use tollbook_core::metering::Target;

use super::give::usage_of_messages;
use super::sql::{self, MessageRow};
use crate::calls::{part_usage, usage_of_parts};
use crate::error::Result;
use crate::metering::{self, Aim, Attribution, Known, NewUsage, first_key, owed};

/// A usage that a batch amounts to, with what it is attributed to.
pub(super) struct Use {
    pub(super) organization: OrganizationId,
    pub(super) target: Target,
    pub(super) of: Of,
}

/// What was used.
pub(super) enum Of {
    /// A part of a call: the provider's record that it belongs to, and the call that this is in.
    Record {
        provider: Provider,
        sid: String,
        call: CallId,
    },
    Message(Box<MessageRow>),
}

/// The difference between what things amount to and what was recorded of them.
pub(super) async fn usages(tx: &mut PgConnection, uses: Vec<Use>) -> Result<Vec<NewUsage>> {
    if uses.is_empty() {
        return Ok(Vec::new());
    }
    let recorded = Recorded::of(tx, &uses).await?;
    let mut usages = Vec::new();
    let mut seen = HashSet::new();
    for use_ in uses {
        if !seen.insert((use_.organization, use_.target.key.clone())) {
            continue;
        }
        let known = recorded.known(&use_);
        let attribution = match &use_.of {
            // A message's correction goes where the usage is that it corrects.
            Of::Message(message) => in_force(&known).map_or(
                Attribution {
                    user: message.sent_by,
                    mapping: message.mapping_id,
                    customer: message.customer_id,
                },
                |known| known.attribution,
            ),
            Of::Record { call, .. } => recorded.calls.get(call).copied().unwrap_or_default(),
        };
        let aim = Aim {
            target: use_.target,
            attribution,
        };
        let changes = owed(&[aim], &known)?.into_iter();
        let organization = use_.organization;
        usages.extend(changes.map(|change| match &use_.of {
            Of::Message(message) => {
                let resource = ("message", message.sid.as_str());
                NewUsage::change(message.organization_id, resource, None, change)
            }
            Of::Record { sid, .. } => part_usage(organization, sid, change),
        }));
    }
    Ok(usages)
}

/// What of the usage of one thing has not been taken back.
fn in_force(known: &[Known]) -> Option<&Known> {
    known.iter().find(|it| !it.chain.quantity.is_zero())
}

/// What was recorded of the things of a batch, and to whom their calls are attributed.
struct Recorded {
    by_key: HashMap<(OrganizationId, String), Known>,
    by_record: HashMap<(OrganizationId, String), Vec<Known>>,
    by_message: HashMap<(OrganizationId, String), Vec<Known>>,
    calls: HashMap<CallId, Attribution>,
}

impl Recorded {
    async fn of(tx: &mut PgConnection, uses: &[Use]) -> Result<Self> {
        let keys: Vec<(OrganizationId, &str)> = uses
            .iter()
            .map(|use_| (use_.organization, use_.target.key.as_str()))
            .collect();
        let parts = || {
            uses.iter().filter_map(|use_| match &use_.of {
                Of::Record {
                    provider,
                    sid,
                    call,
                } => Some((use_.organization, *provider, sid.as_str(), *call)),
                Of::Message(_) => None,
            })
        };
        let messages: Vec<_> = uses
            .iter()
            .filter_map(|use_| match &use_.of {
                Of::Message(message) => Some((use_.organization, message.sid.as_str())),
                Of::Record { .. } => None,
            })
            .collect();
        let calls: Vec<_> = parts().map(|(o, _, _, call)| (o, call)).collect();
        let records: Vec<_> = parts().map(|(o, p, sid, _)| (o, p, sid)).collect();
        Ok(Self {
            by_key: metering::recorded_by_key(tx, &keys).await?,
            by_record: usage_of_parts(tx, &records).await?,
            by_message: usage_of_messages(tx, &messages).await?,
            calls: sql::attribution(tx, &calls).await?,
        })
    }

    /// What was recorded of a thing, wherever it went.
    fn known(&self, of: &Use) -> Vec<Known> {
        let of_thing = match &of.of {
            Of::Record { sid, .. } => self.by_record.get(&(of.organization, sid.clone())),
            Of::Message(message) => {
                let place = (of.organization, message.sid.clone());
                self.by_message.get(&place)
            }
        };
        let is_it = |it: &&Known| first_key(&it.chain.key) == of.target.key;
        let mut known: Vec<Known> = of_thing
            .into_iter()
            .flatten()
            .filter(is_it)
            .cloned()
            .collect();
        let place = (of.organization, of.target.key.clone());
        if let Some(first) = self.by_key.get(&place)
            && known.iter().all(|it| it.chain.first != first.chain.first)
        {
            known.push(first.clone());
        }
        known
    }
}
