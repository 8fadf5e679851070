//! Writes what a book makes: many rows with few statements.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{ImportId, OrganizationId};
use tollbook_core::ledger::{Entry, LedgerError, opening_credit, opening_invoice};
use tollbook_core::money::Money;
use tollbook_core::moving::Kind;
use tollbook_core::payer::{Payer, PayerKind};
use uuid::Uuid;

use super::making::{Making, Row};
use super::there::{Numbers, There};
use crate::error::{Error, FieldError, Result};
use crate::ids::new_id;
use crate::{customers, invoices, ledger, subscriptions, wallets};

/// Writes all of it. Fails with what was used of allowances that do not grant so much.
pub(super) async fn write(
    tx: &mut PgConnection,
    organization: OrganizationId,
    making: &mut Making,
    there: &There,
    now: Timestamp,
) -> Result<()> {
    let zone = &there.business.zone;
    customers::create_all(tx, organization, &making.customers, now).await?;
    // Before the subscriptions: what these charge is drawn from wallets.
    wallets::open_with(tx, organization, &making.wallets, now).await?;
    subscriptions::open_all(tx, organization, zone, &making.subscriptions, now).await?;
    use_before(tx, organization, making, now).await?;
    invoices::insert_opening(tx, organization, zone.name(), &making.invoices).await?;
    post(tx, organization, making, now).await?;
    let after = making.numbers.as_ref().unwrap_or(&there.numbers);
    insert_import(
        tx,
        organization,
        making.import,
        (&there.numbers, after),
        now,
    )
    .await?;
    insert_rows(tx, organization, making.import, &making.rows).await?;
    // Last, as where a number is taken.
    if let Some(numbers) = &making.numbers {
        set_numbers(tx, organization, numbers).await?;
    }
    Ok(())
}

async fn use_before(
    tx: &mut PgConnection,
    organization: OrganizationId,
    making: &mut Making,
    now: Timestamp,
) -> Result<()> {
    let used: Vec<_> = making.used.iter().map(|it| it.before.clone()).collect();
    let grants = subscriptions::use_before(tx, organization, &used, now).await?;
    let mut flaws = Vec::new();
    for (used, grant) in making.used.iter().zip(grants) {
        match grant {
            None => flaws.push(FieldError {
                field: used.path.clone(),
                message: "is more than the plan grants now under this key".into(),
            }),
            Some(_) if used.before.quantity.is_zero() => {}
            Some(grant) => {
                let (key, item) = (used.key.clone(), used.item.clone());
                let mut row = Row::new(Kind::Allowance, key, grant.uuid(), item);
                row.quantity = Some(used.before.quantity);
                making.rows.push(row.of(used.customer));
            }
        }
    }
    if flaws.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(flaws))
    }
}

/// An entry for each invoice and credit; those of prepaid credit are posted with its movements.
async fn post(
    tx: &mut PgConnection,
    organization: OrganizationId,
    making: &Making,
    now: Timestamp,
) -> Result<()> {
    let document = |id: Uuid| ledger::Document {
        kind: "opening",
        id,
        payer: PayerKind::Customer,
        occurred_at: now,
    };
    let invoices = making.invoices.iter().map(|it| {
        let entry = opening_invoice(Payer::Customer(it.customer), it.open)?;
        Ok((document(it.id.uuid()), entry))
    });
    let credits = making.credits.iter().map(|it| {
        let entry = opening_credit(Payer::Customer(it.customer), it.amount)?;
        Ok((document(it.id), entry))
    });
    let entries = invoices
        .chain(credits)
        .collect::<Result<Vec<(ledger::Document, Entry)>, LedgerError>>()
        .map_err(|e| Error::Internal(format!("an opening entry: {e}")))?;
    ledger::post(tx, organization, &entries).await
}

async fn insert_import(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: ImportId,
    (before, after): (&Numbers, &Numbers),
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "insert into imports (organization_id, id, prefix_before, year_before, next_before, opening_year_before, opening_number_before,
             prefix_after, year_after, next_after, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        organization.uuid(),
        id.uuid(),
        before.prefix,
        before.year,
        before.next,
        before.opening_year,
        before.opening_number,
        after.prefix,
        after.year,
        after.next,
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_rows(
    tx: &mut PgConnection,
    organization: OrganizationId,
    import: ImportId,
    rows: &[Row],
) -> Result<()> {
    let ids: Vec<Uuid> = rows.iter().map(|_| new_id()).collect();
    let kinds: Vec<&str> = rows.iter().map(|it| it.kind.as_str()).collect();
    let keys: Vec<&str> = rows.iter().map(|it| it.key.as_str()).collect();
    let made: Vec<Uuid> = rows.iter().map(|it| it.made).collect();
    let customers: Vec<Option<Uuid>> = rows.iter().map(|it| it.customer.map(Uuid::from)).collect();
    let currencies: Vec<Option<&str>> = rows
        .iter()
        .map(|it| it.amount.map(|amount| amount.currency().code()))
        .collect();
    let amounts: Vec<Option<i64>> = rows.iter().map(|it| it.amount.map(Money::minor)).collect();
    let quantities: Vec<Option<Decimal>> = rows.iter().map(|it| it.quantity).collect();
    let items: Vec<&Value> = rows.iter().map(|it| &it.item).collect();
    sqlx::query!(
        "insert into import_rows (organization_id, import_id, id, kind, key, row_id, customer_id, currency, amount_minor, quantity, item)
         select $1, $2, * from unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::text[], $9::bigint[], $10::numeric[],
             $11::jsonb[]) as r order by 4, 5",
        organization.uuid(),
        import.uuid(),
        &ids,
        &kinds as &[&str],
        &keys as &[&str],
        &made,
        &customers as &[Option<Uuid>],
        &currencies as &[Option<&str>],
        &amounts as &[Option<i64>],
        &quantities as &[Option<Decimal>],
        &items as &[&Value],
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn set_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    numbers: &Numbers,
) -> Result<()> {
    sqlx::query!(
        "update sellers set invoice_prefix = $2, number_year = $3, next_number = $4, opening_year = $3, opening_number = $4
         where id = $1 and organization_id = $1",
        organization.uuid(),
        numbers.prefix,
        numbers.year,
        numbers.next,
    )
    .execute(tx)
    .await?;
    Ok(())
}
