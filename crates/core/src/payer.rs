//! Who pays. There are two sales: the platform sells to organizations, an organization sells to its customers.

use serde::{Deserialize, Serialize};

use crate::ids::CustomerId;
use crate::named::named;

named! {
    /// Which of the two sales a row of money belongs to.
    PayerKind("payer") {
        /// The organization pays the platform.
        Organization = "organization",
        /// A customer pays the organization.
        Customer = "customer",
    }
}

/// Who pays, within one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payer {
    /// The organization itself.
    Organization,
    /// One of its customers.
    Customer(CustomerId),
}

impl Payer {
    /// Which of the two sales this is.
    pub const fn kind(self) -> PayerKind {
        match self {
            Self::Organization => PayerKind::Organization,
            Self::Customer(_) => PayerKind::Customer,
        }
    }

    /// The customer, if one pays.
    pub const fn customer(self) -> Option<CustomerId> {
        match self {
            Self::Organization => None,
            Self::Customer(customer) => Some(customer),
        }
    }
}
