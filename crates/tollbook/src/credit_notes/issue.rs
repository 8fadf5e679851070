//! Issues a credit note: its parts, its entry, and last of all its number.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::{CreditNoteId, InvoiceId, OrganizationId};
use tollbook_core::invoices::{
    CreditError, Give, InvoiceNumber, LineLeft, NoteError, NoteParts, NumberPrefix, TaxLeft, note,
};
use tollbook_core::ledger as postings;
use tollbook_core::money::{Money, MoneyError, Price};
use tollbook_core::payer::Payer;
use tollbook_core::time::Zone;
use uuid::Uuid;

use super::parts::{self, Invoice, Line, Tax};
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::ledger;
use crate::live::{self, LiveKind};
use crate::payments::hold_payer;

/// A credit note to be.
#[derive(Debug)]
pub(crate) struct NewNote {
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
    pub(crate) invoice: InvoiceId,
    pub(crate) reason: String,
    pub(crate) what: What,
}

/// What it gives back.
#[derive(Debug)]
pub(crate) enum What {
    /// All that is left of the invoice.
    All,
    /// So much, tax included.
    Amount(Price),
    /// Of lines, by their position from 1; `None`: all that is left of the line.
    Lines(Vec<(i32, Option<Price>)>),
}

/// Issues it. The invoice's open amount falls first; what is beyond that is the payer's credit. The transaction is the
/// platform's, since the number is taken from the seller.
pub(crate) async fn issue(
    tx: &mut PgConnection,
    new: &NewNote,
    now: Timestamp,
) -> Result<CreditNoteId> {
    let issued = issue_all(tx, std::slice::from_ref(new), now).await?;
    let first = issued.into_iter().next();
    first.ok_or_else(|| Error::Internal("a credit note was not issued".into()))
}

/// The same with several, of different invoices; returns them in the same order.
pub(crate) async fn issue_all(
    tx: &mut PgConnection,
    notes: &[NewNote],
    now: Timestamp,
) -> Result<Vec<CreditNoteId>> {
    let mut prepared = Vec::with_capacity(notes.len());
    for new in notes {
        prepared.push(Prepared::new(tx, new, now).await?);
    }
    let mut issued = Vec::with_capacity(notes.len());
    // Last, and short: the seller's row is locked from here to the commit.
    for note in &prepared {
        note.write(tx, now).await?;
        issued.push(note.id);
    }
    Ok(issued)
}

/// A credit note that only lacks its number.
struct Prepared<'n> {
    new: &'n NewNote,
    id: CreditNoteId,
    invoice: Invoice,
    lines: Vec<Line>,
    taxes: Vec<Tax>,
    note: NoteParts,
}

impl<'n> Prepared<'n> {
    /// Works it out, and posts it.
    async fn new(tx: &mut PgConnection, new: &'n NewNote, now: Timestamp) -> Result<Self> {
        hold_payer(tx, new.organization, new.payer).await?;
        let invoice = parts::lock(tx, new.organization, new.payer.kind(), new.invoice).await?;
        if !["finalized", "paid"].contains(&invoice.state.as_str()) {
            let detail = format!("an invoice that is {} cannot be credited", invoice.state);
            return Err(Error::conflict("not_creditable", detail));
        }
        if invoice.is_opening {
            let detail = "this invoice was issued by another system, and only that can credit it";
            return Err(Error::conflict("not_creditable", detail));
        }
        let taxes = parts::taxes(tx, &invoice).await?;
        let lines = parts::lines(tx, &invoice, &taxes).await?;
        let note = made(&invoice, &lines, &taxes, &new.what)?;
        let id: CreditNoteId = new_id();
        let document = ledger::Document {
            kind: "credit_note",
            id: id.uuid(),
            payer: invoice.payer.kind(),
            occurred_at: now,
        };
        let entry = entry(&invoice, &lines, &note)?;
        ledger::post(tx, invoice.organization, &[(document, entry)]).await?;
        let told = (
            invoice.organization,
            LiveKind::InvoiceUpdated,
            invoice.id.uuid(),
        );
        live::publish(tx, &[told]).await?;
        Ok(Self {
            new,
            id,
            invoice,
            lines,
            taxes,
            note,
        })
    }

    async fn write(&self, tx: &mut PgConnection, now: Timestamp) -> Result<()> {
        let Self {
            new,
            id,
            invoice,
            lines,
            taxes,
            note,
        } = self;
        let number = take_number(tx, invoice, now).await?;
        insert(tx, invoice, new, *id, &number, note, now).await?;
        insert_lines(tx, invoice, *id, lines, note).await?;
        insert_taxes(tx, invoice, *id, lines, taxes, note).await
    }
}

fn wrong(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a credit note cannot be made: {error}"))
}

fn made(invoice: &Invoice, lines: &[Line], taxes: &[Tax], what: &What) -> Result<NoteParts> {
    let zero = Money::zero(invoice.currency);
    let left: Vec<LineLeft> = lines.iter().map(|line| line.left).collect();
    let taxes: Vec<TaxLeft> = taxes.iter().map(|tax| tax.left).collect();
    let money = |field: &str, amount: Price| {
        Money::from_price(amount, invoice.currency)
            .map_err(|e| Error::invalid(field, e.to_string()))
    };
    // Which element of the input names a line, for what is said of it.
    let mut named: Vec<Option<usize>> = vec![None; lines.len()];
    let give = match what {
        What::All => Give::All,
        What::Amount(amount) => Give::Amount(money("amount", *amount)?),
        What::Lines(wanted) => {
            let mut parts = vec![None; lines.len()];
            for (index, (position, amount)) in wanted.iter().enumerate() {
                let place = lines.iter().position(|line| line.position == *position);
                let slot = place.and_then(|place| {
                    let name = named.get_mut(place).filter(|name| name.is_none())?;
                    *name = Some(index);
                    Some((parts.get_mut(place)?, lines.get(place)?))
                });
                let Some((slot, line)) = slot else {
                    let field = format!("lines[{index}].position");
                    return Err(Error::invalid(field, "is no other line of this invoice"));
                };
                let amount = amount.map(|it| money(&format!("lines[{index}].amount"), it));
                let all = line
                    .left
                    .amount
                    .invoiced
                    .checked_sub(line.left.amount.credited);
                *slot = Some(amount.transpose()?.map_or(all, Ok).map_err(|e| wrong(&e))?);
            }
            Give::Lines(parts)
        }
    };
    note(&left, &taxes, &give, zero).map_err(|error| match error {
        NoteError::Line { index, .. } => {
            let named = named.get(index).copied().flatten().unwrap_or(index);
            Error::invalid(format!("lines[{named}].amount"), error.to_string())
        }
        NoteError::Credit(CreditError::Exceeds { .. } | CreditError::Nothing) => match what {
            What::All => {
                Error::conflict("nothing_left", "nothing is left of this invoice to credit")
            }
            What::Amount(_) => Error::invalid("amount", error.to_string()),
            What::Lines(_) => Error::invalid("lines", error.to_string()),
        },
        NoteError::Credit(CreditError::Money(_) | CreditError::Split(_)) => wrong(&error),
    })
}

/// What it does to the ledger: revenue by meter, without the tax that prices include, which is taken out of the largest
/// line as it is on invoices.
fn entry(invoice: &Invoice, lines: &[Line], note: &NoteParts) -> Result<postings::Entry> {
    let net = net(lines, note).map_err(|e| wrong(&e))?;
    let open = invoice.standing.open().map_err(|e| wrong(&e))?;
    postings::credit_note(invoice.payer, &net, note.tax, open).map_err(|e| wrong(&e))
}

fn net<'l>(lines: &'l [Line], note: &NoteParts) -> Result<Vec<(&'l str, Money)>, MoneyError> {
    let mut net: Vec<(&str, Money)> = lines
        .iter()
        .zip(&note.lines)
        .map(|(line, part)| (line.meter.as_str(), *part))
        .collect();
    let mut printed = Money::zero(note.total.currency());
    for (_, part) in &net {
        printed = printed.checked_add(*part)?;
    }
    let inclusive = printed.checked_sub(note.subtotal)?;
    if let Some(largest) = net
        .iter_mut()
        .max_by_key(|(_, part)| part.minor().unsigned_abs())
    {
        largest.1 = largest.1.checked_sub(inclusive)?;
    }
    Ok(net)
}

/// Takes the seller's next number. The sequence restarts each year; a clock that is behind never brings a year back.
async fn take_number(
    tx: &mut PgConnection,
    invoice: &Invoice,
    now: Timestamp,
) -> Result<InvoiceNumber> {
    let zone: Zone = invoice.seller_zone.parse().map_err(|e| wrong(&e))?;
    let row = sqlx::query!(
        r#"update sellers set credit_note_year = greatest(credit_note_year, $2),
               next_credit_note = case when credit_note_year >= $2 then next_credit_note else 1 end + 1
           where id = $1 returning credit_note_prefix, credit_note_year, next_credit_note - 1 as "sequence!"
           -- all organizations: the platform is a seller too"#,
        invoice.seller,
        i32::from(zone.date(now).year()),
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("seller"))?;
    let prefix: NumberPrefix = row.credit_note_prefix.parse().map_err(|e| wrong(&e))?;
    let year = u16::try_from(row.credit_note_year).map_err(|e| wrong(&e))?;
    let sequence = u32::try_from(row.sequence).map_err(|e| wrong(&e))?;
    InvoiceNumber::new(prefix, year, sequence).map_err(|e| wrong(&e))
}

async fn insert(
    tx: &mut PgConnection,
    invoice: &Invoice,
    new: &NewNote,
    id: CreditNoteId,
    number: &InvoiceNumber,
    note: &NoteParts,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "insert into credit_notes (organization_id, id, invoice_id, payer, customer_id, number, number_year, number_seq, reason, currency,
             subtotal_minor, tax_minor, total_minor, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        invoice.organization.uuid(),
        id.uuid(),
        invoice.id.uuid(),
        invoice.payer.kind().as_str(),
        invoice.payer.customer().map(Uuid::from),
        number.to_string(),
        i32::from(number.year()),
        i64::from(number.sequence()),
        new.reason,
        invoice.currency.code(),
        note.subtotal.minor(),
        note.tax.minor(),
        note.total.minor(),
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_lines(
    tx: &mut PgConnection,
    invoice: &Invoice,
    id: CreditNoteId,
    lines: &[Line],
    note: &NoteParts,
) -> Result<()> {
    let given = lines
        .iter()
        .zip(&note.lines)
        .filter(|(_, part)| !part.is_zero());
    let (of, amounts): (Vec<Uuid>, Vec<i64>) =
        given.map(|(line, part)| (line.id, part.minor())).unzip();
    let ids: Vec<Uuid> = of.iter().map(|_| new_id()).collect();
    sqlx::query!(
        "insert into credit_note_lines (organization_id, id, credit_note_id, invoice_line_id, amount_minor)
         select $1, l.id, $2, l.invoice_line_id, l.amount_minor from unnest($3::uuid[], $4::uuid[], $5::bigint[]) as l (id, invoice_line_id, amount_minor)",
        invoice.organization.uuid(),
        id.uuid(),
        &ids,
        &of,
        &amounts,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_taxes(
    tx: &mut PgConnection,
    invoice: &Invoice,
    id: CreditNoteId,
    lines: &[Line],
    taxes: &[Tax],
    note: &NoteParts,
) -> Result<()> {
    let (mut percents, mut inclusive) = (Vec::<Decimal>::new(), Vec::new());
    let (mut bases, mut amounts) = (Vec::new(), Vec::new());
    for (index, (tax, part)) in taxes.iter().zip(&note.taxes).enumerate() {
        let mut base = Money::zero(invoice.currency);
        for (line, given) in lines.iter().zip(&note.lines) {
            if line.left.tax == Some(index) {
                base = base.checked_add(*given).map_err(|e| wrong(&e))?;
            }
        }
        if tax.left.inclusive {
            base = base.checked_sub(*part).map_err(|e| wrong(&e))?;
        }
        percents.push(tax.percent);
        inclusive.push(tax.left.inclusive);
        bases.push(base.minor());
        amounts.push(part.minor());
    }
    sqlx::query!(
        "insert into credit_note_taxes (organization_id, credit_note_id, percent, inclusive, base_minor, tax_minor)
         select $1, $2, * from unnest($3::numeric[], $4::boolean[], $5::bigint[], $6::bigint[]) as t",
        invoice.organization.uuid(),
        id.uuid(),
        &percents,
        &inclusive,
        &bases,
        &amounts,
    )
    .execute(tx)
    .await?;
    Ok(())
}
