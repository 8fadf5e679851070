//! By what the things of a book are known again in the next one.

use tollbook_core::money::Money;
use tollbook_core::moving::{Book, Customer, Kind, Lot};

/// The key of where numbers go on: there is one.
pub(super) const NUMBER: &str = "next";

/// Of a credit.
pub(super) fn credit_key(customer: &Customer, amount: Money) -> String {
    format!("{}/{}", customer.key, amount.currency().code())
}

/// Of prepaid credit.
pub(super) fn lot_key(customer: &Customer, lot: &Lot) -> String {
    let expiry = lot.expires_on.map(|it| it.to_string());
    let expiry = expiry.as_deref().unwrap_or("never");
    format!("{}/{expiry}", credit_key(customer, lot.amount))
}

/// Everything that a book names. What is made with it, as an account with a customer, is known by that.
pub(super) fn entries(book: &Book) -> Vec<(Kind, String)> {
    let mut entries = vec![(Kind::Number, NUMBER.to_owned())];
    for customer in &book.customers {
        entries.push((Kind::Customer, customer.key.clone()));
        entries.push((Kind::Subscription, customer.key.clone()));
        let numbers = customer.invoices.iter().map(|it| it.number.clone());
        entries.extend(numbers.map(|number| (Kind::Invoice, number)));
        let credits = customer.credits.iter();
        entries.extend(credits.map(|it| (Kind::Credit, credit_key(customer, *it))));
        let lots = customer.lots.iter();
        entries.extend(lots.map(|it| (Kind::Lot, lot_key(customer, it))));
    }
    entries
}
