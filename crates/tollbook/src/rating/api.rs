//! Usage charges for programs: what was used and what it costs, and usage recorded with its price or without.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId, UsageEventId, UserId};
use tollbook_core::metering::{UsageRequest, resolve};
use tollbook_core::money::{Price, Quantity};
use tollbook_core::payer::PayerKind;
use tollbook_core::time::Period;
use uuid::Uuid;

use super::{ByHand, charge_by_hand, hold_account};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, OnConstraint as _, Result};
use crate::http::csv::{self, Chunk};
use crate::http::input::{Input, Params, ShortText};
use crate::http::list::Paging;
use crate::http::seller::{Listed, Sale, Seller};
use crate::http::span;
use crate::metering::{self, NewUsage};
use crate::organizations;

/// A charge in force, with its usage.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChargeView {
    id: Uuid,
    org_id: Uuid,
    customer_id: Option<Uuid>,
    /// None for a base fee, or an item of an invoice.
    usage_id: Option<Uuid>,
    /// The meter; none for a base fee.
    usage_type: Option<String>,
    /// `usage`, `overage`, `allowance`, `fee`, `manual` and so on.
    kind: String,
    /// A decimal in the meter's base unit.
    quantity: String,
    /// Of `per` units, where there is a single one.
    unit_price: Option<String>,
    per: Option<String>,
    /// A decimal; the invoice line is rounded, not this.
    amount: String,
    currency: String,
    description: Option<String>,
    /// The invoice that it is on, a draft perhaps; none if there is nothing to print.
    invoice_id: Option<Uuid>,
    user_id: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
}

/// The place of a charge in the list: the latest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    occurred_at: Timestamp,
    id: Uuid,
}

/// Whose charges, and of which time.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    org_id: Option<OrganizationId>,
    customer_id: Option<CustomerId>,
    /// An instant, or the first day in the organization's zone. Without both: all of them.
    from: Option<String>,
    /// The first instant that is too late, or the last day.
    to: Option<String>,
}

/// Which charges of which account.
#[derive(Debug, Clone, Copy)]
struct Which {
    organization: OrganizationId,
    account: AccountId,
    usage: Option<UsageEventId>,
    period: Option<Period>,
}

/// `GET /api/admin/usage-charges`: of the payer that is named, also as CSV.
pub(crate) async fn list(
    State(app): State<App>,
    seller: Seller,
    headers: HeaderMap,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Response> {
    let (actor, listed) = seller.list(filter.org_id, filter.customer_id)?;
    let mut tx = app.db.begin(&actor).await?;
    let (organization, account) = account(&mut tx, listed).await?;
    let (from, to) = (filter.from.as_deref(), filter.to.as_deref());
    let period = if from.is_some() || to.is_some() {
        let zone = organizations::business(&mut tx, organization).await?.zone;
        Some(span::period(from, to, &zone, app.clock.now())?)
    } else {
        None
    };
    let which = Which {
        organization,
        account,
        usage: None,
        period,
    };
    if csv::is_wanted(&headers) {
        drop(tx);
        return as_csv(app, actor, which).await;
    }
    let rows = charges(&mut tx, which, paging.key()?, paging.rows()).await?;
    Ok(Json(paging.page(rows, ChargeView::place)?).into_response())
}

async fn as_csv(app: App, actor: Actor, which: Which) -> Result<Response> {
    const COLUMNS: [&str; 12] = [
        "id",
        "occurred_at",
        "usage_type",
        "kind",
        "quantity",
        "unit_price",
        "per",
        "amount",
        "currency",
        "description",
        "invoice_id",
        "user_id",
    ];
    csv::stream("usage-charges", &COLUMNS, move |after: Option<Cursor>| {
        let app = app.clone();
        async move {
            let mut tx = app.db.begin(&actor).await?;
            let rows = charges(&mut tx, which, after, csv::CHUNK).await?;
            Ok(Chunk::new(&rows, ChargeView::place, ChargeView::cells))
        }
    })
    .await
}

impl ChargeView {
    fn place(&self) -> Cursor {
        Cursor {
            occurred_at: self.occurred_at,
            id: self.id,
        }
    }

    fn cells(&self) -> Vec<String> {
        let text = |it: Option<&String>| it.cloned().unwrap_or_default();
        let id = |it: Option<Uuid>| it.map(|it| it.to_string()).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.occurred_at.to_string(),
            text(self.usage_type.as_ref()),
            self.kind.clone(),
            self.quantity.clone(),
            text(self.unit_price.as_ref()),
            text(self.per.as_ref()),
            self.amount.clone(),
            self.currency.clone(),
            text(self.description.as_ref()),
            id(self.invoice_id),
            id(self.user_id),
        ]
    }
}

/// The account of the payer that a list is about; nobody has charges without one.
async fn account(tx: &mut PgConnection, listed: Listed) -> Result<(OrganizationId, AccountId)> {
    let organization = listed
        .organization()
        .ok_or_else(|| Error::invalid("orgId", "is required"))?;
    if listed.payer() == PayerKind::Customer && listed.customer().is_none() {
        return Err(Error::invalid("customerId", "is required"));
    }
    let account = sqlx::query_scalar!(
        "select a.id from accounts a left join customers c on c.organization_id = a.organization_id and c.account_id = a.id
         where a.organization_id = $1 and a.payer = $2 and ($3::uuid is null or c.id = $3) limit 1",
        organization.uuid(),
        listed.payer().as_str(),
        listed.customer().map(Uuid::from),
    )
    .fetch_optional(tx)
    .await?;
    match (account, listed.payer()) {
        (Some(account), _) => Ok((organization, account.into())),
        (None, PayerKind::Customer) => Err(Error::NotFound("customer")),
        (None, PayerKind::Organization) => Ok((organization, AccountId::new(Uuid::nil()))),
    }
}

/// The charges in force of an account, the latest first: `rows` of them after `after`.
async fn charges(
    tx: &mut PgConnection,
    which: Which,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<ChargeView>> {
    let organization = which.organization;
    let rows = sqlx::query!(
        r#"select c.id, c.customer_id, c.usage_event_id, c.meter, c.kind, c.quantity, c.unit_price, c.divisor, c.amount, c.currency,
             c.description, c.invoice_id, u.user_id as "user_id?", c.occurred_at
         from charges c
         left join usage_events u on u.organization_id = c.organization_id and u.id = c.usage_event_id
         where c.organization_id = $1 and c.account_id = $2 and ($3::uuid is null or c.usage_event_id = $3)
             and ($4::timestamptz is null or (c.occurred_at, c.id) < ($4, $5)) and c.reverses_id is null
             and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)
             and ($7::timestamptz is null or c.occurred_at >= $7) and ($8::timestamptz is null or c.occurred_at < $8)
         order by c.occurred_at desc, c.id desc limit $6"#,
        organization.uuid(),
        which.account.uuid(),
        which.usage.map(Uuid::from),
        after.map(|after| after.occurred_at.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        after.map(|after| after.id),
        rows,
        which.period.map(|it| it.start().to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        which.period.map(|it| it.end().to_sqlx()) as Option<jiff_sqlx::Timestamp>,
    )
    .fetch_all(tx)
    .await?;
    let charge = rows.into_iter().map(|row| ChargeView {
        id: row.id,
        org_id: organization.uuid(),
        customer_id: row.customer_id,
        usage_id: row.usage_event_id,
        usage_type: row.meter,
        kind: row.kind,
        quantity: plain(row.quantity),
        unit_price: row.unit_price.map(plain),
        per: row.divisor.map(plain),
        amount: plain(row.amount),
        currency: row.currency,
        description: row.description,
        invoice_id: row.invoice_id,
        user_id: row.user_id,
        occurred_at: row.occurred_at.to_jiff(),
    });
    Ok(charge.collect())
}

fn plain(decimal: Decimal) -> String {
    decimal.normalize().to_string()
}

/// Usage to be charged.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UsageInput {
    /// Which organization; it pays the platform unless a customer is named.
    #[schema(value_type = Option<Uuid>)]
    org_id: Option<OrganizationId>,
    /// Which customer, who pays the organization.
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    /// `minutes`, `sms`, `voicemails`, `api_calls`, or a meter.
    usage_type: String,
    /// A number or decimal string.
    #[schema(value_type = String)]
    quantity: Quantity,
    /// The price of one; the payer's terms say it if absent.
    #[schema(value_type = Option<String>)]
    unit_price: Option<Price>,
    /// What the invoice says of usage with a price of its own.
    #[schema(value_type = Option<String>)]
    description: Option<ShortText>,
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Timestamp>,
    #[schema(value_type = Option<Uuid>)]
    user_id: Option<UserId>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Charged {
    /// The usage event.
    id: Uuid,
    usage_type: String,
    /// A decimal in the meter's base unit.
    quantity: String,
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// `charged`, or `pending` until the payer's terms are applied, a moment later.
    status: &'static str,
    charges: Vec<ChargeView>,
}

/// `POST /api/admin/usage-charges`: records usage, at its own price or at that of the payer's terms.
pub(crate) async fn create(
    State(app): State<App>,
    seller: Seller,
    Input(input): Input<UsageInput>,
) -> Result<(StatusCode, Json<Charged>)> {
    let sale = seller.sale(input.org_id, input.customer_id)?;
    if input.quantity.is_negative() {
        return Err(Error::invalid("quantity", "must not be less than zero"));
    }
    if input.unit_price.is_some_and(Price::is_negative) {
        return Err(Error::invalid("unitPrice", "must not be less than zero"));
    }
    let now = app.clock.now();
    let usage = usage(&sale, &input, now)?;
    let mut tx = app.db.begin(&sale.actor).await?;
    let business = organizations::business(&mut tx, sale.organization).await?;
    let priced = match input.unit_price {
        Some(price) => Some((
            price,
            hold_account(&mut tx, sale.organization, sale.payer).await?,
        )),
        None => None,
    };
    let id = metering::record_one(&mut tx, &usage)
        .await
        .on_constraint("usage_events_meter_fkey", || {
            Error::invalid("usageType", "is not a meter")
        })
        .on_constraint("usage_events_customer_id_fkey", || {
            Error::NotFound("customer")
        })
        .on_constraint("usage_events_user_id_fkey", || {
            Error::invalid("userId", "is not a member of the organization")
        })?;
    if let Some((price, account)) = priced {
        let one = resolve(&input.usage_type, Quantity::from_units(1));
        let by_hand = ByHand {
            organization: sale.organization,
            payer: sale.payer,
            usage: id,
            description: match input.description {
                Some(text) => text.into_inner(),
                None => input.usage_type.clone(),
            },
            price,
            per: one
                .map_err(|e| Error::invalid("usageType", e.to_string()))?
                .1,
            currency: business.currency,
        };
        charge_by_hand(&mut tx, &by_hand, account, now).await?;
    }
    let charged = read(&mut tx, &sale, id, &usage).await?;
    let deed = Deed::new(sale.organization, "usage.charged", "usage_event", id);
    audit::record(&mut tx, &sale.actor, deed.after(&charged)?).await?;
    tx.commit().await?;
    app.wake.rating.notify_one();
    Ok((StatusCode::CREATED, Json(charged)))
}

fn usage(sale: &Sale, input: &UsageInput, now: Timestamp) -> Result<NewUsage> {
    let (meter, quantity) = resolve(&input.usage_type, input.quantity)
        .map_err(|e| Error::invalid("usageType", e.to_string()))?;
    Ok(NewUsage {
        organization: sale.organization,
        occurred_at: input.occurred_at.unwrap_or(now),
        key: None,
        call: None,
        corrects: None,
        request: UsageRequest {
            meter,
            quantity,
            occurred_at: input.occurred_at,
            user: input.user_id,
            mapping: None,
            customer: input.customer_id,
            resource_type: None,
            resource_id: None,
            metadata: serde_json::Value::Object(input.metadata.clone().unwrap_or_default()),
        },
    })
}

async fn read(
    tx: &mut PgConnection,
    sale: &Sale,
    id: UsageEventId,
    usage: &NewUsage,
) -> Result<Charged> {
    let listed = match sale.payer.customer() {
        None => Listed::Organizations(Some(sale.organization)),
        Some(customer) => Listed::Customers(sale.organization, Some(customer)),
    };
    let (organization, account) = account(tx, listed).await?;
    let which = Which {
        organization,
        account,
        usage: Some(id),
        period: None,
    };
    let charges = charges(tx, which, None, 100).await?;
    Ok(Charged {
        id: id.uuid(),
        usage_type: usage.request.meter.to_string(),
        quantity: usage.request.quantity.to_string(),
        occurred_at: usage.occurred_at,
        status: if charges.is_empty() {
            "pending"
        } else {
            "charged"
        },
        charges,
    })
}
