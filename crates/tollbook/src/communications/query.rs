//! A filter as an address or a program spells it.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use sqlx::PgConnection;
use tollbook_core::calls::{MessageStatus, Outcome, Phase};
use tollbook_core::ids::OrganizationId;

use super::filter::{Filter, Kind, people};
use crate::calls;
use crate::error::{Error, FieldError, Result};

/// What may stand in the address of a list. An empty value is no filter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Query {
    /// Name, or the beginning of a number in any spelling.
    pub(crate) q: String,
    /// `calls`, `messages`, `voicemails`, or all.
    pub(crate) tab: String,
    /// `incoming` or `outgoing`.
    pub(crate) direction: String,
    /// Of a call: one of the provider-neutral names, or for pages `completed`, `missed`, `failed`.
    pub(crate) outcome: String,
    /// Of a call.
    pub(crate) state: String,
    /// Of a message.
    pub(crate) status: String,
    /// Id of a number of the organization.
    pub(crate) number: String,
    /// The same.
    pub(crate) phone_number_id: String,
    pub(crate) customer_id: String,
    /// An instant, or a day in the reader's zone.
    pub(crate) from: String,
    /// An instant (too late), or the last day.
    pub(crate) to: String,
}

impl Query {
    /// The filter; fails with every field that cannot be taken. Days are those of `zone`.
    pub(crate) async fn filter(
        &self,
        tx: &mut PgConnection,
        organization: OrganizationId,
        zone: &TimeZone,
        kind: Option<Kind>,
    ) -> Result<Filter> {
        let mut filter = self.plain(zone, kind)?;
        if !self.q.trim().is_empty() {
            let country = calls::country(tx, organization).await?;
            filter.people = people(tx, organization, &country, &self.q).await?;
        }
        Ok(filter)
    }

    fn plain(&self, zone: &TimeZone, kind: Option<Kind>) -> Result<Filter> {
        let mut errors = Vec::new();
        let errors = &mut errors;
        let number = if self.number.is_empty() {
            &self.phone_number_id
        } else {
            &self.number
        };
        let filter = Filter {
            kind: match kind {
                Some(kind) => Some(kind),
                None => tab(&self.tab, errors),
            },
            direction: one(&self.direction, "direction", errors),
            phase: one::<Phase>(&self.state, "state", errors),
            outcomes: outcomes(&self.outcome, errors),
            statuses: one::<MessageStatus>(&self.status, "status", errors).map(|one| vec![one]),
            number: one(number, "phoneNumberId", errors),
            customer: one(&self.customer_id, "customerId", errors),
            people: None,
            from: instant(&self.from, "from", zone, Edge::Start, errors),
            to: instant(&self.to, "to", zone, Edge::End, errors),
        };
        if errors.is_empty() {
            Ok(filter)
        } else {
            Err(Error::Invalid(std::mem::take(errors)))
        }
    }
}

fn refuse(errors: &mut Vec<FieldError>, field: &str, message: impl Into<String>) {
    errors.push(FieldError {
        field: field.to_owned(),
        message: message.into(),
    });
}

fn one<T: FromStr>(value: &str, field: &str, errors: &mut Vec<FieldError>) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    if value.is_empty() {
        return None;
    }
    value
        .parse()
        .map_err(|e: T::Err| refuse(errors, field, e.to_string()))
        .ok()
}

fn tab(value: &str, errors: &mut Vec<FieldError>) -> Option<Kind> {
    match value {
        "" | "all" => None,
        "calls" => Some(Kind::Call),
        "messages" => Some(Kind::Message),
        "voicemails" => Some(Kind::Voicemail),
        _ => {
            refuse(errors, "tab", "must be `calls`, `messages` or `voicemails`");
            None
        }
    }
}

/// What a page calls an outcome may be several of ours.
fn outcomes(value: &str, errors: &mut Vec<FieldError>) -> Option<Vec<Outcome>> {
    match value {
        "" => None,
        "completed" => Some(vec![Outcome::Answered, Outcome::Forwarded]),
        "missed" => Some(vec![Outcome::Missed, Outcome::Abandoned]),
        "unsuccessful" => Some(vec![Outcome::Busy, Outcome::Canceled, Outcome::Failed]),
        _ => one(value, "outcome", errors).map(|one| vec![one]),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Start,
    End,
}

fn instant(
    value: &str,
    field: &str,
    zone: &TimeZone,
    edge: Edge,
    errors: &mut Vec<FieldError>,
) -> Option<Timestamp> {
    if value.is_empty() {
        return None;
    }
    if let Ok(at) = value.parse::<Timestamp>() {
        return Some(at);
    }
    let day = value.parse::<Date>().ok();
    // The last day belongs to the list.
    let day = match edge {
        Edge::Start => day,
        Edge::End => day.and_then(|day| day.tomorrow().ok()),
    };
    let at = day.and_then(|day| {
        Some(
            day.to_zoned(zone.clone())
                .ok()?
                .start_of_day()
                .ok()?
                .timestamp(),
        )
    });
    if at.is_none() {
        refuse(
            errors,
            field,
            "must be a day such as `2026-01-31` or an instant such as `2026-01-31T12:00:00Z`",
        );
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("America/New_York").unwrap()
    }

    #[test]
    fn days_are_the_readers_and_the_last_one_counts() {
        let query = Query {
            from: "2026-03-08".into(),
            to: "2026-03-08".into(),
            ..Query::default()
        };
        let filter = query.plain(&zone(), None).unwrap();
        // The day on which clocks go forward has 23 hours.
        assert_eq!(filter.from.unwrap().to_string(), "2026-03-08T05:00:00Z");
        assert_eq!(filter.to.unwrap().to_string(), "2026-03-09T04:00:00Z");
    }

    #[test]
    fn every_field_that_cannot_be_taken_is_named() {
        let query = Query {
            tab: "faxes".into(),
            direction: "up".into(),
            phone_number_id: "5".into(),
            from: "yesterday".into(),
            ..Query::default()
        };
        let Err(Error::Invalid(errors)) = query.plain(&zone(), None) else {
            panic!("it is invalid");
        };
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["tab", "direction", "phoneNumberId", "from"]);
    }
}
