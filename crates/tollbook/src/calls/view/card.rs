//! The caller card: all that the person who picks up should know before they do.

use askama::Template;
use askama::filters::HtmlSafe;

use super::Outcome;
use crate::pages::Note;
use crate::pages::chart::meter::Meter;
use crate::pages::number::Amount;
use crate::pages::text::Text;
use crate::pages::time::Stamp;

/// How this call will be paid for, in the words of requirement S1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Hours are left. `hours` is rounded down to a tenth, without unit: `2.5`.
    Subscriber { hours: String },
    /// Has a subscription, and its hours are used up: further time is overage.
    Overage,
    /// Has no subscription; `rate` is the price per minute, if one is set.
    PayPerCall { rate: Option<Amount> },
    /// Had a subscription.
    Expired { rate: Option<Amount> },
}

impl Notice {
    /// The notice, word for word.
    pub(crate) fn sentence(&self, text: impl AsRef<Text>) -> String {
        let text = text.as_ref();
        match self {
            Self::Subscriber { hours } => text
                .say("notice-subscriber")
                .with("hours", hours.as_str())
                .to_string(),
            Self::Overage => text.say("notice-overage").to_string(),
            Self::PayPerCall { .. } => text.say("notice-pay-per-call").to_string(),
            Self::Expired { .. } => text.say("notice-expired").to_string(),
        }
    }

    pub(crate) fn rate(&self) -> Option<&Amount> {
        match self {
            Self::PayPerCall { rate } | Self::Expired { rate } => rate.as_ref(),
            Self::Subscriber { .. } | Self::Overage => None,
        }
    }

    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Subscriber { .. } => "good",
            Self::Overage | Self::PayPerCall { .. } => "warn",
            Self::Expired { .. } => "bad",
        }
    }

    pub(crate) fn icon(&self) -> &'static str {
        match self {
            Self::Subscriber { .. } => "check",
            Self::Overage | Self::PayPerCall { .. } => "coin",
            Self::Expired { .. } => "alert",
        }
    }
}

/// What is left of the included hours.
#[derive(Clone, Debug)]
pub(crate) struct HoursLeft {
    /// Rounded down to a tenth, without unit.
    pub(crate) left: String,
    /// As `left`.
    pub(crate) included: String,
    /// The bar of what is used.
    pub(crate) meter: Meter,
    /// When the hours are renewed or end: `Dec 1`.
    pub(crate) renews_on: Option<String>,
}

/// One earlier call of the same customer.
#[derive(Clone, Debug)]
pub(crate) struct RecentCall {
    pub(crate) href: String,
    pub(crate) at: Stamp,
    pub(crate) outcome: Outcome,
    /// `21:40`; empty when nobody answered.
    pub(crate) length: String,
    pub(crate) agent: Option<String>,
}

/// An invoice that is not paid yet.
#[derive(Clone, Debug)]
pub(crate) struct OpenInvoice {
    pub(crate) href: String,
    pub(crate) number: String,
    pub(crate) open: Amount,
    /// `Dec 1`.
    pub(crate) due_on: String,
    pub(crate) is_overdue: bool,
}

/// The customer behind a number.
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/card.html")]
pub(crate) struct CallerCard {
    pub(crate) text: Text,
    /// The call that the card belongs to; part of the ids in the card.
    pub(crate) call_id: String,
    /// `/customers/{id}`.
    pub(crate) customer_href: String,
    /// Name of the plan; `None` without a subscription.
    pub(crate) plan: Option<String>,
    /// State of the subscription in words: `Active`, `Paused`, `Ended Oct 31`.
    pub(crate) subscription: Option<String>,
    pub(crate) hours: Option<HoursLeft>,
    /// At most five, newest first.
    pub(crate) recent: Vec<RecentCall>,
    /// What is open, oldest first.
    pub(crate) invoices: Vec<OpenInvoice>,
    /// The sum of what is open; `None` when nothing is.
    pub(crate) open_total: Option<Amount>,
    /// Newest first.
    pub(crate) notes: Vec<Note>,
    /// Whether the viewer may write a note.
    pub(crate) may_write: bool,
    /// The session's token in a page; empty in an update, which the script completes when a form is sent.
    pub(crate) csrf: String,
}

impl HtmlSafe for CallerCard {}
