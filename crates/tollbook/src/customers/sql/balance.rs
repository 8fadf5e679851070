//! Statements on what is owed.

use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::money::{Currency, Money};

use super::super::balance::Unbilled;
use super::card::add;
use crate::db::types::Text;

/// What is open on finalized invoices; a paid one that was credited afterwards counts against it.
pub(in super::super) async fn open(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> sqlx::Result<Vec<Money>> {
    let rows = sqlx::query!(
        r#"select currency as "currency: Text<Currency>", sum(total_minor - paid_minor - credited_minor)::bigint as "minor!"
         from invoices
         where organization_id = $1 and customer_id = $2 and payer = 'customer' and state in ('finalized', 'paid')
         group by currency"#,
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_all(tx)
    .await?;
    let mut totals = Vec::new();
    for row in rows {
        let Text(currency) = row.currency;
        add(&mut totals, Money::from_minor(row.minor, currency))?;
    }
    Ok(totals)
}

/// What was paid and pays no invoice yet. Credit that pays an invoice was paid before, and is no money of its own.
pub(in super::super) async fn credit(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> sqlx::Result<Vec<Money>> {
    let rows = sqlx::query!(
        r#"select p.currency as "currency: Text<Currency>", sum(case p.channel when 'credit' then 0 else p.amount_minor end - coalesce((
                 select sum(a.amount_minor) from payment_allocations a
                 where a.organization_id = $1 and a.payment_id = p.id), 0))::bigint as "minor!"
         from payments p
         where p.organization_id = $1 and p.customer_id = $2 and p.payer = 'customer' and p.state = 'succeeded'
         group by p.currency"#,
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Money::from_minor(row.minor, row.currency.0))
        .collect())
}

/// Charges on drafts, with those of void invoices that a draft gathers again.
pub(in super::super) async fn unbilled(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> sqlx::Result<Vec<Unbilled>> {
    let rows = sqlx::query!(
        r#"select c.currency as "currency!: Text<Currency>", trim_scale(sum(c.amount))::text as "plain!"
         from invoices i
         cross join lateral (
             select c.currency, c.amount from charges c where c.organization_id = $1 and c.invoice_id = i.id
             union all
             select c.currency, c.amount from recharges r join charges c on c.organization_id = $1 and c.invoice_id = r.void_invoice_id
             where r.organization_id = $1 and r.document_id = i.id
         ) c
         where i.organization_id = $1 and i.customer_id = $2 and i.payer = 'customer' and i.state = 'draft'
         group by c.currency order by c.currency"#,
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Unbilled {
            plain: row.plain,
            currency: row.currency.0,
        })
        .collect())
}
