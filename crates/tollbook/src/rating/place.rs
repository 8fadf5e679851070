//! Which draft the charges of a usage go on.
//!
//! That of the billing period in which it occurred; for pay per call that of the calendar month, or one of the call
//! alone.

use jiff::{SignedDuration, Timestamp};
use tollbook_core::payer::{Payer, PayerKind};
use tollbook_core::time::{Period, TimeError, Zone};

use super::batch::Change;
use super::items::{CallSpan, Item};
use crate::error::{Error, Result};
use crate::invoices::Place;

/// Where a change belongs, its document being open. What costs nothing makes no document of its own.
pub(super) fn place(change: &Change<'_>) -> Result<Place> {
    let item = change.item;
    let stored = |e: TimeError| Error::Internal(format!("a stored time: {e}"));
    let alone = own_document(item).filter(|_| change.costs());
    let period = match (alone, item.period) {
        (Some(call), _) => span(&call).map_err(stored)?,
        (None, Some(period)) => period,
        (None, None) => {
            let zone: Zone = item.zone.parse().map_err(stored)?;
            zone.month(item.occurred_at).map_err(stored)?
        }
    };
    Ok(Place {
        organization: item.key.organization,
        payer: item.customer.map_or(Payer::Organization, Payer::Customer),
        currency: change.currency.clone(),
        call: alone.map(|call| call.id),
        subscription: item.subscription,
        period,
        zone: item.zone.clone(),
        grace_seconds: item.grace_seconds,
    })
}

/// The call, if it is invoiced by itself when it has ended.
fn own_document(item: &Item) -> Option<CallSpan> {
    let is_alone = item.subscription.is_none()
        && item.payer == PayerKind::Customer
        && item.is_invoiced_per_call;
    item.call.filter(|call| is_alone && call.ends_at.is_some())
}

/// From the first to the last second of a call; a call that ended at once lasts one.
fn span(call: &CallSpan) -> Result<Period, TimeError> {
    let least = call
        .starts_at
        .checked_add(SignedDuration::from_secs(1))
        .unwrap_or(Timestamp::MAX);
    Period::new(call.starts_at, call.ends_at.unwrap_or(least).max(least))
}

/// The group of lines that a late charge is printed in: one for each date on which it was used.
pub(super) fn late_group(group: &str, item: &Item) -> Result<String> {
    let zone: Zone = item
        .zone
        .parse()
        .map_err(|e| Error::Internal(format!("a stored zone: {e}")))?;
    Ok(format!(
        "{}@{}",
        own_group(group),
        zone.date(item.occurred_at)
    ))
}

/// The group of lines without a date of late usage.
pub(super) fn own_group(group: &str) -> &str {
    group.split_once('@').map_or(group, |(group, _)| group)
}
