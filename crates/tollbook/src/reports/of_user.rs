//! What one user has used and what it comes to: summed up before it is joined, so that no call counts for each recording.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{OrganizationId, UserId};
use tollbook_core::money::{Currency, Overflow, Price};
use tollbook_core::time::{Period, Zone};

use crate::app::App;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::caller::OrgMember;
use crate::organizations::BillingMode;

/// A user whose use somebody may see, who is the user or runs the organization.
#[derive(Debug, Clone)]
pub(super) struct Of {
    pub(super) organization: OrganizationId,
    pub(super) user: UserId,
    pub(super) zone: Zone,
    pub(super) currency: Currency,
    pub(super) mode: BillingMode,
}

/// What was used of one kind comes to this, in one month.
struct Row {
    month: jiff_sqlx::Date,
    kind: String,
    currency: Option<String>,
    amount: Option<Decimal>,
    pending: i64,
}

/// Sums of one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) calls: Price,
    pub(super) recordings: Price,
    pub(super) numbers: Price,
}

/// What use comes to, by currency, and how much of it nobody has priced yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bill {
    pub(super) sums: BTreeMap<Currency, Sums>,
    pub(super) pending: i64,
}

/// What was counted in a month.
pub(super) struct Counts {
    pub(super) month: jiff_sqlx::Date,
    pub(super) made: i64,
    pub(super) received: i64,
    pub(super) seconds: i64,
    pub(super) recordings: i64,
}

/// Begins a transaction that reads what `member` may see of a user: members see themselves, admins all. Charges and costs
/// are not for members' eyes otherwise, so it reads for the organization.
pub(super) async fn begin(app: &App, member: &OrgMember, user: UserId) -> Result<(Tx, Of)> {
    let organization = member.organization;
    let actor = Actor::Admin {
        organization,
        user: member.actor.user(),
    };
    let mut tx = app.db.begin(&actor).await?;
    let row = sqlx::query!(
        "select o.zone, o.currency, o.billing_mode from organizations o
         join memberships m on m.organization_id = o.id and m.user_id = $2
         where o.id = $1",
        organization.uuid(),
        user.uuid(),
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(Error::NotFound("user"))?;
    if member.actor.user() != Some(user) && !member.actor.administers(organization) {
        return Err(Error::forbidden("members see what they used themselves"));
    }
    let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored organization: {e}"));
    let of = Of {
        organization,
        user,
        zone: row.zone.parse().map_err(|e| stored(&e))?,
        currency: row.currency.parse().map_err(|e| stored(&e))?,
        mode: row.billing_mode.parse().map_err(|e| stored(&e))?,
    };
    Ok((tx, of))
}

/// What the user's calls, recordings and numbers of a period come to, by the first day of each month: what the platform
/// charges, or what the provider does.
pub(super) async fn bills(
    tx: &mut PgConnection,
    of: &Of,
    period: Period,
) -> Result<BTreeMap<Date, Bill>> {
    let (organization, user) = (of.organization.uuid(), of.user.uuid());
    let (start, end) = (period.start().to_sqlx(), period.end().to_sqlx());
    let zone = of.zone.to_string();
    let rows = match of.mode {
        BillingMode::PassThrough => {
            sqlx::query_file_as!(
                Row,
                "src/reports/user_costs.sql",
                organization,
                user,
                start,
                end,
                zone
            )
            .fetch_all(tx)
            .await?
        }
        BillingMode::Platform => {
            sqlx::query_file_as!(
                Row,
                "src/reports/user_charges.sql",
                organization,
                user,
                start,
                end,
                zone
            )
            .fetch_all(tx)
            .await?
        }
    };
    let mut bills: BTreeMap<Date, Bill> = BTreeMap::new();
    for row in rows {
        bills.entry(row.month.to_jiff()).or_default().add(&row)?;
    }
    Ok(bills)
}

/// How much the user called in a period, by month.
pub(super) async fn counts(tx: &mut PgConnection, of: &Of, period: Period) -> Result<Vec<Counts>> {
    Ok(sqlx::query_file_as!(
        Counts,
        "src/reports/user_counts.sql",
        of.organization.uuid(),
        of.user.uuid(),
        period.start().to_sqlx(),
        period.end().to_sqlx(),
        of.zone.to_string(),
    )
    .fetch_all(tx)
    .await?)
}

/// How many numbers the user has now.
pub(super) async fn numbers(tx: &mut PgConnection, of: &Of) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(distinct phone_number_id) as "count!" from assignments
         where organization_id = $1 and user_id = $2 and ends_at is null"#,
        of.organization.uuid(),
        of.user.uuid(),
    )
    .fetch_one(tx)
    .await?;
    Ok(count)
}

impl Bill {
    fn add(&mut self, row: &Row) -> Result<()> {
        let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored amount: {e}"));
        self.pending = self.pending.saturating_add(row.pending);
        let (Some(currency), Some(amount)) = (&row.currency, row.amount) else {
            return Ok(());
        };
        let sums = self
            .sums
            .entry(currency.parse().map_err(|e| stored(&e))?)
            .or_default();
        let sum = match row.kind.as_str() {
            "call" => &mut sums.calls,
            "recording" => &mut sums.recordings,
            _ => &mut sums.numbers,
        };
        let amount = Price::try_from(amount).map_err(|e| stored(&e))?;
        *sum = sum.checked_add(amount).map_err(|e| stored(&e))?;
        Ok(())
    }
}

/// What use comes to in one currency, as decimals: the calculation of a user's bill.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BillView {
    currency: String,
    call_costs: String,
    /// Voicemails are recordings too.
    recording_costs: String,
    /// Of the months of numbers.
    number_costs: String,
    total: String,
}

impl BillView {
    pub(super) fn new(currency: Currency, sums: Sums) -> Result<Self> {
        let total = sums
            .calls
            .checked_add(sums.recordings)
            .and_then(|sum| sum.checked_add(sums.numbers))
            .map_err(|e| Error::Internal(format!("the sum of a bill: {e}")))?;
        Ok(Self {
            currency: currency.code().to_owned(),
            call_costs: sums.calls.to_string(),
            recording_costs: sums.recordings.to_string(),
            number_costs: sums.numbers.to_string(),
            total: total.to_string(),
        })
    }
}

impl Bill {
    /// Adds another one.
    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        let wrong = |e: Overflow| Error::Internal(format!("the sum of bills: {e}"));
        self.pending = self.pending.saturating_add(other.pending);
        for (currency, sums) in &other.sums {
            let own = self.sums.entry(*currency).or_default();
            own.calls = own.calls.checked_add(sums.calls).map_err(wrong)?;
            own.recordings = own.recordings.checked_add(sums.recordings).map_err(wrong)?;
            own.numbers = own.numbers.checked_add(sums.numbers).map_err(wrong)?;
        }
        Ok(())
    }

    /// The bill in the organization's currency, or in the only one that there is; then the others.
    pub(super) fn views(&self, own: Currency) -> Result<(BillView, Vec<BillView>)> {
        let first = if self.sums.contains_key(&own) {
            own
        } else {
            self.sums.keys().next().copied().unwrap_or(own)
        };
        let others = self.sums.iter().filter(|(currency, _)| **currency != first);
        let others = others.map(|(currency, sums)| BillView::new(*currency, *sums));
        let sums = self.sums.get(&first).copied().unwrap_or_default();
        Ok((BillView::new(first, sums)?, others.collect::<Result<_>>()?))
    }
}
