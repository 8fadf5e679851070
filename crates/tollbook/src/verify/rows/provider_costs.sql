-- What providers charge, after $2: it is the last price that became known, each price adds what it differs by from the one
-- before, and those of days that are posted are in what was posted of their day.
with chunk as materialized (
    select * from provider_costs where organization_id = $1 and id > $2 order by id limit $3
), prices as (
    select r.*, r.amount - coalesce(lag(r.amount) over earlier, 0) as expected, row_number() over earlier as place, p.provider,
        (r.known_at at time zone 'UTC')::date as day
    from chunk p join provider_prices r on r.organization_id = $1 and r.cost_id = p.id
    window earlier as (partition by r.cost_id order by r.revision)
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'provider_costs' as place, p.id::text as key, 'price' as what,
        coalesce(trim_scale(l.amount) || ' ' || l.currency || ', revision ' || l.revision, 'pending') as expected,
        coalesce(trim_scale(p.amount) || ' ' || p.currency || ', revision ' || p.revision, 'pending') as found
    from chunk p
    left join lateral (
        select r.* from provider_prices r where r.organization_id = $1 and r.cost_id = p.id order by r.revision desc limit 1
    ) l on true
    where (p.amount, p.revision, p.known_at) is distinct from (l.amount, l.revision, l.known_at) or p.currency <> l.currency
    union all
    select 'provider_prices', r.id::text, 'change', trim_scale(r.expected)::text || ' in revision ' || r.place,
        trim_scale(r.change)::text || ' in revision ' || r.revision
    from prices r where r.change <> r.expected or r.revision <> r.place
    union all
    select 'provider_prices', r.id::text, 'what was posted of its day', r.day::text, 'none'
    from prices r
    join cost_postings s on s.organization_id = $1 and s.posted_until > r.day
    where not exists (select from provider_cost_days d where d.organization_id = $1 and d.bearer = r.bearer and d.provider = r.provider
        and d.currency = r.currency and d.day = r.day)
) w on true
