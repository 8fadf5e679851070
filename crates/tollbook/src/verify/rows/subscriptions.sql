-- Subscriptions after $2: periods and terms segments each tile the time from the start on.
with chunk as materialized (
    select * from subscriptions where organization_id = $1 and id > $2 order by id limit $3
), chained as (
    select 'billing_periods' as place, p.id, p.prev_end, p.starts_at, p.ends_at,
        lag(p.ends_at) over chain as before, row_number() over chain = 1 as is_first, s.starts_at as since, false as is_open
    from chunk s join billing_periods p on p.organization_id = $1 and p.subscription_id = s.id
    window chain as (partition by s.id order by p.starts_at)
    union all
    select 'subscription_segments', g.id, g.prev_end, g.starts_at, g.ends_at,
        lag(g.ends_at) over chain, row_number() over chain = 1, s.starts_at,
        lead(g.starts_at) over chain is null and g.ends_at <> 'infinity'
    from chunk s join subscription_segments g on g.organization_id = $1 and g.subscription_id = s.id
    window chain as (partition by s.id order by g.starts_at)
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select c.place, c.id::text as key, 'prev_end' as what, coalesce(c.before::text, 'none') as expected, coalesce(c.prev_end::text, 'none') as found
    from chained c where c.before is distinct from c.prev_end
    union all
    select c.place, c.id::text, 'starts_at', coalesce(c.before, c.since)::text, c.starts_at::text
    from chained c where c.starts_at <> coalesce(c.before, c.since)
    union all
    select c.place, c.id::text, 'ends_at', 'infinity', c.ends_at::text
    from chained c where c.is_open
    union all
    select 'subscription_pauses', z.id::text, 'starts_at', 'at least ' || coalesce(s.trial_ends_at, s.starts_at), z.starts_at::text
    from chunk s join subscription_pauses z on z.organization_id = $1 and z.subscription_id = s.id
    where z.starts_at < coalesce(s.trial_ends_at, s.starts_at)
    union all
    select 'subscriptions', s.id::text, 'terms', 'at least one segment', 'none'
    from chunk s where not exists (select from subscription_segments g where g.organization_id = $1 and g.subscription_id = s.id)
) w on true
