//! What is done to subscriptions and documents, and whether it can be.

use jiff::Timestamp;

use super::contract::{Contract, State, day_of, midnight};
use super::documents::{Kind, Place};
use super::{Outcome, Payer};
use crate::simulation::script::Act;

impl Payer<'_> {
    /// The newest document, if something is to be paid of it, and nothing is credit.
    pub(super) fn newest(&self) -> Option<usize> {
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

    pub(super) fn on(&self, n: usize) -> Outcome {
        let issued = self.documents[n].issued.as_ref().unwrap();
        Outcome::On(issued.at, issued.total)
    }

    pub(super) fn pay(&mut self) -> Outcome {
        let Some(n) = self.newest() else {
            return Outcome::Refused;
        };
        self.documents[n].is_paid = true;
        self.on(n)
    }

    pub(super) fn void(&mut self, now: Timestamp) -> Outcome {
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

    pub(super) fn act(&mut self, act: &Act, now: Timestamp) -> Outcome {
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
}
