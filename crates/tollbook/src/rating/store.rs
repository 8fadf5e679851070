//! Writes what a batch changes: reversals and charges, each on its draft.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{ChargeId, CustomerId, InvoiceId, OrganizationId};
use tollbook_core::money::Fraction;
use tollbook_core::payer::Payer;
use tollbook_core::rating::{Item as Summand, PartKind};
use uuid::Uuid;

use super::batch::Change;
use super::credits::Credits;
use super::in_force::InForce;
use super::place::{late_group, own_group, place};
use super::row::{ChargeRow, Charged, insert};
use crate::authorizations::{self, Aside};
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::invoices::{self, Open, Place, Waiting};
use crate::limits::{self, Counted, Total};
use crate::wallets::{self, Spent};

/// Writes the reversals and the charges of a batch, and what is held for calls in progress then. `now` tells where late
/// usage goes; `credits` names the charges that a credit note gives back. Returns what usage of each period comes to now.
pub(super) async fn write(
    tx: &mut PgConnection,
    changes: &[Change<'_>],
    asides: &[Aside],
    credits: Option<&mut Credits>,
    now: Timestamp,
) -> Result<Vec<Total>> {
    let before: Vec<_> = changes
        .iter()
        .flat_map(|c| {
            c.reverse
                .iter()
                .map(|known| (c.item.key.organization, known))
        })
        .filter_map(|(organization, known)| Some((organization, known.invoice?)))
        .collect();
    let drafts = if before.is_empty() {
        HashMap::new()
    } else {
        invoices::lock_drafts(tx, &before).await?
    };
    let places = changes
        .iter()
        .map(|change| {
            let is_late = |known: &InForce| {
                is_closed(known, &drafts) && !is_credited(change, known, credits.as_deref())
            };
            let is_needed = change.is_printed() || change.reverse.iter().any(is_late);
            is_needed.then(|| place(change)).transpose()
        })
        .collect::<Result<Vec<_>>>()?;
    let wanted: BTreeSet<Place> = places.iter().flatten().cloned().collect();
    let open = if wanted.is_empty() {
        HashMap::new()
    } else {
        invoices::open_drafts(tx, &wanted, now).await?
    };
    let open: Vec<Option<Open>> = places
        .iter()
        .map(|place| place.as_ref().and_then(|place| open.get(place)).copied())
        .collect();
    let mut spent = reverse(tx, changes, &open, &drafts, credits).await?;
    let rows = changes
        .iter()
        .zip(&open)
        .flat_map(|(change, open)| change.charge.iter().map(move |part| (change, part, *open)))
        .map(|(change, part, open)| {
            let is_printed = part.kind != PartKind::NotCharged;
            row(change, part, open.filter(|_| is_printed))
        })
        .collect::<Result<Vec<_>>>()?;
    insert(tx, &rows).await?;
    let totals = limits::count(tx, &counted(changes, &rows)).await?;
    spent.extend(rows.iter().map(ChargeRow::spent));
    let reserved: Vec<_> = asides.iter().filter_map(Aside::reserved).collect();
    let amounts = wallets::charged_beside(tx, &spent, &reserved, now).await?;
    authorizations::keep(tx, asides, &amounts, now).await?;
    Ok(totals)
}

/// The charges that are taken back, and `rows`, which are those that are made, each with the period that it counts in.
fn counted(changes: &[Change<'_>], rows: &[ChargeRow]) -> Vec<Counted> {
    let undone = changes.iter().flat_map(|change| {
        change.reverse.iter().map(|known| Counted {
            organization: change.item.key.organization,
            charge: known.id,
            is_undone: true,
            period_start: known.period.start(),
        })
    });
    let periods = changes.iter().flat_map(|change| {
        let period = change.item.period;
        change.charge.iter().map(move |_| period)
    });
    let made = rows.iter().zip(periods);
    let made = made.filter_map(|(row, period)| Some(row.counted(period?.start())));
    undone.chain(made).collect()
}

/// Whether a charge stands on a document that takes no reversal.
fn is_closed(known: &InForce, drafts: &HashMap<InvoiceId, Waiting>) -> bool {
    known.invoice.is_some_and(|id| !drafts.contains_key(&id))
}

/// Whether a charge is given back by a credit note, and by nothing else.
fn is_credited(change: &Change<'_>, known: &InForce, credits: Option<&Credits>) -> bool {
    !change.costs() && credits.is_some_and(|credits| credits.charges.contains(&known.id))
}

fn row(
    change: &Change<'_>,
    part: &tollbook_core::rating::ChargePart,
    open: Option<Open>,
) -> Result<ChargeRow> {
    let item = change.item;
    let charged = Charged {
        organization: item.key.organization,
        payer: item.customer.map_or(Payer::Organization, Payer::Customer),
        account: item.key.account,
        subscription: item.subscription,
        seller: item.terms.as_ref().map_or(Uuid::nil(), |t| t.seller),
        version: item.terms.as_ref().map(|t| t.version),
        occurred_at: item.occurred_at,
        invoice: open.map(|open| open.invoice),
    };
    let mut row = ChargeRow::new(&charged, part)?;
    row.usage_event_id = Some(item.key.usage.uuid());
    row.revision = change.revision;
    row.meter = Some(item.meter.to_string());
    row.call_id = item.call.map(|call| call.id.uuid());
    let is_on_top = part
        .trace
        .items
        .iter()
        .any(|it| matches!(it, Summand::Cost { .. }));
    row.provider_price_id = item.provider_price().filter(|_| is_on_top);
    if open.is_some_and(|open| open.is_late) {
        row.line_group = late_group(&row.line_group, item)?;
    }
    Ok(row)
}

/// Undoes charges on their own document while it is a draft, otherwise on that of the new charge, or on none where a credit
/// note gives them back. Returns what that comes to.
async fn reverse(
    tx: &mut PgConnection,
    changes: &[Change<'_>],
    open: &[Option<Open>],
    drafts: &HashMap<InvoiceId, Waiting>,
    mut credits: Option<&mut Credits>,
) -> Result<Vec<Spent>> {
    let mut undone = Vec::new();
    for (change, open) in changes.iter().zip(open) {
        for known in change.reverse {
            let is_closed = is_closed(known, drafts);
            let (invoice, line_group) = if is_closed
                && is_credited(change, known, credits.as_deref())
            {
                if let Some(credits) = &mut credits {
                    credits.undone.push(known.id);
                }
                (None, known.line_group.clone())
            } else if is_closed {
                let open = open.ok_or_else(|| Error::Internal("a reversal has no draft".into()))?;
                let group = if open.is_late {
                    late_group(&known.line_group, change.item)?
                } else {
                    own_group(&known.line_group).to_owned()
                };
                (Some(open.invoice), group)
            } else {
                (known.invoice, known.line_group.clone())
            };
            undone.push(Undo {
                organization: change.item.key.organization,
                charge: known.id,
                invoice,
                line_group,
            });
        }
    }
    undo(tx, &undone).await
}

/// A charge to undo, and where that is printed.
#[derive(Debug)]
pub(crate) struct Undo {
    pub(crate) organization: OrganizationId,
    pub(crate) charge: ChargeId,
    /// `None`: there is nothing to print.
    pub(crate) invoice: Option<InvoiceId>,
    pub(crate) line_group: String,
}

/// Undoes charges to the last digit. The documents are locked drafts. Returns what that comes to.
pub(crate) async fn undo(tx: &mut PgConnection, undone: &[Undo]) -> Result<Vec<Spent>> {
    if undone.is_empty() {
        return Ok(Vec::new());
    }
    let organizations: Vec<Uuid> = undone.iter().map(|it| it.organization.uuid()).collect();
    let ids: Vec<Uuid> = undone.iter().map(|_| new_id()).collect();
    let charges: Vec<Uuid> = undone.iter().map(|it| it.charge.uuid()).collect();
    let invoices: Vec<Option<Uuid>> = undone.iter().map(|it| it.invoice.map(Uuid::from)).collect();
    let groups: Vec<&str> = undone.iter().map(|it| it.line_group.as_str()).collect();
    let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored charge: {e}"));
    sqlx::query_file!(
        "src/rating/reverse.sql",
        &organizations,
        &ids,
        &charges,
        &invoices as &[Option<Uuid>],
        &groups as &[&str],
    )
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(|row| {
        let amount = Fraction::from_decimals(row.amount_numerator, row.amount_denominator);
        Ok(Spent {
            organization: row.organization_id.into(),
            account: row.account_id.into(),
            customer: row.customer_id.map(CustomerId::from),
            currency: row.currency.parse().map_err(|e| stored(&e))?,
            amount: amount.map_err(|e| stored(&e))?,
            occurred_at: row.occurred_at.to_jiff(),
        })
    })
    .collect()
}
