//! The page on which somebody pays, credits or withdraws an invoice, and sees what that changes before it is done.

use askama::Template;
use serde::Deserialize;

use crate::pages::number::Amount;
use crate::pages::{Choice, Page};

/// What is done to an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    Payment,
    CreditNote,
    Void,
}

impl Act {
    /// The end of the page's address.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::CreditNote => "credit-note",
            Self::Void => "void",
        }
    }

    fn is_payment(self) -> bool {
        self == Self::Payment
    }

    fn has_amount(self) -> bool {
        self != Self::Void
    }
}

/// A field of the form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Field {
    /// As typed.
    pub(crate) value: String,
    /// Why it cannot be taken.
    pub(crate) problem: Option<String>,
}

/// An amount that changes.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) label: String,
    pub(crate) before: Amount,
    pub(crate) after: Amount,
}

/// What the act would change now.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) rows: Vec<Changed>,
    /// What happens beside that.
    pub(crate) note: Option<String>,
    /// What the confirmation sends: the form again, and what was seen.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// The page.
#[derive(Clone, Debug, Template)]
#[template(path = "invoices/act.html")]
pub(crate) struct ActPage {
    pub(crate) page: Page,
    pub(crate) act: Act,
    /// Of the invoice.
    pub(crate) number: String,
    pub(crate) href: String,
    /// ISO 4217 code.
    pub(crate) currency: String,
    pub(crate) channels: Vec<Choice>,
    pub(crate) amount: Field,
    pub(crate) reference: Field,
    pub(crate) received_on: Field,
    pub(crate) reason: Field,
    /// Why it cannot be done, where no field is to blame.
    pub(crate) problem: Option<String>,
    /// `None` until the form is filled in.
    pub(crate) effect: Option<Effect>,
}

impl ActPage {
    fn heading(&self) -> String {
        let number = self.number.as_str();
        match self.act {
            Act::Payment => self.page.say("act-payment-title").with("number", number),
            Act::CreditNote => self.page.say("act-credit-title").with("number", number),
            Act::Void => self.page.say("act-void-title").with("number", number),
        }
        .to_string()
    }

    fn lede(&self) -> String {
        match self.act {
            Act::Payment => self.page.say("act-payment-lede"),
            Act::CreditNote => self.page.say("act-credit-lede"),
            Act::Void => self.page.say("act-void-lede"),
        }
        .to_string()
    }

    fn confirm(&self) -> String {
        match self.act {
            Act::Payment => self.page.say("act-payment-confirm"),
            Act::CreditNote => self.page.say("act-credit-confirm"),
            Act::Void => self.page.say("act-void-confirm"),
        }
        .to_string()
    }
}
