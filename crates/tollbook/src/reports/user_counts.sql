-- The calls and recordings of a user by month in $5, and the numbers held. A call is the user's who talked; one that nobody
-- answered is the number's owner's.
with mine as (
    select c.id, c.direction, c.billable_seconds, (date_trunc('month', c.started_at at time zone $5))::date as month
    from calls_of_user($1, $2, $3, $4) c
)
select m.month as "month!", count(*) filter (where m.direction = 'outgoing') as "made!", count(*) filter (where m.direction = 'incoming') as "received!",
    coalesce(sum(m.billable_seconds), 0)::bigint as "seconds!", coalesce(sum(r.count), 0)::bigint as "recordings!"
from mine m
cross join lateral (select count(*) as count from recordings r where r.organization_id = $1 and r.call_id = m.id) r
group by m.month
order by m.month
