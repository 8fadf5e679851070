//! Plans by chance, in the shapes in which the order of usages decides what each costs, or none shares anything with
//! others: then a bill follows from what happened alone, and not from when it was told.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::script::Plan;

const PRICES: [&str; 7] = [
    "0.01",
    "0.013",
    "0.0075",
    "0.25",
    "1.5",
    "0.333333333333",
    "0",
];
const FEES: [&str; 5] = ["9.99", "31", "49.5", "100", "0"];
const BANDS: [&str; 2] = ["day", "night"];

/// Draws plans; their prices have names of their own, so that no line is of two plans.
pub(super) struct Plans<'a> {
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) zone: &'static str,
    pub(super) currency: &'static str,
    pub(super) made: usize,
}

impl Plans<'_> {
    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        *items.choose(self.rng).unwrap()
    }

    fn price(&mut self) -> &'static str {
        self.pick(&PRICES)
    }

    /// For who has no subscription.
    pub(super) fn per_call(&mut self) -> Plan {
        self.made += 1;
        let document = json!({
            "name": format!("Calls {}", self.made), "kind": "pay_per_call", "currency": self.currency,
            "calendar": self.calendar(), "prices": self.prices(false), "allowances": [],
        });
        Plan {
            document,
            months: 1,
        }
    }

    /// For subscribers, billed every so many months.
    pub(super) fn subscription(&mut self, months: i64) -> Plan {
        self.made += 1;
        let allowances = self.allowances(months);
        let mut document = json!({
            "name": format!("Plan {}", self.made), "kind": "subscription", "currency": self.currency,
            "intervalMonths": months, "baseFee": self.pick(&FEES), "proration": self.pick(&["days", "days", "seconds", "none"]),
            "calendar": self.calendar(), "prices": self.prices(!allowances.is_empty()), "allowances": allowances,
        });
        if self.rng.random_bool(0.25) {
            document["minimumCommitment"] = json!(self.pick(&["5", "40"]));
        }
        if self.rng.random_bool(0.2) {
            document["trialDays"] = json!(self.pick(&[3, 14]));
        }
        Plan { document, months }
    }

    fn prices(&mut self, is_included: bool) -> Value {
        let mut calls = self.usage_price("calls", "CALL_DURATION_SECONDS", true);
        let rates = calls["bands"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|band| &band["rate"]);
        let is_counted = rates.chain([&calls["rate"]]).any(is_counted);
        if is_included && calls.get("connectionFee").is_none() {
            calls["connectionFee"] = json!("0.05");
        }
        if is_counted && calls.get("minimumCharge").is_none() {
            calls["minimumCharge"] = json!("0.02");
        }
        let mut prices = vec![calls];
        for (key, meter) in [("requests", "API_REQUEST"), ("texts", "SMS_RECEIVED")] {
            if self.rng.random_bool(0.8) {
                let mut price = self.usage_price(key, meter, false);
                if is_counted_anywhere(&price) && price.get("maximumCharge").is_none() {
                    price["maximumCharge"] = json!("30");
                }
                prices.push(price);
            }
        }
        json!(prices)
    }

    fn usage_price(&mut self, key: &str, meter: &str, is_time: bool) -> Value {
        let mut price = json!({"key": format!("{key}-{}", self.made), "meter": meter, "rate": self.rate(is_time)});
        if is_time {
            price["increment"] = json!(self.pick(&["1/1", "60/60", "30/6", "90/60", "6/6"]));
            price["freeSeconds"] = json!(self.pick(&[0, 0, 0, 5, 30]));
            if self.rng.random_bool(0.4) {
                price["bandMode"] = json!(self.pick(&["split", "increment_start"]));
                let band = self.pick(&BANDS);
                let draws = self.rng.random_bool(0.6);
                price["bands"] =
                    json!([{"band": band, "rate": self.rate(true), "drawsOnAllowance": draws}]);
            }
        }
        for (field, least) in [
            ("connectionFee", 0.3),
            ("minimumCharge", 0.2),
            ("maximumCharge", 0.2),
        ] {
            if self.rng.random_bool(least) {
                price[field] = json!(match field {
                    "maximumCharge" => self.pick(&["2", "30"]),
                    _ => self.pick(&["0.04", "0.1", "0.333"]),
                });
            }
        }
        price
    }

    fn rate(&mut self, is_time: bool) -> Value {
        let per = if is_time {
            self.pick(&["1", "60", "7"])
        } else {
            self.pick(&["1", "100"])
        };
        match self.rng.random_range(0..if is_time { 6 } else { 5 }) {
            0 => json!({"per_unit": {"price": self.price(), "per": per}}),
            1 => json!({"graduated": {"per": per, "tiers": self.tiers()}}),
            2 => json!({"volume": {"per": per, "tiers": self.tiers()}}),
            3 => {
                json!({"package": {"price": self.price(), "size": self.pick(&["10", "60", "3600"])}})
            }
            4 => json!({"flat": {"price": self.price()}}),
            _ => {
                let first = json!({"fromSecond": 0, "price": self.price()});
                let second = json!({"fromSecond": self.pick(&[10, 60]), "price": self.price()});
                json!({"by_duration": {"per": per, "steps": [first, second]}})
            }
        }
    }

    fn tiers(&mut self) -> Vec<Value> {
        let mut tiers = vec![
            json!({"upTo": self.pick(&["5", "90.5", "300"]), "price": self.price()}),
            json!({"upTo": "1000", "price": self.price()}),
            json!({"price": self.price()}),
        ];
        for tier in &mut tiers {
            if self.rng.random_bool(0.3) {
                tier["flatFee"] = json!(self.price());
            }
        }
        tiers
    }

    /// Of plans that are billed as often, all call it the same: it goes on when the plan changes.
    fn allowances(&mut self, months: i64) -> Vec<Value> {
        if self.rng.random_bool(0.3) {
            return Vec::new();
        }
        let mut time = json!({"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": self.pick(&[100, 600, 1800])});
        if months == 1 && self.rng.random_bool(0.2) {
            time["key"] = json!("yearly");
            time["every"] = json!("year");
        } else if self.rng.random_bool(0.5) {
            time["rollover"] = json!({"cycles": self.pick(&[1, 2])});
            if self.rng.random_bool(0.6) {
                time["rollover"]["cap"] = json!(self.pick(&["60", "500.5"]));
            }
        }
        vec![time]
    }

    fn calendar(&mut self) -> Value {
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        json!({
            "zone": self.zone, "otherwise": "evening", "holidays": ["2026-12-25", "2026-06-15"], "holidayBand": self.pick(&BANDS),
            "rules": [
                {"band": "day", "days": days[..5], "from": "08:00", "to": "18:30"},
                {"band": "night", "days": days, "from": "01:10", "to": "03:20"},
            ],
        })
    }
}

/// Whether what came before in the period decides what a unit costs.
fn is_counted(rate: &Value) -> bool {
    ["graduated", "volume", "package"]
        .iter()
        .any(|model| rate.get(model).is_some())
}

fn is_counted_anywhere(price: &Value) -> bool {
    is_counted(&price["rate"])
}
