//! What the bills have to be, by a second and simple account: from the script, with the naive rating of `core`'s tests.
//!
//! After each step all usage of a payer is rated from the beginning; what comes out otherwise than before is taken back
//! and charged anew, where the rules of billing say that late changes go.

mod acts;
mod contract;
mod documents;
mod fees;
mod print;
mod usage;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use self::contract::{Contract, Fee, Span, month_of};
use self::documents::{Coins, Document, Kind, Place, Sum};
use self::usage::Reached;
use super::script::{Deed, Firm, Plan, Script, Step, What};

/// When something was used, and the name that it goes by.
type Key = (Timestamp, String);

struct Used {
    meter: &'static str,
    quantity: i64,
    /// The call, from its beginning to its end.
    call: Option<Span>,
}

/// The terms of a usage: subscription, period that tiers count in, plan.
#[derive(Clone, PartialEq, Debug)]
struct Terms {
    contract: Option<usize>,
    period: Span,
    plan: usize,
}

/// What is in force of a usage.
struct Charged {
    terms: Terms,
    parts: BTreeMap<String, Sum>,
    /// Document and line of each part.
    printed: Vec<(usize, String, Sum)>,
}

struct FeeCharged {
    contract: usize,
    period: i32,
    fee: Fee,
    document: usize,
    line: String,
}

/// Everything of one payer.
pub(super) struct Payer<'a> {
    number: usize,
    firm: &'a Firm,
    plans: &'a [Plan],
    /// It pays the platform.
    is_firm: bool,
    grace: SignedDuration,
    coins: Coins,
    tax: Option<(&'static str, bool)>,
    zone: TimeZone,
    contracts: Vec<Contract>,
    /// Whether anything has happened since it was rated.
    has_news: bool,
    /// Usage that has been rated, in order.
    reached: Vec<Reached>,
    used: BTreeMap<Key, Used>,
    charged: BTreeMap<Key, Charged>,
    fees: Vec<FeeCharged>,
    documents: Vec<Document>,
}

/// What came of a deed, which the play has to see too.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Outcome {
    Done,
    /// It is not possible as things stand.
    Refused,
    /// It is about this document of the payer: when it was finalized, and what it comes to.
    On(Timestamp, i64),
}

/// The books of all payers.
pub(super) struct Expected<'a> {
    pub(super) payers: Vec<Payer<'a>>,
}

impl<'a> Expected<'a> {
    pub(super) fn new(script: &'a Script) -> Self {
        let payers = script.payers.iter().enumerate().map(|(number, payer)| {
            let firm = &script.firms[payer.firm];
            // Of its own sale the platform says how it is done.
            let (grace, coins) = if payer.is_firm {
                (
                    SignedDuration::from_hours(1),
                    Coins {
                        digits: 2,
                        is_half_even: false,
                    },
                )
            } else {
                (
                    firm.grace,
                    Coins {
                        digits: firm.digits,
                        is_half_even: firm.is_half_even,
                    },
                )
            };
            Payer {
                number,
                firm,
                plans: script.plans(number),
                is_firm: payer.is_firm,
                grace,
                coins,
                tax: payer.tax,
                zone: TimeZone::get(firm.zone).unwrap(),
                contracts: Vec::new(),
                has_news: false,
                reached: Vec::new(),
                used: BTreeMap::new(),
                charged: BTreeMap::new(),
                fees: Vec::new(),
                documents: Vec::new(),
            }
        });
        Self {
            payers: payers.collect(),
        }
    }

    /// Time comes to a step, and what was due by then is done.
    pub(super) fn come_to(&mut self, now: Timestamp) {
        for payer in &mut self.payers {
            payer.settle(now);
        }
    }

    /// What happens at a step; one outcome for each deed.
    pub(super) fn happen(&mut self, script: &Script, step: &Step) -> Vec<Outcome> {
        let outcomes = step
            .deeds
            .iter()
            .map(|deed| {
                let firm = script.payers[deed.payer].firm;
                let itself =
                    |it: &usize| script.payers[*it].is_firm && script.payers[*it].firm == firm;
                let itself = (0..script.payers.len()).find(itself).unwrap();
                if itself != deed.payer {
                    self.payers[itself].use_of(deed);
                }
                self.payers[deed.payer].happen(deed, step.at)
            })
            .collect();
        for payer in &mut self.payers {
            payer.rate(step.at);
            payer.settle(step.at);
        }
        outcomes
    }

    /// All documents, as they are compared.
    pub(super) fn bills(&self, script: &Script) -> Vec<String> {
        let bills = self.payers.iter().flat_map(|payer| payer.bills(script));
        let mut bills: Vec<String> = bills.collect();
        bills.sort_unstable();
        bills
    }
}

impl Payer<'_> {
    fn settle(&mut self, now: Timestamp) {
        self.extend(now);
        self.finalize(now);
    }

    fn happen(&mut self, deed: &Deed, now: Timestamp) -> Outcome {
        self.use_of(deed);
        match &deed.what {
            What::Act(act) => {
                self.reached.clear();
                self.act(act, now)
            }
            What::Pay => self.pay(),
            What::Void => self.void(now),
            _ => Outcome::Done,
        }
    }

    /// Notes what is used, the last word about it.
    fn use_of(&mut self, deed: &Deed) {
        self.has_news = true;
        let (sid, at, meter, quantity, call) = match &deed.what {
            What::Talked(call, seconds) | What::Lost(call, seconds) => {
                let answered_at = call.at + SignedDuration::from_secs(5);
                let ends_at = answered_at + SignedDuration::from_secs(*seconds);
                let span = Some((call.at, ends_at));
                let meter = "CALL_DURATION_SECONDS";
                (&call.sid, answered_at, meter, *seconds, span)
            }
            What::Texted(sid, at) => (sid, *at, "SMS_RECEIVED", 1, None),
            What::Reported(sid, at, quantity) => (sid, *at, "API_REQUEST", *quantity, None),
            What::Missed(_) | What::Act(_) | What::Pay | What::Void | What::Close => return,
        };
        let used = Used {
            meter,
            quantity,
            call,
        };
        self.used.insert((at, sid.clone()), used);
        self.reached.retain(|it| it.key.0 < at);
    }

    /// The draft for a place, and whether that is a later one than its own.
    fn open(&mut self, place: &Place, now: Timestamp) -> (usize, bool) {
        let (mut wanted, mut is_late) = (place.clone(), false);
        loop {
            let is_it = |it: &Document| {
                let is_span = it.place.span == wanted.span || matches!(wanted.kind, Kind::Call(_));
                it.place.kind == wanted.kind && is_span
            };
            let due = wanted.span.1 + self.grace;
            match self.documents.iter().position(is_it) {
                None => {
                    self.documents.push(Document::new(wanted, due));
                    return (self.documents.len() - 1, is_late);
                }
                Some(n) if self.documents[n].issued.is_none() => {
                    self.documents[n].due.get_or_insert(due);
                    return (n, is_late);
                }
                Some(_) => {
                    wanted = self.postpone(&wanted, now);
                    is_late = true;
                }
            }
        }
    }

    /// Where it goes once that document is finalized: the subscription's next period, or the month of now or the next.
    fn postpone(&self, closed: &Place, now: Timestamp) -> Place {
        let is_closed = |span: Span| {
            let mut documents = self.documents.iter();
            documents.any(|it| {
                it.place.kind == Kind::Period && it.place.span == span && it.issued.is_some()
            })
        };
        let of_contract = closed.contract.and_then(|number| {
            let contract = &self.contracts[number];
            let mut periods = (0..contract.made).map(|it| contract.billed(it));
            let next = periods.find(|span| span.0 >= closed.span.1 && !is_closed(*span))?;
            Some(Place {
                kind: Kind::Period,
                contract: Some(number),
                span: next,
            })
        });
        of_contract.unwrap_or_else(|| {
            let month = month_of(now.max(closed.span.1), &self.zone);
            let span = if month == closed.span {
                month_of(month.1, &self.zone)
            } else {
                month
            };
            Place {
                kind: Kind::Period,
                contract: None,
                span,
            }
        })
    }
}
