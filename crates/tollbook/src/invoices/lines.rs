//! From charges to printed lines: each line's exact amount is the sum of its charges, rounded once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use tollbook_core::ids::InvoiceId;
use tollbook_core::invoices::{LineAmount, TaxedLine, Totals, totals};
use tollbook_core::ledger::{self, Entry, FEE};
use tollbook_core::money::{Fraction, Money, Overflow, Quantity};
use tollbook_core::payer::Payer;
use tollbook_core::time::Zone;

use super::commitment::Commitment;
use super::due::Draft;
use crate::error::{Error, Result};
use crate::rating::ChargeRow;

/// What the line says that fills usage up.
const COMMITMENT: &str = "Up to the minimum commitment";

/// The charges of a line group that share a denominator and a price, added up.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    pub(super) invoice: InvoiceId,
    pub(super) line_group: String,
    pub(super) kind: String,
    pub(super) band: Option<String>,
    pub(super) meter: Option<String>,
    pub(super) meter_name: Option<String>,
    pub(super) plan_name: Option<String>,
    /// Of an item written by hand.
    pub(super) description: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) unit_price: Option<Decimal>,
    pub(super) divisor: Option<Decimal>,
    pub(super) quantity: Quantity,
    pub(super) amount: Fraction,
    pub(super) charges: i64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    /// Whether it was on a void invoice before.
    pub(super) is_again: bool,
    /// The billing period that a fee is for.
    pub(super) fee_period: Option<(Timestamp, Timestamp)>,
}

/// A printed line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) invoice: InvoiceId,
    pub(super) position: i32,
    pub(super) group: String,
    pub(super) description: String,
    pub(super) quantity: Quantity,
    pub(super) unit: String,
    pub(super) unit_price: Option<Decimal>,
    pub(super) divisor: Option<Decimal>,
    pub(super) exact: Fraction,
    pub(super) amount: Money,
    /// The meter whose revenue it is.
    pub(super) meter: String,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) charges: i64,
}

/// A document with everything that will be printed on it.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) draft: &'a Draft,
    pub(super) lines: Vec<Line>,
    pub(super) totals: Totals,
    /// What fills its usage up to what the payer committed to; not charged yet.
    pub(super) filled_up: Option<ChargeRow>,
}

impl<'a> Document<'a> {
    /// Adds up a draft. Fees come first, then usage, then what is late, then what is missing to the minimum commitment.
    pub(super) fn new(
        draft: &'a Draft,
        groups: Vec<Gathered>,
        commitment: Option<&Commitment>,
    ) -> Result<Self> {
        let wrong = |e: &dyn std::fmt::Display| {
            Error::Internal(format!("invoice {} cannot be added up: {e}", draft.id))
        };
        let mut by_group: BTreeMap<(bool, bool, String), Vec<Gathered>> = BTreeMap::new();
        for group in groups {
            let is_late = group.line_group.contains('@');
            let place = (is_late, group.kind != "fee", group.line_group.clone());
            by_group.entry(place).or_default().push(group);
        }
        let (mut lines, mut usage) = (Vec::new(), Money::zero(draft.currency));
        for ((_, is_usage, line_group), parts) in by_group {
            let position = lines.len().saturating_add(1);
            let line = line(draft, line_group, &parts, position)?;
            // What a void invoice said was asked for then.
            let counts = is_usage && parts.iter().all(|part| !part.is_again);
            if let Some(line) = line.as_ref().filter(|_| counts) {
                usage = usage.checked_add(line.amount).map_err(|e| wrong(&e))?;
            }
            lines.extend(line);
        }
        let mut filled_up = None;
        if let Some(commitment) = commitment
            && let Some(gap) = commitment.gap(usage)?
        {
            filled_up = Some(commitment.row(usage, gap)?);
            let position = lines.len().saturating_add(1);
            lines.push(filling(draft, commitment, gap, position));
        }
        let taxed: Vec<TaxedLine> = lines
            .iter()
            .map(|line| TaxedLine {
                amount: line.amount,
                tax: draft.tax.clone(),
            })
            .collect();
        let totals = totals(&taxed, draft.currency, draft.rounding).map_err(|e| wrong(&e))?;
        Ok(Self {
            draft,
            lines,
            totals,
            filled_up,
        })
    }

    /// What its charges come to, before anything is rounded.
    pub(super) fn exact(&self) -> Result<Fraction, Overflow> {
        Fraction::sum(self.lines.iter().map(|line| line.exact))
    }

    /// Who pays it.
    pub(super) fn payer(&self) -> Payer {
        self.draft
            .customer
            .map_or(Payer::Organization, Payer::Customer)
    }

    /// What it does to the ledger: revenue by meter, without the tax that prices include. A document below zero
    /// becomes the payer's credit.
    pub(super) fn entry(&self) -> Result<Entry> {
        let wrong = |e: &dyn std::fmt::Display| {
            Error::Internal(format!("invoice {} cannot be posted: {e}", self.draft.id))
        };
        let (mut net, tax) = (self.net().map_err(|e| wrong(&e))?, self.totals.tax);
        if self.totals.total.minor() >= 0 {
            return ledger::invoice(self.payer(), &net, tax).map_err(|e| wrong(&e));
        }
        for (_, amount) in &mut net {
            *amount = amount.checked_neg().map_err(|e| wrong(&e))?;
        }
        let tax = tax.checked_neg().map_err(|e| wrong(&e))?;
        let nothing_open = Money::zero(self.draft.currency);
        ledger::credit_note(self.payer(), &net, tax, nothing_open).map_err(|e| wrong(&e))
    }

    /// The lines' amounts by meter. Inclusive tax is no revenue: it is taken out of the largest line, so that the sum
    /// is the document's net amount.
    fn net(&self) -> Result<Vec<(&str, Money)>, tollbook_core::money::MoneyError> {
        let mut net: Vec<(&str, Money)> = self
            .lines
            .iter()
            .map(|line| (line.meter.as_str(), line.amount))
            .collect();
        let mut printed = Money::zero(self.draft.currency);
        for (_, amount) in &net {
            printed = printed.checked_add(*amount)?;
        }
        let inclusive = printed.checked_sub(self.totals.subtotal)?;
        if let Some(largest) = net
            .iter_mut()
            .max_by_key(|(_, amount)| amount.minor().unsigned_abs())
        {
            largest.1 = largest.1.checked_sub(inclusive)?;
        }
        Ok(net)
    }
}

/// One line; none where reversals have left nothing.
fn line(
    draft: &Draft,
    line_group: String,
    parts: &[Gathered],
    position: usize,
) -> Result<Option<Line>> {
    let wrong = |e: &dyn std::fmt::Display| {
        Error::Internal(format!(
            "a line of invoice {} cannot be added up: {e}",
            draft.id
        ))
    };
    let Some(first) = parts.first() else {
        return Ok(None);
    };
    let amounts = parts.iter().map(|part| part.amount);
    let amount = LineAmount::sum(amounts, draft.currency, draft.rounding).map_err(|e| wrong(&e))?;
    let mut quantity = Quantity::ZERO;
    for part in parts {
        quantity = quantity.checked_add(part.quantity).map_err(|e| wrong(&e))?;
    }
    if quantity.is_zero() && amount.exact.is_zero() {
        return Ok(None);
    }
    let (starts_at, ends_at) = span(draft, &line_group, parts)?;
    let is_one_price = parts
        .iter()
        .all(|part| (part.unit_price, part.divisor) == (first.unit_price, first.divisor));
    Ok(Some(Line {
        invoice: draft.id,
        position: i32::try_from(position).unwrap_or(i32::MAX),
        description: description(first),
        quantity,
        unit: unit(first).to_owned(),
        unit_price: first.unit_price.filter(|_| is_one_price),
        divisor: first.divisor.filter(|_| is_one_price),
        exact: amount.exact,
        amount: amount.amount,
        meter: first.meter.clone().unwrap_or_else(|| FEE.to_owned()),
        starts_at,
        ends_at,
        charges: parts.iter().map(|part| part.charges).sum(),
        group: line_group,
    }))
}

/// The line that fills the usage of the document's period up.
fn filling(draft: &Draft, commitment: &Commitment, gap: Money, position: usize) -> Line {
    Line {
        invoice: draft.id,
        position: i32::try_from(position).unwrap_or(i32::MAX),
        group: commitment.line_group(),
        description: COMMITMENT.to_owned(),
        quantity: Quantity::from_units(1),
        unit: "item".to_owned(),
        unit_price: None,
        divisor: None,
        exact: gap.to_fraction(),
        amount: gap,
        meter: FEE.to_owned(),
        starts_at: draft.period_start,
        ends_at: draft.period_end,
        charges: 1,
    }
}

/// What the quantity counts. Of a fee it is days or seconds of the period, whichever the plan prorates by.
fn unit(group: &Gathered) -> &str {
    match (&group.unit, group.kind.as_str()) {
        (Some(unit), _) => unit,
        (None, "fee") => "share",
        (None, _) => "item",
    }
}

/// Usage that came late keeps its own day, a fee what is paid of its own period; everything else is that of the document.
fn span(draft: &Draft, line_group: &str, parts: &[Gathered]) -> Result<(Timestamp, Timestamp)> {
    let whole = (draft.period_start, draft.period_end);
    if let Some((start, end)) = parts.iter().find_map(|part| part.fee_period) {
        // Behind a trial, a fee begins later than its period.
        let due_at = parts.iter().map(|part| part.first_at).min();
        return Ok((due_at.unwrap_or(start).max(start), end));
    }
    if !line_group.contains('@') {
        return Ok(whole);
    }
    let stored = |e: tollbook_core::time::TimeError| Error::Internal(format!("a stored zone: {e}"));
    let zone: Zone = draft.zone.parse().map_err(stored)?;
    let first = parts.iter().map(|part| part.first_at).min();
    let day = zone
        .day(first.unwrap_or(draft.period_start))
        .map_err(stored)?;
    let last = parts.iter().map(|part| part.last_at).max();
    let second = SignedDuration::from_secs(1);
    let end = last.and_then(|at| at.checked_add(second).ok());
    Ok((day.start(), day.end().max(end.unwrap_or(day.end()))))
}

fn description(group: &Gathered) -> String {
    let what = match (&group.meter_name, group.kind.as_str()) {
        (_, "manual") => return group.description.clone().unwrap_or_default(),
        (_, "commitment") => return COMMITMENT.to_owned(),
        (_, "fee") => return group.plan_name.clone().unwrap_or_else(|| "Base fee".into()),
        (Some(name), _) => name.clone(),
        (None, _) => "Usage".into(),
    };
    let band = group
        .band
        .as_ref()
        .map(|band| format!(", {band}"))
        .unwrap_or_default();
    match group.kind.as_str() {
        "allowance" => format!("{what}{band}, included"),
        "overage" => format!("{what}{band}, beyond what is included"),
        "connection" => format!("{what}{band}, connection fee"),
        "minimum" => format!("{what}{band}, up to the minimum charge"),
        "maximum" => format!("{what}{band}, down to the maximum charge"),
        _ => format!("{what}{band}"),
    }
}
