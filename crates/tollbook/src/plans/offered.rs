//! A plan in the body of a request, in the short form with minutes and SMS or in full.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tollbook_core::ids::OrganizationId;
use tollbook_core::plans::{InvalidPlan, Offer};

use crate::error::{Error, FieldError, Result};

/// Longest name in characters.
const NAME_MAX: usize = 200;

/// What a body says.
pub(super) struct Offered {
    /// Whose plan it is, where the body says so.
    pub(super) organization: Option<OrganizationId>,
    /// Whether it is published at once; it is if the body does not say.
    pub(super) publish: bool,
    pub(super) offer: Offer,
}

/// The plan in a body, which may also say whose it is, and whether it is only a draft. Numbers keep all their digits.
pub(super) fn offer(body: &[u8]) -> Result<Offered> {
    let offered = version(body)?;
    let name = &offered.offer.name;
    if name.trim().is_empty() {
        return Err(Error::invalid("name", "is required"));
    }
    if name.chars().count() > NAME_MAX {
        let message = format!("must have at most {NAME_MAX} characters");
        return Err(Error::invalid("name", message));
    }
    Ok(offered)
}

/// The same for a version of a plan that has a name.
pub(super) fn version(body: &[u8]) -> Result<Offered> {
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body)
        .map_err(|e| Error::Malformed(format!("the body is no JSON object: {e}")))?;
    let before = fields.len();
    let named = take(&mut fields, "orgId", "is not an id")?;
    let also = take(&mut fields, "org_id", "is not an id")?;
    let publish = take(&mut fields, "publish", "must be true or false")?;
    // As it was sent, so that a field that comes twice is refused.
    let rest = if fields.len() == before {
        body.to_vec()
    } else {
        serde_json::to_vec(&fields).map_err(|e| Error::Malformed(e.to_string()))?
    };
    Ok(Offered {
        organization: also.or(named),
        publish: publish.unwrap_or(true),
        offer: Offer::read(&rest).map_err(refused)?,
    })
}

fn take<T: DeserializeOwned>(
    fields: &mut BTreeMap<String, Box<RawValue>>,
    name: &str,
    wrong: &str,
) -> Result<Option<T>> {
    let value = fields.remove(name);
    let value = value.map(|raw| serde_json::from_str(raw.get()));
    let field = if name == "org_id" { "orgId" } else { name };
    value
        .transpose()
        .map_err(|_| Error::invalid(field, wrong.to_owned()))
}

/// Why a plan is refused, by field.
pub(super) fn refused(InvalidPlan(errors): InvalidPlan) -> Error {
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
            Ok(offered) => {
                let name = offered.offer.name;
                format!(
                    "{name} {} {}",
                    offered.organization.is_some(),
                    offered.publish
                )
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_plan_may_name_its_organization_either_way() {
        let id = "10000000-0000-7000-8000-000000000001";
        let plan = |more: &str| format!(r#"{{"name":"Basic","currency":"USD"{more}}}"#);
        assert_eq!(read(&plan("")), "Basic false true");
        assert_eq!(
            read(&plan(&format!(r#","orgId":"{id}""#))),
            "Basic true true"
        );
        assert_eq!(
            read(&plan(&format!(r#","org_id":"{id}""#))),
            "Basic true true"
        );
        assert_eq!(read(&plan(r#","orgId":"x""#)), "`orgId` is not an id");
        assert_eq!(read(&plan(r#","publish":false"#)), "Basic false false");
        assert_eq!(
            read(&plan(r#","publish":"no""#)),
            "`publish` must be true or false"
        );
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
