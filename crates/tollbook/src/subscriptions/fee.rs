//! The base fees of periods, charged in advance.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, PeriodId};
use tollbook_core::money::Currency;
use tollbook_core::rating::DueFee;
use tollbook_core::time::Period;

use super::contract::{Contract, Plan};
use super::periods::Due;
use crate::error::{Error, Result};
use crate::invoices::{self, Place};
use crate::rating::{ChargeRow, Charged, insert_charges};
use crate::wallets;

/// A fee and where it is printed.
struct Placed<'a> {
    due: &'a Due<'a>,
    fee: DueFee<'a, Arc<Plan>>,
    place: Place,
}

impl Placed<'_> {
    fn is_first(&self) -> bool {
        self.due.previous.is_none()
    }
}

/// Charges the base fees of periods: those of the first period of a subscription on a document of their own, due when its
/// trial is over, later ones beside the usage of the period before. Nothing is due for a trial or a pause.
pub(super) async fn add_fees(tx: &mut PgConnection, due: &[Due<'_>], now: Timestamp) -> Result<()> {
    let mut fees = Vec::new();
    for one in due {
        fees.extend(of_period(one)?);
    }
    if fees.is_empty() {
        return Ok(());
    }
    let opens = |fee: &&Placed<'_>| fee.is_first() && fee.fee.part.part == 0;
    let first: Vec<&Place> = fees.iter().filter(opens).map(|it| &it.place).collect();
    let mut first = invoices::fee_drafts(tx, &first).await?.into_iter();
    let later: BTreeSet<Place> = fees
        .iter()
        .filter(|it| !it.is_first())
        .map(|it| it.place.clone())
        .collect();
    let later = if later.is_empty() {
        HashMap::new()
    } else {
        invoices::open_drafts(tx, &later, now).await?
    };
    let mut own = None;
    let mut rows = Vec::with_capacity(fees.len());
    for fee in &fees {
        if opens(&fee) {
            own = first.next();
        }
        let invoice = if fee.is_first() {
            own
        } else {
            later.get(&fee.place).map(|open| open.invoice)
        };
        let invoice =
            invoice.ok_or_else(|| Error::Internal("a draft invoice was not made".into()))?;
        rows.push(row(fee.due.contract, fee.due.id, &fee.fee, 1, invoice)?);
    }
    insert_charges(tx, &rows).await?;
    let spent: Vec<_> = rows.iter().map(ChargeRow::spent).collect();
    wallets::charged(tx, &spent, now).await
}

fn of_period<'a>(due: &'a Due<'a>) -> Result<Vec<Placed<'a>>> {
    let (contract, billed) = (due.contract, due.period.billed);
    let fees = contract.fees(&due.period.full)?;
    let Some(first) = fees.first() else {
        return Ok(Vec::new());
    };
    let paid = Period::new(first.due_at, billed.end())
        .map_err(|e| Error::Internal(format!("the fee of a period: {e}")))?;
    let place = place(contract, due.previous.unwrap_or(paid), first.part.currency);
    let fee = |fee| Placed {
        due,
        fee,
        place: place.clone(),
    };
    Ok(fees.into_iter().map(fee).collect())
}

/// The document of a period of the subscription.
pub(super) fn place(contract: &Contract, period: Period, currency: Currency) -> Place {
    Place {
        organization: contract.organization,
        payer: contract.payer,
        currency: currency.code().to_owned(),
        call: None,
        subscription: Some(contract.id),
        period,
        zone: contract.schedule.zone().name().to_owned(),
        grace_seconds: contract.grace_seconds,
    }
}

/// The charge of a fee.
pub(super) fn row(
    contract: &Contract,
    period: PeriodId,
    fee: &DueFee<'_, Arc<Plan>>,
    revision: i32,
    invoice: InvoiceId,
) -> Result<ChargeRow> {
    let charged = Charged {
        organization: contract.organization,
        payer: contract.payer,
        account: contract.account,
        subscription: Some(contract.id),
        seller: fee.terms.seller,
        version: Some(fee.terms.version),
        occurred_at: fee.due_at,
        invoice: Some(invoice),
    };
    let mut row = ChargeRow::new(&charged, &fee.part)?;
    row.period_id = Some(period);
    row.revision = revision;
    // One line for each period and plan: fees of several may meet on one document.
    row.line_group = format!("fee/{period}/{}", fee.terms.version);
    Ok(row)
}
