//! A reader of traces that knows only their JSON: what it adds up must be the amount that was charged.

use num_bigint::BigInt;
use serde_json::Value;

use crate::ratio::Ratio;

/// The sum of a trace's items; `cost` is the provider's price of the usage.
pub(crate) fn recompute(trace: &Value, cost: Option<&str>) -> Ratio {
    assert_eq!(trace["v"], 1, "version");
    let items = trace["items"].as_array().map_or(&[][..], Vec::as_slice);
    items
        .iter()
        .fold(Ratio::whole(0), |sum, item| sum.plus(&amount(item, cost)))
}

/// Checks the time of a usage's parts, each with its quantity: the traces say what was used, and it becomes what is
/// billed; the parts follow each other and are all of it.
pub(crate) fn check_time(parts: &[(Value, Ratio)]) {
    let mut before = Ratio::whole(0);
    for (trace, quantity) in parts {
        let time = &trace["time"];
        let number = |field: &str| time[field].as_i64().unwrap_or(0);
        let (initial, step) = time["increment"].as_str().unwrap().split_once('/').unwrap();
        let (initial, step): (i64, i64) = (initial.parse().unwrap(), step.parse().unwrap());
        let charged = number("usedSeconds") - number("freeSeconds");
        let mut billed = initial;
        while billed < charged {
            billed += step;
        }
        assert_eq!(number("billedSeconds"), billed, "{trace}");
        let begins = Ratio::whole(number("fromSecond"));
        assert!(
            begins <= before && before < begins.plus(&Ratio::whole(1)),
            "{trace}"
        );
        before = before.plus(quantity);
    }
    if let Some((trace, _)) = parts.first() {
        let billed = trace["time"]["billedSeconds"].as_i64().unwrap();
        assert_eq!(before, Ratio::whole(billed), "{trace}");
    }
}

/// Exact and printed amount of an invoice line, from its trace alone; the printed one in minor units.
pub(crate) fn recompute_line(trace: &Value) -> (Ratio, BigInt) {
    assert_eq!(trace["v"], 1, "version");
    let items = trace["items"].as_array().unwrap();
    let exact = items
        .iter()
        .fold(Ratio::whole(0), |sum, item| sum.plus(&line_amount(item)));
    let scale = match trace["amount"]["currency"].as_str().unwrap() {
        "USD" | "EUR" => 100,
        "JPY" => 1,
        "KWD" => 1000,
        other => panic!("the reader does not know {other}"),
    };
    let is_negative = exact < Ratio::whole(0);
    let size = if is_negative {
        Ratio::whole(0).minus(&exact)
    } else {
        exact.clone()
    };
    let twice = size.times(&Ratio::whole(2 * scale));
    // Half up is the ceiling of 2x − 1 over 2, for what is not negative: floor(x + ½).
    let half_up = |twice: &Ratio| {
        let up = twice.plus(&Ratio::whole(1)).over(&Ratio::whole(2));
        let ceiling = up.ceil();
        if Ratio::from(ceiling.clone()) == up {
            ceiling
        } else {
            ceiling - 1
        }
    };
    let mut minor = half_up(&twice);
    let is_half = Ratio::from(&minor * 2).minus(&twice) == Ratio::whole(1);
    if is_half && trace["rounding"] == "half_even" && &minor % 2 != BigInt::ZERO {
        minor -= 1;
    }
    (exact, if is_negative { -minor } else { minor })
}

fn line_amount(item: &Value) -> Ratio {
    let (kind, fields) = item.as_object().unwrap().iter().next().unwrap();
    let times = || Ratio::whole(fields["times"].as_i64().unwrap());
    let price = || Ratio::decimal(fields["price"].as_str().unwrap());
    let fraction = |name: &str| {
        let part = |index: usize| Ratio::decimal(fields[name][index].as_str().unwrap());
        part(0).over(&part(1))
    };
    let percent = || Ratio::decimal(fields["percent"].as_str().unwrap()).over(&Ratio::whole(100));
    let zero = Ratio::whole(0);
    match kind.as_str() {
        "units" | "units_before" => amount(item, None),
        "fixed" => times().times(&price()),
        "fixed_before" => zero.minus(&times().times(&price())),
        "cost" => fraction("amount"),
        "charged_before" => zero.minus(&fraction("amount")),
        "commitment" => fraction("minimum").minus(&fraction("usage")),
        "percent_off" => zero.minus(&fraction("of").times(&percent())),
        "amount_off" => {
            let (price, of) = (price(), fraction("of"));
            zero.minus(if price < of { &price } else { &of })
        }
        "tax" => fraction("net").times(&percent()),
        other => panic!("unknown item `{other}`"),
    }
}

fn amount(item: &Value, cost: Option<&str>) -> Ratio {
    let (kind, fields) = item.as_object().unwrap().iter().next().unwrap();
    let decimal = |name: &str| Ratio::decimal(fields[name].as_str().unwrap());
    let zero = Ratio::whole(0);
    match kind.as_str() {
        "units" => decimal("quantity")
            .times(&decimal("price"))
            .over(&decimal("per")),
        "units_before" => zero.minus(
            &decimal("quantity")
                .times(&decimal("price"))
                .over(&decimal("per")),
        ),
        "fixed" => decimal("price"),
        "fixed_before" => zero.minus(&decimal("price")),
        "cost" => {
            let marked_up = Ratio::whole(100)
                .plus(&decimal("percent"))
                .over(&Ratio::whole(100));
            Ratio::decimal(cost.unwrap())
                .times(&decimal("quantity"))
                .over(&decimal("of"))
                .times(&marked_up)
        }
        "charged_before" => {
            let part = |index: usize| Ratio::decimal(fields["amount"][index].as_str().unwrap());
            zero.minus(&part(0).over(&part(1)))
        }
        other => panic!("unknown item `{other}`"),
    }
}
