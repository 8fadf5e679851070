//! What is on the live page: calls that are not over, the last that are, the team, and the day in figures.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::Phase;
use tollbook_core::ids::{CallId, OrganizationId, UserId};
use tollbook_core::phone::Party;
use uuid::Uuid;

use super::elements::{Element, Look, element};
use super::moment::{Moments, moments};
use super::view::live::{Agent, CostCell, Ticking, Tiles};
use crate::app::App;
use crate::communications::{self, Filter, Kind};
use crate::error::{Error, Result};
use crate::pages::chart::sparkline::Sparkline;
use crate::pages::duration;
use crate::pages::phone::Phone;

/// Calls that are over, on the page.
const ENDED_MAX: i64 = 20;
/// A call that is answered within this time is answered well.
const SERVICE_SECONDS: i64 = 20;

/// The calls that are not over and that the reader of `tx` may see, oldest first.
pub(crate) async fn open_calls(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!(
        "select id from calls where organization_id = $1 and state <> 'ended' and merged_into_id is null order by started_at, id",
        organization.uuid(),
    )
    .fetch_all(tx)
    .await?)
}

/// The calls of the page, as elements: ringing and talking oldest first, then those that are over.
pub(crate) async fn elements(
    tx: &mut PgConnection,
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    look: impl FnOnce(&Moments) -> Look,
) -> Result<Vec<Element>> {
    let mut ids = open_calls(tx, organization).await?;
    let over = Filter {
        kind: Some(Kind::Call),
        phase: Some(Phase::Ended),
        ..Filter::default()
    };
    let over = communications::places(tx, actor, organization, &over, None, ENDED_MAX).await?;
    ids.extend(over.into_iter().map(|(place, _)| place.id));
    let moments = moments(tx, app, actor, organization, &ids).await?;
    let look = look(&moments);
    let shown = ids
        .iter()
        .filter_map(|id| moments.calls.get(&CallId::new(*id)));
    Ok(shown
        .map(|moment| element(&look, &moments, moment))
        .collect())
}

/// Somebody of the team.
#[derive(Debug, Clone)]
pub(crate) struct Colleague {
    user: UserId,
    name: String,
    /// With whom they talk, and since when.
    busy: Option<(Option<String>, Party, Timestamp)>,
}

/// The team as the reader of `tx` may see it: an admin all who have a number, a member themselves and those whose calls
/// they see.
pub(crate) async fn team(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> Result<Vec<Colleague>> {
    let rows = sqlx::query!(
        r#"select u.id, coalesce(nullif(u.name, ''), u.email) as "name!", c.answered_at as "since?", c.external_party as "party?",
             k.name as "customer?"
         from (
             select user_id from assignments where organization_id = $1 and ends_at is null
             union
             select answered_by from calls where organization_id = $1 and state = 'in_progress' and merged_into_id is null and answered_by is not null
         ) m
         join users u on u.id = m.user_id
         left join lateral (
             select answered_at, external_party, customer_id from calls
             where organization_id = $1 and state = 'in_progress' and merged_into_id is null and answered_by = u.id
             order by answered_at desc limit 1
         ) c on true
         left join customers k on k.organization_id = $1 and k.id = c.customer_id
         where u.disabled_at is null
         order by c.answered_at is null desc, 2, 1"#,
        organization.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Colleague {
            user: row.id.into(),
            name: row.name,
            busy: row.since.map(|since| {
                let party = Party::read(row.party.as_deref().unwrap_or_default());
                (
                    row.customer.filter(|name| !name.is_empty()),
                    party,
                    since.to_jiff(),
                )
            }),
        })
        .collect())
}

/// A colleague as an element.
pub(crate) fn agent(look: &Look, colleague: &Colleague) -> Agent {
    let text = look.viewer.text;
    let call = colleague.busy.as_ref().map(|(customer, party, since)| {
        let with = customer.clone().or_else(|| {
            let phone = Phone::of(party, &look.country)?;
            Some(phone.text().to_owned())
        });
        let with = with.unwrap_or_else(|| text.say("party-anonymous").to_string());
        (with, Ticking::new(*since, look.viewer.now))
    });
    Agent {
        text,
        user_id: colleague.user.to_string(),
        name: colleague.name.clone(),
        call,
    }
}

/// The day so far: calls that came in since its first instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Day {
    waiting: u64,
    talking: u64,
    answered: u64,
    answered_by_hour: Vec<u64>,
    missed: u64,
    waited_seconds: u64,
    talked_seconds: u64,
    answered_well: u64,
}

/// Counts the calls since `start` that the reader of `tx`, who is `actor`, may see.
pub(crate) async fn day(
    tx: &mut PgConnection,
    actor: &Actor,
    organization: OrganizationId,
    start: Timestamp,
    now: Timestamp,
) -> Result<Day> {
    let member = match actor {
        Actor::Member { user, .. } => Some(user.uuid()),
        Actor::Platform { .. } | Actor::Admin { .. } | Actor::Portal { .. } => None,
    };
    sqlx::query!("set local plan_cache_mode = force_custom_plan")
        .execute(&mut *tx)
        .await?;
    let rows = sqlx::query!(
        r#"select floor(extract(epoch from c.started_at - $2) / 3600)::bigint as "hour!",
             count(*) filter (where c.state in ('queued', 'ringing')) as "waiting!",
             count(*) filter (where c.state = 'in_progress') as "talking!",
             count(*) filter (where c.answered_at is not null) as "answered!",
             count(*) filter (where c.outcome in ('missed', 'abandoned', 'voicemail')) as "missed!",
             coalesce(sum(extract(epoch from c.answered_at - c.started_at)), 0)::bigint as "waited!",
             count(*) filter (where c.answered_at <= c.started_at + make_interval(secs => $4::bigint::double precision)) as "well!",
             sum(c.billable_seconds)::bigint as "talked!"
         from calls c
         where c.organization_id = $1 and c.started_at >= $2 and c.direction = 'incoming' and c.merged_into_id is null
             and ($3::uuid is null or exists (select from call_viewers v
                 where v.organization_id = $1 and v.user_id = $3 and v.started_at = c.started_at and v.call_id = c.id))
         group by 1 order by 1"#,
        organization.uuid(),
        start.to_sqlx() as _,
        member,
        SERVICE_SECONDS,
    )
    .fetch_all(tx)
    .await?;
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    let hours = u64::try_from(now.duration_since(start).as_hours()).unwrap_or(0);
    let mut day = Day {
        answered_by_hour: vec![
            0;
            usize::try_from(hours)
                .unwrap_or(0)
                .min(25)
                .saturating_add(1)
        ],
        ..Day::default()
    };
    for row in rows {
        day.waiting += number(row.waiting);
        day.talking += number(row.talking);
        day.answered += number(row.answered);
        day.missed += number(row.missed);
        day.waited_seconds += number(row.waited);
        day.talked_seconds += number(row.talked);
        day.answered_well += number(row.well);
        let hour = usize::try_from(row.hour).ok();
        if let Some(slot) = hour.and_then(|hour| day.answered_by_hour.get_mut(hour)) {
            *slot = number(row.answered);
        }
    }
    Ok(day)
}

/// The first instant of the viewer's day.
pub(crate) fn day_start(zone: &TimeZone, now: Timestamp) -> Result<Timestamp> {
    let start = now.to_zoned(zone.clone()).start_of_day();
    Ok(start
        .map_err(|e| Error::Internal(format!("the day cannot be told: {e}")))?
        .timestamp())
}

/// The figures above the calls.
pub(crate) fn tiles(look: &Look, day: &Day, team: &[Colleague]) -> Tiles {
    let text = look.viewer.text;
    let average = |sum: u64, count: u64| sum.checked_div(count).map(duration::clock);
    let busy = team.iter().filter(|one| one.busy.is_some()).count();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let ended = day.answered.saturating_sub(day.talking);
    Tiles {
        text,
        waiting: day.waiting,
        talking: day.talking,
        answered_today: day.answered,
        answered_by_hour: (day.answered > 0)
            .then(|| Sparkline::new(text.say("tile-answered").to_string(), &day.answered_by_hour)),
        missed_today: day.missed,
        wait_average: average(day.waited_seconds, day.answered),
        handling_average: average(day.talked_seconds, ended),
        service_level_percent: (day.answered_well * 100).checked_div(day.answered + day.missed),
        service_level_seconds: SERVICE_SECONDS.unsigned_abs(),
        agents_available: number(team.len() - busy),
        agents_busy: number(busy),
    }
}

/// What the calls in progress have cost so far, as elements.
pub(crate) fn costs(look: &Look, moments: &Moments) -> Vec<CostCell> {
    let running = moments
        .calls
        .values()
        .filter(|it| it.call.phase == Phase::InProgress);
    running
        .map(|moment| CostCell {
            text: look.viewer.text,
            id: moment.call.id.to_string(),
            cost: super::elements::price_of(look, moment),
        })
        .collect()
}

/// Whether the organization has a number that the reader of `tx` may see.
pub(crate) async fn has_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from phone_numbers where organization_id = $1) as "exists!""#,
        organization.uuid(),
    )
    .fetch_one(tx)
    .await?)
}
