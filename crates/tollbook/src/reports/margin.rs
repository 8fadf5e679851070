//! Margin: what was earned in a sale beside what the seller's providers charge, by call, number, customer, organization or
//! plan. Currencies are never mixed, and what is not known yet is counted and not taken for nothing.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::Price;
use tollbook_core::payer::PayerKind;
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use crate::app::App;
use crate::costs::bearer;
use crate::error::{Error, Result};
use crate::http::csv::{self, Chunk};
use crate::http::input::Params;
use crate::http::list::Paging;
use crate::http::seller::Seller;
use crate::http::span;
use crate::organizations;

/// The longest time of a report.
const PERIOD_MAX: SignedDuration = SignedDuration::from_hours(366 * 24 + 1);

/// What is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Call,
    Number,
    Customer,
    Organization,
    Plan,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Number => "number",
            Self::Customer => "customer",
            Self::Organization => "organization",
            Self::Plan => "plan",
        }
    }
}

/// Which margin, and of which time.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    by: By,
    /// One organization; the platform may leave it out, but for calls and numbers.
    org_id: Option<OrganizationId>,
    /// An instant, or the first day in the organization's zone; the current month if absent.
    from: Option<String>,
    /// The first instant that is too late, or the last day.
    to: Option<String>,
}

/// The margin of one call, number, customer, organization or plan.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Margin {
    /// None for what belongs to none, such as base fees where numbers are told apart.
    id: Option<Uuid>,
    /// Of a call the other side.
    name: Option<String>,
    /// Of a call.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    /// One for each currency.
    amounts: Vec<Amounts>,
    /// Things of which the provider has not said what it charges; they are in no amount.
    pending_costs: i64,
}

/// What was earned and what it cost in one currency, as decimals.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Amounts {
    currency: String,
    /// The charges in force.
    revenue: String,
    /// None while nothing of it is known.
    cost: Option<String>,
    /// Revenue less cost.
    margin: Option<String>,
}

/// The place of a row in the list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    started_at: Option<Timestamp>,
    id: Uuid,
}

/// What is read.
#[derive(Debug, Clone, Copy)]
struct Question {
    by: By,
    /// None: all that the platform sells to.
    organization: Option<OrganizationId>,
    payer: PayerKind,
    period: Period,
}

/// `GET /api/admin/margin`: for the platform of its sale to organizations and its own accounts at providers, for an
/// organization's admin of its sale to customers and its own.
pub(crate) async fn get(
    State(app): State<App>,
    seller: Seller,
    headers: HeaderMap,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Response> {
    let (actor, listed) = seller.list(filter.org_id, None)?;
    let mut tx = app.db.begin(&actor).await?;
    let zone = match listed.organization() {
        Some(organization) => organizations::business(&mut tx, organization).await?.zone,
        None => Zone::UTC,
    };
    let question = Question {
        by: filter.by,
        organization: listed.organization(),
        payer: listed.payer(),
        period: filter.period(&zone, app.clock.now())?,
    };
    question.check()?;
    if csv::is_wanted(&headers) {
        drop(tx);
        return as_csv(app, actor, question).await;
    }
    let after: Option<Cursor> = paging.key()?;
    let rows = read(&mut tx, question, after, paging.rows()).await?;
    let margins = rows.iter().map(|row| Ok((row.place(), row.margin()?)));
    let list = paging.page(margins.collect::<Result<Vec<_>>>()?, |(place, _)| *place)?;
    Ok(Json(list.map(|(_, margin)| margin)).into_response())
}

impl Filter {
    fn period(&self, zone: &Zone, now: Timestamp) -> Result<Period> {
        let period = span::period(self.from.as_deref(), self.to.as_deref(), zone, now)?;
        if period.end().duration_since(period.start()) > PERIOD_MAX {
            return Err(Error::invalid("to", "must be within a year of `from`"));
        }
        Ok(period)
    }
}

impl Question {
    /// The platform sells to no customers, and calls and numbers are those of one organization.
    fn check(&self) -> Result<()> {
        match (self.payer, self.by, self.organization) {
            (PayerKind::Organization, By::Customer, _) => Err(Error::invalid(
                "by",
                "must be `organization`: customers are those of an organization",
            )),
            (_, By::Call | By::Number, None) => Err(Error::invalid("orgId", "is required")),
            _ => Ok(()),
        }
    }
}

struct Row {
    id: Uuid,
    name: Option<String>,
    started_at: Option<jiff_sqlx::Timestamp>,
    currencies: Vec<String>,
    revenues: Vec<Option<Decimal>>,
    costs: Vec<Option<Decimal>>,
    pending: i64,
}

async fn read(
    tx: &mut PgConnection,
    question: Question,
    after: Option<Cursor>,
    rows: i64,
) -> Result<Vec<Row>> {
    let (start, end) = (
        question.period.start().to_sqlx(),
        question.period.end().to_sqlx(),
    );
    let (bearer, payer) = (bearer(question.payer), question.payer.as_str());
    let organization = question.organization.map(Uuid::from);
    let after_id = after.map(|it| it.id);
    if question.by == By::Call {
        let after_at = after.and_then(|it| it.started_at).map(Timestamp::to_sqlx);
        return Ok(sqlx::query_file_as!(
            Row,
            "src/reports/margin_calls.sql",
            organization,
            bearer,
            payer,
            start,
            end,
            after_at as Option<jiff_sqlx::Timestamp>,
            after_id,
            rows,
        )
        .fetch_all(tx)
        .await?);
    }
    Ok(sqlx::query_file_as!(
        Row,
        "src/reports/margin_by.sql",
        organization,
        bearer,
        payer,
        start,
        end,
        question.by.as_str(),
        after_id,
        rows,
    )
    .fetch_all(tx)
    .await?)
}

impl Row {
    fn place(&self) -> Cursor {
        Cursor {
            started_at: self.started_at.map(jiff_sqlx::Timestamp::to_jiff),
            id: self.id,
        }
    }

    fn margin(&self) -> Result<Margin> {
        let amounts = self.currencies.iter().zip(&self.revenues).zip(&self.costs);
        let amounts =
            amounts.map(|((currency, revenue), cost)| self.amounts(currency, *revenue, *cost));
        Ok(Margin {
            id: Some(self.id).filter(|id| !id.is_nil()),
            name: self.name.clone().filter(|name| !name.is_empty()),
            started_at: self.started_at.map(jiff_sqlx::Timestamp::to_jiff),
            amounts: amounts.collect::<Result<_>>()?,
            pending_costs: self.pending,
        })
    }

    fn amounts(
        &self,
        currency: &str,
        revenue: Option<Decimal>,
        cost: Option<Decimal>,
    ) -> Result<Amounts> {
        let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored amount: {e}"));
        let price = |amount| Price::try_from(amount).map_err(|e| stored(&e));
        let revenue = price(revenue.unwrap_or_default())?;
        // Where all of it is pending, nothing is known of the cost, and so of the margin.
        let cost = cost.or((self.pending == 0).then_some(Decimal::ZERO));
        let cost = cost.map(price).transpose()?;
        let margin = cost.map(|cost| revenue.checked_sub(cost)).transpose();
        Ok(Amounts {
            currency: currency.to_owned(),
            revenue: revenue.to_string(),
            cost: cost.map(|cost| cost.to_string()),
            margin: margin.map_err(|e| stored(&e))?.map(|it| it.to_string()),
        })
    }
}

/// All of it: a line for each currency, and one for what has none yet.
async fn as_csv(app: App, actor: Actor, question: Question) -> Result<Response> {
    const COLUMNS: [&str; 8] = [
        "id",
        "name",
        "started_at",
        "currency",
        "revenue",
        "cost",
        "margin",
        "pending_costs",
    ];
    let name = format!("margin-by-{}", question.by.as_str());
    csv::stream(&name, &COLUMNS, move |after: Option<Cursor>| {
        let app = app.clone();
        async move {
            let mut tx = app.db.begin(&actor).await?;
            let rows = read(&mut tx, question, after, csv::CHUNK).await?;
            let next = Chunk::new(&rows, Row::place, |_| Vec::new()).next;
            let margins = rows.iter().map(Row::margin).collect::<Result<Vec<_>>>()?;
            let rows = margins.iter().flat_map(Margin::lines).collect();
            Ok(Chunk { rows, next })
        }
    })
    .await
}

impl Margin {
    fn lines(&self) -> Vec<Vec<String>> {
        let line = |amounts: Option<&Amounts>| {
            let text = |it: Option<&String>| it.cloned().unwrap_or_default();
            vec![
                self.id.map(|id| id.to_string()).unwrap_or_default(),
                text(self.name.as_ref()),
                self.started_at.map(|at| at.to_string()).unwrap_or_default(),
                text(amounts.map(|it| &it.currency)),
                text(amounts.map(|it| &it.revenue)),
                text(amounts.and_then(|it| it.cost.as_ref())),
                text(amounts.and_then(|it| it.margin.as_ref())),
                self.pending_costs.to_string(),
            ]
        };
        if self.amounts.is_empty() {
            return vec![line(None)];
        }
        self.amounts.iter().map(|it| line(Some(it))).collect()
    }
}
