-- The next month of each live mapping of a number at a provider that charges by the month: the current one, or the one
-- after the last that was recorded. Half a month on is within the next month, whatever the zone has become.
select m.organization_id as "organization!", m.id as "mapping!",
    t.month at time zone o.zone as "period_start!",
    (t.month + interval '1 month') at time zone o.zone as "period_end!",
    case when l.period_end is null then $1::timestamptz else greatest(t.month at time zone o.zone, m.starts_at) end as "counts_at!",
    to_char(t.month, 'YYYY-MM') as "label!",
    u.user_id as "user?", c.id as "customer?"
from number_mappings m
join phone_numbers n on n.id = m.phone_number_id and n.active and n.provider = 'twilio'
join organizations o on o.id = m.organization_id
left join lateral (
    select max(h.period_end) as period_end from number_months h where h.organization_id = m.organization_id and h.mapping_id = m.id
) l on true
cross join lateral (
    select date_trunc('month', coalesce(l.period_end + interval '15 days', $1) at time zone o.zone) as month
) t
left join lateral (
    select a.user_id from assignments a
    where a.organization_id = m.organization_id and a.phone_number_id = m.phone_number_id
        and a.starts_at <= $1 and (a.ends_at is null or a.ends_at > $1)
    order by a.kind = 'owner' desc, a.starts_at, a.user_id limit 1
) u on true
left join lateral (
    select k.id from customers k where k.organization_id = m.organization_id and k.user_id = u.user_id order by k.id limit 1
) c on true
where m.starts_at <= $1 and (m.ends_at is null or m.ends_at > coalesce(l.period_end, $1))
    and (l.period_end is null or l.period_end <= $1)
-- all organizations: the schedule is the platform's
order by m.organization_id, m.id
limit $2
for no key update of m skip locked
