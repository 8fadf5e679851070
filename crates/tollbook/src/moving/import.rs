//! Brings a book in, or tells what it would bring.

use std::collections::BTreeMap;

use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::{Currency, Money, MoneyError};
use tollbook_core::moving::{Book, Kind};

use super::brought::{Brought, Sum};
use super::making::{Making, sort};
use super::there::There;
use super::write::write;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, FieldError, Result};

/// Brings a book in for `actor`, who administers the organization. All of it is made in one transaction, which a preview
/// takes back. Fails with everything that is wrong with the book.
pub(crate) async fn bring(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    text: &[u8],
    is_preview: bool,
) -> Result<Brought> {
    let book = Book::read(text).map_err(|flaws| {
        let errors = flaws.into_iter().map(|flaw| FieldError {
            field: flaw.path,
            message: flaw.message,
        });
        Error::Invalid(errors.collect())
    })?;
    let now = app.clock.now();
    // What is made is the platform's to write, numbers above all.
    let user = actor.user();
    let mut tx = app.db.begin(&Actor::Platform { user }).await?;
    let there = There::load(&mut tx, organization, &book, now).await?;
    let mut making = sort(&book, &there, organization, now)?;
    if !making.flaws.is_empty() {
        return Err(Error::Invalid(making.flaws));
    }
    let is_new = !making.rows.is_empty();
    if is_new {
        write(&mut tx, organization, &mut making, &there, now).await?;
    }
    let mut brought = told(making)?;
    brought.is_preview = is_preview;
    if is_preview || !is_new {
        tx.rollback().await?;
        brought.id = None;
        return Ok(brought);
    }
    if let Some(id) = brought.id {
        let deed = Deed::new(organization, "book.imported", "import", id);
        audit::record(&mut tx, actor, deed.after(&brought)?).await?;
    }
    tx.commit().await?;
    app.wake.rating.notify_one();
    Ok(brought)
}

fn told(making: Making) -> Result<Brought> {
    let wrong = |e: MoneyError| Error::Internal(format!("the sums of a book: {e}"));
    let mut sums: BTreeMap<&str, (Currency, [Money; 3])> = BTreeMap::new();
    let rows = making.rows.iter();
    for (kind, amount) in rows.filter_map(|it| Some((it.kind, it.amount?))) {
        let currency = amount.currency();
        let zero = Money::zero(currency);
        let (_, [open, credit, prepaid]) =
            sums.entry(currency.code()).or_insert((currency, [zero; 3]));
        let sum = match kind {
            Kind::Invoice => open,
            Kind::Credit => credit,
            _ => prepaid,
        };
        *sum = sum.checked_add(amount).map_err(wrong)?;
    }
    let sums = sums
        .into_values()
        .map(|(currency, [open, credit, prepaid])| Sum {
            currency: currency.code().to_owned(),
            open: open.amount(),
            credit: credit.amount(),
            prepaid: prepaid.amount(),
        });
    let lots = making.wallets.iter().map(|it| it.lots.len()).sum();
    let next = making.numbers.as_ref();
    Ok(Brought {
        id: Some(making.import),
        is_preview: false,
        customers: making.customers.len(),
        subscriptions: making.subscriptions.len(),
        invoices: making.invoices.len(),
        credits: making.credits.len(),
        lots,
        next_invoice_number: next.map(|it| format!("{}-{}-{:06}", it.prefix, it.year, it.next)),
        sums: sums.collect(),
        unchanged: making.unchanged,
        differs: making.differs,
        notes: making.notes,
    })
}
