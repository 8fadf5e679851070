//! What a user did: numbers, calls made and received, time talked, recordings, what all that comes to, month by month.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use tollbook_core::ids::UserId;
use tollbook_core::time::{Period, Zone};

use super::of_user::{self, Bill, BillView, Counts};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::OrgMember;
use crate::http::input::{Params, Path};
use crate::http::span;
use crate::organizations::BillingMode;

/// Months that are shown if nothing else is asked for, the current one among them; and the most.
const MONTHS: i64 = 12;

/// Of which time.
#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    /// The first month, such as `2026-01`; twelve months with the last one if absent.
    from: Option<String>,
    /// The last month; the current one if absent.
    to: Option<String>,
}

/// What a user did in some months.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Analytics {
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
    /// Whose prices the amounts are: `platform` or `pass_through`.
    mode: BillingMode,
    /// Numbers that the user has now.
    phone_numbers: i64,
    #[serde(flatten)]
    total: Figures,
    /// Month by month, those without anything too.
    months: Vec<Month>,
}

/// One month.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Month {
    /// Such as `2026-03`.
    month: String,
    #[serde(flatten)]
    figures: Figures,
}

/// What was counted, and what it comes to by currency.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    calls_made: i64,
    calls_received: i64,
    duration_seconds: i64,
    recordings: i64,
    costs: Vec<BillView>,
    /// What has no price yet.
    pending: i64,
}

/// `GET /api/users/{id}/analytics`
pub(crate) async fn get(
    State(app): State<App>,
    member: OrgMember,
    Path(user): Path<UserId>,
    Params(filter): Params<Filter>,
) -> Result<Json<Analytics>> {
    let (mut tx, of) = of_user::begin(&app, &member, user).await?;
    let (period, months) = filter.months(&of.zone, app.clock.now())?;
    let counts = of_user::counts(&mut tx, &of, period).await?;
    let bills = of_user::bills(&mut tx, &of, period).await?;
    let phone_numbers = of_user::numbers(&mut tx, &of).await?;
    let counts: BTreeMap<Date, Counts> = counts
        .into_iter()
        .map(|it| (it.month.to_jiff(), it))
        .collect();
    let months = months
        .into_iter()
        .map(|first| {
            let figures = Figures::of(counts.get(&first), bills.get(&first));
            Ok(Month {
                month: first.strftime("%Y-%m").to_string(),
                figures: figures?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Json(Analytics {
        user_id: user,
        mode: of.mode,
        phone_numbers,
        total: total(&counts, bills.values())?,
        months,
    }))
}

impl Filter {
    /// The time from the first month to the last, and the first day of each.
    fn months(&self, zone: &Zone, now: Timestamp) -> Result<(Period, Vec<Date>)> {
        let wrong = |e: &dyn std::fmt::Display| Error::invalid("from", e.to_string());
        let last = span::month(self.to.as_deref(), zone, now)?;
        let end = zone.date(last.start());
        let start = match &self.from {
            Some(text) => zone.date(span::month(Some(text), zone, now)?.start()),
            None => end
                .checked_sub((MONTHS - 1).months())
                .map_err(|e| wrong(&e))?,
        };
        let mut months = Vec::new();
        let mut month = start;
        while month <= end {
            if months.len() >= usize::try_from(MONTHS).unwrap_or_default() {
                return Err(Error::invalid(
                    "from",
                    "must be within twelve months of `to`",
                ));
            }
            months.push(month);
            month = month.checked_add(1.month()).map_err(|e| wrong(&e))?;
        }
        if months.is_empty() {
            return Err(Error::invalid("to", "must not be before `from`"));
        }
        let start = zone.day_start(start).map_err(|e| wrong(&e))?;
        let period = Period::new(start, last.end()).map_err(|e| wrong(&e))?;
        Ok((period, months))
    }
}

impl Figures {
    fn of(counts: Option<&Counts>, bill: Option<&Bill>) -> Result<Self> {
        let mut figures = Self::default();
        if let Some(counts) = counts {
            figures.add(counts);
        }
        if let Some(bill) = bill {
            figures.pending = bill.pending;
            let views = bill.sums.iter().map(|(c, sums)| BillView::new(*c, *sums));
            figures.costs = views.collect::<Result<_>>()?;
        }
        Ok(figures)
    }

    fn add(&mut self, counts: &Counts) {
        self.calls_made = self.calls_made.saturating_add(counts.made);
        self.calls_received = self.calls_received.saturating_add(counts.received);
        self.duration_seconds = self.duration_seconds.saturating_add(counts.seconds);
        self.recordings = self.recordings.saturating_add(counts.recordings);
    }
}

/// All months together.
fn total<'a>(
    counts: &BTreeMap<Date, Counts>,
    bills: impl Iterator<Item = &'a Bill>,
) -> Result<Figures> {
    let mut bill = Bill::default();
    for one in bills {
        bill.merge(one)?;
    }
    let mut figures = Figures::of(None, Some(&bill))?;
    for one in counts.values() {
        figures.add(one);
    }
    Ok(figures)
}
