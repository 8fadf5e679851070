//! Calls as elements of the live page: the same in the page and in an update.

use askama::Template as _;
use jiff::tz::TimeZone;
use tollbook_core::calls::{Direction as Way, Outcome as Ending, Phase};
use tollbook_core::time::Seconds;

use super::moment::{Moment, Moments, Who};
use super::price::price;
use super::read::CallFacts;
use super::view::card::{CallerCard, HoursLeft, Notice, OpenInvoice, RecentCall};
use super::view::live::{
    Candidate, EndedCall, NameCaller, RingingCall, RingingCaller, TalkingCall, Ticking,
};
use super::view::{Direction, Outcome};
use crate::customers::{Card, Contract, Hours, Summary};
use crate::error::{Error, Result};
use crate::pages::chart::meter::Meter;
use crate::pages::number::Amount;
use crate::pages::phone::Phone;
use crate::pages::text::Text;
use crate::pages::time::Viewer;
use crate::pages::{Note, Party, Price, duration};
use tollbook_core::subscriptions::State;

/// Calls on a card.
const RECENT_MAX: usize = 5;

/// A call where it stands.
#[derive(Debug, Clone)]
pub(crate) enum Element {
    Ringing(Box<RingingCall>),
    Talking(Box<TalkingCall>),
    Ended(Box<EndedCall>),
}

impl Element {
    /// The element's HTML.
    pub(crate) fn render(&self) -> Result<String> {
        let html = match self {
            Self::Ringing(call) => call.render(),
            Self::Talking(call) => call.render(),
            Self::Ended(call) => call.render(),
        };
        html.map_err(|e| Error::Internal(format!("a call cannot be rendered: {e}")))
    }
}

/// How a viewer reads: language, zone, and the form of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) viewer: Viewer,
    pub(crate) country: String,
    /// The session's token in a page; empty in an update.
    pub(crate) csrf: String,
}

impl Look {
    /// For an update: no page, so no token.
    pub(crate) fn of_update(text: Text, zone: TimeZone, moments: &Moments) -> Self {
        Self {
            viewer: Viewer {
                text,
                zone,
                now: moments.now,
            },
            country: moments.country.clone(),
            csrf: String::new(),
        }
    }

    fn text(&self) -> Text {
        self.viewer.text
    }

    pub(crate) fn phone(&self, party: &str) -> Phone {
        let party = tollbook_core::phone::Party::read(party);
        Phone::of(&party, &self.country).unwrap_or_default()
    }
}

/// The element of a call.
pub(crate) fn element(look: &Look, moments: &Moments, moment: &Moment) -> Element {
    match moment.call.phase {
        Phase::Queued | Phase::Ringing => {
            Element::Ringing(Box::new(ringing(look, moments, moment)))
        }
        Phase::InProgress => Element::Talking(Box::new(talking(look, moment))),
        Phase::Ended => Element::Ended(Box::new(ended(look, moment))),
    }
}

fn ringing(look: &Look, moments: &Moments, moment: &Moment) -> RingingCall {
    let call = &moment.call;
    RingingCall {
        text: look.text(),
        id: call.id.to_string(),
        direction: direction(call.direction),
        from: party(look, call),
        line: look.phone(call.line()),
        line_label: call.line_label.clone(),
        ringing: Ticking::new(call.started_at, look.viewer.now),
        caller: caller(look, moments, moment),
        csrf: look.csrf.clone(),
    }
}

fn caller(look: &Look, moments: &Moments, moment: &Moment) -> RingingCaller {
    let rate = || {
        let (plain, currency) = moments.minute_price.as_ref()?;
        Some(Amount::price(look.text(), plain, *currency))
    };
    let unknown = || RingingCaller::Unknown {
        notice: Notice::PayPerCall { rate: rate() },
        naming: naming(look, &moment.call),
    };
    match &moment.who {
        Who::Customer(Some(card)) if is_nameless(card) => unknown(),
        Who::Customer(Some(card)) => RingingCaller::Known {
            notice: notice(look, &card.summary, rate()),
            card: Box::new(caller_card(look, &moment.call, card)),
        },
        Who::Customer(None) | Who::Unknown => unknown(),
        Who::Several(summaries) => RingingCaller::Several(
            summaries
                .iter()
                .map(|summary| Candidate {
                    customer_id: summary.customer.to_string(),
                    name: summary.label().unwrap_or_default().to_owned(),
                    company: None,
                    notice: notice(look, summary, rate()),
                })
                .collect(),
        ),
        Who::Withheld => RingingCaller::Withheld {
            notice: Notice::PayPerCall { rate: rate() },
        },
    }
}

/// Somebody whom nobody has given a name yet.
fn is_nameless(card: &Card) -> bool {
    card.summary.is_prospect && card.summary.name.is_none()
}

fn naming(look: &Look, call: &CallFacts) -> Option<NameCaller> {
    Some(NameCaller {
        text: look.text(),
        call_id: call.id.to_string(),
        phone: Phone::of(&call.external, &look.country)?,
        csrf: look.csrf.clone(),
    })
}

fn notice(look: &Look, summary: &Summary, rate: Option<Amount>) -> Notice {
    use tollbook_core::calls::Subscriber;
    match summary.subscriber() {
        Subscriber::Active { remaining } if remaining == Seconds::ZERO => Notice::Overage,
        Subscriber::Active { remaining } => Notice::Subscriber {
            hours: duration::hours(look.text(), u64::from(remaining.get())),
        },
        Subscriber::Expired => Notice::Expired { rate },
        Subscriber::Never => Notice::PayPerCall { rate },
    }
}

fn talking(look: &Look, moment: &Moment) -> TalkingCall {
    let call = &moment.call;
    let card = match &moment.who {
        Who::Customer(card) => card.as_deref(),
        Who::Several(_) | Who::Unknown | Who::Withheld => None,
    };
    let left = card
        .filter(|card| {
            card.summary
                .subscription
                .as_ref()
                .is_some_and(|it| it.is_in_force)
        })
        .and_then(|card| card.summary.hours)
        .map(|hours| u64::from(hours.left().get()));
    TalkingCall {
        text: look.text(),
        id: call.id.to_string(),
        direction: direction(call.direction),
        with: party(look, call),
        line: look.phone(call.line()),
        line_label: call.line_label.clone(),
        agent: agent(call),
        since: Ticking::new(call.answered_at.unwrap_or(call.started_at), look.viewer.now),
        left_at_answer_seconds: left,
        cost: price_of(look, moment),
        naming: match &moment.who {
            Who::Customer(Some(card)) if is_nameless(card) => naming(look, call),
            Who::Unknown => naming(look, call),
            Who::Customer(_) | Who::Several(_) | Who::Withheld => None,
        },
        card: card
            .filter(|card| !is_nameless(card))
            .map(|card| Box::new(caller_card(look, call, card))),
    }
}

fn ended(look: &Look, moment: &Moment) -> EndedCall {
    let call = &moment.call;
    EndedCall {
        text: look.text(),
        id: call.id.to_string(),
        direction: direction(call.direction),
        with: party(look, call),
        agent: agent(call),
        outcome: outcome(call),
        ended: look.viewer.stamp(call.ended_at.unwrap_or(call.started_at)),
        length: length(call.billable_seconds),
        price: price_of(look, moment),
    }
}

/// The price of a call; hidden from those who may not see charges, save the running estimate.
pub(crate) fn price_of(look: &Look, moment: &Moment) -> Price {
    if moment.call.phase == Phase::Ended && !moment.may_see_charges {
        return Price::Hidden;
    }
    price(
        look.text(),
        &moment.call,
        moment.charged.as_ref(),
        moment.estimate.as_ref(),
    )
}

/// Who talked first.
pub(crate) fn agent(call: &CallFacts) -> Option<String> {
    let (_, name) = call.answered_by.as_ref()?;
    (!name.is_empty()).then(|| name.clone())
}

/// Which way, for a page.
pub(crate) fn direction(way: Way) -> Direction {
    match way {
        Way::Incoming => Direction::Inbound,
        Way::Outgoing => Direction::Outbound,
    }
}

/// Where a call stands, for a page.
pub(crate) fn outcome(call: &CallFacts) -> Outcome {
    ending(
        call.phase,
        call.outcome,
        call.direction,
        call.answered_at.is_some(),
    )
}

fn ending(phase: Phase, ending: Option<Ending>, way: Way, is_answered: bool) -> Outcome {
    match (phase, ending) {
        (Phase::Queued | Phase::Ringing, _) => Outcome::Ringing,
        (Phase::InProgress, _) => Outcome::InProgress,
        (Phase::Ended, Some(Ending::Answered | Ending::Forwarded)) => Outcome::Completed,
        (Phase::Ended, Some(Ending::Voicemail)) => Outcome::Voicemail,
        (Phase::Ended, Some(Ending::Failed)) => Outcome::Failed,
        (Phase::Ended, Some(Ending::Missed | Ending::Abandoned)) => match way {
            Way::Incoming => Outcome::Missed,
            Way::Outgoing => Outcome::Unanswered,
        },
        (Phase::Ended, Some(Ending::Busy | Ending::Canceled)) => Outcome::Unanswered,
        (Phase::Ended, None) if is_answered => Outcome::Completed,
        (Phase::Ended, None) => Outcome::Missed,
    }
}

/// `21:40`; empty when nobody talked.
pub(crate) fn length(seconds: i64) -> String {
    match u64::try_from(seconds) {
        Ok(0) | Err(_) => String::new(),
        Ok(seconds) => duration::clock(seconds),
    }
}

/// Who is on the other side, for a page.
pub(crate) fn party(look: &Look, call: &CallFacts) -> Party {
    let customer = call.customer.as_ref();
    Party {
        name: customer
            .map(|(_, name)| name.clone())
            .filter(|name| !name.is_empty()),
        company: None,
        href: customer.map(|(id, _)| format!("/customers/{id}")),
        phone: Phone::of(&call.external, &look.country),
    }
}

fn caller_card(look: &Look, call: &CallFacts, card: &Card) -> CallerCard {
    let text = look.text();
    let subscription = card.summary.subscription.as_ref();
    let first = |totals: &[tollbook_core::money::Money]| {
        totals.first().map(|total| Amount::of(text, *total))
    };
    CallerCard {
        text,
        call_id: call.id.to_string(),
        customer_href: format!("/customers/{}", card.summary.customer),
        plan: subscription.map(|it| it.plan.clone()),
        subscription: subscription.map(|it| contract_state(look, it)),
        hours: card.summary.hours.map(|hours| hours_left(look, hours)),
        recent: card
            .recent
            .iter()
            .filter(|recent| recent.id != call.id)
            .take(RECENT_MAX)
            .map(|recent| RecentCall {
                href: format!("/calls/{}", recent.id),
                at: look.viewer.stamp(recent.started_at),
                outcome: ending(
                    recent.phase,
                    recent.outcome,
                    recent.direction,
                    recent.billable != Seconds::ZERO,
                ),
                length: length(i64::from(recent.billable.get())),
                agent: recent.answered_by.clone().filter(|name| !name.is_empty()),
            })
            .collect(),
        invoices: card
            .open
            .first
            .iter()
            .map(|invoice| OpenInvoice {
                href: format!("/invoices/{}", invoice.id),
                number: invoice.number.clone(),
                open: Amount::of(text, invoice.open),
                due_on: invoice.due_at.map(|at| day(look, at)).unwrap_or_default(),
                is_overdue: invoice.due_at.is_some_and(|at| at < look.viewer.now),
            })
            .collect(),
        open_total: first(&card.open.totals),
        notes: card
            .notes
            .iter()
            .map(|note| Note {
                author: note.author.clone(),
                at: look.viewer.stamp(note.created_at),
                text: note.body.clone(),
            })
            .collect(),
        may_write: true,
        csrf: look.csrf.clone(),
    }
}

/// How a subscription stands, in words.
pub(crate) fn contract_state(look: &Look, contract: &Contract) -> String {
    let text = look.text();
    match (contract.state, contract.ends_at) {
        (State::Canceled | State::Ended, Some(at)) if !contract.is_in_force => text
            .say("subscription-ended-on")
            .with("day", day(look, at))
            .to_string(),
        (State::Canceled, Some(at)) => text
            .say("subscription-ends-on")
            .with("day", day(look, at))
            .to_string(),
        (State::Trial, _) => text.say("subscription-trial").to_string(),
        (State::Active | State::Canceled, _) if contract.is_in_force => {
            text.say("subscription-active").to_string()
        }
        (State::Paused, _) => text.say("subscription-paused").to_string(),
        (State::Active | State::Canceled | State::Ended, _) => {
            text.say("subscription-ended").to_string()
        }
    }
}

/// What is left of the included hours, for a page.
pub(crate) fn hours_left(look: &Look, hours: Hours) -> HoursLeft {
    let text = look.text();
    let shown = |seconds: Seconds| duration::hours(text, u64::from(seconds.get()));
    let (left, included) = (shown(hours.left()), shown(hours.granted));
    let label = text
        .say("hours-left-of")
        .with("left", &left)
        .with("included", &included);
    HoursLeft {
        meter: Meter::new(
            label.to_string(),
            u64::from(hours.used.get().min(hours.granted.get())),
            u64::from(hours.granted.get()),
        ),
        left,
        included,
        renews_on: Some(day(look, hours.expires_at)),
    }
}

fn day(look: &Look, at: jiff::Timestamp) -> String {
    look.viewer
        .date_short(at.to_zoned(look.viewer.zone.clone()).date())
}
