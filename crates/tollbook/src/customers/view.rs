//! The pages of customers.

use askama::Template;

use crate::calls::view::card::{HoursLeft, OpenInvoice};
use crate::calls::view::list::CommunicationRow;
use crate::invoices::view::InvoiceRow;
use crate::pages::chart::columns::Columns;
use crate::pages::number::Amount;
use crate::pages::phone::Phone;
use crate::pages::reply::Fragments;
use crate::pages::time::Stamp;
use crate::pages::{Note, Page, Pager, Tab};

/// What ties a customer to the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Subscriber,
    /// Had a subscription.
    Expired,
    /// Pays by the call.
    PayPerCall,
    /// Called once and is nobody's customer yet.
    Prospect,
}

impl Standing {
    pub(crate) fn label(self, page: &Page) -> String {
        match self {
            Self::Subscriber => page.say("standing-subscriber"),
            Self::Expired => page.say("standing-expired"),
            Self::PayPerCall => page.say("standing-pay-per-call"),
            Self::Prospect => page.say("standing-prospect"),
        }
        .to_string()
    }

    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Subscriber => "good",
            Self::Expired => "bad",
            Self::PayPerCall => "warn",
            Self::Prospect => "quiet",
        }
    }
}

/// One customer in the list.
#[derive(Clone, Debug)]
pub(crate) struct CustomerRow {
    pub(crate) id: String,
    pub(crate) href: String,
    pub(crate) name: String,
    pub(crate) company: Option<String>,
    pub(crate) standing: Standing,
    pub(crate) plan: Option<String>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) hours: Option<HoursLeft>,
    /// What is open; `None` when nothing is.
    pub(crate) open: Option<Amount>,
    pub(crate) last_call: Option<Stamp>,
}

/// The list of customers.
#[derive(Clone, Debug, Template)]
#[template(path = "customers/list.html", blocks = ["list"])]
pub(crate) struct CustomersPage {
    pub(crate) page: Page,
    pub(crate) tabs: Vec<Tab>,
    /// Name or number, as typed.
    pub(crate) q: String,
    /// The tab's value, kept by the search form.
    pub(crate) tab: String,
    pub(crate) rows: Vec<CustomerRow>,
    pub(crate) pager: Pager,
    /// Set when the list is there to find whom a caller's number belongs to.
    pub(crate) linking: Option<Linking>,
}

/// A caller's number that is to be given to a customer.
#[derive(Clone, Debug)]
pub(crate) struct Linking {
    pub(crate) call_id: String,
    pub(crate) phone: Phone,
}

impl Fragments for CustomersPage {
    fn fragment(&self, id: &str) -> Option<askama::Result<String>> {
        (id == "list").then(|| self.as_list().render())
    }
}

/// A person or department of the customer, with their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phones: Vec<Phone>,
}

/// The customer's contract.
#[derive(Clone, Debug)]
pub(crate) struct SubscriptionView {
    pub(crate) plan: String,
    /// In words: `Active`, `Paused`, `Ends Nov 30`.
    pub(crate) state: String,
    pub(crate) is_active: bool,
    /// `$450.00 a month`.
    pub(crate) price: String,
    /// `Nov 1 to Nov 30`.
    pub(crate) period: String,
    pub(crate) renews_on: Option<String>,
    /// What happens past the included hours: `$1.20 per minute`.
    pub(crate) overage: Option<String>,
}

/// The page of one customer.
#[derive(Clone, Debug, Template)]
#[template(path = "customers/customer.html")]
pub(crate) struct CustomerPage {
    pub(crate) page: Page,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) company: Option<String>,
    pub(crate) standing: Standing,
    /// What there is to look at; for those who may see it.
    pub(crate) alerts: Vec<String>,
    /// Since when they are known: `Mar 3, 2025`.
    pub(crate) since: String,
    pub(crate) contacts: Vec<Contact>,
    pub(crate) subscription: Option<SubscriptionView>,
    pub(crate) hours: Option<HoursLeft>,
    /// What is open in all; zero when nothing is.
    pub(crate) balance: Amount,
    pub(crate) open_invoices: Vec<OpenInvoice>,
    /// Rated and not invoiced yet, in this period; `None` for those who may not see charges.
    pub(crate) unbilled: Option<Amount>,
    /// Time per day in this period.
    pub(crate) usage: Option<Columns>,
    /// The latest, about ten.
    pub(crate) history: Vec<CommunicationRow>,
    /// All of the history.
    pub(crate) history_href: String,
    pub(crate) invoices: Vec<InvoiceRow>,
    pub(crate) notes: Vec<Note>,
    pub(crate) may_write: bool,
    /// What was typed into the note that was refused, and why.
    pub(crate) refused_note: Option<(String, String)>,
}
