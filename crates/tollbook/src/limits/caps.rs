//! Caps as rows: set, read and taken away.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, SpendCapId};
use tollbook_core::money::{Currency, Money, Price};
use tollbook_core::payer::Payer;
use uuid::Uuid;

use super::spend::stored;
use crate::error::{Error, OnConstraint as _, Result};
use crate::http::seller::Listed;
use crate::ids::new_id;
use crate::wallets::decimal;

/// A cap on what a payer may spend.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CapView {
    pub(super) id: Uuid,
    org_id: Uuid,
    customer_id: Option<Uuid>,
    currency: String,
    /// What usage of one billing period may cost.
    amount: String,
    /// Whether no call is let through beyond it. Otherwise people are told only.
    is_hard: bool,
    /// What usage was charged in the latest period that has any.
    spent: String,
    /// When that period began; none if nothing was charged yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    period_start: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A cap to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewCap {
    pub(super) organization: OrganizationId,
    pub(super) payer: Payer,
    pub(super) amount: Money,
    pub(super) is_hard: bool,
}

fn shown(amount: Decimal, currency: Currency) -> Result<String> {
    let price = Price::try_from(amount).map_err(|e| stored(&e))?;
    // What was spent may have more digits than there are coins.
    Ok(Money::from_price(price, currency).map_or_else(
        |_| amount.normalize().to_string(),
        tollbook_core::money::Money::amount,
    ))
}

/// Caps of a sale, in order of their ids: `rows` of them after `after`.
pub(super) async fn caps(
    tx: &mut PgConnection,
    listed: Listed,
    after: Option<Uuid>,
    rows: i64,
) -> Result<Vec<CapView>> {
    let rows = sqlx::query!(
        r#"select s.organization_id, s.id, s.customer_id, s.currency, s.amount, s.is_hard, s.updated_at, t.amount as "spent?",
             t.period_start as "period_start?"
         from spend_caps s
         left join customers c on c.organization_id = s.organization_id and c.id = s.customer_id
         left join accounts o on s.payer = 'organization' and o.organization_id = s.organization_id and o.payer = 'organization'
         left join lateral (
             select t.amount, t.period_start from spend_totals t
             where t.organization_id = s.organization_id and t.account_id = coalesce(c.account_id, o.id) and t.currency = s.currency
             order by t.period_start desc limit 1
         ) t on true
         where ($1::uuid is null or s.organization_id = $1) -- all organizations: the platform may list its whole sale
             and s.payer = $2 and ($3::uuid is null or s.customer_id = $3) and ($4::uuid is null or s.id > $4)
         order by s.id limit $5"#,
        listed.organization().map(Uuid::from),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
        after,
        rows,
    )
    .fetch_all(tx)
    .await?;
    let view = rows.into_iter().map(|row| {
        let currency: Currency = row.currency.parse().map_err(|e| stored(&e))?;
        Ok(CapView {
            id: row.id,
            org_id: row.organization_id,
            customer_id: row.customer_id,
            amount: shown(row.amount, currency)?,
            spent: shown(row.spent.unwrap_or_default(), currency)?,
            period_start: row.period_start.map(jiff_sqlx::Timestamp::to_jiff),
            is_hard: row.is_hard,
            updated_at: row.updated_at.to_jiff(),
            currency: row.currency,
        })
    });
    view.collect()
}

/// Sets the cap of a payer.
pub(super) async fn set(tx: &mut PgConnection, new: &NewCap) -> Result<()> {
    let id: SpendCapId = new_id();
    sqlx::query!(
        "insert into spend_caps (organization_id, id, payer, customer_id, currency, amount, is_hard)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (organization_id, payer, customer_id) do update
         set currency = excluded.currency, amount = excluded.amount, is_hard = excluded.is_hard, updated_at = clock_timestamp()",
        new.organization.uuid(),
        id.uuid(),
        new.payer.kind().as_str(),
        new.payer.customer().map(Uuid::from),
        new.amount.currency().code(),
        decimal(new.amount),
        new.is_hard,
    )
    .execute(tx)
    .await
    .on_constraint("spend_caps_organization_id_customer_id_fkey", || {
        Error::NotFound("customer")
    })?;
    Ok(())
}

/// Takes the cap of a payer away.
pub(super) async fn remove(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
) -> Result<()> {
    let done = sqlx::query!(
        "delete from spend_caps where organization_id = $1 and payer = $2 and customer_id is not distinct from $3",
        organization.uuid(),
        payer.kind().as_str(),
        payer.customer().map(Uuid::from),
    )
    .execute(tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound("spend cap"));
    }
    Ok(())
}
