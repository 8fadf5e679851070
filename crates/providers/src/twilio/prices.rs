//! What things have cost. Prices come minutes after the end of what they are for, or, rarely, days.

use reqwest::{Method, StatusCode, Url};
use tollbook_core::phone::{E164, LineKind};

use super::client::{Client, explain};
use super::facts;
use super::wire::{Call, NumberPrices, Recording};
use crate::{CostOf, Error, ProviderCost};

/// The host of calls and messages, and that of price lists. A stand-in has both under one name.
const HOSTS: (&str, &str) = ("api.twilio.com", "pricing.twilio.com");

impl Client {
    /// What each leg of a call and each of its recordings has cost, as far as the provider has said.
    pub async fn costs_of_call(&self, sid: &str) -> Result<Vec<ProviderCost>, Error> {
        let Some(legs) = self.legs(sid).await? else {
            return Ok(Vec::new());
        };
        let mut costs: Vec<_> = legs.iter().filter_map(facts::call_cost).collect();
        for recording in self.recordings_of(sid).await?.recordings {
            costs.extend(recording_cost(&recording));
        }
        Ok(costs)
    }

    /// What each leg of a call has cost, recordings not included; `None` while a leg that lasted has no price.
    ///
    /// A leg that nobody answered costs nothing as a rule, and some of them never get a price: beside a leg that has
    /// one they do not count. Where none has, nothing is known.
    pub async fn cost_of_call(&self, sid: &str) -> Result<Option<Vec<ProviderCost>>, Error> {
        let legs = self.legs(sid).await?;
        Ok(legs.and_then(|legs| complete(&legs)))
    }

    /// What a recording has cost; `None` while the provider has not said.
    pub async fn cost_of_recording(&self, sid: &str) -> Result<Option<ProviderCost>, Error> {
        let found: Option<Recording> = self.get_if_any("recording", &["Recordings", sid]).await?;
        Ok(found.as_ref().and_then(recording_cost))
    }

    /// What a number costs by the month, by the account's own price list; `None` where the list has no such number, or the
    /// number does not tell its kind.
    pub async fn cost_of_number(&self, number: &E164) -> Result<Option<ProviderCost>, Error> {
        let Some((country, kind)) = number.country().zip(number.line_kind()) else {
            return Ok(None);
        };
        let url = price_list(self.base(), &country);
        let answer = self.send(Method::GET, url, &[]).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let list: NumberPrices = answer.json("prices of numbers", explain)?;
        let wanted = match kind {
            LineKind::Local => "local",
            LineKind::Mobile => "mobile",
            LineKind::TollFree => "toll free",
            // Nobody rents one out.
            LineKind::Premium => return Ok(None),
        };
        let mut prices = list.phone_number_prices.iter();
        let found = prices.find(|price| price.number_type.eq_ignore_ascii_case(wanted));
        let price = found.and_then(|price| price.current_price.as_deref());
        let unit = list.price_unit.as_deref();
        Ok(facts::cost(CostOf::Number, number.as_str(), price, unit))
    }

    /// A call's own record and those of what it dialled; `None` if the provider does not know it.
    async fn legs(&self, sid: &str) -> Result<Option<Vec<Call>>, Error> {
        let Some(record) = self.find_call(sid).await? else {
            return Ok(None);
        };
        let mut legs = vec![record];
        legs.extend(self.children(sid).await?);
        Ok(Some(legs))
    }
}

/// Where the prices of a country's numbers stand.
fn price_list(base: &Url, country: &str) -> Url {
    let mut url = base.clone();
    if url.host_str() == Some(HOSTS.0) {
        // Both are names of hosts.
        let _ = url.set_host(Some(HOSTS.1));
    }
    if let Ok(mut segments) = url.path_segments_mut() {
        let list = ["v1", "PhoneNumbers", "Countries", country];
        segments.pop_if_empty().extend(list);
    }
    url
}

fn complete(legs: &[Call]) -> Option<Vec<ProviderCost>> {
    let costs: Vec<ProviderCost> = legs.iter().filter_map(facts::call_cost).collect();
    let is_open = |leg: &Call| has_lasted(leg) && facts::call_cost(leg).is_none();
    (!costs.is_empty() && !legs.iter().any(is_open)).then_some(costs)
}

/// A leg of which the length is not known may have lasted.
fn has_lasted(leg: &Call) -> bool {
    leg.duration.as_deref() != Some("0")
}

fn recording_cost(recording: &Recording) -> Option<ProviderCost> {
    let (price, unit) = (recording.price.as_deref(), recording.price_unit.as_deref());
    facts::cost(CostOf::Recording, &recording.sid, price, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(legs: &[(&str, Option<&str>)]) -> Option<Vec<String>> {
        let legs: Vec<Call> = legs
            .iter()
            .map(|(duration, price)| {
                let record = serde_json::json!({
                    "sid": "CA1", "duration": duration, "price": price, "price_unit": "USD"});
                serde_json::from_str(&record.to_string()).unwrap()
            })
            .collect();
        let costs = complete(&legs)?;
        Some(costs.iter().map(|cost| cost.price.to_string()).collect())
    }

    #[test]
    fn price_lists_have_a_host_of_their_own() {
        let list = |base: &str| price_list(&base.parse().unwrap(), "US").to_string();
        assert_eq!(
            list("https://api.twilio.com"),
            "https://pricing.twilio.com/v1/PhoneNumbers/Countries/US"
        );
        assert_eq!(
            list("http://127.0.0.1:4010/"),
            "http://127.0.0.1:4010/v1/PhoneNumbers/Countries/US"
        );
    }

    #[test]
    fn the_costs_of_a_call_are_known_once_every_leg_that_lasted_has_one() {
        let known = |prices: &[&str]| Some(prices.iter().map(ToString::to_string).collect());
        let incoming = ("66", Some("-0.01700"));
        assert_eq!(
            costs(&[incoming, ("61", Some("-0.008"))]),
            known(&["0.017", "0.008"])
        );
        assert_eq!(costs(&[incoming, ("61", None)]), None);
        assert_eq!(costs(&[incoming, ("0", None)]), known(&["0.017"]));
        assert_eq!(costs(&[("0", None)]), None, "not known is not nothing");
        assert_eq!(costs(&[("0", Some("-0.00000"))]), known(&["0"]));
    }
}
