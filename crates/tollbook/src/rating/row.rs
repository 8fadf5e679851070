//! A charge as it is written.

use std::borrow::Borrow;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{
    AccountId, ChargeId, CustomerId, InvoiceId, OrganizationId, PeriodId, PlanVersionId,
    ProviderPriceId, SubscriptionId,
};
use tollbook_core::money::{Currency, Fraction, Price, Quantity};
use tollbook_core::payer::Payer;
use tollbook_core::rating::{ChargePart, FixedFee, Item, PartKind, TRACE_VERSION, Trace};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::limits::Counted;
use crate::wallets::Spent;

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
#[derive(Debug)]
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
    kind: &'static str,
    subscription_id: Option<SubscriptionId>,
    seller_id: Uuid,
    plan_version_id: Option<PlanVersionId>,
    price_key: Option<String>,
    band: Option<String>,
    grant_id: Option<Uuid>,
    pub(crate) meter: Option<String>,
    pub(crate) call_id: Option<Uuid>,
    quantity: Decimal,
    unit_price: Option<Decimal>,
    divisor: Option<Decimal>,
    amount: Fraction,
    amount_numerator: String,
    amount_denominator: String,
    currency: Currency,
    invoice_id: Option<InvoiceId>,
    pub(crate) line_group: String,
    pub(crate) description: Option<String>,
    occurred_at: Timestamp,
    trace: Value,
    pub(crate) provider_price_id: Option<ProviderPriceId>,
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
            kind: part.kind.as_str(),
            subscription_id: charged.subscription,
            seller_id: charged.seller,
            plan_version_id: charged.version,
            price_key: part.price_key.as_ref().map(|k| k.as_str().to_owned()),
            band: part.band.as_ref().map(|k| k.as_str().to_owned()),
            grant_id: part.grant_id.map(Uuid::from),
            meter: None,
            call_id: None,
            quantity: part.quantity.to_decimal(),
            unit_price: part.unit_price.map(Price::to_decimal),
            divisor: part.divisor.map(Quantity::to_decimal),
            amount,
            amount_numerator: amount.numerator().to_string(),
            amount_denominator: amount.denominator().to_string(),
            currency: part.currency,
            invoice_id: charged.invoice,
            line_group: part.line_group(),
            description: None,
            occurred_at: charged.occurred_at,
            trace,
            provider_price_id: None,
        })
    }

    /// The charge, as it counts in a period that begins at `period_start`.
    pub(super) fn counted(&self, period_start: Timestamp) -> Counted {
        Counted {
            organization: self.organization_id,
            charge: self.id,
            is_undone: false,
            period_start,
        }
    }

    /// What it comes to, for the wallet of who pays.
    pub(crate) fn spent(&self) -> Spent {
        Spent {
            organization: self.organization_id,
            account: self.account_id,
            customer: self.customer_id.map(CustomerId::from),
            currency: self.currency,
            amount: self.amount,
            occurred_at: self.occurred_at,
        }
    }

    /// The row of what fills usage up to a minimum: `gap` is what is missing of it.
    pub(crate) fn filled_up(
        charged: &Charged,
        minimum: Price,
        usage: Fraction,
        gap: Fraction,
        currency: Currency,
    ) -> Result<Self> {
        let least = Item::Fixed {
            fee: FixedFee::Minimum,
            price: minimum,
        };
        let part = ChargePart {
            part: 0,
            kind: PartKind::Minimum,
            price_key: None,
            band: None,
            quantity: Quantity::from_units(1),
            unit_price: None,
            divisor: None,
            amount: Some(gap),
            currency,
            grant_id: None,
            trace: Trace {
                items: vec![least, Item::ChargedBefore { amount: usage }],
                ..Trace::new()
            },
        };
        let mut row = Self::new(charged, &part)?;
        row.kind = "commitment";
        // A period is filled up once: its charges are told apart by this.
        row.price_key = Some("commitment".into());
        Ok(row)
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
        row.kind = "manual";
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
pub(crate) async fn insert<R: Borrow<ChargeRow>>(tx: &mut PgConnection, rows: &[R]) -> Result<()> {
    let rows: Vec<&ChargeRow> = rows.iter().map(Borrow::borrow).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "src/rating/charge.sql",
        &column(&rows, |r| r.organization_id.uuid()),
        &column(&rows, |r| r.id.uuid()),
        &column(&rows, |r| r.payer) as &[&str],
        &column(&rows, |r| r.customer_id) as &[Option<Uuid>],
        &column(&rows, |r| r.account_id.uuid()),
        &column(&rows, |r| r.usage_event_id) as &[Option<Uuid>],
        &column(&rows, |r| r.period_id.map(Uuid::from)) as &[Option<Uuid>],
        &column(&rows, |r| r.revision),
        &column(&rows, |r| r.part),
        &column(&rows, |r| r.kind) as &[&str],
        &column(&rows, |r| r.subscription_id.map(Uuid::from)) as &[Option<Uuid>],
        &column(&rows, |r| r.seller_id),
        &column(&rows, |r| r.plan_version_id.map(Uuid::from)) as &[Option<Uuid>],
        &column(&rows, |r| r.price_key.as_deref()) as &[Option<&str>],
        &column(&rows, |r| r.band.as_deref()) as &[Option<&str>],
        &column(&rows, |r| r.grant_id) as &[Option<Uuid>],
        &column(&rows, |r| r.meter.as_deref()) as &[Option<&str>],
        &column(&rows, |r| r.call_id) as &[Option<Uuid>],
        &column(&rows, |r| r.quantity),
        &column(&rows, |r| r.unit_price) as &[Option<Decimal>],
        &column(&rows, |r| r.divisor) as &[Option<Decimal>],
        &column(&rows, |r| r.amount_numerator.as_str()) as &[&str],
        &column(&rows, |r| r.amount_denominator.as_str()) as &[&str],
        &column(&rows, |r| r.currency.code()) as &[&str],
        &column(&rows, |r| r.invoice_id.map(Uuid::from)) as &[Option<Uuid>],
        &column(&rows, |r| r.line_group.as_str()) as &[&str],
        &column(&rows, |r| r.description.as_deref()) as &[Option<&str>],
        &column(&rows, |r| r.occurred_at.to_sqlx()),
        &column(&rows, |r| &r.trace) as &[&Value],
        TRACE_VERSION,
        &column(&rows, |r| r.provider_price_id.map(Uuid::from)) as &[Option<Uuid>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// One value of each row: a column of the statement's input.
fn column<'a, T>(rows: &[&'a ChargeRow], value: impl Fn(&'a ChargeRow) -> T) -> Vec<T> {
    rows.iter().map(|row| value(row)).collect()
}
