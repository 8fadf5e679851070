//! Rating again changes nothing where totals do not change.
//!
//! Where the order of usages does not matter, they are charged as they arrive. Rated again in canonical order, what an
//! allowance covers or a tier prices may fall to others of them; the lines and documents come to the same. A correction
//! moves what shares a line with it, and leaves the rest as it is: a final document gets no line that comes to nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tollbook_core::ids::{AccountId, GrantId};
use tollbook_core::money::{Fraction, Overflow, Quantity};
use tollbook_core::plans::Key;
use tollbook_core::rating::ChargePart;

use super::batch::{Change, is_waived};
use super::place::own_group;

/// What stands on one line of a period, by what it draws on.
type Line = (AccountId, Timestamp, String, Option<GrantId>, Option<Key>);

/// What a change adds to a line.
type Part = (Line, Quantity, Fraction);

/// Leaves out the changes of usages that have not changed themselves, where no line that they stand on comes to anything
/// else, nor shares a change with one that does.
pub(super) fn leave_unchanged(changes: &mut Vec<Change<'_>>) -> Result<(), Overflow> {
    let parts = changes.iter().map(parts).collect::<Result<Vec<_>, _>>()?;
    let mut sums: BTreeMap<&Line, (Quantity, Fraction)> = BTreeMap::new();
    for (line, quantity, amount) in parts.iter().flatten() {
        let sum = sums.entry(line).or_insert((Quantity::ZERO, Fraction::ZERO));
        *sum = (sum.0.checked_add(*quantity)?, sum.1.checked_add(*amount)?);
    }
    let comes_to_something =
        |(quantity, amount): &(Quantity, Fraction)| !quantity.is_zero() || !amount.is_zero();
    let mut moved: BTreeSet<&Line> = sums
        .into_iter()
        .filter_map(|(line, sum)| comes_to_something(&sum).then_some(line))
        .collect();
    let mut is_kept = changes
        .iter()
        .map(has_news)
        .collect::<Result<Vec<_>, _>>()?;
    let kept = parts.iter().zip(&is_kept).filter(|(_, is_kept)| **is_kept);
    moved.extend(kept.flat_map(|(parts, _)| lines(parts)));
    loop {
        let before = moved.len();
        for (parts, is_kept) in parts.iter().zip(&mut is_kept) {
            if !*is_kept && lines(parts).any(|line| moved.contains(line)) {
                *is_kept = true;
                moved.extend(lines(parts));
            }
        }
        if moved.len() == before {
            break;
        }
    }
    let mut is_kept = is_kept.into_iter();
    changes.retain(|_| is_kept.next().unwrap_or(true));
    Ok(())
}

fn lines(parts: &[Part]) -> impl Iterator<Item = &Line> {
    parts.iter().map(|(line, ..)| line)
}

/// What a change adds to lines, and takes off them.
fn parts(change: &Change<'_>) -> Result<Vec<Part>, Overflow> {
    let account = change.item.key.account;
    let mut parts = Vec::with_capacity(change.charge.len() + change.reverse.len());
    let period = change.item.period.map(|period| period.start());
    for part in &change.charge {
        let line = (
            account,
            period.unwrap_or_default(),
            part.line_group(),
            part.grant_id,
            part.price_key.clone(),
        );
        parts.push((line, part.quantity, part.amount.unwrap_or(Fraction::ZERO)));
    }
    for known in change.reverse {
        let line = (
            account,
            known.period.start(),
            own_group(&known.line_group).to_owned(),
            known.grant,
            known.price_key.clone(),
        );
        let quantity = Quantity::ZERO.checked_sub(known.quantity)?;
        parts.push((line, quantity, Fraction::ZERO.checked_sub(known.amount)?));
    }
    Ok(parts)
}

/// Whether a usage is new, was corrected, is on other terms, or is billed or not where it was not or was.
fn has_news(change: &Change<'_>) -> Result<bool, Overflow> {
    let mut before = Quantity::ZERO;
    for known in change.reverse {
        before = before.checked_add(known.quantity)?;
    }
    let mut now = Quantity::ZERO;
    for part in &change.charge {
        now = now.checked_add(part.quantity)?;
    }
    let mut reversed = change.reverse.iter();
    let on_other_terms = reversed.any(|known| !known.is_on_terms_of(change.item));
    // What two corrected prices add and take off may come to nothing, and each charge follows its own price.
    let price = change.item.provider_price();
    let mut reversed = change.reverse.iter();
    let on_other_price =
        reversed.any(|known| known.provider_price.is_some() && known.provider_price != price);
    // So is a price of a deck: what two destinations add and take off may come to nothing too.
    let has_destination = |part: &ChargePart| part.trace.destination.is_some();
    let was_waived = change.reverse.iter().any(|known| known.is_waived);
    Ok(change.reverse.is_empty()
        || before != now
        || on_other_terms
        || on_other_price
        || was_waived != change.charge.iter().any(is_waived)
        || change.charge.iter().any(has_destination))
}
