//! Edge functions: `/functions/v1`. Whatever is wrong with a request is 400, `{"success": false, "error": "…"}`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::{Error, FieldError, Result};
use crate::http::caller::AdminScope;
use crate::http::tenants::Tenants;
use crate::numbers::{self, Fields, MESSAGE, TenantNumber};

/// The longest request in bytes: all of it is kept with the mapping.
const REQUEST_MAX: usize = 16 * 1024;

/// That a number was mapped.
#[derive(Debug, Serialize)]
pub(crate) struct Mapped {
    success: bool,
    mapping: TenantNumber,
    message: &'static str,
    evidence: String,
}

/// `POST /functions/v1/ops-map-number-to-tenant`
pub(crate) async fn map_number(
    State(app): State<App>,
    tenants: Tenants<AdminScope>,
    body: Bytes,
) -> Result<Json<Mapped>> {
    let given = read(&body)?;
    let fields = fields(&given)?;
    let given = Value::Object(given);
    let done = numbers::map_to_tenant(&app, &tenants.caller, &fields, &given)
        .await
        .map_err(plain)?;
    Ok(Json(Mapped {
        success: true,
        message: MESSAGE,
        evidence: done.evidence(),
        mapping: done.mapping,
    }))
}

fn read(body: &[u8]) -> Result<Map<String, Value>> {
    if body.len() > REQUEST_MAX {
        let why = format!("the body must have at most {REQUEST_MAX} bytes");
        return Err(Error::Malformed(why));
    }
    serde_json::from_slice(body)
        .map_err(|_| Error::Malformed("the body must be a JSON object".to_owned()))
}

fn fields(given: &Map<String, Value>) -> Result<Fields> {
    let mut errors = Vec::new();
    let mut text = |name: &str| match given.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => {
            errors.push(FieldError {
                field: name.to_owned(),
                message: "must be text".to_owned(),
            });
            String::new()
        }
    };
    let fields = Fields {
        tenant_id: text("tenant_id"),
        twilio_number_sid: text("twilio_number_sid"),
        phone_number: text("phone_number"),
        number_type: text("number_type"),
    };
    if errors.is_empty() {
        Ok(fields)
    } else {
        Err(plain(Error::Invalid(errors)))
    }
}

/// Faults of fields as one sentence without marks: `tenant_id is required`.
fn plain(error: Error) -> Error {
    match error {
        Error::Invalid(errors) => {
            let each = errors
                .iter()
                .map(|it| format!("{} {}", it.field, it.message));
            Error::Malformed(each.collect::<Vec<_>>().join("; "))
        }
        other => other,
    }
}
