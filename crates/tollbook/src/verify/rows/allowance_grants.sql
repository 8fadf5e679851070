-- Grants after $2: what was used of each before it came here is what an import says; what was taken away of each is the sum of what was when cycles began; and where a cycle began with a cap,
-- what was left of older grants by then, with what was taken away, is no more than the cap, and no less if there was more.
with chunk as materialized (
    select * from allowance_grants where organization_id = $1 and id > $2 order by id limit $3
), carried as (
    select c.id, c.carried_max, count(g.id) as grants, coalesce(sum(g.granted - g.opening_used - coalesce(d.drawn, 0) - coalesce(f.before, 0)), 0) as had,
        coalesce(sum(f.now), 0) as taken
    from chunk c
    left join allowance_grants g on g.organization_id = $1 and g.account_id = c.account_id and g.allowance_key = c.allowance_key
        and g.starts_at < c.starts_at and c.starts_at < g.expires_at
    left join lateral (
        select sum(h.quantity) as drawn from charges h
        where h.organization_id = $1 and h.account_id = g.account_id and h.occurred_at < c.starts_at and h.grant_id = g.id
    ) d on true
    left join lateral (
        select sum(x.quantity) filter (where x.at < c.starts_at) as before, sum(x.quantity) filter (where x.at = c.starts_at) as now
        from allowance_forfeits x where x.organization_id = $1 and x.grant_id = g.id
    ) f on true
    where c.carried_at is not null
    group by c.id, c.carried_max
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'allowance_grants' as place, g.id::text as key, 'forfeited' as what, trim_scale(f.quantity)::text as expected, trim_scale(g.forfeited)::text as found
    from chunk g
    cross join lateral (
        select coalesce(sum(x.quantity), 0) as quantity from allowance_forfeits x where x.organization_id = $1 and x.grant_id = g.id
    ) f
    where g.forfeited <> f.quantity
    union all
    select 'allowance_grants', g.id::text, 'opening_used', trim_scale(o.quantity)::text, trim_scale(g.opening_used)::text
    from chunk g
    cross join lateral (
        select coalesce(sum(r.quantity), 0) as quantity from import_rows r where r.organization_id = $1 and r.kind = 'allowance' and r.row_id = g.id
    ) o
    where g.opening_used <> o.quantity
    union all
    select 'allowance_grants', c.id::text, 'carried into its cycle', trim_scale(least(c.had, c.carried_max))::text, trim_scale(c.had - c.taken)::text
    from carried c where c.had - c.taken <> least(c.had, c.carried_max)
) w on true
