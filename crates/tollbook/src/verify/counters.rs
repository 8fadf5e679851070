//! Counters against the usage events that they count.

use std::collections::HashMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use tollbook_core::metering::BuiltInMeter;
use tollbook_core::money::Quantity;
use uuid::Uuid;

use super::ops::Difference;
use super::snapshot::{settled, snapshot};
use crate::app::App;
use crate::error::{Error, Result};

/// Events of one chunk.
const CHUNK: i64 = 20_000;

/// What events add up to: quantity and events of a meter and month.
type Usage = HashMap<(String, Timestamp), (Quantity, i64)>;
/// Seconds, minutes, calls, messages sent and received of a number mapping and month.
type Numbers = HashMap<(Uuid, Timestamp), [Quantity; 5]>;

#[derive(Default)]
struct Counted {
    usage: Usage,
    numbers: Numbers,
}

/// Recounts the counters of an organization.
pub(super) async fn run(
    app: &App,
    organization: OrganizationId,
    tell: &mut impl FnMut(u64),
) -> Result<Vec<Difference>> {
    let settled = settled();
    let mut counted = Counted::default();
    let mut after = Uuid::nil();
    loop {
        let mut tx = snapshot(app).await?;
        let next = counted.add(&mut tx, organization, after, settled).await?;
        tell(CHUNK.unsigned_abs());
        let Some(next) = next else { break };
        after = next;
    }
    // What came since, and the counters that have it, as of the same moment.
    let mut tx = snapshot(app).await?;
    let mut after = just_below(settled);
    while let Some(next) = counted
        .add(&mut tx, organization, after, Uuid::max())
        .await?
    {
        after = next;
    }
    let mut differences = counted.compare_usage(&mut tx, organization).await?;
    differences.extend(counted.compare_numbers(&mut tx, organization).await?);
    Ok(differences)
}

/// The identifier before one: bounds are exclusive.
pub(super) fn just_below(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_sub(1))
}

pub(super) fn quantity(value: Decimal) -> Result<Quantity> {
    Quantity::try_from(value).map_err(|e| Error::Internal(format!("a stored quantity: {e}")))
}

pub(super) fn sum(a: Quantity, b: Quantity) -> Result<Quantity> {
    a.checked_add(b)
        .map_err(|e| Error::Internal(format!("a sum of quantities: {e}")))
}

impl Counted {
    /// Adds a chunk of events; returns where the next one begins.
    async fn add(
        &mut self,
        tx: &mut PgConnection,
        organization: OrganizationId,
        after: Uuid,
        below: Uuid,
    ) -> Result<Option<Uuid>> {
        let rows = sqlx::query_file!(
            "src/verify/counted.sql",
            organization.uuid(),
            after,
            below,
            CHUNK
        )
        .fetch_all(tx)
        .await?;
        let next = rows.first().and_then(|row| row.next);
        for row in rows {
            let (Some(meter), Some(at)) = (row.meter, row.period_start) else {
                continue;
            };
            let at = at.to_jiff();
            let used = quantity(row.quantity.unwrap_or_default())?;
            if let Some(mapping) = row.mapping_id
                && let Some(changes) = changes(&meter, used, row.minutes, row.calls)?
            {
                let totals = self.numbers.entry((mapping, at)).or_default();
                for (total, change) in totals.iter_mut().zip(changes) {
                    *total = sum(*total, change)?;
                }
            }
            let (total, events) = self.usage.entry((meter, at)).or_default();
            *total = sum(*total, used)?;
            *events = events.saturating_add(row.events.unwrap_or_default());
        }
        Ok(next)
    }

    /// Compares, and forgets what was compared: what is left then has no counter.
    async fn compare_usage(
        &mut self,
        tx: &mut PgConnection,
        organization: OrganizationId,
    ) -> Result<Vec<Difference>> {
        let rows = sqlx::query!(
            r#"select c.meter, c.period_start, c.period_end, c.quantity, c.events,
                 (date_trunc('month', c.period_start at time zone o.zone) + interval '1 month') at time zone o.zone as "month_end!"
             from usage_counters c join organizations o on o.id = c.organization_id
             where c.organization_id = $1 order by c.meter, c.period_start"#,
            organization.uuid(),
        )
        .fetch_all(tx)
        .await?;
        let mut differences = Vec::new();
        let mut note = |key: String, what: &str, expected: String, found: String| {
            if expected != found {
                differences.push(difference(
                    organization,
                    "usage_counters",
                    key,
                    what,
                    expected,
                    found,
                ));
            }
        };
        for row in rows {
            let at = row.period_start.to_jiff();
            let key = format!("{} {at}", row.meter);
            let (total, events) = self.usage.remove(&(row.meter, at)).unwrap_or_default();
            note(
                key.clone(),
                "quantity",
                total.to_string(),
                quantity(row.quantity)?.to_string(),
            );
            note(
                key.clone(),
                "events",
                events.to_string(),
                row.events.to_string(),
            );
            let (end, month_end) = (row.period_end.to_jiff(), row.month_end.to_jiff());
            note(key, "period_end", month_end.to_string(), end.to_string());
        }
        for ((meter, at), (total, _)) in self.usage.drain() {
            note(
                format!("{meter} {at}"),
                "counter",
                total.to_string(),
                "none".into(),
            );
        }
        Ok(differences)
    }

    async fn compare_numbers(
        &mut self,
        tx: &mut PgConnection,
        organization: OrganizationId,
    ) -> Result<Vec<Difference>> {
        const COLUMNS: [&str; 5] = [
            "voice_seconds",
            "voice_minutes",
            "voice_calls",
            "sms_sent",
            "sms_received",
        ];
        let rows = sqlx::query!(
            "select id, mapping_id, period_start, voice_seconds, voice_minutes, voice_calls, sms_sent, sms_received
             from number_counters where organization_id = $1 order by mapping_id, period_start",
            organization.uuid(),
        )
        .fetch_all(tx)
        .await?;
        let mut differences = Vec::new();
        for row in rows {
            let place = (row.mapping_id, row.period_start.to_jiff());
            let expected = self.numbers.remove(&place).unwrap_or_default();
            let found = [
                row.voice_seconds,
                row.voice_minutes,
                row.voice_calls,
                row.sms_sent,
                row.sms_received,
            ];
            for ((what, expected), found) in COLUMNS.into_iter().zip(expected).zip(found) {
                let (expected, found) = (expected.to_string(), found.to_string());
                if expected != found {
                    let key = row.id.to_string();
                    differences.push(difference(
                        organization,
                        "number_counters",
                        key,
                        what,
                        expected,
                        found,
                    ));
                }
            }
        }
        for ((mapping, at), totals) in self.numbers.drain() {
            let key = format!("mapping {mapping} {at}");
            let expected = totals.map(|it| it.to_string()).join(", ");
            differences.push(difference(
                organization,
                "number_counters",
                key,
                "counter",
                expected,
                "none".into(),
            ));
        }
        Ok(differences)
    }
}

/// What usage of a meter adds to the counters of a number; `None` if it is not counted there. A voice log is a call of
/// which not everything was taken back.
fn changes(
    meter: &str,
    used: Quantity,
    minutes: Option<Decimal>,
    calls: Option<i64>,
) -> Result<Option<[Quantity; 5]>> {
    let zero = Quantity::ZERO;
    let meter: Option<BuiltInMeter> = meter.parse().ok();
    Ok(match meter {
        Some(BuiltInMeter::CallDurationSeconds) => {
            let calls = Quantity::try_from_units(calls.unwrap_or_default())
                .map_err(|e| Error::Internal(format!("a count: {e}")))?;
            Some([
                used,
                quantity(minutes.unwrap_or_default())?,
                calls,
                zero,
                zero,
            ])
        }
        Some(BuiltInMeter::SmsSent) => Some([zero, zero, zero, used, zero]),
        Some(BuiltInMeter::SmsReceived) => Some([zero, zero, zero, zero, used]),
        _ => None,
    })
}

pub(super) fn difference(
    organization: OrganizationId,
    table: &str,
    key: String,
    what: &str,
    expected: String,
    found: String,
) -> Difference {
    Difference {
        organization: Some(organization),
        table: table.to_owned(),
        key,
        what: what.to_owned(),
        expected,
        found,
    }
}
