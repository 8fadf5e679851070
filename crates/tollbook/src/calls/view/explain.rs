//! A charge in steps that a customer can follow: what was used, how it was rounded, what the included time covered,
//! what the rest costs.

use tollbook_core::money::{Currency, Fraction, Price, Quantity};
use tollbook_core::pricing::Increment;
use tollbook_core::rating::{FixedFee, Item, NotChargedReason, PartKind, TimeTrace, Trace};

use super::call::TraceStep;
use crate::pages::number::{self, Amount};
use crate::pages::text::Text;
use crate::pages::time::Viewer;

/// One part of a charge, as it was rated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) kind: PartKind,
    /// In the meter's base unit: seconds if the trace tells of time.
    pub(crate) quantity: Quantity,
    /// `None` while the provider's price is pending.
    pub(crate) amount: Option<Fraction>,
    pub(crate) currency: Currency,
    pub(crate) trace: &'a Trace,
}

/// The steps of a charge, from its parts in order.
pub(crate) fn explain(viewer: &Viewer, parts: &[Part<'_>]) -> Vec<TraceStep> {
    let text = viewer.text;
    let time = parts.iter().find_map(|part| part.trace.time);
    let mut steps = time.map(|time| time_steps(text, time)).unwrap_or_default();
    steps.extend(parts.iter().map(|part| TraceStep {
        label: label(text, part),
        detail: Some(details(viewer, part).join("; ")).filter(|it| !it.is_empty()),
        value: value(text, part),
    }));
    steps
}

/// From the seconds on the phone to the seconds that are billed.
fn time_steps(text: Text, time: TimeTrace) -> Vec<TraceStep> {
    let used = seconds(text, u64::from(time.used_seconds));
    let billed = duration(text, u64::from(time.billed_seconds));
    let mut steps = vec![TraceStep {
        label: text.say("trace-used").to_string(),
        detail: None,
        value: used.clone(),
    }];
    if time.free_seconds > 0 {
        steps.push(TraceStep {
            label: text.say("trace-free").to_string(),
            detail: None,
            value: format!("\u{2212} {}", seconds(text, u64::from(time.free_seconds))),
        });
    }
    let after = seconds(text, u64::from(time.billed_seconds));
    steps.push(TraceStep {
        label: rounding(text, time.increment),
        detail: (used != after).then(|| format!("{used} \u{2192} {after}")),
        value: billed,
    });
    steps
}

fn rounding(text: Text, increment: Increment) -> String {
    let (initial, step) = (increment.initial(), increment.step());
    if initial == step {
        return text.say("trace-rounded").number("step", step).to_string();
    }
    text.say("trace-rounded-after")
        .number("initial", initial)
        .number("step", step)
        .to_string()
}

fn label(text: Text, part: &Part<'_>) -> String {
    match (part.kind, part.trace.reason) {
        (PartKind::Allowance, _) => text.say("trace-allowance"),
        (PartKind::Usage, _) => text.say("trace-usage"),
        (PartKind::Overage, _) => text.say("trace-overage"),
        (PartKind::Connection, _) => text.say("trace-connection"),
        (PartKind::Minimum, _) => text.say("trace-minimum"),
        (PartKind::Maximum, _) => text.say("trace-maximum"),
        (PartKind::Fee, _) => text.say("trace-fee"),
        (PartKind::NotCharged, Some(NotChargedReason::WithinFreeSeconds)) => {
            text.say("trace-within-free")
        }
        (PartKind::NotCharged, Some(NotChargedReason::NoPrice)) => text.say("trace-no-price"),
        (PartKind::NotCharged, Some(NotChargedReason::Waived)) => text.say("trace-waived"),
        (PartKind::NotCharged, Some(NotChargedReason::NothingUsed) | None) => {
            text.say("trace-nothing-used")
        }
    }
    .to_string()
}

fn value(text: Text, part: &Part<'_>) -> String {
    match (part.kind, part.amount) {
        (PartKind::Allowance, _) => format!("\u{2212} {}", quantity(text, part, part.quantity)),
        (_, Some(amount)) => exact(text, amount, part.currency),
        (_, None) => text.say("price-pending").to_string(),
    }
}

/// What stands under the step: the calculation, and why this price applies.
fn details(viewer: &Viewer, part: &Part<'_>) -> Vec<String> {
    let text = viewer.text;
    let mut details = Vec::new();
    if let Some(left) = part.trace.grant_left_before {
        let left = quantity(text, part, left);
        details.push(text.say("trace-left-before").with("left", left).to_string());
    }
    if part.kind != PartKind::Allowance {
        details.extend(
            part.trace
                .items
                .iter()
                .map(|item| calculation(text, part, item)),
        );
    }
    if let Some(band) = &part.trace.band {
        let from = band.starts_at.to_zoned(band.zone.rules().clone());
        details.push(
            text.say("trace-band")
                .with("band", &band.band)
                .with("time", from.strftime("%H:%M:%S"))
                .with("zone", band.zone.name())
                .to_string(),
        );
    }
    if let Some(destination) = &part.trace.destination {
        details.push(
            text.say("trace-destination")
                .with("prefix", &destination.prefix)
                .to_string(),
        );
    }
    if let Some(tier) = part.trace.tier {
        details.push(
            text.say("trace-tier")
                .with("before", quantity(text, part, tier.before))
                .with("after", quantity(text, part, tier.after))
                .to_string(),
        );
    }
    details
}

fn calculation(text: Text, part: &Part<'_>, item: &Item) -> String {
    let money = |price: Price| money(text, price, part.currency);
    match item {
        Item::Units {
            quantity,
            price,
            per,
            ..
        } => product(text, part, *quantity, *price, *per),
        Item::UnitsBefore {
            quantity,
            price,
            per,
            ..
        } => {
            format!("\u{2212} {}", product(text, part, *quantity, *price, *per))
        }
        Item::Fixed { fee, price } => {
            let fee = match fee {
                FixedFee::Connection => text.say("fee-connection"),
                FixedFee::Usage => text.say("fee-usage"),
                FixedFee::MarkUp => text.say("fee-mark-up"),
                FixedFee::Tier => text.say("fee-tier"),
                FixedFee::Minimum => text.say("fee-minimum"),
                FixedFee::Maximum => text.say("fee-maximum"),
            };
            format!("{fee} {}", money(*price))
        }
        Item::FixedBefore { price } => format!("\u{2212} {}", money(*price)),
        Item::Cost { percent, .. } => text.say("trace-cost").with("percent", percent).to_string(),
        Item::ChargedBefore { amount } => {
            let amount = exact(text, *amount, part.currency);
            text.say("trace-charged-before")
                .with("amount", amount)
                .to_string()
        }
    }
}

/// `2 min × $1.20 per minute`.
fn product(text: Text, part: &Part<'_>, units: Quantity, price: Price, per: Quantity) -> String {
    let price = money(text, price, part.currency);
    let (plain, is_time) = (per.to_string(), part.trace.time.is_some());
    let rate = match (plain.as_str(), is_time) {
        ("60", true) => text.say("rate-per-minute").with("price", price),
        ("3600", true) => text.say("rate-per-hour").with("price", price),
        ("1", true) => text.say("rate-per-second").with("price", price),
        ("1", false) => text.say("rate-each").with("price", price),
        (_, true) => text
            .say("rate-per-seconds")
            .with("price", price)
            .with("per", &plain),
        (_, false) => text
            .say("rate-per-units")
            .with("price", price)
            .with("per", &plain),
    };
    format!("{} \u{d7} {rate}", quantity(text, part, units))
}

fn quantity(text: Text, part: &Part<'_>, quantity: Quantity) -> String {
    let whole = quantity
        .to_whole_units()
        .and_then(|it| u64::try_from(it).ok());
    match whole {
        Some(units) if part.trace.time.is_some() => duration(text, units),
        _ => number::decimal(text, &quantity.to_string(), 0),
    }
}

/// Whole minutes as such, and everything else in seconds, so that a calculation can be followed.
fn duration(text: Text, total: u64) -> String {
    if total > 0 && total.is_multiple_of(60) {
        let minutes = number::count(text, total / 60);
        text.say("unit-minutes").with("count", minutes).to_string()
    } else {
        seconds(text, total)
    }
}

fn seconds(text: Text, total: u64) -> String {
    let total = number::count(text, total);
    text.say("unit-seconds").with("count", total).to_string()
}

fn money(text: Text, price: Price, currency: Currency) -> String {
    Amount::price(text, &price.to_string(), currency)
        .text()
        .to_owned()
}

/// An amount that was not rounded: as a decimal if it is one, otherwise as the fraction that it is.
fn exact(text: Text, amount: Fraction, currency: Currency) -> String {
    let plain = amount.to_string();
    if plain.contains('/') {
        return format!("{plain} {currency}");
    }
    Amount::price(text, &plain, currency).text().to_owned()
}

#[cfg(test)]
mod tests {
    use tollbook_core::pricing::Increment;
    use tollbook_core::rating::TierTrace;

    use super::*;
    use crate::pages::samples::viewer;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn amount(text: &str) -> Fraction {
        price(text).to_fraction()
    }

    fn on_the_clock(used: u32, billed: u32, initial: u32, step: u32) -> Trace {
        let increment = Increment::new(initial, step).unwrap();
        let time = TimeTrace {
            used_seconds: used,
            free_seconds: 0,
            increment,
            billed_seconds: billed,
            from_second: 0,
        };
        Trace {
            time: Some(time),
            ..Trace::new()
        }
    }

    fn shown(parts: &[Part<'_>]) -> Vec<String> {
        let line = |it: TraceStep| {
            format!(
                "{} | {} | {}",
                it.label,
                it.detail.unwrap_or_default(),
                it.value
            )
        };
        explain(&viewer(), parts).into_iter().map(line).collect()
    }

    fn part(kind: PartKind, quantity: u32, amount: Option<Fraction>, trace: &Trace) -> Part<'_> {
        Part {
            kind,
            quantity: Quantity::from_units(quantity),
            amount,
            currency: Currency::USD,
            trace,
        }
    }

    #[test]
    fn a_call_that_crosses_the_end_of_its_hours_is_followed_from_second_to_cent() {
        let mut covered = on_the_clock(1_300, 1_320, 60, 60);
        covered.grant_left_before = Some(Quantity::from_units(1_200));
        let mut rest = on_the_clock(1_300, 1_320, 60, 60);
        rest.items = vec![Item::Units {
            quantity: Quantity::from_units(120),
            price: price("1.2"),
            per: Quantity::from_units(60),
            tier: None,
        }];
        let parts = [
            part(PartKind::Allowance, 1_200, Some(amount("0")), &covered),
            part(PartKind::Overage, 120, Some(amount("2.4")), &rest),
        ];
        assert_eq!(
            shown(&parts),
            [
                "Answered time |  | 1,300 s",
                "Rounded up in steps of 60 s | 1,300 s → 1,320 s | 22 min",
                "Covered by the included time | 20 min were left | − 20 min",
                "Past the included time | 2 min × $1.20 per minute | $2.40",
            ]
        );
    }

    #[test]
    fn an_unanswered_call_says_why_it_is_free() {
        let trace = Trace {
            reason: Some(NotChargedReason::NothingUsed),
            ..Trace::new()
        };
        assert_eq!(
            shown(&[part(PartKind::NotCharged, 0, Some(amount("0")), &trace)]),
            ["Not answered, so nothing is charged |  | $0.00"]
        );
    }

    #[test]
    fn other_increments_and_free_seconds_are_steps_too() {
        let mut trace = on_the_clock(50, 36, 30, 6);
        trace.time.as_mut().unwrap().free_seconds = 20;
        trace.items = vec![Item::Units {
            quantity: Quantity::from_units(36),
            price: price("0.0125"),
            per: Quantity::from_units(1),
            tier: None,
        }];
        assert_eq!(
            shown(&[part(PartKind::Usage, 36, Some(amount("0.45")), &trace)]),
            [
                "Answered time |  | 50 s",
                "Free at the start |  | − 20 s",
                "At least 30 s, then rounded up in steps of 6 s | 50 s → 36 s | 36 s",
                "Price | 36 s × $0.0125 per second | $0.45",
            ]
        );
    }

    #[test]
    fn messages_are_counted_and_thirds_stay_thirds() {
        let mut trace = Trace::new();
        trace.items = vec![Item::Units {
            quantity: Quantity::from_units(1),
            price: price("1"),
            per: Quantity::from_units(3),
            tier: Some(2),
        }];
        trace.tier = Some(TierTrace {
            before: Quantity::from_units(1_999),
            after: Quantity::from_units(2_000),
        });
        let third = Fraction::new(1, 3).unwrap();
        assert_eq!(
            shown(&[part(PartKind::Usage, 1, Some(third), &trace)]),
            ["Price | 1 × $1.00 for 3; the period’s total goes from 1,999 to 2,000 | 1/3 USD"]
        );
    }

    #[test]
    fn fees_name_themselves_and_a_missing_price_is_pending() {
        let mut connection = Trace::new();
        connection.items = vec![Item::Fixed {
            fee: FixedFee::Connection,
            price: price("0.05"),
        }];
        let mut cost = on_the_clock(60, 60, 60, 60);
        cost.items = vec![Item::Cost {
            quantity: Quantity::from_units(60),
            of: Quantity::from_units(60),
            percent: "20".parse().unwrap(),
        }];
        let parts = [
            part(PartKind::Usage, 60, None, &cost),
            part(PartKind::Connection, 0, Some(amount("0.05")), &connection),
        ];
        assert_eq!(
            shown(&parts)[2..],
            [
                "Price | the provider’s price plus 20 % | Pending",
                "Connection fee | connection $0.05 | $0.05",
            ]
        );
    }
}
