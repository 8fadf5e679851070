//! Which communications are asked for.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::{Direction, MessageStatus, Outcome, Phase};
use tollbook_core::ids::{CustomerId, OrganizationId, PhoneNumberId};
use tollbook_core::phone::calling_code;
use uuid::Uuid;

use crate::error::Result;
use crate::search;

/// Customers that a search looks at; more words make it narrower.
const CUSTOMERS_MAX: i64 = 50;

/// What kind of communication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Call,
    Message,
    Voicemail,
}

/// What is wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// One kind, or all.
    pub(crate) kind: Option<Kind>,
    pub(crate) direction: Option<Direction>,
    /// Of a call.
    pub(crate) phase: Option<Phase>,
    /// Of a call.
    pub(crate) outcomes: Option<Vec<Outcome>>,
    /// Of a message.
    pub(crate) statuses: Option<Vec<MessageStatus>>,
    pub(crate) number: Option<PhoneNumberId>,
    pub(crate) customer: Option<CustomerId>,
    /// With whom; `None` unless somebody is looked for.
    pub(crate) people: Option<People>,
    /// The first instant.
    pub(crate) from: Option<Timestamp>,
    /// The first instant that is too late.
    pub(crate) to: Option<Timestamp>,
}

impl Filter {
    /// Whether communications of a kind can be what is wanted.
    pub(crate) fn admits(&self, kind: Kind) -> bool {
        let can_be = match kind {
            Kind::Call => self.statuses.is_none(),
            Kind::Message => self.outcomes.is_none() && self.phase.is_none(),
            // A voicemail is what became of a call.
            Kind::Voicemail => {
                self.statuses.is_none()
                    && self.phase.is_none()
                    && self.direction != Some(Direction::Outgoing)
                    && self
                        .outcomes
                        .as_ref()
                        .is_none_or(|outcomes| outcomes.contains(&Outcome::Voicemail))
            }
        };
        can_be && self.kind.is_none_or(|wanted| wanted == kind)
    }
}

/// Whom a search has found: customers, and numbers that begin with what was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct People {
    pub(super) customers: Vec<Uuid>,
    /// At or after the first and before the second; two of them.
    pub(super) numbers: [(String, String); 2],
}

/// Who is meant by what was typed: a name, or the beginning of a number in any spelling. `country` is the organization's.
pub(crate) async fn people(
    tx: &mut PgConnection,
    organization: OrganizationId,
    country: &str,
    typed: &str,
) -> Result<Option<People>> {
    let words = search::query_words(typed);
    if words.is_empty() {
        return Ok(None);
    }
    let found = search::find(
        tx,
        organization,
        search::Kind::Customer,
        &words,
        None,
        CUSTOMERS_MAX,
    )
    .await?;
    let mut customers: Vec<Uuid> = found.into_iter().map(|found| found.id).collect();
    customers.sort_unstable();
    customers.dedup();
    let numbers = match words.as_slice() {
        [digits] if digits.bytes().all(|byte| byte.is_ascii_digit()) => prefixes(digits, country),
        _ => Default::default(),
    };
    Ok(Some(People { customers, numbers }))
}

/// The beginnings, in international form, of numbers that a person types as `digits`.
fn prefixes(digits: &str, country: &str) -> [(String, String); 2] {
    let range = |prefix: String| {
        let past = format!("{prefix}:");
        (prefix, past)
    };
    let international = range(format!("+{digits}"));
    let national = calling_code(country).map(|code| {
        // The leading zero is dialled within the country only.
        range(format!("+{code}{}", digits.trim_start_matches('0')))
    });
    [international, national.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_meant_in_both_forms() {
        let [international, national] = prefixes("212555", "US");
        assert_eq!(international, ("+212555".into(), "+212555:".into()));
        assert_eq!(national, ("+1212555".into(), "+1212555:".into()));
        let [_, national] = prefixes("030901", "DE");
        assert_eq!(national.0, "+4930901");
        // Every number that begins so lies within, and no other.
        assert!("+4930901820" >= national.0.as_str() && "+4930901820" < national.1.as_str());
        assert!("+4930902" >= national.1.as_str());
    }

    #[test]
    fn a_filter_leaves_out_kinds_that_cannot_match() {
        let missed = Filter {
            outcomes: Some(vec![Outcome::Missed]),
            ..Filter::default()
        };
        assert!(missed.admits(Kind::Call));
        assert!(!missed.admits(Kind::Message) && !missed.admits(Kind::Voicemail));
        let outgoing = Filter {
            direction: Some(Direction::Outgoing),
            ..Filter::default()
        };
        assert!(outgoing.admits(Kind::Message) && !outgoing.admits(Kind::Voicemail));
    }
}
