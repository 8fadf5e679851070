//! The base fee of a period, charged in advance.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, PeriodId};
use tollbook_core::rating::{Surroundings, Terms};
use tollbook_core::subscriptions::{BillingPeriod, share};
use tollbook_core::time::Period;

use super::periods::Contract;
use crate::error::{Error, Result};
use crate::invoices::{self, Place};
use crate::rating::{ChargeRow, Charged, insert_charges};
use crate::wallets;

/// Charges the base fee of a period: the first one on a document of its own, each later one beside the usage of the
/// period before.
pub(super) async fn add_fee(
    tx: &mut PgConnection,
    contract: &Contract,
    period: &BillingPeriod,
    row: PeriodId,
    previous: Option<Period>,
    now: Timestamp,
) -> Result<()> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("the fee of a period: {e}"));
    let (document, zone) = (&contract.document, contract.schedule.zone());
    let surroundings = Surroundings {
        zone: Some(zone.clone()),
        ..Surroundings::default()
    };
    let terms = Terms::new(document, &surroundings).map_err(|e| wrong(&e))?;
    let share =
        share(&period.full, &period.billed, document.proration, zone).map_err(|e| wrong(&e))?;
    let Some(part) = terms.base_fee(share).map_err(|e| wrong(&e))? else {
        return Ok(());
    };
    let place = Place {
        organization: contract.organization,
        payer: contract.payer,
        currency: part.currency.code().to_owned(),
        call: None,
        subscription: Some(contract.id),
        period: previous.unwrap_or(period.billed),
        zone: zone.name().to_owned(),
        grace_seconds: contract.grace_seconds,
    };
    let charged = Charged {
        organization: contract.organization,
        payer: contract.payer,
        account: contract.account,
        subscription: Some(contract.id),
        seller: contract.seller,
        version: Some(contract.version),
        occurred_at: period.billed.start(),
        invoice: Some(draft(tx, place, previous.is_none(), now).await?),
    };
    let mut fee = ChargeRow::new(&charged, &part)?;
    fee.period_id = Some(row);
    // One line for each period's fee: two may meet on one document.
    fee.line_group = format!("fee/{row}");
    let spent = [fee.spent()];
    insert_charges(tx, &[fee]).await?;
    wallets::charged(tx, &spent, now).await
}

async fn draft(
    tx: &mut PgConnection,
    place: Place,
    is_first: bool,
    now: Timestamp,
) -> Result<InvoiceId> {
    if is_first {
        return invoices::fee_draft(tx, &place).await;
    }
    let wanted = BTreeSet::from([place]);
    let found = invoices::open_drafts(tx, &wanted, now).await?;
    found
        .values()
        .next()
        .map(|open| open.invoice)
        .ok_or_else(|| Error::Internal("a draft invoice was not made".into()))
}
