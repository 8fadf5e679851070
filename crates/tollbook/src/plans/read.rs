//! Reads plans with their latest published version, or their draft if none is published.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use tollbook_core::ids::{PlanId, PlanVersionId};
use tollbook_core::plans::Document;
use uuid::Uuid;

use crate::error::{Error, Result};

/// A plan as it is shown, with the latest of its published versions, or its draft.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanView {
    #[schema(value_type = Uuid)]
    pub(crate) id: PlanId,
    /// The organization that offers it; the platform's have none.
    organization_id: Option<Uuid>,
    code: String,
    name: String,
    /// `subscription` or `pay_per_call`.
    kind: String,
    #[schema(value_type = Uuid)]
    version_id: PlanVersionId,
    version: i32,
    /// `draft` or `published`.
    status: String,
    /// A decimal.
    base_fee: String,
    /// For a billing period of one month, the same again.
    base_monthly_cost: Option<String>,
    interval_months: u16,
    currency: String,
    features: Vec<String>,
    /// The whole plan.
    #[schema(value_type = Object)]
    document: Box<RawValue>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
}

struct Row {
    id: Uuid,
    seller_id: Uuid,
    code: String,
    name: String,
    kind: String,
    version_id: Uuid,
    version: i32,
    state: String,
    document: String,
    created_at: jiff_sqlx::Timestamp,
    published_at: Option<jiff_sqlx::Timestamp>,
}

/// Plans of a seller by id: `rows` of them after `after`, or one of them.
pub(super) async fn plans(
    tx: &mut PgConnection,
    seller: Uuid,
    only: Option<PlanId>,
    after: Option<PlanId>,
    rows: i64,
) -> Result<Vec<PlanView>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select p.id, p.seller_id, p.code, p.name, p.kind, v.id as version_id, v.version, v.state, v.document::text as "document!",
             p.created_at, v.published_at
         from plans p
         join lateral (
             select * from plan_versions v where v.seller_id = p.seller_id and v.plan_id = p.id
             order by v.state = 'published' desc, v.version desc limit 1
         ) v on true
         where p.seller_id = $1 and p.archived_at is null and ($2::uuid is null or p.id = $2) and ($3::uuid is null or p.id > $3)
         order by p.id limit $4"#,
        seller,
        only.map(Uuid::from),
        after.map(Uuid::from),
        rows,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

impl Row {
    fn read(self) -> Result<PlanView> {
        let stored = |e: &dyn std::fmt::Display| {
            Error::Internal(format!("plan {} cannot be read: {e}", self.id))
        };
        let document = Document::read(self.document.as_bytes()).map_err(|e| stored(&e))?;
        let base_fee = document.base_fee.to_string();
        let monthly = (document.interval_months == 1).then(|| base_fee.clone());
        Ok(PlanView {
            id: self.id.into(),
            organization_id: (!self.seller_id.is_nil()).then_some(self.seller_id),
            version_id: self.version_id.into(),
            version: self.version,
            base_fee,
            base_monthly_cost: monthly,
            interval_months: document.interval_months,
            currency: document.currency.code().to_owned(),
            features: document.features,
            document: RawValue::from_string(self.document.clone()).map_err(|e| stored(&e))?,
            code: self.code,
            name: self.name,
            kind: self.kind,
            status: self.state,
            created_at: self.created_at.to_jiff(),
            published_at: self.published_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

/// The latest published version of a seller's plan for subscriptions.
pub(crate) async fn latest_version(
    tx: &mut PgConnection,
    seller: Uuid,
    plan: PlanId,
) -> Result<PlanVersionId> {
    let version = sqlx::query_scalar!(
        "select v.id from plan_versions v join plans p on p.seller_id = v.seller_id and p.id = v.plan_id
         where v.seller_id = $1 and v.plan_id = $2 and v.state = 'published' and p.kind = 'subscription' and p.archived_at is null
         order by v.version desc limit 1",
        seller,
        plan.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    version
        .map(PlanVersionId::from)
        .ok_or_else(|| Error::invalid("planId", "is not a published plan for subscriptions"))
}
