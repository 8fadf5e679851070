-- Calls after $2: an ended call is billed for what was recorded as its usage; its legs are counted; its viewers are listed.
with chunk as materialized (
    select * from calls where organization_id = $1 and id > $2 order by id limit $3
), recorded as (
    select c.id, coalesce(sum(u.quantity) filter (where u.meter = 'CALL_DURATION_SECONDS'), 0) as seconds,
        coalesce(sum(u.quantity) filter (where u.meter in ('CALL_MADE', 'CALL_RECEIVED')), 0) as calls
    from chunk c
    left join lateral (
        select c.id union all select m.id from calls m where m.organization_id = $1 and m.merged_into_id = c.id
    ) k on true
    left join usage_events u on u.organization_id = $1 and u.call_id = k.id
    where c.state = 'ended' and c.merged_into_id is null
    group by c.id
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'calls' as place, c.id::text as key, 'billable_seconds' as what, trim_scale(r.seconds)::text as expected, c.billable_seconds::text as found
    from chunk c join recorded r on r.id = c.id where r.seconds <> c.billable_seconds
    union all
    select 'calls', c.id::text, 'usage events of the call', '1 call', trim_scale(r.calls) || ' calls'
    from chunk c join recorded r on r.id = c.id where r.calls <> 1
    union all
    select 'calls', c.id::text, 'merged_into_id', 'a call that is not merged itself, with nothing left here', c.merged_into_id::text
    from chunk c
    left join calls m on m.organization_id = $1 and m.id = c.merged_into_id
    where c.merged_into_id is not null and (m.id is null or m.merged_into_id is not null or c.billable_seconds <> 0 or c.viewer_ids <> '{}')
    union all
    select 'calls', c.id::text, 'leg_count', l.count::text, c.leg_count::text
    from chunk c
    cross join lateral (select count(*) from call_legs l where l.organization_id = $1 and l.call_id = c.id) l
    where c.merged_into_id is null and l.count <> c.leg_count
    union all
    select 'call_viewers', c.id::text, 'user_id', array_to_string(v.expected, ', '), array_to_string(v.found, ', ')
    from chunk c
    cross join lateral (select array(select distinct unnest(c.viewer_ids) order by 1) as expected,
        array(select v.user_id from call_viewers v where v.organization_id = $1 and v.call_id = c.id and v.started_at = c.started_at order by 1) as found,
        (select count(*) from call_viewers v where v.organization_id = $1 and v.call_id = c.id) as listed) v
    where v.expected <> v.found or v.listed <> cardinality(v.found)
) w on true
