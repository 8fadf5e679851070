//! Where amounts are kept.

use crate::ids::CustomerId;
use crate::money::Currency;
use crate::named::named;
use crate::payer::{Payer, PayerKind};

named! {
    /// What an account is for.
    AccountKind("ledger account") {
        /// What a payer owes.
        Receivable = "receivable",
        /// What was earned, by meter; `fee` for what is not metered.
        Revenue = "revenue",
        /// Tax owed to the state.
        TaxPayable = "tax_payable",
        /// What a payer has paid or been credited beyond what they owe.
        CustomerCredit = "customer_credit",
        /// Money on its way to or from the bank.
        Clearing = "clearing",
        /// Prepaid and not yet used.
        Wallet = "wallet",
        /// What providers charged, by meter.
        ProviderCost = "provider_cost",
        /// What is owed to providers.
        ProviderPayable = "provider_payable",
        /// What was brought along from another system, where its other side stands.
        Opening = "opening",
    }
}

/// An account. Each has one currency, and belongs to one of the two sales.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Which sale: the platform's to the organization, or the organization's to its customers.
    pub payer: PayerKind,
    /// What it is for.
    pub kind: AccountKind,
    /// The meter of revenue and cost, otherwise empty.
    pub meter: String,
    /// Whose it is, where accounts are kept by customer.
    pub customer: Option<CustomerId>,
    /// ISO 4217 code.
    pub currency: Currency,
}

impl Account {
    /// An account of one payer: receivable, credit, wallet.
    pub(super) fn of(payer: Payer, kind: AccountKind, currency: Currency) -> Self {
        Self {
            payer: payer.kind(),
            kind,
            meter: String::new(),
            customer: payer.customer(),
            currency,
        }
    }

    /// An account of a whole sale: tax, clearing.
    pub(super) fn shared(payer: PayerKind, kind: AccountKind, currency: Currency) -> Self {
        Self {
            payer,
            kind,
            meter: String::new(),
            customer: None,
            currency,
        }
    }

    /// An account of one meter: revenue, cost.
    pub(super) fn metered(
        payer: PayerKind,
        kind: AccountKind,
        meter: &str,
        currency: Currency,
    ) -> Self {
        Self {
            payer,
            kind,
            meter: meter.to_owned(),
            customer: None,
            currency,
        }
    }
}
