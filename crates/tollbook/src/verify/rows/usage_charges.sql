-- The first events after $2 with all of their corrections, once for each account that pays: each waits to be rated, is
-- sold by nobody, or has the charges of exactly one rating in force, and those charge what was used.
with chunk as materialized (
    select id, quantity, occurred_at, customer_id, corrects_id, call_id, resource_type, resource_id
    from usage_events where organization_id = $1 and id > $2 order by id limit $3
), sold as (
    select u.id, u.quantity, u.occurred_at, u.customer_id, c.account_id, 'customer' as payer,
        exists (select from usage_waivers w where w.organization_id = $1 and w.call_id = u.call_id)
            or exists (select from usage_waivers w where w.organization_id = $1 and w.resource_id = u.resource_id and w.resource_type = u.resource_type)
            or exists (select from usage_waivers w where w.organization_id = $1 and w.usage_event_id = u.id) as is_waived
    from chunk u join customers c on c.organization_id = $1 and c.id = u.customer_id
    where u.corrects_id is null
    union all
    select u.id, u.quantity, u.occurred_at, null, a.id, 'organization', false
    from chunk u join accounts a on a.organization_id = $1 and a.payer = 'organization'
    where u.corrects_id is null
), rated as (
    select s.id, s.payer, s.account_id, s.customer_id, s.is_waived, s.quantity + e.corrections as used,
        exists (select from rating_queue q where q.organization_id = $1 and q.account_id = s.account_id
            and q.usage_event_id = any (e.ids || s.id)) as waits,
        case when b.id is null then t.plan_version_id else g.plan_version_id end is not null as is_sold,
        f.*
    from sold s
    cross join lateral (
        select coalesce(sum(e.quantity), 0) as corrections, coalesce(array_agg(e.id), '{}') as ids
        from usage_events e where e.organization_id = $1 and e.corrects_id = s.id
    ) e
    left join subscriptions b on b.organization_id = $1 and b.account_id = s.account_id
        and b.starts_at <= s.occurred_at and (b.ends_at is null or s.occurred_at < b.ends_at)
        -- In a pause usage is charged as if there were no subscription.
        and not exists (select from subscription_pauses z where z.organization_id = b.organization_id and z.subscription_id = b.id
            and z.starts_at <= s.occurred_at and (z.ends_at is null or s.occurred_at < z.ends_at))
    left join subscription_segments g on g.organization_id = $1 and g.subscription_id = b.id
        and g.starts_at <= s.occurred_at and s.occurred_at < g.ends_at
    left join pay_per_call_terms t on s.payer = 'customer' and t.organization_id = $1
        and t.starts_at <= s.occurred_at and (t.ends_at is null or s.occurred_at < t.ends_at)
    cross join lateral (
        select count(*) as parts, count(distinct c.revision) as revisions, coalesce(min(c.part), 0) as first_part,
            coalesce(max(c.part), 0) as last_part, coalesce(bool_or(c.kind = 'manual'), false) as is_manual,
            coalesce(sum(c.quantity) filter (where c.kind in ('allowance', 'usage', 'overage', 'manual')), 0) as charged,
            max((c.trace #>> '{time,billedSeconds}')::numeric) as billed_seconds,
            max((c.trace #>> '{time,freeSeconds}')::numeric) as free_seconds,
            max(split_part(c.trace #>> '{time,increment}', '/', 1)::numeric) as initial,
            max(split_part(c.trace #>> '{time,increment}', '/', 2)::numeric) as step,
            max(c.trace ->> 'reason') as reason,
            count(*) filter (where c.account_id <> s.account_id or c.customer_id is distinct from s.customer_id) as elsewhere
        from charges c
        where c.organization_id = $1 and c.usage_event_id = s.id and c.payer = s.payer and c.reverses_id is null
            and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id)
    ) f
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'usage_events' as place, r.id::text as key, 'charges in force of the ' || r.payer as what,
        'one rating, or a place in rating_queue' as expected, 'none' as found
    from rated r where r.parts = 0 and r.is_sold and not r.waits
    union all
    select 'usage_events', r.id::text, 'charges in force of the ' || r.payer, 'none: it is not billed', trim_scale(r.charged)::text
    from rated r where r.is_waived and r.charged <> 0 and not r.waits
    union all
    select 'usage_events', r.id::text, 'charges in force of the ' || r.payer, 'as it is billed', 'not billed'
    from rated r where not r.is_waived and r.reason = 'waived' and not r.waits
    union all
    select 'usage_events', r.id::text, 'charges in force of the ' || r.payer, 'none: nobody sells it', r.parts::text
    from rated r where r.parts > 0 and not r.is_sold and not r.waits and not r.is_manual
    union all
    select 'usage_events', r.id::text, 'charges in force of the ' || r.payer, 'parts 0 to ' || r.parts - 1 || ' of one revision',
        'parts ' || r.first_part || ' to ' || r.last_part || ' of ' || r.revisions || ' revisions'
    from rated r where r.parts > 0 and (r.revisions <> 1 or r.first_part <> 0 or r.last_part <> r.parts - 1)
    union all
    select 'usage_events', r.id::text, 'payer of the charges in force of the ' || r.payer, 'account ' || r.account_id, r.elsewhere || ' charges elsewhere'
    from rated r where r.elsewhere > 0
    union all
    select 'usage_events', r.id::text, 'quantity charged to the ' || r.payer, trim_scale(v.expected)::text, trim_scale(r.charged)::text
    from rated r
    cross join lateral (select case
        when r.is_manual then r.used
        when r.reason = 'nothing_used' then r.used
        when r.reason is not null then 0
        else coalesce(r.billed_seconds, r.used)
    end as expected) v
    where r.parts > 0 and r.revisions = 1 and not r.waits and v.expected <> r.charged
    union all
    -- A correction that bills no second more or less leaves the charge as it is.
    select 'usage_events', r.id::text, 'seconds billed to the ' || r.payer, v.expected::text, r.billed_seconds::text
    from rated r
    cross join lateral (select ceil(r.used) - coalesce(r.free_seconds, 0) as charged) u
    cross join lateral (select case when u.charged > 0
        then r.initial + ceil(greatest(u.charged - r.initial, 0) / r.step) * r.step else 0 end as expected) v
    where r.parts > 0 and r.revisions = 1 and not r.waits and v.expected <> r.billed_seconds
) w on true
