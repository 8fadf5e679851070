//! What a change comes to: a payer's drafts before it and after it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, OrganizationId};
use tollbook_core::money::{Money, MoneyError};
use tollbook_core::payer::Payer;
use tollbook_core::time::Zone;
use uuid::Uuid;

use super::due::{self, Sale};
use super::finalize::documents;
use crate::error::{Error, Result};

/// Drafts that are looked at: a payer has one for each period that waits for late usage, and few others.
const DRAFTS_MAX: i64 = 100;

/// A draft of a payer, with what it would come to if it were finalized now.
#[derive(Debug)]
pub(crate) struct OpenAmount {
    invoice: InvoiceId,
    period_start: Timestamp,
    zone: Zone,
    total: Money,
}

/// What a change would do to a payer's drafts. Amounts are decimals in their currency, with tax.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Effect {
    /// The sum of all drafts, by currency.
    pub(crate) totals: Vec<Changed>,
    /// The drafts that it changes.
    pub(crate) invoices: Vec<ChangedInvoice>,
    /// Whether more usage has to be rated again than was tried: then it comes on top.
    pub(crate) usage_left: bool,
}

/// An amount before and after.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changed {
    pub(crate) currency: String,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) difference: String,
}

/// A draft before and after.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangedInvoice {
    /// Nobody knows it yet if it is new.
    #[schema(value_type = Option<Uuid>)]
    id: Option<InvoiceId>,
    /// The first day that it is for.
    #[schema(value_type = String, format = Date)]
    billing_period_start: Date,
    #[serde(flatten)]
    amount: Changed,
}

/// The drafts of a payer as they would be finalized now.
pub(crate) async fn open_amounts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
) -> Result<Vec<OpenAmount>> {
    let ids = sqlx::query_scalar!(
        "select id from invoices
         where organization_id = $1 and payer = $2 and customer_id is not distinct from $3 and state = 'draft'
         order by period_start desc, id desc limit $4",
        organization.uuid(),
        payer.kind().as_str(),
        payer.customer().map(Uuid::from),
        DRAFTS_MAX,
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<InvoiceId> = ids.into_iter().map(InvoiceId::from).collect();
    let sale = Sale {
        organization,
        payer: payer.kind(),
    };
    let drafts = due::read(tx, sale, &ids).await?;
    let documents = documents(tx, organization, &drafts).await?;
    documents
        .iter()
        .map(|document| {
            let draft = document.draft;
            let zone = draft.zone.parse();
            Ok(OpenAmount {
                invoice: draft.id,
                period_start: draft.period_start,
                zone: zone.map_err(|e| Error::Internal(format!("a stored zone: {e}")))?,
                total: document.totals.total,
            })
        })
        .collect()
}

impl Effect {
    /// What lies between drafts as they were and as they are.
    pub(crate) fn between(
        before: &[OpenAmount],
        after: &[OpenAmount],
        usage_left: bool,
    ) -> Result<Self, MoneyError> {
        let mut sums: BTreeMap<&str, (Money, Money)> = BTreeMap::new();
        let mut invoices = Vec::new();
        for is in after {
            let was = before.iter().find(|it| it.invoice == is.invoice);
            let currency = is.total.currency();
            let zero = Money::zero(currency);
            let earlier = was.map_or(zero, |it| it.total);
            let sum = sums.entry(currency.code()).or_insert((zero, zero));
            *sum = (sum.0.checked_add(earlier)?, sum.1.checked_add(is.total)?);
            if earlier != is.total {
                invoices.push(ChangedInvoice {
                    id: was.map(|it| it.invoice),
                    billing_period_start: is.zone.date(is.period_start),
                    amount: Changed::new(earlier, is.total)?,
                });
            }
        }
        let totals = sums
            .into_values()
            .map(|(before, after)| Changed::new(before, after));
        Ok(Self {
            totals: totals.collect::<Result<_, _>>()?,
            invoices,
            usage_left,
        })
    }
}

impl Changed {
    /// From one amount to another of the same currency.
    pub(crate) fn new(before: Money, after: Money) -> Result<Self, MoneyError> {
        Ok(Self {
            currency: before.currency().code().to_owned(),
            before: before.amount(),
            after: after.amount(),
            difference: after.checked_sub(before)?.amount(),
        })
    }
}
