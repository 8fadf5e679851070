-- Recordings after $2: each is recorded as used once; who may see the call may hear it.
with chunk as materialized (
    select * from recordings where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'recordings' as place, m.id::text as key, 'usage events of the recording' as what, '1' as expected, trim_scale(u.sum)::text as found
    from chunk m
    left join call_legs l on l.organization_id = $1 and l.id = m.leg_id
    cross join lateral (
        select coalesce(sum(u.quantity), 0) as sum from usage_events f
        join usage_events u on u.organization_id = $1 and (u.id = f.id or u.corrects_id = f.id)
        where f.organization_id = $1 and f.corrects_id is null
            and (f.key_digest = substr(sha256(convert_to(m.provider || ':recording:' || m.sid, 'UTF8')), 1, 16)
                -- Given to somebody else, it is recorded under keys of its own.
                or f.resource_type = 'call' and f.call_id is null and f.resource_id = l.sid
                    and starts_with(f.idempotency_key, m.provider || ':recording:' || m.sid || '@'))
    ) u
    where u.sum <> 1
    union all
    select 'recordings', m.id::text, 'viewer_ids', array_to_string(c.viewer_ids, ', '), array_to_string(m.viewer_ids, ', ')
    from chunk m join calls c on c.organization_id = $1 and c.id = m.call_id
    where m.viewer_ids <> c.viewer_ids
) w on true
