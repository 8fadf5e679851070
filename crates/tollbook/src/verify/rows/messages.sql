-- Messages after $2: each that left or arrived is recorded as used once; its viewers are listed.
with chunk as materialized (
    select * from messages where organization_id = $1 and id > $2 order by id limit $3
), recorded as (
    select m.id, case when m.status in ('sent', 'delivered', 'undelivered', 'received') then 1 else 0 end as expected,
        coalesce((
            select sum(u.quantity) from usage_events f
            join usage_events u on u.organization_id = $1 and (u.id = f.id or u.corrects_id = f.id)
            where f.organization_id = $1 and f.key_digest = substr(sha256(convert_to(
                m.provider || ':message:' || m.sid || case m.direction when 'incoming' then ':received' else ':sent' end, 'UTF8')), 1, 16)
        ), 0) as found
    from chunk m
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'messages' as place, r.id::text as key, 'usage events of the message' as what, r.expected::text as expected, trim_scale(r.found)::text as found
    from recorded r where r.expected <> r.found
    union all
    select 'message_viewers', m.id::text, 'user_id', array_to_string(v.expected, ', '), array_to_string(v.found, ', ')
    from chunk m
    cross join lateral (select array(select distinct unnest(m.viewer_ids) order by 1) as expected,
        array(select v.user_id from message_viewers v where v.organization_id = $1 and v.message_id = m.id and v.occurred_at = m.occurred_at order by 1) as found,
        (select count(*) from message_viewers v where v.organization_id = $1 and v.message_id = m.id) as listed) v
    where v.expected <> v.found or v.listed <> cardinality(v.found)
) w on true
