//! Whether order matters is answered exactly: yes for each plan with usages whose order changes a line, no for the rest.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tollbook_core::money::Fraction;
use tollbook_core::rating::{State, Terms, Usage, order_matters, rate};

use crate::agreement;
use crate::naive::{NaiveGrant, NaiveUsage};
use crate::ratio::Ratio;
use crate::rerating::lines;

/// Sets of usages that are tried before a plan is taken to be independent of order.
const TRIES: u64 = 60;

const MONTHS: [&str; 3] = [
    "2026-01-01T00:00:00Z",
    "2026-02-01T00:00:00Z",
    "2026-03-01T00:00:00Z",
];

fn models() -> Vec<Value> {
    let tiers = json!([{"upTo": "20", "price": "2"}, {"price": "1", "flatFee": "3"}]);
    vec![
        json!({"per_unit": {"price": "1", "per": "60"}}),
        json!({"graduated": {"per": "60", "tiers": tiers}}),
        json!({"volume": {"per": "60", "tiers": tiers}}),
        json!({"package": {"price": "5", "size": "50"}}),
        json!({"flat": {"price": "4"}}),
        json!({"cost_plus": {"percent": "20", "fixed": "0.01"}}),
        json!({"deck": {"deck": "world", "per": "60"}}),
        json!({"by_duration": {"steps": [{"fromSecond": 0, "price": "1"}, {"fromSecond": 30, "price": "2"}]}}),
    ]
}

/// Bands of a price, by what they do to the order in which the allowance is used.
fn bands(model: &Value) -> Vec<Value> {
    let band = |name: &str, rate: &Value, draws: bool| json!({"band": name, "rate": rate, "drawsOnAllowance": draws});
    let dear = json!({"per_unit": {"price": "9", "per": "60"}});
    let once = json!({"flat": {"price": "7"}});
    vec![
        json!([]),
        json!([band("night", model, true)]),
        json!([band("night", &dear, true)]),
        json!([band("night", &dear, false)]),
        json!([band("night", &once, false)]),
        // Outside of both bands there is no time at all.
        json!([band("night", &dear, false), band("day", model, true)]),
    ]
}

const LIMITS: [(&str, &str); 4] = [
    ("freeSeconds", "10"),
    ("connectionFee", "0.5"),
    ("minimumCharge", "0.7"),
    ("maximumCharge", "0.8"),
];

const POOL: [&str; 2] = ["CALL_DURATION_SECONDS", "MORE_TIME"];

fn allowances() -> Vec<Value> {
    let allowance = |meters: &[&str], more: Value| {
        let mut allowance = json!({"key": "x", "meters": meters, "quantity": 100});
        let fields = allowance.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        json!([allowance])
    };
    vec![
        json!([]),
        allowance(&POOL[..1], json!({})),
        allowance(&POOL, json!({})),
        allowance(&POOL[..1], json!({"every": "year"})),
        allowance(&POOL[..1], json!({"rollover": {"cycles": 1}})),
    ]
}

/// Every model with each of the bands, limits and allowances.
fn plans() -> Vec<Value> {
    let calendar = json!({"zone": "UTC", "otherwise": "night", "holidays": [],
        "rules": [{"band": "day", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "08:00", "to": "20:00"}]});
    let mut plans = Vec::new();
    for model in models() {
        for bands in bands(&model) {
            for limit in std::iter::once(None).chain(LIMITS.iter().map(Some)) {
                for allowances in allowances() {
                    let mut price =
                        json!({"key": "a", "meter": POOL[0], "rate": model, "increment": "6/6"});
                    if !bands.as_array().unwrap().is_empty() {
                        price["bands"] = bands.clone();
                    }
                    if let Some((field, value)) = limit {
                        price[field] = serde_json::from_str(value).unwrap();
                        if *field != "freeSeconds" {
                            price[field] = json!(value);
                        }
                    }
                    // Without bands, so that the same model there is the same price on another line.
                    let other =
                        json!({"key": "b", "meter": POOL[1], "rate": model, "increment": "6/6"});
                    plans.push(
                        json!({"currency": "USD", "calendar": calendar, "prices": [price, other],
                        "allowances": allowances}),
                    );
                }
            }
        }
    }
    plans
}

/// What a plan grants in three months.
fn state(plan: &Value) -> State {
    let at = |month: usize| MONTHS[month].parse().unwrap();
    let grant = |starts: usize, expires: &str| NaiveGrant {
        allowance: "x".to_owned(),
        left: Ratio::whole(100),
        starts: at(starts),
        expires: expires.parse().unwrap(),
    };
    let ends = [
        MONTHS[1],
        MONTHS[2],
        "2026-04-01T00:00:00Z",
        "2026-05-01T00:00:00Z",
    ];
    let grants = match plan["allowances"].get(0) {
        None => vec![],
        Some(allowance) if allowance["every"] == "year" => vec![grant(0, "2027-01-01T00:00:00Z")],
        Some(allowance) => {
            let carried = usize::from(allowance.get("rollover").is_some());
            (0..3)
                .map(|month| grant(month, ends[month + carried]))
                .collect()
        }
    };
    agreement::state(&grants)
}

fn usage(random: &mut ChaCha8Rng, id: u128) -> Usage {
    let month: jiff::Timestamp = MONTHS[random.random_range(0..3)].parse().unwrap();
    // Close to where a band ends, as often as not.
    let hour = if random.random_bool(0.5) {
        19 * 3600 + 3570
    } else {
        12 * 3600
    };
    let seconds = random.random_range(0..20) * 86_400 + hour + random.random_range(0..20);
    let naive = NaiveUsage {
        meter: POOL[usize::from(random.random_bool(0.3))],
        quantity: random.random_range(1..120).to_string(),
        at: month + jiff::SignedDuration::from_secs(seconds),
        is_time: true,
        direction: None,
        to: ["+12125550123", "+442072193000"][random.random_range(0..2)].to_owned(),
        cost: Some(random.random_range(1..9).to_string()),
    };
    agreement::usage(&naive, id)
}

/// The lines that usages come to in an order, each in its own billing period.
fn outcome(
    usages: &[Usage],
    order: [usize; 3],
    terms: &Terms,
    state: &State,
) -> impl PartialEq + use<> {
    let mut state = state.clone();
    let mut rated = Vec::new();
    for index in order {
        let usage = &usages[index];
        let begun = MONTHS.iter().map(|month| month.parse().unwrap());
        state.period_start = begun
            .filter(|start| *start <= usage.occurred_at)
            .max()
            .unwrap();
        let one = rate(usage, terms, &state).unwrap();
        state.apply(&one).unwrap();
        rated.push(one);
    }
    let used = state.grants.iter().map(|grant| grant.used.to_fraction());
    (lines(&rated), Fraction::sum(used).unwrap())
}

/// Looks for usages whose order changes a line.
fn order_shows(terms: &Terms, state: &State) -> bool {
    let orders = [[0, 1, 2], [2, 1, 0], [1, 0, 2]];
    (0..TRIES).any(|seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let usages: Vec<Usage> = (0..3).map(|id| usage(&mut random, id)).collect();
        let first = outcome(&usages, orders[0], terms, state);
        orders[1..]
            .iter()
            .any(|order| outcome(&usages, *order, terms, state) != first)
    })
}

#[test]
fn order_matters_where_a_line_can_show_it_and_nowhere_else() {
    let decks = json!({"world": [{"prefix": "1", "price": "1"},
        {"prefix": "44", "price": "2", "connectionFee": "0.25", "increment": "60/60"}]});
    let (mut wrong, mut matters, mut count) = (Vec::new(), 0, 0);
    for plan in plans() {
        let terms = agreement::terms(&plan, &decks);
        let answer = order_matters(&terms);
        if answer != order_shows(&terms, &state(&plan)) {
            wrong.push(format!("{answer}: {plan}"));
        }
        matters += usize::from(answer);
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
    assert!(count >= 1_000, "only {count} plans were tried");
    assert!(
        matters >= 900 && count - matters >= 200,
        "order matters to {matters} of {count}"
    );
}
