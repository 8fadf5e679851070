//! Statements on numbers, mappings and assignments.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, MappingId, OrganizationId, PhoneNumberId, UserId};
use tollbook_core::phone::E164;
use tollbook_core::time::Period;
use tollbook_providers::PhoneLine;
use uuid::Uuid;

use super::lines::{Line, LineKey};
use super::map::NewNumber;
use crate::db::types::Text;
use crate::ids::new_id;

/// The line of each key, with the key's place.
pub(super) async fn lines(
    tx: &mut PgConnection,
    keys: &[LineKey],
) -> sqlx::Result<Vec<(usize, Line)>> {
    let providers: Vec<&str> = keys.iter().map(|k| k.provider.as_str()).collect();
    let sids: Vec<Option<&str>> = keys.iter().map(|k| k.sid.as_deref()).collect();
    let numbers: Vec<Option<&str>> = keys
        .iter()
        .map(|k| k.e164.as_ref().map(E164::as_str))
        .collect();
    let times: Vec<_> = keys.iter().map(|k| k.at.to_sqlx()).collect();
    let rows = sqlx::query_file!(
        "src/numbers/lines.sql",
        &providers as &[&str],
        &sids as &[Option<&str>],
        &numbers as &[Option<&str>],
        &times,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let index = usize::try_from(row.ordinal.saturating_sub(1)).unwrap_or(usize::MAX);
            let line = Line {
                number: row.id.into(),
                e164: number(&row.e164)?,
                mapping: row.mapping_id.into(),
                organization: row.organization_id.into(),
                users: row.users.into_iter().map(UserId::from).collect(),
            };
            Ok((index, line))
        })
        .collect()
}

fn number(text: &str) -> sqlx::Result<E164> {
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Locks the account's numbers and those that its provider lists, in key order.
pub(super) async fn lock_lines(
    tx: &mut PgConnection,
    integration: IntegrationId,
    lines: &[PhoneLine],
) -> sqlx::Result<()> {
    let numbers: Vec<&str> = lines.iter().map(|l| l.number.as_str()).collect();
    sqlx::query!(
        "select id from phone_numbers where integration_id = $1 or e164 = any ($2)
         -- all organizations: platform table
         order by id for no key update",
        integration.uuid(),
        &numbers as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// Adds the provider's lines, or brings them up to date. A number known from another account is left alone.
pub(super) async fn upsert_lines(
    tx: &mut PgConnection,
    provider: Provider,
    integration: IntegrationId,
    lines: &[PhoneLine],
    now: Timestamp,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = lines.iter().map(|_| new_id()).collect();
    let numbers: Vec<&str> = lines.iter().map(|l| l.number.as_str()).collect();
    let sids: Vec<&str> = lines.iter().map(|l| l.sid.as_str()).collect();
    let labels: Vec<&str> = lines
        .iter()
        .map(|l| l.name.as_deref().unwrap_or_default())
        .collect();
    sqlx::query!(
        "insert into phone_numbers (id, e164, provider, provider_number_sid, integration_id, label, synced_at)
         select t.id, t.e164, $1, t.sid, $2, t.label, $3
         from (select distinct on (e164) * from unnest($4::uuid[], $5::text[], $6::text[], $7::text[]) as u(id, e164, sid, label) order by e164) t
         order by t.e164
         on conflict (e164) do update
         set provider = excluded.provider, provider_number_sid = excluded.provider_number_sid, integration_id = excluded.integration_id,
             label = case phone_numbers.label when '' then excluded.label else phone_numbers.label end,
             active = true, synced_at = excluded.synced_at
         where coalesce(phone_numbers.integration_id, excluded.integration_id) = excluded.integration_id
         -- all organizations: platform table",
        provider.as_str(),
        integration.uuid(),
        now.to_sqlx() as _,
        &ids,
        &numbers as &[&str],
        &sids as &[&str],
        &labels as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Marks the account's numbers that its provider no longer lists.
pub(super) async fn deactivate_missing(
    tx: &mut PgConnection,
    integration: IntegrationId,
    lines: &[PhoneLine],
) -> sqlx::Result<()> {
    let numbers: Vec<&str> = lines.iter().map(|l| l.number.as_str()).collect();
    sqlx::query!(
        "update phone_numbers set active = false
         where integration_id = $1 and active and e164 <> all ($2) -- all organizations: platform table",
        integration.uuid(),
        &numbers as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Maps the account's numbers that nobody holds to its organization, from the end of the mapping before or for all time.
pub(super) async fn map_unheld(
    tx: &mut PgConnection,
    integration: IntegrationId,
    organization: OrganizationId,
    numbers_max: usize,
) -> sqlx::Result<Vec<MappingId>> {
    let ids: Vec<Uuid> = (0..numbers_max).map(|_| new_id()).collect();
    let mapped = sqlx::query_scalar!(
        "insert into number_mappings (id, phone_number_id, organization_id, starts_at)
         select i.id, n.id, $2, n.starts_at
         from (select p.id, row_number() over (order by p.id) as place, coalesce(
                 (select max(m.ends_at) from number_mappings m where m.phone_number_id = p.id), 'epoch'::timestamptz) as starts_at
             from phone_numbers p
             where p.integration_id = $1 and p.active
                 and not exists (select from number_mappings m where m.phone_number_id = p.id and m.ends_at is null)) n
         join unnest($3::uuid[]) with ordinality as i(id, place) on i.place = n.place
         order by n.id
         returning id",
        integration.uuid(),
        organization.uuid(),
        &ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(mapped.into_iter().map(MappingId::from).collect())
}

/// Adds a number.
pub(super) async fn insert_number(
    tx: &mut PgConnection,
    id: PhoneNumberId,
    new: &NewNumber,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into phone_numbers (id, e164, provider, provider_number_sid, integration_id, label, country, capabilities)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        id.uuid(),
        new.e164.as_str(),
        new.provider,
        new.provider_number_sid,
        new.integration.map(Uuid::from),
        new.label,
        new.e164.country(),
        &new.capabilities,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks a number, whoever holds it.
pub(super) async fn lock_number(
    tx: &mut PgConnection,
    id: PhoneNumberId,
) -> sqlx::Result<Option<E164>> {
    let row = sqlx::query_scalar!(
        r#"select e164 as "e164: Text<E164>" from phone_numbers where id = $1 for no key update -- all organizations: by key"#,
        id.uuid()
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|Text(e164)| e164))
}

/// The mapping in force, and whose it is.
pub(super) async fn live_mapping(
    tx: &mut PgConnection,
    number: PhoneNumberId,
) -> sqlx::Result<Option<(MappingId, OrganizationId)>> {
    let row = sqlx::query!(
        "select id, organization_id from number_mappings
         where phone_number_id = $1 and ends_at is null -- all organizations: whose it is, is what is asked",
        number.uuid()
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (row.id.into(), row.organization_id.into())))
}

/// When a new mapping can begin: at `at`, or right after those before it.
pub(super) async fn mapping_start(
    tx: &mut PgConnection,
    number: PhoneNumberId,
    at: Timestamp,
) -> sqlx::Result<Timestamp> {
    let start = sqlx::query_scalar!(
        r#"select greatest($2, max(coalesce(ends_at, starts_at + interval '1 microsecond'))) as "at!"
         from number_mappings where phone_number_id = $1 -- all organizations: they take turns"#,
        number.uuid(),
        at.to_sqlx() as _,
    )
    .fetch_one(tx)
    .await?;
    Ok(start.into())
}

/// Sets what a mapping is for.
pub(super) async fn set_number_type(
    tx: &mut PgConnection,
    organization: OrganizationId,
    mapping: MappingId,
    number_type: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update number_mappings set number_type = $3 where organization_id = $1 and id = $2",
        organization.uuid(),
        mapping.uuid(),
        number_type,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends a mapping.
pub(super) async fn end_mapping(
    tx: &mut PgConnection,
    organization: OrganizationId,
    mapping: MappingId,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update number_mappings set ends_at = $3 where organization_id = $1 and id = $2",
        organization.uuid(),
        mapping.uuid(),
        at.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends everybody's right to use a number.
pub(super) async fn end_assignments(
    tx: &mut PgConnection,
    organization: OrganizationId,
    number: PhoneNumberId,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update assignments set ends_at = greatest($3, starts_at)
         where organization_id = $1 and phone_number_id = $2 and ends_at is null",
        organization.uuid(),
        number.uuid(),
        at.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Begins a mapping.
pub(super) async fn insert_mapping(
    tx: &mut PgConnection,
    id: MappingId,
    number: PhoneNumberId,
    organization: OrganizationId,
    number_type: &str,
    starts_at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into number_mappings (id, phone_number_id, organization_id, number_type, starts_at) values ($1, $2, $3, $4, $5)",
        id.uuid(),
        number.uuid(),
        organization.uuid(),
        number_type,
        starts_at.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The organization's time zone.
pub(super) async fn zone(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> sqlx::Result<String> {
    sqlx::query_scalar!(
        "select zone from organizations where id = $1",
        organization.uuid()
    )
    .fetch_one(tx)
    .await
}

/// Rows of zeros for a month.
pub(super) async fn insert_counters(
    tx: &mut PgConnection,
    organization: OrganizationId,
    mappings: &[MappingId],
    month: Period,
) -> sqlx::Result<()> {
    let mappings: Vec<Uuid> = mappings.iter().map(|id| id.uuid()).collect();
    let ids: Vec<Uuid> = mappings.iter().map(|_| new_id()).collect();
    sqlx::query!(
        "insert into number_counters (organization_id, id, mapping_id, period_start, period_end)
         select $1, t.id, t.mapping_id, $4, $5 from unnest($2::uuid[], $3::uuid[]) as t(id, mapping_id)
         order by t.mapping_id
         on conflict on constraint number_counters_mapping_period_key do nothing",
        organization.uuid(),
        &ids,
        &mappings,
        month.start().to_sqlx() as _,
        month.end().to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks a membership, so that a user's set is replaced by one writer at a time. Whether there is one.
pub(super) async fn lock_membership(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "select user_id from memberships where organization_id = $1 and user_id = $2 for no key update",
        organization.uuid(),
        user.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(found.is_some())
}

/// The numbers that a user may use now.
pub(super) async fn assigned_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
) -> sqlx::Result<Vec<PhoneNumberId>> {
    let ids = sqlx::query_scalar!(
        "select phone_number_id from assignments
         where organization_id = $1 and user_id = $2 and ends_at is null order by phone_number_id",
        organization.uuid(),
        user.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(ids.into_iter().map(PhoneNumberId::from).collect())
}

/// Locks numbers in key order, since each keeps its users; returns those that the organization holds.
pub(super) async fn lock_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    numbers: &BTreeSet<PhoneNumberId>,
) -> sqlx::Result<BTreeSet<PhoneNumberId>> {
    let numbers: Vec<Uuid> = numbers.iter().map(|id| id.uuid()).collect();
    let ids = sqlx::query_scalar!(
        "select id from phone_numbers where organization_id = $1 and id = any ($2) order by id for no key update",
        organization.uuid(),
        &numbers,
    )
    .fetch_all(tx)
    .await?;
    Ok(ids.into_iter().map(PhoneNumberId::from).collect())
}

/// Ends a user's assignments to all numbers but these.
pub(super) async fn end_other_assignments(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
    kept: &[PhoneNumberId],
    at: Timestamp,
) -> sqlx::Result<()> {
    let kept: Vec<Uuid> = kept.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "update assignments set ends_at = greatest($4, starts_at)
         where organization_id = $1 and user_id = $2 and ends_at is null and phone_number_id <> all ($3)",
        organization.uuid(),
        user.uuid(),
        &kept,
        at.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Begins a user's assignments to the numbers that they may not use yet.
pub(super) async fn insert_assignments(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
    numbers: &[PhoneNumberId],
    at: Timestamp,
) -> sqlx::Result<()> {
    let numbers: Vec<Uuid> = numbers.iter().map(|id| id.uuid()).collect();
    let ids: Vec<Uuid> = numbers.iter().map(|_| new_id()).collect();
    sqlx::query!(
        "insert into assignments (organization_id, id, phone_number_id, user_id, starts_at)
         select $1, t.id, t.phone_number_id, $2, $5 from unnest($3::uuid[], $4::uuid[]) as t(id, phone_number_id)
         order by t.phone_number_id
         on conflict (organization_id, phone_number_id, user_id) where ends_at is null do nothing",
        organization.uuid(),
        user.uuid(),
        &ids,
        &numbers,
        at.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}
