//! What is used, rated from the beginning.

use std::collections::BTreeMap;
use std::ops::Bound;

use jiff::Timestamp;

use super::contract::{Granted, day_of, month_of};
use super::documents::{Kind, Place, Sum};
use super::{Charged, Key, Payer, Terms};
use crate::naive::{self, Account, NaiveGrant, NaiveUsage};
use crate::ratio::Ratio;

/// How things stand when a usage has been rated: what comes before it is not rated again.
#[derive(Clone)]
pub(super) struct Reached {
    pub(super) key: Key,
    account: Account,
    /// Tier totals by the period that they count in.
    counted: BTreeMap<Timestamp, Vec<(String, Ratio)>>,
    /// How many cycles have begun with a cap on what is carried.
    caps: usize,
}

impl Payer<'_> {
    /// Rates everything from the beginning, and charges what differs.
    pub(super) fn rate(&mut self, now: Timestamp) {
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

    pub(super) fn place(
        &self,
        (_, sid): &Key,
        terms: &Terms,
        parts: &BTreeMap<String, Sum>,
    ) -> Place {
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
    pub(super) fn terms(&self, at: Timestamp) -> Option<Terms> {
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

    /// What has not been rated yet, with what stands behind something new.
    pub(super) fn rated(&mut self) -> Vec<(Key, Terms, BTreeMap<String, Sum>)> {
        let granted = self.contracts.iter().flat_map(|it| it.grants(self.plans));
        let granted: Vec<Granted> = granted.collect();
        let mut caps: Vec<(Timestamp, String, Ratio)> = granted
            .iter()
            .filter_map(|it| {
                let grant = &it.grant;
                Some((grant.starts, grant.allowance.clone(), it.cap.clone()?))
            })
            .collect();
        caps.sort_by_key(|(at, ..)| *at);
        let begin = || Reached {
            key: (Timestamp::MIN, String::new()),
            account: Account {
                grants: granted.into_iter().map(|it| it.grant).collect(),
                counted: Vec::new(),
            },
            counted: BTreeMap::new(),
            caps: 0,
        };
        let mut reached = self.reached.last().cloned().unwrap_or_else(begin);
        let mut passed = Vec::new();
        let mut rated = Vec::new();
        let after = (Bound::Excluded(reached.key.clone()), Bound::Unbounded);
        for (key, used) in self.used.range(after) {
            while let Some((at, allowance, cap)) = caps.get(reached.caps).filter(|it| it.0 <= key.0)
            {
                take_beyond(&mut reached.account.grants, allowance, *at, cap);
                reached.caps += 1;
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
            let counted = reached.counted.remove(&terms.period.0);
            reached.account.counted = counted.unwrap_or_default();
            let plan = &self.plans[terms.plan].document;
            let parts =
                naive::parts(plan, &serde_json::Value::Null, &usage, &mut reached.account).unwrap();
            let counted = std::mem::take(&mut reached.account.counted);
            reached.counted.insert(terms.period.0, counted);
            reached.key = key.clone();
            passed.push(reached.clone());
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
        self.reached.extend(passed);
        rated
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
