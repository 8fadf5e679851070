//! Trying a plan on usage that was.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollbook_core::ids::{CustomerId, OrganizationId, PlanId, PlanVersionId};
use tollbook_core::money::Currency;
use tollbook_core::plans::{Document, Offer};
use tollbook_core::time::Period;
use uuid::Uuid;

use super::check::check;
use super::offered::refused;
use super::versions;
use super::what_if::{Line, WhatIf, Who, run};
use crate::app::App;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::csv::{self, Chunk};
use crate::http::input::{RawInput, parse_json};
use crate::http::seller::Seller;
use crate::rating::{Compared, ComparedView};

/// What is tried, on whom.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    org_id: Option<OrganizationId>,
    /// The plan to try: its newest version, a draft included, unless `planVersionId` says which.
    plan_id: Option<PlanId>,
    plan_version_id: Option<PlanVersionId>,
    /// Only `current` so far: what is charged on the terms that are in force.
    #[serde(default)]
    against: Against,
    from: Timestamp,
    to: Timestamp,
    /// These customers.
    customer_ids: Option<Vec<CustomerId>>,
    /// Everybody who is on this plan; on `planId` if neither is given.
    subscribers_of: Option<PlanId>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Against {
    #[default]
    Current,
}

/// What subscribers pay now, and would pay.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhatIfView {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    currency: String,
    payers: Vec<PayerView>,
    /// The sum of what is shown.
    total: ComparedView,
}

/// What one of them pays. Taxes, discounts, minimum commitments, and what was priced by hand are not part of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PayerView {
    org_id: Uuid,
    customer_id: Option<Uuid>,
    name: String,
    usages: usize,
    /// Usages that are not charged yet: they are in `after` only.
    waiting: usize,
    /// Usages that the plan could not charge: they are in `before` only.
    unpriced: usize,
    /// Why not, of one of them.
    unpriced_reason: Option<String>,
    fees: ComparedView,
    usage: ComparedView,
    #[serde(flatten)]
    total: ComparedView,
}

/// `POST /api/admin/billing-plans/what-if`: what subscribers would have paid on another plan, as JSON or CSV.
pub(crate) async fn what_if(
    State(app): State<App>,
    seller: Seller,
    headers: HeaderMap,
    RawInput(body): RawInput,
) -> Result<Response> {
    let (asked, unstored) = read(&body)?;
    let Against::Current = asked.against;
    let (actor, organization) = seller.offers(asked.org_id)?;
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    if asked.to > app.clock.now() {
        return Err(Error::invalid("to", "must not be in the future"));
    }
    let time = Period::new(asked.from, asked.to)
        .map_err(|_| Error::invalid("to", "must be after `from`"))?;
    let who = who(&asked, organization)?;
    let mut tx = app.db.begin(&actor).await?;
    let document = document(&mut tx, seller, &asked, unstored.as_deref()).await?;
    drop(tx);
    let currency = document.currency;
    let what_if = WhatIf {
        seller,
        document,
        who,
        time,
    };
    let lines = run(&app, &actor, &what_if).await?;
    let view = view(&what_if.time, currency, lines)?;
    if csv::is_wanted(&headers) {
        return as_csv(view).await;
    }
    Ok(Json(view).into_response())
}

/// What is asked, and the `document` of a plan that is not stored: the names in it are not spelt as others are.
fn read(body: &[u8]) -> Result<(Asked, Option<Box<RawValue>>)> {
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body)
        .map_err(|e| Error::Malformed(format!("the body is no JSON object: {e}")))?;
    let document = fields.remove("document");
    let rest = serde_json::to_vec(&fields).map_err(|e| Error::Malformed(e.to_string()))?;
    Ok((parse_json(&rest)?, document))
}

fn who(asked: &Asked, organization: Option<OrganizationId>) -> Result<Who> {
    match (&asked.customer_ids, asked.subscribers_of, asked.plan_id) {
        (Some(_), Some(_), _) => Err(Error::invalid(
            "subscribersOf",
            "cannot be given beside `customerIds`",
        )),
        (Some(_), ..) if organization.is_none() => Err(Error::invalid(
            "customerIds",
            "are an organization's: name it in `orgId`",
        )),
        (Some(ids), None, _) => Ok(Who::Customers(ids.clone())),
        (None, Some(plan), _) | (None, None, Some(plan)) => Ok(Who::SubscribersOf(plan)),
        (None, None, None) => Err(Error::invalid(
            "customerIds",
            "is required, or `subscribersOf` a plan",
        )),
    }
}

/// The plan that is tried.
async fn document(
    tx: &mut Tx,
    seller: Uuid,
    asked: &Asked,
    unstored: Option<&RawValue>,
) -> Result<Document> {
    if let Some(raw) = unstored {
        if asked.plan_version_id.is_some() {
            let message = "cannot be given beside `document`";
            return Err(Error::invalid("planVersionId", message));
        }
        let offer = Offer::read(raw.get().as_bytes()).map_err(refused)?;
        check(tx, seller, &offer.document).await?;
        return Ok(offer.document);
    }
    match (asked.plan_version_id, asked.plan_id) {
        (Some(version), _) => versions::document(tx, seller, version).await,
        (None, Some(plan)) => {
            let newest = versions::list(tx, seller, plan, None, None, 1).await?;
            let newest = newest.first().ok_or(Error::NotFound("plan"))?;
            versions::document(tx, seller, newest.id).await
        }
        (None, None) => Err(Error::invalid("planId", "is required, or a `document`")),
    }
}

fn view(time: &Period, currency: Currency, lines: Vec<Line>) -> Result<WhatIfView> {
    let mut total = Compared::zero(currency);
    let mut payers = Vec::with_capacity(lines.len());
    for line in lines {
        let own = line.fees.plus(line.usage)?;
        total = total.plus(own)?;
        payers.push(PayerView {
            org_id: line.organization.uuid(),
            customer_id: line.customer.map(Uuid::from),
            name: line.name,
            usages: line.usages,
            waiting: line.waiting,
            unpriced: line.unpriced,
            unpriced_reason: line.why,
            fees: line.fees.view()?,
            usage: line.usage.view()?,
            total: own.view()?,
        });
    }
    Ok(WhatIfView {
        from: time.start(),
        to: time.end(),
        currency: currency.to_string(),
        payers,
        total: total.view()?,
    })
}

async fn as_csv(view: WhatIfView) -> Result<Response> {
    let columns = [
        "org_id",
        "customer_id",
        "name",
        "currency",
        "usages",
        "waiting",
        "unpriced",
        "fees_before",
        "fees_after",
        "usage_before",
        "usage_after",
        "before",
        "after",
        "difference",
    ];
    let cells = |payer: PayerView| {
        vec![
            payer.org_id.to_string(),
            payer
                .customer_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            payer.name,
            view.currency.clone(),
            payer.usages.to_string(),
            payer.waiting.to_string(),
            payer.unpriced.to_string(),
            payer.fees.before,
            payer.fees.after,
            payer.usage.before,
            payer.usage.after,
            payer.total.before,
            payer.total.after,
            payer.total.difference,
        ]
    };
    let rows: Vec<Vec<String>> = view.payers.into_iter().map(cells).collect();
    csv::stream("what-if", &columns, move |_: Option<()>| {
        let chunk = Chunk {
            rows: rows.clone(),
            next: None,
        };
        async move { Ok(chunk) }
    })
    .await
}
