//! Other services report what was used: one event, or up to a thousand at once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollbook_core::ids::{CustomerId, MappingId, OrganizationId, UsageEventId, UserId};
use tollbook_core::metering::{IdempotencyKey, UsageRequest, resolve};
use tollbook_core::money::Quantity;

use super::accept::{Accepted, NewUsage};
use crate::alerts::AlertKind;
use crate::app::App;
use crate::error::{Error, FieldError, OnConstraint as _, Result};
use crate::http::caller::{Service, UsageScope};
use crate::http::input::Input;

/// Events of one request at most.
const BATCH_MAX: usize = 1_000;
/// A resource's kind or id has at most so many characters.
const RESOURCE_MAX: usize = 200;
/// Metadata has at most so many bytes.
const METADATA_MAX: usize = 16 * 1024;

/// A reported event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    #[serde(alias = "tenantId")]
    org_id: Option<OrganizationId>,
    idempotency_key: Option<IdempotencyKey>,
    usage_type: String,
    quantity: Quantity,
    occurred_at: Option<Timestamp>,
    user_id: Option<UserId>,
    customer_id: Option<CustomerId>,
    mapping_id: Option<MappingId>,
    resource_id: Option<String>,
    resource_type: Option<String>,
    metadata: Option<Box<RawValue>>,
}

/// What became of an event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reported {
    id: UsageEventId,
    /// `stored`, or `duplicate` if the same was reported before under its key.
    status: &'static str,
    /// Whether a repeat would be recognized: false without an idempotency key.
    deduplicated: bool,
}

/// One of several events: stored, or refused for a reason.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Reported(Reported),
    Refused(Refused),
}

/// Why an event of a batch was not stored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refused {
    status: &'static str,
    error: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Batch {
    events: Vec<Report>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchAnswer {
    stored: usize,
    duplicates: usize,
    refused: usize,
    /// In the order of the events.
    data: Vec<Outcome>,
}

/// `POST /api/billing/usage`
pub(crate) async fn report(
    State(app): State<App>,
    caller: Service<UsageScope>,
    Input(report): Input<Report>,
) -> Result<(StatusCode, Json<Reported>)> {
    let reported = take(&app, &caller, report).await?;
    let status = if reported.status == "stored" {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(reported)))
}

/// `POST /api/billing/usage/batch`: each event is answered by itself.
pub(crate) async fn report_batch(
    State(app): State<App>,
    caller: Service<UsageScope>,
    Input(batch): Input<Batch>,
) -> Result<Json<BatchAnswer>> {
    if batch.events.len() > BATCH_MAX {
        return Err(Error::invalid(
            "events",
            format!("must be at most {BATCH_MAX}"),
        ));
    }
    // They meet again in the same transactions, where a refused one stands alone.
    let answers = join_all(
        batch
            .events
            .into_iter()
            .map(|report| take(&app, &caller, report)),
    )
    .await;
    let mut answer = BatchAnswer {
        stored: 0,
        duplicates: 0,
        refused: 0,
        data: Vec::with_capacity(answers.len()),
    };
    for taken in answers {
        match taken {
            Ok(reported) => {
                *(if reported.status == "stored" {
                    &mut answer.stored
                } else {
                    &mut answer.duplicates
                }) += 1;
                answer.data.push(Outcome::Reported(reported));
            }
            // All of them have to be sent again; those that were stored are duplicates then.
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                answer.refused += 1;
                answer.data.push(Outcome::Refused(refused(error)));
            }
        }
    }
    Ok(Json(answer))
}

fn refused(error: Error) -> Refused {
    let status = match &error {
        Error::Conflict { .. } => "conflict",
        Error::Invalid(_) => "invalid",
        Error::NotFound(_) | Error::Forbidden(_) => "not_allowed",
        _ => "failed",
    };
    let text = error.to_string();
    Refused {
        status,
        error: text,
        errors: if let Error::Invalid(errors) = error {
            errors
        } else {
            Vec::new()
        },
    }
}

async fn take(app: &App, caller: &Service<UsageScope>, report: Report) -> Result<Reported> {
    let (_, organization) = caller.for_organization(report.org_id)?;
    let taken = store(app, organization, report).await;
    if let Err(error) = &taken {
        note_refusal(app, organization, error);
    }
    taken
}

/// Whoever runs the organization hears of usage that is refused: what reports it may not be looked at by anybody.
fn note_refusal(app: &App, organization: OrganizationId, error: &Error) {
    let reason = match error {
        Error::Invalid(errors) => errors.first().map(|it| it.field.as_str()),
        Error::Conflict { code, .. } => Some(*code),
        _ if error.is_transient() => None,
        _ => Some("failed"),
    };
    if let Some(reason) = reason {
        let (kind, now) = (AlertKind::UsageRefused, app.clock.now());
        app.tally
            .note(organization, kind, None, reason, &error.to_string(), now);
    }
}

async fn store(app: &App, organization: OrganizationId, report: Report) -> Result<Reported> {
    let deduplicated = report.idempotency_key.is_some();
    let usage = read(app, organization, report)?;
    let accepted = app
        .usage
        .submit(usage)
        .await
        .on_constraint("usage_events_meter_fkey", || {
            Error::invalid("usageType", "is not a meter")
        })
        .on_constraint("usage_events_customer_id_fkey", || {
            Error::invalid("customerId", "is not a customer")
        })
        .on_constraint("usage_events_mapping_id_fkey", || {
            Error::invalid("mappingId", "is not a number mapping")
        })
        .on_constraint("usage_events_user_id_fkey", || {
            Error::invalid("userId", "is not a member of the organization")
        })?;
    match accepted {
        Accepted::Stored(id) => Ok(Reported {
            id,
            status: "stored",
            deduplicated,
        }),
        Accepted::Duplicate(id) => Ok(Reported {
            id,
            status: "duplicate",
            deduplicated,
        }),
        Accepted::Conflict(id) => Err(Error::conflict(
            "idempotency_conflict",
            format!("the key was used before for another event, `{id}`"),
        )),
    }
}

fn read(app: &App, organization: OrganizationId, report: Report) -> Result<NewUsage> {
    let (meter, quantity) = resolve(&report.usage_type, report.quantity)
        .map_err(|e| Error::invalid("usageType", e.to_string()))?;
    if quantity.is_negative() {
        return Err(Error::invalid("quantity", "must not be less than zero"));
    }
    for (field, text) in [
        ("resourceId", &report.resource_id),
        ("resourceType", &report.resource_type),
    ] {
        if text
            .as_ref()
            .is_some_and(|text| text.chars().count() > RESOURCE_MAX)
        {
            return Err(Error::invalid(
                field,
                format!("must have at most {RESOURCE_MAX} characters"),
            ));
        }
    }
    Ok(NewUsage {
        organization,
        occurred_at: report.occurred_at.unwrap_or_else(|| app.clock.now()),
        key: report.idempotency_key,
        call: None,
        corrects: None,
        request: UsageRequest {
            meter,
            quantity,
            occurred_at: report.occurred_at,
            user: report.user_id,
            mapping: report.mapping_id,
            customer: report.customer_id,
            resource_type: report.resource_type,
            resource_id: report.resource_id,
            metadata: metadata(report.metadata.as_deref())?,
        },
    })
}

fn metadata(raw: Option<&RawValue>) -> Result<serde_json::Value> {
    let Some(raw) = raw else {
        return Ok(serde_json::Value::Object(serde_json::Map::new()));
    };
    let wrong = || Error::invalid("metadata", "must be an object");
    if raw.get().len() > METADATA_MAX {
        return Err(Error::invalid(
            "metadata",
            format!("must have at most {METADATA_MAX} bytes"),
        ));
    }
    let value: serde_json::Value = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    value.is_object().then_some(value).ok_or_else(wrong)
}
