-- Voicemails after $2: each is recorded as used once; who may see the call may hear it, and it is in their lists.
with chunk as materialized (
    select * from voicemails where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'voicemails' as place, m.id::text as key, 'usage events of the voicemail' as what, '1' as expected, trim_scale(u.sum)::text as found
    from chunk m
    left join call_legs l on l.organization_id = $1 and l.id = m.leg_id
    cross join lateral (
        select coalesce(sum(u.quantity), 0) as sum from usage_events f
        join usage_events u on u.organization_id = $1 and (u.id = f.id or u.corrects_id = f.id)
        where f.organization_id = $1 and f.corrects_id is null
            and (f.key_digest = substr(sha256(convert_to(m.provider || ':voicemail:' || m.sid, 'UTF8')), 1, 16)
                -- Given to somebody else, it is recorded under keys of its own.
                or f.resource_type = 'call' and f.call_id is null and f.resource_id = l.sid
                    and starts_with(f.idempotency_key, m.provider || ':voicemail:' || m.sid || '@'))
    ) u
    where u.sum <> 1
    union all
    select 'voicemails', m.id::text, 'viewer_ids', array_to_string(c.viewer_ids, ', '), array_to_string(m.viewer_ids, ', ')
    from chunk m join calls c on c.organization_id = $1 and c.id = m.call_id
    where m.viewer_ids <> c.viewer_ids
    union all
    select 'voicemail_viewers', m.id::text, 'user_id', array_to_string(v.expected, ', '), array_to_string(v.found, ', ')
    from chunk m
    cross join lateral (select array(select distinct unnest(m.viewer_ids) order by 1) as expected,
        array(select v.user_id from voicemail_viewers v where v.organization_id = $1 and v.voicemail_id = m.id and v.occurred_at = m.occurred_at order by 1) as found,
        (select count(*) from voicemail_viewers v where v.organization_id = $1 and v.voicemail_id = m.id) as listed) v
    where v.expected <> v.found or v.listed <> cardinality(v.found)
) w on true
