//! Invoices for programs: lists, documents, and invoices of items written by hand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::ToSpan as _;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId};
use tollbook_core::money::{Currency, Percent, Price, Quantity};
use tollbook_core::payer::Payer;
use tollbook_core::time::{Period, Zone};

use super::documents::{self, Cursor, Head, Whole};
use super::one_off::{self, Item, OneOff};
use super::void;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::db::Tx;
use crate::error::{Error, FieldError, Result};
use crate::http::input::{Input, Params, Path, ShortText};
use crate::http::list::{List, Paging};
use crate::http::seller::{Listed, PayerFilter, Sale, Seller};
use crate::{customers, organizations};

/// Most lines of one invoice.
const ITEMS_MAX: usize = 500;
/// Longest note in characters.
const NOTES_MAX: usize = 2_000;

/// Whose invoices, and which.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    org_id: Option<OrganizationId>,
    customer_id: Option<CustomerId>,
    status: Option<String>,
}

/// `GET /api/admin/invoices`: the latest first.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Head>>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let (status, after) = (filter.status.as_deref(), paging.key::<Cursor>()?);
    let rows = documents::heads(&mut tx, listed, status, None, after, paging.rows()).await?;
    Ok(Json(paging.page(rows, |head| Cursor {
        created_at: head.created_at,
        id: head.id,
    })?))
}

/// `GET /api/admin/invoices/{id}`: with its lines; a draft as it would be finalized now.
pub(crate) async fn get(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<InvoiceId>,
    Params(filter): Params<Filter>,
) -> Result<Json<Whole>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    Ok(Json(read(&mut tx, listed, id).await?))
}

/// `GET /api/admin/invoices/preview`: a payer's running period as it would be invoiced now, a document for each currency.
/// Writes nothing.
pub(crate) async fn preview(
    State(app): State<App>,
    seller: Seller,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<List<Whole>>> {
    let sale = seller.sale(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&sale.actor).await?;
    customers::check_payer(&mut tx, sale.organization, sale.payer).await?;
    organizations::business(&mut tx, sale.organization).await?;
    let data = documents::running(&mut tx, sale.organization, sale.payer, app.clock.now()).await?;
    Ok(Json(List {
        data,
        next_cursor: None,
    }))
}

/// Why an invoice is withdrawn.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VoidInput {
    #[schema(value_type = String)]
    reason: ShortText,
}

/// `POST /api/admin/invoices/{id}/void`: withdraws an invoice that nobody has paid.
pub(crate) async fn void(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<InvoiceId>,
    Params(filter): Params<PayerFilter>,
    Input(input): Input<VoidInput>,
) -> Result<Json<Whole>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let (organization, payer) = documents::whose(&mut tx, listed, id).await?;
    let (reason, now) = (input.reason.into_inner(), app.clock.now());
    void::void(&mut tx, organization, payer, id, &reason, now).await?;
    let made = read(&mut tx, listed, id).await?;
    let deed = Deed::new(organization, "invoice.voided", "invoice", id);
    audit::record(&mut tx, &actor, deed.after(&made)?).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok(Json(made))
}

async fn read(tx: &mut Tx, listed: Listed, id: InvoiceId) -> Result<Whole> {
    let found = documents::heads(tx, listed, None, Some(&[id]), None, 1).await?;
    let head = found.into_iter().next().ok_or(Error::NotFound("invoice"))?;
    documents::whole(tx, listed.payer(), head).await
}

/// An invoice to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OneOffInput {
    /// Which organization; it pays the platform unless a customer is named.
    #[schema(value_type = Option<uuid::Uuid>)]
    org_id: Option<OrganizationId>,
    /// Which customer, who pays the organization.
    #[schema(value_type = Option<uuid::Uuid>)]
    customer_id: Option<CustomerId>,
    /// First day, in the organization's zone.
    #[schema(value_type = String, format = Date)]
    billing_period_start: Date,
    /// Last day, which is included.
    #[schema(value_type = String, format = Date)]
    billing_period_end: Date,
    items: Vec<ItemInput>,
    /// Tax in percent on top of the items; the payer's own if absent.
    #[schema(value_type = Option<String>)]
    tax: Option<Percent>,
    /// The organization's if absent.
    #[schema(value_type = Option<String>)]
    currency: Option<Currency>,
    #[serde(default)]
    notes: String,
}

/// A line of it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ItemInput {
    #[schema(value_type = String)]
    description: ShortText,
    /// A number or decimal string above zero.
    #[schema(value_type = String)]
    quantity: Quantity,
    /// A number or decimal string, with up to twelve digits after the point.
    #[schema(value_type = String)]
    unit_price: Price,
}

/// `POST /api/admin/invoices`: writes an invoice of these items and finalizes it.
pub(crate) async fn create(
    State(app): State<App>,
    seller: Seller,
    Input(input): Input<OneOffInput>,
) -> Result<(StatusCode, Json<Whole>)> {
    let sale = seller.sale(input.org_id, input.customer_id)?;
    check(&input)?;
    let now = app.clock.now();
    let mut seen = app.db.begin(&sale.actor).await?;
    let new = prepare(&mut seen, &sale, input).await?;
    seen.rollback().await?;
    // Numbers are the platform's to give; the payer was seen with the caller's own rights.
    let user = sale.actor.user();
    let mut tx = app.db.begin(&Actor::Platform { user }).await?;
    let id = one_off::issue(&mut tx, &new, now).await?;
    let listed = match sale.payer {
        Payer::Organization => Listed::Organizations(Some(sale.organization)),
        Payer::Customer(customer) => Listed::Customers(sale.organization, Some(customer)),
    };
    let made = read(&mut tx, listed, id).await?;
    let deed = Deed::new(sale.organization, "invoice.finalized", "invoice", id);
    audit::record(&mut tx, &sale.actor, deed.after(&made)?).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok((StatusCode::CREATED, Json(made)))
}

/// Everything that is wrong with it, field by field.
fn check(input: &OneOffInput) -> Result<()> {
    let mut errors = Vec::new();
    let mut refuse = |field: String, message: &str| {
        errors.push(FieldError {
            field,
            message: message.to_owned(),
        });
    };
    if input.billing_period_end < input.billing_period_start {
        refuse("billingPeriodEnd".into(), "must not be before the start");
    }
    if input.items.is_empty() {
        refuse("items".into(), "must have at least one item");
    }
    if input.items.len() > ITEMS_MAX {
        refuse("items".into(), "must have at most 500 items");
    }
    for (index, item) in input.items.iter().enumerate() {
        if item.quantity <= Quantity::ZERO {
            refuse(format!("items[{index}].quantity"), "must be above zero");
        }
        if item.unit_price.is_negative() {
            let field = format!("items[{index}].unitPrice");
            refuse(field, "must not be less than zero");
        }
    }
    let is_tax = |tax: &Percent| {
        let percent = tax.to_decimal();
        !tax.is_negative() && percent <= Decimal::ONE_HUNDRED && percent.normalize().scale() <= 6
    };
    if input.tax.as_ref().is_some_and(|tax| !is_tax(tax)) {
        let message = "must be 0 to 100 percent, with at most six digits after the point";
        refuse("tax".into(), message);
    }
    if input.notes.chars().count() > NOTES_MAX {
        refuse("notes".into(), "must have at most 2000 characters");
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(errors))
    }
}

async fn prepare(tx: &mut Tx, sale: &Sale, input: OneOffInput) -> Result<OneOff> {
    let business = organizations::business(tx, sale.organization).await?;
    let period = days(
        &business.zone,
        input.billing_period_start,
        input.billing_period_end,
    )?;
    let items = input.items.into_iter().map(|item| Item {
        description: item.description.into_inner(),
        quantity: item.quantity,
        unit_price: item.unit_price,
    });
    Ok(OneOff {
        organization: sale.organization,
        payer: sale.payer,
        currency: input.currency.unwrap_or(business.currency),
        period,
        zone: business.zone.name().to_owned(),
        items: items.collect(),
        tax: input.tax,
        notes: input.notes,
    })
}

/// From the beginning of one day to the end of another.
fn days(zone: &Zone, first: Date, last: Date) -> Result<Period> {
    let wrong = |e: &dyn std::fmt::Display| Error::invalid("billingPeriodEnd", e.to_string());
    let after = last.checked_add(1.day()).map_err(|e| wrong(&e))?;
    let start = zone.day_start(first).map_err(|e| wrong(&e))?;
    let end = zone.day_start(after).map_err(|e| wrong(&e))?;
    Period::new(start, end).map_err(|e| wrong(&e))
}
