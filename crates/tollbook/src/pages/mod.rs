//! What all pages share: the frame around a page, texts, money, times, numbers, charts, and the answer itself.
//!
//! A page is one template and one plain struct in the capability's `view`. The struct holds text that is ready
//! to be shown; nothing in a template computes, and no type of the database reaches one.

pub(crate) mod address;
pub(crate) mod chart;
pub(crate) mod duration;
pub(crate) mod number;
pub(crate) mod phone;
pub(crate) mod reply;
pub(crate) mod text;
pub(crate) mod time;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use number::Amount;
use phone::Phone;
use text::{Message, Text};
use time::{Stamp, Viewer};

/// The frame around a page: who looks, where they are, and what every page carries.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Language, zone and the instant of the page.
    pub(crate) viewer: Viewer,
    /// The entry of the navigation that is current.
    pub(crate) section: Section,
    /// The signed-in person; `None` on pages without a session.
    pub(crate) account: Option<Account>,
    /// Token of the session, repeated by every form that changes something.
    pub(crate) csrf: String,
    /// Path and query of this page, for coming back to it.
    pub(crate) address: String,
    /// Light, dark, or as the system has it.
    pub(crate) scheme: Scheme,
    /// A sentence about what was just done, shown once.
    pub(crate) toast: Option<String>,
    /// Seconds of business per second of the system, for clocks that go on: 1, except in a demo.
    pub(crate) pace: u32,
    /// Alerts that are open, as far as the page has counted them.
    pub(crate) alerts: i64,
}

impl Page {
    /// A message in the viewer's language.
    pub(crate) fn say(&self, key: &'static str) -> Message {
        self.viewer.text.say(key)
    }

    /// The viewer's language.
    pub(crate) fn text(&self) -> Text {
        self.viewer.text
    }
}

/// The person in front of the page.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) email: String,
    /// The role in the current organization, in words (see [`role`]).
    pub(crate) role: String,
    /// Whether they administer it, or the platform.
    pub(crate) is_admin: bool,
    /// The current organization.
    pub(crate) organization: String,
    /// Organizations to choose from; empty when there is only one.
    pub(crate) organizations: Vec<OrganizationChoice>,
    /// Address of the event stream of this person's scope.
    pub(crate) stream: String,
}

/// One organization in the switcher.
#[derive(Clone, Debug)]
pub(crate) struct OrganizationChoice {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) is_current: bool,
}

/// The roles that have pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    PlatformAdmin,
    OrganizationAdmin,
    OrganizationMember,
}

/// A role in words.
pub(crate) fn role(text: Text, role: Role) -> String {
    match role {
        Role::PlatformAdmin => text.say("role-platform-admin"),
        Role::OrganizationAdmin => text.say("role-organization-admin"),
        Role::OrganizationMember => text.say("role-organization-member"),
    }
    .to_string()
}

/// The entries of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Live,
    Communications,
    Customers,
    Invoices,
    /// What to look at; for administrators.
    Alerts,
    /// Giving a number to a tenant; for administrators.
    Onboard,
    /// Not in the navigation: search, errors, sign-in.
    None,
}

/// A person's choice of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    #[default]
    System,
    Light,
    Dark,
}

impl Scheme {
    /// From the cookie or form value; anything unknown follows the system.
    pub(crate) fn parse(value: &str) -> Self {
        match value {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    /// The value in cookie, form and `data-scheme`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Somebody at the other end: a customer, or only a number, or not even that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Party {
    /// The customer's or contact's name, if known.
    pub(crate) name: Option<String>,
    /// The customer a contact belongs to, if it is not the same name.
    pub(crate) company: Option<String>,
    /// The customer's page.
    pub(crate) href: Option<String>,
    /// The number; `None` when the caller withheld it.
    pub(crate) phone: Option<Phone>,
}

impl Party {
    /// The one thing to call them by, as plain text.
    pub(crate) fn label(&self, text: impl AsRef<Text>) -> String {
        match (&self.name, &self.phone) {
            (Some(name), _) => name.clone(),
            (None, Some(phone)) => phone.text().to_owned(),
            (None, None) => text.as_ref().say("party-anonymous").to_string(),
        }
    }

    /// Two letters for the disc beside the name; empty when there is no name.
    pub(crate) fn initials(&self) -> String {
        initials(self.name.as_deref().unwrap_or_default())
    }
}

/// An amount in a sentence that names a currency, or the fact that there is none yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Price {
    /// Rated.
    Amount(Amount),
    /// Nobody is known who could be charged.
    NoCustomer,
    /// Covered by the included hours.
    Included,
    /// Not rated yet; not the same as zero.
    Pending,
    /// Costs nothing: not answered, or not billable.
    Free,
    /// Not for the viewer to know.
    Hidden,
}

impl Price {
    /// As plain text; empty where there is nothing to say.
    pub(crate) fn plain(&self, text: Text) -> String {
        match self {
            Self::Amount(amount) => amount.exact().to_owned(),
            Self::NoCustomer => text.say("price-no-customer").to_string(),
            Self::Included => text.say("price-included").to_string(),
            Self::Pending => text.say("price-pending").to_string(),
            Self::Free | Self::Hidden => String::new(),
        }
    }
}

/// A note on a customer.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) author: String,
    pub(crate) at: Stamp,
    pub(crate) text: String,
}

/// One entry of a select box.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) is_current: bool,
}

/// One tab above a list: a link with its filter in the address.
#[derive(Clone, Debug)]
pub(crate) struct Tab {
    pub(crate) label: String,
    pub(crate) href: String,
    pub(crate) is_current: bool,
}

/// Links to the neighbouring pages of a list that is read by key, never by counting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pager {
    /// Back to the newest rows; `None` on the first page.
    pub(crate) first: Option<String>,
    /// The next older rows; `None` on the last page.
    pub(crate) next: Option<String>,
}

/// One entry of the navigation.
#[derive(Clone, Debug)]
pub(crate) struct NavEntry {
    pub(crate) href: &'static str,
    pub(crate) label: String,
    pub(crate) icon: &'static str,
    /// The keys that go there.
    pub(crate) key: &'static str,
    pub(crate) is_current: bool,
    /// How much waits there; 0 shows nothing.
    pub(crate) count: i64,
}

impl Page {
    pub(crate) fn navigation(&self) -> Vec<NavEntry> {
        let entry = |section, href, label: Message, icon, key| NavEntry {
            href,
            label: label.to_string(),
            icon,
            key,
            is_current: self.section == section,
            count: if section == Section::Alerts {
                self.alerts
            } else {
                0
            },
        };
        let mut entries = vec![
            entry(Section::Live, "/", self.say("nav-live"), "live", "g l"),
            entry(
                Section::Communications,
                "/communications",
                self.say("nav-communications"),
                "phone",
                "g c",
            ),
            entry(
                Section::Customers,
                "/customers",
                self.say("nav-customers"),
                "people",
                "g p",
            ),
            entry(
                Section::Invoices,
                "/invoices",
                self.say("nav-invoices"),
                "invoice",
                "g b",
            ),
        ];
        if self.account.as_ref().is_some_and(|it| it.is_admin) {
            let label = self.say("nav-alerts");
            entries.push(entry(Section::Alerts, "/alerts", label, "alert", "g a"));
            entries.push(entry(
                Section::Onboard,
                "/ops/numbers/onboard",
                self.say("nav-onboard"),
                "number",
                "g m",
            ));
        }
        entries
    }

    /// The pages whose name contains what was typed; all of them when nothing was.
    pub(crate) fn navigation_matching(&self, typed: &str) -> Vec<NavEntry> {
        let typed = typed.trim().to_lowercase();
        self.navigation()
            .into_iter()
            .filter(|it| it.label.to_lowercase().contains(&typed))
            .collect()
    }
}

impl Account {
    pub(crate) fn initials(&self) -> String {
        initials(&self.name)
    }
}

/// The first letters of the first two words.
fn initials(name: &str) -> String {
    let letters = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|it| it.is_alphanumeric()));
    letters.take(2).flat_map(char::to_uppercase).collect()
}
