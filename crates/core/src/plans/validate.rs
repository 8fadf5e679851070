//! What a plan must be to make sense. Every complaint names its field.

use std::collections::BTreeSet;
use std::fmt;

use super::document::{Allowance, Document, DurationStep, Kind, Rate, Tier, UsagePrice};
use super::key::Key;
use crate::metering::{BuiltInMeter, MeterCode};
use crate::money::{Money, Price, Quantity};
use crate::pricing::{Increment, WeekCalendar};

/// A field that makes no sense, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// Path such as `prices[0].rate.graduated.tiers[1].upTo`.
    pub field: String,
    /// What is wrong, without the field.
    pub message: String,
}

/// A plan that is refused, with every field that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidPlan(pub Vec<FieldError>);

impl fmt::Display for InvalidPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            if error.field.is_empty() {
                write!(f, "{separator}{}", error.message)?;
            } else {
                write!(f, "{separator}`{}`: {}", error.field, error.message)?;
            }
        }
        Ok(())
    }
}

impl Document {
    /// Checks everything that can be checked without knowing the organization's decks and calendar.
    pub fn validate(&self) -> Result<(), InvalidPlan> {
        let mut errors = Errors::default();
        self.check_terms(&mut errors);
        let bands = self
            .calendar
            .as_ref()
            .map(|calendar| check_calendar(calendar, &mut errors));
        let mut keys = BTreeSet::new();
        for (index, price) in self.prices.iter().enumerate() {
            let path = format!("prices[{index}]");
            errors.refuse_colon(format!("{path}.key"), &price.key);
            if !keys.insert(&price.key) {
                errors.add(
                    format!("{path}.key"),
                    format!("`{}` is used twice", price.key),
                );
            }
            let twin = |other: &UsagePrice| {
                other.meter == price.meter && other.direction == price.direction
            };
            if self.prices.iter().take(index).any(twin) {
                errors.add(
                    format!("{path}.meter"),
                    format!("`{}` already has a price", price.meter),
                );
            }
            check_price(price, bands.as_ref(), &path, &mut errors);
        }
        let mut keys = BTreeSet::new();
        for (index, allowance) in self.allowances.iter().enumerate() {
            let path = format!("allowances[{index}]");
            errors.refuse_colon(format!("{path}.key"), &allowance.key);
            if !keys.insert(&allowance.key) {
                errors.add(
                    format!("{path}.key"),
                    format!("`{}` is used twice", allowance.key),
                );
            }
            check_allowance(allowance, &self.prices, &path, &mut errors);
        }
        errors.finish()
    }

    fn check_terms(&self, errors: &mut Errors) {
        errors.refuse_negative("baseFee", Some(self.base_fee));
        errors.refuse_negative("minimumCommitment", self.minimum_commitment);
        // It stands on a document, so it has to be payable.
        let payable = |minimum| Money::from_price(minimum, self.currency);
        if let Some(Err(error)) = self.minimum_commitment.map(payable) {
            errors.add("minimumCommitment", error.to_string());
        }
        let cap = self.spend_cap.map(|cap| cap.amount);
        errors.refuse_negative("spendCap.amount", cap);
        if let Some(Err(error)) = cap.map(payable) {
            errors.add("spendCap.amount", error.to_string());
        }
        if !(1..=120).contains(&self.interval_months) {
            errors.add("intervalMonths", "must be 1 to 120");
        }
        if self.trial_days > 3660 {
            errors.add("trialDays", "must be at most 3660");
        }
        if self.kind == Kind::PayPerCall {
            let nothing = "must be absent when the kind is pay_per_call";
            if self.base_fee != Price::ZERO {
                errors.add("baseFee", nothing);
            }
            if !self.allowances.is_empty() {
                errors.add("allowances", nothing);
            }
            if self.minimum_commitment.is_some() {
                errors.add("minimumCommitment", nothing);
            }
            if self.trial_days != 0 {
                errors.add("trialDays", nothing);
            }
        }
    }
}

/// Complaints so far.
#[derive(Default)]
pub(crate) struct Errors(Vec<FieldError>);

impl Errors {
    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
    }

    /// A colon separates price and band where keys are stored.
    fn refuse_colon(&mut self, field: impl Into<String>, key: &Key) {
        if key.as_str().contains(':') {
            self.add(field, format!("`{key}` must not contain a colon"));
        }
    }

    pub(super) fn refuse_negative(&mut self, field: impl Into<String>, price: Option<Price>) {
        if price.is_some_and(Price::is_negative) {
            self.add(field, "must not be negative");
        }
    }

    fn require_positive(&mut self, field: impl Into<String>, quantity: Quantity) {
        if quantity.is_zero() || quantity.is_negative() {
            self.add(field, "must be more than zero");
        }
    }

    pub(crate) fn finish(self) -> Result<(), InvalidPlan> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(InvalidPlan(self.0))
        }
    }
}

impl WeekCalendar {
    /// What makes no sense in a calendar that is not part of a plan.
    pub(crate) fn problems(&self) -> Vec<FieldError> {
        let mut errors = Errors::default();
        check_calendar(self, &mut errors);
        errors.0
    }
}

/// Returns the bands that the calendar knows.
fn check_calendar<'a>(calendar: &'a WeekCalendar, errors: &mut Errors) -> BTreeSet<&'a Key> {
    for (index, rule) in calendar.rules.iter().enumerate() {
        let path = format!("calendar.rules[{index}]");
        errors.refuse_colon(format!("{path}.band"), &rule.band);
        if rule.days.is_empty() {
            errors.add(format!("{path}.days"), "must name at least one day");
        }
        if rule.from >= rule.to {
            errors.add(
                format!("{path}.to"),
                "must be after `from`; a stretch over midnight is two rules",
            );
        }
        let overlapping = calendar.rules.iter().take(index).position(|other| {
            let same_day = other.days.iter().any(|day| rule.days.contains(day));
            same_day && other.from < rule.to && rule.from < other.to
        });
        if let Some(other) = overlapping {
            errors.add(path, format!("overlaps calendar.rules[{other}]"));
        }
    }
    errors.refuse_colon("calendar.otherwise", &calendar.otherwise);
    if let Some(band) = &calendar.holiday_band {
        errors.refuse_colon("calendar.holidayBand", band);
    }
    let named = calendar.rules.iter().map(|rule| &rule.band);
    named
        .chain([&calendar.otherwise])
        .chain(calendar.holiday_band.as_ref())
        .collect()
}

fn check_price(
    price: &UsagePrice,
    bands: Option<&BTreeSet<&Key>>,
    path: &str,
    errors: &mut Errors,
) {
    errors.refuse_negative(format!("{path}.connectionFee"), price.connection_fee);
    errors.refuse_negative(format!("{path}.minimumCharge"), price.minimum_charge);
    errors.refuse_negative(format!("{path}.maximumCharge"), price.maximum_charge);
    if let (Some(minimum), Some(maximum)) = (price.minimum_charge, price.maximum_charge)
        && minimum > maximum
    {
        errors.add(
            format!("{path}.maximumCharge"),
            "must not be below `minimumCharge`",
        );
    }
    check_rate(&price.rate, &format!("{path}.rate"), errors);
    check_time(price, path, errors);
    for (index, band) in price.bands.iter().enumerate() {
        let path = format!("{path}.bands[{index}]");
        errors.refuse_colon(format!("{path}.band"), &band.band);
        check_rate(&band.rate, &format!("{path}.rate"), errors);
        if price
            .bands
            .iter()
            .take(index)
            .any(|other| other.band == band.band)
        {
            errors.add(
                format!("{path}.band"),
                format!("`{}` is used twice", band.band),
            );
        }
        if bands.is_some_and(|known| !known.contains(&band.band)) {
            errors.add(
                format!("{path}.band"),
                format!("the calendar has no band `{}`", band.band),
            );
        }
    }
}

/// Seconds mean nothing where something else is counted. What an organization's own meters count is not known here.
fn check_time(price: &UsagePrice, path: &str, errors: &mut Errors) {
    let second = BuiltInMeter::CallDurationSeconds.base_unit();
    let Some(unit) = unit(&price.meter).filter(|unit| *unit != second) else {
        return;
    };
    let message = format!("is for time, but `{}` counts by the {unit}", price.meter);
    if price.increment != Increment::SINGLE {
        errors.add(format!("{path}.increment"), message.as_str());
    }
    if price.free_seconds != 0 {
        errors.add(format!("{path}.freeSeconds"), message.as_str());
    }
    let by_duration = |rate: &Rate| matches!(rate, Rate::ByDuration { .. });
    if by_duration(&price.rate) {
        errors.add(format!("{path}.rate.by_duration"), message.as_str());
    }
    for (index, band) in price.bands.iter().enumerate() {
        if by_duration(&band.rate) {
            let field = format!("{path}.bands[{index}].rate.by_duration");
            errors.add(field, message.as_str());
        }
    }
}

fn unit(meter: &MeterCode) -> Option<&'static str> {
    meter.built_in().map(BuiltInMeter::base_unit)
}

fn check_rate(rate: &Rate, path: &str, errors: &mut Errors) {
    match rate {
        Rate::PerUnit { price, per } => {
            errors.refuse_negative(format!("{path}.per_unit.price"), Some(*price));
            errors.require_positive(format!("{path}.per_unit.per"), *per);
        }
        Rate::ByDuration { per, steps } => {
            errors.require_positive(format!("{path}.by_duration.per"), *per);
            check_steps(steps, &format!("{path}.by_duration.steps"), errors);
        }
        Rate::Graduated { per, tiers } => {
            errors.require_positive(format!("{path}.graduated.per"), *per);
            check_tiers(tiers, &format!("{path}.graduated.tiers"), errors);
        }
        Rate::Volume { per, tiers } => {
            errors.require_positive(format!("{path}.volume.per"), *per);
            check_tiers(tiers, &format!("{path}.volume.tiers"), errors);
        }
        Rate::Package { price, size } => {
            errors.refuse_negative(format!("{path}.package.price"), Some(*price));
            errors.require_positive(format!("{path}.package.size"), *size);
        }
        Rate::Flat { price } => errors.refuse_negative(format!("{path}.flat.price"), Some(*price)),
        Rate::CostPlus { percent, fixed } => {
            if percent.is_negative() {
                errors.add(format!("{path}.cost_plus.percent"), "must not be negative");
            }
            errors.refuse_negative(format!("{path}.cost_plus.fixed"), Some(*fixed));
        }
        Rate::Deck { deck, per } => {
            errors.refuse_colon(format!("{path}.deck.deck"), deck);
            errors.require_positive(format!("{path}.deck.per"), *per);
        }
    }
}

fn check_steps(steps: &[DurationStep], path: &str, errors: &mut Errors) {
    if steps.first().is_none_or(|first| first.from_second != 0) {
        errors.add(path, "must start with a step from second 0");
    }
    for (index, step) in steps.iter().enumerate() {
        errors.refuse_negative(format!("{path}[{index}].price"), Some(step.price));
        let previous = index
            .checked_sub(1)
            .and_then(|previous| steps.get(previous));
        if previous.is_some_and(|previous| previous.from_second >= step.from_second) {
            errors.add(
                format!("{path}[{index}].fromSecond"),
                "must be above the step before",
            );
        }
    }
}

fn check_tiers(tiers: &[Tier], path: &str, errors: &mut Errors) {
    if tiers.is_empty() {
        errors.add(path, "must have at least one tier");
    }
    let last = tiers.len().saturating_sub(1);
    let mut previous = Quantity::ZERO;
    for (index, tier) in tiers.iter().enumerate() {
        errors.refuse_negative(format!("{path}[{index}].price"), Some(tier.price));
        errors.refuse_negative(format!("{path}[{index}].flatFee"), tier.flat_fee);
        let field = format!("{path}[{index}].upTo");
        match tier.up_to {
            Some(_) if index == last => {
                errors.add(field, "must be absent on the last tier, which has no end");
            }
            None if index != last => errors.add(field, "may be absent only on the last tier"),
            Some(up_to) if up_to <= previous => {
                errors.add(
                    field,
                    format!("must be above {previous}, where the tier before ends"),
                );
            }
            Some(up_to) => previous = up_to,
            None => {}
        }
    }
}

fn check_allowance(allowance: &Allowance, prices: &[UsagePrice], path: &str, errors: &mut Errors) {
    errors.require_positive(format!("{path}.quantity"), allowance.quantity);
    if allowance.meters.is_empty() {
        errors.add(format!("{path}.meters"), "must name at least one meter");
    }
    for (index, meter) in allowance.meters.iter().enumerate() {
        if !prices.iter().any(|price| price.meter == *meter) {
            let message =
                format!("`{meter}` has no price, so nothing would be charged beyond the allowance");
            errors.add(format!("{path}.meters[{index}]"), message);
        }
        let before = allowance.meters.iter().take(index);
        if before.clone().any(|other| other == meter) {
            errors.add(
                format!("{path}.meters[{index}]"),
                format!("`{meter}` is named twice"),
            );
        }
        let differs =
            |other: &&MeterCode| unit(other).zip(unit(meter)).is_some_and(|(a, b)| a != b);
        if let Some(other) = before.clone().find(differs) {
            let message = format!("`{meter}` is not counted in the same unit as `{other}`");
            errors.add(format!("{path}.meters[{index}]"), message);
        }
    }
    if let Some(rollover) = allowance.rollover {
        if !(1..=120).contains(&rollover.cycles) {
            errors.add(format!("{path}.rollover.cycles"), "must be 1 to 120");
        }
        if rollover.cap.is_some_and(Quantity::is_negative) {
            errors.add(format!("{path}.rollover.cap"), "must not be negative");
        }
    }
}
