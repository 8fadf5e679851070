-- What the usage events after $2 and below $3 add to counters, by mapping, meter and month in the organization's zone.
-- Minutes are started by calls, so an event adds the difference that it makes to those before it in its chain. A call
-- counts once, unless everything of it was taken back.
with chunk as materialized (
    select id, meter, quantity, occurred_at, mapping_id, corrects_id
    from usage_events where organization_id = $1 and id > $2 and id < $3 order by id limit $4
), dated as (
    select c.*, date_trunc('month', c.occurred_at at time zone o.zone) at time zone o.zone as period_start,
        coalesce(b.quantity, 0) as before,
        case when c.corrects_id is null then 0 when b.quantity <> 0 or b.events = 1 then 1 else 0 end as counted_before
    from chunk c
    join organizations o on o.id = $1
    left join lateral (
        select sum(e.quantity) as quantity, count(*) as events from usage_events e
        where c.corrects_id is not null and e.organization_id = $1 and (e.id = c.corrects_id or e.corrects_id = c.corrects_id) and e.id < c.id
    ) b on true
)
select n.next as "next?", d.mapping_id as "mapping_id?", d.meter as "meter?", d.period_start as "period_start?",
    d.quantity as "quantity?", d.events as "events?", d.minutes as "minutes?", d.calls as "calls?"
from (select (select id from chunk order by id offset $4::bigint - 1 limit 1) as next) n
left join (
    select mapping_id, meter, period_start, sum(quantity) as quantity, count(*) as events,
        sum(ceil((before + quantity) / 60) - ceil(before / 60)) as minutes,
        sum(case when corrects_id is null or before + quantity <> 0 then 1 else 0 end - counted_before) as calls
    from dated
    group by mapping_id, meter, period_start
) d on true
