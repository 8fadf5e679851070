//! Reads and writes legs and calls, a batch at a time. Runs as the platform: a batch may hold several organizations.
//!
//! Wide rows go as one JSON parameter instead of twenty arrays.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::calls::{Leg, Outcome, Phase, Provider};
use tollbook_core::ids::{
    CallId, CallLegId, CustomerId, IntegrationId, MappingId, OrganizationId, PhoneNumberId,
    UsageEventId, UserId,
};
use tollbook_core::metering::{MeterCode, Recorded, recorded};
use tollbook_core::money::Quantity;
use uuid::Uuid;

use crate::error::{Error, Result};

/// A leg as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredLeg {
    pub(crate) organization: OrganizationId,
    pub(crate) id: CallLegId,
    pub(crate) call: CallId,
    pub(crate) leg: Leg,
}

/// What of a stored call a change is compared with.
#[derive(Debug, Clone)]
pub(crate) struct StoredCall {
    pub(crate) id: CallId,
    pub(crate) phase: Phase,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) fetches: u32,
}

/// A call row to write.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CallRow {
    pub(crate) organization_id: OrganizationId,
    pub(crate) id: CallId,
    pub(crate) provider: Provider,
    pub(crate) conversation_sid: String,
    pub(crate) integration_id: IntegrationId,
    pub(crate) phone_number_id: Option<PhoneNumberId>,
    pub(crate) mapping_id: Option<MappingId>,
    pub(crate) direction: tollbook_core::calls::Direction,
    pub(crate) state: Phase,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) external_party: String,
    pub(crate) from_party: String,
    pub(crate) to_party: String,
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) answered_by: Option<UserId>,
    pub(crate) started_at: Timestamp,
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) billable_seconds: i64,
    pub(crate) leg_count: usize,
    pub(crate) check_at: Option<Timestamp>,
    pub(crate) swept_at: Option<Timestamp>,
    pub(crate) viewer_ids: Vec<UserId>,
}

/// A leg row to write.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LegRow {
    pub(crate) organization_id: OrganizationId,
    pub(crate) id: CallLegId,
    pub(crate) call_id: CallId,
    pub(crate) integration_id: IntegrationId,
    pub(crate) sid: String,
    pub(crate) parent_sid: Option<String>,
    pub(crate) phase: Phase,
    pub(crate) external_party: String,
    pub(crate) our_number: String,
    pub(crate) answered_by: Option<UserId>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) observed: Leg,
}

/// A line of a call's timeline to write.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EventRow {
    pub(crate) organization_id: OrganizationId,
    pub(crate) id: Uuid,
    pub(crate) call_id: CallId,
    pub(crate) occurred_at: Timestamp,
    pub(crate) kind: &'static str,
    pub(crate) inbox_id: Option<Uuid>,
    pub(crate) inbox_received_at: Option<Timestamp>,
}

fn json<T: Serialize>(rows: &[T]) -> Result<serde_json::Value> {
    serde_json::to_value(rows).map_err(|e| Error::Internal(format!("rows cannot be written: {e}")))
}

/// All legs of every call that one of `sids` is a leg of, or the parent of one.
pub(crate) async fn legs_of(
    tx: &mut PgConnection,
    integration: IntegrationId,
    sids: &[&str],
) -> Result<Vec<StoredLeg>> {
    let rows = sqlx::query!(
        r#"select l.organization_id, l.id, l.call_id, l.observed
         from call_legs l
         where (l.organization_id, l.call_id) in (
             select organization_id, call_id from call_legs where integration_id = $1 and sid = any($2)
             union
             select organization_id, call_id from call_legs where integration_id = $1 and parent_sid = any($2))"#,
        integration.uuid(),
        sids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| stored_leg(row.organization_id, row.id, row.call_id, row.observed))
        .collect()
}

/// All legs of a call.
pub(crate) async fn legs_of_call(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Vec<StoredLeg>> {
    let rows = sqlx::query!(
        "select organization_id, id, call_id, observed from call_legs where organization_id = $1 and call_id = $2",
        organization.uuid(),
        call.uuid(),
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| stored_leg(row.organization_id, row.id, row.call_id, row.observed))
        .collect()
}

/// Which calls these provider records belong to.
pub(crate) async fn calls_of_sids(
    tx: &mut PgConnection,
    integration: IntegrationId,
    sids: &[&str],
) -> Result<HashMap<String, (OrganizationId, CallId)>> {
    let rows = sqlx::query!(
        "select sid, organization_id, call_id from call_legs where integration_id = $1 and sid = any($2)
         -- all organizations: which one a record belongs to is what is asked",
        integration.uuid(),
        sids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.sid, (row.organization_id.into(), row.call_id.into())))
        .collect())
}

/// A person on the line around a time: their calls may belong together.
pub(crate) struct Near {
    pub(crate) organization: OrganizationId,
    pub(crate) external_party: String,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// All legs of the calls that these persons began in these times.
pub(crate) async fn legs_near(
    tx: &mut PgConnection,
    integration: IntegrationId,
    near: &[Near],
) -> Result<Vec<StoredLeg>> {
    let organizations: Vec<Uuid> = near.iter().map(|n| n.organization.uuid()).collect();
    let parties: Vec<&str> = near.iter().map(|n| n.external_party.as_str()).collect();
    let from: Vec<_> = near.iter().map(|n| n.from.to_sqlx()).collect();
    let to: Vec<_> = near.iter().map(|n| n.to.to_sqlx()).collect();
    let rows = sqlx::query!(
        r#"select l.organization_id, l.id, l.call_id, l.observed
         from call_legs l
         where (l.organization_id, l.call_id) in (
             select n.organization_id, n.call_id
             from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[]) as k (organization_id, party, since, until)
             join call_legs n on n.organization_id = k.organization_id and n.external_party = k.party
                 and n.started_at between k.since and k.until and n.integration_id = $1)"#,
        integration.uuid(),
        &organizations,
        &parties as &[&str],
        &from,
        &to,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| stored_leg(row.organization_id, row.id, row.call_id, row.observed))
        .collect()
}

fn stored_leg(
    organization: Uuid,
    id: Uuid,
    call: Uuid,
    observed: serde_json::Value,
) -> Result<StoredLeg> {
    let leg = serde_json::from_value(observed)
        .map_err(|e| Error::Internal(format!("leg {id} cannot be read: {e}")))?;
    Ok(StoredLeg {
        organization: organization.into(),
        id: id.into(),
        call: call.into(),
        leg,
    })
}

/// The calls with these ids, those already merged into another left out.
pub(crate) async fn calls(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, CallId)],
) -> Result<HashMap<CallId, StoredCall>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select c.id, c.state as "state: crate::db::types::Text<Phase>", c.customer_id, c.fetches
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join calls c on c.organization_id = k.organization_id and c.id = k.id
         where c.merged_into_id is null"#,
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let call = StoredCall {
                id: row.id.into(),
                phase: row.state.0,
                customer: row.customer_id.map(CustomerId::from),
                fetches: u32::try_from(row.fetches).unwrap_or(0),
            };
            (call.id, call)
        })
        .collect())
}

/// Writes calls, new and known. Locks in key order.
pub(crate) async fn write_calls(tx: &mut PgConnection, rows: &[CallRow]) -> Result<()> {
    sqlx::query_file!("src/calls/write_calls.sql", json(rows)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes legs, new and known. Locks in key order.
pub(crate) async fn write_legs(tx: &mut PgConnection, rows: &[LegRow]) -> Result<()> {
    sqlx::query!(
        "insert into call_legs as l (organization_id, id, call_id, integration_id, sid, parent_sid, phase, external_party,
             our_number, answered_by, started_at, answered_at, ended_at, observed)
         select organization_id, id, call_id, integration_id, sid, parent_sid, phase, external_party,
             our_number, answered_by, started_at, answered_at, ended_at, observed
         from jsonb_to_recordset($1) as r (organization_id uuid, id uuid, call_id uuid, integration_id uuid, sid text,
             parent_sid text, phase text, external_party text, our_number text, answered_by uuid, started_at timestamptz,
             answered_at timestamptz, ended_at timestamptz, observed jsonb)
         order by organization_id, integration_id, sid
         on conflict (organization_id, integration_id, sid) do update
         set call_id = excluded.call_id, parent_sid = excluded.parent_sid, phase = excluded.phase,
             external_party = excluded.external_party, our_number = excluded.our_number, answered_by = excluded.answered_by,
             started_at = excluded.started_at, answered_at = excluded.answered_at, ended_at = excluded.ended_at,
             observed = excluded.observed",
        json(rows)?,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes the timeline; a webhook interpreted again adds nothing.
pub(crate) async fn write_events(tx: &mut PgConnection, rows: &[EventRow]) -> Result<()> {
    sqlx::query!(
        "insert into call_events (organization_id, id, call_id, occurred_at, kind, inbox_id, inbox_received_at)
         select organization_id, id, call_id, occurred_at, kind, inbox_id, inbox_received_at
         from jsonb_to_recordset($1) as r (organization_id uuid, id uuid, call_id uuid, occurred_at timestamptz, kind text,
             inbox_id uuid, inbox_received_at timestamptz)
         order by organization_id, inbox_id, kind
         on conflict (organization_id, inbox_id, kind) where inbox_id is not null do nothing",
        json(rows)?,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes the members' lists follow the viewers of these calls.
pub(crate) async fn write_viewers(tx: &mut PgConnection, rows: &[CallRow]) -> Result<()> {
    let (organizations, calls): (Vec<Uuid>, Vec<Uuid>) = rows
        .iter()
        .map(|r| (r.organization_id.uuid(), r.id.uuid()))
        .unzip();
    sqlx::query!(
        "delete from call_viewers v using unnest($1::uuid[], $2::uuid[]) as k (organization_id, call_id), calls c
         where v.organization_id = k.organization_id and v.call_id = k.call_id
             and c.organization_id = k.organization_id and c.id = k.call_id
             and (v.started_at <> c.started_at or v.user_id <> all (c.viewer_ids))",
        &organizations,
        &calls,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into call_viewers (organization_id, user_id, started_at, call_id)
         select c.organization_id, u.user_id, c.started_at, c.id
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, call_id)
         join calls c on c.organization_id = k.organization_id and c.id = k.call_id
         cross join unnest(c.viewer_ids) as u (user_id)
         order by 1, 2, 3, 4
         on conflict do nothing",
        &organizations,
        &calls,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Two conversations turned out to be one: what belongs to `from` belongs to `into` now, and `from` is no call any more.
pub(crate) async fn merge(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CallId,
    into: CallId,
) -> Result<()> {
    sqlx::query!(
        "with events as (
             -- The timeline is append-only: it is told again under the other call.
             insert into call_events (organization_id, id, call_id, occurred_at, kind, inbox_id, inbox_received_at)
             select organization_id, gen_random_uuid(), $3, occurred_at, kind, null, inbox_received_at
             from call_events where organization_id = $1 and call_id = $2
         ), voicemails as (
             update voicemails set call_id = $3 where organization_id = $1 and call_id = $2
         ), recordings as (
             update recordings set call_id = $3 where organization_id = $1 and call_id = $2
         ), transcripts as (
             update transcripts set call_id = $3 where organization_id = $1 and call_id = $2
                 and not exists (select from transcripts where organization_id = $1 and call_id = $3)
         ), viewers as (
             delete from call_viewers where organization_id = $1 and call_id = $2
         ), earlier as (
             update calls set merged_into_id = $3 where organization_id = $1 and merged_into_id = $2
         )
         update calls set merged_into_id = $3, state = 'ended', ended_at = coalesce(ended_at, answered_at, started_at),
             billable_seconds = 0, viewer_ids = '{}', check_at = null, customer_id = null, updated_at = now()
         where organization_id = $1 and id = $2",
        organization.uuid(),
        from.uuid(),
        into.uuid(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What has been recorded of the usage of these calls, and of those that were merged into them.
pub(crate) async fn usage_of(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, CallId)],
) -> Result<HashMap<CallId, Vec<Recorded>>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select k.call_id as "call_id!", u.id, u.idempotency_key, u.meter, u.occurred_at, u.quantity, u.corrects_id
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, call_id)
         join calls c on c.organization_id = k.organization_id and (c.id = k.call_id or c.merged_into_id = k.call_id)
         join usage_events u on u.organization_id = c.organization_id and u.call_id = c.id"#,
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    let mut events: HashMap<CallId, Vec<_>> = HashMap::new();
    for row in rows {
        let meter: MeterCode = row
            .meter
            .parse()
            .map_err(|e| Error::Internal(format!("a stored meter: {e}")))?;
        let quantity = Quantity::try_from(row.quantity)
            .map_err(|e| Error::Internal(format!("a stored quantity: {e}")))?;
        events.entry(row.call_id.into()).or_default().push((
            UsageEventId::from(row.id),
            row.idempotency_key,
            meter,
            row.occurred_at.to_jiff(),
            quantity,
            row.corrects_id.map(UsageEventId::from),
        ));
    }
    events
        .into_iter()
        .map(|(call, events)| {
            Ok((
                call,
                recorded(events).map_err(|e| Error::Internal(e.to_string()))?,
            ))
        })
        .collect()
}

/// The users of organizations by the provider's ids of them.
pub(crate) async fn users_by_sid(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, String)],
) -> Result<HashMap<(OrganizationId, String), UserId>> {
    let (organizations, sids): (Vec<Uuid>, Vec<&str>) =
        keys.iter().map(|(o, s)| (o.uuid(), s.as_str())).unzip();
    let rows = sqlx::query!(
        r#"select m.organization_id, m.user_id, m.provider_user_sid as "sid!"
         from unnest($1::uuid[], $2::text[]) as k (organization_id, sid)
         join memberships m on m.organization_id = k.organization_id and m.provider_user_sid = k.sid"#,
        &organizations,
        &sids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.organization_id.into(), row.sid), row.user_id.into()))
        .collect())
}
