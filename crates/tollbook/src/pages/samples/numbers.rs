//! The pages of numbers.

use super::{page, stamp};
use crate::numbers::view::{Evidence, Field, OnboardPage};
use crate::pages::{Choice, Section};

/// The form right after a number was mapped.
pub(crate) fn onboard() -> OnboardPage {
    let field = |value: &str| Field {
        value: value.into(),
        problem: None,
    };
    let choice = |value: &str, label: &str| Choice {
        value: value.into(),
        label: label.into(),
        is_current: value == "both",
    };
    let fact = |name: &str, value: &str| (name.into(), value.into());
    let mut page = page(Section::Onboard);
    page.toast = Some(page.say("onboard-toast").to_string());
    OnboardPage {
        page,
        tenant_id: field("test-tenant-123"),
        twilio_number_sid: field("PNxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        phone_number: field("+12505551234"),
        number_types: vec![
            choice("voice", "Voice"),
            choice("sms", "SMS"),
            choice("both", "Both"),
        ],
        number_type_problem: None,
        problem: None,
        may_make_tenants: true,
        evidence: Some(Evidence {
            sentence: "✅ Mapped +12505551234 to tenant and initialized usage counters".into(),
            since: stamp(5),
            facts: vec![
                fact("Tenant ID", "test-tenant-123"),
                fact("Phone Number (E.164)", "+12505551234"),
                fact("Number Type", "Both"),
                fact("Minutes this month", "0"),
            ],
        }),
    }
}
