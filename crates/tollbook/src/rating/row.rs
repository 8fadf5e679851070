//! A charge as it is written.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{
    AccountId, ChargeId, InvoiceId, OrganizationId, PeriodId, PlanVersionId, SubscriptionId,
};
use tollbook_core::money::{Currency, Fraction, Price, Quantity};
use tollbook_core::payer::Payer;
use tollbook_core::rating::{ChargePart, Item, PartKind, TRACE_VERSION, Trace};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::new_id;

/// Who is charged, on which terms, and where it is printed.
#[derive(Debug, Clone)]
pub(crate) struct Charged {
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
    pub(crate) account: AccountId,
    pub(crate) subscription: Option<SubscriptionId>,
    /// The platform (nil), or the organization.
    pub(crate) seller: Uuid,
    pub(crate) version: Option<PlanVersionId>,
    pub(crate) occurred_at: Timestamp,
    /// `None`: there is nothing to print.
    pub(crate) invoice: Option<InvoiceId>,
}

/// A charge to write.
#[derive(Debug, Serialize)]
pub(crate) struct ChargeRow {
    organization_id: OrganizationId,
    id: ChargeId,
    payer: &'static str,
    customer_id: Option<Uuid>,
    account_id: AccountId,
    pub(crate) usage_event_id: Option<Uuid>,
    pub(crate) period_id: Option<PeriodId>,
    pub(crate) revision: i32,
    part: i32,
    kind: String,
    subscription_id: Option<SubscriptionId>,
    seller_id: Uuid,
    plan_version_id: Option<PlanVersionId>,
    price_key: Option<String>,
    band: Option<String>,
    grant_id: Option<Uuid>,
    pub(crate) meter: Option<String>,
    pub(crate) call_id: Option<Uuid>,
    quantity: String,
    unit_price: Option<String>,
    divisor: Option<String>,
    amount_numerator: String,
    amount_denominator: String,
    currency: String,
    invoice_id: Option<InvoiceId>,
    pub(crate) line_group: String,
    pub(crate) description: Option<String>,
    occurred_at: Timestamp,
    trace_version: i16,
    trace: Value,
}

impl ChargeRow {
    /// The row of one part; what it is charged for is set by the caller.
    pub(crate) fn new(charged: &Charged, part: &ChargePart) -> Result<Self> {
        let amount = part.amount.unwrap_or(Fraction::ZERO);
        let trace = serde_json::to_value(&part.trace)
            .map_err(|e| Error::Internal(format!("a trace cannot be written: {e}")))?;
        Ok(Self {
            organization_id: charged.organization,
            id: new_id(),
            payer: charged.payer.kind().as_str(),
            customer_id: charged.payer.customer().map(Uuid::from),
            account_id: charged.account,
            usage_event_id: None,
            period_id: None,
            revision: 1,
            part: i32::from(part.part),
            kind: part.kind.to_string(),
            subscription_id: charged.subscription,
            seller_id: charged.seller,
            plan_version_id: charged.version,
            price_key: part.price_key.as_ref().map(|k| k.as_str().to_owned()),
            band: part.band.as_ref().map(|k| k.as_str().to_owned()),
            grant_id: part.grant_id.map(Uuid::from),
            meter: None,
            call_id: None,
            quantity: part.quantity.to_string(),
            unit_price: part.unit_price.map(|p| p.to_string()),
            divisor: part.divisor.map(|q| q.to_string()),
            amount_numerator: amount.numerator().to_string(),
            amount_denominator: amount.denominator().to_string(),
            currency: part.currency.code().to_owned(),
            invoice_id: charged.invoice,
            line_group: part.line_group(),
            description: None,
            occurred_at: charged.occurred_at,
            trace_version: TRACE_VERSION,
            trace,
        })
    }

    /// The row of an item priced by hand: so many units at so much each.
    pub(crate) fn manual(charged: &Charged, item: &Manual) -> Result<Self> {
        let amount = item
            .quantity
            .to_fraction()
            .checked_mul(item.price.to_fraction())
            .and_then(|amount| amount.checked_div(item.per.to_fraction()))
            .map_err(|e| Error::invalid("quantity", e.to_string()))?;
        let units = Item::Units {
            quantity: item.quantity,
            price: item.price,
            per: item.per,
            tier: None,
        };
        let part = ChargePart {
            part: 0,
            kind: PartKind::Usage,
            price_key: None,
            band: None,
            quantity: item.quantity,
            unit_price: Some(item.price),
            divisor: Some(item.per),
            amount: Some(amount),
            currency: item.currency,
            grant_id: None,
            trace: Trace {
                items: vec![units],
                ..Trace::new()
            },
        };
        let mut row = Self::new(charged, &part)?;
        "manual".clone_into(&mut row.kind);
        row.line_group.clone_from(&item.line_group);
        row.description = Some(item.description.clone());
        Ok(row)
    }
}

/// An item priced by hand.
#[derive(Debug, Clone)]
pub(crate) struct Manual {
    /// What the line says.
    pub(crate) description: String,
    /// In whatever the description counts, or in the meter's base unit.
    pub(crate) quantity: Quantity,
    /// Of `per` of them.
    pub(crate) price: Price,
    pub(crate) per: Quantity,
    pub(crate) currency: Currency,
    /// Items with the same group stand on one line.
    pub(crate) line_group: String,
}

/// Writes charges. Their drafts are locked.
pub(crate) async fn insert(tx: &mut PgConnection, rows: &[ChargeRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_value(rows)
        .map_err(|e| Error::Internal(format!("charges cannot be written: {e}")))?;
    sqlx::query_file!("src/rating/charge.sql", rows)
        .execute(tx)
        .await?;
    Ok(())
}
