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
    CallId, CallLegId, CustomerId, IntegrationId, MappingId, OrganizationId, PhoneNumberId, UserId,
};
use uuid::Uuid;

use super::client::user_of;
use super::observe::{CallOfRecord, LegOfCall, Source};
use crate::db::types::Text;
use crate::error::{Error, Result};
use crate::metering::{Attribution, Known, RecordedEvent, known_of};

/// A leg as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredLeg {
    pub(crate) organization: OrganizationId,
    pub(crate) source: Source,
    pub(crate) id: CallLegId,
    pub(crate) call: CallId,
    pub(crate) leg: Leg,
}

/// What of a stored call a change is compared with.
#[derive(Debug, Clone)]
pub(crate) struct StoredCall {
    pub(crate) id: CallId,
    pub(crate) phase: Phase,
    pub(crate) attribution: Attribution,
    pub(crate) leg_count: usize,
    pub(crate) fetches: u32,
    pub(crate) started_at: Timestamp,
    pub(crate) viewers: Vec<UserId>,
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
    pub(crate) fetches: u32,
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
    pub(crate) leg_id: CallLegId,
    pub(crate) occurred_at: Timestamp,
    pub(crate) kind: &'static str,
    pub(crate) inbox_id: Option<Uuid>,
    pub(crate) inbox_received_at: Option<Timestamp>,
}

fn json<T: Serialize>(rows: &[T]) -> Result<serde_json::Value> {
    serde_json::to_value(rows).map_err(|e| Error::Internal(format!("rows cannot be written: {e}")))
}

/// All legs of every call that one of these records is a leg of, or the parent of one.
pub(crate) async fn legs_of(
    tx: &mut PgConnection,
    keys: &[(Source, &str)],
) -> Result<Vec<StoredLeg>> {
    let (integrations, sids): (Vec<Uuid>, Vec<&str>) = keys
        .iter()
        .map(|(s, sid)| (s.integration.uuid(), *sid))
        .unzip();
    let rows = sqlx::query_as!(
        LegRecord,
        r#"with k as materialized (select * from unnest($1::uuid[], $2::text[]) as k (integration_id, sid))
         select l.organization_id, l.integration_id, c.provider as "provider: Text<Provider>", l.id, l.call_id, l.observed
         from (
             select n.organization_id, n.call_id from k join call_legs n on n.integration_id = k.integration_id and n.sid = k.sid
             union
             select n.organization_id, n.call_id from k join call_legs n on n.integration_id = k.integration_id and n.parent_sid = k.sid
         ) f
         join calls c on c.organization_id = f.organization_id and c.id = f.call_id
         join call_legs l on l.organization_id = f.organization_id and l.call_id = f.call_id"#,
        &integrations,
        &sids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(LegRecord::read).collect()
}

/// All legs of these calls.
pub(crate) async fn legs_of_calls(
    tx: &mut PgConnection,
    calls: &[(OrganizationId, CallId)],
) -> Result<Vec<StoredLeg>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        calls.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    let rows = sqlx::query_as!(
        LegRecord,
        r#"select l.organization_id, l.integration_id, c.provider as "provider: Text<Provider>", l.id, l.call_id, l.observed
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join calls c on c.organization_id = k.organization_id and c.id = k.id
         join call_legs l on l.organization_id = k.organization_id and l.call_id = k.id"#,
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(LegRecord::read).collect()
}

/// Where these records belong.
pub(crate) async fn calls_of_records(
    tx: &mut PgConnection,
    keys: &[(IntegrationId, &str)],
) -> Result<CallOfRecord> {
    if keys.is_empty() {
        return Ok(CallOfRecord::new());
    }
    let (integrations, sids): (Vec<Uuid>, Vec<&str>) =
        keys.iter().map(|(i, sid)| (i.uuid(), *sid)).unzip();
    let rows = sqlx::query!(
        "select l.integration_id, l.sid, l.organization_id, l.id, l.call_id, l.started_at, l.external_party
         from unnest($1::uuid[], $2::text[]) as k (integration_id, sid)
         join call_legs l on l.integration_id = k.integration_id and l.sid = k.sid
         -- all organizations: which one a record belongs to is what is asked",
        &integrations,
        &sids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let leg = LegOfCall {
                organization: row.organization_id.into(),
                leg: row.id.into(),
                call: row.call_id.into(),
                started_at: row.started_at.map(jiff_sqlx::Timestamp::to_jiff),
                external_party: row.external_party,
            };
            ((row.integration_id.into(), row.sid), leg)
        })
        .collect())
}

/// A person on the line of an account around a time: their calls may belong together.
pub(crate) struct Near {
    pub(crate) organization: OrganizationId,
    pub(crate) integration: IntegrationId,
    pub(crate) external_party: String,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// All legs of the calls that these persons began in these times.
pub(crate) async fn legs_near(tx: &mut PgConnection, near: &[Near]) -> Result<Vec<StoredLeg>> {
    let organizations: Vec<Uuid> = near.iter().map(|n| n.organization.uuid()).collect();
    let integrations: Vec<Uuid> = near.iter().map(|n| n.integration.uuid()).collect();
    let parties: Vec<&str> = near.iter().map(|n| n.external_party.as_str()).collect();
    let from: Vec<_> = near.iter().map(|n| n.from.to_sqlx()).collect();
    let to: Vec<_> = near.iter().map(|n| n.to.to_sqlx()).collect();
    let rows = sqlx::query_as!(
        LegRecord,
        r#"select l.organization_id, l.integration_id, c.provider as "provider: Text<Provider>", l.id, l.call_id, l.observed
         from (
             select distinct n.organization_id, n.call_id
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[])
                 as k (organization_id, integration_id, party, since, until)
             join call_legs n on n.organization_id = k.organization_id and n.external_party = k.party
                 and n.started_at between k.since and k.until and n.integration_id = k.integration_id
         ) f
         join calls c on c.organization_id = f.organization_id and c.id = f.call_id
         join call_legs l on l.organization_id = f.organization_id and l.call_id = f.call_id"#,
        &organizations,
        &integrations,
        &parties as &[&str],
        &from,
        &to,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(LegRecord::read).collect()
}

struct LegRecord {
    organization_id: Uuid,
    integration_id: Uuid,
    provider: Text<Provider>,
    id: Uuid,
    call_id: Uuid,
    observed: serde_json::Value,
}

impl LegRecord {
    fn read(self) -> Result<StoredLeg> {
        let leg = serde_json::from_value(self.observed)
            .map_err(|e| Error::Internal(format!("leg {} cannot be read: {e}", self.id)))?;
        Ok(StoredLeg {
            organization: self.organization_id.into(),
            source: Source {
                integration: self.integration_id.into(),
                provider: self.provider.0,
            },
            id: self.id.into(),
            call: self.call_id.into(),
            leg,
        })
    }
}

/// The calls with these ids, those already merged into another left out.
pub(crate) async fn calls(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, CallId)],
) -> Result<HashMap<CallId, StoredCall>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select c.id, c.state as "state: Text<Phase>", c.answered_by, c.mapping_id, c.customer_id, c.leg_count, c.fetches,
             c.started_at, c.viewer_ids
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
                attribution: Attribution {
                    user: row.answered_by.map(UserId::from),
                    mapping: row.mapping_id.map(MappingId::from),
                    customer: row.customer_id.map(CustomerId::from),
                },
                leg_count: usize::try_from(row.leg_count).unwrap_or(0),
                fetches: u32::try_from(row.fetches).unwrap_or(0),
                started_at: row.started_at.to_jiff(),
                viewers: row.viewer_ids.into_iter().map(UserId::from).collect(),
            };
            (call.id, call)
        })
        .collect())
}

/// Locks calls in key order, for more than one statement that changes them.
pub(crate) async fn lock_calls(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, CallId)],
) -> Result<()> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    sqlx::query!(
        "select c.id from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join calls c on c.organization_id = k.organization_id and c.id = k.id
         order by c.organization_id, c.id for no key update of c",
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// Writes calls, new and known, and the lists of those who may see them. Locks in key order.
pub(crate) async fn write_calls(tx: &mut PgConnection, rows: &[CallRow]) -> Result<()> {
    sqlx::query_file!("src/calls/write_calls.sql", json(rows)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Makes members' lists, and who may see the parts, follow calls whose viewers or start have changed.
pub(crate) async fn follow_viewers(
    tx: &mut PgConnection,
    calls: &[(OrganizationId, CallId)],
) -> Result<()> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        calls.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    sqlx::query_file!("src/calls/follow_viewers.sql", &organizations, &ids)
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
        "insert into call_events (organization_id, id, call_id, leg_id, occurred_at, kind, inbox_id, inbox_received_at)
         select organization_id, id, call_id, leg_id, occurred_at, kind, inbox_id, inbox_received_at
         from jsonb_to_recordset($1) as r (organization_id uuid, id uuid, call_id uuid, leg_id uuid, occurred_at timestamptz, kind text,
             inbox_id uuid, inbox_received_at timestamptz)
         order by organization_id, inbox_id, kind
         on conflict (organization_id, inbox_id, kind) where inbox_id is not null do nothing",
        json(rows)?,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Conversations turned out to be one: each first one is no call any more, its legs go to the second one.
pub(crate) async fn merge(
    tx: &mut PgConnection,
    merged: &[(OrganizationId, CallId, CallId)],
) -> Result<()> {
    let organizations: Vec<Uuid> = merged.iter().map(|(o, _, _)| o.uuid()).collect();
    let from: Vec<Uuid> = merged.iter().map(|(_, from, _)| from.uuid()).collect();
    let into: Vec<Uuid> = merged.iter().map(|(_, _, into)| into.uuid()).collect();
    sqlx::query!(
        "with k as materialized (
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (organization_id, from_id, into_id)
         ), viewers as (
             delete from call_viewers v using k where v.organization_id = k.organization_id and v.call_id = k.from_id
         ), earlier as (
             update calls c set merged_into_id = k.into_id
             from k where c.organization_id = k.organization_id and c.merged_into_id = k.from_id
         )
         update calls c set merged_into_id = k.into_id, conversation_sid = 'merged:' || c.id::text, state = 'ended',
             ended_at = coalesce(c.ended_at, c.answered_at, c.started_at), billable_seconds = 0, viewer_ids = '{}', check_at = null,
             customer_id = null, updated_at = now()
         from k where c.organization_id = k.organization_id and c.id = k.from_id",
        &organizations,
        &from,
        &into,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What belongs to these legs goes with them to their call of now; who may see the call may see it.
pub(crate) async fn move_parts(
    tx: &mut PgConnection,
    legs: &[(OrganizationId, CallLegId)],
) -> Result<()> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        legs.iter().map(|(o, l)| (o.uuid(), l.uuid())).unzip();
    sqlx::query_file!("src/calls/move_parts.sql", &organizations, &ids)
        .execute(tx)
        .await?;
    Ok(())
}

/// What has been recorded of the usage of these calls, and of those that were merged into them.
pub(crate) async fn usage_of(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, CallId)],
) -> Result<HashMap<CallId, Vec<Known>>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    let events = sqlx::query_as!(
        RecordedEvent,
        r#"with k as materialized (select * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, call_id)),
         c as (
             select k.organization_id, k.call_id, k.call_id as id from k
             union all
             select k.organization_id, k.call_id, m.id from k
             join calls m on m.organization_id = k.organization_id and m.merged_into_id = k.call_id
         )
         select u.organization_id, c.call_id, u.resource_id, u.id, u.idempotency_key, u.meter, u.occurred_at, u.quantity, u.corrects_id,
             u.user_id, u.mapping_id, u.customer_id
         from c join usage_events u on u.organization_id = c.organization_id and u.call_id = c.id"#,
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    known_of(events, |event| event.call_id.map(CallId::from))
}

/// What has been recorded that names these records as what was used, but is no part of the recount of a call.
pub(super) async fn usage_of_records(
    tx: &mut PgConnection,
    records: &[(OrganizationId, Provider, &str)],
) -> Result<HashMap<(OrganizationId, String), Vec<Known>>> {
    let (organizations, sids): (Vec<Uuid>, Vec<&str>) =
        records.iter().map(|(o, _, sid)| (o.uuid(), *sid)).unzip();
    let events = sqlx::query_as!(
        RecordedEvent,
        "select u.organization_id, u.call_id, u.resource_id, u.id, u.idempotency_key, u.meter, u.occurred_at, u.quantity,
             u.corrects_id, u.user_id, u.mapping_id, u.customer_id
         from (select distinct * from unnest($1::uuid[], $2::text[]) as k (organization_id, sid)) k
         join usage_events u on u.organization_id = k.organization_id and u.resource_id = k.sid
             and u.resource_type = 'call' and u.call_id is null",
        &organizations,
        &sids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    known_of(events, |event| {
        Some((event.organization_id.into(), event.resource_id.clone()?))
    })
}

/// The users of organizations by the provider's ids of them.
pub(crate) async fn users_by_sid(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, String)],
) -> Result<HashMap<(OrganizationId, String), UserId>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let (organizations, sids): (Vec<Uuid>, Vec<&str>) =
        keys.iter().map(|(o, s)| (o.uuid(), s.as_str())).unzip();
    let users: Vec<Option<Uuid>> = keys
        .iter()
        .map(|(_, name)| user_of(name).map(Uuid::from))
        .collect();
    let rows = sqlx::query!(
        r#"select m.organization_id, m.user_id, k.sid as "sid!"
         from unnest($1::uuid[], $2::text[], $3::uuid[]) as k (organization_id, sid, user_id)
         join memberships m on m.organization_id = k.organization_id and (m.provider_user_sid = k.sid or m.user_id = k.user_id)"#,
        &organizations,
        &sids as &[&str],
        &users as &[Option<Uuid>],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.organization_id.into(), row.sid), row.user_id.into()))
        .collect())
}
