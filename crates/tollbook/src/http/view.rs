//! The page that a browser gets in place of a problem document.

use askama::Template;

use crate::pages::Page;

/// An error in words, with the way back.
#[derive(Clone, Debug, Template)]
#[template(path = "http/error.html")]
pub(crate) struct ErrorPage {
    pub(crate) page: Page,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What went wrong, the same sentence as `detail` of the problem document.
    pub(crate) detail: String,
    /// To find the request in the logs.
    pub(crate) request_id: String,
}

impl ErrorPage {
    fn title(&self) -> String {
        match self.status {
            401 => self.page.say("error-title-unauthorized"),
            403 => self.page.say("error-title-forbidden"),
            404 => self.page.say("error-title-not-found"),
            409 => self.page.say("error-title-conflict"),
            429 => self.page.say("error-title-too-many"),
            503 => self.page.say("error-title-unavailable"),
            400..500 => self.page.say("error-title-invalid"),
            _ => self.page.say("error-title-server"),
        }
        .to_string()
    }

    fn advice(&self) -> String {
        match self.status {
            401 => self.page.say("error-advice-unauthorized"),
            403 | 404 => self.page.say("error-advice-not-found"),
            429 | 503 => self.page.say("error-advice-wait"),
            400..500 => self.page.say("error-advice-invalid"),
            _ => self.page.say("error-advice-server"),
        }
        .to_string()
    }
}
