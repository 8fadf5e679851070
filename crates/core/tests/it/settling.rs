//! Payments, credit, credit notes and their undoing: whatever happens to a payer's invoices, the ledger's receivable is
//! what they leave open, and its credit is what the payer has given beyond that.

use proptest::prelude::*;
use tollbook_core::ids::CustomerId;
use tollbook_core::invoices::{
    Creditable, Give, LineLeft, NoteParts, Standing, TaxLeft, Wanted, allocate, note,
};
use tollbook_core::ledger::{
    AccountKind, Entry, FEE, apply_credit, balances, credit_note, invoice, payment,
    payment_reversal, release,
};
use tollbook_core::money::Money;
use tollbook_core::payer::Payer;
use uuid::Uuid;

use crate::properties::{dollars, holds};

const PAYER: Payer = Payer::Customer(CustomerId::new(Uuid::from_u128(1)));

/// A payment, what of it pays which invoices, and whether it is from credit.
struct Paid {
    amount: i64,
    parts: Vec<(usize, i64)>,
    is_credit: bool,
}

/// A payer's invoices and payments, with the entries that they made.
#[derive(Default)]
struct Books {
    invoices: Vec<Standing>,
    paid: Vec<Paid>,
    entries: Vec<Entry>,
}

impl Books {
    fn open(&self) -> i64 {
        let open = self.invoices.iter().map(|it| it.open().unwrap().minor());
        open.sum()
    }

    /// What was received and credited beyond what the invoices come to and leave open.
    fn credit(&self) -> i64 {
        let received: i64 = self
            .paid
            .iter()
            .filter(|it| !it.is_credit)
            .map(|it| it.amount)
            .sum();
        let owed: i64 = self
            .invoices
            .iter()
            .map(|it| it.total.minor() - it.credited.minor())
            .sum();
        received - owed + self.open()
    }

    fn add_paid(&mut self, index: usize, minor: i64) {
        let standing = &mut self.invoices[index];
        standing.paid = standing.paid.checked_add(dollars(minor)).unwrap();
    }

    fn invoice(&mut self, amount: i64, tax: i64) {
        let entry = invoice(PAYER, &[(FEE, dollars(amount))], dollars(tax)).unwrap();
        self.entries.push(entry);
        self.invoices.push(Standing {
            total: dollars(amount + tax),
            paid: dollars(0),
            credited: dollars(0),
        });
    }

    /// Pays the oldest invoices with money, or with as much of the credit as there is.
    fn pay(&mut self, amount: i64, is_credit: bool) {
        let amount = if is_credit {
            amount.min(self.credit()).min(self.open())
        } else {
            amount
        };
        if amount <= 0 {
            return;
        }
        let wanted: Vec<Wanted> = self
            .invoices
            .iter()
            .map(|it| Wanted {
                open: it.open().unwrap(),
                amount: None,
            })
            .collect();
        let parts = allocate(dollars(amount), &wanted).unwrap();
        let allocated: i64 = parts.iter().copied().map(Money::minor).sum();
        assert_eq!(
            allocated,
            amount.min(self.open()),
            "all that can be paid is"
        );
        let entry = if is_credit {
            apply_credit(PAYER, dollars(amount), dollars(self.credit()))
        } else {
            payment(PAYER, dollars(amount), dollars(allocated))
        };
        self.entries.push(entry.unwrap());
        let parts: Vec<_> = parts
            .iter()
            .map(|it| it.minor())
            .enumerate()
            .filter(|it| it.1 > 0)
            .collect();
        for (index, minor) in &parts {
            self.add_paid(*index, *minor);
        }
        self.paid.push(Paid {
            amount,
            parts,
            is_credit,
        });
    }

    fn credit_note(&mut self, which: usize, amount: i64) {
        let Some(index) = which.checked_rem(self.invoices.len()) else {
            return;
        };
        let standing = self.invoices[index];
        let amount = amount.min(standing.total.minor() - standing.credited.minor());
        if amount <= 0 {
            return;
        }
        let open = standing.open().unwrap();
        let entry = credit_note(PAYER, &[(FEE, dollars(amount))], dollars(0), open).unwrap();
        self.entries.push(entry);
        let credited = standing.credited.checked_add(dollars(amount)).unwrap();
        self.invoices[index].credited = credited;
    }

    /// Takes parts of a payment back from their invoices; returns what is open again.
    fn take_back(&mut self, parts: &[(usize, i64)]) -> i64 {
        let mut reopened = 0;
        for (index, minor) in parts {
            reopened += self.invoices[*index]
                .reopened(dollars(*minor))
                .unwrap()
                .minor();
            self.add_paid(*index, -minor);
        }
        reopened
    }

    /// Undoes a payment, if the payer still has what of it is credit.
    fn reverse(&mut self, which: usize) {
        let Some(index) = which.checked_rem(self.paid.len()) else {
            return;
        };
        let (before, parts) = (self.invoices.clone(), self.paid[index].parts.clone());
        let (amount, is_credit) = (self.paid[index].amount, self.paid[index].is_credit);
        let credit = self.credit();
        let reopened = self.take_back(&parts);
        if !is_credit && amount - reopened > credit {
            self.invoices = before;
            return;
        }
        self.paid.remove(index);
        self.entries.push(if is_credit {
            release(PAYER, dollars(reopened)).unwrap()
        } else {
            payment_reversal(PAYER, dollars(amount), dollars(reopened)).unwrap()
        });
    }

    /// Takes a payment off its first invoice; the money stays.
    fn unallocate(&mut self, which: usize) {
        let Some(index) = which.checked_rem(self.paid.len()) else {
            return;
        };
        if self.paid[index].is_credit || self.paid[index].parts.is_empty() {
            return;
        }
        let part = self.paid[index].parts.remove(0);
        let reopened = self.take_back(&[part]);
        self.entries
            .push(release(PAYER, dollars(reopened)).unwrap());
    }
}

#[test]
fn the_receivable_is_what_is_open_and_credit_is_never_below_nothing() {
    let step = (0..8_u8, 1..5_000_i64, 0..500_i64, any::<usize>());
    holds(1_500, prop::collection::vec(step, 1..40), |steps| {
        let mut books = Books::default();
        for (kind, amount, tax, which) in steps {
            match kind {
                0 | 1 => books.invoice(amount, tax),
                2 | 3 => books.pay(amount, false),
                4 => books.pay(amount, true),
                5 => books.credit_note(which, amount),
                6 => books.reverse(which),
                _ => books.unallocate(which),
            }
            let sums = balances(&books.entries).unwrap();
            let on = |kind| {
                let of_kind = sums.iter().filter(|(account, _)| account.kind == kind);
                of_kind.map(|(_, sum)| sum.minor()).sum::<i64>()
            };
            prop_assert_eq!(on(AccountKind::Receivable), books.open());
            prop_assert_eq!(on(AccountKind::CustomerCredit), -books.credit());
            prop_assert!(books.credit() >= 0);
            let received = books
                .paid
                .iter()
                .filter(|it| !it.is_credit)
                .map(|it| it.amount);
            prop_assert_eq!(on(AccountKind::Clearing), received.sum::<i64>());
        }
        Ok(())
    });
}

/// An invoice of which credit notes have given back so much.
struct Credited {
    lines: Vec<LineLeft>,
    taxes: Vec<TaxLeft>,
}

impl Credited {
    /// Lines at two rates, one of which prices include, and lines without tax.
    fn new(amounts: &[i64], percents: [i64; 2]) -> Self {
        let mut bases = [0, 0];
        let lines = amounts.iter().enumerate().map(|(index, amount)| {
            let tax = Some(index % 3).filter(|rate| *rate < 2);
            if let Some(rate) = tax {
                bases[rate] += amount;
            }
            LineLeft {
                amount: creditable(*amount),
                tax,
            }
        });
        let lines = lines.collect();
        let taxes = [false, true]
            .into_iter()
            .enumerate()
            .map(|(rate, inclusive)| TaxLeft {
                amount: creditable(
                    bases[rate] * percents[rate]
                        / (100 + if inclusive { percents[rate] } else { 0 }),
                ),
                inclusive,
            });
        Self {
            taxes: taxes.collect(),
            lines,
        }
    }

    fn left(&self) -> i64 {
        let exclusive = self
            .taxes
            .iter()
            .filter(|it| !it.inclusive)
            .map(|it| it.amount);
        self.lines
            .iter()
            .map(|it| it.amount)
            .chain(exclusive)
            .map(|it| it.invoiced.minor() - it.credited.minor())
            .sum()
    }

    fn give(&mut self, give: &Give) -> Option<NoteParts> {
        let parts = note(&self.lines, &self.taxes, give, dollars(0)).ok()?;
        for (line, part) in self.lines.iter_mut().zip(&parts.lines) {
            line.amount.credited = line.amount.credited.checked_add(*part).unwrap();
        }
        for (tax, part) in self.taxes.iter_mut().zip(&parts.taxes) {
            tax.amount.credited = tax.amount.credited.checked_add(*part).unwrap();
        }
        Some(parts)
    }
}

fn creditable(minor: i64) -> Creditable {
    Creditable {
        invoiced: dollars(minor),
        credited: dollars(0),
    }
}

#[test]
fn credit_notes_give_back_an_invoice_to_the_cent_and_no_more() {
    let step = (any::<bool>(), any::<usize>(), 1..4_000_i64);
    let amounts = prop::collection::vec(1..5_000_i64, 1..7);
    let case = (
        amounts,
        [0..30_i64, 0..30_i64],
        prop::collection::vec(step, 0..12),
    );
    holds(1_500, case, |(amounts, percents, steps)| {
        let mut invoice = Credited::new(&amounts, percents);
        let (whole, mut given) = (invoice.left(), 0);
        for (by_line, which, minor) in steps {
            let left = invoice.left();
            let give = if by_line {
                let mut wanted = vec![None; amounts.len()];
                wanted[which % amounts.len()] = Some(dollars(minor));
                Give::Lines(wanted)
            } else {
                Give::Amount(dollars(minor))
            };
            let Some(parts) = invoice.give(&give) else {
                // Refused is only what there is not.
                prop_assert!(by_line || minor > left);
                continue;
            };
            prop_assert!(by_line || parts.total == dollars(minor));
            prop_assert_eq!(
                parts.subtotal.minor() + parts.tax.minor(),
                parts.total.minor()
            );
            prop_assert!(parts.subtotal.minor() >= 0 && parts.tax.minor() >= 0);
            given += parts.total.minor();
        }
        if let Some(rest) = invoice.give(&Give::All) {
            given += rest.total.minor();
        }
        prop_assert_eq!(given, whole);
        for part in invoice
            .lines
            .iter()
            .map(|it| it.amount)
            .chain(invoice.taxes.iter().map(|it| it.amount))
        {
            prop_assert_eq!(part.credited, part.invoiced);
        }
        Ok(())
    });
}
