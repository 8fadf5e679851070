//! Takes the entry of a document back, transfer by transfer.

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{LedgerEntryId, OrganizationId};
use uuid::Uuid;

use super::post::Document;
use crate::error::Result;
use crate::ids::new_id;

/// Posts the opposite of what `kind` posted for the same document, as an entry of its own. What posted nothing has nothing
/// to take back.
pub(crate) async fn reverse(
    tx: &mut PgConnection,
    organization: OrganizationId,
    kind: &str,
    by: &Document,
) -> Result<()> {
    let rows = sqlx::query!(
        "select t.debit_account_id, t.credit_account_id, t.amount_minor, t.currency
         from ledger_entries e join transfers t on t.organization_id = $1 and t.entry_id = e.id
         where e.organization_id = $1 and e.document = $2 and e.document_id = $3 order by t.id",
        organization.uuid(),
        kind,
        by.id,
    )
    .fetch_all(&mut *tx)
    .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let entry: LedgerEntryId = new_id();
    sqlx::query!(
        "insert into ledger_entries (organization_id, id, payer, document, document_id, occurred_at) values ($1, $2, $3, $4, $5, $6)",
        organization.uuid(),
        entry.uuid(),
        by.payer.as_str(),
        by.kind,
        by.id,
        by.occurred_at.to_sqlx(),
    )
    .execute(&mut *tx)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|_| new_id()).collect();
    let debits: Vec<Uuid> = rows.iter().map(|row| row.credit_account_id).collect();
    let credits: Vec<Uuid> = rows.iter().map(|row| row.debit_account_id).collect();
    let amounts: Vec<i64> = rows.iter().map(|row| row.amount_minor).collect();
    let currencies: Vec<&str> = rows.iter().map(|row| row.currency.as_str()).collect();
    sqlx::query!(
        "insert into transfers (organization_id, id, entry_id, debit_account_id, credit_account_id, amount_minor, currency)
         select $1, t.id, $2, t.debit_account_id, t.credit_account_id, t.amount_minor, t.currency
         from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[], $7::text[])
             as t (id, debit_account_id, credit_account_id, amount_minor, currency)",
        organization.uuid(),
        entry.uuid(),
        &ids,
        &debits,
        &credits,
        &amounts,
        &currencies as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}
