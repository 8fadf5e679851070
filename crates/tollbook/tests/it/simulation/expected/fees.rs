//! Periods and their base fees.

use jiff::Timestamp;

use super::contract::{Fee, Span};
use super::documents::{Document, Kind, Place};
use super::{FeeCharged, Payer};

impl Payer<'_> {
    /// Makes the next periods, with their fees.
    pub(super) fn extend(&mut self, now: Timestamp) {
        for number in 0..self.contracts.len() {
            for period in self.contracts[number].due(now) {
                let contract = &mut self.contracts[number];
                contract.made = period + 1;
                // With new grants.
                self.reached.clear();
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

    pub(super) fn charge_fee(&mut self, contract: usize, period: i32, fee: Fee, document: usize) {
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
    pub(super) fn correct_fees(&mut self, number: usize, since: Timestamp, now: Timestamp) {
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
}
