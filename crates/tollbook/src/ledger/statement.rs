//! What has happened between a seller and a payer, read from the ledger: what the payer owes less the payer's credit, and
//! each document that changed it.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::{Currency, Money};
use tollbook_core::payer::Payer;
use tollbook_core::time::Period;
use uuid::Uuid;

use crate::error::{Error, Result};

/// Whose statement, in which currency, over which time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) organization: OrganizationId,
    pub(super) payer: Payer,
    pub(super) currency: Currency,
    pub(super) period: Period,
}

/// What stands on a payer's accounts at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Balance {
    /// The receivable: what is open on the payer's invoices.
    pub(super) owed: Money,
    /// What the payer has given beyond that.
    pub(super) credit: Money,
}

/// A document that changed what is owed.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub(super) entry: Uuid,
    pub(super) occurred_at: Timestamp,
    /// As entries name it: `invoice`, `credit_note`, `payment`, `void` and so on.
    pub(super) document: String,
    pub(super) document_id: Uuid,
    /// The number of an invoice or credit note.
    pub(super) number: Option<String>,
    /// How a payment came, and whether it is one that was taken back.
    pub(super) channel: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) reverses_id: Option<Uuid>,
    /// More owed, or less where below zero.
    pub(super) amount: Money,
}

/// The place of a line on a statement, with the balance after it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) occurred_at: Timestamp,
    pub(super) entry: Uuid,
    pub(super) balance_minor: i64,
}

impl Balance {
    /// What is owed less what is credit.
    pub(super) fn net(self) -> Result<Money> {
        self.owed
            .checked_sub(self.credit)
            .map_err(|e| Error::Internal(format!("a balance: {e}")))
    }
}

/// What stood at the beginning and at the end.
pub(super) async fn balances(tx: &mut PgConnection, of: &Account) -> Result<(Balance, Balance)> {
    let rows = sqlx::query!(
        r#"select a.kind, coalesce(sum(m.minor) filter (where e.occurred_at < $5), 0)::bigint as "opening!",
             coalesce(sum(m.minor) filter (where e.occurred_at < $6), 0)::bigint as "closing!"
         from ledger_accounts a
         cross join lateral (
             select t.entry_id, t.amount_minor as minor from transfers t where t.organization_id = $1 and t.debit_account_id = a.id
             union all
             select t.entry_id, -t.amount_minor from transfers t where t.organization_id = $1 and t.credit_account_id = a.id
         ) m
         join ledger_entries e on e.organization_id = $1 and e.id = m.entry_id
         where a.organization_id = $1 and a.payer = $2 and a.customer_id is not distinct from $3 and a.currency = $4
             and a.kind in ('receivable', 'customer_credit')
         group by a.kind"#,
        of.organization.uuid(),
        of.payer.kind().as_str(),
        of.payer.customer().map(Uuid::from),
        of.currency.code(),
        of.period.start().to_sqlx(),
        of.period.end().to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let nothing = Balance {
        owed: Money::zero(of.currency),
        credit: Money::zero(of.currency),
    };
    let (mut opening, mut closing) = (nothing, nothing);
    for row in rows {
        let money = |minor| Money::from_minor(minor, of.currency);
        if row.kind == "receivable" {
            (opening.owed, closing.owed) = (money(row.opening), money(row.closing));
        } else {
            // Accounts of credit hold what is given, so it stands on their other side.
            let given = |minor| {
                let given = money(minor).checked_neg();
                given.map_err(|e| Error::Internal(format!("a balance: {e}")))
            };
            (opening.credit, closing.credit) = (given(row.opening)?, given(row.closing)?);
        }
    }
    Ok((opening, closing))
}

/// What changed it in between, in order: `rows` of them after `after`. What only moves between credit and what is owed
/// changes nothing and is left out.
pub(super) async fn moved(
    tx: &mut PgConnection,
    of: &Account,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<Moved>> {
    let rows = sqlx::query!(
        r#"select e.id, e.occurred_at, e.document, e.document_id, coalesce(i.number, n.number) as number, p.channel as "channel?",
             p.reference as "reference?", p.reverses_id as "reverses_id?", m.minor as "minor!"
         from (
             select t.entry_id, sum(t.minor)::bigint as minor
             from ledger_accounts a
             cross join lateral (
                 select t.entry_id, t.amount_minor as minor from transfers t where t.organization_id = $1 and t.debit_account_id = a.id
                 union all
                 select t.entry_id, -t.amount_minor from transfers t where t.organization_id = $1 and t.credit_account_id = a.id
             ) t
             where a.organization_id = $1 and a.payer = $2 and a.customer_id is not distinct from $3 and a.currency = $4
                 and a.kind in ('receivable', 'customer_credit')
             group by t.entry_id having sum(t.minor) <> 0
         ) m
         join ledger_entries e on e.organization_id = $1 and e.id = m.entry_id
         left join invoices i on e.document in ('invoice', 'void', 'opening') and i.organization_id = $1 and i.id = e.document_id
         left join credit_notes n on e.document = 'credit_note' and n.organization_id = $1 and n.id = e.document_id
         left join payments p on e.document = 'payment' and p.organization_id = $1 and p.id = e.document_id
         where e.occurred_at >= $5 and e.occurred_at < $6 and ($7::timestamptz is null or (e.occurred_at, e.id) > ($7, $8))
         order by e.occurred_at, e.id limit $9"#,
        of.organization.uuid(),
        of.payer.kind().as_str(),
        of.payer.customer().map(Uuid::from),
        of.currency.code(),
        of.period.start().to_sqlx(),
        of.period.end().to_sqlx(),
        after.map(|after| after.occurred_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|after| after.entry),
        rows,
    )
    .fetch_all(tx)
    .await?;
    let moved = rows.into_iter().map(|row| Moved {
        entry: row.id,
        occurred_at: row.occurred_at.to_jiff(),
        document: row.document,
        document_id: row.document_id,
        number: row.number,
        channel: row.channel,
        reference: row.reference,
        reverses_id: row.reverses_id,
        amount: Money::from_minor(row.minor, of.currency),
    });
    Ok(moved.collect())
}
