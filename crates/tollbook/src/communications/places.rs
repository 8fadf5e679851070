//! Where communications lie in time: lists are read by place, and what is there is read by id.
//!
//! An admin's list is driven from the things themselves, a member's from what they may see: a quiet member of a busy
//! organization would otherwise wait for rows that are not theirs.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{OrganizationId, UserId};
use uuid::Uuid;

use super::filter::{Filter, Kind, People};
use crate::error::{Error, Result};

/// A place in the list: newest first, and by id among those of the same instant.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct Place {
    pub(crate) at: Timestamp,
    pub(crate) id: Uuid,
}

/// At most `limit` places after `after`, newest first, with their kinds. Reads as `actor`, who is that of `tx`.
pub(crate) async fn places(
    tx: &mut PgConnection,
    actor: &Actor,
    organization: OrganizationId,
    filter: &Filter,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<(Place, Kind)>> {
    // Which filters are set decides which index serves: each combination deserves a plan of its own.
    sqlx::query!("set local plan_cache_mode = force_custom_plan")
        .execute(&mut *tx)
        .await?;
    let bounds = Bounds::new(filter, after, limit)?;
    let mut found = Vec::new();
    for kind in [Kind::Call, Kind::Message, Kind::Voicemail] {
        if !filter.admits(kind) {
            continue;
        }
        let rows = match (kind, member(actor)) {
            (Kind::Call, None) => calls(tx, organization, &bounds).await?,
            (Kind::Call, Some(user)) => calls_of(tx, organization, user, &bounds).await?,
            (Kind::Message, None) => messages(tx, organization, &bounds).await?,
            (Kind::Message, Some(user)) => messages_of(tx, organization, user, &bounds).await?,
            (Kind::Voicemail, None) => voicemails(tx, organization, &bounds).await?,
            (Kind::Voicemail, Some(user)) => voicemails_of(tx, organization, user, &bounds).await?,
        };
        found.extend(rows.into_iter().map(|row| {
            (
                Place {
                    at: row.at.to_jiff(),
                    id: row.id,
                },
                kind,
            )
        }));
    }
    found.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

fn member(actor: &Actor) -> Option<UserId> {
    match actor {
        Actor::Member { user, .. } => Some(*user),
        Actor::Platform { .. } | Actor::Admin { .. } | Actor::Portal { .. } => None,
    }
}

struct Row {
    at: jiff_sqlx::Timestamp,
    id: Uuid,
}

/// The filter as parameters.
struct Bounds {
    before_at: jiff_sqlx::Timestamp,
    before_id: Uuid,
    from: jiff_sqlx::Timestamp,
    limit: i64,
    direction: Option<&'static str>,
    phase: Option<&'static str>,
    outcomes: Option<Vec<String>>,
    statuses: Option<Vec<String>>,
    number: Option<Uuid>,
    customer: Option<Uuid>,
    people: Option<People>,
}

impl Bounds {
    fn new(filter: &Filter, after: Option<Place>, limit: i64) -> Result<Self> {
        // Long before the first call, and long after the last, within what the database can write.
        let far =
            |second| Timestamp::from_second(second).map_err(|e| Error::Internal(e.to_string()));
        let (past, future) = (far(-62_135_596_800)?, far(253_370_764_800)?);
        let to = Place {
            at: filter.to.unwrap_or(future),
            id: Uuid::nil(),
        };
        let before = after.map_or(to, |after| after.min(to));
        let names = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
        Ok(Self {
            before_at: before.at.min(future).to_sqlx(),
            before_id: before.id,
            from: filter.from.unwrap_or(past).max(past).to_sqlx(),
            limit,
            direction: filter
                .direction
                .map(tollbook_core::calls::Direction::as_str),
            phase: filter.phase.map(tollbook_core::calls::Phase::as_str),
            outcomes: filter
                .outcomes
                .as_ref()
                .map(|all| names(all.iter().map(|one| one.as_str()).collect())),
            statuses: filter
                .statuses
                .as_ref()
                .map(|all| names(all.iter().map(|one| one.as_str()).collect())),
            number: filter.number.map(Uuid::from),
            customer: filter.customer.map(Uuid::from),
            people: filter.people.clone(),
        })
    }

    fn people(&self) -> (bool, People) {
        (
            self.people.is_some(),
            self.people.clone().unwrap_or_default(),
        )
    }
}

async fn calls(
    tx: &mut PgConnection,
    organization: OrganizationId,
    b: &Bounds,
) -> Result<Vec<Row>> {
    let (is_search, people) = b.people();
    let [(from, past), (from_too, past_too)] = people.numbers;
    Ok(sqlx::query_as!(
        Row,
        r#"select c.started_at as at, c.id from calls c
         where c.organization_id = $1 and c.merged_into_id is null
             and (c.started_at, c.id) < ($2, $3) and c.started_at >= $4
             and ($5::text is null or c.direction = $5) and ($6::text is null or c.state = $6)
             and ($7::text[] is null or c.outcome = any ($7))
             and ($8::uuid is null or c.phone_number_id = $8) and ($9::uuid is null or c.customer_id = $9)
             and (not $10 or c.customer_id = any ($11) or (c.external_party >= $12 and c.external_party < $13)
                 or (c.external_party >= $14 and c.external_party < $15))
         order by c.started_at desc, c.id desc limit $16"#,
        organization.uuid(), b.before_at as _, b.before_id, b.from as _, b.direction, b.phase, b.outcomes.as_deref(), b.number, b.customer,
        is_search, &people.customers, from, past, from_too, past_too, b.limit,
    )
    .fetch_all(tx)
    .await?)
}

async fn calls_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
    b: &Bounds,
) -> Result<Vec<Row>> {
    let (is_search, people) = b.people();
    let [(from, past), (from_too, past_too)] = people.numbers;
    Ok(sqlx::query_as!(
        Row,
        r#"select v.started_at as at, v.call_id as id from call_viewers v
         join calls c on c.organization_id = v.organization_id and c.id = v.call_id
         where v.organization_id = $1 and v.user_id = $17 and c.merged_into_id is null
             and (v.started_at, v.call_id) < ($2, $3) and v.started_at >= $4
             and ($5::text is null or c.direction = $5) and ($6::text is null or c.state = $6)
             and ($7::text[] is null or c.outcome = any ($7))
             and ($8::uuid is null or c.phone_number_id = $8) and ($9::uuid is null or c.customer_id = $9)
             and (not $10 or c.customer_id = any ($11) or (c.external_party >= $12 and c.external_party < $13)
                 or (c.external_party >= $14 and c.external_party < $15))
         order by v.started_at desc, v.call_id desc limit $16"#,
        organization.uuid(), b.before_at as _, b.before_id, b.from as _, b.direction, b.phase, b.outcomes.as_deref(), b.number, b.customer,
        is_search, &people.customers, from, past, from_too, past_too, b.limit, user.uuid(),
    )
    .fetch_all(tx)
    .await?)
}

async fn messages(
    tx: &mut PgConnection,
    organization: OrganizationId,
    b: &Bounds,
) -> Result<Vec<Row>> {
    let (is_search, people) = b.people();
    let [(from, past), (from_too, past_too)] = people.numbers;
    Ok(sqlx::query_as!(
        Row,
        r#"select m.occurred_at as at, m.id from messages m
         where m.organization_id = $1
             and (m.occurred_at, m.id) < ($2, $3) and m.occurred_at >= $4
             and ($5::text is null or m.direction = $5) and ($6::text[] is null or m.status = any ($6))
             and ($7::uuid is null or m.phone_number_id = $7) and ($8::uuid is null or m.customer_id = $8)
             and (not $9 or m.customer_id = any ($10) or (m.external_party >= $11 and m.external_party < $12)
                 or (m.external_party >= $13 and m.external_party < $14))
         order by m.occurred_at desc, m.id desc limit $15"#,
        organization.uuid(), b.before_at as _, b.before_id, b.from as _, b.direction, b.statuses.as_deref(), b.number, b.customer,
        is_search, &people.customers, from, past, from_too, past_too, b.limit,
    )
    .fetch_all(tx)
    .await?)
}

async fn messages_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
    b: &Bounds,
) -> Result<Vec<Row>> {
    let (is_search, people) = b.people();
    let [(from, past), (from_too, past_too)] = people.numbers;
    Ok(sqlx::query_as!(
        Row,
        r#"select v.occurred_at as at, v.message_id as id from message_viewers v
         join messages m on m.organization_id = v.organization_id and m.id = v.message_id
         where v.organization_id = $1 and v.user_id = $16
             and (v.occurred_at, v.message_id) < ($2, $3) and v.occurred_at >= $4
             and ($5::text is null or m.direction = $5) and ($6::text[] is null or m.status = any ($6))
             and ($7::uuid is null or m.phone_number_id = $7) and ($8::uuid is null or m.customer_id = $8)
             and (not $9 or m.customer_id = any ($10) or (m.external_party >= $11 and m.external_party < $12)
                 or (m.external_party >= $13 and m.external_party < $14))
         order by v.occurred_at desc, v.message_id desc limit $15"#,
        organization.uuid(), b.before_at as _, b.before_id, b.from as _, b.direction, b.statuses.as_deref(), b.number, b.customer,
        is_search, &people.customers, from, past, from_too, past_too, b.limit, user.uuid(),
    )
    .fetch_all(tx)
    .await?)
}

async fn voicemails(
    tx: &mut PgConnection,
    organization: OrganizationId,
    b: &Bounds,
) -> Result<Vec<Row>> {
    let (is_search, people) = b.people();
    let [(from, past), (from_too, past_too)] = people.numbers;
    Ok(sqlx::query_as!(
        Row,
        r#"select v.occurred_at as at, v.id from voicemails v
         join calls c on c.organization_id = v.organization_id and c.id = v.call_id
         where v.organization_id = $1
             and (v.occurred_at, v.id) < ($2, $3) and v.occurred_at >= $4
             and ($5::uuid is null or c.phone_number_id = $5) and ($6::uuid is null or c.customer_id = $6)
             and (not $7 or c.customer_id = any ($8) or (c.external_party >= $9 and c.external_party < $10)
                 or (c.external_party >= $11 and c.external_party < $12))
         order by v.occurred_at desc, v.id desc limit $13"#,
        organization.uuid(), b.before_at as _, b.before_id, b.from as _, b.number, b.customer,
        is_search, &people.customers, from, past, from_too, past_too, b.limit,
    )
    .fetch_all(tx)
    .await?)
}

async fn voicemails_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
    b: &Bounds,
) -> Result<Vec<Row>> {
    let (is_search, people) = b.people();
    let [(from, past), (from_too, past_too)] = people.numbers;
    Ok(sqlx::query_as!(
        Row,
        r#"select w.occurred_at as at, w.voicemail_id as id from voicemail_viewers w
         join voicemails v on v.organization_id = w.organization_id and v.id = w.voicemail_id
         join calls c on c.organization_id = v.organization_id and c.id = v.call_id
         where w.organization_id = $1 and w.user_id = $14
             and (w.occurred_at, w.voicemail_id) < ($2, $3) and w.occurred_at >= $4
             and ($5::uuid is null or c.phone_number_id = $5) and ($6::uuid is null or c.customer_id = $6)
             and (not $7 or c.customer_id = any ($8) or (c.external_party >= $9 and c.external_party < $10)
                 or (c.external_party >= $11 and c.external_party < $12))
         order by w.occurred_at desc, w.voicemail_id desc limit $13"#,
        organization.uuid(), b.before_at as _, b.before_id, b.from as _, b.number, b.customer,
        is_search, &people.customers, from, past, from_too, past_too, b.limit, user.uuid(),
    )
    .fetch_all(tx)
    .await?)
}
