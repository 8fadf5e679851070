//! The pages of invoices.

use askama::Template;

use crate::pages::number::Amount;
use crate::pages::reply::Fragments;
use crate::pages::text::Text;
use crate::pages::time::Stamp;
use crate::pages::{Page, Pager, Tab};

/// Where an invoice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvoiceState {
    Draft,
    /// Finalized, not yet due.
    Open,
    Overdue,
    Paid,
    Void,
    Uncollectible,
}

impl InvoiceState {
    pub(crate) fn label(self, text: impl AsRef<Text>) -> String {
        let text = text.as_ref();
        match self {
            Self::Draft => text.say("invoice-draft"),
            Self::Open => text.say("invoice-open"),
            Self::Overdue => text.say("invoice-overdue"),
            Self::Paid => text.say("invoice-paid"),
            Self::Void => text.say("invoice-void"),
            Self::Uncollectible => text.say("invoice-uncollectible"),
        }
        .to_string()
    }

    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Draft | Self::Void => "quiet",
            Self::Open => "live",
            Self::Overdue | Self::Uncollectible => "bad",
            Self::Paid => "good",
        }
    }
}

/// One invoice in a list.
#[derive(Clone, Debug)]
pub(crate) struct InvoiceRow {
    pub(crate) href: String,
    /// `None` for a draft: numbers are given when it is finalized.
    pub(crate) number: Option<String>,
    pub(crate) customer: String,
    pub(crate) state: InvoiceState,
    /// `Nov 1 to Nov 30`.
    pub(crate) period: String,
    /// `Nov 30, 2026`; `None` for a draft.
    pub(crate) issued_on: Option<String>,
    pub(crate) due_on: Option<String>,
    pub(crate) total: Amount,
    pub(crate) open: Amount,
}

/// The list of invoices.
#[derive(Clone, Debug, Template)]
#[template(path = "invoices/list.html", blocks = ["list"])]
pub(crate) struct InvoicesPage {
    pub(crate) page: Page,
    pub(crate) tabs: Vec<Tab>,
    /// Number of the invoice or name of the customer, as typed.
    pub(crate) q: String,
    /// The tab's value, kept by the search form.
    pub(crate) tab: String,
    pub(crate) rows: Vec<InvoiceRow>,
    pub(crate) pager: Pager,
}

impl Fragments for InvoicesPage {
    fn fragment(&self, id: &str) -> Option<askama::Result<String>> {
        (id == "list").then(|| self.as_list().render())
    }
}

/// Seller or buyer as printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address {
    pub(crate) name: String,
    /// Street, city, country, tax number: one line each.
    pub(crate) lines: Vec<String>,
}

/// A call behind a line.
#[derive(Clone, Debug)]
pub(crate) struct LineCall {
    pub(crate) href: String,
    pub(crate) at: Stamp,
    pub(crate) with: String,
    /// As it was: `21:40`.
    pub(crate) raw: String,
    /// How it was counted: `22 min`.
    pub(crate) billed: String,
    /// What the allowance took of it: `20 min`; `None` when nothing.
    pub(crate) included: Option<String>,
    /// `$1.20/min`; `None` when all of it was included.
    pub(crate) rate: Option<String>,
    pub(crate) amount: Amount,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct InvoiceLine {
    pub(crate) id: String,
    pub(crate) description: String,
    /// `Nov 1 to Nov 30`, or the date of late usage.
    pub(crate) detail: Option<String>,
    /// `130 min`.
    pub(crate) quantity: String,
    pub(crate) unit_price: String,
    pub(crate) amount: Amount,
    /// The first of them, about fifty.
    pub(crate) calls: Vec<LineCall>,
    /// How many there are in all.
    pub(crate) calls_count: u64,
    /// The list of all of them.
    pub(crate) calls_href: Option<String>,
}

/// A tax of the document.
#[derive(Clone, Debug)]
pub(crate) struct TaxLine {
    /// `Sales tax 8.875 %`.
    pub(crate) label: String,
    pub(crate) amount: Amount,
}

/// A way to the page of an act.
#[derive(Clone, Debug)]
pub(crate) struct ActLink {
    pub(crate) href: String,
    pub(crate) label: String,
    pub(crate) is_primary: bool,
}

/// The page of one invoice, as the customer sees it.
#[derive(Clone, Debug, Template)]
#[template(path = "invoices/invoice.html")]
pub(crate) struct InvoicePage {
    pub(crate) page: Page,
    pub(crate) id: String,
    pub(crate) number: Option<String>,
    pub(crate) state: InvoiceState,
    pub(crate) seller: Address,
    pub(crate) buyer: Address,
    /// `None` when the payer has no page here.
    pub(crate) customer_href: Option<String>,
    pub(crate) period: String,
    pub(crate) issued_on: Option<String>,
    pub(crate) due_on: Option<String>,
    /// ISO 4217 code.
    pub(crate) currency: String,
    pub(crate) lines: Vec<InvoiceLine>,
    pub(crate) subtotal: Amount,
    pub(crate) taxes: Vec<TaxLine>,
    pub(crate) total: Amount,
    pub(crate) paid: Amount,
    pub(crate) open: Amount,
    /// For a draft: from when it will be finalized by itself.
    pub(crate) finalizes_at: Option<Stamp>,
    /// Whether the viewer may finalize this draft now.
    pub(crate) may_finalize: bool,
    /// What credit notes gave back.
    pub(crate) credited: Amount,
    /// What may be done to it now.
    pub(crate) acts: Vec<ActLink>,
    /// Why it was withdrawn.
    pub(crate) void_reason: Option<String>,
    /// Whether everything of the period is on it; nothing for a draft and for what is not of a period.
    pub(crate) closing: Vec<String>,
    /// How to pay, and other words of the seller.
    pub(crate) footer: Option<String>,
}

impl InvoicePage {
    fn heading(&self) -> String {
        match &self.number {
            Some(number) => self
                .page
                .say("invoice-heading")
                .with("number", number.as_str())
                .to_string(),
            None => self
                .page
                .say("invoice-heading-draft")
                .with("customer", self.buyer.name.as_str())
                .to_string(),
        }
    }
}
