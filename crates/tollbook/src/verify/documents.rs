//! Finalized documents against the charges behind them: lines, taxes and totals, by the rules that made them.

use rust_decimal::Decimal;
use tollbook_core::ids::OrganizationId;
use tollbook_core::invoices::{TaxRate, TaxTreatment, TaxedLine, Totals, totals};
use tollbook_core::money::{Currency, Money, Percent, Rounding, round_to_minor};
use uuid::Uuid;

use super::charges::fraction;
use super::counters::{difference, quantity};
use super::gathered::{CHARGES_MAX, Group, Groups, gather, gather_in_pieces};
use super::ops::{Difference, FOUND_MAX};
use super::snapshot::snapshot;
use crate::app::App;
use crate::db::Tx;
use crate::error::{Error, Result};

/// Documents of one chunk.
const CHUNK: i64 = 200;

struct Document {
    id: Uuid,
    payer: String,
    currency: String,
    rounding: String,
    subtotal_minor: i64,
    tax_minor: i64,
    total_minor: i64,
}

struct PrintedLine {
    id: Uuid,
    invoice_id: Uuid,
    line_group: String,
    quantity: Decimal,
    amount_numerator: Decimal,
    amount_denominator: Decimal,
    amount_minor: i64,
    tax_percent: Option<Decimal>,
    tax_inclusive: bool,
    charges: i64,
}

struct PrintedTax {
    invoice_id: Uuid,
    percent: Decimal,
    inclusive: bool,
    base_minor: i64,
    tax_minor: i64,
}

/// Adds up the finalized documents of an organization again.
pub(super) async fn run(
    app: &App,
    organization: OrganizationId,
    tell: &mut impl FnMut(u64),
) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let mut tx = snapshot(app).await?;
        let documents = documents(&mut tx, organization, after).await?;
        match documents.last() {
            Some(last) if differences.len() < FOUND_MAX => after = last.id,
            _ => return Ok(differences),
        }
        let ids: Vec<Uuid> = documents.iter().map(|it| it.id).collect();
        let lines = lines(&mut tx, organization, &ids).await?;
        let taxes = taxes(&mut tx, organization, &ids).await?;
        let count: i64 = lines.iter().map(|line| line.charges).sum();
        let mut groups = if count <= CHARGES_MAX {
            gather(&mut tx, organization, &ids).await?
        } else {
            drop(tx);
            gather_in_pieces(app, organization, &ids).await?
        };
        for document in &documents {
            let own: Vec<&PrintedLine> = lines
                .iter()
                .filter(|it| it.invoice_id == document.id)
                .collect();
            let taxes: Vec<&PrintedTax> = taxes
                .iter()
                .filter(|it| it.invoice_id == document.id)
                .collect();
            let rest = groups.split_off(&(document.id, String::new()));
            let (own_groups, others): (Groups, Groups) = rest
                .into_iter()
                .partition(|((id, _), _)| *id == document.id);
            groups.extend(others);
            let mut notes = Notes {
                organization,
                differences: &mut differences,
            };
            document.check(&own, &taxes, own_groups, &mut notes)?;
        }
        tell(CHUNK.unsigned_abs());
    }
}

async fn documents(
    tx: &mut Tx,
    organization: OrganizationId,
    after: Uuid,
) -> Result<Vec<Document>> {
    let rows = sqlx::query_as!(
        Document,
        "select i.id, i.payer, i.currency, o.rounding, i.subtotal_minor, i.tax_minor, i.total_minor
         from invoices i join organizations o on o.id = i.organization_id
         where i.organization_id = $1 and i.id > $2 and i.state <> 'draft' and i.kind <> 'opening' order by i.id limit $3",
        organization.uuid(),
        after,
        CHUNK,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

async fn lines(
    tx: &mut Tx,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<PrintedLine>> {
    let rows = sqlx::query_as!(
        PrintedLine,
        "select id, invoice_id, line_group, quantity, amount_numerator, amount_denominator, amount_minor, tax_percent, tax_inclusive, charges
         from invoice_lines where organization_id = $1 and invoice_id = any($2) order by invoice_id, position",
        organization.uuid(),
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

async fn taxes(tx: &mut Tx, organization: OrganizationId, ids: &[Uuid]) -> Result<Vec<PrintedTax>> {
    let rows = sqlx::query_as!(
        PrintedTax,
        "select invoice_id, percent, inclusive, base_minor, tax_minor
         from invoice_taxes where organization_id = $1 and invoice_id = any($2) order by invoice_id, percent, inclusive",
        organization.uuid(),
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

struct Notes<'a> {
    organization: OrganizationId,
    differences: &'a mut Vec<Difference>,
}

impl Notes<'_> {
    fn compare(&mut self, table: &str, key: &str, what: &str, expected: String, found: String) {
        if expected != found {
            let (organization, key) = (self.organization, key.to_owned());
            self.differences
                .push(difference(organization, table, key, what, expected, found));
        }
    }
}

impl Document {
    /// How it is rounded: as its seller does. That may have been changed since, and shows only in halves, so the
    /// other way is as good if it is what is printed.
    fn roundings(&self) -> [Rounding; 2] {
        if self.payer == "customer" && self.rounding == "half_even" {
            [Rounding::HalfEven, Rounding::HalfUp]
        } else {
            [Rounding::HalfUp, Rounding::HalfEven]
        }
    }

    fn check(
        &self,
        lines: &[&PrintedLine],
        taxes: &[&PrintedTax],
        mut groups: Groups,
        notes: &mut Notes<'_>,
    ) -> Result<()> {
        let wrong =
            |e: &dyn std::fmt::Display| Error::Internal(format!("invoice {}: {e}", self.id));
        let currency: Currency = self.currency.parse().map_err(|e| wrong(&e))?;
        for line in lines {
            let group = groups.remove(&(self.id, line.line_group.clone()));
            self.check_line(line, group, currency, notes)?;
        }
        // What reversals have left nothing of is not printed.
        for ((_, group), left) in groups {
            if !left.quantity.is_zero() || !left.exact.is_zero() {
                let key = format!("{} {group}", self.id);
                notes.compare(
                    "invoice_lines",
                    &key,
                    "line",
                    left.exact.to_string(),
                    "none".into(),
                );
            }
        }
        self.check_totals(lines, taxes, currency, notes)
    }

    fn check_totals(
        &self,
        lines: &[&PrintedLine],
        taxes: &[&PrintedTax],
        currency: Currency,
        notes: &mut Notes<'_>,
    ) -> Result<()> {
        let [first, second] = self.roundings();
        let mut expected = add_up(lines, currency, first)?;
        let other = add_up(lines, currency, second)?;
        if self.printed() == printed(&other) {
            expected = other;
        }
        let key = self.id.to_string();
        let found = [self.subtotal_minor, self.tax_minor, self.total_minor];
        for ((what, expected), found) in ["subtotal_minor", "tax_minor", "total_minor"]
            .into_iter()
            .zip(printed(&expected))
            .zip(found)
        {
            notes.compare(
                "invoices",
                &key,
                what,
                expected.to_string(),
                found.to_string(),
            );
        }
        let shown = |percent: &str, inclusive, base, tax| {
            format!("{percent} % (included: {inclusive}) of {base} is {tax}")
        };
        let mut by_rule: Vec<String> = expected
            .taxes
            .iter()
            .map(|it| {
                shown(
                    &it.rate.percent.to_string(),
                    it.rate.inclusive,
                    it.base.minor(),
                    it.tax.minor(),
                )
            })
            .collect();
        let mut stored: Vec<String> = taxes
            .iter()
            .map(|it| {
                shown(
                    &it.percent.normalize().to_string(),
                    it.inclusive,
                    it.base_minor,
                    it.tax_minor,
                )
            })
            .collect();
        by_rule.sort_unstable();
        stored.sort_unstable();
        notes.compare(
            "invoice_taxes",
            &key,
            "taxes of the invoice",
            by_rule.join("; "),
            stored.join("; "),
        );
        Ok(())
    }

    fn check_line(
        &self,
        line: &PrintedLine,
        group: Option<Group>,
        currency: Currency,
        notes: &mut Notes<'_>,
    ) -> Result<()> {
        let key = line.id.to_string();
        let Some(group) = group else {
            notes.compare(
                "invoice_lines",
                &key,
                "charges",
                "at least one".into(),
                "none".into(),
            );
            return Ok(());
        };
        let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("line {key}: {e}"));
        let exact = fraction(line.amount_numerator, line.amount_denominator)?;
        notes.compare(
            "invoice_lines",
            &key,
            "quantity",
            group.quantity.to_string(),
            quantity(line.quantity)?.to_string(),
        );
        notes.compare(
            "invoice_lines",
            &key,
            "exact amount",
            group.exact.to_string(),
            exact.to_string(),
        );
        notes.compare(
            "invoice_lines",
            &key,
            "charges",
            group.charges.to_string(),
            line.charges.to_string(),
        );
        let [first, second] = self
            .roundings()
            .map(|rounding| round_to_minor(group.exact, currency, rounding));
        let (first, second) = (
            first.map_err(|e| wrong(&e))?.money.minor(),
            second.map_err(|e| wrong(&e))?.money.minor(),
        );
        if line.amount_minor != second {
            notes.compare(
                "invoice_lines",
                &key,
                "amount_minor",
                first.to_string(),
                line.amount_minor.to_string(),
            );
        }
        Ok(())
    }

    fn printed(&self) -> [i64; 3] {
        [self.subtotal_minor, self.tax_minor, self.total_minor]
    }
}

fn printed(totals: &Totals) -> [i64; 3] {
    [
        totals.subtotal.minor(),
        totals.tax.minor(),
        totals.total.minor(),
    ]
}

/// The totals of printed lines.
fn add_up(lines: &[&PrintedLine], currency: Currency, rounding: Rounding) -> Result<Totals> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored line: {e}"));
    let taxed = lines
        .iter()
        .map(|line| {
            let rates = match line.tax_percent {
                None => Vec::new(),
                Some(percent) => vec![TaxRate {
                    name: "Tax".into(),
                    percent: Percent::try_from(percent).map_err(|e| wrong(&e))?,
                    inclusive: line.tax_inclusive,
                }],
            };
            Ok(TaxedLine {
                amount: Money::from_minor(line.amount_minor, currency),
                tax: TaxTreatment::Rates(rates),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    totals(&taxed, currency, rounding).map_err(|e| wrong(&e))
}
