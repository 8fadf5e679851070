//! Which invoices a payment pays: those that are named, or the oldest.

use std::collections::HashMap;

use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, OrganizationId};
use tollbook_core::invoices::{Standing, Wanted};
use tollbook_core::money::Money;
use tollbook_core::payer::Payer;
use uuid::Uuid;

use crate::error::{Error, Result};

/// Invoices that one payment may pay.
pub(super) const INVOICES_MAX: usize = 1_000;

/// An invoice that somebody names, and how much of it is to be paid; `None`: as much as there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    pub(crate) invoice: InvoiceId,
    pub(crate) amount: Option<Money>,
}

/// The invoices that an amount pays, the longest due first. The payer's account is held.
pub(super) async fn oldest(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
    amount: Money,
) -> Result<Vec<(InvoiceId, Wanted)>> {
    // Those before which the amount is not used up yet: there are no more of them than the payment pays.
    let rows = sqlx::query!(
        r#"select id as "id!", open_minor as "open_minor!" from (
             select i.id, i.due_at, i.number_year, i.number_seq, i.total_minor - i.paid_minor - i.credited_minor as open_minor,
                 sum(i.total_minor - i.paid_minor - i.credited_minor) over (order by i.due_at, i.number_year, i.number_seq, i.id
                     rows between unbounded preceding and 1 preceding) as before_minor
             from invoices i
             where i.organization_id = $1 and i.payer = $2 and i.customer_id is not distinct from $3 and i.currency = $4
                 and i.state = 'finalized'
         ) o
         where coalesce(before_minor, 0) < $5 order by due_at, number_year, number_seq, id limit $6"#,
        organization.uuid(),
        payer.kind().as_str(),
        payer.customer().map(Uuid::from),
        amount.currency().code(),
        rust_decimal::Decimal::from(amount.minor()),
        i64::try_from(INVOICES_MAX.saturating_add(1)).unwrap_or(i64::MAX),
    )
    .fetch_all(tx)
    .await?;
    if rows.len() > INVOICES_MAX {
        let message = format!("pays more than {INVOICES_MAX} invoices; record it in parts");
        return Err(Error::invalid("amount", message));
    }
    let wanted = rows.into_iter().map(|row| {
        let open = Money::from_minor(row.open_minor, amount.currency());
        let wanted = Wanted { open, amount: None };
        (row.id.into(), wanted)
    });
    Ok(wanted.collect())
}

/// The invoices that somebody names, in their order. Each is the payer's, finalized, and leaves something open.
pub(super) async fn named(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
    amount: Money,
    named: &[Named],
) -> Result<Vec<(InvoiceId, Wanted)>> {
    let currency = amount.currency();
    let ids: Vec<Uuid> = named.iter().map(|it| it.invoice.uuid()).collect();
    let rows = sqlx::query!(
        "select id, state, total_minor, paid_minor, credited_minor from invoices
         where organization_id = $1 and id = any($2) and payer = $3 and customer_id is not distinct from $4 and currency = $5",
        organization.uuid(),
        &ids,
        payer.kind().as_str(),
        payer.customer().map(Uuid::from),
        currency.code(),
    )
    .fetch_all(tx)
    .await?;
    let money = |minor| Money::from_minor(minor, currency);
    let mut found: HashMap<Uuid, (String, Standing)> = rows
        .into_iter()
        .map(|row| {
            let standing = Standing {
                total: money(row.total_minor),
                paid: money(row.paid_minor),
                credited: money(row.credited_minor),
            };
            (row.id, (row.state, standing))
        })
        .collect();
    let mut wanted = Vec::with_capacity(named.len());
    for (index, it) in named.iter().enumerate() {
        let refuse =
            |message: String| Error::invalid(format!("invoices[{index}].invoiceId"), message);
        // An invoice that is named twice is not there the second time.
        let (state, standing) = found
            .remove(&it.invoice.uuid())
            .ok_or_else(|| refuse(format!("is no other invoice of this payer in {currency}")))?;
        if !["finalized", "paid", "uncollectible"].contains(&state.as_str()) {
            return Err(refuse(format!("is {state} and takes no payment")));
        }
        let open = standing
            .open()
            .map_err(|e| Error::Internal(format!("invoice {}: {e}", it.invoice)))?;
        if open.is_zero() {
            return Err(refuse("leaves nothing open".into()));
        }
        let amount = it.amount;
        wanted.push((it.invoice, Wanted { open, amount }));
    }
    Ok(wanted)
}
