//! One call with everything that belongs to it.

use askama::Template;

use super::card::HoursLeft;
use super::{Direction, Outcome};
use crate::pages::number::Amount;
use crate::pages::phone::Phone;
use crate::pages::text::{Message, Text};
use crate::pages::time::Stamp;
use crate::pages::{Page, Party, Price};

/// The page of one call.
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/call.html")]
pub(crate) struct CallPage {
    pub(crate) page: Page,
    pub(crate) direction: Direction,
    pub(crate) outcome: Outcome,
    pub(crate) with: Party,
    pub(crate) line: Phone,
    pub(crate) line_label: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) started: Stamp,
    /// `21:40`; empty when nobody answered.
    pub(crate) length: String,
    pub(crate) price: Price,
    /// Name of the customer's plan and what is left of it.
    pub(crate) plan: Option<String>,
    pub(crate) hours: Option<HoursLeft>,
    pub(crate) timeline: Vec<TimelineEntry>,
    pub(crate) legs: Vec<Leg>,
    pub(crate) recordings: Vec<Recording>,
    pub(crate) transcript: Transcript,
    pub(crate) charges: Vec<ChargeView>,
    /// Provider cost, revenue and margin, in this order, for those who may see cost; empty for others.
    pub(crate) margin: Vec<Fact>,
    /// Where it is corrected, for admins; `None` for others.
    pub(crate) corrections: Option<Corrections>,
    /// Raw webhooks, for admins; `None` for others.
    pub(crate) webhooks: Option<Vec<Webhook>>,
}

/// How a call is corrected.
#[derive(Clone, Debug)]
pub(crate) struct Corrections {
    /// The page of the call.
    pub(crate) href: String,
    /// Why it is not billed; `None` if it is.
    pub(crate) waived: Option<String>,
}

/// Something that happened during the call.
#[derive(Clone, Debug)]
pub(crate) struct TimelineEntry {
    pub(crate) at: Stamp,
    /// `Answered by Priya Nair`.
    pub(crate) label: String,
    /// `After 12 seconds`.
    pub(crate) detail: Option<String>,
    pub(crate) outcome: Outcome,
}

/// One leg of the conversation at the provider.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub(crate) provider: String,
    pub(crate) sid: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) state: String,
    pub(crate) length: String,
}

/// A recording that the viewer may hear.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// The server's own address of the sound.
    pub(crate) src: String,
    pub(crate) media_type: String,
    /// `21:40`.
    pub(crate) length: String,
}

/// What was said, or why it is not known.
#[derive(Clone, Debug)]
pub(crate) enum Transcript {
    Ready {
        summary: Option<String>,
        lines: Vec<TranscriptLine>,
    },
    /// The provider is still writing.
    Processing,
    /// The call has no recording, or the provider makes no transcripts.
    Absent,
}

/// One thing said.
#[derive(Clone, Debug)]
pub(crate) struct TranscriptLine {
    /// From the beginning of the recording.
    pub(crate) start_ms: u64,
    /// `1:05`.
    pub(crate) start: String,
    pub(crate) speaker: String,
    pub(crate) is_ours: bool,
    pub(crate) text: String,
}

/// A charge and its explanation.
#[derive(Clone, Debug)]
pub(crate) struct ChargeView {
    /// Who pays: `Juniper & Co`.
    pub(crate) payer: String,
    /// The plan version that priced it: `Support 10, version 2`.
    pub(crate) terms: String,
    pub(crate) amount: Amount,
    /// Where it is billed: number and page of the invoice.
    pub(crate) invoice: Option<(String, String)>,
    /// From the raw seconds to the amount.
    pub(crate) steps: Vec<TraceStep>,
}

/// One step of an explanation.
#[derive(Clone, Debug)]
pub(crate) struct TraceStep {
    /// `Rounded up in steps of 60 s`.
    pub(crate) label: String,
    /// `1,300 s → 1,320 s`.
    pub(crate) detail: Option<String>,
    /// What it comes to after this step: `22 min`.
    pub(crate) value: String,
}

/// A name and a value.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) label: String,
    pub(crate) value: String,
}

/// A webhook as it came.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) received: Stamp,
    pub(crate) event: String,
    /// What became of it: `Processed`, `Duplicate`, `Failed: …`.
    pub(crate) verdict: String,
    pub(crate) is_failed: bool,
    /// The body, indented if it is JSON.
    pub(crate) body: String,
}

impl CallPage {
    /// Why no charge is shown.
    fn without_charge(&self) -> Message {
        let text = self.text();
        match (self.outcome, &self.price) {
            (_, Price::Hidden) => text.say("charge-hidden"),
            (Outcome::Ringing | Outcome::InProgress, _) => text.say("charge-at-end"),
            (_, Price::NoCustomer) => text.say("charge-no-customer"),
            (_, Price::Pending) => text.say("charge-pending"),
            (_, _) => text.say("charge-none"),
        }
    }

    fn text(&self) -> Text {
        self.page.text()
    }
}
