//! Calls given to other customers: what was recorded of a call is taken back where it went and recorded anew, and so rated
//! anew.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{CallId, CustomerId, IntegrationId, MappingId, OrganizationId, UserId};
use tollbook_core::phone::{E164, Party};
use uuid::Uuid;

use super::effects::Effects;
use super::parts::{self, Moved};
use super::store::{self, StoredLeg};
use crate::customers;
use crate::db::types::Text;
use crate::error::{Error, Result};
use crate::inbox;
use crate::live::LiveKind;
use crate::metering::{Attribution, NewUsage, given};

/// A call as it stands, kept from others until the transaction ends.
#[derive(Debug, Clone)]
pub(crate) struct HeldCall {
    pub(crate) id: CallId,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) is_prospect: bool,
    /// Of the other side.
    pub(crate) number: Option<E164>,
    provider: Provider,
    root_sid: String,
    attribution: Attribution,
    records: Vec<Record>,
}

/// A record of the call.
#[derive(Debug, Clone)]
struct Record {
    sid: String,
    started_at: Option<Timestamp>,
}

impl HeldCall {
    /// The provider's ids of the call and of its records.
    pub(crate) fn sids(&self) -> impl Iterator<Item = &str> {
        let records = self.records.iter().map(|record| record.sid.as_str());
        records.chain([self.root_sid.as_str()])
    }
}

/// Keeps everybody else from calls: interpreters and other people by their records, and by the persons on the line and
/// `others`. Calls that are none any more are left out.
pub(crate) async fn hold_calls(
    tx: &mut PgConnection,
    organization: OrganizationId,
    calls: &[CallId],
    others: &BTreeSet<String>,
) -> Result<Vec<HeldCall>> {
    let keys: Vec<_> = calls.iter().map(|call| (organization, *call)).collect();
    let legs = store::legs_of_calls(tx, &keys).await?;
    let records: Vec<(IntegrationId, &str)> = legs
        .iter()
        .flat_map(|stored| {
            let sids = stored
                .leg
                .parent_sid()
                .into_iter()
                .chain([stored.leg.sid()]);
            sids.map(move |sid| (stored.source.integration, sid))
        })
        .collect();
    inbox::hold(tx, &records).await?;
    let mut persons = persons(organization, &legs);
    persons.extend(others.iter().map(|number| (organization, number.as_str())));
    customers::hold(tx, &persons).await?;
    let mut of_call: HashMap<CallId, Vec<Record>> = HashMap::new();
    for stored in &legs {
        let record = Record {
            sid: stored.leg.sid().to_owned(),
            started_at: stored.leg.started_at(),
        };
        of_call.entry(stored.call).or_default().push(record);
    }
    let ids: Vec<Uuid> = calls.iter().map(|call| call.uuid()).collect();
    let rows = sqlx::query!(
        r#"select c.id, c.customer_id, coalesce(k.kind = 'prospect', false) as "is_prospect!", c.external_party,
             c.provider as "provider: Text<Provider>", c.conversation_sid, c.answered_by, c.mapping_id
           from calls c
           left join customers k on k.organization_id = c.organization_id and k.id = c.customer_id
           where c.organization_id = $1 and c.id = any ($2) and c.merged_into_id is null
           order by c.id"#,
        organization.uuid(),
        &ids,
    )
    .fetch_all(tx)
    .await?;
    let held = rows.into_iter().map(|row| {
        let customer = row.customer_id.map(CustomerId::from);
        HeldCall {
            id: row.id.into(),
            customer,
            is_prospect: row.is_prospect,
            number: Party::read(&row.external_party).number().cloned(),
            provider: row.provider.0,
            root_sid: row.conversation_sid,
            attribution: Attribution {
                user: row.answered_by.map(UserId::from),
                mapping: row.mapping_id.map(MappingId::from),
                customer,
            },
            records: of_call.remove(&row.id.into()).unwrap_or_default(),
        }
    });
    Ok(held.collect())
}

fn persons(organization: OrganizationId, legs: &[StoredLeg]) -> BTreeSet<(OrganizationId, &str)> {
    let numbers = legs.iter().filter_map(|stored| {
        let number = stored.leg.external().and_then(Party::number)?;
        Some((organization, number.as_str()))
    });
    numbers.collect()
}

/// Gives calls to customers, each with everything that was recorded of it and of its parts.
pub(crate) async fn give_calls(
    tx: &mut PgConnection,
    organization: OrganizationId,
    gifts: &[(&HeldCall, Option<CustomerId>)],
) -> Result<Effects> {
    if gifts.is_empty() {
        return Ok(Effects::default());
    }
    let keys: Vec<_> = gifts
        .iter()
        .map(|(held, _)| (organization, held.id))
        .collect();
    store::lock_calls(tx, &keys).await?;
    give_rows(tx, organization, gifts).await?;
    let mut recorded = store::usage_of(tx, &keys).await?;
    let (mut usages, mut moved) = (Vec::new(), Vec::new());
    for (held, customer) in gifts {
        let to = Attribution {
            customer: *customer,
            ..held.attribution
        };
        let known = recorded.remove(&held.id).unwrap_or_default();
        let changes = given(&known, to, None)?.into_iter();
        let resource = ("call", held.root_sid.as_str());
        usages
            .extend(changes.map(|it| NewUsage::change(organization, resource, Some(held.id), it)));
        moved.extend(held.records.iter().map(|record| Moved {
            organization,
            provider: held.provider,
            sid: record.sid.clone(),
            to,
            started_at: record.started_at,
        }));
    }
    usages.extend(parts::follow(tx, &moved).await?);
    let told = |(held, _): &(&HeldCall, _)| (organization, LiveKind::CallUpdated, held.id.uuid());
    Ok(Effects {
        jobs: Vec::new(),
        usages,
        told: gifts.iter().map(told).collect(),
        outgoing: Vec::new(),
    })
}

async fn give_rows(
    tx: &mut PgConnection,
    organization: OrganizationId,
    gifts: &[(&HeldCall, Option<CustomerId>)],
) -> Result<()> {
    let ids: Vec<Uuid> = gifts.iter().map(|(held, _)| held.id.uuid()).collect();
    let to: Vec<Option<Uuid>> = gifts.iter().map(|(_, to)| to.map(Uuid::from)).collect();
    let from: Vec<Option<Uuid>> = gifts
        .iter()
        .map(|(held, _)| held.attribution.customer.map(Uuid::from))
        .collect();
    // Giving a number may have brought a call along; but somebody else may have done so with another number of a prospect.
    let updated = sqlx::query!(
        "update calls c set customer_id = k.to_id, updated_at = now()
         from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as k (id, from_id, to_id)
         where c.organization_id = $1 and c.id = k.id
             and (c.customer_id is not distinct from k.from_id or c.customer_id is not distinct from k.to_id)",
        organization.uuid(),
        &ids,
        &from as &[Option<Uuid>],
        &to as &[Option<Uuid>],
    )
    .execute(tx)
    .await?;
    if usize::try_from(updated.rows_affected()) != Ok(gifts.len()) {
        return Err(Error::Unavailable("the call is being given away".into()));
    }
    Ok(())
}
