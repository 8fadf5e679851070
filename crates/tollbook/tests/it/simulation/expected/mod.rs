//! What the bills have to be, by a second and simple account: from the script, with the naive rating of `core`'s tests.
//!
//! After each step all usage of a payer is rated from the beginning; what comes out otherwise than before is taken back
//! and charged anew, where the rules of billing say that late changes go.

mod contract;
mod documents;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use self::contract::{Contract, Fee, Granted, Span, State, day_of, midnight, month_of};
use self::documents::{Coins, Document, Issued, Kind, Place, Sum, written};
use super::script::{Act, Deed, Firm, Plan, Script, Step, What};
use crate::naive::{self, Account, NaiveGrant, NaiveUsage};
use crate::ratio::Ratio;

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
            What::Act(act) => self.act(act, now),
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
    }

    /// The newest document, if something is to be paid of it, and nothing is credit.
    fn newest(&self) -> Option<usize> {
        if self
            .documents
            .iter()
            .any(|it| it.issued.as_ref().is_some_and(|issued| issued.total < 0))
        {
            return None;
        }
        let issued =
            (0..self.documents.len()).filter_map(|n| Some((self.documents[n].issued.as_ref()?, n)));
        let (newest, n) = issued.clone().max_by_key(|(it, _)| it.at)?;
        // With two at the same moment it would not be said which.
        let is_alone = issued.filter(|(it, _)| it.at == newest.at).count() == 1;
        let document = &self.documents[n];
        (is_alone && newest.total > 0 && !document.is_paid && !document.is_void).then_some(n)
    }

    fn on(&self, n: usize) -> Outcome {
        let issued = self.documents[n].issued.as_ref().unwrap();
        Outcome::On(issued.at, issued.total)
    }

    fn pay(&mut self) -> Outcome {
        let Some(n) = self.newest() else {
            return Outcome::Refused;
        };
        self.documents[n].is_paid = true;
        self.on(n)
    }

    fn void(&mut self, now: Timestamp) -> Outcome {
        // With two subscriptions on it, it would not be said whose next document gathers it again.
        let is_plain = |n: &usize| self.documents[*n].contracts.len() <= 1;
        let Some(n) = self.newest().filter(is_plain) else {
            return Outcome::Refused;
        };
        let document = &mut self.documents[n];
        document.is_void = true;
        let (kind, span) = (document.place.kind.clone(), document.place.span);
        let kind = if kind == Kind::First {
            Kind::Period
        } else {
            kind
        };
        let place = Place {
            kind,
            contract: document.contracts.first().copied(),
            span,
        };
        let (draft, _) = self.open(&place, now);
        let before = self.documents[n].again.clone();
        self.documents[draft].again.push(n);
        self.documents[draft].again.extend(before);
        self.on(n)
    }

    fn act(&mut self, act: &Act, now: Timestamp) -> Outcome {
        let plans = self.plans;
        if let Act::Subscribe {
            plan,
            day,
            days_ago,
        } = act
        {
            let starts_at = days_ago.map_or(now, |days| {
                let day = day_of(now, &self.zone)
                    .checked_sub(jiff::Span::new().days(days))
                    .unwrap();
                midnight(day, &self.zone)
            });
            let is_free = self
                .contracts
                .iter()
                .all(|it| it.ends_at.is_some_and(|end| end <= starts_at));
            if !is_free {
                return Outcome::Refused;
            }
            self.contracts.push(Contract::new(
                *plan,
                &plans[*plan],
                *day,
                starts_at,
                self.zone.clone(),
            ));
            self.extend(now);
            return Outcome::Done;
        }
        let Some(number) = self.contracts.len().checked_sub(1) else {
            return Outcome::Refused;
        };
        let contract = &mut self.contracts[number];
        let at_end = contract.current_end(now);
        let when = |is_at_end: bool| if is_at_end { at_end } else { now };
        let since = match act {
            Act::Subscribe { .. } => None,
            Act::Change { plan, is_at_end } => {
                let at = when(*is_at_end);
                let is_same = contract.plan_at(at) == *plan;
                (contract.state(at) != State::Ended && !is_same).then(|| {
                    contract.plans.retain(|(from, _)| *from < at);
                    contract.plans.push((at, *plan));
                    at
                })
            }
            Act::Pause { until } => (contract.state(now) == State::Active).then(|| {
                contract.pauses.push((now, *until));
                now
            }),
            Act::Resume if contract.state(now) == State::Canceled => {
                (contract.ends_at, contract.is_canceled) = (None, false);
                Some(now)
            }
            Act::Resume => (contract.state(now) == State::Paused).then(|| {
                contract.pauses.last_mut().unwrap().1 = Some(now);
                now
            }),
            Act::Cancel { is_at_end } => {
                let at = when(*is_at_end);
                let states = [contract.state(now), contract.state(at)];
                let is_possible = |it: &State| match it {
                    State::Ended => false,
                    State::Trial | State::Active => true,
                    State::Paused | State::Canceled => !is_at_end,
                };
                states.iter().all(is_possible).then(|| {
                    (contract.ends_at, contract.is_canceled) = (Some(at), true);
                    at
                })
            }
        };
        let Some(since) = since else {
            return Outcome::Refused;
        };
        self.extend(now);
        self.correct_fees(number, since, now);
        Outcome::Done
    }

    /// Makes the next periods, with their fees.
    fn extend(&mut self, now: Timestamp) {
        for number in 0..self.contracts.len() {
            for period in self.contracts[number].due(now) {
                let contract = &mut self.contracts[number];
                contract.made = period + 1;
                let fees = contract.fees(period, self.plans);
                let (span, is_first) = (contract.billed(period), period == 0);
                let place = |span: Span| Place {
                    kind: Kind::Period,
                    contract: Some(number),
                    span,
                };
                let document = match fees.first() {
                    None => None,
                    Some(fee) if is_first => {
                        let place = Place {
                            kind: Kind::First,
                            ..place((fee.due_at, span.1))
                        };
                        self.documents
                            .push(Document::new(place, fee.due_at + self.grace));
                        Some(self.documents.len() - 1)
                    }
                    Some(_) => {
                        let before = self.contracts[number].billed(period - 1);
                        Some(self.open(&place(before), now).0)
                    }
                };
                for fee in fees {
                    self.charge_fee(number, period, fee, document.unwrap());
                }
                if self.contracts[number]
                    .commitment(period, self.plans)
                    .is_some()
                {
                    self.open(&place(span), now);
                }
            }
        }
    }

    fn charge_fee(&mut self, contract: usize, period: i32, fee: Fee, document: usize) {
        let line = format!("fee/{contract}/{period}/{}", fee.plan);
        self.documents[document].add(&line, &(fee.share.clone(), fee.amount.clone()));
        self.documents[document].contracts.insert(contract);
        self.fees.push(FeeCharged {
            contract,
            period,
            fee,
            document,
            line,
        });
    }

    /// Compares the fees of what lies behind `since` with the history, and charges the differences.
    fn correct_fees(&mut self, number: usize, since: Timestamp, now: Timestamp) {
        let contract = &self.contracts[number];
        let periods: Vec<i32> = (0..contract.made)
            .filter(|it| contract.billed(*it).1 > since)
            .collect();
        for period in &periods {
            let contract = &self.contracts[number];
            if contract.commitment(*period, self.plans).is_some() {
                let place = Place {
                    kind: Kind::Period,
                    contract: Some(number),
                    span: contract.billed(*period),
                };
                self.open(&place, now);
            }
        }
        for period in periods {
            let contract = &self.contracts[number];
            let mut anew = contract.fees(period, self.plans);
            let place = Place {
                kind: Kind::Period,
                contract: Some(number),
                span: contract.billed(period),
            };
            let (mut own, mut undone) = (None, Vec::new());
            for (n, it) in self
                .fees
                .iter()
                .enumerate()
                .filter(|(_, it)| (it.contract, it.period) == (number, period))
            {
                if own.is_none() && self.documents[it.document].issued.is_none() {
                    own = Some(it.document);
                }
                match anew.iter().position(|fee| *fee == it.fee) {
                    Some(same) => drop(anew.remove(same)),
                    None => undone.push(n),
                }
            }
            if undone.is_empty() && anew.is_empty() {
                continue;
            }
            let document = own.unwrap_or_else(|| self.open(&place, now).0);
            for n in undone.into_iter().rev() {
                let it = self.fees.remove(n);
                let on = if self.documents[it.document].issued.is_none() {
                    it.document
                } else {
                    document
                };
                self.documents[on].take(&it.line, &(it.fee.share, it.fee.amount));
                self.documents[on].contracts.insert(number);
            }
            for fee in anew {
                self.charge_fee(number, period, fee, document);
            }
        }
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

    /// Rates everything from the beginning, and charges what differs.
    fn rate(&mut self, now: Timestamp) {
        if !std::mem::take(&mut self.has_news) {
            return;
        }
        for (key, terms, parts) in self.rated() {
            let before = self.charged.get(&key);
            if before.is_some_and(|it| it.terms == terms && it.parts == parts) {
                continue;
            }
            let (before, was) = match self.charged.remove(&key) {
                Some(it) => (it.printed, it.terms.contract),
                None => (Vec::new(), None),
            };
            let is_closed = before
                .iter()
                .any(|(n, ..)| self.documents[*n].issued.is_some());
            let open = if parts.is_empty() && !is_closed {
                None
            } else {
                let place = self.place(&key, &terms, &parts);
                Some(self.open(&place, now))
            };
            let late = format!("@{}", day_of(key.0, &self.zone));
            for (n, line, sum) in before {
                if self.documents[n].issued.is_none() {
                    self.documents[n].take(&line, &sum);
                } else {
                    let (own, (n, is_late)) = (line.split('@').next().unwrap(), open.unwrap());
                    self.documents[n]
                        .take(&format!("{own}{}", if is_late { &late } else { "" }), &sum);
                    self.documents[n].contracts.extend(was);
                }
            }
            let mut printed = Vec::new();
            for (line, sum) in &parts {
                let (n, is_late) = open.unwrap();
                let line = format!("{line}{}", if is_late { &late } else { "" });
                self.documents[n].add(&line, sum);
                self.documents[n].contracts.extend(terms.contract);
                printed.push((n, line, sum.clone()));
            }
            self.charged.insert(
                key,
                Charged {
                    terms,
                    parts,
                    printed,
                },
            );
        }
    }

    fn place(&self, (_, sid): &Key, terms: &Terms, parts: &BTreeMap<String, Sum>) -> Place {
        let used = self.used.iter().find(|((_, own), _)| own == sid).unwrap().1;
        let costs = parts.values().any(|(_, amount)| *amount != Ratio::whole(0));
        match used
            .call
            .filter(|_| self.firm.is_per_call && terms.contract.is_none() && costs)
        {
            Some(span) => Place {
                kind: Kind::Call(sid.clone()),
                contract: None,
                span,
            },
            None => Place {
                kind: Kind::Period,
                contract: terms.contract,
                span: terms.period,
            },
        }
    }

    /// `None`: nobody sells it.
    fn terms(&self, at: Timestamp) -> Option<Terms> {
        let contract = self.contracts.iter().position(|it| it.is_in_force(at));
        Some(match contract {
            Some(number) => {
                let contract = &self.contracts[number];
                let period = contract.billed(contract.period_at(at).unwrap());
                Terms {
                    contract: Some(number),
                    period,
                    plan: contract.plan_at(at),
                }
            }
            None if self.is_firm => return None,
            None => Terms {
                contract: None,
                period: month_of(at, &self.zone),
                plan: 0,
            },
        })
    }

    fn rated(&self) -> Vec<(Key, Terms, BTreeMap<String, Sum>)> {
        let granted = self.contracts.iter().flat_map(|it| it.grants(self.plans));
        let granted: Vec<Granted> = granted.collect();
        let mut caps: Vec<(Timestamp, String, Ratio)> = granted
            .iter()
            .filter_map(|it| Some((it.grant.starts, it.grant.allowance.clone(), it.cap.clone()?)))
            .collect();
        caps.sort_by_key(|(at, ..)| *at);
        let mut caps = caps.into_iter().peekable();
        let mut account = Account::default();
        account.grants = granted.into_iter().map(|it| it.grant).collect();
        // Tier totals by the period that they count in.
        let mut counted: BTreeMap<Timestamp, Vec<(String, Ratio)>> = BTreeMap::new();
        let mut rated = Vec::new();
        for (key, used) in &self.used {
            while let Some((at, allowance, cap)) = caps.next_if(|(at, ..)| *at <= key.0) {
                take_beyond(&mut account.grants, &allowance, at, &cap);
            }
            let Some(terms) = self.terms(key.0) else {
                continue;
            };
            let usage = NaiveUsage {
                meter: used.meter,
                quantity: used.quantity.to_string(),
                at: key.0,
                is_time: used.call.is_some(),
                direction: used.call.map(|_| "incoming"),
                to: String::new(),
                cost: None,
            };
            account.counted = counted.remove(&terms.period.0).unwrap_or_default();
            let plan = &self.plans[terms.plan].document;
            let parts = naive::parts(plan, &serde_json::Value::Null, &usage, &mut account).unwrap();
            counted.insert(terms.period.0, std::mem::take(&mut account.counted));
            let mut lines: BTreeMap<String, Sum> = BTreeMap::new();
            let zero = Ratio::whole(0);
            for part in parts {
                let sum = lines
                    .entry(part.line)
                    .or_insert((zero.clone(), zero.clone()));
                *sum = (sum.0.plus(&part.quantity), sum.1.plus(&part.amount));
            }
            lines.retain(|_, sum| *sum != (zero.clone(), zero.clone()));
            rated.push((key.clone(), terms, lines));
        }
        rated
    }

    fn finalize(&mut self, now: Timestamp) {
        for n in 0..self.documents.len() {
            let document = &self.documents[n];
            if document.issued.is_some() || document.due.is_none_or(|due| due > now) {
                continue;
            }
            let issued = self.print(n, now);
            let document = &mut self.documents[n];
            if issued.lines.is_empty() {
                document.due = None;
            } else {
                document.issued = Some(issued);
            }
        }
    }

    fn print(&mut self, n: usize, now: Timestamp) -> Issued {
        let (coins, document) = (self.coins, &self.documents[n]);
        let own = document
            .lines
            .iter()
            .map(|(line, sum)| (line.clone(), sum.clone()));
        let again = document.again.iter().flat_map(|void| {
            let lines = self.documents[*void].lines.iter();
            lines.map(move |(line, sum)| (format!("{line}@void{void}"), sum.clone()))
        });
        let (mut lines, mut printed, mut usage) = (Vec::new(), 0, 0);
        let zero = Ratio::whole(0);
        for (line, (quantity, amount)) in own.chain(again) {
            if quantity == zero && amount == zero {
                continue;
            }
            let minor = coins.round(&amount);
            printed += minor;
            if !line.starts_with("fee/") && !line.contains("@void") {
                usage += minor;
            }
            lines.push(format!(
                "{} {} {minor}",
                self.label(&line),
                written(&quantity)
            ));
        }
        if let Some(gap) = self
            .committed(n)
            .map(|least| coins.round(&least) - usage)
            .filter(|gap| *gap > 0)
        {
            printed += gap;
            lines.push(format!("commitment 1 {gap}"));
            let amount = Ratio::whole(gap).over(&Ratio::whole(10_i64.pow(coins.digits)));
            self.documents[n].add("commitment", &(Ratio::whole(1), amount));
        }
        lines.sort_unstable();
        let (subtotal, tax, total) = coins.tax(printed, self.tax);
        Issued {
            at: now,
            lines,
            subtotal,
            tax,
            total,
        }
    }

    fn committed(&self, n: usize) -> Option<Ratio> {
        let place = &self.documents[n].place;
        let contracts = self.contracts.iter().filter(|_| place.kind == Kind::Period);
        contracts
            .filter_map(|it| {
                let period = (0..it.made).find(|period| it.billed(*period) == place.span)?;
                it.commitment(period, self.plans)
            })
            .next()
    }

    /// A line as it is called where bills are compared.
    fn label(&self, line: &str) -> String {
        let (own, suffix) = line.split_once('@').unwrap_or((line, ""));
        let own = match own
            .strip_prefix("fee/")
            .and_then(|it| it.rsplit('/').next())
        {
            Some(plan) => format!("fee {}", self.plan_name(plan.parse().unwrap())),
            None => own.to_owned(),
        };
        match suffix {
            "" => own,
            day if !day.contains("void") => format!("{own}@{day}"),
            void => match void.split_once("@void") {
                Some((day, _)) => format!("{own}@{day}@void"),
                None => format!("{own}@void"),
            },
        }
    }

    fn plan_name(&self, plan: usize) -> &str {
        self.plans[plan].document["name"].as_str().unwrap()
    }

    fn bills(&self, script: &Script) -> Vec<String> {
        let payer = &script.payers[self.number];
        let issued = self
            .documents
            .iter()
            .filter_map(|it| Some((it, it.issued.as_ref()?)));
        issued
            .map(|(document, issued)| {
                let kind = match document.place.kind {
                    Kind::Period => "period",
                    Kind::First => "one_off",
                    Kind::Call(_) => "call",
                };
                let (start, end) = document.place.span;
                let void = if document.is_void { " void" } else { "" };
                let mut bill = format!(
                    "{} {}: {kind} {start} {end}{void}, {}, {} + {} = {}",
                    self.firm.name,
                    payer.phone,
                    issued.at,
                    issued.subtotal,
                    issued.tax,
                    issued.total
                );
                for line in &issued.lines {
                    write!(bill, "; {line}").unwrap();
                }
                bill
            })
            .collect()
    }
}

/// Takes what is carried beyond the cap, of what expires first.
fn take_beyond(grants: &mut [NaiveGrant], key: &str, now: Timestamp, cap: &Ratio) {
    let is_carried =
        |it: &&mut NaiveGrant| it.allowance == key && it.starts < now && now < it.expires;
    let mut carried: Vec<_> = grants.iter_mut().filter(is_carried).collect();
    carried.sort_by_key(|it| (it.expires, it.starts));
    let sum = |sum: Ratio, it: &&mut NaiveGrant| sum.plus(&it.left);
    let mut excess = carried.iter().fold(Ratio::whole(0), sum).minus(cap);
    for grant in carried {
        let part = if grant.left < excess {
            grant.left.clone()
        } else {
            excess.clone()
        };
        if part <= Ratio::whole(0) {
            continue;
        }
        grant.left = grant.left.minus(&part);
        excess = excess.minus(&part);
    }
}
