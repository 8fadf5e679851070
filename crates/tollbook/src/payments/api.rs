//! Payments for programs: recorded by hand, spread over invoices, taken back.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, InvoiceId, OrganizationId, PaymentId};
use tollbook_core::money::{Currency, Money, Price};
use tollbook_core::payer::Payer;
use tollbook_core::time::Zone;

use super::open::{INVOICES_MAX, Named};
use super::read::{self, Cursor, Found, Payment, Whole};
use super::record::{self, Channel, NewPayment};
use super::undo;
use crate::app::App;
use crate::audit::{self, Deed};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::caller::OrgAdmin;
use crate::http::csv::{self, Chunk};
use crate::http::input::{Input, Params, Path, ShortText};
use crate::http::list::Paging;
use crate::http::seller::{Listed, PayerFilter, Sale, Seller};
use crate::organizations;

/// Longest reference in characters.
const REFERENCE_MAX: usize = 200;

/// `GET /api/admin/payments`: the latest recorded first.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    headers: HeaderMap,
    paging: Paging,
    Params(filter): Params<PayerFilter>,
) -> Result<Response> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    answer(app, actor, listed, &headers, &paging).await
}

/// `GET /api/billing/payments`: what an organization has paid to the platform.
pub(crate) async fn own(
    State(app): State<App>,
    admin: OrgAdmin,
    headers: HeaderMap,
    paging: Paging,
) -> Result<Response> {
    let listed = Listed::Organizations(Some(admin.organization));
    answer(app, admin.actor, listed, &headers, &paging).await
}

async fn answer(
    app: App,
    actor: Actor,
    listed: Listed,
    headers: &HeaderMap,
    paging: &Paging,
) -> Result<Response> {
    if csv::is_wanted(headers) {
        return as_csv(app, actor, listed).await;
    }
    let mut tx = app.db.begin(&actor).await?;
    let rows = read::payments(&mut tx, listed, None, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, place)?).into_response())
}

fn place(payment: &Payment) -> Cursor {
    Cursor { id: payment.id }
}

/// All of the list.
async fn as_csv(app: App, actor: Actor, listed: Listed) -> Result<Response> {
    const COLUMNS: [&str; 12] = [
        "id",
        "orgId",
        "customerId",
        "channel",
        "reference",
        "status",
        "currency",
        "amount",
        "allocated",
        "receivedAt",
        "reversesId",
        "reason",
    ];
    csv::stream("payments", &COLUMNS, move |after: Option<Cursor>| {
        let app = app.clone();
        async move {
            let mut tx = app.db.begin(&actor).await?;
            let rows = read::payments(&mut tx, listed, None, after, csv::CHUNK).await?;
            Ok(Chunk::new(&rows, place, cells))
        }
    })
    .await
}

fn cells(payment: &Payment) -> Vec<String> {
    let text = |id: Option<String>| id.unwrap_or_default();
    vec![
        payment.id.to_string(),
        payment.org_id.to_string(),
        text(payment.customer_id.map(|id| id.to_string())),
        payment.channel.clone(),
        payment.reference.clone(),
        payment.status.clone(),
        payment.currency.clone(),
        payment.amount.clone(),
        payment.allocated.clone(),
        payment.received_at.to_string(),
        text(payment.reverses_id.map(|id| id.to_string())),
        payment.reason.clone(),
    ]
}

/// `GET /api/admin/payments/{id}`: with what it pays.
pub(crate) async fn get(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<PaymentId>,
    Params(filter): Params<PayerFilter>,
) -> Result<Json<Whole>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let payment = read::one(&mut tx, listed, id).await?;
    Ok(Json(read::whole(&mut tx, payment).await?))
}

/// A payment to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PaymentInput {
    /// Which organization; it pays the platform unless a customer is named.
    #[schema(value_type = Option<uuid::Uuid>)]
    org_id: Option<OrganizationId>,
    /// Which customer, who pays the organization.
    #[schema(value_type = Option<uuid::Uuid>)]
    customer_id: Option<CustomerId>,
    channel: Channel,
    /// A number or decimal string above zero.
    #[schema(value_type = String)]
    amount: Price,
    /// The organization's if absent.
    #[schema(value_type = Option<String>)]
    currency: Option<Currency>,
    /// The number of the check, the text of the transfer.
    #[serde(default)]
    reference: String,
    /// In the organization's zone; today if absent.
    #[schema(value_type = Option<String>, format = Date)]
    received_on: Option<Date>,
    /// What it pays, in this order; the oldest invoices if absent, none if empty.
    invoices: Option<Vec<InvoiceInput>>,
}

/// An invoice that it pays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct InvoiceInput {
    #[schema(value_type = uuid::Uuid)]
    invoice_id: InvoiceId,
    /// How much of it; as much as there is if absent.
    #[schema(value_type = Option<String>)]
    amount: Option<Price>,
}

/// `POST /api/admin/payments`: records what came in, or uses credit. What invoices do not take becomes credit.
pub(crate) async fn create(
    State(app): State<App>,
    seller: Seller,
    Input(input): Input<PaymentInput>,
) -> Result<(StatusCode, Json<Whole>)> {
    let sale = seller.sale(input.org_id, input.customer_id)?;
    let mut tx = app.db.begin(&sale.actor).await?;
    let new = prepare(&mut tx, &sale, input, app.clock.now()).await?;
    let id = record::record(&mut tx, &new).await?;
    let made = tell(
        &mut tx,
        &sale.actor,
        sale.organization,
        "payment.recorded",
        id,
        listed(&sale),
    )
    .await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok((StatusCode::CREATED, Json(made)))
}

fn listed(sale: &Sale) -> Listed {
    match sale.payer {
        Payer::Organization => Listed::Organizations(Some(sale.organization)),
        Payer::Customer(customer) => Listed::Customers(sale.organization, Some(customer)),
    }
}

/// Reads a payment as it has become, and writes down who did it.
async fn tell(
    tx: &mut Tx,
    actor: &Actor,
    organization: OrganizationId,
    action: &str,
    id: PaymentId,
    listed: Listed,
) -> Result<Whole> {
    let payment = read::one(tx, listed, id).await?;
    let whole = read::whole(tx, payment).await?;
    let deed = Deed::new(organization, action, "payment", id).after(&whole)?;
    audit::record(tx, actor, deed).await?;
    Ok(whole)
}

async fn prepare(
    tx: &mut Tx,
    sale: &Sale,
    input: PaymentInput,
    now: Timestamp,
) -> Result<NewPayment> {
    let business = organizations::business(tx, sale.organization).await?;
    let currency = input.currency.unwrap_or(business.currency);
    Ok(NewPayment {
        organization: sale.organization,
        payer: sale.payer,
        channel: input.channel,
        amount: positive("amount", input.amount, currency)?,
        reference: reference(&input.reference)?,
        received_at: received_at(&business.zone, input.received_on, now)?,
        invoices: input.invoices.map(|it| named(it, currency)).transpose()?,
    })
}

/// When a payment that was received on a day came: now if that is today.
pub(crate) fn received_at(zone: &Zone, day: Option<Date>, now: Timestamp) -> Result<Timestamp> {
    let today = zone.date(now);
    match day {
        None => Ok(now),
        Some(day) if day == today => Ok(now),
        Some(day) if day > today => Err(Error::invalid("receivedOn", "must not be in the future")),
        Some(day) => zone
            .day_start(day)
            .map_err(|e| Error::invalid("receivedOn", e.to_string())),
    }
}

/// The number of a check and the like, of limited length.
pub(crate) fn reference(text: &str) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > REFERENCE_MAX {
        let message = format!("must have at most {REFERENCE_MAX} characters");
        return Err(Error::invalid("reference", message));
    }
    Ok(text.to_owned())
}

/// An amount of money above zero.
pub(crate) fn positive(field: &str, amount: Price, currency: Currency) -> Result<Money> {
    let amount =
        Money::from_price(amount, currency).map_err(|e| Error::invalid(field, e.to_string()))?;
    if amount.minor() > 0 {
        Ok(amount)
    } else {
        Err(Error::invalid(field, "must be above zero"))
    }
}

fn named(invoices: Vec<InvoiceInput>, currency: Currency) -> Result<Vec<Named>> {
    if invoices.len() > INVOICES_MAX {
        let message = format!("must be at most {INVOICES_MAX}");
        return Err(Error::invalid("invoices", message));
    }
    invoices
        .into_iter()
        .enumerate()
        .map(|(index, it)| {
            let field = format!("invoices[{index}].amount");
            let amount = it.amount.map(|amount| positive(&field, amount, currency));
            Ok(Named {
                invoice: it.invoice_id,
                amount: amount.transpose()?,
            })
        })
        .collect()
}

/// Why a payment is taken back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReasonInput {
    #[schema(value_type = String)]
    reason: ShortText,
}

/// `POST /api/admin/payments/{id}/reverse`: takes a payment back, whole; answers with the row that does so.
pub(crate) async fn reverse(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<PaymentId>,
    Params(filter): Params<PayerFilter>,
    Input(input): Input<ReasonInput>,
) -> Result<(StatusCode, Json<Whole>)> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let found = found(&mut tx, listed, id).await?;
    let reason = input.reason.into_inner();
    let back = undo::reverse(&mut tx, &found, &reason, app.clock.now()).await?;
    let action = "payment.reversed";
    let made = tell(&mut tx, &actor, found.organization, action, back, listed).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok((StatusCode::CREATED, Json(made)))
}

/// An invoice that a payment pays no more.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UnallocateInput {
    #[schema(value_type = uuid::Uuid)]
    invoice_id: InvoiceId,
    /// All that it pays of it if absent.
    #[schema(value_type = Option<String>)]
    amount: Option<Price>,
}

/// `POST /api/admin/payments/{id}/unallocate`: takes a payment off an invoice; the money becomes credit.
pub(crate) async fn unallocate(
    State(app): State<App>,
    seller: Seller,
    Path(id): Path<PaymentId>,
    Params(filter): Params<PayerFilter>,
    Input(input): Input<UnallocateInput>,
) -> Result<Json<Whole>> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let found = found(&mut tx, listed, id).await?;
    let (invoice, now) = (input.invoice_id, app.clock.now());
    undo::unallocate(&mut tx, &found, invoice, input.amount, now).await?;
    let action = "payment.unallocated";
    let made = tell(&mut tx, &actor, found.organization, action, id, listed).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok(Json(made))
}

async fn found(tx: &mut Tx, listed: Listed, id: PaymentId) -> Result<Found> {
    Ok(read::one(tx, listed, id).await?.found())
}
