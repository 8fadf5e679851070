-- Charges after $2 that price decks priced, those in force: each has the price of the longest prefix of its number in the
-- version of the deck that is in force at its time. What waits to be rated again is not looked at.
with chunk as materialized (
    select * from charges where organization_id = $1 and id > $2 order by id limit $3
), priced as (
    select c.id, c.seller_id, c.unit_price, c.occurred_at, c.trace #>> '{destination,deck}' as deck,
        ltrim(coalesce(k.external_party, z.external_e164), '+') as digits
    from chunk c
    join usage_events u on u.organization_id = $1 and u.id = c.usage_event_id
    left join calls k on k.organization_id = $1 and k.id = u.call_id
    left join call_authorizations z on z.organization_id = $1 and z.id = case
        when u.resource_type = 'authorization' and u.resource_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then u.resource_id::uuid end
    where c.trace #>> '{destination,deck}' is not null and c.reverses_id is null
        and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id)
        and not exists (select from rating_queue q
            join usage_events e on e.organization_id = $1 and e.id = q.usage_event_id
            where q.organization_id = $1 and q.account_id = c.account_id and coalesce(e.corrects_id, e.id) = c.usage_event_id)
        and not exists (select from jobs j
            where j.kind = 'rate_deck_again' and j.state in ('waiting', 'running') and j.payload ->> 'deck' = c.trace #>> '{destination,deck}')
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'charges' as place, c.id::text as key, 'price of the deck ' || c.deck as what,
        coalesce(trim_scale(e.price)::text, 'none') as expected, trim_scale(c.unit_price)::text as found
    from priced c
    left join lateral (
        select v.id from price_decks d
        join deck_versions v on v.seller_id = d.seller_id and v.deck_id = d.id
        where d.seller_id = c.seller_id and d.key = c.deck and v.effective_from <= c.occurred_at
        order by v.effective_from desc, v.version desc limit 1
    ) v on true
    left join lateral (
        select e.price from generate_series(1, length(c.digits)) n (len)
        join deck_entries e on e.seller_id = c.seller_id and e.version_id = v.id and e.prefix = left(c.digits, n.len)
        order by n.len desc limit 1
    ) e on true
    where e.price is distinct from c.unit_price
) w on true
