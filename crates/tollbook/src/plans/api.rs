//! Offering plans: in the short form with minutes and SMS, or in full.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollbook_core::ids::OrganizationId;
use tollbook_core::plans::{InvalidPlan, Offer};
use uuid::Uuid;

use super::ops;
use super::read::{self, PlanView};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, FieldError, Result};
use crate::http::input::{Params, RawInput};
use crate::http::list::{List, Paging};
use crate::http::seller::Seller;

/// Longest name in characters.
const NAME_MAX: usize = 200;

/// Whose plans.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    org_id: Option<OrganizationId>,
}

/// `GET /api/admin/billing-plans`: the caller's own offers; of the platform, or with `orgId` of that organization.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<PlanView>>> {
    let (actor, organization) = seller.offers(filter.org_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    let rows = read::plans(&mut tx, seller, None, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, |plan| plan.id)?))
}

/// `POST /api/admin/billing-plans`: makes a plan and publishes its first version.
pub(crate) async fn create(
    State(app): State<App>,
    seller: Seller,
    RawInput(body): RawInput,
) -> Result<(StatusCode, Json<PlanView>)> {
    let (organization, offer) = offer(&body)?;
    let (actor, organization) = seller.offers(organization)?;
    let seller = organization.map_or(Uuid::nil(), OrganizationId::uuid);
    let mut tx = app.db.begin(&actor).await?;
    let (plan, version) = ops::create(&mut tx, seller, &offer).await?;
    ops::publish(&mut tx, seller, version, app.clock.now()).await?;
    let made = read::plans(&mut tx, seller, Some(plan), None, 1).await?;
    let made = made.into_iter().next().ok_or(Error::NotFound("plan"))?;
    let deed = Deed::new(organization, "plan.published", "plan", plan).after(&made)?;
    audit::record(&mut tx, &actor, deed).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// The plan in a body, which may also say whose it is. Numbers keep all their digits.
fn offer(body: &[u8]) -> Result<(Option<OrganizationId>, Offer)> {
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body)
        .map_err(|e| Error::Malformed(format!("the body is no JSON object: {e}")))?;
    let mut organization = None;
    for name in ["orgId", "org_id"] {
        if let Some(raw) = fields.remove(name) {
            let id = serde_json::from_str(raw.get());
            organization = Some(id.map_err(|_| Error::invalid("orgId", "is not an id"))?);
        }
    }
    // As it was sent, so that a field that comes twice is refused.
    let rest = match organization {
        None => body.to_vec(),
        Some(_) => serde_json::to_vec(&fields).map_err(|e| Error::Malformed(e.to_string()))?,
    };
    let offer = Offer::read(&rest).map_err(refused)?;
    if offer.name.trim().is_empty() {
        return Err(Error::invalid("name", "is required"));
    }
    if offer.name.chars().count() > NAME_MAX {
        let message = format!("must have at most {NAME_MAX} characters");
        return Err(Error::invalid("name", message));
    }
    Ok((organization, offer))
}

fn refused(InvalidPlan(errors): InvalidPlan) -> Error {
    // A missing field is named in the message only.
    let field = |e: tollbook_core::plans::FieldError| {
        let missing = e.message.strip_prefix("missing field `");
        match missing.and_then(|rest| rest.split('`').next()) {
            Some(name) if e.field.is_empty() => FieldError {
                field: name.to_owned(),
                message: "is required".to_owned(),
            },
            Some(name) => FieldError {
                field: format!("{}.{name}", e.field),
                message: "is required".to_owned(),
            },
            None => FieldError {
                field: e.field,
                message: e.message,
            },
        }
    };
    Error::Invalid(errors.into_iter().map(field).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> String {
        match offer(json.as_bytes()) {
            Ok((organization, offer)) => {
                format!("{} {}", offer.name, organization.is_some())
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_plan_may_name_its_organization_either_way() {
        let id = "10000000-0000-7000-8000-000000000001";
        let plan = |more: &str| format!(r#"{{"name":"Basic","currency":"USD"{more}}}"#);
        assert_eq!(read(&plan("")), "Basic false");
        assert_eq!(read(&plan(&format!(r#","orgId":"{id}""#))), "Basic true");
        assert_eq!(read(&plan(&format!(r#","org_id":"{id}""#))), "Basic true");
        assert_eq!(read(&plan(r#","orgId":"x""#)), "`orgId` is not an id");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(read(r#"{"name":"Basic"}"#), "`currency` is required");
        assert_eq!(read(r#"{"currency":"USD"}"#), "`name` is required");
        assert_eq!(
            read(r#"{"name":"a","currency":"USD","includedMinutes":5}"#),
            "`overage.perMinute` must be given with `includedMinutes`"
        );
        assert!(read("[").starts_with("the body is no JSON object"));
    }
}
