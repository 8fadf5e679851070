-- Usage of each document's payer and period: as recorded, as charged, and what cannot be rated. Events that correct others
-- are part of those.
select i.id, i.period_start, i.period_end,
    case when i.customer_id is not null then (
        select count(*) from usage_events u
        where u.organization_id = i.organization_id and u.customer_id = i.customer_id and u.corrects_id is null
            and u.occurred_at >= i.period_start and u.occurred_at < i.period_end)
    else (
        select coalesce(sum(n.count), 0)::bigint from meters m cross join lateral (
            select count(*) from usage_events u
            where u.organization_id = i.organization_id and u.meter = m.code and u.corrects_id is null
                and u.occurred_at >= i.period_start and u.occurred_at < i.period_end) n
        where m.organization_id is null or m.organization_id = i.organization_id)
    end as "usages!",
    (select count(distinct g.usage_event_id) from charges g
        where g.organization_id = i.organization_id and g.account_id = a.id and g.reverses_id is null
            and g.occurred_at >= i.period_start and g.occurred_at < i.period_end) as "rated!",
    (select count(*) from rating_queue q
        join usage_events u on u.organization_id = q.organization_id and u.id = q.usage_event_id
        where q.organization_id = i.organization_id and q.account_id = a.id and q.parked_at is not null
            and u.occurred_at >= i.period_start and u.occurred_at < i.period_end) as "parked!"
from invoices i
left join customers c on c.organization_id = i.organization_id and c.id = i.customer_id
join accounts a on a.organization_id = i.organization_id
    and (a.id = c.account_id or i.customer_id is null and a.payer = 'organization')
where i.organization_id = $1 and i.id = any($2) and i.kind = 'period'
