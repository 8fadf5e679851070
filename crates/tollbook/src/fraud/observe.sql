-- What organizations with a guard have called before these calls, which were not asked for. The calls themselves are rows
-- already and do not count.
select k.ordinal as "ordinal!", jsonb_build_object('holdsUnusual', g.holds_unusual, 'allowed', to_jsonb(g.allowed_destinations), 'country', o.country,
    'callsPerMinuteMax', g.calls_per_minute_max, 'callsPerHourMax', g.calls_per_hour_max, 'concurrentMax', g.concurrent_max,
    'hourlySpendMax', g.hourly_spend_max::text,
    'isReleased', coalesce(d.state = 'released', false), 'held', case d.state when 'held' then d.reason end,
    -- One hold is enough: what happens meanwhile makes no other.
    'allHeld', (select h.reason from fraud_holds h where h.organization_id = k.organization_id and h.state = 'held' and h.holds_all limit 1),
    'hasCalled', exists (
        select from calls c where c.organization_id = k.organization_id and c.external_party >= k.low and c.external_party < k.high
            and c.direction = 'outgoing' and c.id <> k.call_id and c.merged_into_id is null
            and c.started_at > k.started_at - make_interval(days => g.history_days) and c.started_at <= k.started_at
    ) or exists (
        select from call_authorizations z where z.organization_id = k.organization_id and z.external_e164 >= k.low and z.external_e164 < k.high
            and z.direction = 'outgoing' and z.started_at > k.started_at - make_interval(days => g.history_days)
    ),
    'callsInMinute', (
        select count(*) from calls c where c.organization_id = k.organization_id and c.direction = 'outgoing' and c.id <> k.call_id
            and c.merged_into_id is null and c.started_at > greatest(k.started_at - interval '1 minute', v.released_at) and c.started_at <= k.started_at
    ),
    'callsInHour', (
        select count(*) from calls c where c.organization_id = k.organization_id and c.direction = 'outgoing' and c.id <> k.call_id
            and c.merged_into_id is null and c.started_at > greatest(k.started_at - interval '1 hour', v.released_at) and c.started_at <= k.started_at
    ),
    'inProgress', (
        select count(*) from calls c where c.organization_id = k.organization_id and c.direction = 'outgoing' and c.id <> k.call_id
            and c.state <> 'ended' and c.merged_into_id is null
            and c.started_at > greatest(k.started_at - interval '1 day', v.released_at) and c.started_at <= k.started_at
    ),
    'spentInHour', case when g.hourly_spend_max is not null then (
        select max(s.amount)::text from (
            select sum(h.amount) as amount
            from calls c join charges h on h.organization_id = c.organization_id and h.call_id = c.id
            where c.organization_id = k.organization_id and c.external_party >= k.low and c.external_party < k.high and c.direction = 'outgoing'
                and c.started_at > greatest(k.started_at - interval '1 hour', d.released_at) and h.currency = o.currency
            group by h.payer
        ) s
    ) end)::text as "standing!"
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[]) with ordinality
    as k (organization_id, call_id, external, low, high, destination, started_at, ordinal)
join fraud_guards g on g.organization_id = k.organization_id and g.enabled_at <= k.started_at
join organizations o on o.id = k.organization_id
left join fraud_holds d on d.organization_id = k.organization_id and d.destination = k.destination
left join fraud_holds v on v.organization_id = k.organization_id and v.destination = ''
where not exists (
    select from call_authorizations z where z.organization_id = k.organization_id and z.external_e164 = k.external and z.direction = 'outgoing'
        and z.started_at between k.started_at - interval '5 minutes' and k.started_at + interval '5 minutes'
)
order by k.ordinal
