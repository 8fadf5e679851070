//! The page of alerts, and the notice of them on the live page.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::pages::reply::Fragments;
use crate::pages::text::Text;
use crate::pages::time::Stamp;
use crate::pages::{Page, Pager, Tab};

/// Calls out that an alert is about.
#[derive(Clone, Debug)]
pub(crate) struct HeldCalls {
    pub(crate) id: String,
    /// Held, or released.
    pub(crate) is_held: bool,
}

/// One alert in the list.
#[derive(Clone, Debug)]
pub(crate) struct AlertRow {
    pub(crate) id: String,
    /// `Warning`.
    pub(crate) severity: String,
    /// Its colour.
    pub(crate) class: &'static str,
    /// What happened, in one sentence.
    pub(crate) title: String,
    /// Numbers, or an example.
    pub(crate) detail: Option<String>,
    /// Name and page of the customer.
    pub(crate) customer: Option<(String, String)>,
    /// How often; absent for what happens once.
    pub(crate) count: Option<String>,
    pub(crate) last_seen: Stamp,
    pub(crate) is_open: bool,
    pub(crate) held: Option<HeldCalls>,
}

/// The list of alerts.
#[derive(Clone, Debug, Template)]
#[template(path = "alerts/list.html", blocks = ["list"])]
pub(crate) struct AlertsPage {
    pub(crate) page: Page,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) rows: Vec<AlertRow>,
    pub(crate) pager: Pager,
}

impl Fragments for AlertsPage {
    fn fragment(&self, id: &str) -> Option<askama::Result<String>> {
        (id == "list").then(|| self.as_list().render())
    }
}

/// How many alerts are open, in one line with a link; replaced as a whole (`id="open-alerts"`).
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "alerts/notice.html")]
pub(crate) struct AlertsNotice {
    pub(crate) text: Text,
    pub(crate) count: i64,
}

impl HtmlSafe for AlertsNotice {}
