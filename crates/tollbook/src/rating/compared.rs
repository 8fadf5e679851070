//! Amounts before and after, for people who decide on them.

use serde::Serialize;
use tollbook_core::money::{Currency, Fraction, Money, Rounding, round_to_minor};

use super::replay::too_large;
use crate::error::{Error, Result};

/// An amount before and after, rounded once and so in the currency's smallest unit. Sums add up from what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    before: Money,
    after: Money,
}

/// The same as decimals.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ComparedView {
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) difference: String,
}

impl Compared {
    /// Nothing.
    pub(crate) fn zero(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            before: zero,
            after: zero,
        }
    }

    /// Exact amounts, rounded.
    pub(crate) fn new(before: Fraction, after: Fraction, currency: Currency) -> Result<Self> {
        let rounded = |amount| {
            let rounded = round_to_minor(amount, currency, Rounding::HalfUp);
            rounded.map(|it| it.money).map_err(too_large)
        };
        Ok(Self {
            before: rounded(before)?,
            after: rounded(after)?,
        })
    }

    /// With another one.
    pub(crate) fn plus(self, other: Self) -> Result<Self> {
        let sum = |one: Money, other| one.checked_add(other).map_err(|e| wrong(&e));
        Ok(Self {
            before: sum(self.before, other.before)?,
            after: sum(self.after, other.after)?,
        })
    }

    pub(crate) fn view(self) -> Result<ComparedView> {
        let difference = self.after.checked_sub(self.before);
        Ok(ComparedView {
            before: self.before.amount(),
            after: self.after.amount(),
            difference: difference.map_err(|e| wrong(&e))?.amount(),
        })
    }

    /// By how much it changes, either way, in the smallest unit.
    pub(crate) fn size(self) -> u64 {
        self.after.minor().abs_diff(self.before.minor())
    }
}

fn wrong(error: &dyn std::fmt::Display) -> Error {
    Error::conflict(
        "too_large",
        format!("the amounts cannot be added up: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_add_up_from_what_is_shown() {
        let currency: Currency = "USD".parse().unwrap();
        let third = Compared::new(Fraction::new(1, 3).unwrap(), Fraction::ZERO, currency).unwrap();
        let sum = third
            .plus(third)
            .unwrap()
            .plus(Compared::zero(currency))
            .unwrap();
        let shown = sum.view().unwrap();
        assert_eq!(
            (shown.before, shown.after, shown.difference),
            ("0.66".into(), "0.00".into(), "-0.66".into())
        );
        assert_eq!(sum.size(), 66);
    }
}
