//! The page on which an admin corrects a call, and sees what that changes before it is done.

use askama::Template;
use serde::Deserialize;

use crate::invoices::act_view::{Changed, Field};
use crate::pages::{Choice, Page, Party};

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PageAct {
    /// It is another customer's.
    Move,
    /// It is not billed.
    Waive,
    /// It is billed again.
    Bill,
}

impl PageAct {
    /// The end of the page's address.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Waive => "waive",
            Self::Bill => "bill",
        }
    }

    fn is_move(self) -> bool {
        self == Self::Move
    }
}

/// What the act would change now.
#[derive(Clone, Debug)]
pub(crate) struct EffectView {
    pub(crate) rows: Vec<Changed>,
    /// Credit notes that would be issued.
    pub(crate) notes: Vec<String>,
    /// What the confirmation sends: the form again, and what was seen.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// The page.
#[derive(Clone, Debug, Template)]
#[template(path = "corrections/correct.html")]
pub(crate) struct CorrectPage {
    pub(crate) page: Page,
    pub(crate) act: PageAct,
    pub(crate) with: Party,
    /// Of the call.
    pub(crate) href: String,
    /// What was looked for among customers.
    pub(crate) query: String,
    /// Those who were found.
    pub(crate) customers: Vec<Choice>,
    /// Why nobody is chosen.
    pub(crate) customer_problem: Option<String>,
    pub(crate) reason: Field,
    /// Why it cannot be done, where no field is to blame.
    pub(crate) problem: Option<String>,
    /// `None` until the form is filled in.
    pub(crate) effect: Option<EffectView>,
}

impl CorrectPage {
    fn heading(&self) -> String {
        match self.act {
            PageAct::Move => self.page.say("correct-move-title"),
            PageAct::Waive => self.page.say("correct-waive-title"),
            PageAct::Bill => self.page.say("correct-bill-title"),
        }
        .to_string()
    }

    fn lede(&self) -> String {
        match self.act {
            PageAct::Move => self.page.say("correct-move-lede"),
            PageAct::Waive => self.page.say("correct-waive-lede"),
            PageAct::Bill => self.page.say("correct-bill-lede"),
        }
        .to_string()
    }
}
