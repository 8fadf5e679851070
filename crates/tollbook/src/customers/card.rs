//! The caller card: all that the person who picks up should know before they do (S1.2). Read for every ring, so it takes
//! the same few statements for one caller as for a hundred.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::{Direction, Outcome, Phase};
use tollbook_core::ids::{CallId, CustomerId, InvoiceId, OrganizationId, UserId};
use tollbook_core::money::Money;
use tollbook_core::time::Seconds;

use super::sql;
use super::summary::{Summary, summaries};
use crate::error::Result;

/// Calls on a card.
const CALLS_MAX: i64 = 5;
/// Invoices and notes on a card.
const OTHERS_MAX: i64 = 3;

/// What a card says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) summary: Summary,
    /// The last five that the reader may see, newest first.
    pub(crate) recent: Vec<RecentCall>,
    pub(crate) open: OpenInvoices,
    /// The last three, newest first.
    pub(crate) notes: Vec<CustomerNote>,
}

/// An earlier call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecentCall {
    pub(crate) id: CallId,
    pub(crate) direction: Direction,
    pub(crate) phase: Phase,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) started_at: Timestamp,
    pub(crate) billable: Seconds,
    /// Name of who answered.
    pub(crate) answered_by: Option<String>,
    /// The members who may see it.
    pub(crate) viewers: Vec<UserId>,
}

/// Finalized invoices that are not paid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpenInvoices {
    pub(crate) count: u64,
    /// The sum that is open, one for each currency, in order.
    pub(crate) totals: Vec<Money>,
    /// The first of them, oldest first.
    pub(crate) first: Vec<OpenInvoice>,
}

/// A finalized invoice that is not paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenInvoice {
    pub(crate) id: InvoiceId,
    pub(crate) number: String,
    pub(crate) open: Money,
    pub(crate) due_at: Option<Timestamp>,
}

/// What an operator wants the next one to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomerNote {
    pub(crate) id: uuid::Uuid,
    /// Empty when the machine wrote it.
    pub(crate) author: String,
    pub(crate) created_at: Timestamp,
    pub(crate) body: String,
}

/// The cards of customers as the reader of `tx` may see them, as of `now`.
pub(crate) async fn cards(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
    now: Timestamp,
) -> Result<HashMap<CustomerId, Card>> {
    if customers.is_empty() {
        return Ok(HashMap::new());
    }
    let found = summaries(tx, organization, customers, now).await?;
    let mut recent = sql::card::recent_calls(tx, organization, customers, CALLS_MAX).await?;
    let mut open = sql::card::open_invoices(tx, organization, customers, OTHERS_MAX).await?;
    let mut notes = sql::card::notes(tx, organization, customers, OTHERS_MAX).await?;
    Ok(found
        .into_iter()
        .map(|(id, summary)| {
            let card = Card {
                summary,
                recent: recent.remove(&id).unwrap_or_default(),
                open: open.remove(&id).unwrap_or_default(),
                notes: notes.remove(&id).unwrap_or_default(),
            };
            (id, card)
        })
        .collect())
}

/// The newest calls of customers that each of these members may see, as many as a card has, newest first.
pub(crate) async fn recent_calls_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    members: &[(CustomerId, UserId)],
) -> Result<HashMap<(CustomerId, UserId), Vec<RecentCall>>> {
    if members.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(sql::card::recent_calls_of(tx, organization, members, CALLS_MAX).await?)
}

/// Most notes of one list.
const NOTES_MAX: i64 = 200;

/// The notes on one customer, newest first.
pub(crate) async fn notes(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<Vec<CustomerNote>> {
    let mut notes = sql::card::notes(tx, organization, &[customer], NOTES_MAX).await?;
    Ok(notes.remove(&customer).unwrap_or_default())
}
