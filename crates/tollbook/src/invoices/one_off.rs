//! Invoices of items that somebody writes by hand. They are documents at once: nothing is gathered on them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{InvoiceId, OrganizationId};
use tollbook_core::invoices::{TaxRate, TaxTreatment};
use tollbook_core::money::{Currency, Percent, Price, Quantity};
use tollbook_core::payer::Payer;
use tollbook_core::time::Period;
use uuid::Uuid;

use super::closing::Told;
use super::due::{self, Sale};
use super::finalize::finalize;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::rating::{ChargeRow, Charged, Manual, insert_charges};
use crate::subscriptions;

/// An invoice to be.
#[derive(Debug)]
pub(super) struct OneOff {
    pub(super) organization: OrganizationId,
    pub(super) payer: Payer,
    pub(super) currency: Currency,
    pub(super) period: Period,
    pub(super) zone: String,
    pub(super) items: Vec<Item>,
    /// On top of the items; `None`: what the payer is taxed with anyway.
    pub(super) tax: Option<Percent>,
    pub(super) notes: String,
}

/// A line of it.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) description: String,
    pub(super) quantity: Quantity,
    pub(super) unit_price: Price,
}

/// Writes an invoice and finalizes it. The transaction is the platform's, since the number is taken from the seller.
pub(super) async fn issue(
    tx: &mut PgConnection,
    new: &OneOff,
    now: Timestamp,
) -> Result<InvoiceId> {
    let account = subscriptions::account(tx, new.organization, new.payer).await?;
    let id: InvoiceId = new_id();
    insert(tx, new, id).await?;
    let charged = Charged {
        organization: new.organization,
        payer: new.payer,
        account,
        subscription: None,
        seller: match new.payer {
            Payer::Organization => Uuid::nil(),
            Payer::Customer(_) => new.organization.uuid(),
        },
        version: None,
        occurred_at: new.period.start(),
        invoice: Some(id),
    };
    let rows = new
        .items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let item = Manual {
                description: item.description.clone(),
                quantity: item.quantity,
                price: item.unit_price,
                per: Quantity::from_units(1),
                currency: new.currency,
                line_group: format!("item/{index:05}"),
            };
            ChargeRow::manual(&charged, &item).map_err(|error| in_item(index, error))
        })
        .collect::<Result<Vec<_>>>()?;
    insert_charges(tx, &rows).await?;
    let sale = Sale {
        organization: new.organization,
        payer: new.payer.kind(),
    };
    let mut drafts = due::lock(tx, sale, &[id], true).await?;
    if let (Some(draft), Some(percent)) = (drafts.first_mut(), new.tax) {
        draft.tax = TaxTreatment::Rates(vec![TaxRate {
            name: "Tax".into(),
            percent,
            inclusive: false,
        }]);
    }
    finalize(tx, new.organization, &drafts, &mut Told::default(), now).await?;
    Ok(id)
}

fn in_item(index: usize, error: Error) -> Error {
    match error {
        Error::Invalid(mut errors) => {
            for error in &mut errors {
                error.field = format!("items[{index}].{}", error.field);
            }
            Error::Invalid(errors)
        }
        other => other,
    }
}

async fn insert(tx: &mut PgConnection, new: &OneOff, id: InvoiceId) -> Result<()> {
    sqlx::query!(
        "insert into invoices (organization_id, id, payer, customer_id, kind, currency, period_start, period_end, zone, notes)
         values ($1, $2, $3, $4, 'one_off', $5, $6, $7, $8, $9)",
        new.organization.uuid(),
        id.uuid(),
        new.payer.kind().as_str(),
        new.payer.customer().map(Uuid::from),
        new.currency.code(),
        new.period.start().to_sqlx(),
        new.period.end().to_sqlx(),
        new.zone,
        new.notes,
    )
    .execute(tx)
    .await?;
    Ok(())
}
