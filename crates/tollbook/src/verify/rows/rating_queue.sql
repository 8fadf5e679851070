-- Usage of accounts after $2 that waits to be rated: it exists, waits for an account that pays for it, in that
-- account's lane.
with chunk as materialized (
    select distinct account_id as id from rating_queue where organization_id = $1 and account_id > $2 order by 1 limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'rating_queue' as place, q.seq::text as key, 'lane' as what,
        (hashtextextended(q.account_id::text, 0) & 63)::text as expected, q.lane::text as found
    from chunk k join rating_queue q on q.organization_id = $1 and q.account_id = k.id
    where q.lane <> hashtextextended(q.account_id::text, 0) & 63
    union all
    select 'rating_queue', q.seq::text, 'account_id', 'an account that pays for the usage', q.account_id::text
    from chunk k join rating_queue q on q.organization_id = $1 and q.account_id = k.id
    left join usage_events u on u.organization_id = $1 and u.id = q.usage_event_id
    where not exists (select from customers c where c.organization_id = $1 and c.id = u.customer_id and c.account_id = q.account_id)
        and not exists (select from accounts a where a.organization_id = $1 and a.payer = 'organization' and a.id = q.account_id and u.id is not null)
) w on true
