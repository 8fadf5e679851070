//! Drafting and publishing plans, for one seller: the platform (the nil id) or an organization.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, PlanId, PlanVersionId};
use tollbook_core::plans::{Document, Kind, Offer};
use uuid::Uuid;

use super::check::check;
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;
use crate::rating;

/// Stores an offer as the first draft of a new plan. The offer was read, and so its form checked, by the core.
pub(crate) async fn create(
    tx: &mut PgConnection,
    seller: Uuid,
    offer: &Offer,
) -> Result<(PlanId, PlanVersionId)> {
    check(&mut *tx, seller, &offer.document).await?;
    let (plan, version): (PlanId, PlanVersionId) = (new_id(), new_id());
    let code = offer
        .code
        .as_ref()
        .map_or_else(|| plan.to_string(), ToString::to_string);
    let name = if offer.name.is_empty() {
        &code
    } else {
        &offer.name
    };
    sqlx::query!(
        "insert into plans (seller_id, id, code, name, kind) values ($1, $2, $3, $4, $5)",
        seller,
        plan.uuid(),
        code,
        name,
        kind(&offer.document),
    )
    .execute(&mut *tx)
    .await
    .on_constraint("plans_code_key", || {
        Error::conflict("plan_code_taken", format!("plan `{code}` exists already"))
    })?;
    sqlx::query!(
        "insert into plan_versions (seller_id, id, plan_id, version, currency, document) values ($1, $2, $3, 1, $4, $5::text::jsonb)",
        seller,
        version.uuid(),
        plan.uuid(),
        offer.document.currency.code(),
        written(&offer.document)?,
    )
    .execute(tx)
    .await?;
    Ok((plan, version))
}

/// The kind of a plan, as it is stored.
pub(super) fn kind(document: &Document) -> &'static str {
    match document.kind {
        Kind::Subscription => "subscription",
        Kind::PayPerCall => "pay_per_call",
    }
}

/// A document, as it is stored.
pub(super) fn written(document: &Document) -> Result<String> {
    serde_json::to_string(document)
        .map_err(|e| Error::Internal(format!("a plan cannot be written: {e}")))
}

/// Publishes a draft: from now on it never changes, and can be subscribed to.
pub(crate) async fn publish(
    tx: &mut PgConnection,
    seller: Uuid,
    version: PlanVersionId,
    now: Timestamp,
) -> Result<()> {
    let published = sqlx::query!(
        "update plan_versions set state = 'published', published_at = $3 where seller_id = $1 and id = $2 and state = 'draft'",
        seller,
        version.uuid(),
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    match published.rows_affected() {
        0 => Err(Error::NotFound("draft of a plan")),
        _ => Ok(()),
    }
}

/// Makes a published pay-per-call plan the one of an organization's customers without a subscription, from `at` on.
/// Usage since a time that is past is rated again.
pub(crate) async fn set_pay_per_call(
    tx: &mut PgConnection,
    organization: OrganizationId,
    version: PlanVersionId,
    at: Timestamp,
) -> Result<()> {
    let is_published = sqlx::query_scalar!(
        r#"select exists (select from plan_versions v join plans p on p.seller_id = v.seller_id and p.id = v.plan_id
           where v.seller_id = $1 and v.id = $2 and v.state = 'published' and p.kind = 'pay_per_call') as "is_published!""#,
        organization.uuid(),
        version.uuid(),
    )
    .fetch_one(&mut *tx)
    .await?;
    if !is_published {
        return Err(Error::invalid(
            "planVersionId",
            "is not a published pay-per-call plan",
        ));
    }
    sqlx::query!(
        "update pay_per_call_terms set ends_at = $2 where organization_id = $1 and ends_at is null and starts_at < $2",
        organization.uuid(),
        at.to_sqlx(),
    )
    .execute(&mut *tx)
    .await?;
    let id: Uuid = new_id();
    sqlx::query!(
        "insert into pay_per_call_terms (organization_id, id, plan_version_id, starts_at) values ($1, $2, $3, $4)",
        organization.uuid(),
        id,
        version.uuid(),
        at.to_sqlx(),
    )
    .execute(&mut *tx)
    .await
    .on_constraint("pay_per_call_terms_excl", || {
        Error::conflict("terms_overlap", "other pay-per-call terms are in force at that time")
    })?;
    rating::queue_customers_since(tx, organization, at).await
}
