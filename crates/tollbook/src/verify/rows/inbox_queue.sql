-- Webhooks after $1 that wait to be interpreted: each is stored.
-- all organizations: the inbox is the platform's
with chunk as materialized (
    select inbox_id as id, seq, received_at from inbox_queue where inbox_id > $1 order by inbox_id limit $2
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $2::bigint - 1 limit 1) as next) n
left join (
    select 'inbox_queue' as place, q.seq::text as key, 'inbox_id' as what, 'a webhook' as expected, q.id::text as found
    from chunk q where not exists (select from inbox i where i.received_at = q.received_at and i.id = q.id)
) w on true
