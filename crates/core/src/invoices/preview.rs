//! What a document would say if it were made now: lines from charges, commitment, discount, tax and totals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::discount::{Discount, DiscountError, apply_discount, commitment_gap};
use super::tax::{TaxTreatment, TaxedLine, Totals, totals};
use super::trace::{LineItem, LineTrace, Tracer};
use crate::money::{Currency, Money, MoneyError, Overflow, Quantity, Rounding};
use crate::plans::Key;
use crate::rating::{ChargePart, PartKind};

/// Charges that are being gathered into lines. Its data form goes on where it was left: gathering in several sittings
/// comes to the same.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Gathered", into = "Gathered")]
pub struct Gathering {
    lines: BTreeMap<Place, Line>,
    pending: u32,
}

/// Fees come first, then usage by price, band and kind.
type Place = (bool, String);

#[derive(Debug, Clone)]
struct Line {
    kind: PartKind,
    price_key: Option<Key>,
    band: Option<Key>,
    quantity: Quantity,
    tracer: Tracer,
}

/// A gathering as data.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Gathered {
    lines: Vec<GatheredLine>,
    #[serde(default)]
    pending: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GatheredLine {
    group: String,
    kind: PartKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price_key: Option<Key>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    band: Option<Key>,
    quantity: Quantity,
    charges: u32,
    items: Vec<LineItem>,
}

impl From<Gathering> for Gathered {
    fn from(gathering: Gathering) -> Self {
        let line = |((_, group), line): (Place, Line)| {
            let (charges, items) = line.tracer.into_parts();
            GatheredLine {
                group,
                kind: line.kind,
                price_key: line.price_key,
                band: line.band,
                quantity: line.quantity,
                charges,
                items,
            }
        };
        Self {
            lines: gathering.lines.into_iter().map(line).collect(),
            pending: gathering.pending,
        }
    }
}

impl TryFrom<Gathered> for Gathering {
    type Error = Overflow;

    fn try_from(gathered: Gathered) -> Result<Self, Overflow> {
        let line = |line: GatheredLine| {
            Ok((
                (line.kind != PartKind::Fee, line.group),
                Line {
                    kind: line.kind,
                    price_key: line.price_key,
                    band: line.band,
                    quantity: line.quantity,
                    tracer: Tracer::resume(line.charges, line.items)?,
                },
            ))
        };
        Ok(Self {
            lines: gathered
                .lines
                .into_iter()
                .map(line)
                .collect::<Result<_, _>>()?,
            pending: gathered.pending,
        })
    }
}

/// What a document needs beside its charges.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Of everything on it.
    pub currency: Currency,
    /// What happens to half a minor unit.
    pub rounding: Rounding,
    /// How every line is taxed.
    pub tax: TaxTreatment,
    /// Taken off all lines.
    pub discount: Option<Discount>,
    /// What the usage lines are filled up to.
    pub minimum_commitment: Option<Money>,
}

/// A line as it would be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewLine {
    /// The group of its charges, such as `calls/overage`.
    pub group: String,
    /// What its charges are for.
    pub kind: PartKind,
    /// The price; `None` for the base fee.
    pub price_key: Option<Key>,
    /// The band, if the price has bands.
    pub band: Option<Key>,
    /// In the meter's base unit; zero for fees.
    pub quantity: Quantity,
    /// Exact and printed amount, and how they came about.
    pub trace: LineTrace,
}

/// A document as it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// In the order in which they are printed.
    pub lines: Vec<PreviewLine>,
    /// What is missing to the minimum commitment; a line of its own.
    pub commitment: Option<LineTrace>,
    /// Taken off the lines, so below zero.
    pub discount: Option<LineTrace>,
    /// Subtotal, tax and total.
    pub totals: Totals,
    /// How the tax of each rate came about, in the order of the totals.
    pub taxes: Vec<LineTrace>,
    /// Charges that wait for a provider's price, and are not on it.
    pub pending: u32,
}

impl Gathering {
    /// Adds a charge. One whose amount is pending is counted, and waits for the next document.
    pub fn add(&mut self, part: &ChargePart) -> Result<(), Overflow> {
        if part.kind == PartKind::NotCharged {
            return Ok(());
        }
        let Some(amount) = part.amount else {
            self.pending = self.pending.checked_add(1).ok_or(Overflow)?;
            return Ok(());
        };
        let place = (part.kind != PartKind::Fee, part.line_group());
        let line = self.lines.entry(place).or_insert_with(|| Line {
            kind: part.kind,
            price_key: part.price_key.clone(),
            band: part.band.clone(),
            quantity: Quantity::ZERO,
            tracer: Tracer::default(),
        });
        if line.band != part.band {
            // The price is the same in several bands.
            line.band = None;
        }
        line.quantity = line.quantity.checked_add(part.quantity)?;
        line.tracer.add(part, amount)
    }

    /// The document that the charges so far make.
    pub fn preview(&self, conditions: &Conditions) -> Result<Preview, DiscountError> {
        let (currency, rounding) = (conditions.currency, conditions.rounding);
        let mut lines = Vec::with_capacity(self.lines.len());
        for ((_, group), line) in &self.lines {
            let trace = line.tracer.clone().finish(currency, rounding)?;
            lines.push(PreviewLine {
                group: group.clone(),
                kind: line.kind,
                price_key: line.price_key.clone(),
                band: line.band.clone(),
                quantity: line.quantity,
                trace,
            });
        }
        let commitment = conditions.commitment(usage_of(&lines, currency)?)?;
        let mut amounts: Vec<Money> = lines.iter().map(|line| line.trace.amount).collect();
        amounts.extend(commitment.as_ref().map(|line| line.amount));
        let discount = conditions.take_off(&mut amounts)?;
        let taxed: Vec<TaxedLine> = amounts
            .into_iter()
            .map(|amount| TaxedLine {
                amount,
                tax: conditions.tax.clone(),
            })
            .collect();
        let totals = totals(&taxed, currency, rounding)?;
        let of_rates = totals.taxes.iter().map(|tax| {
            let item = LineItem::Tax {
                name: tax.rate.name.clone(),
                percent: tax.rate.percent,
                net: tax.net,
            };
            LineTrace::of(item, currency, rounding)
        });
        Ok(Preview {
            lines,
            commitment,
            discount,
            taxes: of_rates.collect::<Result<_, _>>()?,
            totals,
            pending: self.pending,
        })
    }
}

impl Conditions {
    /// The line that fills the usage up, if it is needed.
    fn commitment(&self, usage: Money) -> Result<Option<LineTrace>, MoneyError> {
        let Some(minimum) = self.minimum_commitment else {
            return Ok(None);
        };
        if commitment_gap(minimum, usage)?.is_none() {
            return Ok(None);
        }
        let item = LineItem::Commitment {
            minimum: minimum.to_fraction(),
            usage: usage.to_fraction(),
        };
        Ok(Some(LineTrace::of(item, self.currency, self.rounding)?))
    }

    /// Takes the discount off the lines, if it takes anything.
    fn take_off(&self, amounts: &mut [Money]) -> Result<Option<LineTrace>, DiscountError> {
        let Some(discount) = self.discount else {
            return Ok(None);
        };
        let sum = amounts
            .iter()
            .try_fold(Money::zero(self.currency), |sum, it| sum.checked_add(*it))?;
        let offs = apply_discount(amounts, discount, self.rounding)?;
        for (amount, off) in amounts.iter_mut().zip(&offs) {
            *amount = amount.checked_sub(*off)?;
        }
        if offs.iter().all(|off| off.is_zero()) {
            return Ok(None);
        }
        let of = sum.to_fraction();
        let item = match discount {
            Discount::Percent(percent) => LineItem::PercentOff { percent, of },
            Discount::Amount(price) => LineItem::AmountOff { price, of },
        };
        Ok(Some(LineTrace::of(item, self.currency, self.rounding)?))
    }
}

/// What the usage lines come to as printed.
fn usage_of(lines: &[PreviewLine], currency: Currency) -> Result<Money, MoneyError> {
    lines
        .iter()
        .filter(|line| line.kind != PartKind::Fee)
        .map(|line| line.trace.amount)
        .try_fold(Money::zero(currency), Money::checked_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UsageEventId;
    use crate::invoices::TaxRate;
    use crate::plans::Offer;
    use crate::rating::{ProviderCost, State, Surroundings, Terms, Usage, rate};
    use crate::subscriptions::Share;

    const PLAN: &str = r#"{"currency":"USD","baseFee":10,"prices":[
        {"key":"calls","meter":"CALL_DURATION_SECONDS","connectionFee":"0.004","rate":{"per_unit":{"price":"0.05","per":60}}},
        {"key":"sms","meter":"SMS_SENT","rate":{"cost_plus":{"percent":20,"fixed":"0.001"}}}]}"#;

    fn gathered() -> Gathering {
        let offer = Offer::read(PLAN.as_bytes()).unwrap();
        let terms = Terms::new(&offer.document, &Surroundings::default()).unwrap();
        let mut gathering = Gathering::default();
        let half = Share {
            part: 15,
            whole: 30,
        };
        gathering
            .add(&terms.base_fee(half).unwrap().unwrap())
            .unwrap();
        let state = State::new("2026-01-01T00:00:00Z".parse().unwrap());
        for (meter, quantity, cost) in [
            ("CALL_DURATION_SECONDS", 61, None),
            ("CALL_DURATION_SECONDS", 100, None),
            ("CALL_DURATION_SECONDS", 0, None),
            ("SMS_SENT", 1, Some("0.0079")),
            ("SMS_SENT", 1, Some("0.01")),
            ("SMS_SENT", 1, None),
        ] {
            let usage = Usage {
                id: UsageEventId::new(uuid::Uuid::nil()),
                meter: meter.parse().unwrap(),
                quantity: Quantity::from_units(quantity),
                occurred_at: "2026-01-05T12:00:00Z".parse().unwrap(),
                is_time: meter == "CALL_DURATION_SECONDS",
                direction: None,
                destination: None,
                provider_cost: cost.map_or(ProviderCost::Pending, |cost| {
                    ProviderCost::Known(cost.parse().unwrap())
                }),
            };
            for part in rate(&usage, &terms, &state).unwrap().parts {
                gathering.add(&part).unwrap();
            }
        }
        gathering
    }

    fn conditions(discount: Option<Discount>, minimum: Option<i64>) -> Conditions {
        Conditions {
            currency: Currency::USD,
            rounding: Rounding::HalfUp,
            tax: TaxTreatment::Exempt,
            discount,
            minimum_commitment: minimum.map(|minor| Money::from_minor(minor, Currency::USD)),
        }
    }

    #[test]
    fn every_line_is_explained() {
        let preview = gathered().preview(&conditions(None, None)).unwrap();
        let lines = preview.lines.iter().map(|line| {
            format!(
                "{} {}\n{}\n",
                line.group,
                line.quantity,
                line.trace.explain("s")
            )
        });
        insta::assert_snapshot!(lines.collect::<String>(), @r"
        base/fee 15
        1 charge
        + 15 s × 10 USD ÷ 30 s
        = 5 USD
        calls/connection 0
        2 charges
        + 2 × 0.004 USD (connection fee)
        = 0.008 USD
        rounded half up to 0.01 USD, which leaves -0.002 USD
        calls/usage 161
        2 charges
        + 161 s × 0.05 USD ÷ 60 s
        = 161/1200 USD
        rounded half up to 0.13 USD, which leaves 1/240 USD
        sms/usage 2
        2 charges
        + 2 × 0.001 USD (fixed mark-up)
        + 0.02148 USD (providers' prices with mark-up, 2 times)
        = 0.02348 USD
        rounded half up to 0.02 USD, which leaves 0.00348 USD
        ");
        assert_eq!((preview.pending, preview.totals.total.minor()), (1, 516));
        let stored = serde_json::to_vec(&preview.lines[3].trace).unwrap();
        assert_eq!(
            serde_json::from_slice::<LineTrace>(&stored).unwrap(),
            preview.lines[3].trace
        );
    }

    #[test]
    fn gathering_goes_on_where_it_was_left() {
        let whole = gathered().preview(&conditions(None, None)).unwrap();
        let text = serde_json::to_string(&gathered()).unwrap();
        let left: Gathering = serde_json::from_str(&text).unwrap();
        assert_eq!(left.preview(&conditions(None, None)).unwrap(), whole);
        // A quantity that is divided by nothing is no line.
        let broken = text.replacen(r#""per":"30""#, r#""per":"0""#, 1);
        assert_ne!(broken, text);
        assert!(serde_json::from_str::<Gathering>(&broken).is_err());
    }

    #[test]
    fn usage_is_filled_up_and_the_discount_is_of_everything() {
        let ten = Discount::Percent("10".parse().unwrap());
        let mut conditions_of_all = conditions(Some(ten), Some(500));
        conditions_of_all.tax = TaxTreatment::Rates(vec![TaxRate {
            name: "QST".to_owned(),
            percent: "9.975".parse().unwrap(),
            inclusive: false,
        }]);
        let preview = gathered().preview(&conditions_of_all).unwrap();
        // Usage comes to 0.16, so 4.84 are missing; 10 % of 5.00 + 5.00.
        let explained = [preview.commitment, preview.discount]
            .into_iter()
            .flatten()
            .chain(preview.taxes)
            .map(|line| line.explain("s") + "\n");
        insta::assert_snapshot!(explained.collect::<String>(), @r"
        + 5 USD (minimum commitment) − 0.16 USD (usage)
        = 4.84 USD
        − 10 % of 10 USD (discount)
        = -1 USD
        + 9.975 % of 9 USD (QST)
        = 0.89775 USD
        rounded half up to 0.90 USD, which leaves -0.00225 USD
        ");
        assert_eq!(preview.totals.total.minor(), 990);
        let enough = gathered().preview(&conditions(None, Some(16))).unwrap();
        assert_eq!(enough.commitment, None);
    }
}
