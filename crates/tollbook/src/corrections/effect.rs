//! What a correction comes to, for everybody whose account it concerns: drafts and credit before it and after it.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::money::{Currency, Money};
use tollbook_core::payer::Payer;
use uuid::Uuid;

use super::work::Work;
use crate::customers::HeldCustomer;
use crate::error::{Error, Result};
use crate::invoices::{Changed, Effect, OpenAmount, open_amounts};

/// What changes for one customer. Amounts are decimals in their currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerEffect {
    #[schema(value_type = Uuid)]
    pub(crate) customer_id: CustomerId,
    pub(crate) name: String,
    /// On the customer's drafts.
    #[serde(flatten)]
    pub(crate) drafts: Effect,
    /// What final documents leave to pay, by currency, where that changes.
    pub(crate) owed: Vec<Changed>,
    /// What was paid or credited beyond that, by currency, where that changes.
    pub(crate) credit: Vec<Changed>,
}

/// How the accounts of customers stand.
#[derive(Debug, Default)]
pub(super) struct Before {
    drafts: BTreeMap<CustomerId, Vec<OpenAmount>>,
    /// By customer, `receivable` or `customer_credit`, and currency; what is credit counts below zero.
    balances: BTreeMap<(CustomerId, String, String), i64>,
}

impl Before {
    /// Reads accounts that are held.
    pub(super) async fn read(
        tx: &mut PgConnection,
        organization: OrganizationId,
        payers: &[HeldCustomer],
    ) -> Result<Self> {
        let mut drafts = BTreeMap::new();
        for payer in payers {
            let amounts = open_amounts(tx, organization, Payer::Customer(payer.id)).await?;
            drafts.insert(payer.id, amounts);
        }
        let ids: Vec<Uuid> = payers.iter().map(|payer| payer.id.uuid()).collect();
        let rows = sqlx::query!(
            r#"select a.customer_id as "customer_id!", a.kind, a.currency,
                 (coalesce((select sum(t.amount_minor) from transfers t where t.organization_id = $1 and t.debit_account_id = a.id), 0)
                     - coalesce((select sum(t.amount_minor) from transfers t where t.organization_id = $1 and t.credit_account_id = a.id), 0))::bigint
                     as "minor!"
             from ledger_accounts a
             where a.organization_id = $1 and a.payer = 'customer' and a.customer_id = any ($2)
                 and a.kind in ('receivable', 'customer_credit')"#,
            organization.uuid(),
            &ids,
        )
        .fetch_all(tx)
        .await?;
        let balances = rows
            .into_iter()
            .map(|row| ((row.customer_id.into(), row.kind, row.currency), row.minor));
        Ok(Self {
            drafts,
            balances: balances.collect(),
        })
    }
}

/// What a trial comes to by now.
pub(super) async fn effect(work: &mut Work<'_>) -> Result<Vec<CustomerEffect>> {
    let after = Before::read(work.tx, work.organization, &work.payers).await?;
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("an effect: {e}"));
    let nothing = Vec::new();
    work.payers
        .iter()
        .map(|payer| {
            let was = work.before.drafts.get(&payer.id).unwrap_or(&nothing);
            let is = after.drafts.get(&payer.id).unwrap_or(&nothing);
            let drafts = Effect::between(was, is, work.usage_left).map_err(|e| wrong(&e))?;
            Ok(CustomerEffect {
                customer_id: payer.id,
                name: payer.name.clone(),
                drafts,
                owed: changed(&work.before, &after, payer.id, "receivable")?,
                credit: changed(&work.before, &after, payer.id, "customer_credit")?,
            })
        })
        .collect()
}

fn changed(
    before: &Before,
    after: &Before,
    customer: CustomerId,
    kind: &str,
) -> Result<Vec<Changed>> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("a balance: {e}"));
    let own = after
        .balances
        .iter()
        .filter(|((whose, which, _), _)| *whose == customer && which == kind);
    let mut rows = Vec::new();
    for (key, is) in own {
        let was = before.balances.get(key).copied().unwrap_or(0);
        if was == *is {
            continue;
        }
        let currency: Currency = key.2.parse().map_err(|e| wrong(&e))?;
        let money = |minor: i64| {
            let money = Money::from_minor(minor, currency);
            if kind == "receivable" {
                Ok(money)
            } else {
                money.checked_neg()
            }
        };
        let (was, is) = (money(was), money(*is));
        let row = Changed::new(was.map_err(|e| wrong(&e))?, is.map_err(|e| wrong(&e))?);
        rows.push(row.map_err(|e| wrong(&e))?);
    }
    Ok(rows)
}
