//! Writes entries. The accounts that an entry names are made when they are first needed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, LedgerEntryId, OrganizationId};
use tollbook_core::ledger::{Account, Entry};
use tollbook_core::payer::PayerKind;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::new_id;

/// The kind of document whose entries only the bearer of the costs sees.
pub(crate) const COST: &str = "cost";

/// The document behind an entry. A document posts once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document {
    /// `invoice`, `credit_note`, `payment`, `allocation`, `refund`, `wallet`, `cost`, `opening`,
    /// `void` or `goodwill`.
    pub(crate) kind: &'static str,
    pub(crate) id: Uuid,
    pub(crate) payer: PayerKind,
    pub(crate) occurred_at: Timestamp,
}

/// Posts the entries of documents of one organization. An entry that moves nothing is not posted.
pub(crate) async fn post(
    tx: &mut PgConnection,
    organization: OrganizationId,
    entries: &[(Document, Entry)],
) -> Result<()> {
    let entries: Vec<&(Document, Entry)> = entries
        .iter()
        .filter(|(_, entry)| !entry.transfers().is_empty())
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    let accounts = accounts(tx, organization, &entries).await?;
    let ids: Vec<Uuid> = entries
        .iter()
        .map(|_| LedgerEntryId::new(new_id()).uuid())
        .collect();
    let payers: Vec<&str> = entries.iter().map(|(d, _)| d.payer.as_str()).collect();
    let kinds: Vec<&str> = entries.iter().map(|(d, _)| d.kind).collect();
    let documents: Vec<Uuid> = entries.iter().map(|(d, _)| d.id).collect();
    let times: Vec<_> = entries
        .iter()
        .map(|(d, _)| d.occurred_at.to_sqlx())
        .collect();
    sqlx::query!(
        "insert into ledger_entries (organization_id, id, payer, document, document_id, occurred_at)
         select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::timestamptz[]) as e order by 4, 5",
        organization.uuid(),
        &ids,
        &payers as &[&str],
        &kinds as &[&str],
        &documents,
        &times,
    )
    .execute(&mut *tx)
    .await?;
    transfers(tx, organization, &entries, &ids, &accounts).await
}

async fn transfers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    entries: &[&(Document, Entry)],
    ids: &[Uuid],
    accounts: &BTreeMap<Account, Uuid>,
) -> Result<()> {
    let (mut rows, mut of, mut debits, mut credits) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut amounts, mut currencies, mut payers) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_costs = Vec::new();
    let unknown = || Error::Internal("a ledger account was not made".into());
    for ((document, entry), id) in entries.iter().zip(ids) {
        for transfer in entry.transfers() {
            rows.push(new_id::<Uuid>());
            of.push(*id);
            debits.push(*accounts.get(&transfer.debit).ok_or_else(unknown)?);
            credits.push(*accounts.get(&transfer.credit).ok_or_else(unknown)?);
            amounts.push(transfer.amount.minor());
            currencies.push(transfer.amount.currency().code());
            payers.push(document.payer.as_str());
            of_costs.push(document.kind == COST);
        }
    }
    sqlx::query!(
        "insert into transfers (organization_id, id, entry_id, debit_account_id, credit_account_id, amount_minor, currency, payer, is_cost)
         select $1, * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[], $7::text[], $8::text[], $9::boolean[]) as t",
        organization.uuid(),
        &rows,
        &of,
        &debits,
        &credits,
        &amounts,
        &currencies as &[&str],
        &payers as &[&str],
        &of_costs,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The ids of all accounts that the entries name.
async fn accounts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    entries: &[&(Document, Entry)],
) -> Result<BTreeMap<Account, Uuid>> {
    let named: BTreeSet<&Account> = entries
        .iter()
        .flat_map(|(_, entry)| entry.transfers().iter().flat_map(|t| [&t.debit, &t.credit]))
        .collect();
    let named: Vec<&Account> = named.into_iter().collect();
    let ids: Vec<Uuid> = named.iter().map(|_| new_id()).collect();
    let payers: Vec<&str> = named.iter().map(|a| a.payer.as_str()).collect();
    let kinds: Vec<&str> = named.iter().map(|a| a.kind.as_str()).collect();
    let meters: Vec<&str> = named.iter().map(|a| a.meter.as_str()).collect();
    let customers: Vec<Option<Uuid>> = named
        .iter()
        .map(|a| a.customer.map(CustomerId::uuid))
        .collect();
    let currencies: Vec<&str> = named.iter().map(|a| a.currency.code()).collect();
    sqlx::query!(
        "insert into ledger_accounts (organization_id, id, payer, kind, meter, customer_id, currency)
         select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[])
             as a (id, payer, kind, meter, customer_id, currency)
         order by payer, kind, meter, customer_id, currency
         on conflict (organization_id, payer, kind, meter, customer_id, currency) do nothing",
        organization.uuid(),
        &ids,
        &payers as &[&str],
        &kinds as &[&str],
        &meters as &[&str],
        &customers as &[Option<Uuid>],
        &currencies as &[&str],
    )
    .execute(&mut *tx)
    .await?;
    // Two branches, so that each goes by the index: a customer's own accounts, and those of the whole sale.
    let rows = sqlx::query!(
        r#"with k as (
             select * from unnest($2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[])
                 with ordinality as k (payer, kind, meter, customer_id, currency, position)
         )
         select k.position as "position!", a.id as "id!" from k
         join ledger_accounts a on a.organization_id = $1 and a.payer = k.payer and a.kind = k.kind and a.meter = k.meter
             and a.customer_id = k.customer_id and a.currency = k.currency
         union all
         select k.position, a.id from k
         join ledger_accounts a on a.organization_id = $1 and a.payer = k.payer and a.kind = k.kind and a.meter = k.meter
             and a.customer_id is null and a.currency = k.currency
         where k.customer_id is null"#,
        organization.uuid(),
        &payers as &[&str],
        &kinds as &[&str],
        &meters as &[&str],
        &customers as &[Option<Uuid>],
        &currencies as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let index = usize::try_from(row.position).ok()?.checked_sub(1)?;
            Some(((*named.get(index)?).clone(), row.id))
        })
        .collect())
}
