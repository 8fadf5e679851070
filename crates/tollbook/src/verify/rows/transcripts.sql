-- Transcripts of calls after $2: who may see the call may read it.
with chunk as materialized (
    select call_id as id, viewer_ids from transcripts where organization_id = $1 and call_id > $2 order by call_id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'transcripts' as place, m.id::text as key, 'viewer_ids' as what, array_to_string(c.viewer_ids, ', ') as expected, array_to_string(m.viewer_ids, ', ') as found
    from chunk m join calls c on c.organization_id = $1 and c.id = m.id
    where m.viewer_ids <> c.viewer_ids
) w on true
