//! Where people are told of usage, for programs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId, ThresholdId};
use tollbook_core::limits::PERCENT_MAX;
use tollbook_core::metering::resolve;
use tollbook_core::money::{Price, Quantity};
use uuid::Uuid;

use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, OnConstraint as _, Result};
use crate::http::input::{Input, Params, Path};
use crate::http::list::{List, Paging};
use crate::http::seller::{Listed, PayerFilter, Seller};
use crate::ids::new_id;

/// Thresholds of one organization at most.
const THRESHOLDS_MAX: i64 = 200;

/// What a threshold is on the way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThresholdKind {
    /// Percent of what is included.
    Allowance,
    /// Percent of a cap.
    Cap,
    /// What is left in a wallet.
    Wallet,
    /// What a meter has counted in the month, of the whole organization.
    Meter,
}

impl ThresholdKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allowance => "allowance",
            Self::Cap => "cap",
            Self::Wallet => "wallet",
            Self::Meter => "meter",
        }
    }
}

/// A threshold.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThresholdView {
    id: Uuid,
    org_id: Uuid,
    /// None: all payers of the sale.
    customer_id: Option<Uuid>,
    /// `allowance`, `cap`, `wallet` or `meter`.
    kind: String,
    meter: Option<String>,
    /// Whole percent of an allowance or a cap; money left in a wallet; units of a meter.
    at: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A threshold to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ThresholdInput {
    #[schema(value_type = Option<Uuid>)]
    org_id: Option<OrganizationId>,
    /// All customers of the organization if absent.
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    kind: ThresholdKind,
    /// Of a meter only.
    meter: Option<String>,
    #[schema(value_type = String)]
    at: Price,
}

impl ThresholdInput {
    /// The meter's name, if it is one.
    fn check(&self) -> Result<Option<String>> {
        let at = self.at.to_decimal();
        if at <= Decimal::ZERO {
            return Err(Error::invalid("at", "must be above zero"));
        }
        let is_percent = matches!(self.kind, ThresholdKind::Allowance | ThresholdKind::Cap);
        if is_percent && (at.fract() != Decimal::ZERO || at > Decimal::from(PERCENT_MAX)) {
            let message = format!("must be a whole percent up to {PERCENT_MAX}");
            return Err(Error::invalid("at", message));
        }
        match (self.kind, &self.meter) {
            (ThresholdKind::Meter, None) => Err(Error::invalid("meter", "is required")),
            (ThresholdKind::Meter, Some(_)) if self.customer_id.is_some() => Err(Error::invalid(
                "customerId",
                "must be absent: a meter is counted for the organization",
            )),
            (ThresholdKind::Meter, Some(meter)) => {
                let known = resolve(meter, Quantity::ZERO);
                let (meter, _) = known.map_err(|_| Error::invalid("meter", "is not a meter"))?;
                Ok(Some(meter.to_string()))
            }
            (_, Some(_)) => Err(Error::invalid("meter", "must be absent but for a meter")),
            (_, None) => Ok(None),
        }
    }
}

/// `GET /api/admin/usage-thresholds`
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<List<ThresholdView>>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let rows = thresholds(&mut tx, listed, None, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, |it| it.id)?))
}

/// `POST /api/admin/usage-thresholds`: people are told from the next charge on.
pub(crate) async fn create(
    State(app): State<App>,
    seller: Seller,
    Input(input): Input<ThresholdInput>,
) -> Result<(StatusCode, Json<ThresholdView>)> {
    let (actor, listed) = seller.list(input.org_id, input.customer_id)?;
    let organization = match listed.organization() {
        Some(organization) => organization,
        None => seller.sale(input.org_id, input.customer_id)?.organization,
    };
    let meter = input.check()?;
    let mut tx = app.db.begin(&actor).await?;
    let id: ThresholdId = new_id();
    let done = sqlx::query!(
        "insert into usage_thresholds (organization_id, id, payer, customer_id, kind, meter, at)
         select $1, $2, $3, $4, $5, $6, $7
         where (select count(*) from usage_thresholds where organization_id = $1) < $8",
        organization.uuid(),
        id.uuid(),
        listed.payer().as_str(),
        input.customer_id.map(Uuid::from),
        input.kind.as_str(),
        meter,
        input.at.to_decimal(),
        THRESHOLDS_MAX,
    )
    .execute(&mut *tx)
    .await
    .on_constraint("usage_thresholds_at_key", || {
        Error::conflict("threshold_exists", "there is such a threshold already")
    })
    .on_constraint("usage_thresholds_organization_id_customer_id_fkey", || {
        Error::NotFound("customer")
    })
    .on_constraint("usage_thresholds_organization_id_fkey", || {
        Error::NotFound("organization")
    })?;
    if done.rows_affected() == 0 {
        let message = format!("there are {THRESHOLDS_MAX} already");
        return Err(Error::conflict("too_many_thresholds", message));
    }
    let made = thresholds(&mut tx, listed, Some(id), None, 1).await?;
    let made = made.into_iter().next();
    let made = made.ok_or_else(|| Error::Internal("a threshold was not made".to_owned()))?;
    let deed = Deed::new(
        organization,
        "usage_threshold.created",
        "usage_threshold",
        id,
    );
    audit::record(&mut tx, &actor, deed.after(&made)?).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `DELETE /api/admin/usage-thresholds/{id}`
pub(crate) async fn remove(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<ThresholdId>,
    Params(filter): Params<PayerFilter>,
) -> Result<StatusCode> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let before = thresholds(&mut tx, listed, Some(id), None, 1).await?;
    let before = before.into_iter().next();
    let before = before.ok_or(Error::NotFound("usage threshold"))?;
    sqlx::query!(
        "delete from usage_thresholds where organization_id = $1 and id = $2",
        before.org_id,
        id.uuid(),
    )
    .execute(&mut *tx)
    .await?;
    let organization = OrganizationId::from(before.org_id);
    let deed = Deed::new(
        organization,
        "usage_threshold.removed",
        "usage_threshold",
        id,
    );
    audit::record(&mut tx, &actor, deed.before(&before)?).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn thresholds(
    tx: &mut PgConnection,
    listed: Listed,
    only: Option<ThresholdId>,
    after: Option<Uuid>,
    rows: i64,
) -> Result<Vec<ThresholdView>> {
    let rows = sqlx::query!(
        "select organization_id, id, customer_id, kind, meter, at, created_at
         from usage_thresholds
         where ($1::uuid is null or organization_id = $1) -- all organizations: the platform may list its whole sale
             and payer = $2 and ($3::uuid is null or customer_id = $3) and ($4::uuid is null or id = $4)
             and ($5::uuid is null or id > $5)
         order by id limit $6",
        listed.organization().map(Uuid::from),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
        only.map(Uuid::from),
        after,
        rows,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ThresholdView {
            id: row.id,
            org_id: row.organization_id,
            customer_id: row.customer_id,
            kind: row.kind,
            meter: row.meter,
            at: row.at.normalize().to_string(),
            created_at: row.created_at.to_jiff(),
        })
        .collect())
}
