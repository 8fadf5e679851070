-- Versions of price decks after $2, of the seller $1: each has as many entries as were imported.
with chunk as materialized (
    select * from deck_versions where seller_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'deck_versions' as place, v.id::text as key, 'entry_count' as what, e.count::text as expected, v.entry_count::text as found
    from chunk v
    cross join lateral (select count(*) as count from deck_entries e where e.seller_id = v.seller_id and e.version_id = v.id) e
    where e.count <> v.entry_count
) w on true
