//! A call as a document, the same in the API and on event streams.

use jiff::Timestamp;
use serde::Serialize;
use tollbook_core::calls::{Direction, Outcome, Phase, Provider, notice};
use tollbook_core::ids::{CallId, PhoneNumberId};
use tollbook_core::money::Currency;
use tollbook_core::subscriptions::State;
use uuid::Uuid;

use super::moment::{Moment, Moments, Who};
use super::read::CallFacts;
use crate::customers::{Card, Summary};
use crate::rating::Estimate;

/// A call.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallDocument {
    #[schema(value_type = Uuid)]
    id: CallId,
    #[schema(value_type = String)]
    provider: Provider,
    #[schema(value_type = String)]
    direction: Direction,
    /// `queued`, `ringing`, `in_progress` or `ended`.
    #[schema(value_type = String)]
    state: Phase,
    /// How it ended; null until it has.
    #[schema(value_type = Option<String>)]
    outcome: Option<Outcome>,
    /// The other side: E.164, `anonymous`, or what the provider gave.
    with: String,
    from: String,
    to: String,
    #[schema(value_type = Option<Uuid>)]
    phone_number_id: Option<PhoneNumberId>,
    customer: Option<Named>,
    /// Who talked first.
    answered_by: Option<Named>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    answered_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// What is billed for, in seconds; 0 until the call has ended.
    billable_seconds: i64,
    /// Until the call is over, if one customer has the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<CallerDocument>,
    /// The customers who share the number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<Named>,
    /// What a minute costs somebody without a subscription, while it rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    minute_price: Option<MoneyDocument>,
    /// What the call would cost if it ended now.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_so_far: Option<MoneyDocument>,
    /// Whether included time has covered all of it so far.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_included_so_far: bool,
    /// What was charged, after it was rated; for those who may see charges.
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<MoneyDocument>,
}

/// A thing and what it is called.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Named {
    id: Uuid,
    name: String,
}

impl<Id: Into<Uuid>> From<(Id, String)> for Named {
    fn from((id, name): (Id, String)) -> Self {
        Self {
            id: id.into(),
            name,
        }
    }
}

/// Who calls and how they pay, for a call that is not over.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallerDocument {
    /// The sentence for whoever picks up.
    notice: String,
    customer: Named,
    plan: Option<String>,
    /// State of the subscription.
    #[schema(value_type = Option<String>)]
    subscription: Option<State>,
    /// Included seconds that can still be used.
    seconds_remaining: Option<u32>,
    /// The last calls, newest first.
    recent_calls: Vec<RecentDocument>,
    /// How many invoices are open.
    open_invoices: u64,
    /// What is open, by currency.
    open_totals: Vec<MoneyDocument>,
    /// What the last operators noted, newest first.
    notes: Vec<String>,
}

/// An earlier call.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecentDocument {
    #[schema(value_type = Uuid)]
    id: CallId,
    #[schema(value_type = String)]
    direction: Direction,
    #[schema(value_type = Option<String>)]
    outcome: Option<Outcome>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    billable_seconds: u32,
}

/// An amount of money.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MoneyDocument {
    /// A plain decimal in major units.
    amount: String,
    currency: &'static str,
}

impl CallDocument {
    /// A call in a list.
    pub(crate) fn brief(moment: &Moment) -> Self {
        Self {
            charge: moment
                .charged
                .as_ref()
                .map(|charged| money(&charged.plain, charged.currency)),
            ..Self::from(moment.call.clone())
        }
    }

    /// A call as it is at a moment, with its caller and its cost.
    pub(crate) fn of(moment: &Moment, moments: &Moments) -> Self {
        let call = &moment.call;
        let is_over = call.phase == Phase::Ended;
        Self {
            caller: match &moment.who {
                Who::Customer(Some(card)) if !is_over => Some(caller(card)),
                Who::Customer(_) | Who::Several(_) | Who::Unknown | Who::Withheld => None,
            },
            candidates: match &moment.who {
                Who::Several(summaries) => summaries.iter().map(named).collect(),
                Who::Customer(_) | Who::Unknown | Who::Withheld => Vec::new(),
            },
            minute_price: moments
                .minute_price
                .as_ref()
                .filter(|_| call.phase < Phase::InProgress)
                .map(|(plain, currency)| money(plain, *currency)),
            cost_so_far: match &moment.estimate {
                Some(Estimate::Amount { plain, currency }) => Some(money(plain, *currency)),
                Some(Estimate::Included) | None => None,
            },
            is_included_so_far: moment.estimate == Some(Estimate::Included),
            charge: moment
                .charged
                .as_ref()
                .map(|charged| money(&charged.plain, charged.currency)),
            ..Self::from(call.clone())
        }
    }
}

fn named(summary: &Summary) -> Named {
    Named {
        id: summary.customer.uuid(),
        name: summary.label().unwrap_or_default().to_owned(),
    }
}

fn money(plain: &str, currency: Currency) -> MoneyDocument {
    MoneyDocument {
        amount: plain.to_owned(),
        currency: currency.code(),
    }
}

fn caller(card: &Card) -> CallerDocument {
    let summary = &card.summary;
    CallerDocument {
        notice: notice(summary.subscriber()).to_string(),
        customer: named(summary),
        plan: summary.subscription.as_ref().map(|it| it.plan.clone()),
        subscription: summary.subscription.as_ref().map(|it| it.state),
        seconds_remaining: summary.hours.map(|hours| hours.left().get()),
        recent_calls: card
            .recent
            .iter()
            .map(|recent| RecentDocument {
                id: recent.id,
                direction: recent.direction,
                outcome: recent.outcome,
                started_at: recent.started_at,
                billable_seconds: recent.billable.get(),
            })
            .collect(),
        open_invoices: card.open.count,
        open_totals: card
            .open
            .totals
            .iter()
            .map(|total| money(&total.amount(), total.currency()))
            .collect(),
        notes: card.notes.iter().map(|note| note.body.clone()).collect(),
    }
}

impl From<CallFacts> for CallDocument {
    fn from(call: CallFacts) -> Self {
        Self {
            id: call.id,
            provider: call.provider,
            direction: call.direction,
            state: call.phase,
            outcome: call.outcome,
            with: call.external.to_string(),
            from: call.from,
            to: call.to,
            phone_number_id: call.phone_number,
            customer: call.customer.map(Named::from),
            answered_by: call.answered_by.map(Named::from),
            started_at: call.started_at,
            answered_at: call.answered_at,
            ended_at: call.ended_at,
            billable_seconds: call.billable_seconds,
            caller: None,
            candidates: Vec::new(),
            minute_price: None,
            cost_so_far: None,
            is_included_so_far: false,
            charge: None,
        }
    }
}
