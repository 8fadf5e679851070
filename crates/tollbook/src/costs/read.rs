//! Reads what providers charge, for who bears it.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, ProviderCostId};
use tollbook_core::payer::PayerKind;
use tollbook_core::time::Period;
use uuid::Uuid;

use crate::error::Result;

/// Who bears the costs that belong to a sale: its seller.
pub(crate) const fn bearer(payer: PayerKind) -> &'static str {
    match payer {
        PayerKind::Organization => "platform",
        PayerKind::Customer => "organization",
    }
}

/// What a provider charges for one thing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CostView {
    id: Uuid,
    org_id: Uuid,
    provider: String,
    /// `call`, `message`, `recording`, `voicemail` or `number` for a month of one.
    subject: String,
    subject_id: Uuid,
    /// The provider's id of it.
    sid: Option<String>,
    /// `pending` or `known`.
    status: &'static str,
    /// A decimal; none while it is pending.
    amount: Option<String>,
    pub(super) currency: Option<String>,
    /// `asked`, `by_hand` or `merged`: where the price comes from.
    source: Option<String>,
    /// How often the price was corrected.
    corrections: i32,
    /// How often the provider was asked.
    asked: i32,
    #[schema(value_type = Option<String>, format = DateTime)]
    ask_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    known_at: Option<Timestamp>,
}

/// The place of a cost in the list: the latest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cursor {
    occurred_at: Timestamp,
    id: Uuid,
}

impl CostView {
    pub(super) fn place(&self) -> Cursor {
        Cursor {
            occurred_at: self.occurred_at,
            id: self.id,
        }
    }
}

struct Row {
    id: Uuid,
    provider: String,
    subject: String,
    subject_id: Uuid,
    sid: Option<String>,
    amount: Option<Decimal>,
    currency: Option<String>,
    source: Option<String>,
    revision: Option<i32>,
    asks: i32,
    ask_at: Option<jiff_sqlx::Timestamp>,
    occurred_at: jiff_sqlx::Timestamp,
    known_at: Option<jiff_sqlx::Timestamp>,
}

/// Whose costs, and which of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Which {
    pub(super) organization: OrganizationId,
    pub(super) bearer: &'static str,
    pub(super) period: Period,
    /// Only those that are pending, or only those that are known.
    pub(super) is_pending: Option<bool>,
}

/// Costs of things that happened in a period.
pub(super) async fn costs(
    tx: &mut PgConnection,
    which: Which,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<CostView>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select p.id, p.provider, p.subject, p.subject_id, p.sid, p.amount, p.currency, r.source as "source?", p.revision, p.asks, p.ask_at,
             p.occurred_at, p.known_at
         from provider_costs p
         left join provider_prices r on r.organization_id = p.organization_id and r.cost_id = p.id and r.revision = p.revision
         where p.organization_id = $1 and p.bearer = $2 and p.occurred_at >= $3 and p.occurred_at < $4
             and ($5::boolean is null or (p.amount is null) = $5) and ($6::timestamptz is null or (p.occurred_at, p.id) < ($6, $7))
         order by p.occurred_at desc, p.id desc limit $8"#,
        which.organization.uuid(),
        which.bearer,
        which.period.start().to_sqlx(),
        which.period.end().to_sqlx(),
        which.is_pending,
        after.map(|after| after.occurred_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|after| after.id),
        rows,
    )
    .fetch_all(tx)
    .await?;
    let organization = which.organization;
    Ok(rows.into_iter().map(|row| row.view(organization)).collect())
}

/// One cost, if it is borne by `bearer`.
pub(super) async fn cost(
    tx: &mut PgConnection,
    organization: OrganizationId,
    bearer: &str,
    id: ProviderCostId,
) -> Result<Option<CostView>> {
    let row = sqlx::query_as!(
        Row,
        r#"select p.id, p.provider, p.subject, p.subject_id, p.sid, p.amount, p.currency, r.source as "source?", p.revision, p.asks, p.ask_at,
             p.occurred_at, p.known_at
         from provider_costs p
         left join provider_prices r on r.organization_id = p.organization_id and r.cost_id = p.id and r.revision = p.revision
         where p.organization_id = $1 and p.bearer = $2 and p.id = $3"#,
        organization.uuid(),
        bearer,
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| row.view(organization)))
}

impl Row {
    fn view(self, organization: OrganizationId) -> CostView {
        CostView {
            id: self.id,
            org_id: organization.uuid(),
            provider: self.provider,
            subject: self.subject,
            subject_id: self.subject_id,
            sid: self.sid,
            status: if self.amount.is_some() {
                "known"
            } else {
                "pending"
            },
            amount: self.amount.map(|amount| amount.normalize().to_string()),
            currency: self.currency,
            source: self.source,
            corrections: self.revision.map_or(0, |revision| revision - 1),
            asked: self.asks,
            ask_at: self.ask_at.map(jiff_sqlx::Timestamp::to_jiff),
            occurred_at: self.occurred_at.to_jiff(),
            known_at: self.known_at.map(jiff_sqlx::Timestamp::to_jiff),
        }
    }
}
