//! What pays a finalized document, and what that leaves open.

use crate::money::{Money, MoneyError};

/// What stands for and against a finalized document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// As printed; below zero for a document that gives something back.
    pub total: Money,
    /// Of payments and of the payer's credit, nothing or more.
    pub paid: Money,
    /// By credit notes, nothing or more.
    pub credited: Money,
}

impl Standing {
    /// What is still to be paid, never below nothing: what covers a document twice is the payer's credit.
    pub fn open(self) -> Result<Money, MoneyError> {
        let left = self.total.checked_sub(self.paid)?;
        let left = left.checked_sub(self.credited)?;
        Ok(Money::from_minor(left.minor().max(0), left.currency()))
    }

    /// How much is open again if `amount` of what was paid is taken back. It is less than the amount where a credit
    /// note covers the document too.
    pub fn reopened(self, amount: Money) -> Result<Money, MoneyError> {
        let after = Self {
            paid: self.paid.checked_sub(amount)?,
            ..self
        };
        after.open()?.checked_sub(self.open()?)
    }
}

/// A document that a payment is to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// What it leaves open.
    pub open: Money,
    /// How much of it is to be paid; `None`: as much as there is.
    pub amount: Option<Money>,
}

/// Why an amount cannot be spread as wanted. `index` counts the documents from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// Nothing, or less than nothing.
    #[error("must be above zero")]
    NotPositive {
        /// Of which document.
        index: usize,
    },
    /// More than the document leaves open.
    #[error("is more than the {open} that are open")]
    MoreThanOpen {
        /// Of which document.
        index: usize,
        /// What it leaves open.
        open: Money,
    },
    /// More than those before it have left.
    #[error("is more than the {left} that are left of the payment")]
    MoreThanLeft {
        /// Of which document.
        index: usize,
        /// What is left.
        left: Money,
    },
    /// Currencies or size.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Spreads an amount over documents in their order, and tells how much each gets. What is left when all have got
/// theirs is the payer's credit.
pub fn allocate(amount: Money, wanted: &[Wanted]) -> Result<Vec<Money>, AllocationError> {
    let mut left = amount;
    let mut parts = Vec::with_capacity(wanted.len());
    for (index, document) in wanted.iter().enumerate() {
        let part = match document.amount {
            Some(part) if part.minor() <= 0 => return Err(AllocationError::NotPositive { index }),
            Some(part) if part.minor() > document.open.minor() => {
                let open = document.open;
                return Err(AllocationError::MoreThanOpen { index, open });
            }
            Some(part) if part.minor() > left.minor() => {
                return Err(AllocationError::MoreThanLeft { index, left });
            }
            Some(part) => part,
            None => {
                let most = document.open.minor().min(left.minor()).max(0);
                Money::from_minor(most, document.open.currency())
            }
        };
        left = left.checked_sub(part)?;
        parts.push(part);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::USD)
    }

    fn standing(total: i64, paid: i64, credited: i64) -> Standing {
        Standing {
            total: usd(total),
            paid: usd(paid),
            credited: usd(credited),
        }
    }

    fn spread(amount: i64, wanted: &[(i64, Option<i64>)]) -> Result<Vec<i64>, AllocationError> {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(open, amount)| Wanted {
                open: usd(*open),
                amount: amount.map(usd),
            })
            .collect();
        let parts = allocate(usd(amount), &wanted)?;
        Ok(parts.into_iter().map(Money::minor).collect())
    }

    #[test]
    fn nothing_is_open_of_what_is_covered() {
        for (total, paid, credited, open) in [
            (100, 0, 0, 100),
            (100, 30, 20, 50),
            (100, 100, 0, 0),
            (100, 100, 30, 0),
            (-100, 0, 0, 0),
        ] {
            let open_now = standing(total, paid, credited).open().unwrap();
            assert_eq!(open_now.minor(), open, "{total} {paid} {credited}");
        }
    }

    #[test]
    fn what_a_credit_note_covers_is_not_open_again() {
        let reopened = |total, paid, credited, amount| {
            let standing = standing(total, paid, credited);
            standing.reopened(usd(amount)).unwrap().minor()
        };
        assert_eq!(reopened(100, 100, 0, 40), 40);
        // 130 cover 100: the first 30 that are taken back were credit.
        assert_eq!(reopened(100, 100, 30, 100), 70);
        assert_eq!(reopened(100, 100, 30, 20), 0);
    }

    #[test]
    fn documents_are_paid_in_order_and_as_named() {
        assert_eq!(
            spread(100, &[(30, None), (90, None), (5, None)]).unwrap(),
            [30, 70, 0]
        );
        assert_eq!(spread(100, &[(30, None), (20, None)]).unwrap(), [30, 20]);
        assert_eq!(
            spread(100, &[(90, Some(10)), (95, None)]).unwrap(),
            [10, 90]
        );
        assert_eq!(
            spread(100, &[(10, None), (20, Some(21))]).unwrap_err(),
            AllocationError::MoreThanOpen {
                index: 1,
                open: usd(20)
            }
        );
        assert_eq!(
            spread(100, &[(90, None), (20, Some(11))]).unwrap_err(),
            AllocationError::MoreThanLeft {
                index: 1,
                left: usd(10)
            }
        );
        let refused = spread(100, &[(10, Some(0))]).unwrap_err();
        assert_eq!(refused, AllocationError::NotPositive { index: 0 });
    }
}
