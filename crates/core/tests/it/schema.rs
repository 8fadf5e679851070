//! Plans as documents: the schema and the parser take the same plans, and a plan that makes no sense is refused with
//! the field named.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tollbook_core::plans::{InvalidPlan, Offer, SCHEMA};
use tollbook_core::rating::{Surroundings, Terms};

use crate::random::Random;

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn every_example_plan_is_valid_for_both() {
    let schema = schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        let errors: Vec<_> = schema
            .iter_errors(&serde_json::from_slice(&text).unwrap())
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
        let offer = Offer::read(&text).unwrap();
        // What is stored is valid too.
        let stored = serde_json::to_value(&offer.document).unwrap();
        assert!(schema.is_valid(&stored), "{stored}");
        count += 1;
    }
    assert!(count >= 9, "only {count} plans were found");
}

#[test]
fn random_plans_are_valid_for_both() {
    let schema = schema();
    for seed in 0..1_000 {
        let plan = Random::new(seed).plan();
        assert!(schema.is_valid(&plan), "{plan}");
        let offer = Offer::read(&serde_json::to_vec(&plan).unwrap()).unwrap();
        let stored = serde_json::to_value(&offer.document).unwrap();
        assert!(schema.is_valid(&stored), "{stored}");
    }
}

/// What is refused: whether the schema can tell, the plan with `…` for a sensible rest, and the field at fault.
const REFUSED: [(bool, &str, &str); 40] = [
    (true, r"{}", ""),
    (true, r#"{"currency":"usd"}"#, "currency"),
    (false, r#"{"currency":"ZZZ"}"#, "currency"),
    (true, r#"{"currency":"USD","baseFee":-1}"#, "baseFee"),
    (true, r#"{"currency":"USD","baseFee":"1,5"}"#, "baseFee"),
    (
        false,
        r#"{"currency":"USD","baseFee":"0.0000000000001"}"#,
        "baseFee",
    ),
    (
        false,
        r#"{"currency":"USD","baseFee":1000000000000000000000000000}"#,
        "baseFee",
    ),
    (
        true,
        r#"{"currency":"USD","intervalMonths":0}"#,
        "intervalMonths",
    ),
    (
        true,
        r#"{"currency":"USD","intervalMonths":121}"#,
        "intervalMonths",
    ),
    (true, r#"{"currency":"USD","trialDays":3661}"#, "trialDays"),
    (
        true,
        r#"{"currency":"USD","proration":"weeks"}"#,
        "proration",
    ),
    (true, r#"{"currency":"USD","colour":"red"}"#, "colour"),
    (
        false,
        r#"{"currency":"USD","minimumCommitment":"0.001"}"#,
        "minimumCommitment",
    ),
    (
        false,
        r#"{"currency":"USD","kind":"pay_per_call","baseFee":1}"#,
        "baseFee",
    ),
    (
        false,
        r#"{"currency":"USD","calendar":{"zone":"Mars/Base","rules":[],"otherwise":"x"}}"#,
        "calendar.zone",
    ),
    (
        true,
        r#"{"currency":"USD","calendar":{"rules":[{"band":"d","days":["mon"],"from":"9:00","to":"17:00"}],"otherwise":"x"}}"#,
        "calendar.rules[0].from",
    ),
    (
        false,
        r#"{"currency":"USD","calendar":{"rules":[{"band":"d","days":["mon"],"from":"18:00","to":"17:00"}],"otherwise":"x"}}"#,
        "calendar.rules[0].to",
    ),
    (
        true,
        r#"{"currency":"USD","calendar":{"rules":[{"band":"d","days":[],"from":"09:00","to":"17:00"}],"otherwise":"x"}}"#,
        "calendar.rules[0].days",
    ),
    (
        false,
        r#"{"currency":"USD","calendar":{"rules":[{"band":"a","days":["mon"],"from":"09:00","to":"17:00"},{"band":"b","days":["mon"],"from":"16:00","to":"18:00"}],"otherwise":"x"}}"#,
        "calendar.rules[1]",
    ),
    (
        true,
        r#"PRICE{"per_unit":{"price":"-1"}}"#,
        "prices[0].rate.per_unit.price",
    ),
    (
        true,
        r#"PRICE{"per_unit":{"price":1,"per":0}}"#,
        "prices[0].rate.per_unit.per",
    ),
    (
        true,
        r#"PRICE{"graduated":{"tiers":[]}}"#,
        "prices[0].rate.graduated.tiers",
    ),
    (
        false,
        r#"PRICE{"graduated":{"tiers":[{"upTo":5,"price":1},{"upTo":4,"price":1},{"price":1}]}}"#,
        "prices[0].rate.graduated.tiers[1].upTo",
    ),
    (
        false,
        r#"PRICE{"graduated":{"tiers":[{"price":1},{"price":2}]}}"#,
        "prices[0].rate.graduated.tiers[0].upTo",
    ),
    (
        false,
        r#"PRICE{"volume":{"tiers":[{"upTo":5,"price":1}]}}"#,
        "prices[0].rate.volume.tiers[0].upTo",
    ),
    (
        true,
        r#"PRICE{"volume":{"tiers":[{"upTo":5,"price":1,"flatFee":-1},{"price":1}]}}"#,
        "prices[0].rate.volume.tiers[0].flatFee",
    ),
    (
        true,
        r#"PRICE{"package":{"price":1,"size":0}}"#,
        "prices[0].rate.package.size",
    ),
    (
        true,
        r#"PRICE{"cost_plus":{"percent":-20}}"#,
        "prices[0].rate.cost_plus.percent",
    ),
    (
        false,
        r#"PRICE{"by_duration":{"steps":[{"fromSecond":5,"price":1}]}}"#,
        "prices[0].rate.by_duration.steps",
    ),
    (
        true,
        r#"PRICE{"by_duration":{"steps":[{"fromSecond":-5,"price":1}]}}"#,
        "prices[0].rate.by_duration.steps[0].fromSecond",
    ),
    (true, r#"PRICE{"surge":{"price":1}}"#, "prices[0].rate"),
    (
        true,
        r#"PRICE{"flat":{"price":1}},"increment":"-60/60""#,
        "prices[0].increment",
    ),
    (
        true,
        r#"PRICE{"flat":{"price":1}},"increment":"60/0""#,
        "prices[0].increment",
    ),
    (
        true,
        r#"PRICE{"flat":{"price":1}},"connectionFee":-1"#,
        "prices[0].connectionFee",
    ),
    (
        false,
        r#"PRICE{"flat":{"price":1}},"minimumCharge":2,"maximumCharge":1"#,
        "prices[0].maximumCharge",
    ),
    (
        true,
        r#"PRICE{"flat":{"price":1}},"bands":[{"band":"a:b","rate":{"flat":{"price":1}}}]"#,
        "prices[0].bands[0].band",
    ),
    (true, r#"ALLOWANCE"quantity":0"#, "allowances[0].quantity"),
    (
        true,
        r#"ALLOWANCE"quantity":1,"rollover":{"cycles":0}"#,
        "allowances[0].rollover.cycles",
    ),
    (
        true,
        r#"ALLOWANCE"quantity":1,"rollover":{"cycles":1,"cap":-1}"#,
        "allowances[0].rollover.cap",
    ),
    (
        true,
        r#"{"currency":"USD","includedMinutes":-5}"#,
        "includedMinutes",
    ),
];

/// The plan that a line of the table stands for.
fn whole(plan: &str) -> String {
    let price = r#""key":"c","meter":"CALL_DURATION_SECONDS","rate":"#;
    if let Some(rate) = plan.strip_prefix("PRICE") {
        return format!(r#"{{"currency":"USD","prices":[{{{price}{rate}}}]}}"#);
    }
    if let Some(rest) = plan.strip_prefix("ALLOWANCE") {
        return format!(
            r#"{{"currency":"USD","prices":[{{{price}{{"flat":{{"price":1}}}}}}],"allowances":[{{"key":"a","meters":["CALL_DURATION_SECONDS"],{rest}}}]}}"#
        );
    }
    plan.to_owned()
}

#[test]
fn a_plan_that_makes_no_sense_is_refused_with_its_field() {
    let schema = schema();
    let mut wrong = Vec::new();
    for (in_schema, plan, field) in REFUSED {
        let plan = whole(plan);
        let InvalidPlan(errors) = Offer::read(plan.as_bytes()).expect_err(&plan);
        let document: Value = serde_json::from_str(&plan).unwrap();
        let seen = (!schema.is_valid(&document), errors[0].field.as_str());
        if seen != (in_schema, field) {
            wrong.push(format!("{plan}: {seen:?}: {}", errors[0].message));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_only_the_seller_knows_is_asked_of_the_seller() {
    let plan = whole(
        r#"PRICE{"deck":{"deck":"world"}},"bands":[{"band":"late","rate":{"deck":{"deck":"night"}}}]"#,
    );
    let document = Offer::read(plan.as_bytes()).unwrap().document;
    let refused = |surroundings: &Surroundings| {
        let InvalidPlan(errors) = Terms::new(&document, surroundings).unwrap_err();
        errors
            .into_iter()
            .map(|error| error.field)
            .collect::<Vec<_>>()
    };
    let mut surroundings = Surroundings::default();
    assert_eq!(
        refused(&surroundings),
        [
            "prices[0].rate.deck.deck",
            "prices[0].bands[0].band",
            "prices[0].bands[0].rate.deck.deck"
        ]
    );
    surroundings.decks = ["world", "night"]
        .map(|key| (key.parse().unwrap(), Arc::default()))
        .into();
    let hours = r#"{"rules":[{"band":"late","days":["mon"],"from":"18:00","to":"24:00"},
                             {"band":"day","days":["mon"],"from":"09:00","to":"19:00"}],"otherwise":"x"}"#;
    surroundings.calendar = Some(serde_json::from_str(hours).unwrap());
    assert_eq!(refused(&surroundings), ["calendar.rules[1]"]);
}

/// No digit is lost on the way in, whatever a float would make of it.
#[test]
fn no_number_passes_through_a_float() {
    let fee = |text: &str| {
        let plan = format!(r#"{{"currency":"USD","baseFee":{text}}}"#);
        Offer::read(plan.as_bytes())
            .map(|offer| offer.document.base_fee.to_string())
            .map_err(|error| error.to_string())
    };
    for (written, exact) in [
        ("0.1", "0.1"),
        (
            "123456789012345.123456789012",
            "123456789012345.123456789012",
        ),
        (
            "\"123456789012345.123456789012\"",
            "123456789012345.123456789012",
        ),
        ("0.10000000000000000000000000000", "0.1"),
        ("1e-12", "0.000000000001"),
        ("9007199254740993e-12", "9007.199254740993"),
        ("0.300000000000", "0.3"),
    ] {
        assert_eq!(fee(written).as_deref(), Ok(exact), "{written}");
    }
    for refused in [
        "0.1000000000000000000000000001",
        "0.30000000000000004",
        "1234567890123456789012345678",
        "1e400",
        "1e-13",
    ] {
        assert!(fee(refused).is_err(), "{refused}");
    }
    // And not on the way out either.
    let plan = r#"{"currency":"USD","baseFee":123456789012345.123456789012}"#;
    let stored = serde_json::to_string(&Offer::read(plan.as_bytes()).unwrap().document).unwrap();
    assert!(
        stored.contains(r#""baseFee":"123456789012345.123456789012""#),
        "{stored}"
    );
}

/// A value that went through a parser's own number type would have been a float: it is refused.
#[test]
fn a_parsed_number_is_refused() {
    let value: Value = serde_json::from_str(r#"{"currency":"USD","baseFee":0.1}"#).unwrap();
    assert!(serde_json::from_value::<tollbook_core::plans::Document>(value).is_err());
}
