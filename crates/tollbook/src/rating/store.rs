//! Writes charges and what they change on their accounts.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{
    AccountId, ChargeId, InvoiceId, OrganizationId, PeriodId, PlanVersionId, SubscriptionId,
};
use tollbook_core::money::Fraction;
use tollbook_core::payer::Payer;
use tollbook_core::rating::{ChargePart, TRACE_VERSION};
use uuid::Uuid;

use super::batch::{Book, Change};
use super::load::Item;
use crate::error::{Error, Result};
use crate::ids::new_id;

#[derive(Serialize)]
struct ChargeRow {
    organization_id: Uuid,
    id: ChargeId,
    payer: &'static str,
    customer_id: Option<Uuid>,
    account_id: Uuid,
    usage_event_id: Option<Uuid>,
    period_id: Option<Uuid>,
    revision: i32,
    part: i32,
    kind: String,
    subscription_id: Option<Uuid>,
    seller_id: Uuid,
    plan_version_id: Option<Uuid>,
    price_key: Option<String>,
    band: Option<String>,
    grant_id: Option<Uuid>,
    meter: Option<String>,
    call_id: Option<Uuid>,
    quantity: String,
    unit_price: Option<String>,
    divisor: Option<String>,
    amount_numerator: String,
    amount_denominator: String,
    currency: String,
    invoice_id: InvoiceId,
    line_group: String,
    occurred_at: jiff::Timestamp,
    trace_version: i32,
    trace: Value,
}

/// Writes the reversals and the charges of a batch; `invoices` names the draft of each change.
pub(super) async fn write(
    tx: &mut PgConnection,
    changes: &[Change<'_>],
    invoices: &[InvoiceId],
) -> Result<()> {
    let reversals: Vec<(&Change<'_>, &super::load::InForce, InvoiceId)> = changes
        .iter()
        .zip(invoices)
        .flat_map(|(change, invoice)| {
            change
                .reverse
                .iter()
                .map(move |known| (change, known, *invoice))
        })
        .collect();
    if !reversals.is_empty() {
        reverse(tx, &reversals).await?;
    }
    let rows: Vec<ChargeRow> = changes
        .iter()
        .zip(invoices)
        .flat_map(|(change, invoice)| {
            change
                .charge
                .iter()
                .map(move |part| (change, part, *invoice))
        })
        .map(|(change, part, invoice)| {
            let item = change.item;
            let amount = part.amount.unwrap_or(Fraction::ZERO);
            let trace = serde_json::to_value(&part.trace)
                .map_err(|e| Error::Internal(format!("a trace cannot be written: {e}")))?;
            Ok(ChargeRow {
                organization_id: item.organization.uuid(),
                id: new_id(),
                payer: item.payer.as_str(),
                customer_id: item.customer.map(Uuid::from),
                account_id: item.account.uuid(),
                usage_event_id: Some(item.usage.uuid()),
                period_id: None,
                revision: change.revision,
                part: i32::from(part.part),
                kind: part.kind.to_string(),
                subscription_id: item.contract.map(|c| c.subscription.uuid()),
                seller_id: item.terms.as_ref().map_or(Uuid::nil(), |t| t.seller),
                plan_version_id: item.terms.as_ref().map(|t| t.version.uuid()),
                price_key: part.price_key.as_ref().map(|k| k.as_str().to_owned()),
                band: part.band.as_ref().map(|k| k.as_str().to_owned()),
                grant_id: part.grant_id.map(Uuid::from),
                meter: Some(item.meter.to_string()),
                call_id: item.call.map(Uuid::from),
                quantity: part.quantity.to_string(),
                unit_price: part.unit_price.map(|p| p.to_string()),
                divisor: part.divisor.map(|q| q.to_string()),
                amount_numerator: amount.numerator().to_string(),
                amount_denominator: amount.denominator().to_string(),
                currency: change.currency.clone(),
                invoice_id: invoice,
                line_group: part.line_group(),
                occurred_at: item.occurred_at,
                trace_version: i32::from(TRACE_VERSION),
                trace,
            })
        })
        .collect::<Result<_>>()?;
    insert(tx, &rows).await
}

async fn insert(tx: &mut PgConnection, rows: &[ChargeRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_value(rows)
        .map_err(|e| Error::Internal(format!("charges cannot be written: {e}")))?;
    sqlx::query_file!("src/rating/charge.sql", rows)
        .execute(tx)
        .await?;
    Ok(())
}

/// The base fee of a period, to be charged.
pub(crate) struct Fee {
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
    pub(crate) account: AccountId,
    pub(crate) subscription: SubscriptionId,
    pub(crate) period: PeriodId,
    pub(crate) seller: Uuid,
    pub(crate) version: PlanVersionId,
    pub(crate) occurred_at: jiff::Timestamp,
    pub(crate) invoice: InvoiceId,
    pub(crate) part: ChargePart,
}

/// Charges the base fee of a period.
pub(crate) async fn charge_fee(tx: &mut PgConnection, fee: &Fee) -> Result<()> {
    let amount = fee.part.amount.unwrap_or(Fraction::ZERO);
    let trace = serde_json::to_value(&fee.part.trace)
        .map_err(|e| Error::Internal(format!("a trace cannot be written: {e}")))?;
    let row = ChargeRow {
        organization_id: fee.organization.uuid(),
        id: new_id(),
        payer: fee.payer.kind().as_str(),
        customer_id: fee.payer.customer().map(Uuid::from),
        account_id: fee.account.uuid(),
        usage_event_id: None,
        period_id: Some(fee.period.uuid()),
        revision: 1,
        part: i32::from(fee.part.part),
        kind: fee.part.kind.to_string(),
        subscription_id: Some(fee.subscription.uuid()),
        seller_id: fee.seller,
        plan_version_id: Some(fee.version.uuid()),
        price_key: None,
        band: None,
        grant_id: None,
        meter: None,
        call_id: None,
        quantity: fee.part.quantity.to_string(),
        unit_price: fee.part.unit_price.map(|p| p.to_string()),
        divisor: fee.part.divisor.map(|q| q.to_string()),
        amount_numerator: amount.numerator().to_string(),
        amount_denominator: amount.denominator().to_string(),
        currency: fee.part.currency.code().to_owned(),
        invoice_id: fee.invoice,
        // One line for each period's fee: two may meet on one document.
        line_group: format!("fee/{}", fee.period),
        occurred_at: fee.occurred_at,
        trace_version: i32::from(TRACE_VERSION),
        trace,
    };
    insert(tx, &[row]).await
}

/// Undoes charges exactly: the same charge with the opposite quantity and amount, on the draft of the new one.
async fn reverse(
    tx: &mut PgConnection,
    reversals: &[(&Change<'_>, &super::load::InForce, InvoiceId)],
) -> Result<()> {
    let organizations: Vec<Uuid> = reversals
        .iter()
        .map(|(change, ..)| change.item.organization.uuid())
        .collect();
    let ids: Vec<Uuid> = reversals.iter().map(|_| new_id()).collect();
    let charges: Vec<Uuid> = reversals
        .iter()
        .map(|(_, known, _)| known.id.uuid())
        .collect();
    let invoices: Vec<Uuid> = reversals
        .iter()
        .map(|(.., invoice)| invoice.uuid())
        .collect();
    sqlx::query!(
        "insert into charges (organization_id, id, payer, customer_id, account_id, usage_event_id, period_id, revision, part, reverses_id,
             kind, subscription_id, seller_id, plan_version_id, price_key, band, grant_id, meter, call_id, quantity, unit_price, divisor,
             amount_numerator, amount_denominator, amount, currency, invoice_id, line_group, occurred_at, trace_version, trace)
         select c.organization_id, k.id, c.payer, c.customer_id, c.account_id, c.usage_event_id, c.period_id, c.revision, c.part, c.id,
             c.kind, c.subscription_id, c.seller_id, c.plan_version_id, c.price_key, c.band, c.grant_id, c.meter, c.call_id, -c.quantity,
             c.unit_price, c.divisor, -c.amount_numerator, c.amount_denominator, -c.amount, c.currency, k.invoice_id, c.line_group,
             c.occurred_at, c.trace_version, c.trace
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as k (organization_id, id, charge_id, invoice_id)
         join charges c on c.organization_id = k.organization_id and c.id = k.charge_id",
        &organizations,
        &ids,
        &charges,
        &invoices,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes what accounts have used; the accounts are locked.
pub(super) async fn write_books(
    tx: &mut PgConnection,
    organizations: &HashMap<AccountId, OrganizationId>,
    books: &HashMap<AccountId, Book>,
    before: &HashMap<AccountId, Book>,
) -> Result<()> {
    let (mut grant_organizations, mut grants, mut used) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tier_organizations, mut accounts, mut keys, mut starts, mut totals) =
        (vec![], vec![], vec![], vec![], vec![]);
    for (account, book) in books {
        let Some(organization) = organizations.get(account) else {
            continue;
        };
        let old = before.get(account);
        for grant in &book.grants {
            if old.is_none_or(|old| !old.grants.contains(grant)) {
                grant_organizations.push(organization.uuid());
                grants.push(grant.id.uuid());
                used.push(grant.used.to_decimal());
            }
        }
        for tier in &book.tiers {
            if old.is_none_or(|old| !old.tiers.contains(tier)) {
                tier_organizations.push(organization.uuid());
                accounts.push(account.uuid());
                keys.push(tier.price_key.as_str());
                starts.push(jiff_sqlx::ToSqlx::to_sqlx(tier.period_start));
                totals.push(tier.quantity.to_decimal());
            }
        }
    }
    if !grants.is_empty() {
        sqlx::query!(
            "update allowance_grants g set used = k.used
             from unnest($1::uuid[], $2::uuid[], $3::numeric[]) as k (organization_id, id, used)
             where g.organization_id = k.organization_id and g.id = k.id",
            &grant_organizations,
            &grants,
            &used,
        )
        .execute(&mut *tx)
        .await?;
    }
    if !keys.is_empty() {
        sqlx::query!(
            "insert into tier_totals (organization_id, account_id, price_key, period_start, quantity)
             select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::numeric[]) as k
             order by 1, 2, 3, 4
             on conflict (organization_id, account_id, price_key, period_start) do update set quantity = excluded.quantity",
            &tier_organizations,
            &accounts,
            &keys as &[&str],
            &starts,
            &totals,
        )
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// A copy to compare with after rating.
pub(super) fn copy(books: &HashMap<AccountId, Book>) -> HashMap<AccountId, Book> {
    books
        .iter()
        .map(|(account, book)| {
            (
                *account,
                Book {
                    grants: book.grants.clone(),
                    tiers: book.tiers.clone(),
                },
            )
        })
        .collect()
}

/// The organizations of the accounts of a batch.
pub(super) fn organizations(items: &[Item]) -> HashMap<AccountId, OrganizationId> {
    items.iter().map(|i| (i.account, i.organization)).collect()
}
