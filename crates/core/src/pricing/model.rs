//! Price models that count over a billing period: what a quantity costs in all, and what the next slice adds.
//!
//! A slice costs f(before + slice) − f(before), so cutting usage into other pieces never changes a total.

use crate::money::{Fraction, Overflow, Price, Quantity};
use crate::plans::Tier;
use crate::rating::{FixedFee, Item};

/// What the next slice of a graduated price adds: each unit at the price of the tier that it falls into.
pub(crate) fn graduated(
    tiers: &[Tier],
    per: Quantity,
    before: Quantity,
    after: Quantity,
) -> Result<Vec<Item>, Overflow> {
    let mut items = Vec::new();
    let mut start = Quantity::ZERO;
    for (tier, number) in tiers.iter().zip(1_u32..) {
        let end = tier.up_to.unwrap_or(after);
        let from = before.max(start);
        let to = after.min(end);
        if from < to {
            if let Some(price) = tier.flat_fee.filter(|_| before <= start) {
                items.push(Item::Fixed {
                    fee: FixedFee::Tier,
                    price,
                });
            }
            items.push(Item::Units {
                quantity: to.checked_sub(from)?,
                price: tier.price,
                per,
                tier: Some(number),
            });
        }
        start = end;
        if start >= after {
            break;
        }
    }
    Ok(items)
}

/// What the next slice of a volume price adds; it is below zero where a cheaper tier is reached.
pub(crate) fn volume(
    tiers: &[Tier],
    per: Quantity,
    before: Quantity,
    after: Quantity,
) -> Vec<Item> {
    let mut items = Vec::new();
    let (old, new) = (tier_of(tiers, before), tier_of(tiers, after));
    if let (Some((old_number, _)), Some((number, tier))) = (old, new)
        && old_number == number
        && let Ok(quantity) = after.checked_sub(before)
    {
        // Within one tier the earlier units cancel out.
        items.push(Item::Units {
            quantity,
            price: tier.price,
            per,
            tier: Some(number),
        });
        return items;
    }
    if let Some((number, tier)) = new {
        items.push(Item::Units {
            quantity: after,
            price: tier.price,
            per,
            tier: Some(number),
        });
        items.extend(tier.flat_fee.map(|price| Item::Fixed {
            fee: FixedFee::Tier,
            price,
        }));
    }
    if let Some((number, tier)) = old {
        items.push(Item::UnitsBefore {
            quantity: before,
            price: tier.price,
            per,
            tier: number,
        });
        items.extend(tier.flat_fee.map(|price| Item::FixedBefore { price }));
    }
    items
}

/// The tier of the last unit, counted from 1; no unit is in no tier.
fn tier_of(tiers: &[Tier], quantity: Quantity) -> Option<(u32, &Tier)> {
    if quantity <= Quantity::ZERO {
        return None;
    }
    (1_u32..)
        .zip(tiers)
        .find(|(_, tier)| tier.up_to.is_none_or(|up_to| quantity <= up_to))
}

/// The packages that the next slice starts.
pub(crate) fn package(
    price: Price,
    size: Quantity,
    before: Quantity,
    after: Quantity,
) -> Result<Vec<Item>, Overflow> {
    let started = packages(after, size)?
        .checked_sub(packages(before, size)?)
        .ok_or(Overflow)?;
    if started == 0 {
        return Ok(Vec::new());
    }
    let quantity = Quantity::try_from_units(started).map_err(|_| Overflow)?;
    Ok(vec![Item::Units {
        quantity,
        price,
        per: Quantity::from_units(1),
        tier: None,
    }])
}

fn packages(quantity: Quantity, size: Quantity) -> Result<i64, Overflow> {
    let packages: Fraction = quantity.to_fraction().checked_div(size.to_fraction())?;
    i64::try_from(packages.ceil()).map_err(|_| Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rating::{ProviderCost, Trace};

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    fn tiers() -> Vec<Tier> {
        serde_json::from_str(
            r#"[{"upTo":5,"price":7},{"upTo":10,"price":"6.5","flatFee":1},{"price":6}]"#,
        )
        .unwrap()
    }

    fn sum(items: Vec<Item>) -> String {
        Trace {
            items,
            ..Trace::new()
        }
        .amount(ProviderCost::Pending)
        .unwrap()
        .unwrap()
        .to_string()
    }

    #[test]
    fn graduated_prices_each_unit_in_its_tier() {
        let cost = |before, after| {
            sum(graduated(
                &tiers(),
                Quantity::from_units(1),
                quantity(before),
                quantity(after),
            )
            .unwrap())
        };
        // 5 × 7 + 1 + 5 × 6.5 + 2 × 6.
        assert_eq!(cost("0", "12"), "80.5");
        assert_eq!(cost("0", "5"), "35");
        // The fee of a tier is paid when the first fraction of a unit reaches it, and once.
        assert_eq!(cost("5", "5.001"), "1.0065");
        assert_eq!(cost("5.001", "10"), "32.4935");
        assert_eq!(cost("12", "12"), "0");
    }

    #[test]
    fn volume_prices_all_units_in_the_last_ones_tier() {
        let cost = |before, after| {
            sum(volume(
                &tiers(),
                Quantity::from_units(1),
                quantity(before),
                quantity(after),
            ))
        };
        assert_eq!(cost("0", "5"), "35");
        // 6 × 6.5 + 1 − 5 × 7.
        assert_eq!(cost("5", "6"), "5");
        assert_eq!(cost("0", "6"), "40");
        // 11 × 6 − (10 × 6.5 + 1).
        assert_eq!(cost("10", "11"), "0");
        assert_eq!(cost("6", "7"), "6.5");
    }

    #[test]
    fn packages_are_paid_when_started() {
        let cost = |before, after| {
            sum(package(
                "2.5".parse().unwrap(),
                quantity("100"),
                quantity(before),
                quantity(after),
            )
            .unwrap())
        };
        assert_eq!(cost("0", "1"), "2.5");
        assert_eq!(cost("1", "100"), "0");
        assert_eq!(cost("100", "100.5"), "2.5");
        assert_eq!(cost("0", "250"), "7.5");
    }
}
