//! Random plans, accounts and usage from a seed.

use jiff::Timestamp;
use rand::Rng;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::naive::{NaiveGrant, NaiveUsage};
use crate::ratio::Ratio;

const PRICES: [&str; 9] = [
    "0",
    "0.01",
    "0.013",
    "0.0075",
    "1",
    "2.5",
    "0.333333333333",
    "7",
    "0.000000000001",
];
pub(crate) const ZONES: [&str; 6] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/St_Johns",
];
const BANDS: [&str; 3] = ["day", "evening", "night"];
const NUMBERS: [&str; 4] = [
    "+12125550123",
    "+12135550123",
    "+442072193000",
    "+4930123456",
];

/// Instants around which something happens: clock changes, holidays, ends of grants.
const INSTANTS: [&str; 8] = [
    "2026-03-08T06:50:00Z",
    "2026-11-01T05:50:00Z",
    "2026-03-29T00:50:00Z",
    "2026-10-25T00:50:00Z",
    "2026-04-04T14:50:00Z",
    "2026-12-25T04:55:00Z",
    "2026-06-15T12:55:00Z",
    "2026-06-30T23:55:00Z",
];

pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0.random_range(0..end)
    }

    pub(crate) fn chance(&mut self, one_in: u32) -> bool {
        self.below(one_in) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        *items.choose(&mut self.0).unwrap()
    }

    fn price(&mut self) -> &'static str {
        self.pick(&PRICES)
    }

    /// A plan with prices for calls (two directions) and a meter of the organization's own, in any combination of models and modifiers.
    pub(crate) fn plan(&mut self) -> Value {
        let mut prices = vec![self.usage_price("calls", "CALL_DURATION_SECONDS", true)];
        if self.chance(3) {
            let mut outgoing = self.usage_price("out", "CALL_DURATION_SECONDS", true);
            outgoing["direction"] = json!("outgoing");
            prices.push(outgoing);
        }
        prices.push(self.usage_price("own", "OWN_UNITS", false));
        let allowances = self.allowances();
        json!({"currency": "USD", "calendar": self.calendar(), "prices": prices, "allowances": allowances})
    }

    pub(crate) fn decks(&mut self) -> Value {
        let mut entries = Vec::new();
        for prefix in ["1", "12", "1212", "44", "4930", "49"] {
            let mut entry = json!({"prefix": prefix, "price": self.price()});
            if self.chance(3) {
                entry["connectionFee"] = json!(self.price());
            }
            if self.chance(3) {
                entry["increment"] = json!(self.pick(&["1/1", "60/60", "30/6"]));
            }
            entries.push(entry);
        }
        // A destination whose price changes at an instant around which calls are made.
        let change = "2026-06-15T13:05:00Z";
        entries.push(json!({"prefix": "1213", "price": self.price(), "endsAt": change}));
        entries.push(json!({"prefix": "1213", "price": self.price(), "startsAt": change}));
        // And one that has a price of its own for a while only.
        entries.push(
            json!({"prefix": "4420", "price": self.price(), "startsAt": "2026-03-29T01:00:00Z", "endsAt": change}),
        );
        json!({"world": entries})
    }

    fn calendar(&mut self) -> Value {
        let mut rules = Vec::new();
        for (from, to, band) in [
            ("06:00", "13:00", "day"),
            ("13:00", "21:30", "evening"),
            ("23:00", "24:00", "evening"),
            ("01:10", "02:20", "day"),
        ] {
            let days: Vec<_> = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
                .into_iter()
                .filter(|_| !self.chance(4))
                .collect();
            if !days.is_empty() && !self.chance(5) {
                rules.push(json!({"band": band, "days": days, "from": from, "to": to}));
            }
        }
        // Every band must exist for a price to name it.
        rules.push(json!({"band": "day", "days": ["sun"], "from": "22:00", "to": "22:01"}));
        rules.push(json!({"band": "evening", "days": ["sun"], "from": "22:01", "to": "22:02"}));
        let mut calendar = json!({"zone": self.pick(&ZONES), "rules": rules, "otherwise": "night", "holidays": ["2026-12-25", "2026-06-15"]});
        if self.chance(2) {
            calendar["holidayBand"] = json!("day");
        }
        calendar
    }

    fn usage_price(&mut self, key: &str, meter: &str, is_time: bool) -> Value {
        let mut price = Map::new();
        price.insert("key".into(), json!(key));
        price.insert("meter".into(), json!(meter));
        price.insert("rate".into(), self.rate(is_time));
        if is_time {
            price.insert(
                "increment".into(),
                json!(self.pick(&["1/1", "60/60", "30/6", "90/60", "6/6"])),
            );
            price.insert("freeSeconds".into(), json!(self.pick(&[0, 0, 5, 30])));
        }
        if self.chance(3) {
            price.insert("connectionFee".into(), json!(self.price()));
        }
        if self.chance(4) {
            price.insert(
                "minimumCharge".into(),
                json!(self.pick(&["0", "0.05", "0.1"])),
            );
        }
        if self.chance(4) {
            price.insert(
                "maximumCharge".into(),
                json!(self.pick(&["0.1", "1", "30"])),
            );
        }
        if self.chance(2) {
            price.insert(
                "bandMode".into(),
                json!(self.pick(&["split", "increment_start"])),
            );
            let mut bands = Vec::new();
            for band in BANDS {
                if self.chance(2) {
                    bands.push(json!({"band": band, "rate": self.rate(is_time), "drawsOnAllowance": !self.chance(3)}));
                }
            }
            if !bands.is_empty() {
                price.insert("bands".into(), json!(bands));
            }
        }
        Value::Object(price)
    }

    fn rate(&mut self, is_time: bool) -> Value {
        let per = if is_time {
            self.pick(&["1", "60", "7"])
        } else {
            self.pick(&["1", "100", "0.5"])
        };
        match self.below(if is_time { 8 } else { 7 }) {
            0 => json!({"per_unit": {"price": self.price(), "per": per}}),
            1 => json!({"graduated": {"per": per, "tiers": self.tiers()}}),
            2 => json!({"volume": {"per": per, "tiers": self.tiers()}}),
            3 => {
                json!({"package": {"price": self.price(), "size": self.pick(&["10", "60", "100", "3600"])}})
            }
            4 => json!({"flat": {"price": self.price()}}),
            5 => {
                json!({"cost_plus": {"percent": self.pick(&["0", "20", "33.3"]), "fixed": self.price()}})
            }
            6 => json!({"deck": {"deck": "world", "per": per}}),
            _ => {
                let first = json!({"fromSecond": 0, "price": self.price()});
                let second = json!({"fromSecond": self.pick(&[10, 60]), "price": self.price()});
                let third = json!({"fromSecond": 150, "price": self.price()});
                json!({"by_duration": {"per": per, "steps": [first, second, third]}})
            }
        }
    }

    fn tiers(&mut self) -> Vec<Value> {
        let mut tiers =
            vec![json!({"upTo": self.pick(&["5", "60", "90.5", "300"]), "price": self.price()})];
        if self.chance(2) {
            tiers.push(json!({"upTo": "1000", "price": self.price()}));
        }
        tiers.push(json!({"price": self.price()}));
        for tier in &mut tiers {
            if self.chance(4) {
                tier["flatFee"] = json!(self.price());
            }
        }
        tiers
    }

    fn allowances(&mut self) -> Vec<Value> {
        let mut allowances = Vec::new();
        if self.chance(2) {
            let mut time = json!({"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": self.pick(&[100, 350])});
            if self.chance(4) {
                time["every"] = json!("year");
            }
            if self.chance(4) {
                time["rollover"] = self.rollover();
            }
            allowances.push(time);
        }
        if self.chance(3) {
            allowances.push(json!({"key": "pool", "meters": ["OWN_UNITS", "CALL_DURATION_SECONDS"], "quantity": 100, "rollover": self.rollover()}));
        }
        allowances
    }

    fn rollover(&mut self) -> Value {
        let mut rollover = json!({"cycles": self.pick(&[1, 2])});
        if self.chance(2) {
            rollover["cap"] = json!(self.pick(&["0", "60", "120.5"]));
        }
        rollover
    }

    pub(crate) fn grants(&mut self) -> Vec<NaiveGrant> {
        let count = self.below(4);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        (0..count)
            .map(|_| NaiveGrant {
                allowance: self.pick(&["time", "pool"]).to_owned(),
                left: Ratio::whole(i64::from(self.pick(&[1_u32, 45, 61, 150, 700]))),
                starts: at(self.pick(&["2026-01-01T00:00:00Z", "2026-06-15T12:56:00Z"])),
                expires: at(self.pick(&["2027-01-01T00:00:00Z", "2026-10-25T00:55:00Z"])),
            })
            .collect()
    }

    pub(crate) fn usage(&mut self) -> NaiveUsage {
        let is_time = !self.chance(3);
        let quantity = if is_time {
            let seconds = match self.below(10) {
                0 => 0,
                1 => self.below(2000),
                2 => self.pick(&[59, 60, 61, 30, 31, 5, 6]),
                _ => self.below(200),
            };
            seconds.to_string()
        } else {
            self.pick(&["1", "2", "0.5", "10", "0", "120"]).to_owned()
        };
        let around = self.pick(&INSTANTS).parse::<Timestamp>().unwrap();
        let at = around + jiff::SignedDuration::from_millis(i64::from(self.below(1_800_000)));
        NaiveUsage {
            meter: if is_time {
                "CALL_DURATION_SECONDS"
            } else {
                "OWN_UNITS"
            },
            quantity,
            at,
            is_time,
            direction: self.pick(&[None, Some("incoming"), Some("outgoing")]),
            to: self.pick(&NUMBERS).to_owned(),
            cost: if self.chance(5) {
                None
            } else {
                Some(self.price().to_owned())
            },
        }
    }
}
