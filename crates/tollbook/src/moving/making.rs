//! Sorts a book into what is new, what is here, and what cannot be.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;
use tollbook_core::ids::{CustomerId, ImportId, OrganizationId};
use tollbook_core::invoices::InvoiceNumber;
use tollbook_core::money::{Currency, Money};
use tollbook_core::moving::{self, Book, Kind};
use tollbook_core::subscriptions::Schedule;
use tollbook_core::time::{Period, TimeError, Zone};
use uuid::Uuid;

use super::brought::Remark;
use super::entries::{NUMBER, credit_key, lot_key};
use super::there::{Known, Numbers, There};
use crate::customers::{NewContact, NewCustomer, Profile, is_email};
use crate::error::{Error, FieldError, Result};
use crate::ids::new_id;
use crate::invoices::OpeningInvoice;
use crate::subscriptions::{Opening, UsedBefore};
use crate::wallets::{OpeningLot, OpeningWallet};

/// What is to be made.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) import: ImportId,
    pub(super) customers: Vec<NewCustomer>,
    pub(super) wallets: Vec<OpeningWallet>,
    pub(super) subscriptions: Vec<Opening>,
    pub(super) used: Vec<Used>,
    pub(super) invoices: Vec<OpeningInvoice>,
    pub(super) credits: Vec<Credit>,
    /// The seller's numbers afterwards, where the book says where they go on.
    pub(super) numbers: Option<Numbers>,
    pub(super) rows: Vec<Row>,
    pub(super) unchanged: usize,
    pub(super) differs: Vec<Remark>,
    pub(super) notes: Vec<Remark>,
    pub(super) flaws: Vec<FieldError>,
}

/// What was used of an allowance, and where the book says so.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) path: String,
    pub(super) key: String,
    pub(super) customer: CustomerId,
    pub(super) before: UsedBefore,
    pub(super) item: Value,
}

/// What a customer has paid beyond what they owe.
#[derive(Debug)]
pub(super) struct Credit {
    pub(super) id: Uuid,
    pub(super) customer: CustomerId,
    pub(super) amount: Money,
}

/// A row that says what was made of what.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) made: Uuid,
    pub(super) customer: Option<CustomerId>,
    pub(super) amount: Option<Money>,
    pub(super) quantity: Option<rust_decimal::Decimal>,
    pub(super) item: Value,
}

impl Row {
    pub(super) fn new(kind: Kind, key: String, made: Uuid, item: Value) -> Self {
        Self {
            kind,
            key,
            made,
            customer: None,
            amount: None,
            quantity: None,
            item,
        }
    }

    pub(super) fn of(mut self, customer: CustomerId) -> Self {
        self.customer = Some(customer);
        self
    }

    fn worth(mut self, amount: Money) -> Self {
        self.amount = Some(amount);
        self
    }
}

/// A customer that something is brought in for.
#[derive(Clone, Copy)]
struct Target<'b> {
    customer: &'b moving::Customer,
    known: Known,
    is_new: bool,
}

/// Sorts a book.
pub(super) fn sort(
    book: &Book,
    there: &There,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Making> {
    let mut sorter = Sorter {
        there,
        now,
        making: Making {
            import: new_id(),
            customers: Vec::new(),
            wallets: Vec::new(),
            subscriptions: Vec::new(),
            used: Vec::new(),
            invoices: Vec::new(),
            credits: Vec::new(),
            numbers: None,
            rows: Vec::new(),
            unchanged: 0,
            differs: Vec::new(),
            notes: Vec::new(),
            flaws: Vec::new(),
        },
    };
    sorter.number(book, organization)?;
    for (index, customer) in book.customers.iter().enumerate() {
        sorter.customer(&format!("customers[{index}]"), customer)?;
    }
    Ok(sorter.making)
}

struct Sorter<'t> {
    there: &'t There,
    now: Timestamp,
    making: Making,
}

fn item(of: &impl Serialize) -> Result<Value> {
    serde_json::to_value(of).map_err(|e| Error::Internal(format!("a book cannot be kept: {e}")))
}

fn beyond(error: &TimeError) -> Error {
    Error::Internal(format!("a time of a book: {error}"))
}

impl Sorter<'_> {
    fn zone(&self) -> &Zone {
        &self.there.business.zone
    }

    fn flaw(&mut self, field: String, message: impl Into<String>) {
        let message = message.into();
        self.making.flaws.push(FieldError { field, message });
    }

    fn differs(&mut self, path: &str, message: &str) {
        self.making.differs.push(Remark {
            path: path.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Whether something was not brought in before.
    fn is_new(&mut self, kind: Kind, key: &str, item: &Value, path: &str) -> bool {
        match self.there.items.get(&(kind, key.to_owned())) {
            None => return true,
            Some(known) if known == item => self.making.unchanged += 1,
            Some(_) => self.differs(path, "was brought in otherwise, and stays as it is"),
        }
        false
    }

    fn number(&mut self, book: &Book, organization: OrganizationId) -> Result<()> {
        let Some(number) = &book.next_number else {
            return Ok(());
        };
        let (path, text) = ("nextInvoiceNumber", number.to_string());
        let item = item(&text)?;
        if !self.is_new(Kind::Number, NUMBER, &item, path) {
            return Ok(());
        }
        let (year, this_year) = (i32::from(number.year()), self.zone().date(self.now).year());
        if year != i32::from(this_year) {
            self.flaw(path.into(), format!("must be of the year {this_year}"));
            return Ok(());
        }
        if self.there.has_issued && self.there.numbers.year == year {
            self.flaw(
                path.into(),
                "comes too late: numbers of this year were given here",
            );
            return Ok(());
        }
        let sequence = i64::from(number.sequence());
        let prefix = text.split('-').next().unwrap_or_default().to_owned();
        self.making.numbers = Some(Numbers {
            prefix,
            year,
            next: sequence,
            opening_year: Some(year),
            opening_number: Some(sequence),
        });
        let row = Row::new(Kind::Number, NUMBER.to_owned(), organization.uuid(), item);
        self.making.rows.push(row);
        Ok(())
    }

    fn customer(&mut self, path: &str, customer: &moving::Customer) -> Result<()> {
        let item = item(customer)?;
        let known = self.there.customers.get(&customer.key).copied();
        let was_made = (Kind::Customer, customer.key.clone());
        let known = match known {
            Some(known) if self.there.items.contains_key(&was_made) => {
                self.is_new(Kind::Customer, &customer.key, &item, path);
                Some(known)
            }
            Some(known) => {
                self.differs(path, "is a customer here already, and stays as it is");
                Some(known)
            }
            None if self.there.items.contains_key(&was_made) => {
                self.differs(
                    path,
                    "was brought in and has another key now; nothing is done for it",
                );
                return Ok(());
            }
            None => None,
        };
        let target = Target {
            customer,
            is_new: known.is_none(),
            known: match known {
                Some(known) => known,
                None => self.make_customer(path, customer, item),
            },
        };
        if let Some(subscription) = &customer.subscription {
            self.subscription(&format!("{path}.subscription"), target, subscription)?;
        }
        for (index, invoice) in customer.invoices.iter().enumerate() {
            self.invoice(&format!("{path}.invoices[{index}]"), target, invoice)?;
        }
        for (index, amount) in customer.credits.iter().enumerate() {
            self.credit(&format!("{path}.credit[{index}]"), target, *amount)?;
        }
        self.lots(path, target)
    }

    fn make_customer(&mut self, path: &str, customer: &moving::Customer, item: Value) -> Known {
        let profile = Profile {
            name: customer.name.clone(),
            email: customer.email.clone(),
            zone: customer.zone.clone(),
            country: customer.country.clone(),
            external_key: Some(customer.key.clone()),
            tax_exempt: customer.tax.exempt,
            tax_percent: customer.tax.percent,
            tax_inclusive: customer.tax.inclusive,
        };
        if let Err(Error::Invalid(errors)) = profile.check() {
            for error in errors {
                let field = match error.field.as_str() {
                    "externalKey" => "key",
                    "taxPercent" => "tax.percent",
                    other => other,
                };
                self.flaw(format!("{path}.{field}"), error.message);
            }
        }
        for (index, contact) in customer.contacts.iter().enumerate() {
            if contact.email.as_deref().is_some_and(|it| !is_email(it)) {
                let field = format!("{path}.contacts[{index}].email");
                self.flaw(field, "is not a mail address");
            }
        }
        for (index, number) in customer.numbers.iter().enumerate() {
            if self.there.shared_numbers.contains(number.as_str()) {
                self.making.notes.push(Remark {
                    path: format!("{path}.numbers[{index}]"),
                    message: format!(
                        "{} is another customer's or prospect's too",
                        number.as_str()
                    ),
                });
            }
        }
        let new = NewCustomer {
            id: new_id(),
            account: new_id(),
            profile,
            numbers: customer.numbers.clone(),
            contacts: customer.contacts.iter().map(contact).collect(),
        };
        let known = Known {
            id: new.id,
            account: new.account,
            is_subscribed: false,
        };
        let key = customer.key.clone();
        let account = Row::new(Kind::Account, key.clone(), new.account.uuid(), Value::Null);
        let own = Row::new(Kind::Customer, key, new.id.uuid(), item);
        self.making
            .rows
            .extend([account.of(new.id), own.of(new.id)]);
        self.making.customers.push(new);
        known
    }

    fn subscription(
        &mut self,
        path: &str,
        target: Target<'_>,
        subscription: &moving::Subscription,
    ) -> Result<()> {
        let (item, key) = (item(subscription)?, target.customer.key.clone());
        if !self.is_new(Kind::Subscription, &key, &item, path) {
            return Ok(());
        }
        if target.known.is_subscribed {
            self.differs(path, "there is a subscription here already");
            return Ok(());
        }
        let Some(offered) = self.there.plans.get(&subscription.plan).copied() else {
            self.flaw(
                format!("{path}.plan"),
                "is no published plan for subscriptions",
            );
            return Ok(());
        };
        let interval = offered.interval_months;
        let Some(period) = self.period(path, subscription, interval)? else {
            return Ok(());
        };
        let opening = Opening {
            id: new_id(),
            customer: target.known.id,
            account: target.known.account,
            version: offered.version,
            interval_months: interval,
            anchor_on: subscription.anchor_on,
            contracted_on: subscription.started_on,
            period,
        };
        for (index, used) in subscription.used.iter().enumerate() {
            self.making.used.push(Used {
                path: format!("{path}.used[{index}].quantity"),
                key: format!("{key}/{}", used.allowance),
                customer: target.known.id,
                before: UsedBefore {
                    subscription: opening.id,
                    allowance: used.allowance.clone(),
                    quantity: used.quantity.to_decimal(),
                },
                item: self::item(used)?,
            });
        }
        let row = Row::new(Kind::Subscription, key, opening.id.uuid(), item);
        self.making.rows.push(row.of(target.known.id));
        self.making.subscriptions.push(opening);
        Ok(())
    }

    /// The period of now by the plan, if it is that of the book.
    fn period(
        &mut self,
        path: &str,
        subscription: &moving::Subscription,
        interval_months: i32,
    ) -> Result<Option<Period>> {
        let zone = self.zone().clone();
        let schedule = Schedule::new(subscription.anchor_on, interval_months.into(), zone.clone());
        let schedule = schedule.map_err(|e| Error::Internal(format!("a plan: {e}")))?;
        let index = schedule.index_at(self.now).map_err(|e| beyond(&e))?;
        let period = schedule.period(index).map_err(|e| beyond(&e))?;
        let (from, until) = (zone.date(period.start()), zone.date(period.end()));
        let field = if subscription.period_starts_on != from {
            "periodStartsOn"
        } else if subscription.period_ends_on != until {
            "periodEndsOn"
        } else {
            return Ok(Some(period));
        };
        let message = format!("the plan's period of now is from {from} to before {until}");
        self.flaw(format!("{path}.{field}"), message);
        Ok(None)
    }

    fn invoice(&mut self, path: &str, target: Target<'_>, invoice: &moving::Invoice) -> Result<()> {
        let item = item(invoice)?;
        if !self.is_new(Kind::Invoice, &invoice.number, &item, path) {
            return Ok(());
        }
        if self.is_given_here(&invoice.number) {
            let message =
                "is a number that is given here; `nextInvoiceNumber` says where these go on";
            self.flaw(format!("{path}.number"), message);
        }
        let zone = self.zone().clone();
        let day = zone
            .day(day_start(&zone, invoice.issued_on)?)
            .map_err(|e| beyond(&e))?;
        if day.start() > self.now {
            self.flaw(format!("{path}.issuedOn"), "is in the future");
        }
        let opening = OpeningInvoice {
            id: new_id(),
            customer: target.known.id,
            number: invoice.number.clone(),
            day,
            due_at: day_start(&zone, invoice.due_on)?,
            total: invoice.total,
            tax: invoice.tax,
            open: invoice.open,
        };
        let key = invoice.number.clone();
        let row = Row::new(Kind::Invoice, key, opening.id.uuid(), item);
        let row = row.of(target.known.id).worth(invoice.open);
        self.making.rows.push(row);
        self.making.invoices.push(opening);
        Ok(())
    }

    /// Whether a number of another system is one that this one gave or gives.
    fn is_given_here(&self, number: &str) -> bool {
        let numbers = self.making.numbers.as_ref().unwrap_or(&self.there.numbers);
        let Ok(parsed) = number.parse::<InvoiceNumber>() else {
            return false;
        };
        let year = i32::from(parsed.year());
        let first = match (numbers.opening_year, numbers.opening_number) {
            (Some(opening), Some(first)) if opening == year => first,
            _ => 1,
        };
        number.split('-').next() == Some(numbers.prefix.as_str())
            && year >= numbers.year
            && i64::from(parsed.sequence()) >= first
    }

    fn credit(&mut self, path: &str, target: Target<'_>, amount: Money) -> Result<()> {
        let (item, key) = (item(&amount)?, credit_key(target.customer, amount));
        if !self.is_new(Kind::Credit, &key, &item, path) {
            return Ok(());
        }
        let credit = Credit {
            id: new_id(),
            customer: target.known.id,
            amount,
        };
        let row = Row::new(Kind::Credit, key, credit.id, item);
        self.making.rows.push(row.of(credit.customer).worth(amount));
        self.making.credits.push(credit);
        Ok(())
    }

    fn lots(&mut self, path: &str, target: Target<'_>) -> Result<()> {
        let mut wallets: BTreeMap<&str, (Currency, Vec<OpeningLot>)> = BTreeMap::new();
        for (index, lot) in target.customer.lots.iter().enumerate() {
            let path = format!("{path}.wallet[{index}]");
            let (item, key) = (item(lot)?, lot_key(target.customer, lot));
            if !self.is_new(Kind::Lot, &key, &item, &path) {
                continue;
            }
            if !target.is_new {
                self.differs(&path, "the customer is here already: top their wallet up");
                continue;
            }
            let zone = self.zone().clone();
            let expires_at = lot.expires_on.map(|it| day_start(&zone, it)).transpose()?;
            if expires_at.is_some_and(|end| end <= self.now) {
                self.flaw(format!("{path}.expiresOn"), "is over");
            }
            let opening = OpeningLot {
                id: new_id(),
                amount: lot.amount,
                expires_at,
            };
            let row = Row::new(Kind::Lot, key, opening.id.uuid(), item);
            self.making
                .rows
                .push(row.of(target.known.id).worth(lot.amount));
            let currency = lot.amount.currency();
            let wallet = wallets
                .entry(currency.code())
                .or_insert((currency, Vec::new()));
            wallet.1.push(opening);
        }
        for (code, (currency, lots)) in wallets {
            let wallet = OpeningWallet {
                id: new_id(),
                account: target.known.account,
                customer: target.known.id,
                currency,
                lots,
            };
            let key = format!("{}/{code}", target.customer.key);
            let row = Row::new(Kind::Wallet, key, wallet.id.uuid(), Value::Null);
            self.making.rows.push(row.of(target.known.id));
            self.making.wallets.push(wallet);
        }
        Ok(())
    }
}

fn contact(of: &moving::Contact) -> NewContact {
    NewContact {
        name: of.name.clone(),
        email: of.email.clone(),
        role: of.role.clone(),
    }
}

fn day_start(zone: &Zone, date: Date) -> Result<Timestamp> {
    zone.day_start(date).map_err(|e| beyond(&e))
}
