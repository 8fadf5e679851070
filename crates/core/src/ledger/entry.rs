//! Entries and the balances that they add up to.

use std::collections::BTreeMap;

use super::account::Account;
use crate::money::{Money, MoneyError};

/// Why an entry cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Amounts do not fit, or are in several currencies.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// An amount that has to be more than nothing is not.
    #[error("the amount of a {0} must be more than zero, not {1}")]
    NotPositive(&'static str, Money),
    /// More is used than there is.
    #[error("{0} is more than {1}")]
    TooMuch(Money, Money),
}

/// An amount that moves from the credited to the debited account; more than zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The account that receives.
    pub debit: Account,
    /// The account that gives.
    pub credit: Account,
    /// How much, in the currency of both.
    pub amount: Money,
}

/// One balanced posting. Empty when its document moves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    transfers: Vec<Transfer>,
}

impl Entry {
    /// Moves `amount`; less than zero moves it the other way, zero does nothing.
    pub(super) fn transfer(
        &mut self,
        debit: Account,
        credit: Account,
        amount: Money,
    ) -> Result<(), LedgerError> {
        for account in [&debit, &credit] {
            if account.currency != amount.currency() {
                return Err(MoneyError::Currencies(account.currency, amount.currency()).into());
            }
        }
        assert!(debit != credit, "a transfer is between two accounts");
        if amount.minor() > 0 {
            self.transfers.push(Transfer {
                debit,
                credit,
                amount,
            });
        } else if amount.minor() < 0 {
            self.transfers.push(Transfer {
                debit: credit,
                credit: debit,
                amount: amount.checked_neg()?,
            });
        }
        Ok(())
    }

    /// The transfers, in order.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }

    /// The entry that takes this one back, as when an invoice is voided.
    #[must_use]
    pub fn reversal(&self) -> Self {
        let swapped = |transfer: &Transfer| Transfer {
            debit: transfer.credit.clone(),
            credit: transfer.debit.clone(),
            amount: transfer.amount,
        };
        Self {
            transfers: self.transfers.iter().map(swapped).collect(),
        }
    }
}

/// What stands on each account: debits less credits. Over all accounts of a currency the sum is always zero.
pub fn balances<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<BTreeMap<Account, Money>, MoneyError> {
    let mut balances: BTreeMap<Account, Money> = BTreeMap::new();
    for transfer in entries.into_iter().flat_map(|entry| &entry.transfers) {
        let zero = Money::zero(transfer.amount.currency());
        let debit = balances.entry(transfer.debit.clone()).or_insert(zero);
        *debit = debit.checked_add(transfer.amount)?;
        let credit = balances.entry(transfer.credit.clone()).or_insert(zero);
        *credit = credit.checked_sub(transfer.amount)?;
    }
    Ok(balances)
}
