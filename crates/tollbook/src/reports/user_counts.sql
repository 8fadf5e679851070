-- The calls and recordings of a user by month in $5, and the numbers held. A call is the user's who talked; one that nobody
-- answered is the number's owner's.
with mine as (
    select c.id, c.direction, c.billable_seconds, (date_trunc('month', c.started_at at time zone $5))::date as month
    from (
        select v.call_id as id from call_viewers v
        where v.organization_id = $1 and v.user_id = $2 and v.started_at >= $3 and v.started_at < $4
        union
        select k.id from (select distinct a.phone_number_id from assignments a where a.organization_id = $1 and a.user_id = $2) a
        join calls k on k.organization_id = $1 and k.phone_number_id = a.phone_number_id and k.started_at >= $3 and k.started_at < $4
    ) i
    join calls c on c.organization_id = $1 and c.id = i.id and c.merged_into_id is null
    left join lateral (
        select a.user_id from assignments a
        where c.answered_by is null and a.organization_id = $1 and a.phone_number_id = c.phone_number_id
            and a.starts_at <= c.started_at and (a.ends_at is null or a.ends_at > c.started_at)
        order by a.kind = 'owner' desc, a.starts_at, a.user_id limit 1
    ) o on true
    where coalesce(c.answered_by, o.user_id) = $2
)
select m.month as "month!", count(*) filter (where m.direction = 'outgoing') as "made!", count(*) filter (where m.direction = 'incoming') as "received!",
    coalesce(sum(m.billable_seconds), 0)::bigint as "seconds!", coalesce(sum(r.count), 0)::bigint as "recordings!"
from mine m
cross join lateral (select count(*) as count from recordings r where r.organization_id = $1 and r.call_id = m.id) r
group by m.month
order by m.month
