//! A reader of traces that knows only their JSON: what it adds up must be the amount that was charged.

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
