//! Statements on provider costs.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{CallId, IntegrationId, OrganizationId, ProviderCostId};
use tollbook_core::money::Currency;
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::Subject;
use crate::calls::Source;
use crate::error::{Error, Result};

/// Pending costs of the calls among these that have ended; `ids` are for those that are new.
pub(super) async fn expect_calls(
    tx: &mut PgConnection,
    calls: &[(OrganizationId, CallId)],
    ids: &[Uuid],
) -> sqlx::Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let (organizations, calls): (Vec<Uuid>, Vec<Uuid>) =
        calls.iter().map(|(o, c)| (o.uuid(), c.uuid())).unzip();
    sqlx::query!(
        "insert into provider_costs (organization_id, id, bearer, provider, subject, subject_id, occurred_at, integration_id, sid, ask_at)
         select c.organization_id, k.id, case when i.organization_id is null then 'platform' else 'organization' end, c.provider,
             'call', c.id, c.started_at, c.integration_id, c.conversation_sid, c.ended_at + interval '2 minutes'
         from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (organization_id, call_id, id)
         join calls c on c.organization_id = k.organization_id and c.id = k.call_id
         join integrations i on i.id = c.integration_id
         where c.state = 'ended'
         order by c.organization_id, c.id
         on conflict (organization_id, subject, subject_id) do nothing",
        &organizations,
        &calls,
        ids,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Pending costs of messages, recordings or voicemails that are known by these provider ids.
pub(super) async fn expect_others(
    tx: &mut PgConnection,
    source: Source,
    subject: Subject,
    records: &[(OrganizationId, &str)],
    ids: &[Uuid],
) -> sqlx::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let (organizations, sids): (Vec<Uuid>, Vec<&str>) =
        records.iter().map(|(o, sid)| (o.uuid(), *sid)).unzip();
    sqlx::query!(
        "with k as (
             select * from unnest($1::uuid[], $2::text[], $3::uuid[]) as k (organization_id, sid, id)
         ), found as (
             select m.organization_id, k.id, m.id as subject_id, m.sid, m.occurred_at
             from k join messages m on m.organization_id = k.organization_id and m.integration_id = $6 and m.sid = k.sid
             where $4 = 'message'
             union all
             select r.organization_id, k.id, r.id, r.sid, r.occurred_at + coalesce(r.duration_seconds, 0) * interval '1 second'
             from k join recordings r on r.organization_id = k.organization_id and r.provider = $5 and r.sid = k.sid
             where $4 = 'recording'
             union all
             select v.organization_id, k.id, v.id, v.sid, v.occurred_at + coalesce(v.duration_seconds, 0) * interval '1 second'
             from k join voicemails v on v.organization_id = k.organization_id and v.provider = $5 and v.sid = k.sid
             where $4 = 'voicemail'
         )
         insert into provider_costs (organization_id, id, bearer, provider, subject, subject_id, occurred_at, integration_id, sid, ask_at)
         select f.organization_id, f.id, case when i.organization_id is null then 'platform' else 'organization' end, $5, $4, f.subject_id,
             f.occurred_at, i.id, f.sid, f.occurred_at + interval '2 minutes'
         from found f join integrations i on i.id = $6
         order by f.organization_id, f.subject_id
         on conflict (organization_id, subject, subject_id) do nothing",
        &organizations,
        &sids as &[&str],
        ids,
        subject.as_str(),
        source.provider.as_str(),
        source.integration.uuid(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A price to ask for.
pub(super) struct Asked {
    pub(super) organization: OrganizationId,
    pub(super) id: ProviderCostId,
    pub(super) subject: String,
    pub(super) integration: IntegrationId,
    pub(super) sid: String,
    /// The call turned out to be a part of another.
    pub(super) is_merged: bool,
    /// The number, if it is about a month of one.
    pub(super) number: Option<E164>,
    /// The organization's currency, in which nothing is nothing.
    pub(super) currency: Currency,
}

/// Takes prices that are to be asked for, and says when each would be asked for next: 15 minutes, an hour, six hours and
/// then three days after its end. After that it stays pending, and a person may look. One that is known is asked for
/// this once.
pub(super) async fn claim(tx: &mut PgConnection, now: Timestamp, limit: i64) -> Result<Vec<Asked>> {
    let rows = sqlx::query!(
        r#"update provider_costs p
         set asks = p.asks + 1,
             ask_at = case when p.amount is null then $1::timestamptz
                 + (array['13 minutes', '45 minutes', '5 hours', '18 hours', '1 day', '1 day']::interval[])[p.asks + 1] end
         from (
             select d.organization_id, d.id, c.merged_into_id is not null as is_merged, n.e164, o.currency
             from (select * from provider_costs where ask_at <= $1
                 -- all organizations: asking is the platform's
                 order by ask_at limit $2 for update skip locked) d
             join organizations o on o.id = d.organization_id
             left join calls c on c.organization_id = d.organization_id and c.id = d.subject_id and d.subject = 'call'
             left join number_months t on t.organization_id = d.organization_id and t.id = d.subject_id and d.subject = 'number'
             left join number_mappings m on m.organization_id = t.organization_id and m.id = t.mapping_id
             left join phone_numbers n on n.id = m.phone_number_id
         ) d
         where p.organization_id = d.organization_id and p.id = d.id
         returning p.organization_id, p.id, p.subject, p.integration_id as "integration_id!", p.sid as "sid!",
             d.is_merged as "is_merged!", d.e164 as "number?", coalesce(p.currency, d.currency) as "currency!""#,
        now.to_sqlx() as _,
        limit,
    )
    .fetch_all(tx)
    .await?;
    let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored cost: {e}"));
    rows.into_iter()
        .map(|row| {
            let number = row.number.as_deref().map(str::parse).transpose();
            Ok(Asked {
                organization: row.organization_id.into(),
                id: row.id.into(),
                subject: row.subject,
                integration: row.integration_id.into(),
                sid: row.sid,
                is_merged: row.is_merged,
                number: number.map_err(|e| stored(&e))?,
                currency: row.currency.parse().map_err(|e| stored(&e))?,
            })
        })
        .collect()
}

/// The provider could not be asked: soon again, and this time does not count.
pub(super) async fn ask_again(
    tx: &mut PgConnection,
    asked: &Asked,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update provider_costs set asks = greatest(asks - 1, 0), ask_at = $3 where organization_id = $1 and id = $2",
        asked.organization.uuid(),
        asked.id.uuid(),
        at.to_sqlx() as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}
