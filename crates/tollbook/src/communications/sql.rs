//! Statements on messages, voicemails, recordings and transcripts. Run as the platform: a batch may hold several
//! organizations. Wide rows go as one JSON parameter.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::calls::{Direction, MessageState, MessageStatus, Provider};
use tollbook_core::ids::{
    CallId, CallLegId, CustomerId, IntegrationId, MappingId, OrganizationId, PhoneNumberId, UserId,
};
use tollbook_core::phone::Party;
use uuid::Uuid;

use crate::calls::Source;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::metering::Attribution;
use crate::numbers::Line;

/// A message to write.
#[derive(Debug, Clone, Serialize)]
pub(super) struct MessageRow {
    pub(super) organization_id: OrganizationId,
    pub(super) id: Uuid,
    #[serde(skip)]
    pub(super) is_new: bool,
    pub(super) provider: Provider,
    pub(super) sid: String,
    pub(super) integration_id: IntegrationId,
    pub(super) phone_number_id: Option<PhoneNumberId>,
    pub(super) mapping_id: Option<MappingId>,
    pub(super) direction: Direction,
    pub(super) status: MessageStatus,
    pub(super) external_party: String,
    pub(super) from_party: String,
    pub(super) to_parties: Vec<String>,
    pub(super) body: String,
    pub(super) error_code: Option<String>,
    pub(super) customer_id: Option<CustomerId>,
    pub(super) sent_by: Option<UserId>,
    pub(super) occurred_at: Timestamp,
    pub(super) observed: MessageState,
    pub(super) viewer_ids: Vec<UserId>,
}

impl MessageRow {
    /// The row that a message's state amounts to.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that was looked up for one row"
    )]
    pub(super) fn new(
        source: Source,
        organization: OrganizationId,
        sid: String,
        id: Option<Uuid>,
        state: MessageState,
        first_told_at: Timestamp,
        line: Option<Line>,
        customer: Option<CustomerId>,
    ) -> Self {
        let fallback = match state.direction() {
            Direction::Incoming => MessageStatus::Received,
            Direction::Outgoing => MessageStatus::Queued,
        };
        let mapping = line
            .as_ref()
            .filter(|l| l.organization == organization)
            .map(|l| l.mapping);
        Self {
            organization_id: organization,
            id: id.unwrap_or_else(new_id),
            is_new: id.is_none(),
            provider: source.provider,
            sid,
            integration_id: source.integration,
            phone_number_id: line.as_ref().map(|l| l.number),
            mapping_id: mapping,
            direction: state.direction(),
            status: state.status().unwrap_or(fallback),
            external_party: state
                .external()
                .map(|p| p.as_str().to_owned())
                .unwrap_or_default(),
            from_party: state
                .from()
                .map(|p| p.as_str().to_owned())
                .unwrap_or_default(),
            to_parties: state
                .to()
                .iter()
                .map(|p: &Party| p.as_str().to_owned())
                .collect(),
            body: state.text().unwrap_or_default().to_owned(),
            error_code: state.error_code().map(str::to_owned),
            customer_id: customer,
            sent_by: None,
            occurred_at: state.created_at().unwrap_or(first_told_at),
            observed: state,
            viewer_ids: line.map(|l| l.users).unwrap_or_default(),
        }
    }
}

/// A voicemail to write.
#[derive(Debug, Clone, Serialize)]
pub(super) struct VoicemailRow {
    pub(super) organization_id: OrganizationId,
    pub(super) id: Uuid,
    pub(super) call_id: CallId,
    pub(super) leg_id: CallLegId,
    pub(super) provider: Provider,
    pub(super) sid: String,
    pub(super) duration_seconds: Option<i64>,
    pub(super) transcript: Option<String>,
    pub(super) provider_url: Option<String>,
    pub(super) occurred_at: Timestamp,
}

/// A recording to write.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RecordingRow {
    pub(super) organization_id: OrganizationId,
    pub(super) id: Uuid,
    pub(super) call_id: CallId,
    pub(super) leg_id: CallLegId,
    pub(super) provider: Provider,
    pub(super) sid: String,
    pub(super) duration_seconds: Option<i64>,
    pub(super) content_type: Option<String>,
    pub(super) provider_url: Option<String>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) occurred_at: Timestamp,
}

/// A transcript, a summary, or both, to write.
#[derive(Debug, Clone, Serialize)]
pub(super) struct TranscriptRow {
    pub(super) organization_id: OrganizationId,
    pub(super) call_id: CallId,
    pub(super) leg_id: CallLegId,
    pub(super) dialogue: Option<Value>,
    pub(super) summary: Option<Vec<String>>,
    pub(super) next_steps: Option<Vec<String>>,
}

fn json<T: Serialize>(rows: &[T]) -> Result<Value> {
    serde_json::to_value(rows).map_err(|e| Error::Internal(format!("rows cannot be written: {e}")))
}

pub(super) type KnownMessages =
    HashMap<(OrganizationId, IntegrationId, String), (Uuid, MessageState, Timestamp)>;

/// What is known of these messages.
pub(super) async fn messages(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, IntegrationId, &str)],
) -> Result<KnownMessages> {
    let organizations: Vec<Uuid> = keys.iter().map(|(o, _, _)| o.uuid()).collect();
    let integrations: Vec<Uuid> = keys.iter().map(|(_, i, _)| i.uuid()).collect();
    let sids: Vec<&str> = keys.iter().map(|(_, _, sid)| *sid).collect();
    let rows = sqlx::query!(
        "select m.organization_id, m.integration_id, m.sid, m.id, m.observed, m.occurred_at
         from unnest($1::uuid[], $2::uuid[], $3::text[]) as k (organization_id, integration_id, sid)
         join messages m on m.organization_id = k.organization_id and m.integration_id = k.integration_id and m.sid = k.sid",
        &organizations,
        &integrations,
        &sids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = serde_json::from_value(row.observed)
                .map_err(|e| Error::Internal(format!("message {} cannot be read: {e}", row.id)))?;
            let key = (
                row.organization_id.into(),
                row.integration_id.into(),
                row.sid,
            );
            Ok((key, (row.id, state, row.occurred_at.to_jiff())))
        })
        .collect()
}

/// Writes messages, new and known, and who may see them. The rows take the customers that are stored: people may have said
/// whose a message is.
pub(super) async fn write_messages(tx: &mut PgConnection, rows: &mut [MessageRow]) -> Result<()> {
    let stored = sqlx::query!(
        "with written as (
             insert into messages as m (organization_id, id, provider, sid, integration_id, phone_number_id, mapping_id, direction,
                 status, external_party, from_party, to_parties, body, error_code, customer_id, sent_by, occurred_at, observed, viewer_ids)
             select organization_id, id, provider, sid, integration_id, phone_number_id, mapping_id, direction,
                 status, external_party, from_party, to_parties, body, error_code, customer_id, sent_by, occurred_at, observed, viewer_ids
             from jsonb_to_recordset($1) as r (organization_id uuid, id uuid, provider text, sid text, integration_id uuid,
                 phone_number_id uuid, mapping_id uuid, direction text, status text, external_party text, from_party text,
                 to_parties text[], body text, error_code text, customer_id uuid, sent_by uuid, occurred_at timestamptz,
                 observed jsonb, viewer_ids uuid[])
             order by organization_id, integration_id, sid
             on conflict (organization_id, integration_id, sid) do update
             set status = excluded.status, external_party = excluded.external_party, from_party = excluded.from_party,
                 to_parties = excluded.to_parties, body = excluded.body, error_code = excluded.error_code,
                 occurred_at = excluded.occurred_at, observed = excluded.observed,
                 customer_id = coalesce(m.customer_id, excluded.customer_id)
             returning organization_id, id, occurred_at, viewer_ids, customer_id
         ), listed as (
             insert into message_viewers (organization_id, user_id, occurred_at, message_id)
             select w.organization_id, u.user_id, w.occurred_at, w.id
             from written w cross join unnest(w.viewer_ids) as u (user_id)
             order by 1, 2, 3, 4
             on conflict do nothing
         )
         select w.id, w.customer_id from written w",
        json(rows)?,
    )
    .fetch_all(tx)
    .await?;
    let customers: HashMap<Uuid, Option<Uuid>> = stored
        .into_iter()
        .map(|row| (row.id, row.customer_id))
        .collect();
    for row in rows {
        let customer = customers.get(&row.id).copied().flatten();
        row.customer_id = customer.map(CustomerId::from);
    }
    Ok(())
}

/// Writes voicemails, new and known; who may see the call may see them. The rows take the ids that are stored.
pub(super) async fn write_voicemails(
    tx: &mut PgConnection,
    rows: &mut [VoicemailRow],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    // The same voicemail twice in a batch would be updated twice by one statement, which is refused: the last one wins.
    let unique: BTreeMap<_, VoicemailRow> = rows
        .iter()
        .map(|r| ((r.organization_id, r.sid.clone()), r.clone()))
        .collect();
    let unique: Vec<VoicemailRow> = unique.into_values().collect();
    let stored = sqlx::query!(
        "with written as (
             insert into voicemails as v (organization_id, id, call_id, leg_id, provider, sid, duration_seconds, transcript, provider_url, occurred_at, viewer_ids)
             select r.organization_id, r.id, r.call_id, r.leg_id, r.provider, r.sid, r.duration_seconds, r.transcript, r.provider_url, r.occurred_at, c.viewer_ids
             from jsonb_to_recordset($1) as r (organization_id uuid, id uuid, call_id uuid, leg_id uuid, provider text, sid text,
                 duration_seconds bigint, transcript text, provider_url text, occurred_at timestamptz)
             join calls c on c.organization_id = r.organization_id and c.id = r.call_id
             order by r.organization_id, r.provider, r.sid
             on conflict (organization_id, provider, sid) do update
             set duration_seconds = coalesce(excluded.duration_seconds, v.duration_seconds),
                 transcript = coalesce(excluded.transcript, v.transcript),
                 provider_url = coalesce(excluded.provider_url, v.provider_url),
                 -- When the record began may have become known meanwhile.
                 occurred_at = least(excluded.occurred_at, v.occurred_at)
             returning organization_id, id, sid, occurred_at, viewer_ids
         ), unlisted as (
             delete from voicemail_viewers v using written w
             where v.organization_id = w.organization_id and v.voicemail_id = w.id and v.occurred_at <> w.occurred_at
         ), listed as (
             insert into voicemail_viewers (organization_id, user_id, occurred_at, voicemail_id)
             select w.organization_id, u.user_id, w.occurred_at, w.id
             from written w cross join unnest(w.viewer_ids) as u (user_id)
             order by 1, 2, 3, 4
             on conflict do nothing
         )
         select organization_id, id, sid from written",
        json(&unique)?,
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        if let Some(known) = stored
            .iter()
            .find(|s| s.organization_id == row.organization_id.uuid() && s.sid == row.sid)
        {
            row.id = known.id;
        }
    }
    Ok(())
}

/// The provider's ids of the recordings that are known of these legs.
pub(super) async fn recordings_of_legs(
    tx: &mut PgConnection,
    legs: &[(OrganizationId, CallLegId)],
) -> Result<HashMap<CallLegId, Vec<String>>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        legs.iter().map(|(o, l)| (o.uuid(), l.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select k.leg_id as "leg_id!", r.sid
         from (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, leg_id)) k
         join recordings r on r.organization_id = k.organization_id and r.leg_id = k.leg_id"#,
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    let mut known: HashMap<CallLegId, Vec<String>> = HashMap::new();
    for row in rows {
        known.entry(row.leg_id.into()).or_default().push(row.sid);
    }
    Ok(known)
}

/// Writes recordings, new and known; who may see the call may hear them.
pub(super) async fn write_recordings(tx: &mut PgConnection, rows: &[RecordingRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let unique: BTreeMap<_, &RecordingRow> = rows
        .iter()
        .map(|r| ((r.organization_id, &r.sid), r))
        .collect();
    let unique: Vec<&RecordingRow> = unique.into_values().collect();
    sqlx::query!(
        "insert into recordings as v (organization_id, id, call_id, leg_id, provider, sid, duration_seconds, content_type, provider_url,
             started_at, occurred_at, viewer_ids)
         select r.organization_id, r.id, r.call_id, r.leg_id, r.provider, r.sid, r.duration_seconds, r.content_type, r.provider_url,
             r.started_at, r.occurred_at, c.viewer_ids
         from jsonb_to_recordset($1) as r (organization_id uuid, id uuid, call_id uuid, leg_id uuid, provider text, sid text,
             duration_seconds bigint, content_type text, provider_url text, started_at timestamptz, occurred_at timestamptz)
         join calls c on c.organization_id = r.organization_id and c.id = r.call_id
         order by r.organization_id, r.provider, r.sid
         on conflict (organization_id, provider, sid) do update
         set duration_seconds = coalesce(excluded.duration_seconds, v.duration_seconds),
             content_type = coalesce(excluded.content_type, v.content_type),
             provider_url = coalesce(excluded.provider_url, v.provider_url),
             occurred_at = least(excluded.occurred_at, v.occurred_at)",
        json(&unique)?,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes transcripts and summaries; who may see the call may read them.
pub(super) async fn write_transcripts(
    tx: &mut PgConnection,
    rows: Vec<TranscriptRow>,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut unique: BTreeMap<(OrganizationId, CallId), TranscriptRow> = BTreeMap::new();
    for row in rows {
        match unique.get_mut(&(row.organization_id, row.call_id)) {
            Some(known) => {
                known.dialogue = row.dialogue.or(known.dialogue.take());
                known.summary = row.summary.or(known.summary.take());
                known.next_steps = row.next_steps.or(known.next_steps.take());
            }
            None => drop(unique.insert((row.organization_id, row.call_id), row)),
        }
    }
    let unique: Vec<TranscriptRow> = unique.into_values().collect();
    sqlx::query!(
        "insert into transcripts as t (organization_id, call_id, leg_id, dialogue, summary, next_steps, viewer_ids)
         select r.organization_id, r.call_id, r.leg_id, coalesce(r.dialogue, '[]'), coalesce(r.summary, '{}'), coalesce(r.next_steps, '{}'), c.viewer_ids
         from jsonb_to_recordset($1) as r (organization_id uuid, call_id uuid, leg_id uuid, dialogue jsonb, summary text[], next_steps text[])
         join calls c on c.organization_id = r.organization_id and c.id = r.call_id
         order by r.organization_id, r.call_id
         on conflict (organization_id, call_id) do update
         set dialogue = case when excluded.dialogue = '[]' then t.dialogue else excluded.dialogue end,
             summary = case when excluded.summary = '{}' then t.summary else excluded.summary end,
             next_steps = case when excluded.next_steps = '{}' then t.next_steps else excluded.next_steps end,
             updated_at = now()",
        json(&unique)?,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// To whom these calls are attributed.
pub(super) async fn attribution(
    tx: &mut PgConnection,
    calls: &[(OrganizationId, CallId)],
) -> Result<HashMap<CallId, Attribution>> {
    if calls.is_empty() {
        return Ok(HashMap::new());
    }
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        calls.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    let rows = sqlx::query!(
        "select c.id, c.customer_id, c.mapping_id, c.answered_by
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join calls c on c.organization_id = k.organization_id and c.id = k.id",
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let attribution = Attribution {
                customer: row.customer_id.map(CustomerId::from),
                mapping: row.mapping_id.map(MappingId::from),
                user: row.answered_by.map(UserId::from),
            };
            (row.id.into(), attribution)
        })
        .collect())
}
