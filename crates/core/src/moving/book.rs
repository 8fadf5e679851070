//! What a book says.

use jiff::civil::Date;
use serde::Serialize;

use crate::invoices::InvoiceNumber;
use crate::money::{Money, Price, Quantity};
use crate::named::named;
use crate::phone::E164;

/// The form of a book. A form that takes less or means something else gets another number.
pub const FORMAT: &str = "tollbook.book/1";

named! {
    /// What is made of a book.
    Kind("opening entry") {
        /// What a customer pays with.
        Account = "account",
        /// Somebody who pays.
        Customer = "customer",
        /// A contract that goes on.
        Subscription = "subscription",
        /// What was used of what a contract grants.
        Allowance = "allowance",
        /// What is open on an invoice of the other system.
        Invoice = "invoice",
        /// What a customer has paid beyond what they owe.
        Credit = "credit",
        /// Where prepaid credit is kept.
        Wallet = "wallet",
        /// Prepaid credit.
        Lot = "lot",
        /// Where invoice numbers go on.
        Number = "number",
    }
}

/// Everything that an organization brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The number that its next invoice gets.
    pub next_number: Option<InvoiceNumber>,
    /// Those who pay it.
    pub customers: Vec<Customer>,
}

/// A customer, with what there is between them and the organization. What is serialized is who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Customer {
    /// Their key in the other system.
    pub key: String,
    /// Empty if they have none.
    pub name: String,
    /// Their mail address.
    pub email: Option<String>,
    /// An IANA zone.
    pub zone: Option<String>,
    /// Two letters.
    pub country: Option<String>,
    /// How they are taxed.
    pub tax: Tax,
    /// What they call from; each once.
    pub numbers: Vec<E164>,
    /// Persons at the customer.
    pub contacts: Vec<Contact>,
    /// What they are subscribed to.
    #[serde(skip)]
    pub subscription: Option<Subscription>,
    /// What of older invoices is open.
    #[serde(skip)]
    pub invoices: Vec<Invoice>,
    /// What they have paid beyond what they owe; each currency once.
    #[serde(skip)]
    pub credits: Vec<Money>,
    /// What they have paid in advance; each currency and expiry once.
    #[serde(skip)]
    pub lots: Vec<Lot>,
}

/// How a customer is taxed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tax {
    /// Not at all.
    pub exempt: bool,
    /// The rate in percent.
    pub percent: Option<Price>,
    /// Whether prices include it.
    pub inclusive: bool,
}

/// A person at a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// What they are called.
    pub name: String,
    /// Their mail address.
    pub email: Option<String>,
    /// What they do there.
    pub role: String,
}

/// A subscription in the middle of a period whose base fee the other system has invoiced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// The code of a plan of the organization.
    pub plan: String,
    /// When the contract began.
    pub started_on: Date,
    /// A day on which one of its periods begins.
    pub anchor_on: Date,
    /// The first day of the period of now.
    pub period_starts_on: Date,
    /// The first day of the next one.
    pub period_ends_on: Date,
    /// What was used of the period's allowances; each once.
    pub used: Vec<Used>,
}

/// What was used of an allowance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    /// The key of the allowance in the plan.
    pub allowance: String,
    /// In the base unit of its meters.
    pub quantity: Quantity,
}

/// An invoice of the other system that is not paid in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invoice {
    /// As it is printed.
    pub number: String,
    /// Its date.
    pub issued_on: Date,
    /// When it is to be paid.
    pub due_on: Date,
    /// What it came to.
    pub total: Money,
    /// The tax in it.
    pub tax: Money,
    /// What of it is not paid.
    pub open: Money,
}

/// Prepaid credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lot {
    /// What is left of it.
    pub amount: Money,
    /// The first day on which it is lost.
    pub expires_on: Option<Date>,
}
