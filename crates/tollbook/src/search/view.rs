//! The search page, whose results are also the command palette's.

use askama::Template;

use crate::pages::Page;
use crate::pages::reply::Fragments;

/// Things of one kind that were found.
#[derive(Clone, Debug)]
pub(crate) struct SearchGroup {
    /// `Customers`.
    pub(crate) label: String,
    pub(crate) hits: Vec<SearchHit>,
}

/// One thing that was found.
#[derive(Clone, Debug)]
pub(crate) struct SearchHit {
    pub(crate) href: String,
    pub(crate) label: String,
    /// What tells it apart from others of the same name.
    pub(crate) detail: Option<String>,
}

/// Search over customers, numbers, invoices and calls. Pages of the program are added by the template.
#[derive(Clone, Debug, Template)]
#[template(path = "search/search.html", blocks = ["results"])]
pub(crate) struct SearchPage {
    pub(crate) page: Page,
    /// As typed.
    pub(crate) q: String,
    pub(crate) groups: Vec<SearchGroup>,
}

impl Fragments for SearchPage {
    fn fragment(&self, id: &str) -> Option<askama::Result<String>> {
        (id == "results").then(|| self.as_results().render())
    }
}
