//! Withdraws a finalized invoice that nobody has paid. It keeps its number; its entry is taken back, and the usage and the
//! fees on it are gathered again by the payer's next draft. Items that were written by hand are withdrawn with it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, OrganizationId};
use tollbook_core::invoices::{Event, State, transition};
use tollbook_core::payer::{Payer, PayerKind};
use tollbook_core::time::Period;

use super::drafts::{PLATFORM_GRACE_SECONDS, Place, open_drafts};
use crate::error::{Error, Result};
use crate::ledger;
use crate::live::{self, LiveKind};
use crate::payments::hold_payer;
use crate::wallets;

/// Voids an invoice; returns the draft on which its charges are gathered again.
pub(super) async fn void(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
    id: InvoiceId,
    reason: &str,
    now: Timestamp,
) -> Result<Option<InvoiceId>> {
    hold_payer(tx, organization, payer).await?;
    let row = lock(tx, organization, payer, id).await?;
    if row.is_opening {
        return Err(Error::conflict(
            "not_voidable",
            "this invoice was issued by another system, and only that can withdraw it",
        ));
    }
    if row.is_covered {
        return Err(Error::conflict(
            "not_unpaid",
            "this invoice is paid or credited in part: take the payments back, or issue a credit note over the rest",
        ));
    }
    let state: State = row.state.parse().map_err(|e| wrong(id, &e))?;
    transition(state, Event::Void)
        .map_err(|error| Error::conflict("not_voidable", error.to_string()))?;
    sqlx::query!(
        "update invoices set state = 'void', void_reason = $3, updated_at = now() where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
        reason,
    )
    .execute(&mut *tx)
    .await?;
    let draft = match row.place {
        Some(place) => Some(charge_again(tx, &place, id, now).await?),
        None => None,
    };
    let document = ledger::Document {
        kind: "void",
        id: id.uuid(),
        payer: payer.kind(),
        occurred_at: now,
    };
    ledger::reverse(tx, organization, "invoice", &document).await?;
    let told: Vec<_> = [Some(id), draft]
        .into_iter()
        .flatten()
        .map(|id| (organization, LiveKind::InvoiceUpdated, id.uuid()))
        .collect();
    live::publish(tx, &told).await?;
    Ok(draft)
}

fn wrong(id: InvoiceId, error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("invoice {id} cannot be voided: {error}"))
}

struct Locked {
    state: String,
    /// Whether another system issued it.
    is_opening: bool,
    /// Whether something was paid or credited.
    is_covered: bool,
    /// What it gathered, if that was usage or fees.
    place: Option<Place>,
}

/// Locks the invoice. The payer's account is held.
async fn lock(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
    id: InvoiceId,
) -> Result<Locked> {
    let row = sqlx::query!(
        r#"select i.state, i.kind = 'opening' as "is_opening!", i.paid_minor <> 0 or i.credited_minor <> 0 as "is_covered!", i.currency, i.call_id, i.period_start, i.period_end, i.zone,
             extract(epoch from o.invoice_grace)::bigint as "grace_seconds!",
             exists (select from recharges r where r.organization_id = $1 and r.document_id = i.id)
                 or exists (select from charges c where c.organization_id = $1 and c.invoice_id = i.id
                     and num_nonnulls(c.usage_event_id, c.period_id) > 0) as "is_metered!",
             (select c.subscription_id from charges c where c.organization_id = $1 and c.invoice_id = i.id
                 and c.subscription_id is not null order by c.occurred_at desc, c.id desc limit 1) as subscription_id
         from invoices i join organizations o on o.id = i.organization_id
         where i.organization_id = $1 and i.id = $2 and i.payer = $3 for no key update of i"#,
        organization.uuid(),
        id.uuid(),
        payer.kind().as_str(),
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("invoice"))?;
    let period = Period::new(row.period_start.to_jiff(), row.period_end.to_jiff());
    let place = Place {
        organization,
        payer,
        currency: row.currency,
        call: row.call_id.map(Into::into),
        subscription: row.subscription_id.map(Into::into),
        period: period.map_err(|e| wrong(id, &e))?,
        zone: row.zone,
        grace_seconds: match payer.kind() {
            PayerKind::Customer => row.grace_seconds,
            PayerKind::Organization => PLATFORM_GRACE_SECONDS,
        },
    };
    Ok(Locked {
        state: row.state,
        is_opening: row.is_opening,
        is_covered: row.is_covered,
        place: row.is_metered.then_some(place),
    })
}

/// Has the payer's next draft gather the charges of an invoice, with those that it gathered itself of invoices that were
/// voided before. The invoice being void, its own place is taken by a later one.
async fn charge_again(
    tx: &mut PgConnection,
    place: &Place,
    id: InvoiceId,
    now: Timestamp,
) -> Result<InvoiceId> {
    let places = BTreeSet::from([place.clone()]);
    let open = open_drafts(tx, &places, now).await?;
    let draft = open.get(place).map(|open| open.invoice);
    let draft = draft.ok_or_else(|| wrong(id, &"there is no draft"))?;
    let void = sqlx::query_scalar!(
        "insert into recharges (organization_id, document_id, void_invoice_id)
         select $1, $2, v.id from (
             select $3::uuid as id
             union select r.void_invoice_id from recharges r where r.organization_id = $1 and r.document_id = $3
         ) v order by v.id
         returning void_invoice_id",
        place.organization.uuid(),
        draft.uuid(),
        id.uuid(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let void: Vec<InvoiceId> = void.into_iter().map(InvoiceId::from).collect();
    wallets::charged_again(tx, place.organization, &void, now).await?;
    Ok(draft)
}
