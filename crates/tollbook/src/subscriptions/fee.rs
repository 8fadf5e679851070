//! The base fees of periods, charged in advance.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::InvoiceId;
use tollbook_core::rating::ChargePart;
use tollbook_core::subscriptions::share;
use tollbook_core::time::Period;

use super::periods::Due;
use crate::error::{Error, Result};
use crate::invoices::{self, Place};
use crate::rating::{ChargeRow, Charged, insert_charges};
use crate::wallets;

/// A fee and where it is printed.
struct Fee<'a> {
    due: &'a Due<'a>,
    part: ChargePart,
    /// When it is due: the start of the period, or of what is paid of it.
    paid_from: Timestamp,
    place: Place,
}

/// Charges the base fees of periods: the first one of a subscription on a document of its own, due when its trial is over,
/// each later one beside the usage of the period before. Nothing is due for a trial.
pub(super) async fn add_fees(tx: &mut PgConnection, due: &[Due<'_>], now: Timestamp) -> Result<()> {
    let mut fees = Vec::new();
    for one in due {
        fees.extend(fee(one)?);
    }
    if fees.is_empty() {
        return Ok(());
    }
    let is_first = |fee: &&Fee<'_>| fee.due.previous.is_none();
    let first: Vec<&Place> = fees.iter().filter(is_first).map(|it| &it.place).collect();
    let first = invoices::fee_drafts(tx, &first).await?;
    let later: BTreeSet<Place> = fees
        .iter()
        .filter(|it| !is_first(it))
        .map(|it| it.place.clone())
        .collect();
    let later = if later.is_empty() {
        HashMap::new()
    } else {
        invoices::open_drafts(tx, &later, now).await?
    };
    let mut first = first.into_iter();
    let mut rows = Vec::with_capacity(fees.len());
    for fee in &fees {
        let invoice = if is_first(&fee) {
            first.next()
        } else {
            later.get(&fee.place).map(|open| open.invoice)
        };
        let invoice =
            invoice.ok_or_else(|| Error::Internal("a draft invoice was not made".into()))?;
        rows.push(row(fee, invoice)?);
    }
    insert_charges(tx, &rows).await?;
    let spent: Vec<_> = rows.iter().map(ChargeRow::spent).collect();
    wallets::charged(tx, &spent, now).await
}

fn fee<'a>(due: &'a Due<'a>) -> Result<Option<Fee<'a>>> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("the fee of a period: {e}"));
    let Due {
        contract, period, ..
    } = due;
    let (document, zone) = (&contract.plan.document, contract.schedule.zone());
    let paid_from = contract.paid_from.max(period.billed.start());
    let Ok(paid) = Period::new(paid_from, period.billed.end()) else {
        // All of it is trial.
        return Ok(None);
    };
    let share = share(&period.full, &paid, document.proration, zone).map_err(|e| wrong(&e))?;
    let part = contract.plan.terms.base_fee(share).map_err(|e| wrong(&e))?;
    Ok(part.map(|part| Fee {
        due,
        paid_from,
        place: Place {
            organization: contract.organization,
            payer: contract.payer,
            currency: part.currency.code().to_owned(),
            call: None,
            subscription: Some(contract.id),
            period: due.previous.unwrap_or(paid),
            zone: zone.name().to_owned(),
            grace_seconds: contract.grace_seconds,
        },
        part,
    }))
}

fn row(fee: &Fee<'_>, invoice: InvoiceId) -> Result<ChargeRow> {
    let Due { contract, id, .. } = fee.due;
    let charged = Charged {
        organization: contract.organization,
        payer: contract.payer,
        account: contract.account,
        subscription: Some(contract.id),
        seller: contract.seller,
        version: Some(contract.version),
        occurred_at: fee.paid_from,
        invoice: Some(invoice),
    };
    let mut row = ChargeRow::new(&charged, &fee.part)?;
    row.period_id = Some(*id);
    // One line for each period's fee: two may meet on one document.
    row.line_group = format!("fee/{id}");
    Ok(row)
}
