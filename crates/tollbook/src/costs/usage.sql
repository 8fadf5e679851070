-- Which cost belongs to each usage, if it is borne by whoever sells it. A call's is that of its time; what has no column of
-- its own is found by the provider's id in the key under which it was recorded.
select k.position as "position!", k.organization_id as "organization_id!", p.id as "cost_id!"
from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality as k (organization_id, id, bearer, position)
cross join lateral (
    select u.meter, u.call_id, string_to_array(split_part(u.idempotency_key, '@', 1), ':') as key
    from usage_events u where u.organization_id = k.organization_id and u.id = k.id offset 0
) u
cross join lateral (
    select c.id, c.bearer from provider_costs c
    where u.meter = 'CALL_DURATION_SECONDS' and c.organization_id = k.organization_id and c.subject = 'call' and c.subject_id = u.call_id
    union all
    select c.id, c.bearer from number_months t
    join provider_costs c on c.organization_id = t.organization_id and c.subject = 'number' and c.subject_id = t.id
    where u.meter = 'number_month' and t.organization_id = k.organization_id and t.usage_event_id = k.id
    union all
    select c.id, c.bearer from provider_costs c
    where u.meter in ('SMS_SENT', 'SMS_RECEIVED', 'recording', 'voicemail') and c.organization_id = k.organization_id
        and c.sid = u.key[3] and c.provider = u.key[1] and c.subject = u.key[2]
    limit 1
) p
where p.bearer = k.bearer
