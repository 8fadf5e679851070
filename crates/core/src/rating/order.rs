//! Rating many usages: in canonical order where the order matters, and again when something earlier changed.

use std::collections::BTreeMap;

use super::charge::{GrantDraw, Rated};
use super::rate::{Error, rate};
use super::state::State;
use super::terms::{PriceTerms, Terms};
use super::usage::Usage;
use crate::money::{Fraction, Overflow, Quantity};
use crate::plans::{Allowance, GrantCycle, Rate};

/// Whether the order in which usages are rated can change what they cost together, or on which lines it stands.
///
/// It can where usages that share an allowance or a tier differ in price, or where something is due once per usage:
/// then it matters which of them the allowance covers. If it cannot, usages are rated as they arrive; if it can, late
/// usage makes what follows it be rated again.
pub fn order_matters(terms: &Terms) -> bool {
    terms
        .allowances
        .iter()
        .any(|allowance| allowance_depends_on_order(terms, allowance))
        || terms.prices.iter().any(limits_depend_on_order)
}

fn allowance_depends_on_order(terms: &Terms, allowance: &Allowance) -> bool {
    // Grants that outlive their cycle, or several for one meter, differ in when they can be used.
    let overlaps = |other: &Allowance| {
        other.key != allowance.key
            && other
                .meters
                .iter()
                .any(|meter| allowance.meters.contains(meter))
    };
    if allowance.rollover.is_some() || terms.allowances.iter().any(overlaps) {
        return true;
    }
    let sharing = terms
        .prices
        .iter()
        .filter(|price| allowance.meters.contains(&price.meter));
    let mut drawing = sharing.flat_map(|price| {
        let rates = price.rates_in_use().filter(|rate| rate.draws_on_allowance);
        rates.map(move |rate| (price, &rate.rate))
    });
    let Some((price, rate)) = drawing.next() else {
        return false;
    };
    // Two rates stand on two lines, and count tiers apart, so even where they are the same it matters which of them has
    // what the allowance does not cover.
    if drawing.next().is_some() {
        return true;
    }
    // A year's allowance over the tiers of its months: it matters in which month what is beyond it falls.
    let outlives_tiers = allowance.every == GrantCycle::Year && counts_over_period(rate);
    outlives_tiers
        || !is_proportional(rate)
        || price.connection_fee.is_some()
        || price.minimum_charge.is_some()
        || price.maximum_charge.is_some()
}

/// Whether what a usage costs depends only on how much of all usage is charged.
fn is_proportional(rate: &Rate) -> bool {
    match rate {
        Rate::PerUnit { .. }
        | Rate::Graduated { .. }
        | Rate::Volume { .. }
        | Rate::Package { .. } => true,
        Rate::ByDuration { .. } | Rate::Flat { .. } | Rate::CostPlus { .. } | Rate::Deck { .. } => {
            false
        }
    }
}

pub(super) fn counts_over_period(rate: &Rate) -> bool {
    match rate {
        Rate::Graduated { .. } | Rate::Volume { .. } | Rate::Package { .. } => true,
        Rate::PerUnit { .. }
        | Rate::ByDuration { .. }
        | Rate::Flat { .. }
        | Rate::CostPlus { .. }
        | Rate::Deck { .. } => false,
    }
}

/// A minimum or maximum per usage over slices whose price depends on what came before.
fn limits_depend_on_order(price: &PriceTerms) -> bool {
    let limited = price.minimum_charge.is_some() || price.maximum_charge.is_some();
    limited
        && price
            .rates_in_use()
            .any(|rate| counts_over_period(&rate.rate))
}

/// Puts what holds a usage in canonical order: by when the usage began, then by its id.
pub fn sort_canonically<T>(items: &mut [T], usage: impl Fn(&T) -> &Usage) {
    items.sort_unstable_by_key(|item| {
        let usage = usage(item);
        (usage.occurred_at, usage.id)
    });
}

/// Rates usages one after another, each on the state that those before it left behind; `state` ends as the last one
/// leaves it. All must lie in the billing period of the state.
pub fn rate_in_order<'a>(
    usages: impl IntoIterator<Item = &'a Usage>,
    terms: &Terms,
    state: &mut State,
) -> Result<Vec<Rated>, Error> {
    let mut results = Vec::new();
    for usage in usages {
        let rated = rate(usage, terms, state)?;
        state.apply(&rated)?;
        results.push(rated);
    }
    Ok(results)
}

impl Rated {
    /// Whether two ratings of a usage charge the same on the same lines and draw the same, so that nothing needs to be
    /// reversed. How they came about may differ, such as what a tier had counted before.
    pub fn charges_the_same(&self, other: &Self) -> Result<bool, Overflow> {
        Ok(self.is_pending() == other.is_pending()
            && self.lines()? == other.lines()?
            && sorted(&self.grant_draws) == sorted(&other.grant_draws)
            && self.tier_deltas == other.tier_deltas)
    }

    fn lines(&self) -> Result<BTreeMap<String, (Quantity, Fraction)>, Overflow> {
        let mut lines: BTreeMap<String, (Quantity, Fraction)> = BTreeMap::new();
        for part in &self.parts {
            let line = lines
                .entry(part.line_group())
                .or_insert((Quantity::ZERO, Fraction::ZERO));
            line.0 = line.0.checked_add(part.quantity)?;
            line.1 = line.1.checked_add(part.amount.unwrap_or(Fraction::ZERO))?;
        }
        Ok(lines)
    }
}

fn sorted(draws: &[GrantDraw]) -> Vec<(crate::ids::GrantId, Quantity)> {
    let mut draws: Vec<_> = draws
        .iter()
        .map(|draw| (draw.grant_id, draw.quantity))
        .collect();
    draws.sort_unstable();
    draws
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::Offer;
    use crate::rating::Surroundings;

    fn matters(prices: &str, allowances: &str) -> bool {
        let calendar = r#"{"rules":[{"band":"day","days":["mon"],"from":"09:00","to":"17:00"}],"otherwise":"night"}"#;
        let json = format!(
            r#"{{"currency":"USD","calendar":{calendar},"prices":{prices},"allowances":{allowances}}}"#
        );
        let offer = Offer::read(json.as_bytes()).unwrap();
        order_matters(&Terms::new(&offer.document, &Surroundings::default()).unwrap())
    }

    const PER_MINUTE: &str =
        r#"{"key":"a","meter":"A","increment":"60/60","rate":{"per_unit":{"price":1,"per":60}}}"#;
    const ALLOWANCE: &str = r#"[{"key":"x","meters":["A"],"quantity":5}]"#;

    #[test]
    fn one_price_behind_one_allowance_does_not_depend_on_order() {
        assert!(!matters(&format!("[{PER_MINUTE}]"), ALLOWANCE));
        assert!(!matters(
            r#"[{"key":"a","meter":"A","rate":{"volume":{"tiers":[{"price":1}]}}}]"#,
            ALLOWANCE
        ));
        assert!(!matters(
            r#"[{"key":"a","meter":"A","connectionFee":1,"rate":{"flat":{"price":1}}}]"#,
            "[]"
        ));
        // The night is dearer, but it does not draw on the allowance.
        let night = r#"{"key":"a","meter":"A","rate":{"per_unit":{"price":1}},
            "bands":[{"band":"night","rate":{"per_unit":{"price":2}},"drawsOnAllowance":false}]}"#;
        assert!(!matters(&format!("[{night}]"), ALLOWANCE));
        // Each band has a rate of its own, so the one outside them is never used.
        let both = r#"{"key":"a","meter":"A","rate":{"flat":{"price":1}},
            "bands":[{"band":"night","rate":{"per_unit":{"price":2}},"drawsOnAllowance":false},
                     {"band":"day","rate":{"per_unit":{"price":1}}}]}"#;
        assert!(!matters(&format!("[{both}]"), ALLOWANCE));
    }

    #[test]
    fn it_does_where_the_allowance_could_cover_the_dearer_one() {
        let night = r#"{"key":"a","meter":"A","rate":{"per_unit":{"price":1}},"bands":[{"band":"night","rate":{"per_unit":{"price":2}}}]}"#;
        assert!(matters(&format!("[{night}]"), ALLOWANCE));
        let pool = r#"[{"key":"x","meters":["A","B"],"quantity":5}]"#;
        let other = r#"{"key":"b","meter":"B","rate":{"per_unit":{"price":2,"per":60}}}"#;
        assert!(matters(&format!("[{PER_MINUTE},{other}]"), pool));
        // The same price on two lines: which of them has what is beyond?
        let same = r#"{"key":"b","meter":"B","increment":"60/60","rate":{"per_unit":{"price":1,"per":60}}}"#;
        assert!(matters(&format!("[{PER_MINUTE},{same}]"), pool));
        let outgoing = r#"{"key":"b","meter":"A","direction":"outgoing","increment":"60/60","rate":{"per_unit":{"price":1,"per":60}}}"#;
        assert!(matters(&format!("[{PER_MINUTE},{outgoing}]"), ALLOWANCE));
        assert!(matters(
            r#"[{"key":"a","meter":"A","connectionFee":1,"rate":{"per_unit":{"price":1}}}]"#,
            ALLOWANCE
        ));
        assert!(matters(
            r#"[{"key":"a","meter":"A","rate":{"flat":{"price":1}}}]"#,
            ALLOWANCE
        ));
        assert!(matters(
            r#"[{"key":"a","meter":"A","maximumCharge":1,"rate":{"package":{"price":1,"size":5}}}]"#,
            "[]"
        ));
        let rollover = r#"[{"key":"x","meters":["A"],"quantity":5,"rollover":{"cycles":1}}]"#;
        assert!(matters(&format!("[{PER_MINUTE}]"), rollover));
        let two = r#"[{"key":"x","meters":["A"],"quantity":5},{"key":"y","meters":["A"],"quantity":5,"every":"year"}]"#;
        assert!(matters(&format!("[{PER_MINUTE}]"), two));
        let year = r#"[{"key":"x","meters":["A"],"quantity":5,"every":"year"}]"#;
        assert!(!matters(&format!("[{PER_MINUTE}]"), year));
        let tiers = r#"[{"key":"a","meter":"A","rate":{"graduated":{"tiers":[{"upTo":5,"price":1},{"price":2}]}}}]"#;
        assert!(!matters(tiers, ALLOWANCE));
        assert!(matters(tiers, year));
    }
}
