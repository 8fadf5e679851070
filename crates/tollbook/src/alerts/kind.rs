//! What alerts are about, and how much they matter.

use std::fmt;
use std::str::FromStr;

/// What an alert is about: the same names in SQL, on the wire and in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum AlertKind {
    /// An allowance is used up, or nearly.
    Allowance,
    /// A cap is reached, or nearly.
    Cap,
    /// A wallet is low.
    Wallet,
    /// A meter has counted so much.
    Meter,
    /// Calls were refused because of a cap.
    CapRefused,
    /// Usage was reported that cannot be taken.
    UsageRefused,
    /// Usage waits that cannot be charged.
    UsageParked,
    /// Webhooks wait that cannot be interpreted.
    WebhookParked,
    /// Calls out are held.
    Fraud,
}

impl AlertKind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Allowance,
        Self::Cap,
        Self::Wallet,
        Self::Meter,
        Self::CapRefused,
        Self::UsageRefused,
        Self::UsageParked,
        Self::WebhookParked,
        Self::Fraud,
    ];

    /// The name in SQL and on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Allowance => "allowance",
            Self::Cap => "cap",
            Self::Wallet => "wallet",
            Self::Meter => "meter",
            Self::CapRefused => "cap_refused",
            Self::UsageRefused => "usage_refused",
            Self::UsageParked => "usage_parked",
            Self::WebhookParked => "webhook_parked",
            Self::Fraud => "fraud",
        }
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No kind of alert has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind of alert `{0}`")]
pub(crate) struct UnknownAlert(String);

impl FromStr for AlertKind {
    type Err = UnknownAlert;

    fn from_str(text: &str) -> Result<Self, UnknownAlert> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownAlert(text.to_owned()))
    }
}

/// How much an alert matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Good to know.
    Info,
    /// Something will happen unless somebody acts.
    Warning,
    /// Something is held, refused or lost for now.
    Critical,
}

impl Severity {
    /// The name in SQL and on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
