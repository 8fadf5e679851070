//! Records a payment: its row, what it pays, and its entry, all at once.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Deserialize;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, OrganizationId, PaymentId};
use tollbook_core::invoices::{AllocationError, Wanted, allocate};
use tollbook_core::ledger::{self as postings, LedgerError};
use tollbook_core::money::Money;
use tollbook_core::payer::Payer;
use uuid::Uuid;

use super::hold::{credit, credit_is_spent, hold_payer};
use super::open::{self, Named};
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;
use crate::ledger;
use crate::live::{self, LiveKind};

/// How the money came, as far as people record it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    Check,
    Transfer,
    Cash,
    Other,
    /// The payer's credit pays; no money moves.
    Credit,
}

impl Channel {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Check,
        Self::Transfer,
        Self::Cash,
        Self::Other,
        Self::Credit,
    ];

    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Transfer => "transfer",
            Self::Cash => "cash",
            Self::Other => "other",
            Self::Credit => "credit",
        }
    }
}

/// A payment to be.
#[derive(Debug)]
pub(crate) struct NewPayment {
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
    pub(crate) channel: Channel,
    /// More than nothing.
    pub(crate) amount: Money,
    /// The number of the check, the text of the transfer.
    pub(crate) reference: String,
    pub(crate) received_at: Timestamp,
    /// What it pays; `None`: the oldest invoices.
    pub(crate) invoices: Option<Vec<Named>>,
}

/// Records it. What the invoices do not take becomes the payer's credit.
pub(crate) async fn record(tx: &mut PgConnection, new: &NewPayment) -> Result<PaymentId> {
    hold_payer(tx, new.organization, new.payer).await?;
    let (invoices, wanted): (Vec<InvoiceId>, Vec<Wanted>) = match &new.invoices {
        None => open::oldest(tx, new.organization, new.payer, new.amount).await?,
        Some(named) => open::named(tx, new.organization, new.payer, new.amount, named).await?,
    }
    .into_iter()
    .unzip();
    let parts = allocate(new.amount, &wanted).map_err(refused)?;
    let mut allocated = Money::zero(new.amount.currency());
    for part in &parts {
        allocated = allocated.checked_add(*part).map_err(|e| wrong(&e))?;
    }
    let entry = entry(tx, new, allocated).await?;
    let id: PaymentId = new_id();
    insert(tx, new, id).await?;
    let mut given: Vec<(InvoiceId, Money)> = invoices
        .into_iter()
        .zip(parts)
        .filter(|(_, part)| !part.is_zero())
        .collect();
    allocations(tx, new.organization, id, &mut given).await?;
    let document = ledger::Document {
        kind: "payment",
        id: id.uuid(),
        payer: new.payer.kind(),
        occurred_at: new.received_at,
    };
    ledger::post(tx, new.organization, &[(document, entry)])
        .await
        .on_constraint("ledger_accounts_credit_check", credit_is_spent)?;
    Ok(id)
}

async fn entry(
    tx: &mut PgConnection,
    new: &NewPayment,
    allocated: Money,
) -> Result<postings::Entry> {
    if new.channel != Channel::Credit {
        return postings::payment(new.payer, new.amount, allocated).map_err(|e| wrong(&e));
    }
    if allocated != new.amount {
        let message = format!("is more than the {allocated} that invoices leave open");
        return Err(Error::invalid("amount", message));
    }
    let available = credit(tx, new.organization, new.payer, new.amount.currency()).await?;
    postings::apply_credit(new.payer, new.amount, available).map_err(|error| match error {
        LedgerError::TooMuch(_, available) => {
            Error::invalid("amount", format!("is more than the credit of {available}"))
        }
        other => wrong(&other),
    })
}

fn wrong(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a payment cannot be posted: {error}"))
}

fn refused(error: AllocationError) -> Error {
    let message = error.to_string();
    match error {
        AllocationError::NotPositive { index }
        | AllocationError::MoreThanOpen { index, .. }
        | AllocationError::MoreThanLeft { index, .. } => {
            Error::invalid(format!("invoices[{index}].amount"), message)
        }
        AllocationError::Money(error) => wrong(&error),
    }
}

async fn insert(tx: &mut PgConnection, new: &NewPayment, id: PaymentId) -> Result<()> {
    sqlx::query!(
        "insert into payments (organization_id, id, payer, customer_id, channel, reference, state, currency, amount_minor, received_at)
         values ($1, $2, $3, $4, $5, $6, 'succeeded', $7, $8, $9)",
        new.organization.uuid(),
        id.uuid(),
        new.payer.kind().as_str(),
        new.payer.customer().map(Uuid::from),
        new.channel.as_str(),
        new.reference,
        new.amount.currency().code(),
        new.amount.minor(),
        new.received_at.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes what a payment pays, or with amounts below zero what it pays no more; returns the ids of the rows. Invoices
/// are locked in the order of their ids.
pub(super) async fn allocations(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payment: PaymentId,
    given: &mut [(InvoiceId, Money)],
) -> Result<Vec<Uuid>> {
    given.sort_unstable_by_key(|(invoice, _)| invoice.uuid());
    let ids: Vec<Uuid> = given.iter().map(|_| new_id()).collect();
    let invoices: Vec<Uuid> = given.iter().map(|(invoice, _)| invoice.uuid()).collect();
    let amounts: Vec<i64> = given.iter().map(|(_, amount)| amount.minor()).collect();
    sqlx::query!(
        "insert into payment_allocations (organization_id, id, payment_id, invoice_id, amount_minor)
         select $1, a.id, $2, a.invoice_id, a.amount_minor
         from unnest($3::uuid[], $4::uuid[], $5::bigint[]) as a (id, invoice_id, amount_minor) order by a.invoice_id",
        organization.uuid(),
        payment.uuid(),
        &ids,
        &invoices,
        &amounts,
    )
    .execute(&mut *tx)
    .await?;
    let told: Vec<_> = invoices
        .iter()
        .map(|invoice| (organization, LiveKind::InvoiceUpdated, *invoice))
        .collect();
    live::publish(tx, &told).await?;
    Ok(ids)
}
