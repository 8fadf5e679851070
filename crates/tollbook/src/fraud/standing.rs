//! What an organization has called lately, as a query finds it, and what that says of one more call.

use std::collections::BTreeSet;

use serde::Deserialize;
use tollbook_core::fraud::{Activity, Destination, Guard, Reason, verdict};
use tollbook_core::money::{Fraction, Price};
use tollbook_core::phone::E164;

use crate::error::{Error, Result};

/// Where a call goes, and between which numbers the calls to the same destination lie in an index.
#[derive(Debug, Clone)]
pub(crate) struct Where {
    pub(crate) destination: Destination,
    /// The first of them.
    pub(crate) from: String,
    /// The first one that is none of them.
    pub(crate) until: String,
}

impl Where {
    /// Where a number is.
    pub(crate) fn of(number: &E164) -> Self {
        let destination = Destination::of(number);
        let from = destination.prefix(number);
        // A colon comes after the digits.
        let mut until = from.clone();
        let last = until.pop().unwrap_or('9');
        until.push(char::from_digit(last.to_digit(10).map_or(10, |it| it + 1), 10).unwrap_or(':'));
        Self {
            destination,
            from,
            until,
        }
    }
}

/// The guard of an organization, and what it has called lately.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    holds_unusual: bool,
    allowed: Vec<String>,
    country: String,
    calls_per_minute_max: Option<u32>,
    calls_per_hour_max: Option<u32>,
    concurrent_max: Option<u32>,
    hourly_spend_max: Option<Price>,
    /// Why all calls out are held.
    all_held: Option<String>,
    /// Why the destination is held.
    held: Option<String>,
    is_released: bool,
    has_called: bool,
    calls_in_minute: u32,
    calls_in_hour: u32,
    in_progress: u32,
    spent_in_hour: Option<Price>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is let through.
    Pass,
    /// It is held, as others are already.
    Held(Reason),
    /// It is to be held from now on.
    Hold(Reason),
}

fn stored(what: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a stored guard: {what}"))
}

fn reason(text: &str) -> Result<Reason> {
    let found = Reason::ALL.into_iter().find(|it| it.as_str() == text);
    found.ok_or_else(|| stored(&text))
}

impl Standing {
    /// Reads what a query found; `None` where no guard is on.
    pub(crate) fn read(json: Option<&str>) -> Result<Option<Self>> {
        json.map(|json| serde_json::from_str(json).map_err(|e| stored(&e)))
            .transpose()
    }

    /// Whether calls to the destination are held already, and why.
    pub(crate) fn held(&self) -> Result<Option<Reason>> {
        let held = self.all_held.as_deref().or(self.held.as_deref());
        held.map(reason).transpose()
    }

    /// What becomes of one more call.
    pub(crate) fn judge(&self, destination: &Destination) -> Result<Judgement> {
        if let Some(reason) = self.held()? {
            return Ok(Judgement::Held(reason));
        }
        let activity = Activity {
            is_released: self.is_released,
            has_called: self.has_called,
            calls_in_minute: self.calls_in_minute,
            calls_in_hour: self.calls_in_hour,
            in_progress: self.in_progress,
            spent_in_hour: self
                .spent_in_hour
                .map_or(Fraction::ZERO, Price::to_fraction),
        };
        let held = verdict(&self.guard()?, destination, &activity);
        Ok(held.map_or(Judgement::Pass, Judgement::Hold))
    }

    fn guard(&self) -> Result<Guard> {
        let destinations = self.allowed.iter().chain([&self.country]);
        let allowed = destinations
            .filter(|it| !it.is_empty())
            .map(|it| it.parse::<Destination>())
            .collect::<Result<BTreeSet<_>, _>>();
        Ok(Guard {
            holds_unusual: self.holds_unusual,
            allowed: allowed.map_err(|e| stored(&e))?,
            calls_per_minute_max: self.calls_per_minute_max,
            calls_per_hour_max: self.calls_per_hour_max,
            concurrent_max: self.concurrent_max,
            hourly_spend_max: self.hourly_spend_max.map(Price::to_fraction),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_destination_lie_between_two() {
        let between = |number: &str| {
            let it = Where::of(&number.parse().unwrap());
            (it.from, it.until)
        };
        let pair = |from: &str, until: &str| (from.to_owned(), until.to_owned());
        assert_eq!(between("+5352345678"), pair("+53", "+54"));
        assert_eq!(between("+4915112345678"), pair("+49", "+4:"));
        assert_eq!(between("+18765550123"), pair("+1876", "+1877"));
        assert_eq!(between("+12125550142"), pair("+1", "+2"));
    }
}
