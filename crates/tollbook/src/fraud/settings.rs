//! What an organization says is usual, as a row.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;

use crate::error::Result;

/// The guard of an organization.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GuardView {
    pub(super) is_enabled: bool,
    /// Since when it looks at calls.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) enabled_at: Option<Timestamp>,
    /// Whether calls to where nobody has called lately are held.
    pub(super) holds_unusual: bool,
    /// A destination is usual that was called within so many days.
    pub(super) history_days: i32,
    /// Countries as two letters, calling codes and numbers with a plus; the organization's own country is always allowed.
    pub(super) allowed_destinations: Vec<String>,
    pub(super) calls_per_minute_max: Option<i32>,
    pub(super) calls_per_hour_max: Option<i32>,
    /// Calls at the same time.
    pub(super) concurrent_max: Option<i32>,
    /// What calls to one destination may cost within an hour, in the organization's currency.
    pub(super) hourly_spend_max: Option<String>,
}

impl Default for GuardView {
    /// As it is until somebody turns it on: off. What is there then holds off what thieves do, and not a busy office.
    fn default() -> Self {
        Self {
            is_enabled: false,
            enabled_at: None,
            holds_unusual: true,
            history_days: 90,
            allowed_destinations: Vec::new(),
            calls_per_minute_max: Some(30),
            calls_per_hour_max: Some(600),
            concurrent_max: Some(50),
            hourly_spend_max: None,
        }
    }
}

/// The guard of an organization, as it was set or as it is by itself.
pub(super) async fn guard(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> Result<Option<GuardView>> {
    let row = sqlx::query!(
        "select enabled_at, holds_unusual, history_days, allowed_destinations, calls_per_minute_max, calls_per_hour_max, concurrent_max,
             hourly_spend_max
         from fraud_guards where organization_id = $1",
        organization.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| GuardView {
        is_enabled: row.enabled_at.is_some(),
        enabled_at: row.enabled_at.map(jiff_sqlx::Timestamp::to_jiff),
        holds_unusual: row.holds_unusual,
        history_days: row.history_days,
        allowed_destinations: row.allowed_destinations,
        calls_per_minute_max: row.calls_per_minute_max,
        calls_per_hour_max: row.calls_per_hour_max,
        concurrent_max: row.concurrent_max,
        hourly_spend_max: row.hourly_spend_max.map(|it| it.normalize().to_string()),
    }))
}

/// Sets it. Whoever has it on already keeps the time from which it looks at calls.
pub(super) async fn set(
    tx: &mut PgConnection,
    organization: OrganizationId,
    guard: &GuardView,
    hourly_spend_max: Option<Decimal>,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "insert into fraud_guards as g (organization_id, enabled_at, holds_unusual, history_days, allowed_destinations, calls_per_minute_max,
             calls_per_hour_max, concurrent_max, hourly_spend_max)
         values ($1, case when $2 then $10::timestamptz end, $3, $4, $5, $6, $7, $8, $9)
         on conflict (organization_id) do update
         set enabled_at = case when $2 then coalesce(g.enabled_at, excluded.enabled_at) end, holds_unusual = excluded.holds_unusual,
             history_days = excluded.history_days, allowed_destinations = excluded.allowed_destinations,
             calls_per_minute_max = excluded.calls_per_minute_max, calls_per_hour_max = excluded.calls_per_hour_max,
             concurrent_max = excluded.concurrent_max, hourly_spend_max = excluded.hourly_spend_max, updated_at = clock_timestamp()",
        organization.uuid(),
        guard.is_enabled,
        guard.holds_unusual,
        guard.history_days,
        &guard.allowed_destinations,
        guard.calls_per_minute_max,
        guard.calls_per_hour_max,
        guard.concurrent_max,
        hourly_spend_max,
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}
