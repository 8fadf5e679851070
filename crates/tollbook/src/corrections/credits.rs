//! What is given back of final documents: for each line a credit note over the share of what was taken back of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{ChargeId, CreditNoteId, CustomerId, InvoiceId, OrganizationId};
use tollbook_core::invoices::taken_back;
use tollbook_core::money::{Currency, Fraction, Money, Price, Rounding};
use tollbook_core::payer::Payer;
use uuid::Uuid;

use crate::credit_notes::{self, NewNote, What};
use crate::error::{Error, Result};

/// What a correction takes off a line.
#[derive(Debug)]
pub(super) struct LineCredit {
    pub(super) line: Uuid,
    pub(super) share: Money,
    /// As much of it as was left of the line.
    pub(super) given: Money,
    /// `None`: nothing was left to give.
    pub(super) note: Option<CreditNoteId>,
}

/// The charges in force of usage that stand on lines of final documents of which something can be given back. What a wallet
/// paid goes back into the wallet, as it does for whatever is taken back.
pub(super) async fn creditable(
    tx: &mut PgConnection,
    organization: OrganizationId,
    roots: &[Uuid],
) -> Result<HashSet<ChargeId>> {
    if roots.is_empty() {
        return Ok(HashSet::new());
    }
    let charges = sqlx::query_scalar!(
        "select c.id from charges c
         join invoices i on i.organization_id = $1 and i.id = c.invoice_id and i.state in ('finalized', 'paid')
         join invoice_lines l on l.organization_id = $1 and l.invoice_id = c.invoice_id and l.line_group = c.line_group and l.amount_minor > 0
         where c.organization_id = $1 and c.usage_event_id = any ($2) and c.payer = 'customer' and c.reverses_id is null
             and c.amount_numerator > 0
             and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id)
             and not exists (select from wallets w where w.organization_id = $1 and w.account_id = c.account_id)",
        organization.uuid(),
        roots,
    )
    .fetch_all(tx)
    .await?;
    Ok(charges.into_iter().map(ChargeId::from).collect())
}

/// A line of which charges were taken back.
struct Line {
    id: Uuid,
    invoice: InvoiceId,
    number: String,
    customer: CustomerId,
    position: i32,
    printed: Money,
    /// What credit notes gave back of it before, for whatever reason.
    credited: Money,
    /// The shares of what was taken back before.
    before: Money,
    exact: Fraction,
    rounding: Rounding,
}

/// What is given back of each line of an invoice, which has a number.
type ByInvoice<'l> = BTreeMap<(InvoiceId, CustomerId, &'l str), Vec<(i32, Option<Price>)>>;

/// Gives back the shares of charges that were taken back without a document.
pub(super) async fn give_back(
    tx: &mut PgConnection,
    organization: OrganizationId,
    undone: &[ChargeId],
    reason: &str,
    now: Timestamp,
) -> Result<Vec<LineCredit>> {
    if undone.is_empty() {
        return Ok(Vec::new());
    }
    let lines = lines(tx, organization, undone).await?;
    let ids: Vec<Uuid> = lines.iter().map(|line| line.id).collect();
    let gone = taken_off(tx, organization, &ids).await?;
    let mut credits = Vec::with_capacity(lines.len());
    let mut wanted = ByInvoice::new();
    for line in &lines {
        let gone = gone.get(&line.id).copied().unwrap_or(Fraction::ZERO);
        let left = line.exact.checked_sub(gone).map_err(|e| wrong(&e))?;
        let share = taken_back(line.printed, line.before, left, line.rounding);
        let share = share.map_err(|e| wrong(&e))?;
        let rest = line.printed.checked_sub(line.credited);
        let rest = rest.map_err(|e| wrong(&e))?.minor().max(0);
        let given = Money::from_minor(share.minor().min(rest), share.currency());
        if !given.is_zero() {
            let price: Price = given.amount().parse().map_err(|e| wrong(&e))?;
            let invoice = (line.invoice, line.customer, line.number.as_str());
            let wanted = wanted.entry(invoice).or_default();
            wanted.push((line.position, Some(price)));
        }
        credits.push(LineCredit {
            line: line.id,
            share,
            given,
            note: None,
        });
    }
    let notes = issue(tx, organization, wanted, reason, now).await?;
    for (credit, line) in credits.iter_mut().zip(&lines) {
        if !credit.given.is_zero() {
            credit.note = notes.get(&line.invoice).copied();
        }
    }
    Ok(credits)
}

fn wrong(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a correction cannot be given back: {error}"))
}

async fn issue(
    tx: &mut PgConnection,
    organization: OrganizationId,
    wanted: ByInvoice<'_>,
    reason: &str,
    now: Timestamp,
) -> Result<HashMap<InvoiceId, CreditNoteId>> {
    let numbers: Vec<&str> = wanted.keys().map(|(_, _, number)| *number).collect();
    let numbers = numbers.join(", ");
    let notes: Vec<NewNote> = wanted
        .into_iter()
        .map(|((invoice, customer, _), lines)| NewNote {
            organization,
            payer: Payer::Customer(customer),
            invoice,
            reason: reason.to_owned(),
            what: What::Lines(lines),
        })
        .collect();
    let issued = credit_notes::issue_all(tx, &notes, now).await;
    let issued = issued.map_err(|error| match error {
        Error::Invalid(_) => Error::conflict(
            "credited_by_hand",
            format!("too much was credited by hand of {numbers} to give this back as well"),
        ),
        other => other,
    })?;
    let invoices = notes.iter().map(|note| note.invoice);
    Ok(invoices.zip(issued).collect())
}

async fn lines(
    tx: &mut PgConnection,
    organization: OrganizationId,
    undone: &[ChargeId],
) -> Result<Vec<Line>> {
    let ids: Vec<Uuid> = undone.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_file!("src/corrections/lines.sql", organization.uuid(), &ids)
        .fetch_all(tx)
        .await?;
    rows.into_iter()
        .map(|row| {
            let currency: Currency = row.currency.parse().map_err(|e| wrong(&e))?;
            let money = |minor| Money::from_minor(minor, currency);
            let exact = Fraction::from_decimals(row.amount_numerator, row.amount_denominator);
            Ok(Line {
                id: row.id,
                invoice: row.invoice_id.into(),
                number: row.number.unwrap_or_default(),
                customer: row.customer_id.into(),
                position: row.position,
                printed: money(row.amount_minor),
                credited: money(row.credited),
                before: money(row.shared),
                exact: exact.map_err(|e| wrong(&e))?,
                rounding: if row.rounding == "half_even" {
                    Rounding::HalfEven
                } else {
                    Rounding::HalfUp
                },
            })
        })
        .collect()
}

/// What was taken back of lines without a document, exactly.
pub(crate) async fn taken_off(
    tx: &mut PgConnection,
    organization: OrganizationId,
    lines: &[Uuid],
) -> Result<HashMap<Uuid, Fraction>> {
    let rows = sqlx::query!(
        r#"select l.id, sum(c.amount_numerator) as "numerator!", c.amount_denominator as "denominator!"
         from invoice_lines l
         join charges c on c.organization_id = $1 and c.invoice_id = l.invoice_id and c.line_group = l.line_group
         join charges r on r.organization_id = $1 and r.reverses_id = c.id and r.invoice_id is null
         where l.organization_id = $1 and l.id = any ($2)
         group by l.id, c.amount_denominator"#,
        organization.uuid(),
        lines,
    )
    .fetch_all(tx)
    .await?;
    let mut sums: HashMap<Uuid, Fraction> = HashMap::new();
    for row in rows {
        let part = Fraction::from_decimals(row.numerator, row.denominator);
        let sum = sums.entry(row.id).or_insert(Fraction::ZERO);
        let added = part.and_then(|part| sum.checked_add(part));
        *sum = added.map_err(|e| wrong(&e))?;
    }
    Ok(sums)
}
