//! What a credit note gives back of each line and each tax of its invoice.

use super::credit::{CreditError, Creditable, credit};
use crate::money::{Money, MoneyError, SplitError, split_largest_remainder};

/// A line of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLeft {
    /// As printed, and what was given back of it before.
    pub amount: Creditable,
    /// Which of the invoice's taxes is on it, counted from 0.
    pub tax: Option<usize>,
}

/// The tax of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaxLeft {
    /// As printed, and what was given back of it before.
    pub amount: Creditable,
    /// Whether the lines contain it already.
    pub inclusive: bool,
}

/// What is to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Give {
    /// All that is left.
    All,
    /// So much, tax included, spread over everything in proportion to what is left of it.
    Amount(Money),
    /// Of each line, as printed; the tax on it comes with it. `None`: nothing of it.
    Lines(Vec<Option<Money>>),
}

/// A credit note, part by part. The total is the sum of the lines and of the tax that they do not contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteParts {
    /// Of each line.
    pub lines: Vec<Money>,
    /// Of each tax.
    pub taxes: Vec<Money>,
    /// Without tax.
    pub subtotal: Money,
    /// All tax.
    pub tax: Money,
    /// What the payer gets.
    pub total: Money,
}

/// Why a credit note is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The amount.
    #[error(transparent)]
    Credit(#[from] CreditError),
    /// Nothing of a line, or more than is left of it; counted from 0.
    #[error("must be above zero and at most the {left} that are left of the line")]
    Line {
        /// Which line.
        index: usize,
        /// What is left of it.
        left: Money,
    },
}

impl From<MoneyError> for NoteError {
    fn from(error: MoneyError) -> Self {
        Self::Credit(error.into())
    }
}

impl From<SplitError> for NoteError {
    fn from(error: SplitError) -> Self {
        Self::Credit(error.into())
    }
}

impl Creditable {
    fn left(self) -> Result<Money, MoneyError> {
        self.invoiced.checked_sub(self.credited)
    }
}

/// Makes a credit note over lines and taxes of an invoice in the currency of `zero`.
///
/// Whatever is given back in whatever steps, nothing of a line or tax is given back twice, and what gives back all lines
/// gives back all tax, to the cent.
pub fn note(
    lines: &[LineLeft],
    taxes: &[TaxLeft],
    give: &Give,
    zero: Money,
) -> Result<NoteParts, NoteError> {
    let (line_parts, mut tax_parts) = match give {
        Give::Lines(wanted) => {
            let parts = by_line(lines, wanted, zero)?;
            (parts, vec![None; taxes.len()])
        }
        Give::All => spread(lines, taxes, left(lines, taxes, zero)?)?,
        Give::Amount(amount) => spread(lines, taxes, *amount)?,
    };
    for (index, tax) in taxes.iter().enumerate() {
        let Some(part) = tax_parts.get_mut(index).filter(|part| part.is_none()) else {
            continue;
        };
        *part = Some(tax_on(index, *tax, lines, &line_parts, zero)?);
    }
    let tax_parts: Vec<Money> = tax_parts.into_iter().map(|it| it.unwrap_or(zero)).collect();
    let (mut total, mut tax) = (zero, zero);
    for part in &line_parts {
        total = total.checked_add(*part)?;
    }
    for (part, of) in tax_parts.iter().zip(taxes) {
        tax = tax.checked_add(*part)?;
        if !of.inclusive {
            total = total.checked_add(*part)?;
        }
    }
    if total.minor() <= 0 {
        return Err(CreditError::Nothing.into());
    }
    Ok(NoteParts {
        lines: line_parts,
        taxes: tax_parts,
        subtotal: total.checked_sub(tax)?,
        tax,
        total,
    })
}

/// All that is left of a document.
fn left(lines: &[LineLeft], taxes: &[TaxLeft], zero: Money) -> Result<Money, MoneyError> {
    let exclusive = taxes.iter().filter(|tax| !tax.inclusive);
    lines
        .iter()
        .map(|line| line.amount)
        .chain(exclusive.map(|tax| tax.amount))
        .try_fold(zero, |sum, it| sum.checked_add(it.left()?))
}

type Parts = (Vec<Money>, Vec<Option<Money>>);

/// An amount over lines and the taxes that they do not contain; those that they do are left to be seen.
fn spread(lines: &[LineLeft], taxes: &[TaxLeft], amount: Money) -> Result<Parts, CreditError> {
    let exclusive = taxes.iter().filter(|tax| !tax.inclusive);
    let items: Vec<Creditable> = lines
        .iter()
        .map(|line| line.amount)
        .chain(exclusive.map(|tax| tax.amount))
        .collect();
    let mut parts = credit(&items, amount)?.into_iter();
    let of_lines = parts.by_ref().take(lines.len()).collect();
    let of_taxes = taxes
        .iter()
        .map(|tax| if tax.inclusive { None } else { parts.next() })
        .collect();
    Ok((of_lines, of_taxes))
}

fn by_line(
    lines: &[LineLeft],
    wanted: &[Option<Money>],
    zero: Money,
) -> Result<Vec<Money>, NoteError> {
    lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            let Some(part) = wanted.get(index).copied().flatten() else {
                return Ok(zero);
            };
            let left = line.amount.left()?;
            if part.minor() <= 0 || part.minor() > left.minor() {
                return Err(NoteError::Line { index, left });
            }
            Ok(part)
        })
        .collect()
}

/// The tax that comes with what is given back of its lines: of all that has been given back of them by now, less the tax
/// that was given back before. So the cents of many small credit notes add up to the tax of one.
fn tax_on(
    index: usize,
    tax: TaxLeft,
    lines: &[LineLeft],
    parts: &[Money],
    zero: Money,
) -> Result<Money, NoteError> {
    let (mut given, mut rest) = (zero, zero);
    for (line, part) in lines.iter().zip(parts) {
        if line.tax == Some(index) {
            let by_now = line.amount.credited.checked_add(*part)?;
            given = given.checked_add(by_now)?;
            rest = rest.checked_add(line.amount.invoiced.checked_sub(by_now)?)?;
        }
    }
    let left = tax.amount.left()?;
    if given.checked_add(rest)?.minor() <= 0 {
        return Ok(zero);
    }
    let weights = [given.to_fraction(), rest.to_fraction()];
    let by_now = split_largest_remainder(tax.amount.invoiced, &weights)?;
    let by_now = by_now.first().copied().unwrap_or(zero);
    let part = by_now.checked_sub(tax.amount.credited)?;
    let part = part.minor().clamp(0, left.minor().max(0));
    Ok(Money::from_minor(part, zero.currency()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::USD)
    }

    fn of(invoiced: i64, credited: i64) -> Creditable {
        Creditable {
            invoiced: usd(invoiced),
            credited: usd(credited),
        }
    }

    fn line(invoiced: i64, credited: i64) -> LineLeft {
        LineLeft {
            amount: of(invoiced, credited),
            tax: Some(0),
        }
    }

    fn tax(invoiced: i64, credited: i64, inclusive: bool) -> TaxLeft {
        TaxLeft {
            amount: of(invoiced, credited),
            inclusive,
        }
    }

    fn minors(parts: &NoteParts) -> (Vec<i64>, Vec<i64>, i64, i64) {
        let list = |it: &[Money]| it.iter().map(|part| part.minor()).collect();
        let (lines, taxes) = (list(&parts.lines), list(&parts.taxes));
        (lines, taxes, parts.subtotal.minor(), parts.total.minor())
    }

    #[test]
    fn a_line_takes_its_tax_with_it() {
        // 10.00 and 3.33 at 19 %: 2.53.
        let lines = [line(1000, 0), line(333, 0)];
        let taxes = [tax(253, 0, false)];
        let give = Give::Lines(vec![None, Some(usd(333))]);
        let parts = note(&lines, &taxes, &give, usd(0)).unwrap();
        // 253 × 333 ÷ 1333 is 63.2.
        assert_eq!(minors(&parts), (vec![0, 333], vec![63], 333, 396));
        let rest = note(
            &[line(1000, 0), line(333, 333)],
            &[tax(253, 63, false)],
            &Give::All,
            usd(0),
        );
        assert_eq!(
            minors(&rest.unwrap()),
            (vec![1000, 0], vec![190], 1000, 1190)
        );
    }

    #[test]
    fn tax_that_prices_include_is_part_of_what_is_given_back() {
        let lines = [line(12_000, 0)];
        let taxes = [tax(2_000, 0, true)];
        let half = note(&lines, &taxes, &Give::Amount(usd(6_000)), usd(0)).unwrap();
        assert_eq!(minors(&half), (vec![6_000], vec![1_000], 5_000, 6_000));
        let all = note(&lines, &taxes, &Give::All, usd(0)).unwrap();
        assert_eq!(minors(&all), (vec![12_000], vec![2_000], 10_000, 12_000));
    }

    #[test]
    fn more_than_is_left_is_refused() {
        let lines = [line(1000, 400), line(-100, 0)];
        let refused = |give| note(&lines, &[], &give, usd(0)).unwrap_err();
        let by_line = |index, minor| {
            let mut wanted = vec![None, None];
            wanted[index] = Some(usd(minor));
            refused(Give::Lines(wanted))
        };
        assert_eq!(
            by_line(0, 601),
            NoteError::Line {
                index: 0,
                left: usd(600)
            }
        );
        assert_eq!(
            by_line(0, 0),
            NoteError::Line {
                index: 0,
                left: usd(600)
            }
        );
        assert_eq!(
            by_line(1, 1),
            NoteError::Line {
                index: 1,
                left: usd(-100)
            }
        );
        assert_eq!(
            refused(Give::Amount(usd(501))),
            CreditError::Exceeds { left: usd(500) }.into()
        );
        assert_eq!(refused(Give::Lines(vec![])), CreditError::Nothing.into());
        let nothing = note(&[line(100, 100)], &[], &Give::All, usd(0)).unwrap_err();
        assert_eq!(nothing, CreditError::Nothing.into());
    }
}
