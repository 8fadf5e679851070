//! Messages given to other customers, with the usage that was recorded of them.

use std::collections::HashMap;

use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{CustomerId, MessageId, OrganizationId};
use uuid::Uuid;

use crate::calls::Effects;
use crate::db::types::Text;
use crate::error::Result;
use crate::live::LiveKind;
use crate::metering::{Attribution, Known, NewUsage, RecordedEvent, given, known_of};

/// A message as it stands. Whoever holds its person keeps others from it.
#[derive(Debug, Clone)]
pub(crate) struct HeldMessage {
    pub(crate) id: MessageId,
    pub(crate) customer: Option<CustomerId>,
    /// The provider's id.
    pub(crate) sid: String,
    provider: Provider,
}

/// The persons who wrote or were written to, to be held before the messages are.
pub(crate) async fn parties_of_messages(
    tx: &mut PgConnection,
    organization: OrganizationId,
    messages: &[MessageId],
) -> Result<Vec<String>> {
    let ids: Vec<Uuid> = messages.iter().map(|id| id.uuid()).collect();
    Ok(sqlx::query_scalar!(
        "select distinct external_party from messages where organization_id = $1 and id = any ($2)",
        organization.uuid(),
        &ids,
    )
    .fetch_all(tx)
    .await?)
}

/// Messages as they stand. The persons are held.
pub(crate) async fn held_messages(
    tx: &mut PgConnection,
    organization: OrganizationId,
    messages: &[MessageId],
) -> Result<Vec<HeldMessage>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = messages.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"select id, customer_id, sid, provider as "provider: Text<Provider>" from messages
         where organization_id = $1 and id = any ($2) order by integration_id, sid"#,
        organization.uuid(),
        &ids,
    )
    .fetch_all(tx)
    .await?;
    let held = rows.into_iter().map(|row| HeldMessage {
        id: row.id.into(),
        customer: row.customer_id.map(CustomerId::from),
        sid: row.sid,
        provider: row.provider.0,
    });
    Ok(held.collect())
}

/// Gives messages to customers, with everything that was recorded of them.
pub(crate) async fn give_messages(
    tx: &mut PgConnection,
    organization: OrganizationId,
    gifts: &[(&HeldMessage, Option<CustomerId>)],
) -> Result<Effects> {
    if gifts.is_empty() {
        return Ok(Effects::default());
    }
    let ids: Vec<Uuid> = gifts.iter().map(|(held, _)| held.id.uuid()).collect();
    let customers: Vec<Option<Uuid>> = gifts.iter().map(|(_, to)| to.map(Uuid::from)).collect();
    sqlx::query!(
        "select id from messages where organization_id = $1 and id = any ($2) order by integration_id, sid for no key update",
        organization.uuid(),
        &ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query!(
        "update messages m set customer_id = k.customer_id
         from unnest($2::uuid[], $3::uuid[]) as k (id, customer_id)
         where m.organization_id = $1 and m.id = k.id",
        organization.uuid(),
        &ids,
        &customers as &[Option<Uuid>],
    )
    .execute(&mut *tx)
    .await?;
    let sids: Vec<_> = gifts
        .iter()
        .map(|(held, _)| (organization, held.sid.as_str()))
        .collect();
    let recorded = usage_of_messages(tx, &sids).await?;
    let mut usages = Vec::new();
    for (held, to) in gifts {
        // Other services may report usage of messages as well.
        let ours = format!("{}:message:", held.provider);
        let known: Vec<Known> = recorded
            .get(&(organization, held.sid.clone()))
            .into_iter()
            .flatten()
            .filter(|it| it.chain.key.starts_with(&ours))
            .cloned()
            .collect();
        let Some(first) = known.first() else { continue };
        let to = Attribution {
            customer: *to,
            ..first.attribution
        };
        let changes = given(&known, to, None)?.into_iter();
        let resource = ("message", held.sid.as_str());
        usages.extend(changes.map(|it| NewUsage::change(organization, resource, None, it)));
    }
    let told =
        |(held, _): &(&HeldMessage, _)| (organization, LiveKind::MessageUpdated, held.id.uuid());
    Ok(Effects {
        jobs: Vec::new(),
        usages,
        told: gifts.iter().map(told).collect(),
        outgoing: Vec::new(),
    })
}

/// What has been recorded of these messages, whomever it went to.
pub(super) async fn usage_of_messages(
    tx: &mut PgConnection,
    messages: &[(OrganizationId, &str)],
) -> Result<HashMap<(OrganizationId, String), Vec<Known>>> {
    if messages.is_empty() {
        return Ok(HashMap::new());
    }
    let (organizations, sids): (Vec<Uuid>, Vec<&str>) =
        messages.iter().map(|(o, sid)| (o.uuid(), *sid)).unzip();
    let events = sqlx::query_as!(
        RecordedEvent,
        "select u.organization_id, u.call_id, u.resource_id, u.id, u.idempotency_key, u.meter, u.occurred_at, u.quantity,
             u.corrects_id, u.user_id, u.mapping_id, u.customer_id
         from (select distinct * from unnest($1::uuid[], $2::text[]) as k (organization_id, sid)) k
         join usage_events u on u.organization_id = k.organization_id and u.resource_id = k.sid and u.resource_type = 'message'",
        &organizations,
        &sids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    known_of(events, |event| {
        Some((event.organization_id.into(), event.resource_id.clone()?))
    })
}
