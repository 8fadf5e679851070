//! Credit notes: corrections of finalized invoices, which can never give back more than was invoiced.

use crate::money::{Money, MoneyError, SplitError, split_largest_remainder};

/// A line or a tax of an invoice, and what earlier credit notes gave back of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Creditable {
    /// As printed on the invoice; below zero for a discount.
    pub invoiced: Money,
    /// Given back before, between nothing and `invoiced`.
    pub credited: Money,
}

/// Why a credit note is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreditError {
    /// Nothing, or less than nothing.
    #[error("a credit note must give something back")]
    Nothing,
    /// More than is left of the invoice.
    #[error("only {left} of the invoice can still be credited")]
    Exceeds {
        /// What is left.
        left: Money,
    },
    /// Currencies or size.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Size.
    #[error(transparent)]
    Split(#[from] SplitError),
}

/// Splits an amount over the lines and taxes of an invoice in proportion to what is left of each.
///
/// The parts sum to exactly the amount, none exceeds what is left of its line, and crediting all that is left gives
/// back each line to the cent.
pub fn credit(items: &[Creditable], amount: Money) -> Result<Vec<Money>, CreditError> {
    if amount.minor() <= 0 {
        return Err(CreditError::Nothing);
    }
    let mut left = Money::zero(amount.currency());
    let mut weights = Vec::with_capacity(items.len());
    for item in items {
        let rest = item.invoiced.checked_sub(item.credited)?;
        left = left.checked_add(rest)?;
        weights.push(rest.to_fraction());
    }
    if amount.minor() > left.minor() {
        return Err(CreditError::Exceeds { left });
    }
    Ok(split_largest_remainder(amount, &weights)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn items(minors: &[(i64, i64)]) -> Vec<Creditable> {
        let money = |minor| Money::from_minor(minor, Currency::USD);
        minors
            .iter()
            .map(|(invoiced, credited)| Creditable {
                invoiced: money(*invoiced),
                credited: money(*credited),
            })
            .collect()
    }

    fn parts(minors: &[(i64, i64)], amount: i64) -> Result<Vec<i64>, CreditError> {
        let parts = credit(&items(minors), Money::from_minor(amount, Currency::USD))?;
        Ok(parts.into_iter().map(Money::minor).collect())
    }

    #[test]
    fn parts_sum_to_the_amount_and_the_rest_comes_back_whole() {
        // Lines 10.00 and 3.33, tax 2.53.
        assert_eq!(
            parts(&[(1000, 0), (333, 0), (253, 0)], 500).unwrap(),
            [315, 105, 80]
        );
        assert_eq!(
            parts(&[(1000, 315), (333, 105), (253, 80)], 1086).unwrap(),
            [685, 228, 173]
        );
        assert_eq!(parts(&[(1000, 0), (-100, 0)], 450).unwrap(), [500, -50]);
    }

    #[test]
    fn more_than_is_left_is_refused() {
        let left = Money::from_minor(100, Currency::USD);
        assert_eq!(
            parts(&[(1000, 900)], 101),
            Err(CreditError::Exceeds { left })
        );
        assert_eq!(parts(&[(1000, 0)], 0), Err(CreditError::Nothing));
        assert_eq!(parts(&[(1000, 0)], -5), Err(CreditError::Nothing));
        assert!(matches!(parts(&[], 1), Err(CreditError::Exceeds { .. })));
    }
}
