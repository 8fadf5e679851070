//! Tax and totals of a document: each rate is rounded once for the whole document.

use serde::{Deserialize, Serialize};

use crate::money::{
    Currency, Fraction, Money, MoneyError, Overflow, Percent, Rounding, round_to_minor,
};

/// A tax rate as it stands on a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaxRate {
    /// Such as `VAT`.
    pub name: String,
    /// Of the net amount, 0 to 100.
    pub percent: Percent,
    /// Whether prices contain it already.
    #[serde(default)]
    pub inclusive: bool,
}

/// How a line is taxed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxTreatment {
    /// At these rates, each of the net amount; none is a rate of nothing.
    Rates(Vec<TaxRate>),
    /// The customer or the thing is exempt.
    Exempt,
    /// The customer owes the tax; the document must say so.
    ReverseCharge,
}

/// A line's rounded amount and its tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxedLine {
    /// As printed; net, or with tax where a rate is inclusive.
    pub amount: Money,
    /// How it is taxed.
    pub tax: TaxTreatment,
}

/// The tax of one rate over a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxTotal {
    /// The rate.
    pub rate: TaxRate,
    /// Net amount that it is on.
    pub base: Money,
    /// The same before it was rounded, which is what the tax is worked out from; in major units.
    pub net: Fraction,
    /// The tax.
    pub tax: Money,
}

/// The totals of a document; `subtotal + tax = total`, and `total` is the sum of the printed lines and exclusive tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Without tax.
    pub subtotal: Money,
    /// All tax, included or added.
    pub tax: Money,
    /// To be paid.
    pub total: Money,
    /// One for each rate, in order of appearance.
    pub taxes: Vec<TaxTotal>,
    /// Whether a line is taxed at the customer.
    pub reverse_charge: bool,
}

/// Exact net base of a rate so far.
struct Base {
    rate: TaxRate,
    net: Fraction,
}

/// Adds up a document from its printed lines.
pub fn totals(
    lines: &[TaxedLine],
    currency: Currency,
    rounding: Rounding,
) -> Result<Totals, MoneyError> {
    let mut gross = Money::zero(currency);
    let mut bases: Vec<Base> = Vec::new();
    for line in lines {
        gross = gross.checked_add(line.amount)?;
        match &line.tax {
            TaxTreatment::Rates(rates) => add_bases(&mut bases, line.amount, rates)?,
            TaxTreatment::Exempt | TaxTreatment::ReverseCharge => {}
        }
    }
    let (mut tax, mut total) = (Money::zero(currency), gross);
    let mut taxes = Vec::with_capacity(bases.len());
    for Base { rate, net } in bases {
        let exact = net.checked_mul(rate.percent.to_fraction()?)?;
        let amount = round_to_minor(exact, currency, rounding)?.money;
        let base = if rate.inclusive {
            // What is left of the price once the printed tax is out of it, so that both add up to the price.
            let with_tax = round_to_minor(net.checked_add(exact)?, currency, rounding)?.money;
            with_tax.checked_sub(amount)?
        } else {
            round_to_minor(net, currency, rounding)?.money
        };
        tax = tax.checked_add(amount)?;
        if !rate.inclusive {
            total = total.checked_add(amount)?;
        }
        taxes.push(TaxTotal {
            rate,
            base,
            net,
            tax: amount,
        });
    }
    let reverse_charge = lines
        .iter()
        .any(|line| line.tax == TaxTreatment::ReverseCharge);
    Ok(Totals {
        subtotal: total.checked_sub(tax)?,
        tax,
        total,
        taxes,
        reverse_charge,
    })
}

/// The net amount of a line is what is left without its inclusive rates; every rate is on that.
fn add_bases(bases: &mut Vec<Base>, amount: Money, rates: &[TaxRate]) -> Result<(), Overflow> {
    let mut divisor = Fraction::ONE;
    for rate in rates.iter().filter(|rate| rate.inclusive) {
        divisor = divisor.checked_add(rate.percent.to_fraction()?)?;
    }
    let net = amount.to_fraction().checked_div(divisor)?;
    for rate in rates {
        if let Some(base) = bases.iter_mut().find(|base| base.rate == *rate) {
            base.net = base.net.checked_add(net)?;
        } else {
            bases.push(Base {
                rate: rate.clone(),
                net,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(name: &str, percent: &str, inclusive: bool) -> TaxRate {
        TaxRate {
            name: name.into(),
            percent: percent.parse().unwrap(),
            inclusive,
        }
    }

    fn line(minor: i64, tax: TaxTreatment) -> TaxedLine {
        TaxedLine {
            amount: Money::from_minor(minor, Currency::EUR),
            tax,
        }
    }

    fn summary(lines: &[TaxedLine]) -> (i64, i64, i64, Vec<(i64, i64)>) {
        let totals = totals(lines, Currency::EUR, Rounding::HalfUp).unwrap();
        let taxes = totals
            .taxes
            .iter()
            .map(|tax| (tax.base.minor(), tax.tax.minor()))
            .collect();
        (
            totals.subtotal.minor(),
            totals.tax.minor(),
            totals.total.minor(),
            taxes,
        )
    }

    #[test]
    fn tax_is_rounded_once_per_rate_not_per_line() {
        let vat = TaxTreatment::Rates(vec![rate("VAT", "19", false)]);
        // 19 % of 1.02 is 0.1938, so 0.19; line by line it would be 3 × 0.06 = 0.18.
        assert_eq!(
            summary(&vec![line(34, vat); 3]),
            (102, 19, 121, vec![(102, 19)])
        );
    }

    #[test]
    fn several_rates_are_each_on_the_net_amount() {
        let rates = TaxTreatment::Rates(vec![rate("GST", "5", false), rate("QST", "9.975", false)]);
        assert_eq!(
            summary(&[line(10_000, rates)]),
            (10_000, 1_498, 11_498, vec![(10_000, 500), (10_000, 998)])
        );
    }

    #[test]
    fn inclusive_tax_is_taken_out_of_the_price() {
        let vat = TaxTreatment::Rates(vec![rate("VAT", "20", true)]);
        assert_eq!(
            summary(&[line(12_000, vat)]),
            (10_000, 2_000, 12_000, vec![(10_000, 2_000)])
        );
        // 2.5 + 0.5 cents: the tax is rounded, and the base is the rest of the price.
        let vat = TaxTreatment::Rates(vec![rate("VAT", "20", true)]);
        assert_eq!(summary(&[line(3, vat)]), (2, 1, 3, vec![(2, 1)]));
        let both = TaxTreatment::Rates(vec![rate("VAT", "20", true), rate("Levy", "1", false)]);
        assert_eq!(
            summary(&[line(12_000, both)]),
            (10_000, 2_100, 12_100, vec![(10_000, 2_000), (10_000, 100)])
        );
    }

    #[test]
    fn exempt_and_reverse_charge_add_nothing() {
        let vat = TaxTreatment::Rates(vec![rate("VAT", "19", false)]);
        let lines = [
            line(1_000, TaxTreatment::Exempt),
            line(1_000, vat),
            line(1_000, TaxTreatment::ReverseCharge),
        ];
        assert_eq!(summary(&lines), (3_000, 190, 3_190, vec![(1_000, 190)]));
        assert!(
            totals(&lines, Currency::EUR, Rounding::HalfUp)
                .unwrap()
                .reverse_charge
        );
        assert!(
            !totals(&[], Currency::EUR, Rounding::HalfUp)
                .unwrap()
                .reverse_charge
        );
    }

    #[test]
    fn lines_below_zero_lower_the_base() {
        let vat = TaxTreatment::Rates(vec![rate("VAT", "19", false)]);
        assert_eq!(
            summary(&[line(10_000, vat.clone()), line(-2_500, vat)]),
            (7_500, 1_425, 8_925, vec![(7_500, 1_425)])
        );
    }

    #[test]
    fn another_currency_is_refused() {
        let line = line(1, TaxTreatment::Exempt);
        assert!(matches!(
            totals(&[line], Currency::USD, Rounding::HalfUp),
            Err(MoneyError::Currencies(..))
        ));
    }
}
