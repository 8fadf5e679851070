//! A payer's statement between two days.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::money::{Currency, Money};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use super::statement::{self, Account, Balance, Cursor, Moved};
use crate::app::App;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::csv::{self, Chunk};
use crate::http::input::Params;
use crate::http::list::Paging;
use crate::http::seller::Seller;
use crate::{customers, organizations};

/// Whose statement, and over which days.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    org_id: Option<OrganizationId>,
    customer_id: Option<CustomerId>,
    /// The first day, in the organization's zone; the first of the month if absent.
    from: Option<Date>,
    /// The last day, which is included; today if absent.
    to: Option<Date>,
    /// The organization's if absent.
    currency: Option<Currency>,
}

/// What stands between a seller and a payer. Amounts are decimals in the statement's currency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    /// What is open on the payer's invoices: the ledger's receivable.
    owed: String,
    /// What the payer has given beyond that.
    credit: String,
    /// What is owed less the credit.
    balance: String,
}

/// A document that changed the balance.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    #[schema(value_type = String, format = Date)]
    date: Date,
    /// `invoice`, `credit_note`, `payment`, `payment_reversal`, `void` and so on.
    kind: String,
    document_id: Uuid,
    /// The number of an invoice or credit note.
    number: Option<String>,
    /// How a payment came.
    channel: Option<String>,
    reference: Option<String>,
    /// More owed, or less where below zero.
    amount: String,
    /// After it.
    balance: String,
}

/// A statement; of a long one the lines of one page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Statement {
    #[schema(value_type = Uuid)]
    org_id: OrganizationId,
    #[schema(value_type = Option<Uuid>)]
    customer_id: Option<CustomerId>,
    currency: String,
    #[schema(value_type = String, format = Date)]
    from: Date,
    #[schema(value_type = String, format = Date)]
    to: Date,
    /// Before the first day.
    opening: Standing,
    /// After the last day.
    closing: Standing,
    data: Vec<Line>,
    next_cursor: Option<String>,
}

/// The days of a statement.
#[derive(Debug, Clone)]
struct Days {
    zone: Zone,
    from: Date,
    to: Date,
}

/// `GET /api/admin/statement`
pub(crate) async fn get(
    State(app): State<App>,
    seller: Seller,
    headers: HeaderMap,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Response> {
    let sale = seller.sale(filter.org_id, filter.customer_id)?;
    let mut tx = begin(&app, &sale.actor).await?;
    customers::check_payer(&mut tx, sale.organization, sale.payer).await?;
    let business = organizations::business(&mut tx, sale.organization).await?;
    let days = Days::read(&filter, business.zone, app.clock.now())?;
    let of = Account {
        organization: sale.organization,
        payer: sale.payer,
        currency: filter.currency.unwrap_or(business.currency),
        period: days.period()?,
    };
    let (opening, closing) = statement::balances(&mut tx, &of).await?;
    if csv::is_wanted(&headers) {
        drop(tx);
        return as_csv(app, sale.actor, of, days, opening).await;
    }
    let after: Option<Cursor> = paging.key()?;
    let moved = statement::moved(&mut tx, &of, after, paging.rows()).await?;
    let list = paging.page(with_balances(moved, &of, after, opening)?, place)?;
    let lines = list
        .data
        .iter()
        .map(|(moved, balance)| Line::new(moved, *balance, &days));
    let statement = Statement {
        org_id: of.organization,
        customer_id: of.payer.customer(),
        currency: of.currency.code().to_owned(),
        from: days.from,
        to: days.to,
        opening: Standing::new(opening)?,
        closing: Standing::new(closing)?,
        data: lines.collect(),
        next_cursor: list.next_cursor,
    };
    Ok(Json(statement).into_response())
}

/// A transaction that sees one moment: the lines add up to the balances.
async fn begin(app: &App, actor: &Actor) -> Result<Tx> {
    let mut tx = app.db.begin(actor).await?;
    sqlx::query("set transaction isolation level repeatable read, read only")
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

impl Days {
    fn read(filter: &Filter, zone: Zone, now: Timestamp) -> Result<Self> {
        let today = zone.date(now);
        let to = filter.to.unwrap_or(today);
        let from = filter.from.unwrap_or_else(|| to.first_of_month());
        if to < from {
            return Err(Error::invalid("to", "must not be before `from`"));
        }
        Ok(Self { zone, from, to })
    }

    /// From the beginning of the first day to the end of the last.
    fn period(&self) -> Result<Period> {
        let wrong = |e: &dyn std::fmt::Display| Error::invalid("to", e.to_string());
        let after = self.to.checked_add(1.day()).map_err(|e| wrong(&e))?;
        let start = self.zone.day_start(self.from).map_err(|e| wrong(&e))?;
        let end = self.zone.day_start(after).map_err(|e| wrong(&e))?;
        Period::new(start, end).map_err(|e| wrong(&e))
    }
}

/// Each document with the balance after it. A page begins where the one before it ended.
fn with_balances(
    moved: Vec<Moved>,
    of: &Account,
    after: Option<Cursor>,
    opening: Balance,
) -> Result<Vec<(Moved, Money)>> {
    let mut balance = match after {
        Some(after) => Money::from_minor(after.balance_minor, of.currency),
        None => opening.net()?,
    };
    moved
        .into_iter()
        .map(|it| {
            balance = balance
                .checked_add(it.amount)
                .map_err(|e| Error::Internal(format!("a balance: {e}")))?;
            Ok((it, balance))
        })
        .collect()
}

fn place((moved, balance): &(Moved, Money)) -> Cursor {
    Cursor {
        occurred_at: moved.occurred_at,
        entry: moved.entry,
        balance_minor: balance.minor(),
    }
}

impl Standing {
    fn new(balance: Balance) -> Result<Self> {
        Ok(Self {
            owed: balance.owed.amount(),
            credit: balance.credit.amount(),
            balance: balance.net()?.amount(),
        })
    }
}

impl Line {
    fn new(moved: &Moved, balance: Money, days: &Days) -> Self {
        let kind = match moved.reverses_id {
            Some(_) => "payment_reversal",
            None => moved.document.as_str(),
        };
        Self {
            date: days.zone.date(moved.occurred_at),
            kind: kind.to_owned(),
            document_id: moved.document_id,
            number: moved.number.clone(),
            channel: moved.channel.clone(),
            reference: moved.reference.clone().filter(|text| !text.is_empty()),
            amount: moved.amount.amount(),
            balance: balance.amount(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let text = |it: Option<&String>| it.cloned().unwrap_or_default();
        vec![
            self.date.to_string(),
            self.kind.clone(),
            text(self.number.as_ref()),
            text(self.channel.as_ref()),
            text(self.reference.as_ref()),
            self.amount.clone(),
            self.balance.clone(),
        ]
    }
}

/// All of it, with a line for each of the two balances.
async fn as_csv(
    app: App,
    actor: Actor,
    of: Account,
    days: Days,
    opening: Balance,
) -> Result<Response> {
    const COLUMNS: [&str; 7] = [
        "date",
        "kind",
        "number",
        "channel",
        "reference",
        "amount",
        "balance",
    ];
    let balance = |date: Date, kind: &str, balance: Money| {
        let mut cells = vec![String::new(); COLUMNS.len()];
        cells.splice(..2, [date.to_string(), kind.to_owned()]);
        cells.pop();
        cells.push(balance.amount());
        cells
    };
    csv::stream("statement", &COLUMNS, move |after: Option<Cursor>| {
        let (app, days) = (app.clone(), days.clone());
        async move {
            let mut tx = begin(&app, &actor).await?;
            let moved = statement::moved(&mut tx, &of, after, csv::CHUNK).await?;
            let lines = with_balances(moved, &of, after, opening)?;
            let mut chunk = Chunk::new(&lines, place, |(moved, balance)| {
                Line::new(moved, *balance, &days).cells()
            });
            if after.is_none() {
                chunk
                    .rows
                    .insert(0, balance(days.from, "opening", opening.net()?));
            }
            if chunk.next.is_none() {
                let last = lines.last().map(|(_, balance)| *balance);
                let before = after.map(|it| Money::from_minor(it.balance_minor, of.currency));
                let closing = last.or(before).map_or_else(|| opening.net(), Ok)?;
                chunk.rows.push(balance(days.to, "closing", closing));
            }
            Ok(chunk)
        }
    })
    .await
}
