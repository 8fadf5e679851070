//! A phone number on a page: read in national form, copied in international form.

use askama::Template;
use askama::filters::HtmlSafe;
use tollbook_core::phone::{E164, Party};

/// A number to show. The script puts `data-e164` on the clipboard when the number is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r#"<bdi class="phone" data-e164="{{ e164 }}" title="{{ e164 }}">{{ shown }}</bdi>"#
)]
pub(crate) struct Phone {
    e164: String,
    shown: String,
}

impl Phone {
    /// `shown` is the national form for the organization's own country and the international one for others.
    /// For a short code or a SIP address both are the provider's text.
    fn new(e164: &str, shown: &str) -> Self {
        Self {
            e164: e164.to_owned(),
            shown: shown.to_owned(),
        }
    }

    /// The other side of a communication; `None` if it withheld its number. `country` is the organization's (`US`).
    pub(crate) fn of(party: &Party, country: &str) -> Option<Self> {
        match party {
            Party::Number(number) => Some(Self::new(number.as_str(), &number.display_in(country))),
            Party::Anonymous => None,
            Party::Other(text) => Some(Self::new(text, text)),
        }
    }

    /// A number of the organization or a customer, as [`Phone::of`].
    pub(crate) fn number(number: &E164, country: &str) -> Self {
        Self::new(number.as_str(), &number.display_in(country))
    }

    /// The international form.
    pub(crate) fn e164(&self) -> &str {
        &self.e164
    }

    /// The form people read, as plain text.
    pub(crate) fn text(&self) -> &str {
        &self.shown
    }
}

impl HtmlSafe for Phone {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_nationally_and_copied_internationally() {
        let html = Phone::new("+12125550100", "(212) 555-0100").to_string();
        assert_eq!(
            html,
            r#"<bdi class="phone" data-e164="+12125550100" title="+12125550100">(212) 555-0100</bdi>"#
        );
    }

    #[test]
    fn the_form_depends_on_the_organizations_country() {
        let party = Party::read("+12125550100");
        assert_eq!(Phone::of(&party, "US").unwrap().text(), "(212) 555-0100");
        assert_eq!(Phone::of(&party, "DE").unwrap().text(), "+1 212-555-0100");
        assert_eq!(Phone::of(&Party::Anonymous, "US"), None);
        assert_eq!(
            Phone::of(&Party::Other("sip:a@b".into()), "US")
                .unwrap()
                .e164(),
            "sip:a@b"
        );
    }

    #[test]
    fn markup_cannot_hide_in_a_number() {
        let html = Phone::new("\"><script>", "<b>").to_string();
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    }
}
