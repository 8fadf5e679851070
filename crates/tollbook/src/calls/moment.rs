//! A call with everything that is shown while it lasts: who is on the line, how they pay, what it costs so far.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::{Direction, Phase};
use tollbook_core::ids::{CallId, CustomerId, OrganizationId};
use tollbook_core::money::Currency;
use tollbook_core::phone::Party;
use uuid::Uuid;

use super::price::{Charged, charged};
use super::read::{CallFacts, calls_by_id};
use crate::app::App;
use crate::customers::{self, Card, RecentCall, Summary};
use crate::error::Result;
use crate::rating::{self, Estimate, Running};

/// A call as it is at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) call: CallFacts,
    pub(crate) who: Who,
    /// While it is in progress.
    pub(crate) estimate: Option<Estimate>,
    /// After it ended, for those who may see charges.
    pub(crate) charged: Option<Charged>,
    pub(crate) may_see_charges: bool,
}

/// Who is on the other side.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// A customer; for a call that is over, without the card.
    Customer(Option<Box<Card>>),
    /// Several customers have the number.
    Several(Vec<Summary>),
    /// Nobody has it.
    Unknown,
    /// No number was sent.
    Withheld,
}

/// Calls, and what is the same for all of them.
#[derive(Debug)]
pub(crate) struct Moments {
    pub(crate) calls: HashMap<CallId, Moment>,
    /// What a minute costs somebody without a subscription, if any call is about to begin.
    pub(crate) minute_price: Option<(String, Currency)>,
    /// The organization's country, in whose form numbers are read.
    pub(crate) country: String,
    pub(crate) now: Timestamp,
}

impl Moment {
    /// As a member sees it who may see the call: the label of a line only if it is theirs, no charge, and of the
    /// customer's earlier calls their own, if they do not see all. What the policies leave out of [`moments`] for a member
    /// is the same.
    pub(crate) fn of_member(
        &self,
        has_line: bool,
        recent: impl FnOnce(CustomerId) -> Option<Vec<RecentCall>>,
    ) -> Self {
        let mut moment = self.clone();
        moment.call.line_label = moment.call.line_label.filter(|_| has_line);
        moment.charged = None;
        moment.may_see_charges = false;
        if let Who::Customer(Some(card)) = &mut moment.who
            && let Some(recent) = recent(card.summary.customer)
        {
            card.recent = recent;
        }
        moment
    }
}

/// Those of these calls that the reader of `tx`, who is `actor`, may see: a constant number of queries.
pub(crate) async fn moments(
    tx: &mut PgConnection,
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Moments> {
    let now = app.clock.now();
    if ids.is_empty() {
        return Ok(Moments {
            calls: HashMap::new(),
            minute_price: None,
            country: String::new(),
            now,
        });
    }
    let calls = calls_by_id(tx, organization, ids).await?;
    let live: Vec<&CallFacts> = calls
        .iter()
        .filter(|call| call.phase != Phase::Ended)
        .collect();
    let customers: Vec<CustomerId> = live
        .iter()
        .filter_map(|call| Some(call.customer.as_ref()?.0))
        .collect();
    let mut cards = customers::cards(tx, organization, &customers, now).await?;
    let mut several = candidates(tx, organization, &live, now).await?;
    let running: Vec<Running> = live.iter().filter_map(|call| running(call)).collect();
    let mut estimates = rating::estimates(tx, &app.terms, organization, &running, now).await?;
    let may_see_charges = actor.administers(organization);
    let over: Vec<Uuid> = calls
        .iter()
        .filter(|call| call.phase == Phase::Ended)
        .map(|call| call.id.uuid())
        .collect();
    let mut charged = if may_see_charges && !over.is_empty() {
        charged(tx, organization, &over).await?
    } else {
        HashMap::new()
    };
    let minute_price = if live.iter().any(|call| call.phase < Phase::InProgress) {
        rating::minute_price(tx, &app.terms, organization, now).await?
    } else {
        None
    };
    let country = country(tx, organization).await?;
    let calls = calls.into_iter().map(|call| {
        let moment = Moment {
            who: who(&call, &mut cards, &mut several),
            estimate: estimates.remove(&call.id),
            charged: charged.remove(&call.id),
            may_see_charges,
            call,
        };
        (moment.call.id, moment)
    });
    Ok(Moments {
        calls: calls.collect(),
        minute_price,
        country,
        now,
    })
}

/// The organization's country.
pub(crate) async fn country(tx: &mut PgConnection, organization: OrganizationId) -> Result<String> {
    let country = sqlx::query_scalar!(
        "select country from organizations where id = $1",
        organization.uuid()
    );
    Ok(country.fetch_optional(tx).await?.unwrap_or_default())
}

fn running(call: &CallFacts) -> Option<Running> {
    Some(Running {
        call: call.id,
        customer: call.customer.as_ref()?.0,
        direction: call.direction,
        destination: match call.direction {
            Direction::Outgoing => call.external.number().cloned(),
            Direction::Incoming => None,
        },
        answered_at: call
            .answered_at
            .filter(|_| call.phase == Phase::InProgress)?,
    })
}

fn who(
    call: &CallFacts,
    cards: &mut HashMap<CustomerId, Card>,
    several: &mut HashMap<CallId, Vec<Summary>>,
) -> Who {
    match (&call.customer, &call.external) {
        // Two calls of the same customer at a time each have the card.
        (Some((id, _)), _) => Who::Customer(cards.get(id).cloned().map(Box::new)),
        (None, Party::Anonymous) => Who::Withheld,
        (None, Party::Number(_) | Party::Other(_)) => {
            several.remove(&call.id).map_or(Who::Unknown, Who::Several)
        }
    }
}

/// Who may be the callers that several customers share a number with.
async fn candidates(
    tx: &mut PgConnection,
    organization: OrganizationId,
    live: &[&CallFacts],
    now: Timestamp,
) -> Result<HashMap<CallId, Vec<Summary>>> {
    let open: Vec<(CallId, customers::Caller)> = live
        .iter()
        .filter(|call| call.customer.is_none())
        .filter_map(|call| {
            let caller = customers::Caller {
                organization,
                number: call.external.number()?.clone(),
                at: call.started_at,
                is_incoming: call.direction == Direction::Incoming,
            };
            Some((call.id, caller))
        })
        .collect();
    if open.is_empty() {
        return Ok(HashMap::new());
    }
    let callers: Vec<customers::Caller> = open.iter().map(|(_, caller)| caller.clone()).collect();
    let matches = customers::matches(tx, &callers).await?;
    let mut ids: Vec<CustomerId> = matches.iter().flatten().map(|one| one.customer).collect();
    ids.sort_unstable();
    ids.dedup();
    let summaries = customers::summaries(tx, organization, &ids, now).await?;
    Ok(open
        .into_iter()
        .zip(matches)
        .filter(|(_, matches)| !matches.is_empty())
        .map(|((call, _), matches)| {
            let summaries = matches
                .iter()
                .filter_map(|one| summaries.get(&one.customer).cloned());
            (call, summaries.collect())
        })
        .collect())
}
