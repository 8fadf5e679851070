//! What can go wrong with a provider, in terms of what the caller can do about it.

use std::time::Duration;

/// Why a provider did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credentials are wrong or revoked. Asking again is useless until they are replaced.
    #[error("the provider refused the credentials")]
    Unauthorized,
    /// Too many requests. The request was not processed.
    #[error("the provider's rate limit is reached")]
    RateLimited {
        /// How long the provider asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider understood the request and will not do it. Asking again gives the same answer.
    #[error("the provider refused the request (`{code}`): {message}")]
    Rejected {
        /// The provider's own code; where it gives none, the HTTP status.
        code: String,
        /// The provider's explanation.
        message: String,
    },
    /// No usable answer. Asking again later may help.
    #[error("the provider is unavailable: {reason}")]
    Unavailable {
        /// What happened, such as `no answer in time`.
        reason: String,
        /// Whether the provider may have done what was asked: look before asking again for anything that costs.
        may_have_acted: bool,
        /// The cause in the HTTP client, without the address.
        source: Option<reqwest::Error>,
    },
    /// The answer was not understood. Since it was an answer, the provider has acted.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// A text from a provider that could not be understood. It names the place, never the content, which may be private.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}: {problem}")]
pub struct Malformed {
    /// What was read, such as `webhook`.
    pub what: &'static str,
    /// What is wrong with it, such as `missing data.object`.
    pub problem: String,
}

impl Error {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable { .. } => true,
            Self::Unauthorized | Self::Rejected { .. } | Self::Malformed(_) => false,
        }
    }

    /// Whether the provider may have done what was asked although no good answer came.
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::Unavailable { may_have_acted, .. } => *may_have_acted,
            Self::Malformed(_) => true,
            Self::Unauthorized | Self::RateLimited { .. } | Self::Rejected { .. } => false,
        }
    }
}

impl Malformed {
    /// Something is wrong with `what`.
    pub(crate) fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self {
            what,
            problem: problem.into(),
        }
    }

    /// `what` is not the JSON that was expected. Only the place is kept: serde's own message may quote the content.
    pub(crate) fn json(what: &'static str, error: &serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "not JSON",
            serde_json::error::Category::Data => "unexpected JSON",
            serde_json::error::Category::Eof => "cut off",
        };
        let problem = format!("{kind} at line {} column {}", error.line(), error.column());
        Self { what, problem }
    }
}
