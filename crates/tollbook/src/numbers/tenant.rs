//! A number is given to the tenant whom a client names by its own key, and counting begins (S3.1, S3.2, S3.8).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{MappingId, OrganizationId, PhoneNumberId};
use tollbook_core::phone::E164;

use super::api::NumberType;
use super::map::{Mapped, map_number, start_counters};
use super::tenant_sql as sql;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::db::Tx;
use crate::error::{Error, FieldError, OnConstraint as _, Result};
use crate::http::tenants::TenantCaller;
use crate::organizations::{self, NewOrganization};

/// What a client is told when it is done.
pub(crate) const MESSAGE: &str = "Mapped number to tenant and initialized usage counters";

/// The longest name of a tenant in characters.
const TENANT_MAX: usize = 200;

/// What is asked, as a form or another system writes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fields {
    #[serde(default)]
    pub(crate) tenant_id: String,
    #[serde(default)]
    pub(crate) twilio_number_sid: String,
    #[serde(default)]
    pub(crate) phone_number: String,
    #[serde(default)]
    pub(crate) number_type: String,
}

/// The same, checked.
#[derive(Debug)]
pub(super) struct Request {
    /// The organization's external key, or its id.
    tenant: String,
    sid: String,
    pub(super) number: E164,
    /// Known before the transaction begins: the numbering plans of the world take a moment to load.
    country: Option<String>,
    number_type: NumberType,
}

/// A tenant's number as clients of the older systems know it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TenantNumber {
    pub(crate) id: MappingId,
    pub(crate) organization_id: OrganizationId,
    pub(crate) tenant_id: String,
    pub(crate) twilio_number_sid: Option<String>,
    pub(crate) phone_number: String,
    pub(crate) number_type: String,
    pub(crate) provisioned_at: Timestamp,
    pub(crate) deprovisioned_at: Option<Timestamp>,
}

/// What mapping led to.
#[derive(Debug)]
pub(crate) struct MappedNumber {
    pub(crate) mapping: TenantNumber,
    /// The tenant had the number before.
    pub(crate) is_update: bool,
}

impl MappedNumber {
    /// One sentence that tells what was done.
    pub(crate) fn evidence(&self) -> String {
        evidence(&self.mapping.phone_number, self.is_update)
    }
}

/// The sentence that tells that a number was mapped, or mapped again.
pub(super) fn evidence(number: &str, is_update: bool) -> String {
    let updated = if is_update { " (updated)" } else { "" };
    format!("✅ Mapped {number} to tenant and initialized usage counters{updated}")
}

impl Fields {
    /// All that is wrong is named at once.
    pub(super) fn check(&self) -> Result<Request> {
        let mut errors = Vec::new();
        let mut refuse = |field: &str, message: &str| {
            errors.push(FieldError {
                field: field.to_owned(),
                message: message.to_owned(),
            });
        };
        let [tenant, sid, number, number_type] = [
            &self.tenant_id,
            &self.twilio_number_sid,
            &self.phone_number,
            &self.number_type,
        ]
        .map(|it| it.trim());
        if tenant.is_empty() {
            refuse("tenant_id", "is required");
        } else if tenant.chars().count() > TENANT_MAX || tenant.chars().any(char::is_control) {
            refuse("tenant_id", "must have at most 200 characters, in one line");
        }
        if sid.is_empty() {
            refuse("twilio_number_sid", "is required");
        } else if !is_number_sid(sid) {
            refuse("twilio_number_sid", "must be PN and 32 letters or digits");
        }
        let parsed: Option<E164> = number.parse().ok();
        if number.is_empty() {
            refuse("phone_number", "is required");
        } else if parsed.is_none() {
            refuse(
                "phone_number",
                "must be in E.164 form, such as +12505551234",
            );
        }
        let known = NumberType::ALL
            .into_iter()
            .find(|it| it.as_str().eq_ignore_ascii_case(number_type));
        let kind = known.or_else(|| number_type.is_empty().then(NumberType::default));
        if kind.is_none() {
            refuse("number_type", "must be voice, sms or both");
        }
        match (parsed, kind) {
            (Some(number), Some(number_type)) if errors.is_empty() => Ok(Request {
                tenant: tenant.to_owned(),
                sid: sid.to_owned(),
                country: number.country(),
                number,
                number_type,
            }),
            _ => Err(Error::Invalid(errors)),
        }
    }
}

fn is_number_sid(text: &str) -> bool {
    text.strip_prefix("PN")
        .is_some_and(|it| it.len() == 32 && it.bytes().all(|it| it.is_ascii_alphanumeric()))
}

/// Gives the number to the tenant and starts its counters. The platform may name a tenant that is not there yet, and
/// take the number from another; anyone else maps to their own tenants numbers that nobody else holds. `given` is the
/// whole request, kept with the mapping.
pub(crate) async fn map_to_tenant(
    app: &App,
    caller: &TenantCaller,
    fields: &Fields,
    given: &Value,
) -> Result<MappedNumber> {
    let request = fields.check()?;
    match attempt(app, caller, &request, given).await {
        // Somebody else made the same tenant at the same moment: now it is there.
        Err(Error::Conflict {
            code: "organization_exists",
            ..
        }) => attempt(app, caller, &request, given).await,
        done => done,
    }
}

async fn attempt(
    app: &App,
    caller: &TenantCaller,
    request: &Request,
    given: &Value,
) -> Result<MappedNumber> {
    // Numbers belong to the platform, so the transaction is its own, in the person's name.
    let user = caller.user();
    let mut tx = app.db.begin(&Actor::Platform { user }).await?;
    let mapped = map_in(&mut tx, caller, request, given, app.clock.now()).await?;
    tx.commit().await?;
    Ok(mapped)
}

/// The same within a transaction of the platform.
pub(super) async fn map_in(
    tx: &mut Tx,
    caller: &TenantCaller,
    request: &Request,
    given: &Value,
    at: Timestamp,
) -> Result<MappedNumber> {
    let (organization, actor) = tenant(tx, caller, request).await?;
    let number = known_number(tx, request).await?;
    let number_type = request.number_type.as_str();
    let mapped = map_number(tx, &actor, number, organization, number_type, at).await?;
    start_counters(tx, organization, &[mapped.mapping], at).await?;
    let metadata = json!({
        "tenant_id": request.tenant,
        "twilio_number_sid": request.sid,
        "phone_number": request.number,
        "number_type": number_type,
        "request": given,
    });
    sql::set_mapping_metadata(tx, organization, mapped.mapping, &metadata).await?;
    let mapping = sql::tenant_number(tx, mapped.mapping)
        .await?
        .ok_or_else(|| Error::Internal("a mapping is gone".to_owned()))?;
    let done = MappedNumber {
        mapping,
        is_update: mapped.is_update,
    };
    tell(tx, &actor, number, &mapped, &done, metadata, at).await?;
    Ok(done)
}

/// The organization that is meant, made if the platform names one that is not there; and who the caller is in it.
async fn tenant(
    tx: &mut Tx,
    caller: &TenantCaller,
    request: &Request,
) -> Result<(OrganizationId, Actor)> {
    if let Some(found) = organizations::find_in(tx, &request.tenant).await?
        && let Some(actor) = caller.actor_for(found)
    {
        return Ok((found, actor));
    }
    let Some(platform) = caller.platform() else {
        // Whether there is such a tenant is not for another one to know.
        return Err(Error::forbidden(format!(
            "tenant `{}` is not yours",
            request.tenant
        )));
    };
    let country = request.country.clone();
    let new = NewOrganization {
        name: request.tenant.clone(),
        external_key: Some(request.tenant.clone()),
        country: country.unwrap_or_else(|| "US".to_owned()),
        zone: "UTC".to_owned(),
        currency: "USD".to_owned(),
        invoice_prefix: "INV".to_owned(),
    };
    let made = organizations::create_in(tx, &platform, new).await?;
    Ok((made.id, platform))
}

/// The number, added if it is not known, with the SID that it has at Twilio.
async fn known_number(tx: &mut Tx, request: &Request) -> Result<PhoneNumberId> {
    let sid_is_taken = || Error::invalid("twilio_number_sid", "belongs to another number");
    sql::insert_twilio_number(
        tx,
        &request.number,
        request.country.as_deref(),
        &request.sid,
    )
    .await
    .on_constraint("phone_numbers_provider_number_sid_key", sid_is_taken)?;
    let known = sql::lock_by_e164(tx, &request.number)
        .await?
        .ok_or_else(|| Error::Internal("a number is gone".to_owned()))?;
    if known.is_twilio && known.sid.as_deref() == Some(request.sid.as_str()) {
        return Ok(known.id);
    }
    if !known.is_twilio && known.is_connected {
        let detail = format!(
            "number `{}` is connected to another provider",
            request.number
        );
        return Err(Error::conflict("number_elsewhere", detail));
    }
    sql::set_twilio_sid(tx, known.id, &request.sid)
        .await
        .on_constraint("phone_numbers_provider_number_sid_key", sid_is_taken)?;
    Ok(known.id)
}

/// Writes down what was done: for analysis each time, for the audit what changed.
async fn tell(
    tx: &mut Tx,
    actor: &Actor,
    number: PhoneNumberId,
    mapped: &Mapped,
    done: &MappedNumber,
    mut properties: Value,
    at: Timestamp,
) -> Result<()> {
    let organization = done.mapping.organization_id;
    if let Some(fields) = properties.as_object_mut() {
        fields.insert("mapping_id".to_owned(), json!(mapped.mapping));
        fields.insert("updated".to_owned(), json!(done.is_update));
        fields.insert("evidence".to_owned(), json!(done.evidence()));
    }
    sql::insert_mapped_event(tx, organization, &properties, at).await?;
    if !mapped.is_update {
        let deed = Deed::new(organization, "number.mapped", "phone_number", number);
        audit::record(tx, actor, deed.after(&done.mapping)?).await?;
    }
    if let Some(before) = mapped.taken_from {
        let deed = Deed::new(before, "number.taken", "phone_number", number);
        let deed = deed.before(&done.mapping.phone_number)?;
        audit::record(tx, actor, deed).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            tenant_id: "test-tenant-123".to_owned(),
            twilio_number_sid: format!("PN{}", "x".repeat(32)),
            phone_number: "+12505551234".to_owned(),
            number_type: String::new(),
        }
    }

    fn wrong(change: impl FnOnce(&mut Fields)) -> String {
        let mut fields = fields();
        change(&mut fields);
        match fields.check() {
            Ok(request) => format!("{request:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn fields_are_checked_and_all_faults_told() {
        assert_eq!(fields().check().unwrap().number_type, NumberType::Both);
        assert_eq!(
            wrong(|it| *it = Fields::default()),
            "`tenant_id` is required; `twilio_number_sid` is required; `phone_number` is required"
        );
        assert_eq!(
            wrong(|it| it.twilio_number_sid.push('x')),
            "`twilio_number_sid` must be PN and 32 letters or digits"
        );
        for number in ["2505551234", "+1 250 555 1234", "+0123456789", "+1"] {
            assert_eq!(
                wrong(|it| number.clone_into(&mut it.phone_number)),
                "`phone_number` must be in E.164 form, such as +12505551234"
            );
        }
        assert_eq!(
            wrong(|it| it.number_type = "fax".to_owned()),
            "`number_type` must be voice, sms or both"
        );
        assert!(wrong(|it| it.tenant_id = "a\nb".to_owned()).contains("in one line"));
        assert!(wrong(|it| it.tenant_id = "é".repeat(201)).contains("at most 200"));
    }
}
