//! What things have cost. Prices come minutes after the end of what they are for, or, rarely, days.

use super::client::Client;
use super::facts;
use super::wire::{Call, Recording};
use crate::{CostOf, Error, ProviderCost};

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
