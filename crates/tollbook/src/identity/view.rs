//! The sign-in page.

use askama::Template;

use crate::http::frame::Frame;
use crate::pages::{Page, Section};

/// Why a sign-in was refused. It never says whether the address exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInProblem {
    WrongCredentials,
    TooManyAttempts,
    /// The session ended; sign in to go on.
    SessionEnded,
    /// The form was open for too long.
    FormExpired,
}

/// Mail address and password.
#[derive(Clone, Debug, Template)]
#[template(path = "identity/login.html")]
pub(crate) struct LoginPage {
    pub(crate) page: Page,
    /// As typed, so that nothing is lost when the form is refused.
    pub(crate) email: String,
    /// Path to go to afterwards; always a path of this server.
    pub(crate) next: String,
    pub(crate) problem: Option<SignInProblem>,
}

impl LoginPage {
    pub(super) fn new(
        frame: &Frame,
        token: &str,
        email: String,
        next: &str,
        problem: Option<SignInProblem>,
    ) -> Self {
        Self {
            page: Page {
                csrf: token.to_owned(),
                ..frame.page(Section::None)
            },
            email,
            next: super::web::own_path(next).to_owned(),
            problem,
        }
    }

    fn problem_sentence(&self) -> Option<String> {
        let message = match self.problem? {
            SignInProblem::WrongCredentials => self.page.say("login-wrong"),
            SignInProblem::TooManyAttempts => self.page.say("login-too-many"),
            SignInProblem::SessionEnded => self.page.say("login-session-ended"),
            SignInProblem::FormExpired => self.page.say("login-form-expired"),
        };
        Some(message.to_string())
    }
}
