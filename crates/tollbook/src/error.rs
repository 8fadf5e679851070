//! What an operation may fail with: what the caller can act on, and the rest.
//!
//! Only `http` turns these into problem documents, and only `cli` into text. Use the constructors: they make a failing
//! branch one readable line. A violated constraint is turned into a message where it is expected, by name, with
//! [`OnConstraint`]; anything unexpected stays [`Error::Database`] and is answered without its text.

use std::time::Duration;

use serde::Serialize;

/// A field that cannot be taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's path in the input, such as `items[2].quantity`.
    pub field: String,
    /// Why, in one plain sentence.
    pub message: String,
}

/// Why an operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not of the form that the operation takes: 400.
    #[error("{0}")]
    Malformed(String),
    /// No or bad credentials: 401.
    #[error("{0}")]
    Unauthorized(String),
    /// Seen, but not allowed: 403.
    #[error("{0}")]
    Forbidden(String),
    /// Unknown, or not for the caller to know: 404.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// At odds with the present state: 409. The code is stable, in `snake_case`.
    #[error("{detail}")]
    Conflict {
        /// What a program decides by.
        code: &'static str,
        /// What a person reads.
        detail: String,
    },
    /// Well-formed, but fields are invalid: 422.
    #[error("{}", .0.iter().map(|e| format!("`{}` {}", e.field, e.message)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// Too much too soon: 429.
    #[error("too many requests, try again in {} seconds", .retry_after.as_secs())]
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// Something this depends on is down: 503.
    #[error("{0}")]
    Unavailable(String),
    /// The database refused or failed in a way that nobody expected: 500, or 503 if it does not answer.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// A provider refused or failed.
    #[error(transparent)]
    Provider(#[from] tollbook_providers::Error),
    /// A fault of ours: 500.
    #[error("{0}")]
    Internal(String),
}

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// One invalid field.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError {
            field: field.into(),
            message: message.into(),
        }])
    }

    /// At odds with the present state.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict {
            code,
            detail: detail.into(),
        }
    }

    /// Seen, but not allowed.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::Forbidden(detail.into())
    }

    /// Whether the same may work a moment later: a deadlock, a lost connection, a full pool.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => database_is_transient(error),
            Self::Provider(error) => error.is_transient(),
            Self::Unavailable(_) | Self::RateLimited { .. } => true,
            _ => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Connection trouble, a pool without a free session, serialization failures, deadlocks, lock time-outs, a server that
/// stops or starts: PostgreSQL's classes 08, 40, 53 and 57, and 55P03.
fn database_is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::Tls(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "57"]
                .iter()
                .any(|class| code.starts_with(class))
                || code == "55P03"
        }),
        _ => false,
    }
}

/// Turns a violated constraint into a message, by the constraint's name.
pub(crate) trait OnConstraint<T> {
    /// If the constraint `name` refused the statement, fails with what `error` makes instead.
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T>;
}

impl<T> OnConstraint<T> for sqlx::Result<T> {
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(Error::from).on_constraint(name, error)
    }
}

impl<T> OnConstraint<T> for Result<T> {
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|e| match &e {
            Error::Database(sqlx::Error::Database(refusal))
                if refusal.constraint() == Some(name) =>
            {
                error()
            }
            _ => e,
        })
    }
}
