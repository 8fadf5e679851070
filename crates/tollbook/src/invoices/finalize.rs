//! Turns drafts into documents: lines from charges, totals, a number without gaps, and the ledger entry, all at once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId};
use tollbook_core::invoices::{
    InvoiceNumber, LineAmount, TaxRate, TaxTreatment, TaxedLine, Totals, totals,
};
use tollbook_core::ledger::{self as posting};
use tollbook_core::money::{Currency, Fraction, Money, Percent, Rounding};
use tollbook_core::payer::Payer;
use tollbook_core::time::Zone;

use super::sql::{self, Draft, Gathered, Line};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ledger::{self, Document};
use crate::live::{self, LiveKind};

/// Drafts of one seller finalized in one transaction: short, since it holds the seller's next number.
const BATCH_MAX: i64 = 50;

/// Finalizes every draft whose time has come and whose usage is all rated.
pub(crate) async fn finalize_due(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let mut tx = app.db.begin(&Actor::system()).await?;
        let Some((organization, payer)) = sql::seller_with_due_drafts(&mut tx, now).await? else {
            return Ok(());
        };
        let drafts = sql::lock_due_drafts(&mut tx, organization, &payer, now, BATCH_MAX).await?;
        if drafts.is_empty() {
            // Another node has them.
            return Ok(());
        }
        finalize(&mut tx, organization, &drafts, now).await?;
        tx.commit().await?;
        app.wake.live.notify_one();
    }
}

/// A document ready to be written.
struct Ready<'a> {
    draft: &'a Draft,
    lines: Vec<Line>,
    totals: Totals,
}

/// Finalizes locked drafts of one organization and one of the two sales, in order.
pub(super) async fn finalize(
    tx: &mut PgConnection,
    organization: OrganizationId,
    drafts: &[Draft],
    now: Timestamp,
) -> Result<()> {
    let ids: Vec<InvoiceId> = drafts.iter().map(|d| d.id).collect();
    let mut gathered: BTreeMap<InvoiceId, Vec<Gathered>> = BTreeMap::new();
    for group in sql::gather(tx, organization, &ids).await? {
        gathered.entry(group.invoice).or_default().push(group);
    }
    let mut ready = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let groups = gathered.remove(&draft.id).unwrap_or_default();
        let lines = lines(draft, groups)?;
        let totals = add_up(draft, &lines)?;
        ready.push(Ready {
            draft,
            lines,
            totals,
        });
    }
    write(tx, organization, &ready, now).await
}

async fn write(
    tx: &mut PgConnection,
    organization: OrganizationId,
    ready: &[Ready<'_>],
    now: Timestamp,
) -> Result<()> {
    let all: Vec<&Line> = ready.iter().flat_map(|r| &r.lines).collect();
    sql::insert_lines(tx, organization, &all).await?;
    for document in ready {
        sql::insert_taxes(tx, organization, document.draft.id, &document.totals).await?;
    }
    let entries = ready
        .iter()
        .map(|r| entry(r, now))
        .collect::<Result<Vec<_>>>()?;
    ledger::post(tx, organization, &entries).await?;
    // Last, and short: the seller's row is locked from here to the commit.
    let Some(first) = ready.first() else {
        return Ok(());
    };
    let zone: Zone = first
        .draft
        .seller_zone
        .parse()
        .map_err(|e| Error::Internal(format!("a stored zone: {e}")))?;
    let year = zone.date(now).year();
    let count = i64::try_from(ready.len()).unwrap_or(i64::MAX);
    let (prefix, next) = sql::take_numbers(tx, first.draft.seller, i32::from(year), count).await?;
    let prefix: tollbook_core::invoices::NumberPrefix = prefix
        .parse()
        .map_err(|e| Error::Internal(format!("a stored prefix: {e}")))?;
    for (document, sequence) in ready.iter().zip(next..) {
        let number = InvoiceNumber::new(
            prefix.clone(),
            u16::try_from(year).unwrap_or(0),
            u32::try_from(sequence).unwrap_or(0),
        )
        .map_err(|e| Error::Internal(e.to_string()))?;
        let due = now
            .checked_add(SignedDuration::from_hours(
                24 * i64::from(document.draft.payment_terms_days),
            ))
            .unwrap_or(Timestamp::MAX);
        sql::set_finalized(
            tx,
            organization,
            document.draft.id,
            &number,
            sequence,
            &document.totals,
            now,
            due,
        )
        .await?;
    }
    let told: Vec<_> = ready
        .iter()
        .map(|r| (organization, LiveKind::InvoiceUpdated, r.draft.id.uuid()))
        .collect();
    live::publish(tx, &told).await
}

/// The printed lines: usage grouped by price and kind; what was not charged for is not printed.
fn lines(draft: &Draft, groups: Vec<Gathered>) -> Result<Vec<Line>> {
    let mut by_group: BTreeMap<String, Vec<Gathered>> = BTreeMap::new();
    for group in groups {
        by_group
            .entry(group.line_group.clone())
            .or_default()
            .push(group);
    }
    let overflow = |e: &dyn std::fmt::Display| {
        Error::Internal(format!("invoice {} cannot be added up: {e}", draft.id))
    };
    let mut lines = Vec::new();
    for (line_group, parts) in by_group {
        let Some(first) = parts.first() else { continue };
        if first.kind == "not_charged" {
            continue;
        }
        let amounts = parts
            .iter()
            .map(|p| Fraction::from_decimals(p.numerator, p.denominator))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| overflow(&e))?;
        let amount =
            LineAmount::sum(amounts, draft.currency, draft.rounding).map_err(|e| overflow(&e))?;
        let quantity = parts
            .iter()
            .try_fold(tollbook_core::money::Quantity::ZERO, |sum, p| {
                sum.checked_add(p.quantity)
            })
            .map_err(|e| overflow(&e))?;
        let (starts_at, ends_at) = span(draft, &parts);
        lines.push(Line {
            invoice: draft.id,
            position: i32::try_from(lines.len() + 1).unwrap_or(i32::MAX),
            line_group,
            description: description(first),
            quantity,
            unit: first.unit.clone().unwrap_or_else(|| "period".into()),
            unit_price: first
                .unit_price
                .filter(|_| parts.iter().all(|p| p.unit_price == first.unit_price)),
            exact: amount.exact,
            amount_minor: amount.amount.minor(),
            meter: first.meter.clone().unwrap_or_else(|| posting::FEE.into()),
            tax: draft.tax.clone(),
            starts_at,
            ends_at,
            charges: parts.iter().map(|p| p.charges).sum(),
        });
    }
    Ok(lines)
}

/// Usage that came late keeps its own date; everything else is that of the document.
fn span(draft: &Draft, parts: &[Gathered]) -> (Timestamp, Timestamp) {
    let first = parts
        .iter()
        .map(|p| p.first_at)
        .min()
        .unwrap_or(draft.period_start);
    let last = parts
        .iter()
        .map(|p| p.last_at)
        .max()
        .unwrap_or(draft.period_end);
    let is_within = draft.period_start <= first && last < draft.period_end;
    if is_within {
        (draft.period_start, draft.period_end)
    } else {
        (
            first,
            last.checked_add(SignedDuration::from_secs(1))
                .unwrap_or(last),
        )
    }
}

fn description(group: &Gathered) -> String {
    let what = match (&group.meter_name, group.kind.as_str()) {
        (_, "fee") => return group.plan_name.clone().unwrap_or_else(|| "Base fee".into()),
        (Some(name), _) => name.clone(),
        (None, _) => "Usage".into(),
    };
    let band = group
        .band
        .as_ref()
        .map(|band| format!(", {band}"))
        .unwrap_or_default();
    match group.kind.as_str() {
        "allowance" => format!("{what}{band}, included"),
        "overage" => format!("{what}{band}, beyond what is included"),
        "connection" => format!("{what}{band}, connection fee"),
        "minimum" => format!("{what}{band}, up to the minimum charge"),
        "maximum" => format!("{what}{band}, down to the maximum charge"),
        _ => format!("{what}{band}"),
    }
}

fn add_up(draft: &Draft, lines: &[Line]) -> Result<Totals> {
    let taxed: Vec<TaxedLine> = lines
        .iter()
        .map(|line| TaxedLine {
            amount: Money::from_minor(line.amount_minor, draft.currency),
            tax: line.tax.clone(),
        })
        .collect();
    totals(&taxed, draft.currency, draft.rounding)
        .map_err(|e| Error::Internal(format!("invoice {} cannot be added up: {e}", draft.id)))
}

/// What the document does to the ledger: revenue by meter, without the tax that prices include.
fn entry(ready: &Ready<'_>, now: Timestamp) -> Result<(Document, posting::Entry)> {
    let payer = ready
        .draft
        .customer
        .map_or(Payer::Organization, Payer::Customer);
    let currency = ready.draft.currency;
    let mut net: Vec<(&str, Money)> = ready
        .lines
        .iter()
        .map(|l| {
            (
                l.meter.as_str(),
                Money::from_minor(l.amount_minor, currency),
            )
        })
        .collect();
    let wrong = |e: &dyn std::fmt::Display| {
        Error::Internal(format!("invoice {} cannot be posted: {e}", ready.draft.id))
    };
    let mut printed = Money::from_minor(0, currency);
    for (_, amount) in &net {
        printed = printed.checked_add(*amount).map_err(|e| wrong(&e))?;
    }
    // Inclusive tax is no revenue: it is taken out of the largest line, so that the entry is the document's net amount.
    let inclusive = printed
        .checked_sub(ready.totals.subtotal)
        .map_err(|e| wrong(&e))?;
    if let Some(largest) = net.iter_mut().max_by_key(|(_, amount)| amount.minor())
        && !inclusive.is_zero()
    {
        largest.1 = largest.1.checked_sub(inclusive).map_err(|e| wrong(&e))?;
    }
    let entry = posting::invoice(payer, &net, ready.totals.tax).map_err(|e| wrong(&e))?;
    let document = Document {
        kind: "invoice",
        id: ready.draft.id.uuid(),
        payer: payer.kind(),
        occurred_at: now,
    };
    Ok((document, entry))
}

/// How a payer is taxed.
pub(super) fn tax_treatment(
    is_exempt: bool,
    percent: Option<Percent>,
    inclusive: bool,
) -> TaxTreatment {
    match (is_exempt, percent) {
        (true, _) => TaxTreatment::Exempt,
        (false, None) => TaxTreatment::Rates(Vec::new()),
        (false, Some(percent)) => TaxTreatment::Rates(vec![TaxRate {
            name: "Tax".into(),
            percent,
            inclusive,
        }]),
    }
}

/// The stored form of an organization's rounding.
pub(super) fn rounding(text: &str) -> Rounding {
    match text {
        "half_even" => Rounding::HalfEven,
        _ => Rounding::HalfUp,
    }
}

/// A currency as it is stored.
pub(super) fn currency(code: &str) -> Result<Currency> {
    code.parse()
        .map_err(|e| Error::Internal(format!("a stored currency: {e}")))
}

/// The customer of a row that may have none.
pub(super) fn customer(id: Option<uuid::Uuid>) -> Option<CustomerId> {
    id.map(CustomerId::from)
}
