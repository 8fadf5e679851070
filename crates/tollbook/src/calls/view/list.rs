//! Calls, messages and voicemails in one list.

use askama::Template;

use super::{Direction, Outcome};
use crate::pages::address::address;
use crate::pages::reply::Fragments;
use crate::pages::text::Text;
use crate::pages::time::Stamp;
use crate::pages::{Choice, Page, Pager, Party, Price, Tab};

/// What kind of communication a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Message,
    Voicemail,
}

impl Kind {
    pub(crate) fn label(self, text: impl AsRef<Text>) -> String {
        let text = text.as_ref();
        match self {
            Self::Call => text.say("kind-call"),
            Self::Message => text.say("kind-message"),
            Self::Voicemail => text.say("kind-voicemail"),
        }
        .to_string()
    }

    pub(crate) fn icon(self) -> &'static str {
        match self {
            Self::Call => "phone",
            Self::Message => "message",
            Self::Voicemail => "voicemail",
        }
    }
}

/// The filter as the address has it, to fill the form with.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommunicationsFilter {
    /// Name, number in any spelling, or words of a transcript.
    pub(crate) q: String,
    /// `calls`, `messages`, `voicemails` or empty for all.
    pub(crate) tab: String,
    /// Dates in the viewer's zone, `2026-11-01`, or empty.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) directions: Vec<Choice>,
    pub(crate) outcomes: Vec<Choice>,
    /// The organization's numbers that the viewer may see.
    pub(crate) numbers: Vec<Choice>,
}

impl CommunicationsFilter {
    /// Whether anything but the tab is filtered.
    pub(crate) fn is_active(&self) -> bool {
        let chosen = |choices: &[Choice]| {
            choices
                .iter()
                .any(|it| it.is_current && !it.value.is_empty())
        };
        !self.q.is_empty()
            || !self.from.is_empty()
            || !self.to.is_empty()
            || chosen(&self.directions)
            || chosen(&self.outcomes)
            || chosen(&self.numbers)
    }
}

/// One communication.
#[derive(Clone, Debug)]
pub(crate) struct CommunicationRow {
    pub(crate) id: String,
    pub(crate) href: String,
    pub(crate) kind: Kind,
    pub(crate) direction: Direction,
    pub(crate) with: Party,
    /// The organization's own number, by its label or in national form.
    pub(crate) line: String,
    pub(crate) agent: Option<String>,
    pub(crate) at: Stamp,
    pub(crate) outcome: Outcome,
    /// `21:40`; empty for messages and unanswered calls.
    pub(crate) length: String,
    /// The message, or the beginning of the transcript.
    pub(crate) excerpt: Option<String>,
    pub(crate) has_recording: bool,
    pub(crate) price: Price,
}

/// The list.
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/communications.html", blocks = ["list"])]
pub(crate) struct CommunicationsPage {
    pub(crate) page: Page,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) filter: CommunicationsFilter,
    pub(crate) rows: Vec<CommunicationRow>,
    pub(crate) pager: Pager,
    /// The same filter as CSV.
    pub(crate) csv_href: String,
}

impl Fragments for CommunicationsPage {
    fn fragment(&self, id: &str) -> Option<askama::Result<String>> {
        (id == "list").then(|| self.as_list().render())
    }
}

impl CommunicationsPage {
    /// The same tab without a filter.
    fn clear_href(&self) -> String {
        address("/communications", &[("tab", &self.filter.tab)])
    }
}
