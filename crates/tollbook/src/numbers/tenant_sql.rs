//! Statements on the numbers of tenants, as clients of older systems know them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{MappingId, OrganizationId, PhoneNumberId};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::tenant::TenantNumber;
use crate::ids::new_id;

/// Adds a number of Twilio's, if it is not known.
pub(super) async fn insert_twilio_number(
    tx: &mut PgConnection,
    number: &E164,
    country: Option<&str>,
    sid: &str,
) -> sqlx::Result<()> {
    let id: PhoneNumberId = new_id();
    sqlx::query!(
        "insert into phone_numbers (id, e164, provider, provider_number_sid, country) values ($1, $2, 'twilio', $3, $4)
         on conflict (e164) do nothing",
        id.uuid(),
        number.as_str(),
        sid,
        country,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A number as another one may know it.
pub(super) struct KnownNumber {
    pub(super) id: PhoneNumberId,
    pub(super) is_twilio: bool,
    pub(super) sid: Option<String>,
    /// An account at its provider still lists it.
    pub(super) is_connected: bool,
}

/// Locks a number by what is dialled.
pub(super) async fn lock_by_e164(
    tx: &mut PgConnection,
    number: &E164,
) -> sqlx::Result<Option<KnownNumber>> {
    sqlx::query_as!(
        KnownNumber,
        r#"select id, provider = 'twilio' as "is_twilio!", provider_number_sid as sid,
             integration_id is not null and active as "is_connected!"
         from phone_numbers where e164 = $1 for no key update -- all organizations: platform table"#,
        number.as_str(),
    )
    .fetch_optional(tx)
    .await
}

/// Says which number of Twilio's a number is.
pub(super) async fn set_twilio_sid(
    tx: &mut PgConnection,
    id: PhoneNumberId,
    sid: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update phone_numbers
         set integration_id = case provider when 'twilio' then integration_id end, provider = 'twilio', provider_number_sid = $2, active = true
         where id = $1 -- all organizations: platform table",
        id.uuid(),
        sid,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Keeps what a mapping was asked with.
pub(super) async fn set_mapping_metadata(
    tx: &mut PgConnection,
    organization: OrganizationId,
    mapping: MappingId,
    metadata: &serde_json::Value,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update number_mappings set metadata = $3 where organization_id = $1 and id = $2",
        organization.uuid(),
        mapping.uuid(),
        metadata,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes down for analysis that a number was mapped.
pub(super) async fn insert_mapped_event(
    tx: &mut PgConnection,
    organization: OrganizationId,
    properties: &serde_json::Value,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into analytics_events (organization_id, id, name, properties, occurred_at) values ($1, $2, 'number.mapped', $3, $4)",
        organization.uuid(),
        Uuid::now_v7(),
        properties,
        at.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A mapping as clients of the older systems know it.
pub(super) async fn tenant_number(
    tx: &mut PgConnection,
    mapping: MappingId,
) -> sqlx::Result<Option<TenantNumber>> {
    let row = sqlx::query!(
        "select m.id, m.organization_id, o.external_key, n.provider_number_sid, n.e164, m.number_type, m.starts_at, m.ends_at
         from number_mappings m join organizations o on o.id = m.organization_id join phone_numbers n on n.id = m.phone_number_id
         where m.id = $1 -- all organizations: by key",
        mapping.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| TenantNumber {
        id: row.id.into(),
        organization_id: row.organization_id.into(),
        tenant_id: row.external_key,
        twilio_number_sid: row.provider_number_sid,
        phone_number: row.e164,
        number_type: row.number_type,
        provisioned_at: row.starts_at.to_jiff(),
        deprovisioned_at: row.ends_at.map(jiff_sqlx::Timestamp::to_jiff),
    }))
}

/// What a mapping's counters show of a month.
pub(super) struct Counted {
    pub(super) voice_minutes: i64,
    pub(super) voice_calls: i64,
    pub(super) sms_sent: i64,
    pub(super) sms_received: i64,
}

/// The counters of the month that `at` is in, if they were begun.
pub(super) async fn counted(
    tx: &mut PgConnection,
    organization: OrganizationId,
    mapping: MappingId,
    at: Timestamp,
) -> sqlx::Result<Option<Counted>> {
    sqlx::query_as!(
        Counted,
        "select voice_minutes, voice_calls, sms_sent, sms_received from number_counters
         where organization_id = $1 and mapping_id = $2 and period_start <= $3 and period_end > $3",
        organization.uuid(),
        mapping.uuid(),
        at.to_sqlx() as _,
    )
    .fetch_optional(tx)
    .await
}

/// How many live mappings a number has.
pub(super) async fn live_mappings(tx: &mut PgConnection, number: &E164) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from number_mappings m join phone_numbers n on n.id = m.phone_number_id
         where n.e164 = $1 and m.ends_at is null -- all organizations: whether there is only one is what is asked"#,
        number.as_str(),
    )
    .fetch_one(tx)
    .await
}

/// Names of relations and functions in the public schema that are not there.
pub(super) async fn missing(
    tx: &mut PgConnection,
    relations: &[&str],
    functions: &[&str],
) -> sqlx::Result<(Vec<String>, Vec<String>)> {
    let row = sqlx::query!(
        r#"select array(select r from unnest($1::text[]) r where to_regclass('public.' || r) is null) as "relations!",
             array(select f from unnest($2::text[]) f where to_regproc('public.' || f) is null) as "functions!""#,
        relations as &[&str],
        functions as &[&str],
    )
    .fetch_one(tx)
    .await?;
    Ok((row.relations, row.functions))
}

/// The number as whoever holds it now knows it.
pub(super) async fn live_tenant_number(
    tx: &mut PgConnection,
    number: &E164,
) -> sqlx::Result<Option<TenantNumber>> {
    let live = sqlx::query_scalar!(
        "select m.id from number_mappings m join phone_numbers n on n.id = m.phone_number_id
         where n.e164 = $1 and m.ends_at is null -- all organizations: whose it is, is what is asked",
        number.as_str(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    match live {
        Some(mapping) => tenant_number(tx, mapping.into()).await,
        None => Ok(None),
    }
}
