//! Thresholds of what is counted and drawn outside of rating: meters and wallets. They are looked at together.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgConnection;
use tollbook_core::ids::CustomerId;

use crate::alerts::{self, AlertKind, NewAlert, Severity};
use crate::error::Result;

/// Thresholds of one look at most.
const PASSED_MAX: i64 = 1_000;

/// Tells of meters that have counted so much in this month, and of wallets that are low since they were topped up last.
pub(crate) async fn watch(tx: &mut PgConnection, now: Timestamp) -> Result<()> {
    let mut raised = meters(tx, now).await?;
    raised.extend(wallets(tx).await?);
    let raised = alerts::raise(tx, &raised, now).await?;
    alerts::tell(tx, raised).await
}

fn shown(number: Decimal) -> String {
    number.normalize().to_string()
}

async fn meters(tx: &mut PgConnection, now: Timestamp) -> Result<Vec<NewAlert>> {
    let rows = sqlx::query!(
        r#"select * from (
             select t.organization_id, t.meter as "meter!", t.at, c.quantity, c.period_start,
                 format('meter:%s:%s:%s', t.meter, extract(epoch from c.period_start)::bigint, trim_scale(t.at)) as "group_key!"
             from usage_thresholds t
             join usage_counters c on c.organization_id = t.organization_id and c.meter = t.meter
                 and c.period_start <= $1 and $1 < c.period_end
             where t.kind = 'meter' and c.quantity >= t.at -- all organizations: the schedule is the platform's
         ) p
         where not exists (select from alerts a where a.organization_id = p.organization_id and a.group_key = p."group_key!")
         order by p.organization_id, p."group_key!" limit $2"#,
        now.to_sqlx(),
        PASSED_MAX,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| NewAlert {
            organization: row.organization_id.into(),
            kind: AlertKind::Meter,
            severity: Severity::Info,
            group_key: row.group_key,
            customer: None,
            subject: row.meter,
            detail: json!({
                "used": shown(row.quantity),
                "limit": shown(row.at),
                "periodStart": row.period_start.to_jiff().to_string(),
            }),
        })
        .collect())
}

/// A wallet is told of once for each top-up: what was low and is filled up may be low again.
async fn wallets(tx: &mut PgConnection) -> Result<Vec<NewAlert>> {
    let rows = sqlx::query!(
        r#"select * from (
             select w.organization_id, w.customer_id, w.currency, w.balance, t.at,
                 format('wallet:%s:%s:%s', w.id, coalesce(m.id::text, ''), trim_scale(t.at)) as "group_key!"
             from usage_thresholds t
             join wallets w on w.organization_id = t.organization_id and w.payer = t.payer
                 and (t.customer_id is null or w.customer_id = t.customer_id)
             left join lateral (
                 select m.id from wallet_movements m
                 where m.organization_id = w.organization_id and m.wallet_id = w.id and m.kind in ('top_up', 'opening')
                 order by m.id desc limit 1
             ) m on true
             where t.kind = 'wallet' and w.balance < t.at -- all organizations: the schedule is the platform's
                 -- A customer's own stand in place of those of all.
                 and (t.customer_id is not null or not exists (
                     select from usage_thresholds o where o.organization_id = w.organization_id and o.kind = 'wallet' and o.customer_id = w.customer_id))
         ) p
         where not exists (select from alerts a where a.organization_id = p.organization_id and a.group_key = p."group_key!")
         order by p.organization_id, p."group_key!" limit $1"#,
        PASSED_MAX,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| NewAlert {
            organization: row.organization_id.into(),
            kind: AlertKind::Wallet,
            severity: Severity::Warning,
            group_key: row.group_key,
            customer: row.customer_id.map(CustomerId::from),
            subject: row.currency,
            detail: json!({ "left": shown(row.balance), "limit": shown(row.at) }),
        })
        .collect())
}
