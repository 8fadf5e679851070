//! A plan made ready for rating: keys looked up, calendars prepared, prices as fractions.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::calls::Direction;
use crate::metering::MeterCode;
use crate::money::{Currency, Fraction, Price};
use crate::plans::{Allowance, Document, FieldError, InvalidPlan, Key, Rate, UsagePrice};
use crate::pricing::{BandMode, Calendar, Deck, Increment, WeekCalendar};
use crate::time::Zone;

/// What a plan document leaves to the organization.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The zone of the subscription.
    pub zone: Option<Zone>,
    /// Business hours, for plans without a calendar of their own.
    pub calendar: Option<WeekCalendar>,
    /// Price decks by name.
    pub decks: BTreeMap<Key, Arc<Deck>>,
}

/// A plan made ready for rating.
#[derive(Debug, Clone)]
pub struct Terms {
    pub(super) currency: Currency,
    pub(super) base_fee: Price,
    pub(super) calendar: Option<Calendar>,
    /// Those with a direction first.
    pub(super) prices: Vec<PriceTerms>,
    pub(super) allowances: Vec<Allowance>,
}

#[derive(Debug, Clone)]
pub(super) struct PriceTerms {
    pub(super) meter: MeterCode,
    pub(super) direction: Option<Direction>,
    pub(super) increment: Increment,
    pub(super) free_seconds: u32,
    pub(super) connection_fee: Option<Price>,
    pub(super) minimum_charge: Option<Price>,
    pub(super) maximum_charge: Option<Price>,
    pub(super) band_mode: BandMode,
    /// The rate outside the price's bands, then those of its bands.
    pub(super) rates: Vec<RateTerms>,
    /// For each band of the calendar, the index of its rate; empty if the price has no bands.
    pub(super) rate_of_band: Vec<usize>,
    /// Whether an allowance includes the meter.
    pub(super) is_included: bool,
}

#[derive(Debug, Clone)]
pub(super) struct RateTerms {
    /// The price's key, with the band if it has its own rate.
    pub(super) key: Key,
    pub(super) draws_on_allowance: bool,
    pub(super) rate: Rate,
    /// Price of one unit, where it is the same for all.
    pub(super) unit: Fraction,
    pub(super) deck: Option<Arc<Deck>>,
}

impl Terms {
    /// Prepares a document; the error names each field that refers to something the organization lacks.
    pub fn new(document: &Document, surroundings: &Surroundings) -> Result<Self, InvalidPlan> {
        document.validate()?;
        let zone = surroundings.zone.clone().unwrap_or(Zone::UTC);
        let mut errors = match (&document.calendar, &surroundings.calendar) {
            // The plan's own was looked at with the plan.
            (None, Some(calendar)) => calendar.problems(),
            (Some(_), _) | (None, None) => Vec::new(),
        };
        let calendar = document
            .calendar
            .as_ref()
            .or(surroundings.calendar.as_ref());
        let calendar = calendar.map(|calendar| Calendar::new(calendar, &zone));
        let mut prices = Vec::with_capacity(document.prices.len());
        for (index, price) in document.prices.iter().enumerate() {
            let mut builder = Builder {
                path: format!("prices[{index}]"),
                surroundings,
                errors: &mut errors,
            };
            prices.push(builder.price(price, calendar.as_ref(), &document.allowances));
        }
        if !errors.is_empty() {
            return Err(InvalidPlan(errors));
        }
        prices.sort_by_key(|price| price.direction.is_none());
        Ok(Self {
            currency: document.currency,
            base_fee: document.base_fee,
            calendar,
            prices,
            allowances: document.allowances.clone(),
        })
    }

    /// The same terms with these decks. What a deck says is loaded for the numbers at hand; a deck that is not among them
    /// stays as it is.
    #[must_use]
    pub fn with_decks(&self, decks: &BTreeMap<Key, Arc<Deck>>) -> Self {
        let mut terms = self.clone();
        for rate in terms.prices.iter_mut().flat_map(|price| &mut price.rates) {
            let Rate::Deck { deck: name, .. } = &rate.rate else {
                continue;
            };
            if let Some(deck) = decks.get(name) {
                rate.deck = Some(Arc::clone(deck));
            }
        }
        terms
    }

    /// Currency of every amount.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether a longer call never costs less than a shorter one. It can where all units follow the last one's tier,
    /// and where what rounding up adds moves to a cheaper band, or cost is shared with a band that the allowance covers.
    pub(crate) fn cost_never_falls(&self, meter: &MeterCode, direction: Option<Direction>) -> bool {
        let Some(price) = self.price(meter, direction) else {
            return true;
        };
        let has = |wanted: fn(&Rate) -> bool| price.rates.iter().any(|rate| wanted(&rate.rate));
        if has(|rate| matches!(rate, Rate::Volume { .. })) {
            return false;
        }
        if price.rate_of_band.is_empty() {
            return true;
        }
        // A deck brings increments of its own.
        let rounds_up =
            price.increment != Increment::SINGLE || has(|rate| matches!(rate, Rate::Deck { .. }));
        let moves = rounds_up && price.band_mode == BandMode::Split;
        !moves && !has(|rate| matches!(rate, Rate::CostPlus { .. }))
    }

    /// Whether what a usage costs may depend on what the provider charges for it.
    pub fn needs_provider_cost(&self, meter: &MeterCode, direction: Option<Direction>) -> bool {
        let price = self.price(meter, direction);
        let mut rates = price.into_iter().flat_map(PriceTerms::rates_in_use);
        rates.any(|rate| matches!(rate.rate, Rate::CostPlus { .. }))
    }

    /// The price of a meter for a direction, the particular one before the general one.
    pub(super) fn price(
        &self,
        meter: &MeterCode,
        direction: Option<Direction>,
    ) -> Option<&PriceTerms> {
        let fits = |price: &&PriceTerms| {
            price.meter == *meter
                && price
                    .direction
                    .is_none_or(|wanted| direction == Some(wanted))
        };
        self.prices.iter().find(fits)
    }
}

impl PriceTerms {
    /// The rates that a usage can have: where each band of the calendar has its own, the first one is never used.
    pub(super) fn rates_in_use(&self) -> impl Iterator<Item = &RateTerms> {
        let is_used = |index: &usize| {
            (self.rate_of_band.is_empty() && *index == 0) || self.rate_of_band.contains(index)
        };
        let rates = (0..).zip(&self.rates);
        rates.filter_map(move |(index, rate)| is_used(&index).then_some(rate))
    }

    /// Index of the rate in a band of the calendar; the first one where the price has none of its own for it.
    pub(super) fn rate_in(&self, band: Option<usize>) -> usize {
        band.and_then(|band| self.rate_of_band.get(band))
            .copied()
            .unwrap_or(0)
    }
}

struct Builder<'a> {
    path: String,
    surroundings: &'a Surroundings,
    errors: &'a mut Vec<FieldError>,
}

impl Builder<'_> {
    fn complain(&mut self, field: &str, message: String) {
        self.errors.push(FieldError {
            field: format!("{}.{field}", self.path),
            message,
        });
    }

    fn price(
        &mut self,
        price: &UsagePrice,
        calendar: Option<&Calendar>,
        allowances: &[Allowance],
    ) -> PriceTerms {
        let mut rates = vec![self.rate("rate.deck.deck", price.key.clone(), &price.rate, true)];
        let mut rate_of_band = Vec::new();
        if !price.bands.is_empty() {
            rate_of_band = vec![0; calendar.map_or(0, |calendar| calendar.names().len())];
        }
        for (index, band) in price.bands.iter().enumerate() {
            let known = calendar
                .and_then(|calendar| calendar.names().iter().position(|name| *name == band.band));
            if let Some(slot) = known.and_then(|known| rate_of_band.get_mut(known)) {
                *slot = rates.len();
            } else {
                self.complain(
                    &format!("bands[{index}].band"),
                    format!("the calendar has no band `{}`", band.band),
                );
            }
            let key = price.key.in_band(&band.band);
            let field = format!("bands[{index}].rate.deck.deck");
            rates.push(self.rate(&field, key, &band.rate, band.draws_on_allowance));
        }
        PriceTerms {
            meter: price.meter.clone(),
            direction: price.direction,
            increment: price.increment,
            free_seconds: price.free_seconds,
            connection_fee: price.connection_fee.filter(|fee| *fee != Price::ZERO),
            minimum_charge: price
                .minimum_charge
                .filter(|minimum| *minimum != Price::ZERO),
            maximum_charge: price.maximum_charge,
            band_mode: price.band_mode,
            rates,
            rate_of_band,
            is_included: allowances
                .iter()
                .any(|allowance| allowance.meters.contains(&price.meter)),
        }
    }

    fn rate(
        &mut self,
        deck_field: &str,
        key: Key,
        rate: &Rate,
        draws_on_allowance: bool,
    ) -> RateTerms {
        let mut deck = None;
        let mut unit = Fraction::ZERO;
        if let Rate::PerUnit { price, per } = rate {
            match price.to_fraction().checked_div(per.to_fraction()) {
                Ok(quotient) => unit = quotient,
                Err(error) => self.complain("rate.per_unit.price", error.to_string()),
            }
        }
        if let Rate::Deck { deck: name, .. } = rate {
            deck = self.surroundings.decks.get(name).cloned();
            if deck.is_none() {
                self.complain(deck_field, format!("there is no price deck `{name}`"));
            }
        }
        RateTerms {
            key,
            draws_on_allowance,
            rate: rate.clone(),
            unit,
            deck,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::Offer;

    const PLAN: &str = r#"{"currency":"USD","prices":[{"key":"calls","meter":"CALL_DURATION_SECONDS",
        "rate":{"deck":{"deck":"world"}},
        "bands":[{"band":"late","rate":{"deck":{"deck":"nights"}}}]}]}"#;

    fn refused(surroundings: &Surroundings) -> Vec<(String, String)> {
        let document = Offer::read(PLAN.as_bytes()).unwrap().document;
        let InvalidPlan(errors) = Terms::new(&document, surroundings).unwrap_err();
        errors
            .into_iter()
            .map(|error| (error.field, error.message))
            .collect()
    }

    #[test]
    fn what_the_organization_lacks_is_named() {
        let expected = [
            ("prices[0].rate.deck.deck", "there is no price deck `world`"),
            ("prices[0].bands[0].band", "the calendar has no band `late`"),
            (
                "prices[0].bands[0].rate.deck.deck",
                "there is no price deck `nights`",
            ),
        ];
        assert_eq!(
            refused(&Surroundings::default()),
            expected.map(|(field, text)| (field.into(), text.into()))
        );
    }

    #[test]
    fn decks_are_put_in_by_name() {
        use crate::pricing::DeckEntry;
        let deck = |price: &str| {
            let entry = DeckEntry {
                prefix: "1".into(),
                price: price.parse().unwrap(),
                connection_fee: None,
                increment: None,
                starts_at: None,
                ends_at: None,
            };
            Arc::new(Deck::new(vec![entry]).unwrap())
        };
        let json = r#"{"currency":"USD","prices":[
            {"key":"a","meter":"A","rate":{"deck":{"deck":"world"}}},
            {"key":"b","meter":"B","rate":{"deck":{"deck":"nights"}}},
            {"key":"c","meter":"C","rate":{"per_unit":{"price":1}}}]}"#;
        let document = Offer::read(json.as_bytes()).unwrap().document;
        let names: Vec<&str> = document.decks().into_iter().map(Key::as_str).collect();
        assert_eq!(names, ["nights", "world"]);
        let surroundings = Surroundings {
            decks: [("world", deck("1")), ("nights", deck("2"))]
                .map(|(key, deck)| (key.parse().unwrap(), deck))
                .into(),
            ..Surroundings::default()
        };
        let terms = Terms::new(&document, &surroundings).unwrap();
        let terms = terms.with_decks(&[("world".parse().unwrap(), deck("3"))].into());
        let prices: Vec<_> = terms
            .prices
            .iter()
            .map(|price| price.rates[0].deck.as_ref().map(|it| it.entries()[0].price))
            .collect();
        let price = |text: &str| Some(text.parse().unwrap());
        assert_eq!(prices, [price("3"), price("2"), None]);
    }

    #[test]
    fn the_organizations_business_hours_serve_plans_without_their_own() {
        let hours = r#"{"rules":[{"band":"late","days":["mon"],"from":"18:00","to":"24:00"}],"otherwise":"day"}"#;
        let surroundings = Surroundings {
            calendar: Some(serde_json::from_str(hours).unwrap()),
            decks: [("world", Arc::default()), ("nights", Arc::default())]
                .map(|(key, deck)| (key.parse().unwrap(), deck))
                .into(),
            ..Surroundings::default()
        };
        let document = Offer::read(PLAN.as_bytes()).unwrap().document;
        let terms = Terms::new(&document, &surroundings).unwrap();
        // The base rate for the band of all other time, the second rate for the band `late`.
        assert_eq!(terms.prices[0].rate_of_band, [0, 1]);
    }
}
