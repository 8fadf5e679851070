//! The page on which a number is given to a tenant.

use askama::Template;

use crate::pages::time::Stamp;
use crate::pages::{Choice, Page};

/// Fields of the form, as typed, and what is wrong with them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Field {
    pub(crate) value: String,
    pub(crate) problem: Option<String>,
}

/// What shows that a number was mapped.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    /// The sentence.
    pub(crate) sentence: String,
    /// Since when the tenant has the number.
    pub(crate) since: Stamp,
    /// What was mapped and what is counted, each with its name.
    pub(crate) facts: Vec<(String, String)>,
}

/// The form, and the evidence of what it did.
#[derive(Clone, Debug, Template)]
#[template(path = "numbers/onboard.html")]
pub(crate) struct OnboardPage {
    pub(crate) page: Page,
    pub(crate) tenant_id: Field,
    pub(crate) twilio_number_sid: Field,
    pub(crate) phone_number: Field,
    pub(crate) number_types: Vec<Choice>,
    pub(crate) number_type_problem: Option<String>,
    /// What is wrong with the whole.
    pub(crate) problem: Option<String>,
    /// Whether an unknown tenant is made.
    pub(crate) may_make_tenants: bool,
    pub(crate) evidence: Option<Evidence>,
}
