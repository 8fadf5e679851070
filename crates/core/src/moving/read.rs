//! Reads a book. Everything that is wrong with it is told at once, each with its place.

use std::collections::HashSet;
use std::fmt::Display;

use serde::Serialize;

use super::book::{Book, Contact, Customer, FORMAT, Invoice, Lot, Subscription, Tax, Used};
use super::raw::{self, Text};
use crate::money::{Currency, Money, Price, Quantity};

/// Longest text, in characters.
const TEXT_MAX: usize = 200;
/// So many flaws are told; more would not be read.
const FLAWS_MAX: usize = 1_000;

/// What is wrong with a book, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// Such as `customers[3].numbers[0]`; empty for the whole.
    pub path: String,
    /// Why, in one plain sentence.
    pub message: String,
}

impl Book {
    /// Reads a book from JSON. Fails with everything that is wrong with it by itself.
    pub fn read(text: &[u8]) -> Result<Self, Vec<Flaw>> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let raw = serde_path_to_error::deserialize(&mut deserializer);
        let raw: raw::Book = raw.map_err(|error| {
            let path = error.path().to_string();
            vec![Flaw {
                path: if path == "." { String::new() } else { path },
                message: error.into_inner().to_string(),
            }]
        })?;
        deserializer.end().map_err(|error| {
            vec![Flaw {
                path: String::new(),
                message: error.to_string(),
            }]
        })?;
        let mut notes = Notes::default();
        let book = notes.book(raw);
        match book {
            Some(book) if notes.flaws.is_empty() => Ok(book),
            _ => Err(notes.flaws),
        }
    }
}

#[derive(Default)]
struct Notes {
    flaws: Vec<Flaw>,
    /// What may be there once: keys of customers, numbers of invoices, and within a customer what is listed.
    seen: HashSet<(&'static str, String)>,
}

impl Notes {
    fn refuse(&mut self, path: &str, message: impl Into<String>) {
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push(Flaw {
                path: path.to_owned(),
                message: message.into(),
            });
        }
    }

    /// A value that there has to be.
    fn need<T, E: Display>(
        &mut self,
        path: &str,
        text: Option<Text>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if text.is_none() {
            self.refuse(path, "is required");
        }
        self.may(path, text, parse)
    }

    /// A value that there may be.
    fn may<T, E: Display>(
        &mut self,
        path: &str,
        text: Option<Text>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&text?.0) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(path, error.to_string());
                None
            }
        }
    }

    /// That nothing else of this kind is called so.
    fn once(&mut self, path: &str, kind: &'static str, key: impl Display) {
        if !self.seen.insert((kind, key.to_string())) {
            self.refuse(path, "is there twice");
        }
    }

    fn book(&mut self, raw: raw::Book) -> Option<Book> {
        let is_format = |text: &str| {
            let is_known = text == FORMAT;
            is_known.then_some(()).ok_or(format!("must be `{FORMAT}`"))
        };
        self.need("format", raw.format, is_format);
        let next_number = self.may("nextInvoiceNumber", raw.next_invoice_number, str::parse);
        let customers = raw.customers.into_iter().enumerate();
        let customers: Vec<Option<Customer>> = customers
            .map(|(index, it)| self.customer(&format!("customers[{index}]"), it))
            .collect();
        Some(Book {
            next_number,
            customers: customers.into_iter().collect::<Option<_>>()?,
        })
    }

    fn customer(&mut self, path: &str, raw: raw::Customer) -> Option<Customer> {
        let at = |field: &str| format!("{path}.{field}");
        let key = self.need(&at("key"), raw.key, short);
        if let Some(key) = &key {
            self.once(&at("key"), "customer", key);
        }
        let name = self.may(&at("name"), raw.name, free);
        let email = self.may(&at("email"), raw.email, short);
        let zone = self.may(&at("zone"), raw.zone, short);
        let country = self.may(&at("country"), raw.country, short);
        let tax = self.tax(&at("tax"), raw.tax);
        let numbers = self.all(&at("numbers"), raw.numbers, |notes, path, text| {
            let number = notes.need(path, Some(text), str::parse::<crate::phone::E164>)?;
            notes.once(
                path,
                "number",
                format!("{} {}", parent(path), number.as_str()),
            );
            Some(number)
        });
        let contacts = self.all(&at("contacts"), raw.contacts, Self::contact);
        let subscription = raw.subscription;
        let subscription = subscription.map(|it| self.subscription(&at("subscription"), it));
        let invoices = self.all(&at("invoices"), raw.invoices, Self::invoice);
        let credits = self.all(&at("credit"), raw.credit, |notes, path, it| {
            let amount = notes.amount(path, it.currency, it.amount)?;
            let currency = amount.currency().code();
            notes.once(path, "credit", format!("{} {currency}", parent(path)));
            Some(amount)
        });
        let lots = self.all(&at("wallet"), raw.wallet, Self::lot);
        Some(Customer {
            key: key?,
            name: name.unwrap_or_default(),
            email,
            zone,
            country,
            tax: tax?,
            numbers: numbers?,
            contacts: contacts?,
            subscription: subscription.map_or(Some(None), |it| it.map(Some))?,
            invoices: invoices?,
            credits: credits?,
            lots: lots?,
        })
    }

    /// Reads each of a list, also behind one that is wrong.
    fn all<R, T>(
        &mut self,
        path: &str,
        list: Vec<R>,
        mut read: impl FnMut(&mut Self, &str, R) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = list.into_iter().enumerate();
        let read: Vec<Option<T>> = list
            .map(|(index, it)| read(self, &format!("{path}[{index}]"), it))
            .collect();
        read.into_iter().collect()
    }

    fn tax(&mut self, path: &str, raw: Option<raw::Tax>) -> Option<Tax> {
        let Some(raw) = raw else {
            return Some(Tax::default());
        };
        let percent = raw.percent.map(|it| {
            let path = format!("{path}.percent");
            self.need(&path, Some(it), str::parse::<Price>)
        });
        Some(Tax {
            exempt: raw.exempt,
            percent: percent.map_or(Some(None), |it| it.map(Some))?,
            inclusive: raw.inclusive,
        })
    }

    fn contact(&mut self, path: &str, raw: raw::Contact) -> Option<Contact> {
        let name = self.need(&format!("{path}.name"), raw.name, short);
        let email = self.may(&format!("{path}.email"), raw.email, short);
        let role = self.may(&format!("{path}.role"), raw.role, free);
        Some(Contact {
            name: name?,
            email,
            role: role.unwrap_or_default(),
        })
    }

    fn subscription(&mut self, path: &str, raw: raw::Subscription) -> Option<Subscription> {
        let at = |field: &str| format!("{path}.{field}");
        let plan = self.need(&at("plan"), raw.plan, short);
        let started_on = self.need(&at("startedOn"), raw.started_on, date);
        let anchor_on = self.need(&at("anchorOn"), raw.anchor_on, date);
        let starts_on = self.need(&at("periodStartsOn"), raw.period_starts_on, date);
        let ends_on = self.need(&at("periodEndsOn"), raw.period_ends_on, date);
        if let (Some(started), Some(period)) = (started_on, starts_on)
            && started > period
        {
            self.refuse(&at("startedOn"), "is after the beginning of the period");
        }
        let used = self.all(&at("used"), raw.used, |notes, path, it| {
            let allowance = notes.need(&format!("{path}.allowance"), it.allowance, short);
            let place = format!("{path}.quantity");
            let quantity = notes.need(&place, it.quantity, str::parse::<Quantity>);
            if let Some(allowance) = &allowance {
                notes.once(path, "allowance", format!("{} {allowance}", parent(path)));
            }
            if quantity.is_some_and(Quantity::is_negative) {
                notes.refuse(&place, "must not be below zero");
            }
            Some(Used {
                allowance: allowance?,
                quantity: quantity?,
            })
        });
        Some(Subscription {
            plan: plan?,
            started_on: started_on?,
            anchor_on: anchor_on?,
            period_starts_on: starts_on?,
            period_ends_on: ends_on?,
            used: used?,
        })
    }

    fn invoice(&mut self, path: &str, raw: raw::Invoice) -> Option<Invoice> {
        let at = |field: &str| format!("{path}.{field}");
        let number = self.need(&at("number"), raw.number, short);
        if let Some(number) = &number {
            self.once(&at("number"), "invoice", number);
        }
        let issued_on = self.need(&at("issuedOn"), raw.issued_on, date);
        let due_on = self.need(&at("dueOn"), raw.due_on, date);
        if issued_on
            .zip(due_on)
            .is_some_and(|(issued, due)| due < issued)
        {
            self.refuse(&at("dueOn"), "is before the date of the invoice");
        }
        let currency = self.need(&at("currency"), raw.currency, str::parse::<Currency>);
        let mut money = |field: &str, text: Option<Text>| self.money(&at(field), currency, text);
        let total = money("total", raw.total);
        let tax = match raw.tax {
            None => currency.map(Money::zero),
            Some(tax) => money("tax", Some(tax)),
        };
        let open = money("open", raw.open);
        if let Some(total) = total {
            if open.is_some_and(|it| it.minor() < 1 || it.minor() > total.minor()) {
                self.refuse(&at("open"), "must be above zero and at most the total");
            }
            if tax.is_some_and(|it| it.minor() < 0 || it.minor() > total.minor()) {
                self.refuse(&at("tax"), "must be from zero to the total");
            }
        }
        Some(Invoice {
            number: number?,
            issued_on: issued_on?,
            due_on: due_on?,
            total: total?,
            tax: tax?,
            open: open?,
        })
    }

    fn lot(&mut self, path: &str, raw: raw::Lot) -> Option<Lot> {
        let amount = self.amount(path, raw.currency, raw.amount);
        let expires_on = raw.expires_on.map(|it| {
            let path = format!("{path}.expiresOn");
            self.need(&path, Some(it), date)
        });
        let lot = Lot {
            amount: amount?,
            expires_on: expires_on.map_or(Some(None), |it| it.map(Some))?,
        };
        let (currency, expires_on) = (lot.amount.currency().code(), lot.expires_on);
        let expiry = expires_on.map(|it| it.to_string()).unwrap_or_default();
        self.once(path, "lot", format!("{} {currency} {expiry}", parent(path)));
        Some(lot)
    }

    /// An amount with no more digits than its currency has.
    fn money(
        &mut self,
        path: &str,
        currency: Option<Currency>,
        amount: Option<Text>,
    ) -> Option<Money> {
        let price = self.need(path, amount, str::parse::<Price>)?;
        match Money::from_price(price, currency?) {
            Ok(money) => Some(money),
            Err(error) => {
                self.refuse(path, error.to_string());
                None
            }
        }
    }

    /// An amount above zero.
    fn amount(
        &mut self,
        path: &str,
        currency: Option<Text>,
        amount: Option<Text>,
    ) -> Option<Money> {
        let place = format!("{path}.currency");
        let currency = self.need(&place, currency, str::parse::<Currency>);
        let place = format!("{path}.amount");
        let money = self.money(&place, currency, amount)?;
        if money.minor() < 1 {
            self.refuse(&place, "must be above zero");
            return None;
        }
        Some(money)
    }
}

/// The list that an element is in.
fn parent(path: &str) -> &str {
    path.rsplit_once('[').map_or(path, |(list, _)| list)
}

fn free(text: &str) -> Result<String, String> {
    if text.chars().count() > TEXT_MAX {
        return Err(format!("must have at most {TEXT_MAX} characters"));
    }
    Ok(text.trim().to_owned())
}

fn short(text: &str) -> Result<String, String> {
    let text = free(text)?;
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(text)
}

fn date(text: &str) -> Result<jiff::civil::Date, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a date such as 2026-10-31"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(text: &str) -> Vec<String> {
        let flaws = Book::read(text.as_bytes()).unwrap_err();
        let shown = flaws
            .into_iter()
            .map(|it| format!("{} {}", it.path, it.message));
        shown.collect()
    }

    #[test]
    fn amounts_keep_their_digits_as_text_and_as_numbers() {
        let book = Book::read(
            br#"{"format": "tollbook.book/1", "customers": [{"key": 7, "credit": [{"currency": "USD", "amount": 70.10}],
                "subscription": {"plan": "basic", "startedOn": "2024-01-31", "anchorOn": "2024-01-31", "periodStartsOn": "2026-10-31",
                    "periodEndsOn": "2026-11-30", "used": [{"allowance": "talk", "quantity": "5400.123456789012"}]}}]}"#,
        )
        .unwrap();
        let customer = &book.customers[0];
        assert_eq!(customer.key, "7");
        assert_eq!(customer.credits, [Money::from_minor(7010, Currency::USD)]);
        let used = &customer.subscription.as_ref().unwrap().used[0];
        assert_eq!(used.quantity.to_string(), "5400.123456789012");
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        let book = r#"{"format": "other", "nextInvoiceNumber": "17", "customers": [
            {"key": "a", "numbers": ["+12024561111", "12", "+12024561111"], "tax": {"percent": "many"}},
            {"key": "a", "contacts": [{"role": "boss"}], "credit": [{"currency": "USD", "amount": "0.001"}],
             "wallet": [{"currency": "USD", "amount": "5", "expiresOn": "soon"}, {"currency": "XXA", "amount": "5"}]},
            {"invoices": [{"number": "1", "issuedOn": "2026-02-02", "dueOn": "2026-02-01", "currency": "USD", "total": "5", "open": "6"}]},
            {"key": "b", "subscription": {"plan": "p", "startedOn": "2026-03-01", "anchorOn": "2026-02-30", "periodStartsOn": "2026-02-01",
             "used": [{"allowance": "talk", "quantity": -1}]}}]}"#;
        let flaws = flaws(book);
        let paths: Vec<&str> = flaws.iter().filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(
            paths,
            [
                "format",
                "nextInvoiceNumber",
                "customers[0].tax.percent",
                "customers[0].numbers[1]",
                "customers[0].numbers[2]",
                "customers[1].key",
                "customers[1].contacts[0].name",
                "customers[1].credit[0].amount",
                "customers[1].wallet[0].expiresOn",
                "customers[1].wallet[1].currency",
                "customers[2].key",
                "customers[2].invoices[0].dueOn",
                "customers[2].invoices[0].open",
                "customers[3].subscription.anchorOn",
                "customers[3].subscription.periodEndsOn",
                "customers[3].subscription.startedOn",
                "customers[3].subscription.used[0].quantity",
            ]
        );
    }

    #[test]
    fn an_unknown_name_and_a_wrong_kind_are_told_with_their_place() {
        let unknown =
            flaws(r#"{"format": "tollbook.book/1", "customers": [{"key": "a", "phone": "1"}]}"#);
        assert!(unknown[0].starts_with("customers[0].phone "), "{unknown:?}");
        let list = flaws(r#"{"format": "tollbook.book/1", "customers": [{"key": ["a"]}]}"#);
        assert!(list[0].starts_with("customers[0].key "), "{list:?}");
    }
}
