//! Rating again changes nothing where totals do not change.
//!
//! Where the order of usages does not matter, they are charged as they arrive. Rated again in canonical order, what an
//! allowance covers or a tier prices may fall to others of them; the lines and documents come to the same.

use std::collections::{BTreeMap, HashMap};

use tollbook_core::ids::{AccountId, GrantId};
use tollbook_core::money::{Fraction, Overflow, Quantity};
use tollbook_core::plans::Key;
use tollbook_core::rating::ChargePart;

use super::batch::{Change, is_waived};
use super::place::own_group;

/// What stands on one line, by what it draws on.
type Line = (String, Option<GrantId>, Option<Key>);

/// How the lines of an account change.
#[derive(Default)]
struct Lines {
    changes: BTreeMap<Line, (Quantity, Fraction)>,
    /// Whether a usage is new, was corrected, is on other terms, or is billed or not where it was not or was.
    has_news: bool,
}

/// Leaves out the changes of accounts of which no usage has changed and no line comes to anything else.
pub(super) fn leave_unchanged(changes: &mut Vec<Change<'_>>) -> Result<(), Overflow> {
    let mut accounts: HashMap<AccountId, Lines> = HashMap::new();
    for change in changes.iter() {
        let lines = accounts.entry(change.item.key.account).or_default();
        lines.add(change)?;
    }
    changes.retain(|change| {
        accounts
            .get(&change.item.key.account)
            .is_none_or(Lines::is_changed)
    });
    Ok(())
}

impl Lines {
    fn add(&mut self, change: &Change<'_>) -> Result<(), Overflow> {
        let (mut before, mut now) = (Quantity::ZERO, Quantity::ZERO);
        for part in &change.charge {
            now = now.checked_add(part.quantity)?;
            let line = self.line(&part.line_group(), part.grant_id, part.price_key.as_ref());
            line.0 = line.0.checked_add(part.quantity)?;
            line.1 = line.1.checked_add(part.amount.unwrap_or(Fraction::ZERO))?;
        }
        for known in change.reverse {
            before = before.checked_add(known.quantity)?;
            let line = self.line(&known.line_group, known.grant, known.price_key.as_ref());
            line.0 = line.0.checked_sub(known.quantity)?;
            line.1 = line.1.checked_sub(known.amount)?;
        }
        let on_other_terms = change
            .reverse
            .iter()
            .any(|known| !known.is_on_terms_of(change.item));
        // What two corrected prices add and take off may come to nothing, and each charge follows its own price.
        let price = change.item.provider_price();
        let on_other_price = change
            .reverse
            .iter()
            .any(|known| known.provider_price.is_some() && known.provider_price != price);
        // So is a price of a deck: what two destinations add and take off may come to nothing too.
        let has_destination = |part: &ChargePart| part.trace.destination.is_some();
        let was_waived = change.reverse.iter().any(|known| known.is_waived);
        let on_other_bill = was_waived != change.charge.iter().any(is_waived);
        self.has_news |= change.reverse.is_empty()
            || before != now
            || on_other_terms
            || on_other_price
            || on_other_bill
            || change.charge.iter().any(has_destination);
        Ok(())
    }

    fn line(
        &mut self,
        group: &str,
        grant: Option<GrantId>,
        price_key: Option<&Key>,
    ) -> &mut (Quantity, Fraction) {
        self.changes
            .entry((own_group(group).to_owned(), grant, price_key.cloned()))
            .or_insert((Quantity::ZERO, Fraction::ZERO))
    }

    fn is_changed(&self) -> bool {
        let comes_to_something =
            |(quantity, amount): &(Quantity, Fraction)| !quantity.is_zero() || !amount.is_zero();
        self.has_news || self.changes.values().any(comes_to_something)
    }
}
