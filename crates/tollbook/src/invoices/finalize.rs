//! Turns drafts into documents: lines from charges, totals, a number without gaps, and the ledger entry, all at once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{InvoiceId, OrganizationId};
use tollbook_core::invoices::InvoiceNumber;
use tollbook_core::money::Money;
use tollbook_core::time::Zone;

use super::closing::{self, Told};
use super::commitment::commitments;
use super::due::{self, Draft, DueSale, Sale};
use super::lines::{Document, Gathered};
use super::write::{self, Numbered};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ledger;
use crate::live::{self, LiveKind};
use crate::rating::{ChargeRow, insert_charges};
use crate::wallets::{self, DueDocument};

/// Drafts of one sale finalized in one transaction: well under a second, since it holds the seller's next number.
const BATCH_MAX: i64 = 400;
/// A draft that cannot be finalized is tried again after this.
const RETRY: SignedDuration = SignedDuration::from_mins(10);

/// Finalizes every draft whose time has come and whose usage is all rated.
///
/// A draft that cannot be finalized does not hold up the others; the first error is returned when all have had their
/// turn.
pub(crate) async fn finalize_due(app: &App) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let sales = due::sales(&mut tx, app.clock.now(), None).await?;
    tx.rollback().await?;
    finalize_sales(app, &sales, None, |_| {}).await
}

/// Finalizes the drafts of these sales whose time has come, at `until` if that is given. `tell` hears of each
/// transaction once it is committed.
pub(super) async fn finalize_sales(
    app: &App,
    sales: &[DueSale],
    until: Option<Timestamp>,
    mut tell: impl FnMut(&Done),
) -> Result<()> {
    let (mut told, mut failure) = (Told::default(), None);
    for due in sales {
        if let Err(error) = finalize_sale(app, due.sale, until, &mut told, &mut tell).await {
            failure = failure.or(Some(error));
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn finalize_sale(
    app: &App,
    sale: Sale,
    until: Option<Timestamp>,
    told: &mut Told,
    tell: &mut impl FnMut(&Done),
) -> Result<()> {
    let (mut limit, mut after, mut failure) = (BATCH_MAX, None, None);
    loop {
        let now = app.clock.now();
        let mut tx = app.db.begin_background(&Actor::system()).await?;
        let due = due::due(&mut tx, sale, until.unwrap_or(now), after, limit).await?;
        let Some(last) = due.last().copied() else {
            return failure.map_or(Ok(()), Err);
        };
        let ids: Vec<InvoiceId> = due.iter().map(|it| it.id).collect();
        let drafts = due::lock(&mut tx, sale, &ids, false).await?;
        match finalize(&mut tx, sale.organization, &drafts, told, now).await {
            Ok(done) => {
                tx.commit().await?;
                app.wake.live.notify_one();
                tell(&done);
                (limit, after) = (BATCH_MAX, Some(last));
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) if due.len() == 1 => {
                tx.rollback().await?;
                let id = last.id;
                tracing::error!(invoice = %id, %error, "a draft cannot be finalized");
                metrics::counter!("tollbook_invoices_refused_total").increment(1);
                let later = now.checked_add(RETRY).unwrap_or(Timestamp::MAX);
                put_off(app, sale.organization, id, later).await?;
                failure = failure.or(Some(error));
                (limit, after) = (BATCH_MAX, Some(last));
            }
            Err(_) => limit = i64::try_from(due.len() / 2).unwrap_or(1).max(1),
        }
    }
}

async fn put_off(
    app: &App,
    organization: OrganizationId,
    invoice: InvoiceId,
    until: Timestamp,
) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    write::set_finalize_at(&mut tx, organization, &[invoice], Some(until)).await?;
    tx.commit().await?;
    Ok(())
}

/// What became of drafts.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What each document comes to.
    pub(super) issued: Vec<Money>,
    /// Drafts with nothing on them, which wait until there is something.
    pub(super) empty: usize,
}

/// Finalizes locked drafts of one sale, in order.
pub(super) async fn finalize(
    tx: &mut PgConnection,
    organization: OrganizationId,
    drafts: &[Draft],
    told: &mut Told,
    now: Timestamp,
) -> Result<Done> {
    let documents = documents(tx, organization, drafts).await?;
    let (printed, empty): (Vec<_>, Vec<_>) =
        documents.into_iter().partition(|it| !it.lines.is_empty());
    // Nothing to print is no document: the draft waits until there is.
    let idle: Vec<InvoiceId> = empty.iter().map(|it| it.draft.id).collect();
    write::set_finalize_at(tx, organization, &idle, None).await?;
    issue(tx, organization, &printed, told, now).await?;
    Ok(Done {
        issued: printed.iter().map(|it| it.totals.total).collect(),
        empty: idle.len(),
    })
}

/// What drafts print, with nothing on those that have nothing.
pub(super) async fn documents<'a>(
    tx: &mut PgConnection,
    organization: OrganizationId,
    drafts: &'a [Draft],
) -> Result<Vec<Document<'a>>> {
    let ids: Vec<InvoiceId> = drafts.iter().map(|d| d.id).collect();
    let mut gathered: BTreeMap<InvoiceId, Vec<Gathered>> = BTreeMap::new();
    for group in due::gather(tx, organization, &ids).await? {
        gathered.entry(group.invoice).or_default().push(group);
    }
    let commitments = commitments(tx, organization, &ids).await?;
    drafts
        .iter()
        .map(|draft| {
            let groups = gathered.remove(&draft.id).unwrap_or_default();
            Document::new(draft, groups, commitments.get(&draft.id))
        })
        .collect()
}

async fn issue(
    tx: &mut PgConnection,
    organization: OrganizationId,
    documents: &[Document<'_>],
    told: &mut Told,
    now: Timestamp,
) -> Result<()> {
    let Some(first) = documents.first() else {
        return Ok(());
    };
    let filled: Vec<&ChargeRow> = documents
        .iter()
        .filter_map(|it| it.filled_up.as_ref())
        .collect();
    insert_charges(tx, &filled).await?;
    let spent: Vec<_> = filled.iter().map(|it| it.spent()).collect();
    // Wallets are locked before the ledger.
    wallets::charged(tx, &spent, now).await?;
    pay(tx, organization, documents, now).await?;
    write::insert_lines(tx, organization, documents).await?;
    write::insert_taxes(tx, organization, documents).await?;
    let entries = documents
        .iter()
        .map(|document| {
            let of = ledger::Document {
                kind: "invoice",
                id: document.draft.id.uuid(),
                payer: document.payer().kind(),
                occurred_at: now,
            };
            Ok((of, document.entry()?))
        })
        .collect::<Result<Vec<_>>>()?;
    ledger::post(tx, organization, &entries).await?;
    let news: Vec<_> = documents
        .iter()
        .map(|it| (organization, LiveKind::InvoiceUpdated, it.draft.id.uuid()))
        .collect();
    live::publish(tx, &news).await?;
    let ids: Vec<InvoiceId> = documents.iter().map(|it| it.draft.id).collect();
    let closings = closing::count(tx, organization, &ids, told).await?;
    // Last, and short: the seller's row is locked from here to the commit.
    let numbers = take_numbers(tx, first.draft, documents.len(), now).await?;
    let numbered: Vec<Numbered<'_>> = documents
        .iter()
        .zip(numbers)
        .map(|(document, number)| Numbered {
            document,
            number,
            due_at: due_at(document.draft, now),
            closing: closings.get(&document.draft.id).copied(),
        })
        .collect();
    write::set_finalized(tx, organization, &numbered, now).await
}

/// Prepaid credit pays first.
async fn pay(
    tx: &mut PgConnection,
    organization: OrganizationId,
    documents: &[Document<'_>],
    now: Timestamp,
) -> Result<()> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("an invoice's charges: {e}"));
    let due = documents
        .iter()
        .map(|document| {
            Ok(DueDocument {
                invoice: document.draft.id,
                payer: document.payer(),
                exact: document.exact().map_err(|e| wrong(&e))?,
                total: document.totals.total,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    wallets::pay(tx, organization, &due, now).await
}

fn due_at(draft: &Draft, now: Timestamp) -> Timestamp {
    let terms = SignedDuration::from_hours(24 * i64::from(draft.payment_terms_days));
    now.checked_add(terms).unwrap_or(Timestamp::MAX)
}

async fn take_numbers(
    tx: &mut PgConnection,
    of: &Draft,
    count: usize,
    now: Timestamp,
) -> Result<Vec<InvoiceNumber>> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("an invoice number: {e}"));
    let zone: Zone = of.seller_zone.parse().map_err(|e| wrong(&e))?;
    let year = i32::from(zone.date(now).year());
    let taken = write::take_numbers(tx, of.seller, year, count).await?;
    let prefix: tollbook_core::invoices::NumberPrefix =
        taken.prefix.parse().map_err(|e| wrong(&e))?;
    let year = u16::try_from(taken.year).map_err(|e| wrong(&e))?;
    (taken.first..)
        .take(count)
        .map(|sequence| {
            let sequence = u32::try_from(sequence).map_err(|e| wrong(&e))?;
            InvoiceNumber::new(prefix.clone(), year, sequence).map_err(|e| wrong(&e))
        })
        .collect()
}
