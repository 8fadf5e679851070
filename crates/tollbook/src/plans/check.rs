//! What a plan may ask for: everything that rating and invoicing do, and nothing that they would silently leave out.

use tollbook_core::plans::{Document, Rate};
use tollbook_core::rating::{Surroundings, Terms};

use crate::error::{Error, FieldError, Result};

/// Refuses a plan that could not be charged as it says, naming each field.
pub(super) fn check(document: &Document) -> Result<()> {
    let mut errors = unsupported(document);
    if errors.is_empty()
        && let Err(invalid) = Terms::new(document, &Surroundings::default())
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

fn unsupported(document: &Document) -> Vec<FieldError> {
    let mut fields = Vec::new();
    for (index, price) in document.prices.iter().enumerate() {
        let bands = price.bands.iter().map(|band| &band.rate);
        if std::iter::once(&price.rate)
            .chain(bands)
            .any(|rate| matches!(rate, Rate::CostPlus { .. }))
        {
            fields.push(format!("prices[{index}].rate.cost_plus"));
        }
    }
    fields
        .into_iter()
        .map(|field| FieldError {
            field,
            message: "is not offered yet".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tollbook_core::plans::Offer;

    use super::*;

    fn checked(json: &str) -> String {
        let offer = Offer::read(json.as_bytes()).unwrap();
        match check(&offer.document) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_would_be_left_out_is_refused_by_field() {
        let price = r#"{"key":"a","meter":"CALL_DURATION_SECONDS","rate":{"per_unit":{"price":1,"per":60}}}"#;
        assert_eq!(
            checked(&format!(r#"{{"currency":"USD","prices":[{price}]}}"#)),
            "ok"
        );
        let text = r#"{"currency":"USD","minimumCommitment":5,
            "prices":[{"key":"a","meter":"CALL_DURATION_SECONDS","rate":{"cost_plus":{"percent":20}}}],
            "allowances":[{"key":"x","meters":["CALL_DURATION_SECONDS"],"quantity":5,"rollover":{"cycles":1,"cap":5}}]}"#;
        assert_eq!(
            checked(text),
            "`prices[0].rate.cost_plus` is not offered yet"
        );
        let deck = r#"{"currency":"USD","prices":[{"key":"a","meter":"CALL_DURATION_SECONDS","rate":{"deck":{"deck":"world"}}}]}"#;
        assert_eq!(
            checked(deck),
            "`prices[0].rate.deck.deck` there is no price deck `world`"
        );
    }
}
