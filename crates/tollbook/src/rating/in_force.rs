//! The charges in force of usages: what a new rating is compared with, and what it takes back.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{
    AccountId, ChargeId, GrantId, InvoiceId, OrganizationId, PlanVersionId, ProviderPriceId,
    SubscriptionId, UsageEventId,
};
use tollbook_core::money::{Fraction, Quantity};
use tollbook_core::plans::Key;
use tollbook_core::rating::{GrantDraw, Rated, TierDelta};
use tollbook_core::time::Period;
use uuid::Uuid;

use super::items::{Item, UsageKey};
use crate::error::{Error, Result};

/// A charge in force, as far as a new rating is compared with it.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) id: ChargeId,
    pub(super) revision: i32,
    pub(super) part: i32,
    pub(super) kind: String,
    pub(super) price_key: Option<Key>,
    pub(super) grant: Option<GrantId>,
    pub(super) subscription: Option<SubscriptionId>,
    pub(super) version: Option<PlanVersionId>,
    pub(super) quantity: Quantity,
    pub(super) amount: Fraction,
    /// `None`: there was nothing to print.
    pub(super) invoice: Option<InvoiceId>,
    pub(super) line_group: String,
    /// Whether it was counted under a price with tiers or packages.
    pub(super) is_counted: bool,
    /// Whether it says that the usage is not billed.
    pub(super) is_waived: bool,
    /// The period in which it was counted.
    pub(super) period: Period,
    /// The price of the provider that it was computed from.
    pub(super) provider_price: Option<ProviderPriceId>,
}

impl InForce {
    /// Whether its price was given with it, by hand.
    pub(super) fn is_manual(&self) -> bool {
        self.kind == "manual"
    }

    /// Whether it drew on a grant or was counted under a price: then it shared something with others.
    pub(super) fn is_drawn(&self) -> bool {
        self.is_counted || self.grant.is_some()
    }

    /// Whether it was charged on the terms that a usage is on now.
    pub(super) fn is_on_terms_of(&self, item: &Item) -> bool {
        self.subscription == item.subscription
            && self.version == item.terms.as_ref().map(|terms| terms.version)
    }
}

/// The charges in force by usage, in order of their parts.
pub(super) type Known = HashMap<UsageKey, Vec<InForce>>;

struct Row {
    organization_id: Uuid,
    account_id: Uuid,
    usage_event_id: Option<Uuid>,
    id: Uuid,
    revision: i32,
    part: i32,
    kind: String,
    price_key: Option<String>,
    grant_id: Option<Uuid>,
    subscription_id: Option<Uuid>,
    plan_version_id: Option<Uuid>,
    quantity: Decimal,
    amount_numerator: Decimal,
    amount_denominator: Decimal,
    invoice_id: Option<Uuid>,
    line_group: String,
    is_counted: bool,
    is_waived: bool,
    period_start: jiff_sqlx::Timestamp,
    period_end: jiff_sqlx::Timestamp,
    provider_price_id: Option<Uuid>,
}

/// The charges in force of these usages for these payers.
pub(super) async fn in_force(tx: &mut PgConnection, items: &[Item]) -> Result<Known> {
    let organizations: Vec<Uuid> = items.iter().map(|i| i.key.organization.uuid()).collect();
    let usages: Vec<Uuid> = items.iter().map(|i| i.key.usage.uuid()).collect();
    let payers: Vec<&str> = items.iter().map(|i| i.payer.as_str()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select c.organization_id, c.account_id, c.usage_event_id, c.id, c.revision, c.part, c.kind, c.price_key, c.grant_id,
             c.subscription_id, c.plan_version_id, c.quantity, c.amount_numerator, c.amount_denominator, c.invoice_id, c.line_group,
             c.provider_price_id, jsonb_exists(c.trace, 'tier') as "is_counted!",
             coalesce(c.trace ->> 'reason' = 'waived', false) as "is_waived!",
             coalesce(p.starts_at, date_trunc('month', c.occurred_at at time zone o.zone) at time zone o.zone) as "period_start!",
             coalesce(p.ends_at, (date_trunc('month', c.occurred_at at time zone o.zone) + interval '1 month') at time zone o.zone) as "period_end!"
         from (select distinct * from unnest($1::uuid[], $2::uuid[], $3::text[]) as k (organization_id, usage_event_id, payer)) k
         cross join lateral (
             select * from charges h where h.organization_id = k.organization_id and h.usage_event_id = k.usage_event_id
                 and h.payer = k.payer and h.reverses_id is null offset 0
         ) c
         join organizations o on o.id = c.organization_id
         left join billing_periods p on p.organization_id = c.organization_id and p.subscription_id = c.subscription_id
             and p.starts_at <= c.occurred_at and c.occurred_at < p.ends_at
         where (select r.id from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id) is null
         order by c.organization_id, c.usage_event_id, c.revision, c.part"#,
        &organizations,
        &usages,
        &payers as &[&str],
    )
    .fetch_all(tx)
    .await?;
    let mut known = Known::new();
    for row in rows {
        let Some(usage) = row.usage_event_id else {
            continue;
        };
        let key = UsageKey {
            organization: row.organization_id.into(),
            account: row.account_id.into(),
            usage: usage.into(),
        };
        known.entry(key).or_default().push(row.read()?);
    }
    Ok(known)
}

impl Row {
    fn read(self) -> Result<InForce> {
        let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored charge: {e}"));
        let key = self.price_key.as_deref().map(Key::from_stored).transpose();
        Ok(InForce {
            id: self.id.into(),
            revision: self.revision,
            part: self.part,
            kind: self.kind,
            price_key: key.map_err(|e| stored(&e))?,
            grant: self.grant_id.map(GrantId::from),
            subscription: self.subscription_id.map(SubscriptionId::from),
            version: self.plan_version_id.map(PlanVersionId::from),
            quantity: Quantity::try_from(self.quantity).map_err(|e| stored(&e))?,
            amount: Fraction::from_decimals(self.amount_numerator, self.amount_denominator)
                .map_err(|e| stored(&e))?,
            invoice: self.invoice_id.map(InvoiceId::from),
            line_group: self.line_group,
            is_counted: self.is_counted,
            is_waived: self.is_waived,
            period: Period::new(self.period_start.to_jiff(), self.period_end.to_jiff())
                .map_err(|e| stored(&e))?,
            provider_price: self.provider_price_id.map(ProviderPriceId::from),
        })
    }
}

/// What charges drew from grants and counted under tiers, by the start of the period in which they did.
pub(super) fn drawn(charges: &[InForce]) -> Vec<(Timestamp, Rated)> {
    let mut drawn: Vec<(Timestamp, Rated)> = Vec::new();
    for charge in charges {
        let rated = if let Some((_, rated)) = drawn
            .iter_mut()
            .find(|(at, _)| *at == charge.period.start())
        {
            rated
        } else {
            drawn.push((charge.period.start(), Rated::default()));
            match drawn.last_mut() {
                Some((_, rated)) => rated,
                None => continue,
            }
        };
        if let Some(grant_id) = charge.grant {
            rated.grant_draws.push(GrantDraw {
                grant_id,
                quantity: charge.quantity,
            });
        }
        if let Some(price_key) = charge.price_key.clone().filter(|_| charge.is_counted) {
            rated.tier_deltas.push(TierDelta {
                price_key,
                quantity: charge.quantity,
            });
        }
    }
    drawn
}

/// The time of the latest usage that an account was charged for.
pub(super) async fn latest(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
) -> Result<HashMap<AccountId, Timestamp>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        accounts.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    let rows = sqlx::query!(
        "select k.account_id, l.occurred_at
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, account_id)
         cross join lateral (
             select c.occurred_at from charges c
             where c.organization_id = k.organization_id and c.account_id = k.account_id and c.usage_event_id is not null
             order by c.occurred_at desc limit 1
         ) l",
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((row.account_id?.into(), row.occurred_at.to_jiff())))
        .collect())
}

/// The usages of an account that were charged and lie in a time, from its first instant to before its last.
pub(super) async fn charged_between(
    tx: &mut PgConnection,
    organization: OrganizationId,
    account: AccountId,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<UsageKey>> {
    let usages = sqlx::query_scalar!(
        r#"select distinct c.usage_event_id as "id!" from charges c
         where c.organization_id = $1 and c.account_id = $2 and c.occurred_at >= $3 and c.occurred_at < $4
             and c.usage_event_id is not null"#,
        organization.uuid(),
        account.uuid(),
        from.to_sqlx(),
        until.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    Ok(usages
        .into_iter()
        .map(|usage| UsageKey {
            organization,
            account,
            usage: UsageEventId::from(usage),
        })
        .collect())
}
