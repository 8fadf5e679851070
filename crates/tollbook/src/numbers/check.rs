//! The six things that must hold so that a number's usage is billed, tried on the database itself: everything that is
//! tried is rolled back.

use serde_json::json;
use tollbook_core::actor::Actor;
use tollbook_core::phone::E164;

use super::tenant::{Fields, MappedNumber, Request, TenantNumber, evidence, map_in};
use super::tenant_sql as sql;
use crate::app::App;
use crate::db::Tx;
use crate::error::Result;
use crate::http::tenants::TenantCaller;

const RELATIONS: [&str; 3] = [
    "tenant_phone_mappings",
    "tenant_usage_counters",
    "tenant_usage_logs",
];
const FUNCTIONS: [&str; 3] = [
    "get_or_create_usage_counter",
    "log_voice_usage",
    "log_sms_usage",
];

/// One thing that must hold.
#[derive(Debug)]
pub(crate) struct MappingCheck {
    /// What was looked at.
    pub(crate) what: &'static str,
    /// What was found; or what is wrong, and what to do about it.
    pub(crate) found: Result<String, (String, &'static str)>,
}

/// Makes the six checks, in order. Those that need a mapping fail without one.
pub(crate) async fn check_mapping(app: &App, number: &E164) -> Result<Vec<MappingCheck>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let (relations, functions) = sql::missing(&mut tx, &RELATIONS, &FUNCTIONS).await?;
    let held = sql::live_tenant_number(&mut tx, number).await?;
    tx.rollback().await?;
    let request = held.and_then(again);
    let mut tx = app.db.begin(&Actor::system()).await?;
    let mut checks = vec![
        there("mapping relations", RELATIONS.len(), &relations),
        there("usage functions", FUNCTIONS.len(), &functions),
    ];
    let mapped = match &request {
        Some(request) => Some(try_to_map(app, &mut tx, request).await?),
        None => None,
    };
    checks.push(map_check(number, mapped.as_ref()));
    checks.push(row_check(number, mapped.as_ref()));
    checks.push(counter_check(app, &mut tx, mapped.as_ref()).await?);
    checks.push(repeat_check(&mut tx, number, mapped.as_ref()).await?);
    tx.rollback().await?;
    Ok(checks)
}

fn there(what: &'static str, wanted: usize, missing: &[String]) -> MappingCheck {
    let found = if missing.is_empty() {
        Ok(format!("all {wanted}"))
    } else {
        let remedy = "run `tollbook migrate`";
        Err((format!("missing: {}", missing.join(", ")), remedy))
    };
    MappingCheck { what, found }
}

const NOT_MAPPED: &str = "map it on the page `/ops/numbers/onboard`, or by `POST /functions/v1/ops-map-number-to-tenant`";

/// What would map the number as it is mapped; `None` if it lacks the SID that this takes.
fn again(held: TenantNumber) -> Option<Request> {
    let fields = Fields {
        tenant_id: held.tenant_id,
        twilio_number_sid: held.twilio_number_sid.unwrap_or_default(),
        phone_number: held.phone_number,
        number_type: held.number_type,
    };
    fields.check().ok()
}

async fn try_to_map(app: &App, tx: &mut Tx, request: &Request) -> Result<MappedNumber> {
    let given = json!({"check": true});
    map_in(
        tx,
        &TenantCaller::system(),
        request,
        &given,
        app.clock.now(),
    )
    .await
}

fn map_check(number: &E164, mapped: Option<&MappedNumber>) -> MappingCheck {
    let found = match mapped {
        Some(mapped) => Ok(mapped.evidence()),
        None => Err((
            format!("number `{number}` is not mapped to a tenant by its Twilio SID"),
            NOT_MAPPED,
        )),
    };
    MappingCheck {
        what: "mapping to tenant",
        found,
    }
}

fn row_check(number: &E164, mapped: Option<&MappedNumber>) -> MappingCheck {
    let found = match mapped.map(|it| &it.mapping) {
        Some(row) if row.deprovisioned_at.is_none() && row.phone_number == number.as_str() => {
            Ok(format!("tenant `{}`, mapping {}", row.tenant_id, row.id))
        }
        _ => Err(("there is no row of it".to_owned(), NOT_MAPPED)),
    };
    MappingCheck {
        what: "mapping in the database",
        found,
    }
}

async fn counter_check(
    app: &App,
    tx: &mut Tx,
    mapped: Option<&MappedNumber>,
) -> Result<MappingCheck> {
    let now = app.clock.now();
    let counted = match mapped.map(|it| &it.mapping) {
        Some(row) => sql::counted(tx, row.organization_id, row.id, now).await?,
        None => None,
    };
    let found = match counted {
        Some(it) => Ok(format!(
            "{} minutes in {} calls, {} messages sent, {} received this month",
            it.voice_minutes, it.voice_calls, it.sms_sent, it.sms_received
        )),
        None => Err(("no counters were begun".to_owned(), NOT_MAPPED)),
    };
    Ok(MappingCheck {
        what: "usage counters",
        found,
    })
}

async fn repeat_check(
    tx: &mut Tx,
    number: &E164,
    mapped: Option<&MappedNumber>,
) -> Result<MappingCheck> {
    let live = sql::live_mappings(tx, number).await?;
    let found = match mapped {
        Some(mapped) if mapped.is_update && live == 1 => Ok(evidence(number.as_str(), true)),
        Some(_) => Err((
            format!("mapping it again left {live} mappings"),
            "tell the maintainers, this is a fault of Tollbook's",
        )),
        None => Err(("there is nothing to map again".to_owned(), NOT_MAPPED)),
    };
    Ok(MappingCheck {
        what: "mapping it again",
        found,
    })
}
