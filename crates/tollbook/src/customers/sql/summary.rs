//! The statement behind summaries.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::phone::E164;
use tollbook_core::subscriptions::State;
use tollbook_core::time::{Period, Seconds};
use uuid::Uuid;

use super::super::summary::{Contract, Hours, Summary};

struct Row {
    id: Uuid,
    name: String,
    is_prospect: bool,
    numbers: Vec<String>,
    subscription_id: Option<Uuid>,
    state: Option<String>,
    starts_at: Option<jiff_sqlx::Timestamp>,
    ends_at: Option<jiff_sqlx::Timestamp>,
    auto_renew: Option<bool>,
    zone: Option<String>,
    plan: Option<String>,
    period_start: Option<jiff_sqlx::Timestamp>,
    period_end: Option<jiff_sqlx::Timestamp>,
    granted: Option<i64>,
    used: Option<i64>,
    expires_at: Option<jiff_sqlx::Timestamp>,
}

pub(in super::super) async fn summaries(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
    now: Timestamp,
) -> sqlx::Result<Vec<Summary>> {
    let customers: Vec<Uuid> = customers.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_file_as!(
        Row,
        "src/customers/sql/summaries.sql",
        organization.uuid(),
        &customers,
        now.to_sqlx() as _,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(|row| row.into_summary(now)).collect()
}

impl Row {
    fn into_summary(self, now: Timestamp) -> sqlx::Result<Summary> {
        let numbers = self.numbers.iter().map(|it| it.parse::<E164>());
        let numbers = numbers.collect::<Result<_, _>>().map_err(decode)?;
        let hours = match (self.granted, self.used, self.expires_at) {
            (Some(granted), Some(used), Some(expires_at)) => Some(Hours {
                granted: seconds(granted),
                used: seconds(used),
                expires_at: expires_at.into(),
            }),
            _ => None,
        };
        Ok(Summary {
            customer: self.id.into(),
            is_prospect: self.is_prospect,
            numbers,
            hours,
            subscription: self.contract(now)?,
            name: Some(self.name).filter(|name| !name.is_empty()),
        })
    }

    fn contract(&self, now: Timestamp) -> sqlx::Result<Option<Contract>> {
        let (Some(id), Some(state), Some(starts_at), Some(auto_renew), Some(zone)) = (
            self.subscription_id,
            &self.state,
            self.starts_at,
            self.auto_renew,
            &self.zone,
        ) else {
            return Ok(None);
        };
        let state: State = state.parse().map_err(decode)?;
        let ends_at = self.ends_at.map(Timestamp::from);
        let period = match (self.period_start, self.period_end) {
            (Some(start), Some(end)) => Period::new(start.into(), end.into()).ok(),
            _ => None,
        };
        Ok(Some(Contract {
            id: id.into(),
            plan: self.plan.clone().unwrap_or_default(),
            state,
            is_in_force: state.is_in_force() && ends_at.is_none_or(|end| end > now),
            starts_at: starts_at.into(),
            ends_at,
            period,
            auto_renew,
            zone: zone.parse().map_err(decode)?,
        }))
    }
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn seconds(value: i64) -> Seconds {
    Seconds::new(u32::try_from(value.max(0)).unwrap_or(u32::MAX))
}
