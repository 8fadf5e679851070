//! Puts right what was charged and granted when the life or the terms of a subscription change.
//!
//! Fees and grants follow from the subscription's history alone, so the change is written first, and then what was made
//! is compared with what the history says now. What is the same stays; what differs is taken back to the last digit and
//! charged anew. Usage is rated again by those who rate.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{
    ChargeId, InvoiceId, OrganizationId, PeriodId, PlanVersionId, SubscriptionId,
};
use tollbook_core::money::{Fraction, Quantity};
use tollbook_core::rating::DueFee;
use tollbook_core::time::Period;

use super::contract::{self, Contract, Plan};
use super::fee::{place, row};
use super::grants::correct_grants;
use super::periods::open_committed;
use crate::error::{Error, Result};
use crate::invoices::{self, Waiting};
use crate::rating::{self, ChargeRow, Undo, insert_charges};
use crate::wallets;

/// Makes fees, grants and usage from `since` on what the subscription's history says. The subscription and its account are
/// locked; its periods are not made here.
pub(super) async fn correct(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: SubscriptionId,
    since: Timestamp,
    now: Timestamp,
) -> Result<Contract> {
    let contracts = contract::load(tx, &[(organization, id)]).await?;
    let contract = contracts
        .into_iter()
        .next()
        .ok_or(Error::NotFound("subscription"))?;
    correct_fees(tx, &contract, since, now).await?;
    correct_grants(tx, &contract).await?;
    if since <= now {
        rating::queue_since(tx, &[(organization, contract.account)], since).await?;
    }
    Ok(contract)
}

/// A period that is there, with the base fees in force of it.
struct Stored {
    id: PeriodId,
    period: Period,
    /// The highest revision that its fees had.
    revision: i32,
    fees: Vec<InForce>,
}

/// A base fee in force.
struct InForce {
    id: ChargeId,
    version: Option<PlanVersionId>,
    quantity: Quantity,
    amount: Fraction,
    due_at: Timestamp,
    invoice: Option<InvoiceId>,
    line_group: String,
}

impl InForce {
    fn is(&self, fee: &DueFee<'_, Arc<Plan>>) -> bool {
        self.version == Some(fee.terms.version)
            && self.quantity == fee.part.quantity
            && Some(self.amount) == fee.part.amount
            && self.due_at == fee.due_at
    }
}

/// What is charged anew of a period.
struct Anew<'a> {
    stored: &'a Stored,
    fees: Vec<DueFee<'a, Arc<Plan>>>,
}

async fn correct_fees(
    tx: &mut PgConnection,
    contract: &Contract,
    since: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let stored = stored(tx, contract, since).await?;
    let periods = stored.iter().map(|it| (contract, it.period));
    open_committed(tx, periods, now).await?;
    let on: Vec<_> = stored
        .iter()
        .flat_map(|it| &it.fees)
        .filter_map(|fee| Some((contract.organization, fee.invoice?)))
        .collect();
    let drafts = invoices::lock_drafts(tx, &on).await?;
    let (mut undone, mut anew) = (Vec::new(), Vec::new());
    for period in &stored {
        let mut fees = contract.fees(&contract.full(period.period.start())?)?;
        let mut old: Vec<&InForce> = Vec::new();
        for fee in &period.fees {
            match fees.iter().position(|it| fee.is(it)) {
                Some(same) => drop(fees.remove(same)),
                None => old.push(fee),
            }
        }
        undone.extend(old.into_iter().map(|fee| (period, fee)));
        anew.push(Anew {
            stored: period,
            fees,
        });
    }
    let documents = documents(tx, contract, &undone, &anew, &drafts, now).await?;
    let document = |of: &Stored| {
        let found = documents.get(&of.id).copied();
        found.ok_or_else(|| Error::Internal("a fee has no draft".into()))
    };
    let undo = undone.iter().map(|(period, fee)| {
        let own = fee.invoice.filter(|id| drafts.contains_key(id));
        Ok(Undo {
            organization: contract.organization,
            charge: fee.id,
            invoice: Some(own.map_or_else(|| document(period), Ok)?),
            line_group: fee.line_group.clone(),
        })
    });
    let mut spent = rating::undo(tx, &undo.collect::<Result<Vec<_>>>()?).await?;
    let mut rows = Vec::new();
    for Anew { stored, fees } in &anew {
        for fee in fees {
            let revision = stored.revision.saturating_add(1);
            rows.push(row(contract, stored.id, fee, revision, document(stored)?)?);
        }
    }
    insert_charges(tx, &rows).await?;
    spent.extend(rows.iter().map(ChargeRow::spent));
    wallets::charged(tx, &spent, now).await
}

/// The drafts on which the differences of periods are printed: where their fees stand, and once that is finalized beside
/// the usage of the period itself.
async fn documents(
    tx: &mut PgConnection,
    contract: &Contract,
    undone: &[(&Stored, &InForce)],
    anew: &[Anew<'_>],
    drafts: &HashMap<InvoiceId, Waiting>,
    now: Timestamp,
) -> Result<HashMap<PeriodId, InvoiceId>> {
    let mut documents = HashMap::new();
    let mut asked = HashMap::new();
    for Anew { stored, fees } in anew {
        let mut invoices = stored.fees.iter().filter_map(|fee| fee.invoice);
        if let Some(own) = invoices.find(|id| drafts.contains_key(id)) {
            documents.insert(stored.id, own);
            continue;
        }
        let is_undone = undone.iter().any(|(period, _)| period.id == stored.id);
        let any = contract.plan_at(stored.period.start());
        if let Some(plan) = any.filter(|_| is_undone || !fees.is_empty()) {
            let currency = plan.document.currency;
            asked.insert(stored.id, place(contract, stored.period, currency));
        }
    }
    if asked.is_empty() {
        return Ok(documents);
    }
    let places: BTreeSet<_> = asked.values().cloned().collect();
    let open = invoices::open_drafts(tx, &places, now).await?;
    for (period, place) in asked {
        let open = open.get(&place);
        documents.extend(open.map(|open| (period, open.invoice)));
    }
    Ok(documents)
}

/// The periods that end after `since`, with their fees in force.
async fn stored(
    tx: &mut PgConnection,
    contract: &Contract,
    since: Timestamp,
) -> Result<Vec<Stored>> {
    let rows = sqlx::query!(
        r#"select p.id, p.starts_at, p.ends_at,
             (select coalesce(max(c.revision), 0) from charges c
                 where c.organization_id = $1 and c.period_id = p.id and c.kind = 'fee' and c.reverses_id is null) as "revision!"
         from billing_periods p
         where p.organization_id = $1 and p.subscription_id = $2 and p.ends_at > $3
         order by p.starts_at"#,
        contract.organization.uuid(),
        contract.id.uuid(),
        since.to_sqlx(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut fees = fees_in_force(tx, contract.organization, &ids).await?;
    rows.into_iter()
        .map(|row| {
            let period = Period::new(row.starts_at.to_jiff(), row.ends_at.to_jiff());
            let id = row.id.into();
            Ok(Stored {
                id,
                period: period.map_err(|e| Error::Internal(format!("a stored period: {e}")))?,
                revision: row.revision,
                fees: fees.remove(&id).unwrap_or_default(),
            })
        })
        .collect()
}

async fn fees_in_force(
    tx: &mut PgConnection,
    organization: OrganizationId,
    periods: &[uuid::Uuid],
) -> Result<HashMap<PeriodId, Vec<InForce>>> {
    let rows = sqlx::query!(
        r#"select c.id, c.period_id as "period_id!", c.plan_version_id, c.quantity, c.amount_numerator, c.amount_denominator, c.occurred_at,
             c.invoice_id, c.line_group
         from charges c
         where c.organization_id = $1 and c.period_id = any($2) and c.kind = 'fee' and c.reverses_id is null
             and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id)
         order by c.period_id, c.revision, c.part"#,
        organization.uuid(),
        periods,
    )
    .fetch_all(tx)
    .await?;
    let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored charge: {e}"));
    let mut fees: HashMap<PeriodId, Vec<InForce>> = HashMap::new();
    for row in rows {
        let amount = Fraction::from_decimals(row.amount_numerator, row.amount_denominator);
        fees.entry(row.period_id.into()).or_default().push(InForce {
            id: row.id.into(),
            version: row.plan_version_id.map(PlanVersionId::from),
            quantity: Quantity::try_from(row.quantity).map_err(|e| stored(&e))?,
            amount: amount.map_err(|e| stored(&e))?,
            due_at: row.occurred_at.to_jiff(),
            invoice: row.invoice_id.map(InvoiceId::from),
            line_group: row.line_group,
        });
    }
    Ok(fees)
}
