//! A call as programs read it, and whose it is.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollbook_core::actor::Actor;
use tollbook_core::calls::Phase;
use tollbook_core::ids::{CallId, CustomerId, InvoiceId, OrganizationId};

use super::attribute::{Whose, attribute};
use super::course::Course;
use super::detail::{CostFacts, LegFacts, PartFacts};
use super::document::CallDocument;
use super::moment::moments;
use super::view::explain::{Part, explain};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::OrgMember;
use crate::http::frame::Frame;
use crate::http::input::{Input, Path, ShortText};
use crate::pages::Section;
use crate::pages::time::Viewer;

/// A call with everything that the reader may know of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallDetail {
    #[serde(flatten)]
    call: CallDocument,
    /// What happened, in order.
    timeline: Vec<HappeningDocument>,
    /// The provider's records, oldest first; for those who run the organization.
    legs: Vec<LegDocument>,
    /// The charges in force; for those who run the organization.
    charges: Vec<ChargeDocument>,
    /// What it cost at the provider; only for who bears that, and only once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_cost: Option<CostDocument>,
}

/// A line of the timeline.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct HappeningDocument {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    kind: String,
}

/// A provider's record of a part of the call.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct LegDocument {
    sid: String,
    #[schema(value_type = String)]
    state: Phase,
    external_party: String,
    our_number: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    answered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
}

/// A charge and how it came about.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChargeDocument {
    /// Who pays.
    payer: String,
    plan: Option<String>,
    plan_version: Option<i32>,
    /// A plain decimal in major units.
    amount: String,
    currency: &'static str,
    invoice: Option<InvoiceDocument>,
    /// In sentences.
    explanation: Vec<StepDocument>,
    parts: Vec<PartDocument>,
}

/// The invoice that a charge is on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct InvoiceDocument {
    #[schema(value_type = uuid::Uuid)]
    id: InvoiceId,
    number: String,
}

/// A step from what was used to what it costs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StepDocument {
    label: String,
    detail: Option<String>,
    value: String,
}

/// A part of a charge with its trace.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PartDocument {
    kind: &'static str,
    /// In the meter's base unit.
    quantity: String,
    trace: Value,
}

/// What a call cost at the provider.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CostDocument {
    amount: String,
    currency: &'static str,
    /// What is left of the charge.
    margin: Option<String>,
}

/// `GET /api/calls/{id}`
pub(crate) async fn get_call(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    Path(id): Path<CallId>,
) -> Result<Json<CallDetail>> {
    let viewer = frame.page(Section::None).viewer;
    let detail = detail(&app, &viewer, &member.actor, member.organization, id).await?;
    Ok(Json(detail))
}

async fn detail(
    app: &App,
    viewer: &Viewer,
    actor: &Actor,
    organization: OrganizationId,
    id: CallId,
) -> Result<CallDetail> {
    let mut tx = app.db.begin(actor).await?;
    let moments = moments(&mut tx, app, actor, organization, &[id.uuid()]).await?;
    let moment = moments.calls.get(&id).ok_or(Error::NotFound("call"))?;
    let course = Course::read(&mut tx, actor, organization, moment).await?;
    Ok(CallDetail {
        call: CallDocument::of(moment, &moments),
        timeline: course
            .happenings
            .into_iter()
            .map(|it| HappeningDocument {
                at: it.at,
                kind: it.kind,
            })
            .collect(),
        legs: course.legs.into_iter().map(leg).collect(),
        charges: course
            .parts
            .chunk_by(|a, b| a.charge == b.charge)
            .filter_map(|parts| charge(viewer, parts).transpose())
            .collect::<Result<_>>()?,
        provider_cost: course.cost.map(cost),
    })
}

fn leg(leg: LegFacts) -> LegDocument {
    LegDocument {
        sid: leg.sid,
        state: leg.phase,
        external_party: leg.external_party,
        our_number: leg.our_number,
        answered_at: leg.answered_at,
        ended_at: leg.ended_at,
    }
}

fn charge(viewer: &Viewer, parts: &[PartFacts]) -> Result<Option<ChargeDocument>> {
    let Some(first) = parts.first() else {
        return Ok(None);
    };
    let explained: Vec<Part<'_>> = parts.iter().map(PartFacts::to_explain).collect();
    let steps = explain(viewer, &explained).into_iter();
    let documents = parts.iter().map(|part| {
        Ok(PartDocument {
            kind: part.kind.as_str(),
            quantity: part.quantity.to_string(),
            trace: serde_json::to_value(&part.trace)
                .map_err(|e| Error::Internal(format!("a trace cannot be written: {e}")))?,
        })
    });
    Ok(Some(ChargeDocument {
        payer: first.payer.clone(),
        plan: first.terms.as_ref().map(|(plan, _)| plan.clone()),
        plan_version: first.terms.as_ref().map(|(_, version)| *version),
        amount: first.total.clone(),
        currency: first.currency.code(),
        invoice: first
            .invoice
            .clone()
            .map(|(id, number)| InvoiceDocument { id, number }),
        explanation: steps
            .map(|step| StepDocument {
                label: step.label,
                detail: step.detail,
                value: step.value,
            })
            .collect(),
        parts: documents.collect::<Result<_>>()?,
    }))
}

fn cost(cost: CostFacts) -> CostDocument {
    CostDocument {
        amount: cost.cost,
        currency: cost.currency.code(),
        margin: cost.margin,
    }
}

/// Whose a call is: a customer, or somebody new by that name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhoseInput {
    customer_id: Option<CustomerId>,
    name: Option<ShortText>,
}

impl WhoseInput {
    pub(super) fn whose(self) -> Result<Whose> {
        match (self.customer_id, self.name) {
            (Some(customer), None) => Ok(Whose::Customer(customer)),
            (None, Some(name)) => Ok(Whose::New(name.into_inner())),
            (Some(_), Some(_)) => Err(Error::invalid("name", "must not be given with a customer")),
            (None, None) => Err(Error::invalid("customerId", "or a name is required")),
        }
    }
}

/// `POST /api/calls/{id}/customer`
pub(crate) async fn post_customer(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    Path(id): Path<CallId>,
    Input(input): Input<WhoseInput>,
) -> Result<Json<CallDetail>> {
    attribute(
        &app,
        &member.actor,
        member.organization,
        id,
        &input.whose()?,
    )
    .await?;
    let viewer = frame.page(Section::None).viewer;
    let detail = detail(&app, &viewer, &member.actor, member.organization, id).await?;
    Ok(Json(detail))
}
