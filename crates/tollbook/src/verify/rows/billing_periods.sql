-- Periods after $2: each has its base fee once and, of each allowance that is granted anew with it, its grant.
with chunk as materialized (
    select * from billing_periods where organization_id = $1 and id > $2 order by id limit $3
), terms as (
    select p.id, p.subscription_id, p.starts_at, s.account_id, v.document, -- Nothing is due for a trial.
        case when s.trial_ends_at >= p.ends_at then 0 else coalesce((v.document ->> 'baseFee')::numeric, 0) end as base_fee
    from chunk p
    join subscriptions s on s.organization_id = $1 and s.id = p.subscription_id
    join subscription_segments g on g.organization_id = $1 and g.subscription_id = p.subscription_id
        and g.starts_at <= p.starts_at and p.starts_at < g.ends_at
    join plan_versions v on v.seller_id = g.seller_id and v.id = g.plan_version_id
), fees as (
    select t.id, t.base_fee, count(c.id) as fees, min(c.unit_price) as unit_price
    from terms t
    left join charges c on c.organization_id = $1 and c.period_id = t.id and c.reverses_id is null
        and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id)
    group by t.id, t.base_fee
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'billing_periods' as place, f.id::text as key, 'base fee' as what,
        case f.base_fee when 0 then 'none' else 'one of ' || trim_scale(f.base_fee) end as expected,
        f.fees || coalesce(' of ' || trim_scale(f.unit_price), '') as found
    from fees f
    where f.fees <> case f.base_fee when 0 then 0 else 1 end or f.unit_price <> f.base_fee
    union all
    select 'billing_periods', t.id::text, 'grant of ' || (a ->> 'key'), a ->> 'quantity', coalesce(trim_scale(g.granted)::text, 'none')
    from terms t
    cross join lateral jsonb_array_elements(coalesce(t.document -> 'allowances', '[]')) as a
    left join allowance_grants g on g.organization_id = $1 and g.account_id = t.account_id and g.subscription_id = t.subscription_id
        and g.allowance_key = a ->> 'key' and g.starts_at = t.starts_at
    where coalesce(a ->> 'every', 'period') = 'period' and g.granted is distinct from (a ->> 'quantity')::numeric
) w on true
