//! Minimum commitments: what a period's document lacks of it is a line of its own, before tax, when it is closed.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, OrganizationId, PeriodId, SubscriptionId};
use tollbook_core::invoices::commitment_gap;
use tollbook_core::money::{Money, Price};
use tollbook_core::time::Period;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::rating::{ChargeRow, Charged};
use crate::subscriptions::{self, Contract};

/// What a payer committed to for the period of a document.
pub(crate) struct Commitment {
    charged: Charged,
    period: PeriodId,
    minimum: Price,
    /// The same, in minor units.
    pub(crate) amount: Money,
}

impl Commitment {
    /// What is missing, if the usage on the document comes to `usage` as it is printed.
    pub(super) fn gap(&self, usage: Money) -> Result<Option<Money>> {
        commitment_gap(self.amount, usage).map_err(|e| wrong(&e))
    }

    /// The line that its charge stands on.
    pub(super) fn line_group(&self) -> String {
        let version = self.charged.version.map(|it| it.to_string());
        format!("commitment/{}/{}", self.period, version.unwrap_or_default())
    }

    /// The charge of what is missing.
    pub(super) fn row(&self, usage: Money, gap: Money) -> Result<ChargeRow> {
        let (usage, gap) = (usage.to_fraction(), gap.to_fraction());
        let mut row = ChargeRow::filled_up(
            &self.charged,
            self.minimum,
            usage,
            gap,
            self.amount.currency(),
        )?;
        row.period_id = Some(self.period);
        row.line_group = self.line_group();
        Ok(row)
    }
}

fn wrong(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a minimum commitment: {error}"))
}

/// What the payers of these documents committed to: by the plan that the period was last paid on. Nothing is due for a
/// period of which nothing is paid.
pub(crate) async fn commitments(
    tx: &mut PgConnection,
    organization: OrganizationId,
    documents: &[InvoiceId],
) -> Result<HashMap<InvoiceId, Commitment>> {
    let ids: Vec<Uuid> = documents.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_file!("src/invoices/committed.sql", organization.uuid(), &ids)
        .fetch_all(&mut *tx)
        .await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let mut keys: Vec<(OrganizationId, SubscriptionId)> = rows
        .iter()
        .map(|row| (organization, row.subscription_id.into()))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let contracts = subscriptions::load(tx, &keys).await?;
    let contracts: HashMap<SubscriptionId, Contract> =
        contracts.into_iter().map(|it| (it.id, it)).collect();
    let mut found = HashMap::new();
    for row in rows {
        let period = Period::new(row.starts_at.to_jiff(), row.ends_at.to_jiff());
        let period = period.map_err(|e| wrong(&e))?;
        let id = InvoiceId::from(row.invoice_id);
        if let Some(contract) = contracts.get(&row.subscription_id.into())
            && let Some(commitment) = of(contract, &period, row.period_id.into(), id)?
        {
            found.insert(id, commitment);
        }
    }
    Ok(found)
}

fn of(
    contract: &Contract,
    period: &Period,
    id: PeriodId,
    invoice: InvoiceId,
) -> Result<Option<Commitment>> {
    let Some((plan, minimum)) = contract.commitment(period) else {
        return Ok(None);
    };
    let currency = plan.document.currency;
    Ok(Some(Commitment {
        charged: Charged {
            organization: contract.organization,
            payer: contract.payer,
            account: contract.account,
            subscription: Some(contract.id),
            seller: plan.seller,
            version: Some(plan.version),
            occurred_at: last_instant(period),
            invoice: Some(invoice),
        },
        period: id,
        minimum,
        amount: Money::from_price(minimum, currency).map_err(|e| wrong(&e))?,
    }))
}

/// It is due when the period is over, and belongs to it: the last instant that the database can tell.
fn last_instant(period: &Period) -> Timestamp {
    let before = period.end().checked_sub(SignedDuration::from_micros(1));
    before.unwrap_or(period.start())
}
