//! Reads subscriptions with the period that they are in.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId, SubscriptionId};
use tollbook_core::payer::Payer;
use tollbook_core::time::Zone;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::http::seller::Listed;

/// A subscription as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionView {
    #[schema(value_type = Uuid)]
    pub(crate) id: SubscriptionId,
    #[schema(value_type = Uuid)]
    org_id: OrganizationId,
    /// Who pays, if it is not the organization itself.
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    plan_id: Uuid,
    plan_name: String,
    plan_version_id: Uuid,
    /// `trial`, `active`, `paused`, `canceled` or `ended`.
    status: String,
    /// The day of the month on which periods begin; in shorter months the last one.
    billing_cycle_day: i8,
    auto_renew: bool,
    zone: String,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// First instant for which a base fee is due, if it began with a trial.
    #[schema(value_type = Option<String>, format = DateTime)]
    trial_ends_at: Option<Timestamp>,
    /// When it was canceled, if that stands.
    #[schema(value_type = Option<String>, format = DateTime)]
    canceled_at: Option<Timestamp>,
    /// The pause of now, or the next one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pause_starts_at: Option<Timestamp>,
    /// When that ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pause_ends_at: Option<Timestamp>,
    /// What it goes on with, and from when on, where that is known.
    next_plan_version_id: Option<Uuid>,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_plan_at: Option<Timestamp>,
    /// The period of now; before the start the first one, after the end the last one.
    #[schema(value_type = Option<String>, format = DateTime)]
    current_period_start: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    current_period_end: Option<Timestamp>,
    /// The day on which the next period begins; none if there will be no other.
    #[schema(value_type = Option<String>, format = Date)]
    next_billing_date: Option<Date>,
}

struct Row {
    organization_id: Uuid,
    id: Uuid,
    customer_id: Option<Uuid>,
    plan_id: Uuid,
    plan_name: String,
    plan_version_id: Uuid,
    state: String,
    anchor_on: jiff_sqlx::Date,
    auto_renew: bool,
    zone: String,
    starts_at: jiff_sqlx::Timestamp,
    ends_at: Option<jiff_sqlx::Timestamp>,
    trial_ends_at: Option<jiff_sqlx::Timestamp>,
    canceled_at: Option<jiff_sqlx::Timestamp>,
    pause_start: Option<jiff_sqlx::Timestamp>,
    pause_end: Option<jiff_sqlx::Timestamp>,
    next_version: Option<Uuid>,
    next_at: Option<jiff_sqlx::Timestamp>,
    period_start: Option<jiff_sqlx::Timestamp>,
    period_end: Option<jiff_sqlx::Timestamp>,
}

/// One subscription of a sale.
pub(super) async fn one(
    tx: &mut PgConnection,
    listed: Listed,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<SubscriptionView> {
    let found = subscriptions(tx, listed, Some(id), None, now, 1).await?;
    let found = found.into_iter().next();
    found.ok_or(Error::NotFound("subscription"))
}

/// Whose a subscription of a sale is.
pub(super) async fn whose(
    tx: &mut PgConnection,
    listed: Listed,
    id: SubscriptionId,
) -> Result<(OrganizationId, Payer)> {
    let row = sqlx::query!(
        "select organization_id, customer_id from subscriptions
         where ($1::uuid is null or organization_id = $1) -- all organizations: the platform may look at its whole sale
             and payer = $2 and ($3::uuid is null or customer_id = $3) and id = $4",
        listed.organization().map(Uuid::from),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    let row = row.ok_or(Error::NotFound("subscription"))?;
    let customer = row.customer_id.map(CustomerId::from);
    Ok((
        row.organization_id.into(),
        customer.map_or(Payer::Organization, Payer::Customer),
    ))
}

/// Subscriptions of a sale, the latest first: `rows` of them after `after`, or one of them.
pub(super) async fn subscriptions(
    tx: &mut PgConnection,
    listed: Listed,
    only: Option<SubscriptionId>,
    after: Option<SubscriptionId>,
    now: Timestamp,
    rows: i64,
) -> Result<Vec<SubscriptionView>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select s.organization_id, s.id, s.customer_id, p.id as plan_id, p.name as plan_name, v.id as plan_version_id, s.state,
             s.anchor_on, s.auto_renew, s.zone, s.starts_at, s.ends_at, s.trial_ends_at, s.canceled_at,
             z.starts_at as "pause_start?", z.ends_at as "pause_end?", n.plan_version_id as "next_version?", n.starts_at as "next_at?",
             b.starts_at as "period_start?", b.ends_at as "period_end?"
         from subscriptions s
         join subscription_segments g on g.organization_id = s.organization_id and g.subscription_id = s.id
             and g.starts_at <= greatest($6, s.starts_at) and greatest($6, s.starts_at) < g.ends_at
         join plan_versions v on v.seller_id = g.seller_id and v.id = g.plan_version_id
         join plans p on p.seller_id = v.seller_id and p.id = v.plan_id
         left join lateral (
             select z.starts_at, z.ends_at from subscription_pauses z
             where z.organization_id = s.organization_id and z.subscription_id = s.id and (z.ends_at is null or z.ends_at > $6)
             order by z.starts_at limit 1
         ) z on true
         left join subscription_segments n on n.organization_id = s.organization_id and n.subscription_id = s.id and n.prev_end = g.ends_at
         left join lateral (
             select b.starts_at, b.ends_at from billing_periods b
             where b.organization_id = s.organization_id and b.subscription_id = s.id
             order by b.starts_at <= $6 desc, case when b.starts_at <= $6 then b.starts_at end desc, b.starts_at limit 1
         ) b on true
         where ($1::uuid is null or s.organization_id = $1) -- all organizations: the platform may list its whole sale
             and s.payer = $2 and ($3::uuid is null or s.customer_id = $3)
             and ($4::uuid is null or s.id = $4) and ($5::uuid is null or s.id < $5)
         order by s.id desc limit $7"#,
        listed.organization().map(Uuid::from),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
        only.map(Uuid::from),
        after.map(Uuid::from),
        now.to_sqlx(),
        rows,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

impl Row {
    fn read(self) -> Result<SubscriptionView> {
        let stored = |e: &dyn std::fmt::Display| {
            Error::Internal(format!("subscription {} cannot be read: {e}", self.id))
        };
        let zone: Zone = self.zone.parse().map_err(|e| stored(&e))?;
        let ends_at = self.ends_at.map(jiff_sqlx::Timestamp::to_jiff);
        let period_end = self.period_end.map(jiff_sqlx::Timestamp::to_jiff);
        let next = period_end.filter(|end| ends_at.is_none_or(|ends_at| *end < ends_at));
        Ok(SubscriptionView {
            id: self.id.into(),
            org_id: self.organization_id.into(),
            customer_id: self.customer_id.map(CustomerId::from),
            plan_id: self.plan_id,
            plan_name: self.plan_name,
            plan_version_id: self.plan_version_id,
            status: self.state,
            billing_cycle_day: self.anchor_on.to_jiff().day(),
            auto_renew: self.auto_renew,
            starts_at: self.starts_at.to_jiff(),
            ends_at,
            trial_ends_at: self.trial_ends_at.map(jiff_sqlx::Timestamp::to_jiff),
            canceled_at: self.canceled_at.map(jiff_sqlx::Timestamp::to_jiff),
            pause_starts_at: self.pause_start.map(jiff_sqlx::Timestamp::to_jiff),
            pause_ends_at: self.pause_end.map(jiff_sqlx::Timestamp::to_jiff),
            next_plan_version_id: self.next_version,
            next_plan_at: self.next_at.map(jiff_sqlx::Timestamp::to_jiff),
            current_period_start: self.period_start.map(jiff_sqlx::Timestamp::to_jiff),
            current_period_end: period_end,
            next_billing_date: next.map(|end| zone.date(end)),
            zone: self.zone,
        })
    }
}
