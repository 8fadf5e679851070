//! The documents of a payer: where a charge goes, and what is printed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::contract::Span;
use crate::ratio::Ratio;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// What a billing period or a month gathers.
    Period,
    /// The first fees of a subscription.
    First,
    /// That of a call.
    Call(String),
}

/// Where a charge belongs.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) contract: Option<usize>,
    pub(super) span: Span,
}

/// Quantity and exact amount of a line.
pub(super) type Sum = (Ratio, Ratio);

pub(super) struct Document {
    pub(super) place: Place,
    /// When it is finalized; not as long as it has nothing to print.
    pub(super) due: Option<Timestamp>,
    pub(super) lines: BTreeMap<String, Sum>,
    /// The subscriptions whose charges stand on it, or stood.
    pub(super) contracts: BTreeSet<usize>,
    /// Documents that were withdrawn, whose charges stand here again.
    pub(super) again: Vec<usize>,
    pub(super) issued: Option<Issued>,
    pub(super) is_paid: bool,
    pub(super) is_void: bool,
}

/// What was printed.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) at: Timestamp,
    pub(super) lines: Vec<String>,
    pub(super) subtotal: i64,
    pub(super) tax: i64,
    pub(super) total: i64,
}

impl Document {
    pub(super) fn new(place: Place, due: Timestamp) -> Self {
        Self {
            place,
            due: Some(due),
            lines: BTreeMap::new(),
            contracts: BTreeSet::new(),
            again: Vec::new(),
            issued: None,
            is_paid: false,
            is_void: false,
        }
    }

    pub(super) fn add(&mut self, line: &str, (quantity, amount): &Sum) {
        let zero = (Ratio::whole(0), Ratio::whole(0));
        let sum = self.lines.entry(line.to_owned()).or_insert(zero);
        *sum = (sum.0.plus(quantity), sum.1.plus(amount));
    }

    pub(super) fn take(&mut self, line: &str, (quantity, amount): &Sum) {
        let zero = Ratio::whole(0);
        self.add(line, &(zero.minus(quantity), zero.minus(amount)));
    }
}

/// How a firm rounds.
#[derive(Clone, Copy)]
pub(super) struct Coins {
    pub(super) digits: u32,
    pub(super) is_half_even: bool,
}

impl Coins {
    /// An amount in whole minor units, by the digits on paper.
    pub(super) fn round(self, amount: &Ratio) -> i64 {
        let zero = Ratio::whole(0);
        let is_negative = *amount < zero;
        let size = if is_negative {
            zero.minus(amount)
        } else {
            amount.clone()
        };
        let scaled = size.times(&Ratio::whole(10_i64.pow(self.digits)));
        let above = i64::try_from(scaled.ceil()).unwrap();
        let whole = if Ratio::whole(above) == scaled {
            above
        } else {
            above - 1
        };
        let rest = scaled.minus(&Ratio::whole(whole));
        let half = Ratio::decimal("0.5");
        let is_up = half < rest || (rest == half && (!self.is_half_even || whole % 2 == 1));
        let rounded = whole + i64::from(is_up);
        if is_negative { -rounded } else { rounded }
    }

    /// Tax of printed lines: without tax, the tax, and what is to be paid.
    pub(super) fn tax(self, printed: i64, tax: Option<(&str, bool)>) -> (i64, i64, i64) {
        let Some((percent, is_inclusive)) = tax else {
            return (printed, 0, printed);
        };
        let rate = Ratio::decimal(percent).over(&Ratio::whole(100));
        let gross = Ratio::whole(printed).over(&Ratio::whole(10_i64.pow(self.digits)));
        if is_inclusive {
            let net = gross.over(&Ratio::whole(1).plus(&rate));
            let tax = self.round(&net.times(&rate));
            (printed - tax, tax, printed)
        } else {
            let tax = self.round(&gross.times(&rate));
            (printed, tax, printed + tax)
        }
    }
}

/// A quantity as it is written.
pub(super) fn written(quantity: &Ratio) -> String {
    let millionths = i64::try_from(quantity.times(&Ratio::whole(1_000_000)).ceil()).unwrap();
    let (sign, size) = (if millionths < 0 { "-" } else { "" }, millionths.abs());
    let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
