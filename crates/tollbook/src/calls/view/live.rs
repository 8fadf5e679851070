//! The live page. Each call is an element with an id of its own; the page and an update render the same template.

use std::borrow::Borrow;

use askama::Template;
use askama::filters::HtmlSafe;

use super::card::{CallerCard, Notice};
use super::{Direction, Outcome};
use crate::alerts::view::AlertsNotice;
use crate::pages::address::address;
use crate::pages::chart::sparkline::Sparkline;
use crate::pages::number;
use crate::pages::phone::Phone;
use crate::pages::reply::Fragments;
use crate::pages::text::Text;
use crate::pages::time::Stamp;
use crate::pages::{Page, Party, Price};

/// The page on which a team works.
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/live.html", blocks = ["content"])]
pub(crate) struct LivePage {
    pub(crate) page: Page,
    pub(crate) tiles: Tiles,
    pub(crate) agents: Vec<Agent>,
    /// Oldest first: who waits longest is on top.
    pub(crate) ringing: Vec<RingingCall>,
    /// Newest first.
    pub(crate) talking: Vec<TalkingCall>,
    /// Newest first, about twenty.
    pub(crate) ended: Vec<EndedCall>,
    /// Whether any number is connected; without one the page says how to begin.
    pub(crate) has_numbers: bool,
    /// Alerts that are open, for those who may see them.
    pub(crate) alerts: Option<AlertsNotice>,
}

impl Fragments for LivePage {
    fn fragment(&self, id: &str) -> Option<askama::Result<String>> {
        (id == "content").then(|| self.as_content().render())
    }
}

/// The figures above the calls, replaced as a whole (`id="tiles"`).
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/tiles.html")]
pub(crate) struct Tiles {
    pub(crate) text: Text,
    pub(crate) waiting: u64,
    pub(crate) talking: u64,
    pub(crate) answered_today: u64,
    /// Answered calls of each hour of the day until now.
    pub(crate) answered_by_hour: Option<Sparkline>,
    pub(crate) missed_today: u64,
    /// `0:12`; `None` before the first answered call of the day.
    pub(crate) wait_average: Option<String>,
    /// `4:31`.
    pub(crate) handling_average: Option<String>,
    /// Calls answered within the target, in whole percent.
    pub(crate) service_level_percent: Option<u64>,
    /// The target of the service level in seconds.
    pub(crate) service_level_seconds: u64,
    pub(crate) agents_available: u64,
    pub(crate) agents_busy: u64,
}

impl HtmlSafe for Tiles {}

impl Tiles {
    fn count(&self, n: impl Borrow<u64>) -> String {
        number::count(self.text, *n.borrow())
    }
}

/// One person of the team (`id="agent-…"`, list `agents`).
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/agent.html")]
pub(crate) struct Agent {
    pub(crate) text: Text,
    pub(crate) user_id: String,
    pub(crate) name: String,
    /// Who they talk to since when; `None` when they are free.
    pub(crate) call: Option<(String, Ticking)>,
}

impl HtmlSafe for Agent {}

/// A clock that goes on by itself.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<time class="tick" datetime="{{ iso }}" data-since="{{ since_ms }}">{{ shown }}</time>"#
)]
pub(crate) struct Ticking {
    /// Milliseconds since 1970 at which it was zero.
    since_ms: i64,
    /// How much that was when the page was made.
    seconds: u64,
    shown: String,
    iso: String,
}

impl Ticking {
    /// From the start and the present, both by the server's clock.
    pub(crate) fn new(since: jiff::Timestamp, now: jiff::Timestamp) -> Self {
        let seconds = u64::try_from(now.as_second().saturating_sub(since.as_second())).unwrap_or(0);
        Self {
            since_ms: since.as_millisecond(),
            seconds,
            shown: crate::pages::duration::clock(seconds),
            iso: crate::pages::duration::iso(seconds),
        }
    }
}

impl Ticking {
    pub(crate) fn since_ms(&self) -> i64 {
        self.since_ms
    }
}

impl HtmlSafe for Ticking {}

/// A phone that rings, with all that is known about the caller (`id="call-…"`, list `ringing`).
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/ringing.html")]
pub(crate) struct RingingCall {
    pub(crate) text: Text,
    pub(crate) id: String,
    pub(crate) direction: Direction,
    pub(crate) from: Party,
    /// The number that rings, and what it is called.
    pub(crate) line: Phone,
    pub(crate) line_label: Option<String>,
    pub(crate) ringing: Ticking,
    pub(crate) caller: RingingCaller,
    /// The session's token in a page; empty in an update.
    pub(crate) csrf: String,
}

impl HtmlSafe for RingingCall {}

/// What is known about a caller.
#[derive(Clone, Debug)]
pub(crate) enum RingingCaller {
    /// One customer has this number.
    Known {
        notice: Notice,
        card: Box<CallerCard>,
    },
    /// Several customers share it: one is picked, and remembered.
    Several(Vec<Candidate>),
    /// Nobody has it: a new customer, or one to link it to; `None` if the viewer may do neither.
    Unknown {
        notice: Notice,
        naming: Option<NameCaller>,
    },
    /// No number was sent.
    Withheld { notice: Notice },
}

/// Gives an unknown caller a name, or to a customer: in one step, while the phone rings.
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/name.html")]
pub(crate) struct NameCaller {
    pub(crate) text: Text,
    pub(crate) call_id: String,
    pub(crate) phone: Phone,
    /// The session's token in a page; empty in an update.
    pub(crate) csrf: String,
}

impl HtmlSafe for NameCaller {}

impl NameCaller {
    /// The customers, to link the number to one of them.
    fn link_href(&self) -> String {
        address(
            "/customers",
            &[("link", self.phone.e164()), ("call", &self.call_id)],
        )
    }
}

/// A customer who may be the caller.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) customer_id: String,
    pub(crate) name: String,
    pub(crate) company: Option<String>,
    /// As for a known caller.
    pub(crate) notice: Notice,
}

impl RingingCall {
    /// What a screen reader says and a notification shows: who, and how they pay.
    pub(crate) fn announcement(&self) -> String {
        let who = self.from.label(self.text);
        let who = match &self.from.company {
            Some(company) => format!("{who}, {company}"),
            None => who,
        };
        match &self.caller {
            RingingCaller::Known { notice, .. }
            | RingingCaller::Unknown { notice, .. }
            | RingingCaller::Withheld { notice } => {
                let notice = notice.sentence(self.text);
                self.text
                    .say("live-announcement")
                    .with("who", who)
                    .with("notice", notice)
                    .to_string()
            }
            RingingCaller::Several(candidates) => self
                .text
                .say("live-announcement-several")
                .with("who", who)
                .number("count", candidates.len())
                .to_string(),
        }
    }

    fn notice(&self) -> Option<&Notice> {
        match &self.caller {
            RingingCaller::Known { notice, .. }
            | RingingCaller::Unknown { notice, .. }
            | RingingCaller::Withheld { notice } => Some(notice),
            RingingCaller::Several(_) => None,
        }
    }

    fn tone(&self) -> &'static str {
        self.notice().map_or("plain", Notice::class)
    }
}

/// A conversation (`id="call-…"`, list `talking`).
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/talking.html")]
pub(crate) struct TalkingCall {
    pub(crate) text: Text,
    pub(crate) id: String,
    pub(crate) direction: Direction,
    pub(crate) with: Party,
    pub(crate) line: Phone,
    pub(crate) line_label: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) since: Ticking,
    /// Included seconds that were left when the call was answered; they count down. `None` without included hours.
    pub(crate) left_at_answer_seconds: Option<u64>,
    /// The cost at the last update, by the server's reckoning.
    pub(crate) cost: Price,
    /// As when it rang; `None` when the caller is not known.
    pub(crate) card: Option<Box<CallerCard>>,
    /// As when it rang, if the caller is not known and the viewer may say who it is.
    pub(crate) naming: Option<NameCaller>,
}

impl HtmlSafe for TalkingCall {}

/// What a call has cost so far (`id="cost-…"`), replaced alone while the call goes on.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"{% import "pages/parts.html" as parts %}<dd id="cost-{{ id }}">{{ parts::price(text, cost) }}</dd>"#
)]
pub(crate) struct CostCell {
    pub(crate) text: Text,
    pub(crate) id: String,
    pub(crate) cost: Price,
}

impl HtmlSafe for CostCell {}

impl TalkingCall {
    fn cost_cell(&self) -> CostCell {
        CostCell {
            text: self.text,
            id: self.id.clone(),
            cost: self.cost.clone(),
        }
    }

    /// What is left now; the script goes on from there.
    fn left_shown(&self) -> String {
        let left = self.left_at_answer_seconds.unwrap_or(0);
        crate::pages::duration::clock(left.saturating_sub(self.since.seconds))
    }
}

/// A call that is over (`id="call-…"`, list `ended`).
#[derive(Clone, Debug, Template)]
#[template(path = "calls/view/ended.html")]
pub(crate) struct EndedCall {
    pub(crate) text: Text,
    pub(crate) id: String,
    pub(crate) direction: Direction,
    pub(crate) with: Party,
    pub(crate) agent: Option<String>,
    pub(crate) outcome: Outcome,
    pub(crate) ended: Stamp,
    /// `21:40`; empty when nobody answered.
    pub(crate) length: String,
    pub(crate) price: Price,
}

impl HtmlSafe for EndedCall {}
