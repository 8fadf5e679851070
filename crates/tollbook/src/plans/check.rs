//! What a plan may ask for: everything that rating and invoicing do, and nothing that they would silently leave out.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::PgConnection;
use tollbook_core::metering::BuiltInMeter;
use tollbook_core::plans::{Document, Key, Rate, UsagePrice};
use tollbook_core::rating::{Surroundings, Terms};
use uuid::Uuid;

use crate::decks;
use crate::error::{Error, FieldError, Result};

/// Refuses a plan of a seller that could not be charged as it says, naming each field.
pub(super) async fn check(tx: &mut PgConnection, seller: Uuid, document: &Document) -> Result<()> {
    let known = decks::known(tx, seller, &document.decks()).await?;
    check_with(document, known)
}

/// Of decks it matters here only that they are there.
fn check_with(document: &Document, known: Vec<Key>) -> Result<()> {
    let decks = known.into_iter().map(|key| (key, Arc::default()));
    let surroundings = Surroundings {
        decks: decks.collect::<BTreeMap<_, _>>(),
        ..Surroundings::default()
    };
    let mut errors = without_cost(document);
    if errors.is_empty()
        && let Err(invalid) = Terms::new(document, &surroundings)
    {
        let fields = invalid.0.into_iter().map(|e| FieldError {
            field: e.field,
            message: e.message,
        });
        errors.extend(fields);
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(errors))
    }
}

/// What providers charge for by itself. A call's price is that of its time.
const CHARGED_BY_PROVIDERS: [BuiltInMeter; 6] = [
    BuiltInMeter::CallDurationSeconds,
    BuiltInMeter::SmsSent,
    BuiltInMeter::SmsReceived,
    BuiltInMeter::Recording,
    BuiltInMeter::Voicemail,
    BuiltInMeter::NumberMonth,
];

/// Prices on top of a provider's that there never is: their usage would wait for ever.
fn without_cost(document: &Document) -> Vec<FieldError> {
    let is_on_top = |rate: &Rate| matches!(rate, Rate::CostPlus { .. });
    let has_cost = |price: &UsagePrice| {
        let meter = price.meter.built_in();
        meter.is_some_and(|it| CHARGED_BY_PROVIDERS.contains(&it))
    };
    let mut errors = Vec::new();
    for (index, price) in document.prices.iter().enumerate() {
        if has_cost(price) {
            continue;
        }
        let bands = price.bands.iter().enumerate();
        let bands = bands.map(|(band, it)| (format!("bands[{band}].rate"), &it.rate));
        let rates = std::iter::once(("rate".to_owned(), &price.rate)).chain(bands);
        for (place, _) in rates.filter(|(_, rate)| is_on_top(rate)) {
            errors.push(FieldError {
                field: format!("prices[{index}].{place}.cost_plus"),
                message: format!("providers do not charge for `{}` by itself", price.meter),
            });
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use tollbook_core::plans::Offer;

    use super::*;

    fn checked(json: &str) -> String {
        let offer = Offer::read(json.as_bytes()).unwrap();
        match check_with(&offer.document, vec!["nights".parse().unwrap()]) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_could_not_be_charged_is_refused_by_field() {
        let price = r#"{"key":"a","meter":"CALL_DURATION_SECONDS","rate":{"per_unit":{"price":1,"per":60}}}"#;
        assert_eq!(
            checked(&format!(r#"{{"currency":"USD","prices":[{price}]}}"#)),
            "ok"
        );
        let text = r#"{"currency":"USD","minimumCommitment":5,
            "prices":[{"key":"a","meter":"CALL_DURATION_SECONDS","rate":{"cost_plus":{"percent":20}}}],
            "allowances":[{"key":"x","meters":["CALL_DURATION_SECONDS"],"quantity":5,"rollover":{"cycles":1,"cap":5}}]}"#;
        assert_eq!(checked(text), "ok");
        let calls = r#"{"currency":"USD","prices":[{"key":"a","meter":"CALL_MADE","rate":{"cost_plus":{"percent":20}}}]}"#;
        assert_eq!(
            checked(calls),
            "`prices[0].rate.cost_plus` providers do not charge for `CALL_MADE` by itself"
        );
        let deck = r#"{"currency":"USD","prices":[{"key":"a","meter":"CALL_DURATION_SECONDS","rate":{"deck":{"deck":"world"}}}]}"#;
        assert_eq!(
            checked(deck),
            "`prices[0].rate.deck.deck` there is no price deck `world`"
        );
        assert_eq!(checked(&deck.replace("world", "nights")), "ok");
    }
}
